#include "fastkv/model_description.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "eval/human_format.h"
#include "io/gguf.h"
#include "io/quoted.h"

namespace fastkv {
namespace {

std::string Line(const std::string& name, const std::string& text) {
  return fmt::format("{:<14} {}\n", name, text);
}

}  // namespace

Result<std::optional<GgufDescription>> DescribeModelFile(FileSystem& files,
                                                         const std::string& path) {
  FASTKV_ASSIGN_OR_RETURN(const std::optional<std::string> gguf_path, FindGgufFile(files, path));
  if (!gguf_path) return std::optional<GgufDescription>();
  FASTKV_ASSIGN_OR_RETURN(const GgufModel model, GgufModel::Load(files, *gguf_path));
  return std::optional(DescribeGguf(model));
}

nlohmann::ordered_json DescriptionJson(const GgufDescription& description) {
  nlohmann::ordered_json json;
  json["format"] = "gguf";
  for (const auto& [label, text] : description.labels) json[label] = text;
  json["file_type"] = description.file_type;
  for (const auto& [type, count] : description.tensors_by_type) json["tensors"][type] = count;
  json["weight_bytes"] = description.size_bytes;
  json["warnings"] = description.warnings;
  return json;
}

std::string DescriptionText(const GgufDescription& description) {
  std::string text;
  for (const auto& [label, value] : description.labels) text += Line(label, Quoted(value));
  text += Line("file type", description.file_type.empty() ? "not given" : description.file_type);
  std::string tensors;
  for (const auto& [type, count] : description.tensors_by_type) {
    tensors += fmt::format("{}{} of {}", tensors.empty() ? "" : ", ", count, type);
  }
  text += Line("tensors", tensors + ", " +
                              HumanBytes(static_cast<int64_t>(description.size_bytes)) + " in all");
  for (const std::string& warning : description.warnings) text += Line("warning", warning);
  return text;
}

}  // namespace fastkv
