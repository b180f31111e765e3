#include "eval/suites/ruler_files.h"

#include <utility>

#include "eval/suites/benchmark_file.h"
#include "io/json.h"
#include "io/quoted.h"

namespace fastkv {
namespace {

constexpr int64_t kFastkvNewTokens = 64;  // for every task

Status CheckTask(const std::string& task, BenchmarkProfile profile) {
  if (!RulerTokensToGenerate(task)) {
    return InvalidArgumentError("RULER has no task " + Quoted(task));
  }
  if (profile == BenchmarkProfile::kFastkv && task.starts_with("qa_")) {
    return InvalidArgumentError("the profile fastkv has no RULER task " + Quoted(task) +
                                "; take the profile official");
  }
  return OkStatus();
}

int64_t NewTokens(const std::string& task, BenchmarkProfile profile) {
  return profile == BenchmarkProfile::kOfficial ? *RulerTokensToGenerate(task) : kFastkvNewTokens;
}

// The question stands at the end of a prompt.
std::string LastLine(std::string_view prompt) {
  while (prompt.ends_with('\n')) prompt.remove_suffix(1);
  return std::string(prompt.substr(prompt.rfind('\n') + 1));
}

BenchmarkSample SampleOf(const std::string& task, BenchmarkProfile profile,
                         std::vector<std::string> outputs) {
  BenchmarkSample sample;
  sample.max_new_tokens = NewTokens(task, profile);
  sample.needs_a_token = profile == BenchmarkProfile::kFastkv;
  sample.score.suite = "ruler";
  sample.score.task = task;
  sample.score.profile = ProfileName(profile);
  sample.score.answers = std::move(outputs);
  return sample;
}

class RulerFileTask final : public BenchmarkTask {
 public:
  RulerFileTask(std::string task, BenchmarkProfile profile, BenchmarkFile file)
      : task_(std::move(task)), profile_(profile), file_(std::move(file)) {}

  Json Settings() const override { return {{"file_hash", file_.Hash()}}; }
  int64_t num_samples() const override { return file_.num_lines(); }
  int64_t max_new_tokens() const override { return NewTokens(task_, profile_); }

  Result<BenchmarkSample> Sample(int64_t index) const override {
    FASTKV_ASSIGN_OR_RETURN(const Json record, file_.Line(index));
    const std::string where = file_.path() + " line " + std::to_string(file_.LineNumber(index));
    FASTKV_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::Of(record, where));
    FASTKV_ASSIGN_OR_RETURN(std::vector<std::string> outputs, StringList(fields, "outputs"));
    BenchmarkSample sample = SampleOf(task_, profile_, std::move(outputs));
    sample.line_number = file_.LineNumber(index);
    FASTKV_ASSIGN_OR_RETURN(sample.prompt, fields.String("input"));
    FASTKV_ASSIGN_OR_RETURN(sample.answer_prefix, fields.StringOr("answer_prefix", ""));
    sample.question = LastLine(sample.prompt);
    return sample;
  }

 private:
  std::string task_;
  BenchmarkProfile profile_;
  BenchmarkFile file_;
};

class GeneratedRulerTask final : public BenchmarkTask {
 public:
  GeneratedRulerTask(const RulerGeneratorParams& params, RulerGenerator generator,
                     int64_t num_samples, BenchmarkProfile profile)
      : task_(params.task),
        seed_(params.seed),
        length_tokens_(params.length_tokens),
        generator_(std::move(generator)),
        num_samples_(num_samples),
        profile_(profile) {}

  Json Settings() const override { return {{"seed", seed_}, {"length_tokens", length_tokens_}}; }
  int64_t num_samples() const override { return num_samples_; }
  int64_t max_new_tokens() const override { return NewTokens(task_, profile_); }
  // Making a sample can fail only where the length does not suit the tokenizer, and then for all.
  Status Check(int64_t index) const override {
    return index == 0 ? Sample(index).status() : OkStatus();
  }

  Result<BenchmarkSample> Sample(int64_t index) const override {
    FASTKV_ASSIGN_OR_RETURN(RulerSample made, generator_.Sample(index));
    BenchmarkSample sample = SampleOf(task_, profile_, std::move(made.outputs));
    sample.line_number = index + 1;
    sample.prompt = std::move(made.input);
    sample.answer_prefix = std::move(made.answer_prefix);
    sample.question = LastLine(sample.prompt);
    return sample;
  }

 private:
  std::string task_;
  uint64_t seed_;
  int64_t length_tokens_;
  RulerGenerator generator_;
  int64_t num_samples_;
  BenchmarkProfile profile_;
};

}  // namespace

Result<std::unique_ptr<BenchmarkTask>> OpenRulerFile(FileSystem& files, const std::string& folder,
                                                     const std::string& task, int64_t length_tokens,
                                                     BenchmarkProfile profile) {
  FASTKV_RETURN_IF_ERROR(CheckTask(task, profile));
  const std::string length = std::to_string(length_tokens);
  for (const std::string& name :
       {length + "/" + task + ".jsonl", length + "/" + task + "/validation.jsonl",
        task + "/validation.jsonl", task + ".jsonl"}) {
    const std::string path = JoinPath(folder, name);
    FASTKV_ASSIGN_OR_RETURN(const bool exists, files.Exists(path));
    if (!exists) continue;
    FASTKV_ASSIGN_OR_RETURN(BenchmarkFile file, BenchmarkFile::Open(files, path));
    return std::unique_ptr<BenchmarkTask>(
        std::make_unique<RulerFileTask>(task, profile, std::move(file)));
  }
  return NotFoundError("expected " + task + "/validation.jsonl or " + length + "/" + task +
                       ".jsonl in " + folder + ", found neither");
}

Result<std::unique_ptr<BenchmarkTask>> MakeRulerTask(const RulerGeneratorParams& params,
                                                     int64_t num_samples,
                                                     BenchmarkProfile profile) {
  FASTKV_RETURN_IF_ERROR(CheckTask(params.task, profile));
  FASTKV_ASSIGN_OR_RETURN(RulerGenerator generator, RulerGenerator::Create(params));
  return std::unique_ptr<BenchmarkTask>(
      std::make_unique<GeneratedRulerTask>(params, std::move(generator), num_samples, profile));
}

std::string RulerJsonLine(const RulerSample& sample) {
  Json line;
  line["index"] = sample.index;
  line["input"] = sample.input;
  line["outputs"] = sample.outputs;
  line["length"] = sample.length_tokens;
  line["answer_prefix"] = sample.answer_prefix;
  return DumpJson(line) + "\n";
}

}  // namespace fastkv
