#include "eval/eval_runner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>

#include "eval/eval_record.h"
#include "eval/result_log.h"
#include "io/memory_file_system.h"

namespace fastkv {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kFolder = "results";
// Times alone may differ between two runs of one evaluation.
const std::vector<std::string> kComparedFiles = {"manifest.json", "samples.jsonl", "summary.json",
                                                 "summary.csv",   "summary.md",    "report.html"};

// Samples of two tasks; the expected answer is a number.
class FakeSuite final : public Suite {
 public:
  explicit FakeSuite(int64_t num_samples) {
    for (int64_t i = 0; i < num_samples; ++i) {
      keys_.push_back({.task = i % 2 == 0 ? "even" : "odd",
                       .length = 100,
                       .depth = std::nullopt,
                       .index = i / 2});
    }
  }
  std::string_view profile() const override { return "native"; }
  Json Settings() const override { return {{"seed", seed}}; }
  std::span<const SampleKey> keys() const override { return keys_; }
  Result<EvalSample> Make(const SampleKey& key) const override {
    if (key == broken_key) return LimitError("this one cannot be made");
    EvalSample sample;
    const auto id = static_cast<int32_t>(10 * key.index + (key.task == "odd" ? 1 : 0));
    sample.ids = {id, id + 1};
    sample.expected = Json::array({std::to_string(id)});
    sample.question = "Which \"number\"?";
    sample.excerpt = "one\ntwo";
    return sample;
  }

  int64_t seed = 1;
  std::optional<SampleKey> broken_key;

 private:
  std::vector<SampleKey> keys_;
};

// Answers right, but for the run "wrong". Fails as it is told.
class FakeRunner final : public PromptRunner {
 public:
  std::vector<Result<PromptAnswer>> Answer(
      const EvalSample& sample, std::span<const EvalRun> runs, int64_t num_done,
      const std::function<void(double)>& on_progress) override {
    std::vector<Result<PromptAnswer>> answers;
    on_progress(0.5);
    for (const EvalRun& run : runs.subspan(static_cast<size_t>(num_done))) {
      ++num_answers;
      asked[{sample.ids[0], run.label}] += 1;
      if (num_answers == fail_at) {
        answers.push_back(failure);
        continue;
      }
      PromptAnswer answer;
      answer.output = run.label == "wrong" ? "no idea" : std::to_string(sample.ids[0]);
      answer.output_ids = {sample.ids[0]};
      answer.finish = "end_token";
      answer.kv_bytes = run.label == "full" ? 100 : 10;
      answer.full_kv_bytes = 100;
      answer.prefill_flops = 50;
      answer.full_prefill_flops = 100;
      answer.prefill_ms = ++time_ms;  // different in every run
      answers.push_back(answer);
    }
    return answers;
  }
  double Cost(int64_t /*prompt_tokens*/, std::span<const EvalRun> runs,
              int64_t num_done) const override {
    return static_cast<double>(runs.size()) - static_cast<double>(num_done);
  }

  int64_t num_answers = 0;
  int64_t fail_at = -1;
  Status failure = MemoryError("no memory");
  std::map<std::pair<int32_t, std::string>, int> asked;
  static double time_ms;
};
double FakeRunner::time_ms = 0;

Result<double> ScoreFake(const OutputToScore& answer) {
  return answer.output == answer.expected[0].get<std::string>() ? 1.0 : 0.0;
}

const SuiteEntry kFakeEntry{"needle-tasks", "a stand-in", nullptr, ScoreFake};

class EvalRunnerTest : public ::testing::Test {
 protected:
  EvalRunnerTest() {
    for (const char* label : {"full", "fastkv 10 %", "wrong"}) {
      runs_.push_back({.label = label, .method = {.name = label}, .has_budget = false});
    }
  }

  EvalJob Job(EvalShard shard = {}) {
    EvalJob job{.entry = &kFakeEntry, .suite = &suite_, .runs = runs_};
    job.manifest.identity = MakeIdentity({.suite = "needle-tasks",
                                          .model = "needle",
                                          .model_hash = "abc",
                                          .build = "1",
                                          .arithmetic = "f32"},
                                         suite_, runs_);
    job.manifest.machine = {{"cpu", "a"}};
    job.manifest.shard = shard;
    job.on_note = [&](const std::string& note) { notes_.push_back(note); };
    return job;
  }

  Result<Json> Run(const std::string& folder = kFolder, EvalShard shard = {}) {
    return RunEvaluation(files_, folder, Job(shard), runner_);
  }

  std::string Content(const std::string& name, const std::string& folder = kFolder) {
    Result<std::string> content = files_.ReadFile(folder + "/" + name, 1 << 20);
    EXPECT_TRUE(content.ok()) << content.status().message();
    return content.ok() ? *content : "";
  }

