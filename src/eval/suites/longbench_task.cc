#include "eval/suites/longbench_task.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/limits.h"
#include "eval/scorers/longbench_scores.h"
#include "eval/suites/benchmark_file.h"
#include "eval/suites/python_format.h"
#include "io/content_hash.h"
#include "io/quoted.h"

namespace fastkv {
namespace {

constexpr std::array<std::string_view, 21> kDatasets = {"narrativeqa",
                                                        "qasper",
                                                        "multifieldqa_en",
                                                        "multifieldqa_zh",
                                                        "hotpotqa",
                                                        "2wikimqa",
                                                        "musique",
                                                        "dureader",
                                                        "gov_report",
                                                        "qmsum",
                                                        "multi_news",
                                                        "vcsum",
                                                        "trec",
                                                        "triviaqa",
                                                        "samsum",
                                                        "lsht",
                                                        "passage_count",
                                                        "passage_retrieval_en",
                                                        "passage_retrieval_zh",
                                                        "lcc",
                                                        "repobench-p"};

// Few-shot and code sets are texts to be continued.
constexpr std::array<std::string_view, 6> kWithoutChat = {"trec", "triviaqa", "samsum",
                                                          "lsht", "lcc",      "repobench-p"};

// The first of `candidates`, all below `folder`, that is there.
Result<std::string> FindFile(FileSystem& files, const std::string& folder,
                             std::initializer_list<std::string> candidates) {
  std::string tried;
  for (const std::string& candidate : candidates) {
    const std::string path = JoinPath(folder, candidate);
    FASTKV_ASSIGN_OR_RETURN(const bool exists, files.Exists(path));
    if (exists) return path;
    tried += (tried.empty() ? "" : ", ") + candidate;
  }
  return NotFoundError("expected one of " + tried + " in " + folder +
                       ", found none; get the benchmark's repository and data");
}

Result<Json> ReadConfig(FileSystem& files, const std::string& folder, const std::string& name) {
  FASTKV_ASSIGN_OR_RETURN(
      const std::string path,
      FindFile(files, folder, {name, "config/" + name, "LongBench/config/" + name}));
  return ReadJsonFile(files, path, limits::kMaxConfigBytes);
}

class LongBenchTask final : public BenchmarkTask {
 public:
  struct Config {
    std::string dataset;
    std::string prompt_template;
    int64_t max_new_tokens = 0;
    BenchmarkProfile profile = BenchmarkProfile::kOfficial;
  };

  LongBenchTask(Config config, BenchmarkFile file)
      : config_(std::move(config)), file_(std::move(file)) {}

  Json Settings() const override {
    return {{"file_hash", file_.Hash()},
            {"prompt_hash", HashText(ContentHash(config_.prompt_template))},
            {"max_new_tokens", config_.max_new_tokens}};
  }
  int64_t num_samples() const override { return file_.num_lines(); }
  int64_t max_new_tokens() const override { return config_.max_new_tokens; }

  Result<BenchmarkSample> Sample(int64_t index) const override {
    FASTKV_ASSIGN_OR_RETURN(const Json record, file_.Line(index));
    const std::string where = file_.path() + " line " + std::to_string(file_.LineNumber(index));
    FASTKV_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::Of(record, where));
    FormatFields prompt_fields;
    FASTKV_ASSIGN_OR_RETURN(prompt_fields["context"], fields.String("context"));
    FASTKV_ASSIGN_OR_RETURN(prompt_fields["input"], fields.StringOr("input", ""));
    BenchmarkSample sample;
    sample.line_number = file_.LineNumber(index);
    FASTKV_ASSIGN_OR_RETURN(sample.prompt, FormatTemplate(config_.prompt_template, prompt_fields));
    FASTKV_ASSIGN_OR_RETURN(sample.question_bytes,
                            BytesBehindField(config_.prompt_template, "context", prompt_fields));
    const std::string_view base = BaseName();
    sample.use_chat =
        std::find(kWithoutChat.begin(), kWithoutChat.end(), base) == kWithoutChat.end();
    sample.max_new_tokens = config_.max_new_tokens;
    const bool is_official = config_.profile == BenchmarkProfile::kOfficial;
    sample.stop_at_newline = is_official && base == "samsum";
    sample.needs_a_token = !is_official || base == "samsum";
    sample.question = prompt_fields["input"];
    sample.score.suite = "longbench";
    sample.score.task = config_.dataset;
    sample.score.profile = ProfileName(config_.profile);
    FASTKV_ASSIGN_OR_RETURN(sample.score.answers, StringList(fields, "answers"));
    if (fields.Has("all_classes")) {
      FASTKV_ASSIGN_OR_RETURN(sample.score.all_classes, StringList(fields, "all_classes"));
    }
    return sample;
  }

 private:
  std::string_view BaseName() const {
    std::string_view name = config_.dataset;
    if (name.ends_with("_e")) name.remove_suffix(2);
    return name;
  }

  Config config_;
  BenchmarkFile file_;
};

}  // namespace

std::span<const std::string_view> LongBenchDatasets() { return kDatasets; }

Result<std::unique_ptr<BenchmarkTask>> OpenLongBenchTask(FileSystem& files,
                                                         const std::string& folder,
                                                         const std::string& dataset,
                                                         BenchmarkProfile profile) {
  if (!LongBenchMetricOf(dataset)) {
    return InvalidArgumentError("LongBench has no data set " + Quoted(dataset));
  }
  const std::string base =
      dataset.ends_with("_e") ? dataset.substr(0, dataset.size() - 2) : dataset;
  LongBenchTask::Config config{.dataset = dataset, .profile = profile};
  FASTKV_ASSIGN_OR_RETURN(const Json prompts, ReadConfig(files, folder, "dataset2prompt.json"));
  FASTKV_ASSIGN_OR_RETURN(const JsonFields prompt_fields,
                          JsonFields::Of(prompts, "dataset2prompt.json"));
  FASTKV_ASSIGN_OR_RETURN(config.prompt_template, prompt_fields.String(base));
  FASTKV_ASSIGN_OR_RETURN(const Json lengths, ReadConfig(files, folder, "dataset2maxlen.json"));
  FASTKV_ASSIGN_OR_RETURN(const JsonFields length_fields,
                          JsonFields::Of(lengths, "dataset2maxlen.json"));
  FASTKV_ASSIGN_OR_RETURN(config.max_new_tokens,
                          length_fields.Int(base, 1, limits::kMaxContextTokens));
  FASTKV_ASSIGN_OR_RETURN(
      const std::string path,
      FindFile(files, folder, {dataset + ".jsonl", "data/" + dataset + ".jsonl"}));
  FASTKV_ASSIGN_OR_RETURN(BenchmarkFile file, BenchmarkFile::Open(files, path));
  return std::unique_ptr<BenchmarkTask>(
      std::make_unique<LongBenchTask>(std::move(config), std::move(file)));
}

}  // namespace fastkv
