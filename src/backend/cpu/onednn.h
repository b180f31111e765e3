// The one place that knows oneDNN: its product of two square matrices, which the ceilings are
// measured with. Compiles against oneDNN 2.6 and 3.x.
#ifndef FASTKV_BACKEND_CPU_ONEDNN_H_
#define FASTKV_BACKEND_CPU_ONEDNN_H_

#include <cstdint>
#include <memory>

#include "base/status.h"
#include "tensor/dtype.h"

namespace fastkv::cpu {

class OneDnnProduct {
 public:
  // A product of two size x size matrices of `type` (f32, or bf16 with f32 result) on `num_threads`
  // threads, the right one laid out as oneDNN likes it best.
  // Errors: kMemory, kUnsupported (no oneDNN in this build, or it lacks the type here).
  static Result<OneDnnProduct> Create(DType type, int64_t size, int num_threads);
  OneDnnProduct(OneDnnProduct&&) noexcept;
  ~OneDnnProduct();

  void Run();

 private:
  struct State;
  explicit OneDnnProduct(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace fastkv::cpu

#endif  // FASTKV_BACKEND_CPU_ONEDNN_H_