  std::map<std::string, std::string> Compared(const std::string& folder = kFolder) {
    std::map<std::string, std::string> contents;
    for (const std::string& name : kComparedFiles) contents[name] = Content(name, folder);
    return contents;
  }

  MemoryFileSystem files_;
  FakeSuite suite_{5};
  FakeRunner runner_;
  std::vector<EvalRun> runs_;
  std::vector<std::string> notes_;
};

TEST_F(EvalRunnerTest, WritesALineForEachSampleAndRunInOrder) {
  const Result<Json> summary = Run();
  ASSERT_TRUE(summary.ok()) << summary.status().message();
  const auto lines = ReadResultLines(files_, "results/samples.jsonl");
  ASSERT_TRUE(lines.ok());
  ASSERT_EQ(lines->records.size(), 15u);
  for (size_t i = 0; i < 15; ++i) {
    const EvalRecord& record = lines->records[i];
    EXPECT_EQ(record.sample, static_cast<int64_t>(i / 3));
    EXPECT_EQ(record.run, runs_[i % 3].label);
    EXPECT_EQ(record.key, suite_.keys()[i / 3]);
    EXPECT_EQ(record.score, i % 3 == 2 ? 0.0 : 1.0);
    EXPECT_EQ(record.identity, Job().manifest.IdentityHash());
  }
  EXPECT_EQ((*summary)["runs"][0]["average"]["mean"], 1.0);
  EXPECT_EQ((*summary)["runs"][2]["average"]["mean"], 0.0);
  EXPECT_EQ((*summary)["runs"][2]["difference_from_full"]["mean"], -1.0);
  EXPECT_THAT(Content("timings.csv"), HasSubstr("full,100,5,"));
}

TEST_F(EvalRunnerTest, ASecondCallRunsNothing) {
  ASSERT_TRUE(Run().ok());
  const auto first = Compared();
  const int64_t num_answers = runner_.num_answers;
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(runner_.num_answers, num_answers);
  EXPECT_EQ(Compared(), first);
  EXPECT_THAT(notes_, IsEmpty());
}

// Where a file of lines may be cut: at every byte of its second line, and around the ends and in
// the middle of the others, which hold the same fields.
std::vector<size_t> Cuts(const std::string& lines) {
  std::vector<size_t> cuts;
  size_t number = 0;
  for (size_t begin = 0; begin < lines.size(); ++number) {
    const size_t end = lines.find('\n', begin) + 1;
    if (number == 1) {
      for (size_t at = begin; at < end; ++at) cuts.push_back(at);
    } else {
      cuts.insert(cuts.end(), {begin, begin + 1, (begin + end) / 2, end - 2, end - 1});
    }
    begin = end;
  }
  cuts.push_back(lines.size());
  return cuts;
}

TEST_F(EvalRunnerTest, GoesOnFromEveryByte) {
  suite_ = FakeSuite(2);
  runs_.erase(runs_.begin() + 1);
  ASSERT_TRUE(Run().ok());
  const auto whole = Compared();
  const std::string& lines = whole.at("samples.jsonl");
  const std::string timings = Content("timings.jsonl");
  for (const size_t num_bytes : Cuts(lines)) {
    files_ = MemoryFileSystem();
    files_.Put("results/manifest.json", whole.at("manifest.json"));
    files_.Put("results/samples.jsonl", lines.substr(0, num_bytes));
    // The log of times was cut somewhere else.
    files_.Put("results/timings.jsonl", timings.substr(0, num_bytes * 7 % timings.size()));
    runner_.asked.clear();
    const Result<Json> summary = Run();
    ASSERT_TRUE(summary.ok()) << num_bytes << ": " << summary.status().message();
    ASSERT_EQ(Compared(), whole) << num_bytes;
    // Nothing that was there is run again, nothing is run twice.
    const auto num_whole_lines = static_cast<size_t>(
        std::count(lines.begin(), lines.begin() + static_cast<std::ptrdiff_t>(num_bytes), '\n'));
    ASSERT_EQ(runner_.asked.size(), 4 - num_whole_lines) << num_bytes;
    for (const auto& [key, count] : runner_.asked) ASSERT_EQ(count, 1) << num_bytes;
  }
}

TEST_F(EvalRunnerTest, SaysThatItGoesOn) {
  ASSERT_TRUE(Run().ok());
  const std::string lines = Content("samples.jsonl");
  files_.Put("results/samples.jsonl", lines.substr(0, lines.find('\n') + 5));
  ASSERT_TRUE(Run().ok());
  EXPECT_THAT(notes_, Contains(HasSubstr("cut off")));
  EXPECT_THAT(notes_, Contains(HasSubstr("1 of 15")));
}

TEST_F(EvalRunnerTest, ManifestIsClaimedBeforeResults) {
  files_.Put("results/samples.jsonl", "");
  const Status status = Run().status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("without a manifest"));
}

