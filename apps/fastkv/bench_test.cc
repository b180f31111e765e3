#include "fastkv/bench.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "fastkv/bench_run.h"
#include "io/json.h"
#include "io/temp_folder.h"
#include "tests/engine/random_engine.h"

namespace fastkv {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::SizeIs;

// Everything that a row promises to scripts.
constexpr const char* kRowFields[] = {"method",
                                      "context",
                                      "batch",
                                      "new_tokens",
                                      "repeat",
                                      "prefill_ms",
                                      "prefill_tokens_per_s",
                                      "decode_ms_per_token",
                                      "decode_tokens_per_s",
                                      "kv_bytes",
                                      "peak_bytes",
                                      "speedup_prefill",
                                      "speedup_decode",
                                      "predicted_speedup_prefill",
                                      "predicted_flops",
                                      "predicted_decode_bytes",
                                      "ceiling",
                                      "ceiling_share"};

BenchRunOptions ShortRun() {
  BenchRunOptions options;
  options.methods = {{.name = "full"}, {.name = "fastkv"}};
  options.contexts = {64, 200};
  options.new_tokens = 3;
  options.repeat = 3;
  options.seed = 1;
  return options;
}

std::vector<SpeedRow> RunRows(const Engine& engine, const BenchRunOptions& options) {
  std::vector<SpeedRow> rows;
  const Status status = RunBenchRows(engine, options, rows);
  EXPECT_TRUE(status.ok()) << status.message();
  return rows;
}

void ExpectOrdered(const Spread& spread) {
  EXPECT_GT(spread.min, 0);
  EXPECT_LE(spread.min, spread.median);
  EXPECT_LE(spread.median, spread.max);
}

TEST(BenchRun, GivesARowForEachContextAndMethod) {
  const std::unique_ptr<Engine> engine = MakeRandomEngine({.device = "cpu"});
  const std::vector<SpeedRow> rows = RunRows(*engine, ShortRun());
  ASSERT_THAT(rows, SizeIs(4));
  for (size_t i = 0; i < rows.size(); ++i) {
    const SpeedRow& row = rows[i];
    EXPECT_EQ(row.method, i % 2 == 0 ? "full" : "fastkv");
    EXPECT_EQ(row.context, i < 2 ? 64 : 200);
    EXPECT_EQ(row.error, "");
    ExpectOrdered(row.prefill_ms);
    ExpectOrdered(row.decode_ms_per_token.value());
    EXPECT_FALSE(row.ceiling.has_value());
    EXPECT_GT(row.peak_bytes, row.kv_bytes);
  }
  EXPECT_EQ(rows[2].speedup_prefill.value(), 1);
  EXPECT_DOUBLE_EQ(rows[3].speedup_prefill.value(),
                   rows[2].prefill_ms.median / rows[3].prefill_ms.median);
  EXPECT_DOUBLE_EQ(rows[3].speedup_decode.value(),
                   rows[2].decode_ms_per_token->median / rows[3].decode_ms_per_token->median);
  EXPECT_DOUBLE_EQ(rows[3].predicted_speedup_prefill,
                   rows[2].predicted_flops / rows[3].predicted_flops);
}

TEST(BenchRun, PredictsWhatThePlanTellsByHand) {
  const std::unique_ptr<Engine> engine = MakeRandomEngine({.device = "cpu"});
  const std::vector<SpeedRow> rows = RunRows(*engine, ShortRun());
  // full at 64 tokens. Per token: q 96x96, k and v 96x32, output 96x96, gate and up 96x320, down
  // 160x96, times 2. The last layer needs keys and values of all, the rest of one token.
  const double kv = 2.0 * 96 * 64;
  const double rest = 2.0 * (96 * 96 + 96 * 96 + 96 * 320 + 160 * 96);
  const double attention = 4.0 * 96 * (64.0 * 65 / 2);
  const double last_attention = 4.0 * 96 * 64;
  const double head = 2.0 * 96 * 509;
  EXPECT_DOUBLE_EQ(rows[0].predicted_flops,
                   4 * 64 * kv + (3 * 64 + 1) * rest + 3 * attention + last_attention + head);
  // Weights in bf16, once; keys and values in the activations' type: 64 entries and, over three
  // steps, two more on average.
  const double weights = 2.0 * (4 * (96 * 160 + 96 * 96 + 96 * 320 + 160 * 96) + 96 * 509);
  const int64_t kv_type_bytes = DTypeBytes(engine->backend().types().kv);
  const auto kv_bytes = static_cast<double>(4 * 2 * 2 * 16 * kv_type_bytes * (64 + 2));
  EXPECT_DOUBLE_EQ(rows[0].predicted_decode_bytes, weights + kv_bytes);
  EXPECT_EQ(rows[0].kv_bytes, 4 * 2 * 64 * (2 * 16 * kv_type_bytes + 4));
  EXPECT_EQ(rows[0].kv_bytes, rows[0].full_kv_bytes);
  EXPECT_LT(rows[3].kv_bytes * 9, rows[3].full_kv_bytes);
}

TEST(BenchRun, CountsTheBytesOfACacheInIntegers) {
  const std::unique_ptr<Engine> engine =
      MakeRandomEngine({.device = "cpu", .kv_type = KvType::kInt8});
  const std::vector<SpeedRow> rows = RunRows(*engine, ShortRun());
  const double weights = 2.0 * (4 * (96 * 160 + 96 * 96 + 96 * 320 + 160 * 96) + 96 * 509);
  // 64 entries of the prompt with two scales, and two of the tail on average as they are computed.
  const int64_t computed_bytes = DTypeBytes(engine->backend().types().kv);
  const auto kv_bytes =
      static_cast<double>(4 * 2 * (64 * (2 * 16 + 8) + 2 * 2 * 16 * computed_bytes));
  EXPECT_DOUBLE_EQ(rows[0].predicted_decode_bytes, weights + kv_bytes);
  EXPECT_EQ(rows[0].kv_bytes, 4 * 2 * 64 * (2 * 16 + 8 + 4));
  EXPECT_EQ(rows[0].full_kv_bytes, 4 * 2 * 64 * (2 * 16 * computed_bytes + 4));
}

TEST(BenchRun, CountsTheBytesOfBlocks) {
  const std::unique_ptr<Engine> engine =
      MakeRandomEngine({.device = "cpu"}, RandomModelConfig(), StoredType::kQ4_0);
  BenchRunOptions options = ShortRun();
  options.contexts = {64};
  options.repeat = 1;
  const std::vector<SpeedRow> rows = RunRows(*engine, options);
  // 18 bytes for 32 values; of the head, whose rows are too short for Q6_K, 34.
  const double weights =
      18.0 / 32 * 4 * (96 * 160 + 96 * 96 + 96 * 320 + 160 * 96) + 34.0 / 32 * 96 * 509;
  const int64_t kv_type_bytes = DTypeBytes(engine->backend().types().kv);
  const auto kv_bytes = static_cast<double>(4 * 2 * 2 * 16 * kv_type_bytes * (64 + 2));
  EXPECT_DOUBLE_EQ(rows[0].predicted_decode_bytes, weights + kv_bytes);
}

TEST(BenchRun, HoldsTheKeysAndValuesOfEverySequenceOfABatch) {
  const std::unique_ptr<Engine> engine = MakeRandomEngine({.device = "cpu"});
  BenchRunOptions options = ShortRun();
  options.contexts = {64};
  options.repeat = 1;
  const std::vector<SpeedRow> one = RunRows(*engine, options);
  options.batch = 3;
  const std::vector<SpeedRow> three = RunRows(*engine, options);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(three[i].batch, 3);
    EXPECT_EQ(three[i].kv_bytes, 3 * one[i].kv_bytes);
    EXPECT_EQ(three[i].full_kv_bytes, 3 * one[i].full_kv_bytes);
    EXPECT_DOUBLE_EQ(three[i].DecodeTokensPerSecond()->median,
                     3000 / three[i].decode_ms_per_token->median);
    const double of_one = one[i].predicted_decode_bytes;
    const auto weights = static_cast<double>(engine->model().weight_bytes());
    EXPECT_DOUBLE_EQ(three[i].predicted_decode_bytes, 3 * (of_one - weights) + weights);
  }
}

