// The weights of a GGUF file as a WeightSource.
#ifndef FASTKV_MODEL_GGUF_WEIGHTS_H_
#define FASTKV_MODEL_GGUF_WEIGHTS_H_

#include <cstdint>
#include <initializer_list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "base/allocator.h"
#include "io/gguf.h"
#include "model/model_config.h"
#include "model/weight_source.h"
#include "tensor/buffer.h"

namespace fastkv {

// The name in GGUF files of a tensor that Transformers calls `name`; nothing for other tensors.
std::optional<std::string> GgufTensorName(std::string_view name);

// Views into the mapped files, by the names of Transformers. Copied are the query and key
// projections of architecture llama alone: their rows are put back from the order of neighbouring
// rotary pairs into that of halves. Matrices in blocks are read once, when they are first asked
// for, to see that no scale is infinite or NaN.
//
// Not thread-safe.
class GgufWeights final : public WeightSource {
 public:
  // Reads scales on `num_threads` threads. `allocator` serves the copies and must outlive this
  // object.
  GgufWeights(GgufFiles files, const ModelConfig& config, int num_threads, Allocator& allocator)
      : files_(std::move(files)),
        config_(config),
        num_threads_(num_threads),
        allocator_(allocator) {}

  Result<ConstTensorView> Tensor(const std::string& name,
                                 std::initializer_list<int64_t> shape) override;
  // Errors: also kFormat, naming a tensor with a scale that is not finite.
  Result<WeightView> Matrix(const std::string& name, int64_t num_rows,
                            int64_t num_columns) override;
  Status CheckUndamaged() const override { return files_.CheckUndamaged(); }

  const GgufFiles& files() const { return files_; }

 private:
  Result<const GgufFiles::Place*> Find(const std::string& name,
                                       std::initializer_list<int64_t> shape) const;
  // The tensor's rows of `row_bytes` each in the order of Transformers.
  Result<const std::byte*> RowsInOrder(const std::string& name, const GgufFiles::Place& place,
                                       int64_t num_rows, int64_t row_bytes);
  Status CheckScales(const GgufFiles::Place& place, int64_t num_rows, int64_t num_columns);
  // kFormat, with the path of the file before what is wrong with it.
  Status BadFile(const std::string& what) const;

  GgufFiles files_;
  ModelConfig config_;
  int num_threads_;
  Allocator& allocator_;
  std::map<std::string, Buffer> copies_;  // by the names of Transformers
  std::set<const GgufTensor*> checked_;
};

}  // namespace fastkv

#endif  // FASTKV_MODEL_GGUF_WEIGHTS_H_