TEST_F(EvalRunnerTest, RefusesToMixEvaluations) {
  ASSERT_TRUE(Run().ok());
  const auto before = Compared();
  const auto refusal = [&] {
    const Status status = Run().status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(ExitStatusFor(status), 2);
    return status.message();
  };
  suite_.seed = 2;
  EXPECT_THAT(refusal(), HasSubstr("settings.seed is 1 there and 2 here"));
  suite_.seed = 1;
  runs_[1].method.window = 16;
  EXPECT_THAT(refusal(), HasSubstr("runs.1.window is null there and 16 here"));
  runs_[1].method.window.reset();
  runs_.pop_back();
  EXPECT_THAT(refusal(), HasSubstr("runs.2 is {\"label\":\"wrong\""));
  EXPECT_THAT(refusal(), HasSubstr("there and nothing here"));
  EXPECT_EQ(Compared(), before);
}

TEST_F(EvalRunnerTest, NamesEveryKindOfDifference) {
  ASSERT_TRUE(Run().ok());
  for (const auto& [name, value] : std::map<std::string, std::string>{
           {"model_hash", "abd"}, {"build", "2"}, {"arithmetic", "bf16"}, {"model", "other"}}) {
    EvalJob job = Job();
    job.manifest.identity[name] = value;
    const Status status = RunEvaluation(files_, kFolder, job, runner_).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(status.message(), HasSubstr(name + " is "));
  }
  EXPECT_THAT(Run(kFolder, {.index = 0, .count = 2}).status().message(),
              HasSubstr("shard is null there and \"1/2\" here"));
}

TEST_F(EvalRunnerTest, AnotherMachineMayGoOn) {
  ASSERT_TRUE(Run().ok());
  const auto before = Compared();
  EvalJob job = Job();
  job.manifest.machine = {{"cpu", "b"}};
  EXPECT_TRUE(RunEvaluation(files_, kFolder, job, runner_).ok());
  EXPECT_EQ(Compared(), before);
}

TEST_F(EvalRunnerTest, AFailingSampleIsAResult) {
  suite_.broken_key = suite_.keys()[1];
  runner_.fail_at = 4;
  const Result<Json> summary = Run();
  ASSERT_TRUE(summary.ok()) << summary.status().message();
  const auto lines = ReadResultLines(files_, "results/samples.jsonl");
  ASSERT_EQ(lines->records.size(), 15u);
  for (const size_t i : {3, 4, 5}) {
    EXPECT_EQ(lines->records[i].score, std::nullopt);
    EXPECT_EQ(lines->records[i].error, "this one cannot be made");
  }
  EXPECT_EQ(lines->records[6].error, "no memory") << "the fourth answer asked for";
  EXPECT_EQ((*summary)["runs"][0]["errors"], 2);
  EXPECT_EQ((*summary)["runs"][1]["errors"], 1);
  EXPECT_DOUBLE_EQ((*summary)["runs"][1]["cells"][1]["mean"].get<double>(), 0.5)
      << "of two samples one failed and counts 0";
  EXPECT_THAT(Content("summary.md"), HasSubstr("1 failed"));
}

TEST_F(EvalRunnerTest, ALostDeviceEndsTheRunAndTheNextGoesOn) {
  for (const Status& failure :
       {DeviceError("gone"), IoError("weights changed"), CancelledError("stop")}) {
    files_ = MemoryFileSystem();
    runner_ = FakeRunner();
    runner_.fail_at = 8;
    runner_.failure = failure;
    EXPECT_EQ(Run().status().code(), failure.code());
    EXPECT_EQ(ReadResultLines(files_, "results/samples.jsonl")->records.size(), 7u);
    EXPECT_FALSE(*files_.Exists("results/summary.json"));
    runner_.fail_at = -1;
    ASSERT_TRUE(Run().ok());
    const auto resumed = Compared();
    files_ = MemoryFileSystem();
    ASSERT_TRUE(Run().ok());
    EXPECT_EQ(Compared(), resumed);
  }
}

TEST_F(EvalRunnerTest, CancellingKeepsWhatIsDone) {
  CancelFlag cancel;
  EvalJob job = Job();
  job.cancel = &cancel;
  job.on_progress = [&](const EvalProgress& progress) {
    if (progress.done_results == 6) cancel.Cancel();
  };
  const Status status = RunEvaluation(files_, kFolder, job, runner_).status();
  EXPECT_EQ(status.code(), StatusCode::kCancelled);
  EXPECT_THAT(status.message(), HasSubstr("6 of 15 results are kept"));
}

