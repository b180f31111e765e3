#include "engine/calibration.h"

#include <algorithm>
#include <deque>
#include <string>
#include <utility>

#include "base/memory_guard.h"
#include "engine/prompt_calibration.h"

namespace fastkv {
namespace {

Result<Calibration> CalibrateUnguarded(const Engine& engine,
                                       std::span<const CalibrationPrompt> prompts,
                                       const CalibrationOptions& options) {
  if (prompts.empty()) {
    return InvalidArgumentError("no prompt to calibrate with; give at least one");
  }
  FASTKV_ASSIGN_OR_RETURN(const CandidateLayers candidates,
                          CandidatesOf(options, engine.config().num_layers));
  Calibration calibration;
  CalibrationProgress progress;
  progress.num_prompts = std::ssize(prompts);
  std::deque<PromptCalibration> runs;
  for (const CalibrationPrompt& prompt : prompts) {
    Result<PromptCalibration> run = PromptCalibration::Plan(engine, prompt, options, candidates);
    if (!run.ok()) {
      return run.status().WithContext("prompt " + std::to_string(runs.size() + 1));
    }
    calibration.prompt_tokens.push_back(run->num_prompt_tokens());
    calibration.propagated_tokens.push_back(run->num_propagated());
    calibration.compared_positions += run->num_positions();
    progress.prompt_tokens += run->num_prompt_tokens();
    progress.total_flops += run->TotalFlops();
    runs.push_back(std::move(run).value());
  }
  std::vector<std::vector<CutEffect>> effects;
  while (!runs.empty()) {
    FASTKV_ASSIGN_OR_RETURN(std::vector<CutEffect> of_prompt, runs.front().Run([&](double flops) {
      progress.done_flops += flops;
      if (options.on_progress) options.on_progress(progress);
    }));
    effects.push_back(std::move(of_prompt));
    ++progress.prompt;
    runs.pop_front();  // with its memory
  }
  FASTKV_RETURN_IF_ERROR(engine.CheckWeightsIntact());
  calibration.curve = SummarizeCuts(candidates.first, effects);
  calibration.choice =
      ChooseTspLayer(calibration.curve, options.threshold, engine.config().num_layers);
  return calibration;
}

}  // namespace

Result<CandidateLayers> CandidatesOf(const CalibrationOptions& options, int64_t num_layers) {
  if (num_layers < 2) {
    return UnsupportedError("the model has one layer; there is none to cut behind");
  }
  CandidateLayers candidates;
  candidates.first = options.first_layer.value_or(num_layers / 4);
  candidates.last = options.last_layer.value_or(std::min(3 * num_layers / 4, num_layers - 2));
  if (candidates.first < 0 || candidates.last > num_layers - 2 ||
      candidates.first > candidates.last) {
    return InvalidArgumentError("--layers is " + std::to_string(candidates.first) + "-" +
                                std::to_string(candidates.last) + "; this model has " +
                                std::to_string(num_layers) + " layers, give a range in 0-" +
                                std::to_string(num_layers - 2));
  }
  return candidates;
}

Result<Calibration> Calibrate(const Engine& engine, std::span<const CalibrationPrompt> prompts,
                              const CalibrationOptions& options) {
  return WithMemoryErrors("calibrating",
                          [&] { return CalibrateUnguarded(engine, prompts, options); });
}

}  // namespace fastkv
