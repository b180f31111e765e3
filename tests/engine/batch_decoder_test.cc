// Sequences decoded together give what each gives alone.
#include "engine/batch_decoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "engine/model_shape.h"
#include "engine/prefill.h"
#include "engine/sampler.h"
#include "engine/session.h"
#include "engine/token_decoder.h"
#include "tests/engine/random_engine.h"

namespace fastkv {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kSteps = 12;

struct Decoded {
  std::vector<int32_t> ids;
  std::vector<std::vector<float>> logits;  // [steps][vocab_size]
};

class BatchDecoderTest : public ::testing::TestWithParam<const char*> {
 protected:
  BatchDecoderTest() : engine_(MakeRandomEngine({.device = GetParam()})) {}

  Backend& backend() { return engine_->backend(); }

  // A prompt of its own length and method for each sequence.
  std::vector<Session> Prompts(int64_t count) {
    std::vector<Session> sessions;
    for (int64_t i = 0; i < count; ++i) {
      sessions.emplace_back(*engine_);
      const std::vector<int32_t> ids =
          RandomIds(100 + i, 40 + 17 * i, engine_->config().vocab_size);
      const Status status =
          sessions.back().Prefill({.ids = ids, .method = {.name = i % 2 == 0 ? "full" : "fastkv"}});
      EXPECT_TRUE(status.ok()) << status.message();
    }
    return sessions;
  }

  int32_t FirstId(const Session& session) {
    const std::vector<float> logits = session.LastLogits().value();
    return static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
  }

  std::vector<float> HostRow(ConstTensorView logits, int64_t row) {
    std::vector<float> host(logits.dim(1));
    EXPECT_TRUE(backend()
                    .CopyToHost(host.data(), logits.Rows(row, row + 1).data(),
                                4 * static_cast<int64_t>(host.size()))
                    .ok());
    return host;
  }

  Decoded Alone(KvCache& cache, int32_t id) {
    TokenDecoder decoder = TokenDecoder::Create(backend(), engine_->model(), 1).value();
    const Buffer choice = backend().Allocate(4, "choice").value();
    Decoded decoded;
    for (int64_t i = 0; i < kSteps; ++i) {
      EXPECT_TRUE(decoder.Append(cache, {&id, 1}, nullptr, nullptr).ok());
      id = Sampler::Greedy(backend(), decoder.logits(), choice).value();
      decoded.ids.push_back(id);
      decoded.logits.push_back(HostRow(decoder.logits(), 0));
    }
    return decoded;
  }

  std::vector<Decoded> Together(std::vector<KvCache>& caches, std::vector<int32_t> ids) {
    const auto count = static_cast<int64_t>(caches.size());
    BatchDecoder decoder = BatchDecoder::Create(backend(), engine_->model(), count).value();
    std::vector<BatchSequence> pointers;
    for (KvCache& cache : caches) pointers.push_back({.cache = &cache});
    std::vector<Decoded> decoded(caches.size());
    for (int64_t i = 0; i < kSteps; ++i) {
      EXPECT_TRUE(decoder.Step(pointers, ids, nullptr).ok());
      ids = decoder.GreedyIds().value();
      for (int64_t s = 0; s < count; ++s) {
        decoded[s].ids.push_back(ids[s]);
        decoded[s].logits.push_back(HostRow(decoder.logits(), s));
      }
    }
    return decoded;
  }