TEST(BenchRun, ABreakdownAddsUpToItsPass) {
  const std::unique_ptr<Engine> engine = MakeRandomEngine({.device = "cpu"});
  BenchRunOptions options = ShortRun();
  options.breakdown = true;
  options.repeat = 1;
  for (const int64_t batch : {1, 2}) {
    options.batch = batch;
    for (const SpeedRow& row : RunRows(*engine, options)) {
      for (const auto& breakdown : {row.prefill_breakdown, row.decode_breakdown}) {
        ASSERT_TRUE(breakdown.has_value());
        double sum_ms = breakdown->other_ms;
        for (const OperationTime& time : breakdown->operations) sum_ms += time.ms;
        EXPECT_NEAR(sum_ms, breakdown->total_ms, 1e-9 * breakdown->total_ms);
        EXPECT_GE(breakdown->other_ms, 0);
        EXPECT_FALSE(breakdown->operations.empty());
      }
      EXPECT_EQ(row.decode_breakdown->steps, 3);
      for (const OperationTime& time : row.decode_breakdown->operations) {
        if (time.operation == "ArgMax" || time.operation == "MatMul head") {
          EXPECT_EQ(time.calls, 3);
        }
        EXPECT_NE(time.operation, "PrefillAttention");
      }
    }
  }
}

