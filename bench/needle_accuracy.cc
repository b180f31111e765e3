// Accuracy and logits of the arithmetic types on the built-in tasks: the same samples in float32
// and in bfloat16, full context and FastKV. Prints one JSON object.
//
//   needle_accuracy --length 4096 --samples 12 > docs/results/needle-types-<machine>.json
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "engine/session.h"
#include "eval/needle_tasks.h"
#include "io/json.h"

namespace fastkv {
namespace {

constexpr int64_t kMaxAnswerTokens = 64;

struct Options {
  std::string model = "models/needle-16m";
  std::string device = "auto";
  int64_t length = 4096;
  int64_t samples = 12;  // of each task
  uint64_t seed = 1;
};

struct Answer {
  std::vector<float> logits;
  double score = 0;
};

Result<Answer> Ask(const Engine& engine, const Tokenizer& tokenizer, const NeedleSample& sample,
                   const std::string& method) {
  FASTKV_ASSIGN_OR_RETURN(const std::vector<int32_t> ids, EncodeNeedlePrompt(tokenizer, sample));
  Session session(engine);
  FASTKV_RETURN_IF_ERROR(session.Prefill({.ids = ids, .method = {.name = method}}));
  Answer answer;
  FASTKV_ASSIGN_OR_RETURN(answer.logits, session.LastLogits());
  FASTKV_ASSIGN_OR_RETURN(const DecodeReport decode,
                          session.Decode({.max_new_tokens = kMaxAnswerTokens,
                                          .end_ids = EndIdsOf(engine.generation_config())}));
  answer.score = ScoreNeedleOutput(tokenizer.Decode(decode.output_ids, /*skip_special=*/true),
                                   sample.answer_parts);
  return answer;
}

double RelativeError(const std::vector<float>& actual, const std::vector<float>& expected) {
  double difference = 0;
  double largest = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    difference = std::max<double>(difference, std::fabs(actual[i] - expected[i]));
    largest = std::max<double>(largest, std::fabs(expected[i]));
  }
  return difference / largest;
}

Result<Json> Measure(const Options& options) {
  const auto load = [&](ComputeType type) {
    return Engine::Load(
        RealFileSystem(),
        {.model_path = options.model, .device = options.device, .compute_type = type}, nullptr);
  };
  FASTKV_ASSIGN_OR_RETURN(const std::unique_ptr<Engine> f32, load(ComputeType::kF32));
  FASTKV_ASSIGN_OR_RETURN(const std::unique_ptr<Engine> bf16, load(ComputeType::kBF16));
  FASTKV_ASSIGN_OR_RETURN(const Tokenizer* tokenizer, f32->tokenizer());
  const TokenCounter count_tokens = NeedleTokenCounter(*tokenizer);
  Json rows = Json::array();
  for (const std::string method : {"full", "fastkv"}) {
    double f32_sum = 0;
    double bf16_sum = 0;
    double largest_error = 0;
    int64_t num_samples = 0;
    Json tasks;
    for (const std::string task : {"number", "word", "dense", "values", "many"}) {
      double f32_task = 0;
      double bf16_task = 0;
      for (int64_t i = 0; i < options.samples; ++i) {
        FASTKV_ASSIGN_OR_RETURN(
            const NeedleSample sample,
            MakeNeedleSample(task, options.length, options.seed + static_cast<uint64_t>(i),
                             count_tokens));
        FASTKV_ASSIGN_OR_RETURN(const Answer exact, Ask(*f32, *tokenizer, sample, method));
        FASTKV_ASSIGN_OR_RETURN(const Answer rounded, Ask(*bf16, *tokenizer, sample, method));
        f32_task += exact.score;
        bf16_task += rounded.score;
        largest_error = std::max(largest_error, RelativeError(rounded.logits, exact.logits));
        ++num_samples;
      }
      f32_sum += f32_task;
      bf16_sum += bf16_task;
      tasks[task] = {{"f32", f32_task / static_cast<double>(options.samples)},
                     {"bf16", bf16_task / static_cast<double>(options.samples)}};
      std::cerr << method << " " << task << " done\n";
    }
    rows.push_back({{"method", method},
                    {"samples", num_samples},
                    {"f32_accuracy", f32_sum / static_cast<double>(num_samples)},
                    {"bf16_accuracy", bf16_sum / static_cast<double>(num_samples)},
                    {"largest_relative_logit_error", largest_error},
                    {"tasks", tasks}});
  }
  Json report;
  report["model"] = options.model;
  report["length"] = options.length;
  report["seed"] = options.seed;
  report["f32_backend"] = f32->backend().info().description;
  report["bf16_backend"] = bf16->backend().info().description;
  report["rows"] = rows;
  return report;
}

}  // namespace
}  // namespace fastkv

int main(int argc, char** argv) {
  CLI::App app("Needle accuracy of float32 and bfloat16 arithmetic, side by side.");
  fastkv::Options options;
  app.add_option("--model", options.model, "Model folder")->capture_default_str();
  app.add_option("--device", options.device, "auto, cpu, cuda")->capture_default_str();
  app.add_option("--length", options.length, "Prompt tokens")->capture_default_str();
  app.add_option("--samples", options.samples, "Samples of each task")->capture_default_str();
  app.add_option("--seed", options.seed, "Seed of the first sample")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  const fastkv::Result<fastkv::Json> report = fastkv::Measure(options);
  if (!report.ok()) {
    std::cerr << "needle_accuracy: " << report.status().message() << '\n';
    return fastkv::ExitStatusFor(report.status());
  }
  std::cout << report->dump(1) << '\n';
  return 0;
}
