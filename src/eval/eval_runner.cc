#include "eval/eval_runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "base/check.h"
#include "eval/eval_record.h"
#include "eval/eval_report.h"
#include "eval/result_log.h"
#include "eval/timing_log.h"
#include "eval/valid_utf8.h"
#include "io/content_hash.h"
#include "io/quoted.h"

namespace fastkv {
namespace {

// The length by which the time left is told where the data decides the real one.
constexpr int64_t kUnknownLength = 8192;

bool EndsTheRun(const Status& status) {
  return status.code() == StatusCode::kCancelled || status.code() == StatusCode::kDevice ||
         status.code() == StatusCode::kIo;
}

std::string HashOfIds(const std::vector<int32_t>& ids) {
  return HashText(ContentHash(std::as_bytes(std::span(ids))));
}

class Runner {
 public:
  Runner(FileSystem& files, const std::string& folder, const EvalJob& job, PromptRunner& runner)
      : files_(files),
        folder_(folder),
        job_(job),
        runner_(runner),
        identity_(job.manifest.IdentityHash()) {
    const std::span<const SampleKey> keys = job.suite->keys();
    for (size_t i = 0; i < keys.size(); ++i) {
      const auto sample = static_cast<int64_t>(i);
      if (sample % job.manifest.shard.count == job.manifest.shard.index) samples_.push_back(sample);
    }
    total_results_ = static_cast<int64_t>(samples_.size() * job.runs.size());
  }

  Result<Json> Run() {
    FASTKV_RETURN_IF_ERROR(files_.CreateDirectory(folder_));
    FASTKV_ASSIGN_OR_RETURN(TimingLog timings, TimingLog::Open(files_, folder_));
    FASTKV_RETURN_IF_ERROR(ClaimFolder());
    FASTKV_ASSIGN_OR_RETURN(ResultLog log, ResultLog::Open(files_, JoinPath(folder_, kResultFile)));
    FASTKV_RETURN_IF_ERROR(CheckResults(log.records()));
    NoteResume(log);
    for (size_t i = NextSample(log); i < samples_.size(); ++i) remaining_cost_ += CostOf(i, log);
    for (size_t i = NextSample(log); i < samples_.size(); i = NextSample(log)) {
      FASTKV_RETURN_IF_ERROR(RunSample(i, log, timings));
    }
    return WriteEvalReports(files_, folder_, job_.manifest, log.records());
  }

 private:
  // The folder belongs to this evaluation, or to none yet.
  Status ClaimFolder() {
    FASTKV_ASSIGN_OR_RETURN(const bool exists, files_.Exists(JoinPath(folder_, "manifest.json")));
    if (exists) {
      FASTKV_ASSIGN_OR_RETURN(const EvalManifest there, ReadManifest(files_, folder_));
      return CheckSameEvaluation(folder_, there, job_.manifest, /*ignore_shards=*/false);
    }
    FASTKV_ASSIGN_OR_RETURN(const bool has_results, files_.Exists(JoinPath(folder_, kResultFile)));
    if (has_results) {
      return InvalidArgumentError(Quoted(folder_) +
                                  " holds results without a manifest; give another --output");
    }
    return WriteManifest(files_, folder_, job_.manifest);
  }

  // Result number `i` belongs to this sample and run, as the order is fixed.
  size_t SampleOfResult(size_t i) const { return i / job_.runs.size(); }
  size_t RunOfResult(size_t i) const { return i % job_.runs.size(); }
  size_t NextSample(const ResultLog& log) const { return SampleOfResult(log.records().size()); }

  Status CheckResults(const std::vector<EvalRecord>& records) const {
    for (size_t i = 0; i < records.size(); ++i) {
      const bool is_expected =
          SampleOfResult(i) < samples_.size() && records[i].sample == samples_[SampleOfResult(i)] &&
          records[i].run == job_.runs[RunOfResult(i)].label && records[i].identity == identity_;
      if (is_expected) continue;
      return FormatError(
          fmt::format("{}: line {} is not the result that belongs there; delete it "
                      "and what follows to run that again",
                      JoinPath(folder_, kResultFile), i + 1));
    }
    return OkStatus();
  }

  void NoteResume(const ResultLog& log) const {
    if (!job_.on_note) return;
    if (log.had_torn_end()) job_.on_note("the last result was cut off and is run again");
    if (!log.records().empty() && static_cast<int64_t>(log.records().size()) < total_results_) {
      job_.on_note(
          fmt::format("going on after {} of {} results", log.records().size(), total_results_));
    }
  }

  // The runs of sample number `i` whose results are there already.
  int64_t NumDone(size_t i, const ResultLog& log) const {
    const size_t num_done = log.records().size();
    return SampleOfResult(num_done) == i ? static_cast<int64_t>(RunOfResult(num_done)) : 0;
  }

  const SampleKey& KeyOf(size_t i) const {
    return job_.suite->keys()[static_cast<size_t>(samples_[i])];
  }

  // The same for all samples of a length, of which there are many.
  double CostOf(size_t i, const ResultLog& log) {
    const int64_t length = KeyOf(i).length > 0 ? KeyOf(i).length : kUnknownLength;
    const int64_t num_done = NumDone(i, log);
    const auto [cost, is_new] = costs_.try_emplace({length, num_done}, 0);
    if (is_new) cost->second = runner_.Cost(length, job_.runs, num_done);
    return cost->second;
  }

  void Show(const ResultLog& log, const SampleKey& key, double cost_in_sample) const {
    if (!job_.on_progress) return;
    const double done = done_cost_ + cost_in_sample;
    job_.on_progress({.done_results = static_cast<int64_t>(log.records().size()),
                      .total_results = total_results_,
                      .share = remaining_cost_ > 0 ? done / remaining_cost_ : 1,
                      .task = key.task});
  }