// Refuses single blocks above a size.
class SmallBlocks final : public Allocator {
 public:
  void* Allocate(size_t num_bytes) override {
    return num_bytes <= largest ? SystemAllocator().Allocate(num_bytes) : nullptr;
  }
  void Free(void* data, size_t num_bytes) override { SystemAllocator().Free(data, num_bytes); }

  size_t largest = SIZE_MAX;
};

TEST(BenchRun, AContextWithoutMemoryIsARowAndTheRunGoesOn) {
  SmallBlocks allocator;
  const std::unique_ptr<Engine> engine =
      MakeRandomEngine({.device = "cpu", .allocator = &allocator});
  allocator.largest = 100 * 320 * 4;  // gate and up of 100 tokens in f32
  BenchRunOptions options = ShortRun();
  options.contexts = {200, 64};
  options.breakdown = true;
  const std::vector<SpeedRow> rows = RunRows(*engine, options);
  ASSERT_THAT(rows, SizeIs(4));
  EXPECT_THAT(rows[0].error, HasSubstr("no memory"));
  EXPECT_THAT(rows[1].error, HasSubstr("no memory"));
  EXPECT_FALSE(rows[0].prefill_breakdown.has_value());
  EXPECT_FALSE(rows[1].speedup_prefill.has_value());
  EXPECT_EQ(rows[2].error, "");
  EXPECT_EQ(rows[3].error, "");
}

TEST(BenchRun, StopsWhenCancelled) {
  const std::unique_ptr<Engine> engine = MakeRandomEngine({.device = "cpu"});
  CancelFlag cancel;
  BenchRunOptions options = ShortRun();
  options.cancel = &cancel;
  double last_done = 0;
  options.on_progress = [&](double done, const std::string& doing) {
    EXPECT_GE(done, last_done);
    EXPECT_LE(done, 1);
    last_done = done;
    if (doing.find("run 2 of 3") != std::string::npos && done > 0.5) cancel.Cancel();
  };
  std::vector<SpeedRow> rows;
  EXPECT_EQ(RunBenchRows(*engine, options, rows).code(), StatusCode::kCancelled);
  ASSERT_THAT(rows, SizeIs(2)) << "those of the first of two contexts";
  EXPECT_GT(rows[1].prefill_ms.median, 0);
}

