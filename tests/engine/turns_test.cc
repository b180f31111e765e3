// Conversations: later turns behind a compressed cache, and the rule applied again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <span>
#include <string>
#include <utility>

#include "method/adaptive_rules.h"
#include "tests/engine/engine_fixture.h"
#include "tests/engine/random_engine.h"
#include "tests/unpack_testdata.h"

namespace fastkv {
namespace {

std::unique_ptr<Engine> LoadTiny(const std::string& family, const std::string& device = "cpu",
                                 KvType kv_type = KvType::kAuto) {
  return LoadTestEngine({.model_path = UnpackedTestArchive("golden_models") + "/" + family,
                         .device = device,
                         .num_threads = 2,
                         .compute_type = ComputeType::kF32,
                         .kv_type = kv_type});
}

using AllPositions = std::vector<std::vector<std::vector<int32_t>>>;  // [layer][kv head]

AllPositions PositionsIn(const Session& session) {
  const KvGeometry& geometry = session.cache().geometry();
  AllPositions positions(geometry.num_layers);
  for (int64_t layer = 0; layer < geometry.num_layers; ++layer) {
    for (int64_t head = 0; head < geometry.num_kv_heads; ++head) {
      positions[layer].push_back(session.PositionsOf(layer, head).value());
    }
  }
  return positions;
}

// What `vector` becomes as integers that share a scale.
std::vector<float> RoundedToInt8(std::vector<float> vector) {
  float largest = 0;
  for (const float x : vector) largest = std::max(largest, std::fabs(x));
  for (float& x : vector) x = std::nearbyint(x * (127 / largest)) * (largest / 127);
  return vector;
}

// Key, then value, of every entry of one KV head, in order: [entries][2 * head_dim] (CPU, float).
// Where the frozen part is in integers, what they stand for, and will for the tail's.
std::vector<std::vector<float>> EntriesOf(Session& session, int64_t layer, int64_t head) {
  LayerKv& kv = session.cache().layer(layer);
  const KvGeometry& geometry = session.cache().geometry();
  std::vector<std::vector<float>> entries;
  const auto add = [&](const std::vector<float>& key, const std::vector<float>& value) {
    entries.push_back(key);
    entries.back().insert(entries.back().end(), value.begin(), value.end());
  };
  const auto floats = [&](const TensorView& rows, int64_t i) {
    const float* row = rows.Slice(1, i, i + 1).As<float>();
    return std::vector<float>(row, row + geometry.head_dim);
  };
  const auto scaled = [&](const TensorView& rows, const TensorView& scales, int64_t i) {
    const int8_t* row = rows.Slice(1, i, i + 1).As<int8_t>();
    std::vector<float> values(row, row + geometry.head_dim);
    for (float& value : values) value *= scales.As<float>()[i];
    return values;
  };
  const KvEntries frozen = kv.FrozenHead(head);
  for (int64_t i = 0; i < frozen.keys.dim(1); ++i) {
    if (geometry.int8_frozen) {
      add(scaled(frozen.keys, frozen.key_scales, i), scaled(frozen.values, frozen.value_scales, i));
    } else {
      add(floats(frozen.keys, i), floats(frozen.values, i));
    }
  }
  const int64_t tail = session.cache().tail_len();
  for (int64_t i = 0; i < tail; ++i) {
    const std::vector<float> key = floats(kv.TailKeys(0, tail).Rows(head, head + 1), i);
    const std::vector<float> value = floats(kv.TailValues(0, tail).Rows(head, head + 1), i);
    if (geometry.int8_frozen) {
      add(RoundedToInt8(key), RoundedToInt8(value));
    } else {
      add(key, value);
    }
  }
  return entries;
}

// A cache that holds, of `source`, the entries at `positions`, all of them frozen.
KvCache CacheOf(Backend& backend, Session& source, const AllPositions& positions) {
  KvCache cache(backend, source.cache().geometry());
  const int64_t head_dim = source.cache().geometry().head_dim;
  for (size_t layer = 0; layer < positions.size(); ++layer) {
    std::vector<int64_t> lens;
    for (const std::vector<int32_t>& of_head : positions[layer]) {
      lens.push_back(static_cast<int64_t>(of_head.size()));
    }
    LayerKv& kv = cache.layer(static_cast<int64_t>(layer));
    EXPECT_TRUE(kv.ReserveFrozen(backend, lens).ok());
    for (size_t head = 0; head < lens.size(); ++head) {
      const auto a = static_cast<int64_t>(head);
      const std::vector<std::vector<float>> entries =
          EntriesOf(source, static_cast<int64_t>(layer), a);
      const std::vector<int32_t> held = source.PositionsOf(static_cast<int64_t>(layer), a).value();
      for (int64_t i = 0; i < lens[head]; ++i) {
        const int32_t position = positions[layer][head][i];
        const size_t at = std::lower_bound(held.begin(), held.end(), position) - held.begin();
        EXPECT_EQ(held[at], position);
        std::memcpy(kv.FrozenHead(a).keys.Slice(1, i, i + 1).data(), entries[at].data(),
                    4 * head_dim);
        std::memcpy(kv.FrozenHead(a).values.Slice(1, i, i + 1).data(),
                    entries[at].data() + head_dim, 4 * head_dim);
        kv.FrozenHead(a).positions.As<int32_t>()[i] = position;
      }
    }
  }
  cache.set_next_position(source.cache().next_position());
  return cache;
}

std::vector<float> AppendTo(const Engine& engine, KvCache& cache, std::span<const int32_t> ids) {
  TokenDecoder decoder =
      TokenDecoder::Create(engine.backend(), engine.model(), static_cast<int64_t>(ids.size()))
          .value();
  EXPECT_TRUE(decoder.Append(cache, ids, nullptr, nullptr).ok());
  const float* logits = decoder.logits().As<float>();
  return {logits, logits + engine.config().vocab_size};
}

// Every method by itself, and every retention rule beside TSP.
std::vector<MethodConfig> MethodsOfChats() {
  std::vector<MethodConfig> methods;
  for (const std::string& name : MethodNames()) methods.push_back({.name = name});
  for (const std::string& name : RetentionNames()) {
    if (name != "snapkv") methods.push_back({.name = "fastkv", .retention = name});
  }
  methods.push_back({.name = "fastkv", .propagation = {.rule = "mass"}});
  return methods;
}

std::string LabelOf(const ::testing::TestParamInfo<MethodConfig>& info) {
  std::string label = info.param.name + "_" + info.param.retention;
  if (info.param.propagation.rule != "fastkv") label += "_" + info.param.propagation.rule;
  std::replace(label.begin(), label.end(), '-', '_');
  return label;
}

class TurnsTest : public ::testing::TestWithParam<MethodConfig> {
 protected:
  static void SetUpTestSuite() {
    engine_ = LoadTiny("llama");
    sliding_ = LoadTiny("mistral_window");
    int8_ = LoadTiny("llama", "cpu", KvType::kInt8);
  }
  static void TearDownTestSuite() {
    engine_.reset();
    sliding_.reset();
    int8_.reset();
  }
  static std::vector<int32_t> Ids(int64_t count, uint64_t seed) {
    return RandomIds(seed, count, engine_->config().vocab_size);
  }