  Status RunSample(size_t i, ResultLog& log, TimingLog& timings) {
    if (job_.cancel != nullptr && job_.cancel->cancelled()) return Interrupted(log);
    const SampleKey& key = KeyOf(i);
    const int64_t num_done = NumDone(i, log);
    const std::span<const EvalRun> runs =
        std::span(job_.runs).subspan(static_cast<size_t>(num_done));
    const double cost = CostOf(i, log);
    Show(log, key, 0);
    const Result<EvalSample> sample = job_.suite->Make(key);
    std::vector<Result<PromptAnswer>> answers;
    if (sample.ok()) {
      answers = runner_.Answer(*sample, job_.runs, num_done,
                               [&](double share) { Show(log, key, share * cost); });
    } else {
      answers.assign(runs.size(), sample.status());
    }
    FASTKV_CHECK_EQ(answers.size(), runs.size());
    for (size_t r = 0; r < runs.size(); ++r) {
      const Status& status = answers[r].status();
      if (status.code() == StatusCode::kCancelled) return Interrupted(log);
      if (EndsTheRun(status)) return status;
      EvalRecord record = MakeRecord(samples_[i], key, runs[r]);
      if (sample.ok()) Describe(*sample, record);
      if (answers[r].ok()) {
        FASTKV_RETURN_IF_ERROR(TakeAnswer(*answers[r], record));
        FASTKV_RETURN_IF_ERROR(timings.Append(TimingOf(*answers[r], record)));
      } else {
        record.error = status.message();
      }
      FASTKV_RETURN_IF_ERROR(log.Append(std::move(record)));
    }
    done_cost_ += cost;
    Show(log, key, 0);
    return OkStatus();
  }

  Status Interrupted(const ResultLog& log) const {
    return CancelledError(
        fmt::format("interrupted; {} of {} results are kept in {}, the same "
                    "command goes on from there",
                    log.records().size(), total_results_, Quoted(folder_)));
  }

  EvalRecord MakeRecord(int64_t sample, const SampleKey& key, const EvalRun& run) const {
    EvalRecord record;
    record.sample = sample;
    record.key = key;
    record.run = run.label;
    record.suite = job_.entry->name;
    record.profile = job_.suite->profile();
    record.identity = identity_;
    return record;
  }

  static void Describe(const EvalSample& sample, EvalRecord& record) {
    record.expected = sample.expected;
    record.question = ValidUtf8(sample.question);
    record.excerpt = ValidUtf8(sample.excerpt);
    record.prompt_tokens = static_cast<int64_t>(sample.ids.size());
    record.untruncated_tokens = sample.untruncated_tokens;
    record.prompt_hash = HashOfIds(sample.ids);
  }

  Status TakeAnswer(const PromptAnswer& answer, EvalRecord& record) const {
    record.output = ValidUtf8(answer.output);
    record.output_ids = answer.output_ids;
    record.finish = answer.finish;
    record.kv_bytes = answer.kv_bytes;
    record.full_kv_bytes = answer.full_kv_bytes;
    record.prefill_flops = answer.prefill_flops;
    record.full_prefill_flops = answer.full_prefill_flops;
    FASTKV_ASSIGN_OR_RETURN(record.score, job_.entry->score({.task = record.key.task,
                                                             .profile = record.profile,
                                                             .output = record.output,
                                                             .expected = record.expected,
                                                             .segmenter = job_.segmenter}));
    return OkStatus();
  }

  static EvalTiming TimingOf(const PromptAnswer& answer, const EvalRecord& record) {
    return {.sample = record.sample,
            .run = record.run,
            .length = record.key.length,
            .prefill_ms = answer.prefill_ms,
            .runs_in_prefill = answer.runs_in_prefill,
            .decode_ms_per_token = answer.decode_ms_per_token};
  }

  FileSystem& files_;
  const std::string& folder_;
  const EvalJob& job_;
  PromptRunner& runner_;
  const std::string identity_;
  std::vector<int64_t> samples_;  // of this shard
  int64_t total_results_ = 0;
  double remaining_cost_ = 0;  // when the run began
  double done_cost_ = 0;
  std::map<std::pair<int64_t, int64_t>, double> costs_;  // of (length, runs that are done)
};

}  // namespace

Result<Json> RunEvaluation(FileSystem& files, const std::string& folder, const EvalJob& job,
                           PromptRunner& runner) {
  FASTKV_CHECK(!job.runs.empty());
  return Runner(files, folder, job, runner).Run();
}

Result<Json> RescoreEvaluation(FileSystem& files, const std::string& folder,
                               const JiebaSegmenter* segmenter) {
  FASTKV_ASSIGN_OR_RETURN(const EvalManifest manifest, ReadManifest(files, folder));
  FASTKV_ASSIGN_OR_RETURN(const SuiteEntry* entry,
                          FindSuite(TextField(manifest.identity, "suite")));
  const std::string path = JoinPath(folder, kResultFile);
  FASTKV_ASSIGN_OR_RETURN(const TimingLog guard, TimingLog::Open(files, folder));
  FASTKV_ASSIGN_OR_RETURN(ResultLines lines, ReadResultLines(files, path));
  std::string content;
  for (EvalRecord& record : lines.records) {
    if (record.error.empty()) {
      FASTKV_ASSIGN_OR_RETURN(record.score, entry->score({.task = record.key.task,
                                                          .profile = record.profile,
                                                          .output = record.output,
                                                          .expected = record.expected,
                                                          .segmenter = segmenter}));
    }
    content += RecordLine(record);
  }
  FASTKV_RETURN_IF_ERROR(files.WriteFile(path, content));
  return WriteEvalReports(files, folder, manifest, lines.records);
}

}  // namespace fastkv