  std::unique_ptr<Engine> engine_;
};

TEST_P(BatchDecoderTest, GivesWhatEachSequenceGivesAlone) {
  for (const int64_t count : {1, 2, 5, 8, 11}) {
    std::vector<Session> sessions = Prompts(count);
    std::vector<KvCache> caches;
    std::vector<int32_t> first_ids;
    for (Session& session : sessions) {
      caches.push_back(session.cache().Copy().value());
      first_ids.push_back(FirstId(session));
    }
    const std::vector<Decoded> together = Together(caches, first_ids);
    for (int64_t s = 0; s < count; ++s) {
      SCOPED_TRACE(testing::Message() << count << " sequences, sequence " << s);
      const Decoded alone = Alone(sessions[s].cache(), first_ids[s]);
      EXPECT_EQ(together[s].ids, alone.ids);
      for (int64_t i = 0; i < kSteps; ++i) {
        // Up to eight rows go through the kernels that one row goes through: the same bits. More
        // are added up in another order, which rounds bf16 activations otherwise here and there.
        const bool is_bf16 = backend().types().activation == DType::kBF16;
        const double tolerance = count <= 8 ? 0 : is_bf16 ? 1e-2 : 1e-4;
        for (size_t token = 0; token < alone.logits[i].size(); ++token) {
          ASSERT_NEAR(together[s].logits[i][token], alone.logits[i][token], tolerance);
        }
      }
      EXPECT_EQ(caches[s].next_position(), sessions[s].cache().next_position());
      EXPECT_EQ(caches[s].tail_len(), kSteps);
    }
  }
}

// Two sequences that drop entries while decoding, beside one that keeps everything.
TEST_P(BatchDecoderTest, DropsTheEntriesThatEachSequenceDropsAlone) {
  constexpr int64_t kLongSteps = 40;
  struct Read {
    KvCache cache;
    std::optional<TailEviction> eviction;
  };
  const auto read = [&](int64_t i) {
    const std::unique_ptr<Method> method =
        CreateMethod({.name = i == 2 ? "full" : "pyramidinfer"}, ShapeOf(engine_->config()))
            .value();
    const std::vector<int32_t> ids = RandomIds(i, 120 + 7 * i, engine_->config().vocab_size);
    std::unique_ptr<Prefill> prefill =
        Prefill::Start(backend(), engine_->model(), *method, ids, {}).value();
    while (!prefill->done()) EXPECT_TRUE(prefill->Step().ok());
    return Read{prefill->TakeCache(), prefill->TakeEviction()};
  };
  std::vector<Read> together;
  std::vector<BatchSequence> sequences;
  std::vector<int32_t> ids = {3, 5, 7};
  for (int64_t i = 0; i < 3; ++i) together.push_back(read(i));
  for (Read& one : together) {
    sequences.push_back({&one.cache, one.eviction.has_value() ? &*one.eviction : nullptr});
  }
  BatchDecoder batch = BatchDecoder::Create(backend(), engine_->model(), 3).value();
  std::vector<std::vector<int32_t>> ids_together;
  for (int64_t step = 0; step < kLongSteps; ++step) {
    ASSERT_TRUE(batch.Step(sequences, ids, nullptr).ok());
    ids = batch.GreedyIds().value();
    ids_together.push_back(ids);
  }
  for (int64_t i = 0; i < 3; ++i) {
    Read alone = read(i);
    TailEviction* eviction = alone.eviction.has_value() ? &*alone.eviction : nullptr;
    TokenDecoder decoder = TokenDecoder::Create(backend(), engine_->model(), 1).value();
    const Buffer choice = backend().Allocate(4, "choice").value();
    int32_t id = 3 + 2 * static_cast<int32_t>(i);
    for (int64_t step = 0; step < kLongSteps; ++step) {
      ASSERT_TRUE(decoder.Append(alone.cache, {&id, 1}, eviction, nullptr).ok());
      id = Sampler::Greedy(backend(), decoder.logits(), choice).value();
      ASSERT_EQ(ids_together[step][i], id) << "sequence " << i << ", step " << step;
    }
    EXPECT_EQ(together[i].cache.tail_len(), alone.cache.tail_len());
    for (int64_t layer = 0; layer < engine_->config().num_layers; ++layer) {
      EXPECT_EQ(together[i].cache.PositionsOf(layer, 1).value(),
                alone.cache.PositionsOf(layer, 1).value());
    }
  }
}

TEST_P(BatchDecoderTest, ACancelledStepLeavesTheCachesAsTheyWere) {
  std::vector<Session> sessions = Prompts(2);
  const std::vector<BatchSequence> sequences = {{.cache = &sessions[0].cache()},
                                                {.cache = &sessions[1].cache()}};
  const std::vector<int32_t> ids = {1, 2};
  BatchDecoder decoder = BatchDecoder::Create(backend(), engine_->model(), 2).value();
  CancelFlag cancel;
  cancel.Cancel();
  EXPECT_EQ(decoder.Step(sequences, ids, &cancel).code(), StatusCode::kCancelled);
  for (int s = 0; s < 2; ++s) {
    EXPECT_EQ(sequences[s].cache->tail_len(), 0);
    EXPECT_EQ(sequences[s].cache->next_position(), 40 + 17 * s);
  }
  EXPECT_TRUE(decoder.Step(sequences, ids, nullptr).ok());
}

TEST_P(BatchDecoderTest, AnEngineOfRandomWeightsHasNoTokenizer) {
  const Result<const Tokenizer*> tokenizer = engine_->tokenizer();
  ASSERT_FALSE(tokenizer.ok());
  EXPECT_THAT(tokenizer.status().message(), HasSubstr("token ids"));
}

std::vector<const char*> Devices() {
  std::vector<const char*> devices = {"cpu", "reference"};
  if (!ListCudaDevices().empty()) devices.push_back("cuda");
  return devices;
}

INSTANTIATE_TEST_SUITE_P(Devices, BatchDecoderTest, ::testing::ValuesIn(Devices()),
                         [](const auto& device) { return std::string(device.param); });

// Fails the nth allocation and every later one.
class LimitedAllocator final : public Allocator {
 public:
  void* Allocate(size_t num_bytes) override {
    return remaining-- > 0 ? SystemAllocator().Allocate(num_bytes) : nullptr;
  }
  void Free(void* data, size_t num_bytes) override { SystemAllocator().Free(data, num_bytes); }

  int64_t remaining = INT64_MAX;
};

TEST(BatchDecoderMemory, AStepWithoutMemoryLeavesTheCachesAsTheyWere) {
  LimitedAllocator allocator;
  const std::unique_ptr<Engine> engine =
      MakeRandomEngine({.device = "cpu", .allocator = &allocator});
  const std::vector<int32_t> prompt = RandomIds(7, 30, engine->config().vocab_size);
  Session first(*engine);
  Session second(*engine);
  ASSERT_TRUE(first.Prefill({.ids = prompt, .method = {.name = "full"}}).ok());
  ASSERT_TRUE(second.Prefill({.ids = prompt, .method = {.name = "full"}}).ok());
  BatchDecoder decoder = BatchDecoder::Create(engine->backend(), engine->model(), 2).value();
  const std::vector<BatchSequence> sequences = {{.cache = &first.cache()},
                                                {.cache = &second.cache()}};
  const std::vector<int32_t> ids = {1, 2};
  bool succeeded = false;
  for (int64_t allowed = 0; !succeeded; ++allowed) {
    ASSERT_LT(allowed, 100);
    allocator.remaining = allowed;
    const Status status = decoder.Step(sequences, ids, nullptr);
    succeeded = status.ok();
    if (succeeded) break;
    EXPECT_EQ(status.code(), StatusCode::kMemory);
    for (const BatchSequence& sequence : sequences) {
      EXPECT_EQ(sequence.cache->tail_len(), 0);
      EXPECT_EQ(sequence.cache->next_position(), 30);
    }
  }
  allocator.remaining = INT64_MAX;
}

}  // namespace
}  // namespace fastkv