  static std::unique_ptr<Engine> engine_;
  static std::unique_ptr<Engine> sliding_;
  static std::unique_ptr<Engine> int8_;  // with a frozen part in integers
};

std::unique_ptr<Engine> TurnsTest::engine_;
std::unique_ptr<Engine> TurnsTest::sliding_;
std::unique_ptr<Engine> TurnsTest::int8_;

// A report of what the rule chose, against what there was before.
void ExpectReduced(Session& session, const AllPositions& before,
                   const std::vector<std::vector<std::vector<std::vector<float>>>>& entries,
                   const std::vector<int64_t>& budget) {
  const AllPositions after = PositionsIn(session);
  const auto num_kv_heads = static_cast<int64_t>(after[0].size());
  for (size_t layer = 0; layer < after.size(); ++layer) {
    int64_t held_before = 0;
    int64_t held = 0;
    for (size_t head = 0; head < after[layer].size(); ++head) {
      const std::vector<int32_t>& old = before[layer][head];
      const std::vector<int32_t>& now = after[layer][head];
      held_before += static_cast<int64_t>(old.size());
      held += static_cast<int64_t>(now.size());
      EXPECT_TRUE(std::adjacent_find(now.begin(), now.end(), std::greater_equal<>()) == now.end());
      ASSERT_TRUE(std::includes(old.begin(), old.end(), now.begin(), now.end()));
      const auto now_entries =
          EntriesOf(session, static_cast<int64_t>(layer), static_cast<int64_t>(head));
      for (size_t i = 0; i < now.size(); ++i) {
        const size_t at = std::lower_bound(old.begin(), old.end(), now[i]) - old.begin();
        ASSERT_EQ(now_entries[i], entries[layer][head][at]);
      }
    }
    if (held_before <= num_kv_heads * budget[layer]) {
      EXPECT_EQ(held, held_before);
    } else {
      EXPECT_LE(held, num_kv_heads * budget[layer] + num_kv_heads / 2);
      // Heads of unequal lengths may leave a little of the budget unused, not much.
      EXPECT_GE(held, num_kv_heads * budget[layer] * 3 / 4);
    }
  }
  EXPECT_EQ(session.cache().tail_len(), 0);
}

TEST_P(TurnsTest, TheRuleIsAppliedAgain) {
  for (const Engine* engine : {engine_.get(), sliding_.get(), int8_.get()}) {
    SCOPED_TRACE(engine->model_name() + ", " + engine->backend().info().description);
    MethodConfig method = GetParam();
    method.kv = Budget::Rate(0.25);
    method.tsp = Budget::Rate(0.3);
    method.protect_first = 3;
    method.protect = {{120, 124}};
    Session session(*engine);
    const std::vector<int32_t> prompt = Ids(300, 1);
    ASSERT_TRUE(session.Prefill({.ids = prompt, .method = method, .goes_on = true}).ok());
    for (int turn = 0; turn < 2; ++turn) {
      SCOPED_TRACE(turn);
      ASSERT_TRUE(session.Decode({.max_new_tokens = 5}).ok());
      const int64_t position = session.cache().next_position();
      ASSERT_TRUE(session.Append(Ids(60, 2 + turn), nullptr).ok());
      EXPECT_EQ(session.cache().next_position(), position + 61);
      EXPECT_EQ(session.num_tokens(), 300 + 65 * (turn + 1));
      const AllPositions before = PositionsIn(session);
      std::vector<std::vector<std::vector<std::vector<float>>>> entries(before.size());
      for (size_t layer = 0; layer < before.size(); ++layer) {
        for (size_t head = 0; head < before[layer].size(); ++head) {
          entries[layer].push_back(
              EntriesOf(session, static_cast<int64_t>(layer), static_cast<int64_t>(head)));
        }
      }
      const Result<CompressReport> report = session.Compress();
      if (method.name == "gemfilter" || method.name == "pyramidinfer") {
        EXPECT_EQ(report.status().code(), StatusCode::kUnsupported);
        EXPECT_THAT(report.status().message(), ::testing::HasSubstr(method.name));
        EXPECT_EQ(PositionsIn(session), before);
        continue;
      }
      ASSERT_TRUE(report.ok()) << report.status().message();
      EXPECT_EQ(report->reduced, method.name != "full");
      EXPECT_EQ(session.cache().next_position(), position + 61);
      if (method.name == "full") {
        EXPECT_EQ(PositionsIn(session), before);
        continue;
      }
      EXPECT_LT(report->kv_bytes_after, report->kv_bytes_before);
      EXPECT_EQ(report->kv_bytes_after, session.cache().bytes_held());
      ExpectReduced(session, before, entries, session.BudgetLens().value());
      for (const auto& layer : PositionsIn(session)) {
        for (const std::vector<int32_t>& positions : layer) {
          for (const int32_t wanted : {0, 1, 2, 120, 121, 122, 123}) {
            EXPECT_TRUE(std::binary_search(positions.begin(), positions.end(), wanted)) << wanted;
          }
        }
      }
      EXPECT_FALSE(session.Compress()->reduced);
    }
    if (method.name == "gemfilter" || method.name == "pyramidinfer") continue;
    // A fork goes on as its original does.
    Session fork = session.Fork().value();
    for (Session* each : {&fork, &session}) {
      ASSERT_TRUE(each->Decode({.max_new_tokens = 4}).ok());
      ASSERT_TRUE(each->Append(Ids(40, 8), nullptr).ok());
      ASSERT_TRUE(each->Compress().ok());
    }
    EXPECT_EQ(PositionsIn(fork), PositionsIn(session));
    EXPECT_EQ(fork.LastLogits().value(), session.LastLogits().value());
  }
}

INSTANTIATE_TEST_SUITE_P(Methods, TurnsTest, ::testing::ValuesIn(MethodsOfChats()), LabelOf);

// Rules that look at all rows see no more here than the last ones; with the first tokens of the
// prompt left out, nothing is missing.
TEST(CompressTest, ChoosesWhatThePromptOfAllTokensWouldKeep) {
  const auto engine = LoadTiny("llama");
  const std::vector<int32_t> ids = RandomIds(7, 64, engine->config().vocab_size);
  const std::span<const int32_t> all(ids);
  for (const std::string& rule : RetentionNames()) {
    SCOPED_TRACE(rule);
    MethodConfig method{.name = rule, .kv = Budget::Tokens(40), .window = 8, .kernel = 5};
    if (rule == "h2o") method.protect_first = 4;
    Session whole(*engine);
    ASSERT_TRUE(whole.Prefill({.ids = ids, .method = method}).ok());
    Session turns(*engine);
    ASSERT_TRUE(turns.Prefill({.ids = all.first(4), .method = method, .goes_on = true}).ok());
    ASSERT_TRUE(turns.Append(all.subspan(4), nullptr).ok());
    ASSERT_EQ(turns.cache().tail_len(), 60);
    ASSERT_TRUE(turns.Compress()->reduced);
    EXPECT_EQ(PositionsIn(turns), PositionsIn(whole));
  }
}

// Bit for bit, where keys and values do not depend on how many rows are computed together: always
// on the reference, which adds up row by row, and on the CPU where both prompts compute the same
// rows.
TEST(TurnsOfOneChatTest, EqualOnePromptWithTheSameKeptEntries) {
  for (const auto& [device, name] : {std::pair{"reference", "snapkv"},
                                     {"reference", "adakv"},
                                     {"reference", "h2o"},
                                     {"cpu", "streamingllm"}}) {
    SCOPED_TRACE(name);
    const auto engine = LoadTiny("llama", device);
    const std::vector<int32_t> ids = RandomIds(11, 110, engine->config().vocab_size);
    const std::span<const int32_t> all(ids);
    Session full(*engine);
    ASSERT_TRUE(full.Prefill({.ids = all.first(60), .method = {.name = "full"}}).ok());
    Session session(*engine);
    const MethodConfig method{.name = name, .kv = Budget::Tokens(20), .window = 8};
    ASSERT_TRUE(session.Prefill({.ids = all.first(60), .method = method, .goes_on = true}).ok());
    // The same entries, taken out of the cache of everything.
    KvCache kept = CacheOf(engine->backend(), full, PositionsIn(session));
    ASSERT_TRUE(session.Append(all.subspan(60, 30), nullptr).ok());
    EXPECT_EQ(AppendTo(*engine, kept, all.subspan(60, 30)), session.LastLogits().value());
    // And the same again once the rule has been applied again.
    Session uncompressed = session.Fork().value();
    ASSERT_TRUE(session.Compress()->reduced);
    KvCache kept_again = CacheOf(engine->backend(), uncompressed, PositionsIn(session));
    ASSERT_TRUE(session.Append(all.subspan(90), nullptr).ok());
    EXPECT_EQ(AppendTo(*engine, kept_again, all.subspan(90)), session.LastLogits().value());
  }
}

TEST(TurnsOfOneChatTest, EqualOnePromptOfBothWhereEverythingIsKept) {
  // The reference adds up row by row, so that blocks do not matter.
  const auto engine = LoadTiny("llama", "reference");
  const std::vector<int32_t> ids = RandomIds(12, 60, engine->config().vocab_size);
  const std::span<const int32_t> all(ids);
  Session whole(*engine);
  ASSERT_TRUE(whole.Prefill({.ids = ids, .method = {.name = "full"}}).ok());
  Session turns(*engine);
  const MethodConfig method{.name = "snapkv", .kv = Budget::Tokens(60)};
  ASSERT_TRUE(turns.Prefill({.ids = all.first(25), .method = method, .goes_on = true}).ok());
  ASSERT_TRUE(turns.Append(all.subspan(25), nullptr).ok());
  EXPECT_FALSE(turns.Compress()->reduced);
  EXPECT_EQ(turns.LastLogits().value(), whole.LastLogits().value());
}

TEST(TurnsOfOneChatTest, TheLastGeneratedTokenIsRunFirst) {
  const auto engine = MakeRandomEngine({.device = "cpu", .num_threads = 2});
  const std::vector<int32_t> ids = RandomIds(13, 90, engine->config().vocab_size);
  Session once(*engine);
  ASSERT_TRUE(once.Prefill({.ids = ids, .method = {.name = "snapkv"}}).ok());
  const std::vector<int32_t> expected = once.Decode({.max_new_tokens = 10})->output_ids;
  Session twice(*engine);
  ASSERT_TRUE(twice.Prefill({.ids = ids, .method = {.name = "snapkv"}}).ok());
  std::vector<int32_t> actual = twice.Decode({.max_new_tokens = 4})->output_ids;
  Session appended = twice.Fork().value();
  const std::vector<int32_t> rest = twice.Decode({.max_new_tokens = 6})->output_ids;
  actual.insert(actual.end(), rest.begin(), rest.end());
  EXPECT_EQ(actual, expected);
  // Of an append, too; and not where it was taken back.
  Session without = appended.Fork().value();
  const std::vector<int32_t> turn = {7, 8, 9};
  ASSERT_TRUE(appended.Append(turn, nullptr).ok());
  EXPECT_EQ(appended.cache().next_position(), 90 + 4 + 3);
  without.DiscardUnrunToken();
  ASSERT_TRUE(without.Append(turn, nullptr).ok());
  EXPECT_EQ(without.cache().next_position(), 90 + 3 + 3);
}

// Fails after so many allocations.
class CountdownAllocator final : public Allocator {
 public:
  void* Allocate(size_t num_bytes) override {
    if (left_ >= 0 && left_-- == 0) return nullptr;
    return SystemAllocator().Allocate(num_bytes);
  }
  void Free(void* data, size_t num_bytes) override { SystemAllocator().Free(data, num_bytes); }
  void FailAfter(int64_t count) { left_ = count; }
  void NeverFail() { left_ = -1; }

