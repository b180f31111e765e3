#include "fastkv/calibrate.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <utility>

#include "engine/calibration.h"
#include "engine/calibration_profile.h"
#include "eval/calibration_page.h"
#include "eval/human_format.h"
#include "eval/needle_tasks.h"
#include "fastkv/calibration_prompts.h"
#include "fastkv/interrupt.h"
#include "fastkv/progress_bar.h"
#include "io/json.h"
#include "io/quoted.h"
#include "model/model_profile.h"

namespace fastkv {
namespace {

constexpr int64_t kDefaultLength = 4096;
constexpr int64_t kDefaultSamples = 8;
// Fewer prompts than this say little about a model.
constexpr size_t kFewPrompts = 8;

// "4-12", or "7" for a single layer.
Status ParseLayers(const std::string& text, CalibrationOptions& options) {
  const auto wrong = [&] {
    return InvalidArgumentError("--layers: expected a layer or a range such as 4-12, got " +
                                Quoted(text));
  };
  const char* const end = text.data() + text.size();
  int64_t first = 0;
  const auto first_end = std::from_chars(text.data(), end, first);
  if (first_end.ec != std::errc() || first < 0) return wrong();
  int64_t last = first;
  if (first_end.ptr != end) {
    if (*first_end.ptr != '-') return wrong();
    const auto last_end = std::from_chars(first_end.ptr + 1, end, last);
    if (last_end.ec != std::errc() || last_end.ptr != end) return wrong();
  }
  options.first_layer = first;
  options.last_layer = last;
  return OkStatus();
}

Result<CalibrationOptions> CalibrationOptionsOf(const CalibrateOptions& options) {
  if (options.tsp_rate && options.tsp_tokens) {
    return InvalidArgumentError("--tsp-rate and --tsp-tokens say the same thing; give one of them");
  }
  CalibrationOptions calibration;
  if (!options.layers.empty()) FASTKV_RETURN_IF_ERROR(ParseLayers(options.layers, calibration));
  if (options.tsp_rate) calibration.tsp = Budget::Rate(*options.tsp_rate);
  if (options.tsp_tokens) calibration.tsp = Budget::Tokens(*options.tsp_tokens);
  calibration.window = options.window;
  calibration.kernel = options.kernel;
  calibration.pooling = options.pooling == "max" ? PoolingKind::kMax : PoolingKind::kAverage;
  calibration.threshold = options.threshold;
  return calibration;
}

Result<std::vector<CalibrationPrompt>> PromptsOf(const CalibrateOptions& options,
                                                 const Engine& engine) {
  FASTKV_ASSIGN_OR_RETURN(const Tokenizer* tokenizer, engine.tokenizer());
  if (options.prompt_files.empty()) {
    const int64_t longest = engine.config().max_position_embeddings - options.continuation_tokens;
    return BuiltInCalibrationPrompts(
        *tokenizer, {.num_prompts = options.num_samples.value_or(kDefaultSamples),
                     .prompt_tokens = options.length.value_or(std::min(kDefaultLength, longest)),
                     .continuation_tokens = options.continuation_tokens,
                     .seed = options.seed});
  }
  if (options.length) {
    return InvalidArgumentError(
        "--length is for the built-in prompts; prompts from --prompts are taken whole");
  }
  FASTKV_ASSIGN_OR_RETURN(std::vector<CalibrationPrompt> prompts,
                          ReadCalibrationPrompts(RealFileSystem(), options.prompt_files, *tokenizer,
                                                 options.continuation_tokens));
  const auto count = static_cast<size_t>(options.num_samples.value_or(INT64_MAX));
  if (prompts.size() > count) prompts.resize(count);
  return prompts;
}

std::string SettingsText(const CalibrationOptions& options) {
  const std::string budget = options.tsp.tokens
                                 ? HumanCount(*options.tsp.tokens) + " tokens go on"
                                 : HumanPercent(options.tsp.rate) + " of the tokens go on";
  return fmt::format("{}, window {}, {} pooling over {}", budget, options.window,
                     options.pooling == PoolingKind::kMax ? "max" : "average", options.kernel);
}

std::string PromptsText(const CalibrateOptions& options, const Calibration& calibration) {
  const auto& tokens = calibration.prompt_tokens;
  const auto [least, most] = std::minmax_element(tokens.begin(), tokens.end());
  const std::string length =
      *least == *most ? HumanCount(*most) : HumanCount(*least) + " to " + HumanCount(*most);
  return fmt::format("{}{} prompt{} of {} tokens", tokens.size(),
                     options.prompt_files.empty() ? " built-in" : "", tokens.size() == 1 ? "" : "s",
                     length);
}

std::string CommandOf(const CalibrateOptions& options) {
  const CalibrateOptions defaults;
  std::string command = "fastkv calibrate";
  const auto add = [&](const char* flag, const auto& value) {
    command += fmt::format(" {} {}", flag, value);
  };
  if (!options.model.model.empty()) add("--model", options.model.model);
  for (const std::string& path : options.prompt_files) add("--prompts", path);
  if (options.length) add("--length", *options.length);
  if (options.num_samples) add("--samples", *options.num_samples);
  if (options.continuation_tokens != defaults.continuation_tokens) {
    add("--continuation", options.continuation_tokens);
  }
  if (options.seed != defaults.seed) add("--seed", options.seed);
  if (options.tsp_rate) add("--tsp-rate", *options.tsp_rate);
  if (options.tsp_tokens) add("--tsp-tokens", *options.tsp_tokens);
  if (options.window != defaults.window) add("--window", options.window);
  if (options.kernel != defaults.kernel) add("--kernel", options.kernel);
  if (options.pooling != defaults.pooling) add("--pooling", options.pooling);
  if (!options.layers.empty()) add("--layers", options.layers);
  if (options.threshold) add("--tau", *options.threshold);
  return command;
}

std::string Table(const Calibration& calibration) {
  std::string text =
      "  layer  prefill  distance  9 in 10    hidden        KL  same token  top 10  next layer\n";
  for (const LayerSummary& layer : calibration.curve) {
    const std::string overlap = layer.overlap_with_next
                                    ? fmt::format("{:8.0f} %", 100 * layer.overlap_with_next->mean)
                                    : std::string();
    text += fmt::format(
        "{} {:5}  {:5.0f} %  {:8.4f}  {:7.4f}  {:8.4f}  {:8.4f}  {:8.0f} %  {:4.0f} %  {}\n",
        layer.layer == calibration.choice.layer ? ">" : " ", layer.layer, 100 * layer.prefill_share,
        layer.logits_distance.mean, layer.logits_distance.nine_in_ten, layer.hidden_distance.mean,
        layer.kl_divergence.mean, 100 * layer.argmax_agreement.mean, 100 * layer.top10_overlap.mean,
        overlap);
  }
  return text;
}

std::string ChoiceText(const CalibrateOptions& options, const LayerChoice& choice) {
  const char* const limit = options.threshold ? "as given" : "the knee of the curve";
  if (choice.is_fallback) {
    return fmt::format(
        "no layer tried comes down to a mean distance of {:.4g}; half the layers "
        "less one: layer {}",
        choice.threshold, choice.layer);
  }
  return fmt::format("cut behind layer {}, the first with a mean distance of at most {:.4g} ({})",
                     choice.layer, choice.threshold, limit);
}

// What the files that were asked for could not be written for; the first failure.
Status WriteOutputs(const std::string& profile_path, const std::string& profile,
                    const std::string& page_path, const CalibrationPageData& page) {
  const auto write = [](const std::string& path, const std::string& content, const char* what,
                        const char* instead) {
    if (path.empty()) return OkStatus();
    const Status status = RealFileSystem().WriteFile(path, content);
    if (status.ok()) return status;
    return Status(status.code(), fmt::format("the result stands, but its {} was not written: {}; "
                                             "name another file with {}",
                                             what, status.message(), instead));
  };
  const Status profile_status = write(profile_path, profile, "profile", "--profile");
  const Status page_status =
      write(page_path, page_path.empty() ? "" : RenderCalibrationPage(page), "page", "--page");
  return profile_status.ok() ? page_status : profile_status;
}

}  // namespace

void AddCalibrateOptions(CLI::App& command, CalibrateOptions& options) {
  AddModelFlags(command, options.model);
  // Calibration reads prompts layer by layer and keeps nothing of them.
  command.remove_option(command.get_option("--kv-dtype"));
  command.add_option("--prompts", options.prompt_files,
                     "Text files, one prompt each, or .jsonl files with one object with \"prompt\" "
                     "a line [default: built-in prompts]");
  command.add_option("--length", options.length, "Tokens of a built-in prompt [default: 4096]")
      ->check(CLI::Range(kMinNeedleTokens, int64_t{1} << 20));
  command
      .add_option("--samples", options.num_samples,
                  "Prompts, at most [default: 8 built-in ones, or all given]")
      ->check(CLI::PositiveNumber);
  command
      .add_option(
          "--continuation", options.continuation_tokens,
          "Tokens behind the prompt's end that are compared too: of the answer, or the last "
          "of a given prompt")
      ->capture_default_str()
      ->check(CLI::Range(int64_t{0}, kMaxContinuationTokens));
  command.add_option("-s,--seed", options.seed, "Seed of the built-in prompts")
      ->capture_default_str();
  command.add_option("--tsp-rate", options.tsp_rate,
                     "Share of the tokens that goes on after the TSP layer [default: 0.2]");
  command.add_option("--tsp-tokens", options.tsp_tokens,
                     "Tokens that go on after the TSP layer, instead of a share");
  command.add_option("--window", options.window, "Observation window in tokens")
      ->capture_default_str();
  command.add_option("--kernel", options.kernel, "Pooling width, odd")->capture_default_str();
  command.add_option("--pooling", options.pooling, "Pooling: max or avg")
      ->capture_default_str()
      ->check(CLI::IsMember({"max", "avg"}));
  command.add_option("--layers", options.layers,
                     "Layers to try, such as 4-12 [default: a quarter to three quarters]");
  command
      .add_option("--tau", options.threshold,
                  "Take the first layer with at most this mean distance [default: the knee of the "
                  "curve]")
      ->check(CLI::NonNegativeNumber);
  command.add_flag("--no-profile", options.no_profile, "Write no profile");
  command.add_option("--page", options.page, "Write the curve as a page to this file");
  command.add_flag("--json", options.json, "Print one JSON object");
  command.add_flag("-q,--quiet", options.quiet, "No progress bar");
}

Status RunCalibrate(const CalibrateOptions& options, std::ostream& out) {
  CancelFlag cancel;
  const InterruptGuard interrupt(cancel);
  FASTKV_ASSIGN_OR_RETURN(CalibrationOptions calibration_options, CalibrationOptionsOf(options));
  ModelFlags model = options.model;
  model.ignore_profile = true;
  FASTKV_ASSIGN_OR_RETURN(const std::unique_ptr<Engine> engine, LoadEngine(model, options.quiet));
  FASTKV_ASSIGN_OR_RETURN(const std::vector<CalibrationPrompt> prompts,
                          PromptsOf(options, *engine));
  ProgressBar bar("calibrating", options.quiet);
  calibration_options.cancel = &cancel;
  const double begin_ms = engine->clock().NowMs();
  calibration_options.on_progress = [&](const CalibrationProgress& progress) {
    const double share = progress.done_flops / progress.total_flops;
    const double seconds = (engine->clock().NowMs() - begin_ms) / 1000;
    bar.Show(
        share,
        fmt::format(
            "prompt {}/{}, {} tokens/s", progress.prompt + 1, progress.num_prompts,
            HumanCount(static_cast<int64_t>(share * static_cast<double>(progress.prompt_tokens) /
                                            std::max(seconds, 1e-3)))));
  };
  const Result<Calibration> result = Calibrate(*engine, prompts, calibration_options);
  bar.Clear();
  if (!result.ok()) return result.status();
  const Calibration& calibration = *result;
  const double duration_ms = engine->clock().NowMs() - begin_ms;

  std::string profile_path = options.model.profile;
  if (options.no_profile) {
    profile_path.clear();
  } else if (profile_path.empty()) {
    FASTKV_ASSIGN_OR_RETURN(profile_path, ModelProfilePath(RealFileSystem(), engine->model_path()));
  }
  Json report = CalibrationProfile(calibration, calibration_options, prompts, engine->config());
  const BackendInfo& info = engine->backend().info();
  const CalibrationPageData page{.model = engine->model_name(),
                                 .machine = info.name + ": " + info.description,
                                 .num_layers = engine->config().num_layers,
                                 .settings = SettingsText(calibration_options),
                                 .prompts = PromptsText(options, calibration),
                                 .command = CommandOf(options),
                                 .calibration = calibration};
  const Status written = WriteOutputs(profile_path, DumpJson(report) + "\n", options.page, page);
  if (options.json) {
    report["profile_path"] = profile_path.empty() ? Json(nullptr) : Json(profile_path);
    report["page"] = options.page.empty() ? Json(nullptr) : Json(options.page);
    report["duration_ms"] = duration_ms;
    out << DumpJson(report) << '\n';
    return written;
  }
  out << fmt::format("\n  {}, {}\n  {}\n  {}\n\n", page.model, page.prompts, page.settings,
                     page.machine)
      << Table(calibration) << "\n  " << ChoiceText(options, calibration.choice) << "\n";
  if (prompts.size() < kFewPrompts) {
    out << fmt::format("  {} prompts say little about a model; give {} or more\n", prompts.size(),
                       kFewPrompts);
  }
  if (written.ok() && !profile_path.empty()) {
    out << "  profile: " << profile_path << ", read by every later run of this model\n";
  }
  if (written.ok() && !options.page.empty()) out << "  page: " << options.page << '\n';
  out << "  took " << HumanDuration(duration_ms) << '\n';
  return written;
}

}  // namespace fastkv
