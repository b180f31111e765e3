#include "model/gguf_model.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "io/quoted.h"
#include "model/gguf_config.h"
#include "model/gguf_weights.h"

namespace fastkv {
namespace {

struct FileType {
  int64_t number;
  const char* name;
};

// Values of general.file_type.
constexpr std::array<FileType, 18> kFileTypes = {{
    {0, "F32"},
    {1, "F16"},
    {2, "Q4_0"},
    {3, "Q4_1"},
    {7, "Q8_0"},
    {8, "Q5_0"},
    {9, "Q5_1"},
    {10, "Q2_K"},
    {11, "Q3_K_S"},
    {12, "Q3_K_M"},
    {13, "Q3_K_L"},
    {14, "Q4_K_S"},
    {15, "Q4_K_M"},
    {16, "Q5_K_S"},
    {17, "Q5_K_M"},
    {18, "Q6_K"},
    {25, "IQ4_NL"},
    {32, "BF16"},
}};

std::string ShapeText(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

// Tensors that are no weights of a layer: the divisors are part of the configuration, and old files
// hold a table of frequencies that follows from it.
bool IsAside(const std::string& name) {
  return name == "rope_freqs.weight" ||
         (name.starts_with("blk.") && name.ends_with(".attn_rot_embd.weight"));
}

Status CheckTensors(const ModelConfig& config, const GgufFiles& files) {
  std::set<std::string> expected_names;
  for (const ExpectedTensor& expected : ExpectedTensors(config)) {
    const std::string name = GgufTensorName(expected.name).value_or(expected.name);
    const GgufFiles::Place* place = files.Find(name);
    if (place == nullptr) {
      return FormatError("the tensor " + Quoted(name) +
                         " is missing, which the metadata implies; is this a complete model?");
    }
    if (place->tensor->shape != expected.shape) {
      return FormatError("tensor " + Quoted(name) + ": the metadata implies the shape " +
                         ShapeText(expected.shape) + ", the file has " +
                         ShapeText(place->tensor->shape));
    }
    if (expected.shape.size() == 1 && !IsElementType(place->tensor->type)) {
      return FormatError("tensor " + Quoted(name) + ": expected F32, F16 or BF16, found " +
                         std::string(StoredTypeName(place->tensor->type)));
    }
    expected_names.insert(name);
  }
  for (const GgufFiles::Place& place : files.tensors()) {
    const std::string& name = place.tensor->name;
    if (expected_names.contains(name) || IsAside(name)) continue;
    return UnsupportedError("the tensor " + Quoted(name) +
                            " has no place in a model of this architecture; mixtures of experts "
                            "and other variants are not supported");
  }
  return OkStatus();
}

// Mistral's first model and Ministral attend within a window, which the usual converter leaves out.
std::optional<int64_t> LostWindow(const ModelConfig& config) {
  const bool has_window = std::any_of(config.sliding_window.begin(), config.sliding_window.end(),
                                      [](int64_t window) { return window != 0; });
  if (config.architecture != Architecture::kLlama || has_window || config.num_kv_heads != 8 ||
      config.hidden_size != 4096) {
    return std::nullopt;
  }
  if (config.num_layers == 32 && config.intermediate_size == 14336 && config.vocab_size == 32000 &&
      config.rope.theta == 10000) {
    return 4096;
  }
  if (config.num_layers == 36 && config.intermediate_size == 12288) return 32768;
  return std::nullopt;
}

}  // namespace

Result<GgufModel> GgufModel::Load(FileSystem& files, const std::string& path) {
  FASTKV_ASSIGN_OR_RETURN(GgufFiles gguf, GgufFiles::Open(files, path));
  ModelConfig config;
  GenerationConfig generation;
  const auto read = [&]() -> Status {
    FASTKV_ASSIGN_OR_RETURN(config, ModelConfigFromGguf(gguf));
    FASTKV_ASSIGN_OR_RETURN(generation, GenerationConfigFromGguf(gguf.metadata(), config));
    FASTKV_RETURN_IF_ERROR(CheckTensors(config, gguf));
    return gguf.CheckUndamaged();
  };
  const Status status = read();
  if (!status.ok()) return status.WithContext(gguf.path());
  return GgufModel{std::move(config), std::move(generation), std::move(gguf)};
}

GgufDescription DescribeGguf(const GgufModel& model) {
  GgufDescription description;
  const GgufMetadata& metadata = model.files.metadata();
  for (const auto& [key, label] : {std::pair{"general.name", "name"},
                                   {"general.basename", "base name"},
                                   {"general.size_label", "size"},
                                   {"general.license", "license"},
                                   {"general.quantized_by", "quantized by"}}) {
    const Result<std::string_view> text = metadata.StringOr(key, "");
    if (text.ok() && !text->empty()) description.labels.emplace_back(label, *text);
  }
  const Result<int64_t> file_type = metadata.IntOr("general.file_type", -1, 0, INT32_MAX);
  for (const FileType& known : kFileTypes) {
    if (file_type.ok() && *file_type == known.number) description.file_type = known.name;
  }
  std::map<std::string, int64_t> counts;
  for (const GgufFiles::Place& place : model.files.tensors()) {
    ++counts[std::string(StoredTypeName(place.tensor->type))];
  }
  description.tensors_by_type.assign(counts.begin(), counts.end());
  std::stable_sort(description.tensors_by_type.begin(), description.tensors_by_type.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  description.size_bytes = model.files.size_bytes();
  if (const std::optional<int64_t> window = LostWindow(model.config)) {
    description.warnings.push_back(
        "models of this shape attend to the last " + std::to_string(*window) +
        " tokens, which the file does not say; if this is such a model, give --sliding-window " +
        std::to_string(*window));
  }
  return description;
}

}  // namespace fastkv
