#include "engine/calibration_profile.h"

#include <cstddef>

#include "base/fingerprint.h"
#include "model/model_profile.h"

namespace fastkv {
namespace {

Json SpreadJson(const PromptSpread& spread) {
  Json json;
  json["mean"] = spread.mean;
  json["nine_in_ten"] = spread.nine_in_ten;
  return json;
}

Json LayerJson(const LayerSummary& layer) {
  Json json;
  json["layer"] = layer.layer;
  json["prefill_share"] = layer.prefill_share;
  json["logits_distance"] = SpreadJson(layer.logits_distance);
  json["hidden_distance"] = SpreadJson(layer.hidden_distance);
  json["kl_divergence"] = SpreadJson(layer.kl_divergence);
  json["argmax_agreement"] = SpreadJson(layer.argmax_agreement);
  json["top10_overlap"] = SpreadJson(layer.top10_overlap);
  json["overlap_with_next"] =
      layer.overlap_with_next ? SpreadJson(*layer.overlap_with_next) : Json(nullptr);
  return json;
}

Json SettingsJson(const CalibrationOptions& options) {
  Json json;
  if (options.tsp.tokens) {
    json["tsp_tokens"] = *options.tsp.tokens;
  } else {
    json["tsp_rate"] = options.tsp.rate;
  }
  json["window"] = options.window;
  json["kernel"] = options.kernel;
  json["pooling"] = options.pooling == PoolingKind::kMax ? "max" : "avg";
  return json;
}

}  // namespace

std::string PromptsFingerprint(std::span<const CalibrationPrompt> prompts) {
  Fingerprint fingerprint;
  for (const CalibrationPrompt& prompt : prompts) {
    for (const auto* ids : {&prompt.ids, &prompt.continuation}) {
      fingerprint.Add(std::ssize(*ids));
      for (const int32_t id : *ids) fingerprint.Add(int64_t{id});
    }
  }
  return fingerprint.Hex();
}

Json CalibrationProfile(const Calibration& calibration, const CalibrationOptions& options,
                        std::span<const CalibrationPrompt> prompts, const ModelConfig& config) {
  Json json;
  json["format"] = kModelProfileFormat;
  json["version"] = kModelProfileVersion;
  json["model"] = ModelIdentity(config);
  json["tsp_layer"] = calibration.choice.layer;
  json["threshold"] = calibration.choice.threshold;
  json["fallback"] = calibration.choice.is_fallback;
  json["settings"] = SettingsJson(options);
  json["prompts"]["fingerprint"] = PromptsFingerprint(prompts);
  json["prompts"]["tokens"] = calibration.prompt_tokens;
  json["prompts"]["propagated"] = calibration.propagated_tokens;
  json["prompts"]["compared_positions"] = calibration.compared_positions;
  json["curve"] = Json::array();
  for (const LayerSummary& layer : calibration.curve) json["curve"].push_back(LayerJson(layer));
  return json;
}

}  // namespace fastkv
