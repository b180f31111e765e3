// What is known about a model beyond its files' contents: behind which layer its tokens may be cut.
// From a profile that calibration wrote, from the published ones, or from the number of layers.
#ifndef FASTKV_MODEL_MODEL_PROFILE_H_
#define FASTKV_MODEL_MODEL_PROFILE_H_

#include <cstdint>
#include <optional>
#include <string>

#include "base/status.h"
#include "io/file.h"
#include "io/json.h"
#include "model/model_config.h"

namespace fastkv {

inline constexpr int64_t kModelProfileVersion = 1;
inline constexpr char kModelProfileFormat[] = "fastkv-profile";

// What a profile file must hold; calibration writes the curve and its settings beside it.
struct ModelProfile {
  std::string model;      // ModelIdentity of the model that it was made for
  int64_t tsp_layer = 0;  // zero-based, below the last layer
};

// Tells models of different shape or rotary embedding apart, sixteen hexadecimal digits. Fine-tuned
// siblings share it.
std::string ModelIdentity(const ModelConfig& config);

// `context` names the document in messages. Errors, each saying what to do: kFormat (not a profile,
// a field missing or wrong), kUnsupported (a later version), kInvalidArgument (another model's).
Result<ModelProfile> ParseModelProfile(const Json& json, const std::string& context,
                                       const ModelConfig& config);

// Where a model's profile lies: fastkv.json in its folder; for a model in one file, its path and
// ".fastkv.json".
Result<std::string> ModelProfilePath(FileSystem& files, const std::string& model_path);

enum class TspLayerSource { kProfileFile, kPublished, kHalfOfLayers };

struct DefaultTspLayer {
  int64_t layer = 0;
  TspLayerSource source = TspLayerSource::kHalfOfLayers;
  std::string detail;  // the profile's path, or the published model's name
};

// The TSP layer that is taken where the user names none: of the profile at `profile_path`, or where
// that is empty of the one beside the model if there is one; else the published layer of a model
// recognised by its configuration (arXiv 2502.01068: Llama-3.1-8B, Ministral-8B, Mistral-Nemo-12B);
// else num_layers / 2 - 1, at least 0. Errors: kNotFound (nothing at `profile_path`), kIo, kLimit,
// those of ParseModelProfile.
Result<DefaultTspLayer> FindDefaultTspLayer(FileSystem& files, const std::string& model_path,
                                            const std::string& profile_path,
                                            const ModelConfig& config);

// The same without looking at files.
DefaultTspLayer TspLayerWithoutProfile(const ModelConfig& config);

}  // namespace fastkv

#endif  // FASTKV_MODEL_MODEL_PROFILE_H_
