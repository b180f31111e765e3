#include "model/model_profile.h"

#include <algorithm>
#include <bit>

#include "base/fingerprint.h"
#include "base/limits.h"
#include "io/quoted.h"

namespace fastkv {
namespace {

constexpr char kWhatToDo[] = "; make it again with fastkv calibrate, or remove it";

struct PublishedModel {
  const char* name;
  Architecture architecture;
  int64_t num_layers;
  int64_t hidden_size;
  int64_t intermediate_size;
  int64_t vocab_size;
  int64_t tsp_layer;
};

// All three have 32 query heads and 8 KV heads of size 128.
constexpr PublishedModel kPublishedModels[] = {
    {"Llama-3.1-8B", Architecture::kLlama, 32, 4096, 14336, 128256, 15},
    {"Ministral-8B", Architecture::kMistral, 36, 4096, 12288, 131072, 17},
    {"Mistral-Nemo-12B", Architecture::kMistral, 40, 5120, 14336, 131072, 19},
};

bool IsPublished(const PublishedModel& model, const ModelConfig& config) {
  // A Mistral model in a GGUF file calls itself llama, which it is but for the window.
  const bool same_family =
      config.architecture == model.architecture ||
      (config.architecture == Architecture::kLlama && model.architecture == Architecture::kMistral);
  return same_family && config.num_layers == model.num_layers &&
         config.hidden_size == model.hidden_size &&
         config.intermediate_size == model.intermediate_size &&
         config.vocab_size == model.vocab_size && config.num_q_heads == 32 &&
         config.num_kv_heads == 8 && config.head_dim == 128;
}

Result<ModelProfile> ReadModelProfile(FileSystem& files, const std::string& path,
                                      const ModelConfig& config) {
  Result<Json> json = ReadJsonFile(files, path, limits::kMaxConfigBytes);
  if (!json.ok() && json.status().code() == StatusCode::kFormat) {
    return FormatError(json.status().message() + kWhatToDo);
  }
  if (!json.ok()) return json.status();
  return ParseModelProfile(*json, path, config);
}

}  // namespace

std::string ModelIdentity(const ModelConfig& config) {
  Fingerprint fingerprint;
  fingerprint.Add(ArchitectureName(config.architecture));
  for (const int64_t size :
       {config.num_layers, config.hidden_size, config.num_q_heads, config.num_kv_heads,
        config.head_dim, config.intermediate_size, config.vocab_size,
        static_cast<int64_t>(config.rope.kind), std::bit_cast<int64_t>(config.rope.theta),
        std::bit_cast<int64_t>(config.rope.factor)}) {
    fingerprint.Add(size);
  }
  for (const float divisor : config.rope.divisors) {
    fingerprint.Add(std::bit_cast<int64_t>(static_cast<double>(divisor)));
  }
  return fingerprint.Hex();
}

Result<ModelProfile> ParseModelProfile(const Json& json, const std::string& context,
                                       const ModelConfig& config) {
  const auto parse = [&]() -> Result<ModelProfile> {
    FASTKV_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::Of(json, context));
    FASTKV_ASSIGN_OR_RETURN(const std::string format, fields.String("format"));
    if (format != kModelProfileFormat) {
      return FormatError(context + ": field \"format\": expected " + Quoted(kModelProfileFormat) +
                         ", found " + Quoted(format));
    }
    FASTKV_ASSIGN_OR_RETURN(const int64_t version, fields.Int("version", 1, INT64_MAX));
    if (version > kModelProfileVersion) {
      return UnsupportedError(context + ": field \"version\": expected at most " +
                              std::to_string(kModelProfileVersion) + ", found " +
                              std::to_string(version));
    }
    ModelProfile profile;
    FASTKV_ASSIGN_OR_RETURN(profile.model, fields.String("model"));
    if (profile.model != ModelIdentity(config)) {
      return InvalidArgumentError(context + ": field \"model\": expected " +
                                  Quoted(ModelIdentity(config)) + " for this model, found " +
                                  Quoted(profile.model) + " of another");
    }
    FASTKV_ASSIGN_OR_RETURN(
        profile.tsp_layer, fields.Int("tsp_layer", 0, std::max<int64_t>(0, config.num_layers - 2)));
    return profile;
  };
  Result<ModelProfile> profile = parse();
  if (profile.ok()) return profile;
  return Status(profile.status().code(), profile.status().message() + kWhatToDo);
}

Result<std::string> ModelProfilePath(FileSystem& files, const std::string& model_path) {
  FASTKV_ASSIGN_OR_RETURN(const bool is_folder, files.IsDirectory(model_path));
  return is_folder ? JoinPath(model_path, "fastkv.json") : model_path + ".fastkv.json";
}

std::string_view TspLayerSourceName(TspLayerSource source) {
  switch (source) {
    case TspLayerSource::kProfileFile:
      return "profile";
    case TspLayerSource::kPublished:
      return "published";
    case TspLayerSource::kHalfOfLayers:
      return "half";
  }
  return "?";
}

DefaultTspLayer TspLayerWithoutProfile(const ModelConfig& config) {
  for (const PublishedModel& model : kPublishedModels) {
    if (IsPublished(model, config)) {
      return {model.tsp_layer, TspLayerSource::kPublished, model.name};
    }
  }
  return {std::max<int64_t>(0, config.num_layers / 2 - 1), TspLayerSource::kHalfOfLayers, ""};
}

Result<DefaultTspLayer> FindDefaultTspLayer(FileSystem& files, const std::string& model_path,
                                            const std::string& profile_path,
                                            const ModelConfig& config) {
  std::string path = profile_path;
  if (path.empty()) {
    FASTKV_ASSIGN_OR_RETURN(path, ModelProfilePath(files, model_path));
    FASTKV_ASSIGN_OR_RETURN(const bool exists, files.Exists(path));
    if (!exists) return TspLayerWithoutProfile(config);
  }
  FASTKV_ASSIGN_OR_RETURN(const ModelProfile profile, ReadModelProfile(files, path, config));
  return DefaultTspLayer{profile.tsp_layer, TspLayerSource::kProfileFile, path};
}

}  // namespace fastkv
