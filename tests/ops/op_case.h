// One run of one operation on one back end, with its inputs made, its outputs watched, and its work
// counted. The case table is made of recipes for such runs; the parity test and the operation
// benchmark both execute them.
#ifndef FASTKV_TESTS_OPS_OP_CASE_H_
#define FASTKV_TESTS_OPS_OP_CASE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "backend/backend.h"

namespace fastkv::op_cases {

using Dims = std::vector<int64_t>;

// Arithmetic and memory traffic that an ideal implementation needs: each input is read and each
// output is written once.
struct OpWork {
  double flops = 0;
  double bytes = 0;
};

// One tensor that an operation wrote, packed, slowest dimension first.
struct OpOutput {
  std::string name;
  DType dtype = DType::kF32;
  Dims dims;
  std::vector<double> values;
};

struct OpOutcome {
  std::vector<OpOutput> outputs;
  // One line for each broken promise: a failed device, a byte written outside an output, a changed
  // input. Empty: none.
  std::vector<std::string> problems;
};

struct OperandRounding {
  bool weights = false;  // those of a back end with bfloat16 products
  bool inputs = false;   // to integers, where a product has few rows
};

struct RunOptions {
  // Rounds every floating input to bfloat16 first, so that runs with different types see the same
  // numbers.
  bool bf16_inputs = false;
};

// Holds the device memory of one run. Every tensor lies between guard zones, and these and the gaps
// between strided rows hold NaN (0x7f7f7f7f in integers), as do the outputs beforehand: a read that
// strays shows up as NaN, a write that strays as a changed byte.
//
// Set-up failures (no memory, no device) abort: a test cannot go on without them.
class OpRun {
 public:
  OpRun(Backend& backend, RunOptions options) : backend_(backend), options_(options) {}

  Backend& backend() { return backend_; }
  DType activation() const { return backend_.types().activation; }
  DType kv() const { return backend_.types().kv; }

  // An input of `dims` rounded to `dtype` (f32, bf16, f16, i8, i32). `outer_stride` > 0 replaces
  // the stride of dimension 0, in elements.
  ConstTensorView Input(DType dtype, const Dims& dims, const std::vector<float>& values,
                        int64_t outer_stride = 0);
  ConstTensorView Input(const Dims& dims, const std::vector<int32_t>& values);
  // An output, to be reported under `name`; `initial` fills it beforehand, else it is poison.
  TensorView Output(std::string name, DType dtype, const Dims& dims, int64_t outer_stride = 0,
                    const std::vector<float>& initial = {});
  // A packed weight of parts with the given heights and types, one below the other. `values` is the
  // whole matrix; parts in blocks hold random blocks of the same standard deviation instead, some
  // with a scale that is 0, negative or subnormal.
  const PackedWeight* Weight(const std::vector<int64_t>& part_rows,
                             const std::vector<StoredType>& part_types, int64_t in_features,
                             const std::vector<float>& values);
  // What a back end may round of this run's products.
  const OperandRounding& rounding() const { return rounding_; }

  // What Execute() does, its arithmetic, and the bytes it moves beyond those of the inputs and
  // outputs above, which count themselves (weights do not).
  void SetOperation(std::function<void(Backend&)> operation, double flops, double more_bytes = 0);

  void Execute() { operation_(backend_); }
  const OpWork& work() const { return work_; }
  // Waits for the device, copies everything back and looks for broken promises.
  OpOutcome Finish();

 private:
  struct Tensor {
    std::string name;
    DType dtype = DType::kF32;
    Dims dims;
    int64_t outer_stride = 0;
    bool is_output = false;
    std::vector<unsigned char> image;  // the bytes as first sent, guards included
    Buffer buffer;
  };

  Tensor& Add(std::string name, DType dtype, const Dims& dims, int64_t outer_stride,
              bool is_output);
  void Send(Tensor& tensor);
  static TensorView ViewOf(const Tensor& tensor);
  static OpOutput Unpack(const Tensor& tensor, const std::vector<unsigned char>& bytes);

  Backend& backend_;
  RunOptions options_;
  std::vector<std::unique_ptr<Tensor>> tensors_;
  std::vector<std::vector<unsigned char>> host_parts_;
  std::vector<std::unique_ptr<PackedWeight>> weights_;
  OperandRounding rounding_;
  std::function<void(Backend&)> operation_;
  OpWork work_;
};

// A row of the table.
struct OpCase {
  std::string op;    // the operation's name, "MatMul"
  std::string name;  // sizes and options, letters, digits and underscores; unique within `op`
  std::function<void(OpRun&)> set_up;
  bool has_int8_kv = false;  // for back ends that can be made with KvType::kInt8 alone
};

// Makes the inputs of `op_case` for `backend`, which must outlive the run.
std::unique_ptr<OpRun> Prepare(const OpCase& op_case, Backend& backend, RunOptions options = {});

}  // namespace fastkv::op_cases

#endif  // FASTKV_TESTS_OPS_OP_CASE_H_