TEST_F(EvalRunnerTest, ProgressGrowsToOne) {
  EvalJob job = Job();
  std::vector<double> shares;
  job.on_progress = [&](const EvalProgress& progress) { shares.push_back(progress.share); };
  ASSERT_TRUE(RunEvaluation(files_, kFolder, job, runner_).ok());
  EXPECT_TRUE(std::is_sorted(shares.begin(), shares.end()));
  EXPECT_EQ(shares.front(), 0);
  EXPECT_EQ(shares.back(), 1);
}

TEST_F(EvalRunnerTest, DamageBeforeTheEndIsReported) {
  ASSERT_TRUE(Run().ok());
  std::string lines = Content("samples.jsonl");
  lines[lines.find("even")] = 'E';
  files_.Put("results/samples.jsonl", lines);
  const Status status = Run().status();
  EXPECT_EQ(status.code(), StatusCode::kFormat);
  EXPECT_THAT(status.message(), HasSubstr("line 1 is damaged"));
}

TEST_F(EvalRunnerTest, LinesOutOfOrderAreReported) {
  ASSERT_TRUE(Run().ok());
  const std::string lines = Content("samples.jsonl");
  const size_t second = lines.find('\n') + 1;
  files_.Put("results/samples.jsonl", lines.substr(second));
  const Status status = Run().status();
  EXPECT_EQ(status.code(), StatusCode::kFormat);
  EXPECT_THAT(status.message(), HasSubstr("line 1 is not the result that belongs there"));
}

TEST_F(EvalRunnerTest, ShardsTogetherAreTheWhole) {
  ASSERT_TRUE(Run("whole").ok());
  for (int64_t i = 0; i < 3; ++i) {
    ASSERT_TRUE(Run("part" + std::to_string(i), {.index = i, .count = 3}).ok());
  }
  // In any order.
  const std::vector<std::string> parts = {"part2", "part0", "part1"};
  const Result<Json> merged = MergeEvaluations(files_, parts, "merged");
  ASSERT_TRUE(merged.ok()) << merged.status().message();
  EXPECT_EQ(Compared("merged"), Compared("whole"));
  EXPECT_TRUE(MergeEvaluations(files_, parts, "merged").ok()) << "again";
}

TEST_F(EvalRunnerTest, MergingRefusesWhatDoesNotBelongTogether) {
  ASSERT_TRUE(Run("one", {.index = 0, .count = 2}).ok());
  ASSERT_TRUE(Run("two", {.index = 1, .count = 2}).ok());
  const auto merge = [&](std::vector<std::string> folders, const std::string& output = "merged") {
    const Status status = MergeEvaluations(files_, folders, output).status();
    EXPECT_EQ(ExitStatusFor(status), 2);
    return status.message();
  };
  EXPECT_THAT(merge({"one"}), HasSubstr("shard 2/2 is missing"));
  EXPECT_THAT(merge({"one", "two", "one"}), HasSubstr("both shard 1/2"));
  EXPECT_THAT(merge({}), HasSubstr("got none"));
  EXPECT_THAT(merge({"one", "two"}, "one"), HasSubstr("shard is \"1/2\" there and null here"));
  suite_.seed = 5;
  ASSERT_TRUE(Run("other", {.index = 1, .count = 2}).ok());
  EXPECT_THAT(merge({"one", "other"}), HasSubstr("settings.seed"));
  files_.Remove("two/summary.json");
  EXPECT_THAT(merge({"one", "two"}), HasSubstr("not complete"));
}

TEST_F(EvalRunnerTest, RescoringRunsNothing) {
  suite_.broken_key = suite_.keys()[4];
  ASSERT_TRUE(Run().ok());
  // The registered suite of that name scores these answers as the stand-in does.
  auto lines = ReadResultLines(files_, "results/samples.jsonl");
  std::string content;
  for (EvalRecord& record : lines->records) {
    if (record.score) record.score = 0.25;
    content += RecordLine(record);
  }
  const auto before = Compared();
  files_.Put("results/samples.jsonl", content);
  const int64_t num_answers = runner_.num_answers;
  const Result<Json> summary = RescoreEvaluation(files_, kFolder);
  ASSERT_TRUE(summary.ok()) << summary.status().message();
  EXPECT_EQ(runner_.num_answers, num_answers);
  EXPECT_EQ(Compared(), before);
}

TEST(EvalShard, IsCountedFromOne) {
  EXPECT_EQ(*ParseShard("1/1"), (EvalShard{.index = 0, .count = 1}));
  EXPECT_EQ(*ParseShard("3/4"), (EvalShard{.index = 2, .count = 4}));
  EXPECT_EQ(ShardText({.index = 2, .count = 4}), "3/4");
  for (const char* text : {"", "0/4", "5/4", "1", "1/", "/4", "1/4x", "a/b", "-1/4", "1/1000000"}) {
    EXPECT_EQ(ParseShard(text).status().code(), StatusCode::kInvalidArgument) << text;
  }
}

}  // namespace
}  // namespace fastkv
