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

BenchmarkSample SampleOf(const std::string& task, BenchmarkProfile profile,
                         std::vector<std::string> outputs) {
  BenchmarkSample sample;
  const bool is_official = profile == BenchmarkProfile::kOfficial;
  sample.max_new_tokens = is_official ? *RulerTokensToGenerate(task) : kFastkvNewTokens;
  sample.min_new_tokens = is_official ? 0 : 1;
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

  int64_t num_samples() const override { return file_.num_lines(); }

  Result<BenchmarkSample> Sample(int64_t index) const override {
    FASTKV_ASSIGN_OR_RETURN(const Json record, file_.Line(index));
    const std::string where = file_.path() + " line " + std::to_string(file_.LineNumber(index));
    FASTKV_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::Of(record, where));
    FASTKV_ASSIGN_OR_RETURN(std::vector<std::string> outputs, StringList(fields, "outputs"));
    BenchmarkSample sample = SampleOf(task_, profile_, std::move(outputs));
    sample.line_number = file_.LineNumber(index);
    FASTKV_ASSIGN_OR_RETURN(sample.prompt, fields.String("input"));
    FASTKV_ASSIGN_OR_RETURN(sample.answer_prefix, fields.StringOr("answer_prefix", ""));
    return sample;
  }

 private:
  std::string task_;
  BenchmarkProfile profile_;
  BenchmarkFile file_;
};

class GeneratedRulerTask final : public BenchmarkTask {
 public:
  GeneratedRulerTask(std::string task, std::vector<RulerSample> samples, BenchmarkProfile profile)
      : task_(std::move(task)), samples_(std::move(samples)), profile_(profile) {}

  int64_t num_samples() const override { return static_cast<int64_t>(samples_.size()); }

  Result<BenchmarkSample> Sample(int64_t index) const override {
    const RulerSample& made = samples_[static_cast<size_t>(index)];
    BenchmarkSample sample = SampleOf(task_, profile_, made.outputs);
    sample.line_number = index + 1;
    sample.prompt = made.input;
    sample.answer_prefix = made.answer_prefix;
    return sample;
  }

 private:
  std::string task_;
  std::vector<RulerSample> samples_;
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

Result<std::unique_ptr<BenchmarkTask>> MakeRulerTask(const std::string& task,
                                                     std::vector<RulerSample> samples,
                                                     BenchmarkProfile profile) {
  FASTKV_RETURN_IF_ERROR(CheckTask(task, profile));
  return std::unique_ptr<BenchmarkTask>(
      std::make_unique<GeneratedRulerTask>(task, std::move(samples), profile));
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