 private:
  int64_t left_ = -1;
};

TEST(TurnsOfOneChatTest, AFailedStepLeavesTheSessionAsItWas) {
  CountdownAllocator allocator;
  const auto engine =
      MakeRandomEngine({.device = "cpu", .num_threads = 2, .allocator = &allocator});
  const std::vector<int32_t> ids = RandomIds(14, 460, engine->config().vocab_size);
  const std::span<const int32_t> all(ids);
  for (const std::string name : {"h2o", "peak", "expected-attention"}) {
    SCOPED_TRACE(name);
    Session session(*engine);
    const MethodConfig method{.name = name, .kv = Budget::Tokens(48)};
    ASSERT_TRUE(session.Prefill({.ids = all.first(150), .method = method, .goes_on = true}).ok());
    ASSERT_TRUE(session.Decode({.max_new_tokens = 40}).ok());
    Session untouched = session.Fork().value();
    const AllPositions positions = PositionsIn(session);
    const std::vector<float> logits = session.LastLogits().value();
    CancelFlag cancelled;
    cancelled.Cancel();
    EXPECT_EQ(session.Append(all.first(3), &cancelled).code(), StatusCode::kCancelled);
    EXPECT_EQ(PositionsIn(session), positions);
    // In the tail's growth, after blocks that went through.
    Status status = MemoryError("");
    for (int64_t count = 0; !status.ok(); count += 5) {
      allocator.FailAfter(count);
      status = session.Append(all.subspan(150, 300), nullptr);
      allocator.NeverFail();
      if (status.ok()) break;
      ASSERT_EQ(status.code(), StatusCode::kMemory);
      ASSERT_EQ(PositionsIn(session), positions);
      ASSERT_EQ(session.LastLogits().value(), logits);
    }
    ASSERT_TRUE(untouched.Append(all.subspan(150, 300), nullptr).ok());
    EXPECT_EQ(session.LastLogits().value(), untouched.LastLogits().value());
    const AllPositions appended = PositionsIn(session);
    int64_t failures = 0;
    for (;; ++failures) {
      allocator.FailAfter(failures);
      const Result<CompressReport> report = session.Compress();
      allocator.NeverFail();
      if (report.ok()) break;
      ASSERT_EQ(report.status().code(), StatusCode::kMemory);
      ASSERT_EQ(PositionsIn(session), appended);
    }
    EXPECT_GT(failures, 10);
    // The rows that are remembered did not suffer either.
    ASSERT_TRUE(untouched.Compress()->reduced);
    EXPECT_EQ(PositionsIn(session), PositionsIn(untouched));
  }
}

TEST(TurnsOfOneChatTest, AFullContextIsRefusedAndTheSessionStays) {
  const auto engine = MakeRandomEngine({.device = "cpu", .num_threads = 2});
  const std::vector<int32_t> ids = RandomIds(15, 500, engine->config().vocab_size);
  Session session(*engine);
  ASSERT_TRUE(session.Prefill({.ids = ids, .method = {.name = "snapkv"}, .goes_on = true}).ok());
  ASSERT_TRUE(session.Decode({.max_new_tokens = 4}).ok());
  EXPECT_EQ(session.context_left(), 512 - 504);
  const std::vector<int32_t> turn(9, 5);
  const Status status = session.Append(turn, nullptr);
  EXPECT_EQ(status.code(), StatusCode::kLimit);
  EXPECT_THAT(status.message(), ::testing::HasSubstr("513"));
  EXPECT_THAT(status.message(), ::testing::HasSubstr("512"));
  ASSERT_TRUE(session.Append(std::span(turn).first(8), nullptr).ok());
  EXPECT_EQ(session.context_left(), 0);
  const Result<DecodeReport> decode = session.Decode({.max_new_tokens = 5});
  EXPECT_EQ(decode->output_ids.size(), 1U);
  EXPECT_EQ(decode->finish_reason, FinishReason::kContextFull);
  EXPECT_EQ(session.Decode({.max_new_tokens = 5})->finish_reason, FinishReason::kContextFull);
}

TEST(TurnsOfOneChatTest, TwentyTurnsStayInsideTheBudget) {
  ModelConfig config = RandomModelConfig();
  config.max_position_embeddings = 4096;
  const auto engine = MakeRandomEngine({.device = "cpu", .num_threads = 2}, config);
  TrackingAllocator& allocator = engine->backend().allocator();
  constexpr int64_t kTurnTokens = 40;
  constexpr int64_t kAnswerTokens = 12;
  constexpr int64_t kBudget = 64;
  for (const std::string name : {"fastkv", "adakv", "h2o"}) {
    SCOPED_TRACE(name);
    Session session(*engine);
    const std::vector<int32_t> prompt = RandomIds(16, 400, config.vocab_size);
    const MethodConfig method{.name = name, .kv = Budget::Tokens(kBudget)};
    ASSERT_TRUE(session.Prefill({.ids = prompt, .method = method, .goes_on = true}).ok());
    const int64_t entry_bytes = session.cache().geometry().EntryBytes();
    const int64_t heads = config.num_kv_heads;
    const auto cache_bytes = [&](int64_t entries) {
      return config.num_layers * heads * entries * entry_bytes;
    };
    // The tail grows in steps of 64.
    const int64_t most_held = cache_bytes(kBudget + 1) + cache_bytes(64);
    int64_t peak_before = 0;
    for (int turn = 1; turn <= 20; ++turn) {
      allocator.ResetPeak();
      ASSERT_TRUE(session.Decode({.max_new_tokens = kAnswerTokens}).ok());
      ASSERT_TRUE(
          session.Append(RandomIds(20 + turn, kTurnTokens, config.vocab_size), nullptr).ok());
      EXPECT_LE(session.cache().bytes_held(), most_held);
      ASSERT_TRUE(session.Compress()->reduced);
      EXPECT_LE(session.cache().bytes_held(), cache_bytes(kBudget + 1));
      EXPECT_EQ(session.num_tokens(), 400 + turn * (kTurnTokens + kAnswerTokens));
      // Heads of unequal lengths make the scratch of one layer vary a little.
      const int64_t peak = allocator.peak_bytes() - engine->weight_memory_bytes();
      if (turn <= 2) peak_before = peak;
      EXPECT_LE(peak, peak_before + peak_before / 4);
    }
  }
}

}  // namespace
}  // namespace fastkv
