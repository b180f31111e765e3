// Accuracy and logits of the arithmetic and weight types on the built-in tasks: the same samples in
// float32, in bfloat16 and, on a CPU, with int8 weights; full context and FastKV. Prints one JSON
// object.
//
//   needle_accuracy --length 4096 --samples 13 > docs/results/needle-types-<machine>.json
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
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
  const MethodConfig config{.name = method};
  FASTKV_RETURN_IF_ERROR(session.Prefill({.ids = ids, .method = config}));
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

// A way to compute the same answers. The first one is what the others are compared with.
struct Variant {
  std::string name;
  std::unique_ptr<Engine> engine;
  double score_sum = 0;    // of the method's samples so far
  double task_sum = 0;     // of the task's
  double worst_error = 0;  // of the last prompt token's logits
};

Result<std::vector<Variant>> LoadVariants(const Options& options) {
  const auto load = [&](ComputeType compute_type, WeightType weight_type) {
    return Engine::Load(RealFileSystem(),
                        {.model_path = options.model,
                         .device = options.device,
                         .compute_type = compute_type,
                         .weight_type = weight_type},
                        nullptr);
  };
  std::vector<Variant> variants(2);
  variants[0].name = "f32";
  FASTKV_ASSIGN_OR_RETURN(variants[0].engine, load(ComputeType::kF32, WeightType::kAuto));
  variants[1].name = "bf16";
  FASTKV_ASSIGN_OR_RETURN(variants[1].engine, load(ComputeType::kBF16, WeightType::kAuto));
  Result<std::unique_ptr<Engine>> int8 = load(ComputeType::kF32, WeightType::kInt8);
  if (int8.ok()) {
    variants.push_back({.name = "int8", .engine = std::move(int8).value()});
  } else if (int8.status().code() != StatusCode::kUnsupported) {
    return int8.status();
  }
  return variants;
}

Result<Json> MeasureTask(const Options& options, const Tokenizer& tokenizer,
                         const std::string& method, const std::string& task,
                         std::vector<Variant>& variants) {
  const TokenCounter count_tokens = NeedleTokenCounter(tokenizer);
  for (Variant& variant : variants) variant.task_sum = 0;
  for (int64_t i = 0; i < options.samples; ++i) {
    FASTKV_ASSIGN_OR_RETURN(
        const NeedleSample sample,
        MakeNeedleSample(task, options.length, options.seed + static_cast<uint64_t>(i),
                         count_tokens));
    std::vector<float> exact;
    for (Variant& variant : variants) {
      FASTKV_ASSIGN_OR_RETURN(const Answer answer, Ask(*variant.engine, tokenizer, sample, method));
      variant.task_sum += answer.score;
      variant.score_sum += answer.score;
      if (exact.empty()) exact = answer.logits;
      variant.worst_error = std::max(variant.worst_error, RelativeError(answer.logits, exact));
    }
  }
  Json accuracies;
  for (const Variant& variant : variants) {
    accuracies[variant.name] = variant.task_sum / static_cast<double>(options.samples);
  }
  return accuracies;
}

Result<Json> Measure(const Options& options) {
  FASTKV_ASSIGN_OR_RETURN(std::vector<Variant> variants, LoadVariants(options));
  FASTKV_ASSIGN_OR_RETURN(const Tokenizer* tokenizer, variants[0].engine->tokenizer());
  Json report;
  report["model"] = options.model;
  report["length"] = options.length;
  report["seed"] = options.seed;
  for (const Variant& variant : variants) {
    report[variant.name + "_backend"] = variant.engine->backend().info().description;
  }
  Json rows = Json::array();
  for (const std::string method : {"full", "fastkv"}) {
    for (Variant& variant : variants) variant.score_sum = variant.worst_error = 0;
    Json tasks;
    int64_t num_samples = 0;
    for (const std::string task : {"number", "word", "dense", "values", "many"}) {
      FASTKV_ASSIGN_OR_RETURN(tasks[task],
                              MeasureTask(options, *tokenizer, method, task, variants));
      num_samples += options.samples;
      std::cerr << method << " " << task << " done\n";
    }
    Json row = {{"method", method}, {"samples", num_samples}};
    for (const Variant& variant : variants) {
      row[variant.name + "_accuracy"] = variant.score_sum / static_cast<double>(num_samples);
    }
    for (const Variant& variant : variants) {
      if (&variant == variants.data()) continue;
      row[variant.name + "_largest_relative_logit_error"] = variant.worst_error;
    }
    row["tasks"] = tasks;
    rows.push_back(row);
  }
  report["rows"] = rows;
  return report;
}

}  // namespace
}  // namespace fastkv

int main(int argc, char** argv) {
  CLI::App app(
      "Needle accuracy of float32 and bfloat16 arithmetic and of int8 weights, side by side.");
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