TEST(BenchRun, RefusesContextsThatTheModelDoesNotHave) {
  const std::unique_ptr<Engine> engine = MakeRandomEngine({.device = "cpu"});
  BenchRunOptions options = ShortRun();
  options.contexts = {512};
  options.repeat = 1;
  EXPECT_THAT(RunRows(*engine, options), SizeIs(2));  // decoding may go beyond
  options.contexts = {64, 513};
  std::vector<SpeedRow> rows;
  const Status status = RunBenchRows(*engine, options, rows);
  EXPECT_EQ(status.code(), StatusCode::kLimit);
  EXPECT_THAT(status.message(), AllOf(HasSubstr("513"), HasSubstr("512")));
}

// A small shape for the commands, which are then over in a moment.
class Bench : public ::testing::Test {
 protected:
  Bench() : shape_(JoinPath(folder_.path(), "tiny.json")) {
    EXPECT_TRUE(RealFileSystem()
                    .WriteFile(shape_, R"({"architectures": ["LlamaForCausalLM"],
        "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 6,
        "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 100,
        "max_position_embeddings": 256})")
                    .ok());
  }

  BenchOptions ShortBench() const;

  const TempFolder folder_;
  const std::string shape_;
};

BenchOptions Bench::ShortBench() const {
  BenchOptions options;
  options.model.device = "cpu";
  options.shape = shape_;
  options.contexts = {"32-64*2"};
  options.new_tokens = 2;
  options.repeat = 1;
  options.ceiling_ms = 0;
  options.quiet = true;
  return options;
}

std::string Output(const BenchOptions& options) {
  std::ostringstream out;
  const Status status = RunBench(options, out);
  EXPECT_TRUE(status.ok()) << status.message();
  return out.str();
}

TEST_F(Bench, PrintsEveryFieldThatScriptsReadFor) {
  BenchOptions options = ShortBench();
  options.shape.clear();
  options.model.model = "models/needle-16m";
  options.methods = {"fastkv"};
  options.ceiling_ms = 1;
  options.contexts = {"64"};
  options.json = true;
  const Json report = ParseJson(Output(options)).value();
  for (const char* name : {"cpu", "cores", "threads", "memory_bytes", "gpu", "cpu_level"}) {
    EXPECT_TRUE(report["machine"].contains(name)) << name;
  }
  for (const char* name : {"commit", "compiler", "flags"}) {
    EXPECT_TRUE(report["build"][name].is_string()) << name;
  }
  EXPECT_EQ(report["model"]["name"], "needle-16m");
  ASSERT_THAT(report["rows"], SizeIs(1));
  for (const Json& row : report["rows"]) {
    for (const char* name : kRowFields) EXPECT_TRUE(row.contains(name)) << name;
    EXPECT_FALSE(row.contains("error"));
    EXPECT_FALSE(row.contains("breakdown"));
    EXPECT_GT(row["ceiling"]["read_bytes_per_s"].get<double>(), 0);
    EXPECT_GT(row["ceiling_share"]["decode"].get<double>(), 0);
    EXPECT_NEAR(row["ceiling_share"]["decode"].get<double>(),
                row["predicted_decode_bytes"].get<double>() /
                    row["decode_ms_per_token"]["median"].get<double>() * 1e3 /
                    row["ceiling"]["read_bytes_per_s"].get<double>(),
                1e-9);
  }
}

TEST_F(Bench, WritesNullForWhatWasNotMeasured) {
  BenchOptions options = ShortBench();
  options.methods = {"fastkv"};
  options.new_tokens = 0;
  options.format = "json";
  const Json report = ParseJson(Output(options)).value();
  ASSERT_THAT(report["rows"], SizeIs(2));
  const Json& row = report["rows"][1];
  EXPECT_EQ(row["context"], 64);
  for (const char* name : {"decode_ms_per_token", "decode_tokens_per_s", "speedup_prefill",
                           "speedup_decode", "ceiling"}) {
    EXPECT_TRUE(row[name].is_null()) << name;
  }
  EXPECT_TRUE(row["ceiling_share"]["prefill"].is_null());
  EXPECT_GT(row["predicted_speedup_prefill"].get<double>(), 1);
}

