#include "model/model_folder.h"

#include <utility>
#include <vector>

#include "base/limits.h"
#include "io/contained_path.h"
#include "io/json.h"
#include "io/quoted.h"

namespace fastkv {
namespace {

constexpr char kConfigFile[] = "config.json";
constexpr char kGenerationConfigFile[] = "generation_config.json";

Status CheckFolder(FileSystem& files, const std::string& path) {
  FASTKV_ASSIGN_OR_RETURN(const bool is_folder, files.IsDirectory(path));
  if (is_folder) {
    FASTKV_ASSIGN_OR_RETURN(const bool has_config, files.Exists(JoinPath(path, kConfigFile)));
    if (has_config) return OkStatus();
    return NotFoundError("no " + std::string(kConfigFile) + " in " + path +
                         ": expected a model folder with it and safetensors weights");
  }
  FASTKV_ASSIGN_OR_RETURN(const bool exists, files.Exists(path));
  if (!exists) {
    return NotFoundError("no such model: " + path +
                         "; give the path of a folder with config.json and safetensors weights, "
                         "or of a GGUF file");
  }
  return NotFoundError(path + " is a file: expected a folder with config.json and safetensors " +
                       "weights, or a GGUF file");
}

Result<Json> ReadJsonOf(FileSystem& files, const std::string& folder, const char* name) {
  FASTKV_ASSIGN_OR_RETURN(const std::string path, ContainedPath(files, folder, name));
  return ReadJsonFile(files, path, limits::kMaxConfigBytes);
}

Result<GenerationConfig> ReadGenerationConfig(FileSystem& files, const std::string& folder,
                                              const ModelConfig& model) {
  const std::string path = JoinPath(folder, kGenerationConfigFile);
  FASTKV_ASSIGN_OR_RETURN(const bool exists, files.Exists(path));
  if (!exists) return DefaultGenerationConfig(model);
  FASTKV_ASSIGN_OR_RETURN(const Json json, ReadJsonOf(files, folder, kGenerationConfigFile));
  return ParseGenerationConfig(json, path, model);
}

std::string ShapeText(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) {
    text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  }
  return text + "]";
}

}  // namespace

Result<ModelConfig> ReadModelConfig(FileSystem& files, const std::string& path) {
  FASTKV_RETURN_IF_ERROR(CheckFolder(files, path));
  FASTKV_ASSIGN_OR_RETURN(const Json json, ReadJsonOf(files, path, kConfigFile));
  return ParseModelConfig(json, JoinPath(path, kConfigFile));
}

Result<ModelFolder> ModelFolder::Load(FileSystem& files, const std::string& path) {
  FASTKV_ASSIGN_OR_RETURN(ModelConfig config, ReadModelConfig(files, path));
  FASTKV_ASSIGN_OR_RETURN(GenerationConfig generation, ReadGenerationConfig(files, path, config));
  FASTKV_ASSIGN_OR_RETURN(SafetensorsModel weights, SafetensorsModel::Open(files, path));
  Status status = CheckTensors(config, weights);
  if (!status.ok()) return status.WithContext(path);
  return ModelFolder{path, std::move(config), std::move(generation), std::move(weights)};
}

Status CheckTensors(const ModelConfig& config, const SafetensorsModel& weights) {
  for (const ExpectedTensor& expected : ExpectedTensors(config)) {
    const TensorEntry* entry = weights.Find(expected.name);
    if (entry == nullptr) {
      return FormatError("the weights lack the tensor " + Quoted(expected.name) +
                         ", which config.json implies; is the download complete?");
    }
    if (entry->shape != expected.shape) {
      return FormatError("tensor " + Quoted(expected.name) + ": config.json implies the shape " +
                         ShapeText(expected.shape) + ", the file has " + ShapeText(entry->shape));
    }
    FASTKV_RETURN_IF_ERROR(weights.Tensor(expected.name).status());
  }
  return OkStatus();
}

Status CheckWeightsFinite(const ModelConfig& config, const SafetensorsModel& weights) {
  for (const ExpectedTensor& expected : ExpectedTensors(config)) {
    FASTKV_ASSIGN_OR_RETURN(const HostTensor tensor, weights.Tensor(expected.name));
    const Status status = CheckFinite(tensor);
    if (!status.ok()) return status.WithContext("tensor " + Quoted(expected.name));
  }
  return weights.CheckUndamaged();
}

}  // namespace fastkv
