#include "model/open_model.h"

#include <optional>
#include <utility>

#include "io/gguf.h"
#include "io/host_tensor.h"
#include "io/quoted.h"
#include "model/folder_weights.h"
#include "model/gguf_model.h"
#include "model/gguf_weights.h"
#include "model/model_folder.h"
#include "tensor/block_formats.h"

namespace fastkv {
namespace {

Status CheckMatrixFinite(const WeightView& matrix) {
  for (int64_t row = 0; row < matrix.num_rows; ++row) {
    if (IsElementType(matrix.type)) {
      FASTKV_RETURN_IF_ERROR(
          CheckFinite(HostTensor{matrix.Row(row), ElementTypeOf(matrix.type), {matrix.num_columns}})
              .WithContext("row " + std::to_string(row)));
    } else if (HasNonFiniteScale(matrix.type, matrix.Row(row), matrix.num_columns)) {
      return NumericError("row " + std::to_string(row) +
                          " has a block whose scale is infinite or NaN");
    }
  }
  return OkStatus();
}

Status CheckVectorFinite(const ConstTensorView& vector) {
  return CheckFinite(HostTensor{
      static_cast<const std::byte*>(vector.data()), vector.dtype(), {vector.num_elements()}});
}

}  // namespace

Result<OpenedModel> OpenModel(FileSystem& files, const std::string& path, int num_threads,
                              Allocator& allocator) {
  FASTKV_ASSIGN_OR_RETURN(const std::optional<std::string> gguf_path, FindGgufFile(files, path));
  if (gguf_path) {
    FASTKV_ASSIGN_OR_RETURN(GgufModel model, GgufModel::Load(files, *gguf_path));
    auto weights =
        std::make_unique<GgufWeights>(std::move(model.files), model.config, num_threads, allocator);
    return OpenedModel{std::move(model.config), std::move(model.generation), std::move(weights)};
  }
  FASTKV_ASSIGN_OR_RETURN(ModelFolder folder, ModelFolder::Load(files, path));
  return OpenedModel{std::move(folder.config), std::move(folder.generation),
                     std::make_unique<FolderWeights>(std::move(folder.weights), allocator)};
}

Status CheckWeightsFinite(const ModelConfig& config, WeightSource& weights) {
  for (const ExpectedTensor& expected : ExpectedTensors(config)) {
    Status status;
    if (expected.shape.size() == 2) {
      FASTKV_ASSIGN_OR_RETURN(const WeightView matrix,
                              weights.Matrix(expected.name, expected.shape[0], expected.shape[1]));
      status = CheckMatrixFinite(matrix);
    } else {
      FASTKV_ASSIGN_OR_RETURN(const ConstTensorView vector,
                              weights.Tensor(expected.name, {expected.shape[0]}));
      status = CheckVectorFinite(vector);
    }
    if (!status.ok()) return status.WithContext("tensor " + Quoted(expected.name));
  }
  return weights.CheckUndamaged();
}

}  // namespace fastkv
