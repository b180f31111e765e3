// Calibration results as JSON: the profile that later runs read, and what --json prints.
#ifndef FASTKV_ENGINE_CALIBRATION_PROFILE_H_
#define FASTKV_ENGINE_CALIBRATION_PROFILE_H_

#include <span>
#include <string>

#include "engine/calibration.h"
#include "io/json.h"
#include "model/model_config.h"

namespace fastkv {

// Names the prompts with their continuations, in order: sixteen hexadecimal digits.
std::string PromptsFingerprint(std::span<const CalibrationPrompt> prompts);

// What ParseModelProfile reads, and beside it everything needed to make it again: the curve, the
// settings, and which prompts.
Json CalibrationProfile(const Calibration& calibration, const CalibrationOptions& options,
                        std::span<const CalibrationPrompt> prompts, const ModelConfig& config);

}  // namespace fastkv

#endif  // FASTKV_ENGINE_CALIBRATION_PROFILE_H_