TEST_F(Bench, WritesTablesForPeopleAndPrograms) {
  BenchOptions options = ShortBench();
  options.format = "md";
  EXPECT_THAT(Output(options), AllOf(HasSubstr("| full | pp32 |"), HasSubstr("| fastkv | pp64 |"),
                                     HasSubstr("| full | tg2@d64 |")));
  options.format = "csv";
  const std::string csv = Output(options);
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 5);
  const std::string header = csv.substr(0, csv.find('\n'));
  EXPECT_THAT(header, HasSubstr("prefill_ms_median"));
  std::istringstream lines(csv);
  for (std::string line; std::getline(lines, line);) {
    EXPECT_EQ(std::count(line.begin(), line.end(), ','),
              std::count(header.begin(), header.end(), ','))
        << line;
  }
  options.format = "text";
  options.breakdown = true;
  EXPECT_THAT(Output(options), AllOf(HasSubstr("Where the time goes: fastkv at 64"),
                                     HasSubstr("not in operations")));
}

TEST_F(Bench, MeasuresAShapeAndWritesThePage) {
  BenchOptions options = ShortBench();
  options.page = JoinPath(folder_.path(), "page.html");
  options.json = true;
  const Json report = ParseJson(Output(options)).value();
  EXPECT_EQ(report["model"]["name"], "tiny (random weights)");
  EXPECT_EQ(report["model"]["layers"], 6);
  EXPECT_THAT(report["rows"], SizeIs(4));
  const Result<std::string> page = RealFileSystem().ReadFile(options.page, 1 << 20);
  ASSERT_TRUE(page.ok()) << page.status().message();
  EXPECT_THAT(page.value(), HasSubstr("How fast tiny (random weights) runs"));
}

TEST_F(Bench, MeasuresAShapeInBlocks) {
  BenchOptions options = ShortBench();
  options.json = true;
  const Json as_bf16 = ParseJson(Output(options)).value();
  options.model.weights = "q8_0";
  const Json report = ParseJson(Output(options)).value();
  EXPECT_THAT(report["command"].get<std::string>(), HasSubstr("--weights q8_0"));
  EXPECT_DOUBLE_EQ(report["model"]["weight_bytes"].get<double>(),
                   as_bf16["model"]["weight_bytes"].get<double>() * 34 / 64);
}

TEST_F(Bench, SaysWhatIsWrongBeforeTheLongRuns) {
  const auto failure = [&](auto change) {
    BenchOptions options = ShortBench();
    change(options);
    std::ostringstream out;
    const Status status = RunBench(options, out);
    EXPECT_EQ(out.str(), "");
    EXPECT_EQ(ExitStatusFor(status), 2) << status.message();
    return status.message();
  };
  EXPECT_THAT(failure([](BenchOptions& options) {
                options.contexts = {"64", "many"};
              }),
              HasSubstr("many"));
  EXPECT_THAT(failure([](BenchOptions& options) { options.contexts = {"257"}; }), HasSubstr("256"));
  EXPECT_THAT(failure([](BenchOptions& options) {
                options.methods = {"full", "magic"};
              }),
              HasSubstr("magic"));
  EXPECT_THAT(failure([](BenchOptions& options) { options.methods = {""}; }),
              HasSubstr("--methods"));
  EXPECT_THAT(failure([](BenchOptions& options) { options.shape = "no/such.json"; }),
              HasSubstr("no/such.json"));
  EXPECT_THAT(failure([](BenchOptions& options) {
                options.shape = "";
                options.model.weights = "q4_0";
              }),
              HasSubstr("--shape"));
  EXPECT_THAT(failure([](BenchOptions& options) { options.page = "no/such/page.html"; }),
              HasSubstr("--page"));
}

}  // namespace
}  // namespace fastkv
