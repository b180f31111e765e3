#include "kv/kv_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <vector>

namespace fastkv {
namespace {

using ::testing::ElementsAre;

constexpr KvGeometry kGeometry = {
    .num_layers = 2, .num_kv_heads = 2, .head_dim = 4, .dtype = DType::kF32};

class KvCacheTest : public ::testing::Test {
 protected:
  KvCacheTest() : backend_(CreateReferenceBackend({})) {}

  // Writes the entry's own number into every component of its key, and minus that into its value.
  void FillTail(KvCache& cache, int64_t begin, int64_t end) {
    for (int64_t i = 0; i < kGeometry.num_layers; ++i) {
      TensorView keys = cache.layer(i).TailKeys(begin, end);
      TensorView values = cache.layer(i).TailValues(begin, end);
      for (int64_t head = 0; head < 2; ++head) {
        for (int64_t entry = begin; entry < end; ++entry) {
          for (int64_t c = 0; c < 4; ++c) {
            const auto at = head * keys.stride(0) + (entry - begin) * 4 + c;
            keys.As<float>()[at] = static_cast<float>(1000 * head + entry);
            values.As<float>()[at] = -static_cast<float>(1000 * head + entry);
          }
        }
      }
    }
  }

  void ExpectTail(const KvCache& cache, int64_t tail_len) {
    const KvLayerView view = cache.layer(1).View(tail_len);
    for (int64_t head = 0; head < 2; ++head) {
      for (int64_t entry = 0; entry < tail_len; ++entry) {
        const auto at = head * view.tail_keys.stride(0) + entry * 4;
        ASSERT_EQ(view.tail_keys.As<float>()[at], static_cast<float>(1000 * head + entry));
        ASSERT_EQ(view.tail_values.As<float>()[at], -static_cast<float>(1000 * head + entry));
      }
    }
  }

  Status Reserve(KvCache& cache, std::vector<int64_t> head_len) {
    for (int64_t i = 0; i < kGeometry.num_layers; ++i) {
      FASTKV_RETURN_IF_ERROR(cache.layer(i).ReserveFrozen(*backend_, head_len));
    }
    return OkStatus();
  }

  std::unique_ptr<Backend> backend_;
};

// Positions are written ahead of the tokens; they stand after growth, taking back and forking.
TEST_F(KvCacheTest, TailPositionsGoOnOneByOne) {
  KvCache cache(*backend_, kGeometry);
  ASSERT_TRUE(Reserve(cache, {0, 0}).ok());
  cache.set_next_position(100);
  ASSERT_TRUE(cache.AppendTokens(3).ok());
  cache.RemoveLastTokens(2);
  ASSERT_TRUE(cache.AppendTokens(70).ok());
  KvCache fork = std::move(cache.Fork()).value();
  ASSERT_TRUE(fork.AppendTokens(200).ok());
  ASSERT_TRUE(cache.AppendTokens(1).ok());
  for (int64_t layer = 0; layer < kGeometry.num_layers; ++layer) {
    std::vector<int32_t> expected(72);
    std::iota(expected.begin(), expected.end(), 100);
    EXPECT_EQ(cache.PositionsOf(layer, 0).value(), expected);
    expected.resize(271);
    std::iota(expected.begin(), expected.end(), 100);
    EXPECT_EQ(fork.PositionsOf(layer, 0).value(), expected);
  }
}

TEST_F(KvCacheTest, CountsTheBytesItHolds) {
  KvCache cache(*backend_, kGeometry);
  EXPECT_EQ(cache.bytes_held(), 0);
  ASSERT_TRUE(Reserve(cache, {5, 3}).ok());
  EXPECT_EQ(cache.bytes_held(), 2 * (5 + 3) * kGeometry.EntryBytes());
  EXPECT_EQ(backend_->allocator().held_bytes(), cache.bytes_held());
}

TEST_F(KvCacheTest, HeadsMayHoldDifferentNumbersOfEntries) {
  KvCache cache(*backend_, kGeometry);
  ASSERT_TRUE(Reserve(cache, {5, 0}).ok());
  EXPECT_EQ(cache.layer(0).FrozenLen(0), 5);
  EXPECT_EQ(cache.layer(0).FrozenLen(1), 0);
  const KvLayerView view = cache.layer(0).View(0);
  EXPECT_THAT(std::vector<int64_t>(view.head_begin.begin(), view.head_begin.end()),
              ElementsAre(0, 5, 5));
}

TEST_F(KvCacheTest, TheTailGrowsWithoutLosingEntries) {
  KvCache cache(*backend_, kGeometry);
  ASSERT_TRUE(Reserve(cache, {1, 1}).ok());
  cache.set_next_position(100);
  for (int64_t i = 0; i < 300; ++i) {
    ASSERT_TRUE(cache.AppendTokens(1).ok());
    FillTail(cache, i, i + 1);
  }
  EXPECT_EQ(cache.next_position(), 400);
  ExpectTail(cache, 300);
  const int32_t* positions = cache.layer(0).View(300).tail_positions;
  for (int i = 0; i < 300; ++i) ASSERT_EQ(positions[i], 100 + i);
}

TEST_F(KvCacheTest, TokensCanBeTakenBack) {
  KvCache cache(*backend_, kGeometry);
  ASSERT_TRUE(Reserve(cache, {1, 1}).ok());
  ASSERT_TRUE(cache.AppendTokens(5).ok());
  FillTail(cache, 0, 5);
  cache.RemoveLastTokens(3);
  EXPECT_EQ(cache.tail_len(), 2);
  EXPECT_EQ(cache.next_position(), 2);
  ExpectTail(cache, 2);
}

TEST_F(KvCacheTest, PositionsFollowTheNextOneWhateverWasTakenBack) {
  KvCache cache(*backend_, kGeometry);
  ASSERT_TRUE(Reserve(cache, {1, 1}).ok());
  const auto tail_positions = [&](const KvCache& of) {
    const int32_t* positions = of.layer(1).View(of.tail_len()).tail_positions;
    return std::vector<int32_t>(positions, positions + of.tail_len());
  };
  cache.set_next_position(10);
  ASSERT_TRUE(cache.AppendTokens(3).ok());
  cache.RemoveLastTokens(2);
  ASSERT_TRUE(cache.AppendTokens(1).ok());
  EXPECT_THAT(tail_positions(cache), ElementsAre(10, 11));
  cache.set_next_position(50);
  ASSERT_TRUE(cache.AppendTokens(2).ok());
  EXPECT_THAT(tail_positions(cache), ElementsAre(10, 11, 50, 51));
  Result<KvCache> fork = cache.Fork();
  ASSERT_TRUE(fork.ok());
  ASSERT_TRUE(fork->AppendTokens(1).ok());
  EXPECT_THAT(tail_positions(*fork), ElementsAre(10, 11, 50, 51, 52));
}

TEST_F(KvCacheTest, AForkSharesTheFrozenPartAndOwnsItsTail) {
  KvCache cache(*backend_, kGeometry);
  ASSERT_TRUE(Reserve(cache, {3, 3}).ok());
  ASSERT_TRUE(cache.AppendTokens(2).ok());
  FillTail(cache, 0, 2);
  Result<KvCache> fork = cache.Fork();
  ASSERT_TRUE(fork.ok());
  EXPECT_EQ(fork->layer(0).View(2).frozen_keys.data(), cache.layer(0).View(2).frozen_keys.data());
  EXPECT_NE(fork->layer(0).View(2).tail_keys.data(), cache.layer(0).View(2).tail_keys.data());
  ExpectTail(*fork, 2);
  ASSERT_TRUE(fork->AppendTokens(1).ok());
  EXPECT_EQ(cache.tail_len(), 2);
  EXPECT_EQ(fork->tail_len(), 3);
}

TEST_F(KvCacheTest, ACopySharesNothing) {
  KvCache cache(*backend_, kGeometry);
  ASSERT_TRUE(Reserve(cache, {3, 2}).ok());
  auto* frozen = static_cast<float*>(
      const_cast<void*>(cache.layer(1).View(0).frozen_keys.data()));  // this test owns the cache
  for (int i = 0; i < 5 * 4; ++i) frozen[i] = static_cast<float>(i);
  cache.set_next_position(7);
  ASSERT_TRUE(cache.AppendTokens(2).ok());
  FillTail(cache, 0, 2);
  Result<KvCache> copy = cache.Copy();
  ASSERT_TRUE(copy.ok());
  std::fill_n(frozen, 5 * 4, -1.0F);
  const KvLayerView view = copy->layer(1).View(2);
  EXPECT_THAT(std::vector<int64_t>(view.head_begin.begin(), view.head_begin.end()),
              ElementsAre(0, 3, 5));
  for (int i = 0; i < 5 * 4; ++i) {
    ASSERT_EQ(view.frozen_keys.As<float>()[i], static_cast<float>(i));
  }
  ExpectTail(*copy, 2);
  EXPECT_NE(view.tail_keys.data(), cache.layer(1).View(2).tail_keys.data());
  EXPECT_EQ(copy->next_position(), 9);
  EXPECT_EQ(copy->bytes_held(), cache.bytes_held());
}

TEST_F(KvCacheTest, ACopyTakesTheRoomThatUnequalHeadsLeft) {
  KvCache cache(*backend_, kGeometry);
  for (int64_t i = 0; i < kGeometry.num_layers; ++i) {
    ASSERT_TRUE(cache.layer(i).ReserveFrozenEntries(*backend_, 6).ok());
    cache.layer(i).SetFrozenHeads(std::vector<int64_t>{1, 4});
  }
  const Result<KvCache> copy = cache.Copy();
  ASSERT_TRUE(copy.ok());
  EXPECT_EQ(copy->layer(0).FrozenLen(1), 4);
  EXPECT_EQ(copy->bytes_held(), cache.bytes_held());
}

TEST_F(KvCacheTest, AFrozenPartInIntegersHasAScaleForEachKeyAndValue) {
  KvGeometry geometry = kGeometry;
  geometry.int8_frozen = true;
  EXPECT_EQ(geometry.FrozenEntryBytes(), 2 * 4 + 2 * 4 + 4);
  EXPECT_EQ(geometry.EntryBytes(), kGeometry.EntryBytes());
  KvCache cache(*backend_, geometry);
  for (int64_t i = 0; i < geometry.num_layers; ++i) {
    ASSERT_TRUE(cache.layer(i).ReserveFrozen(*backend_, std::vector<int64_t>{3, 2}).ok());
    for (int64_t head = 0; head < 2; ++head) {
      const KvEntries entries = cache.layer(i).FrozenHead(head);
      ASSERT_EQ(entries.keys.dtype(), DType::kI8);
      ASSERT_EQ(entries.key_scales.dim(1), 3 - head);
      for (int64_t j = 0; j < 3 - head; ++j) {
        entries.key_scales.As<float>()[j] = static_cast<float>(10 * head + j);
        entries.value_scales.As<float>()[j] = -static_cast<float>(10 * head + j);
        for (int64_t c = 0; c < 4; ++c) {
          entries.keys.As<int8_t>()[4 * j + c] = static_cast<int8_t>(20 * head + 4 * j + c);
          entries.values.As<int8_t>()[4 * j + c] = static_cast<int8_t>(-20 * head - 4 * j - c);
        }
      }
    }
  }
  EXPECT_EQ(cache.bytes_held(), geometry.num_layers * 5 * geometry.FrozenEntryBytes());
  const KvCache copy = cache.Copy().value();
  EXPECT_EQ(copy.bytes_held(), cache.bytes_held());
  const KvLayerView view = copy.layer(1).View(0);
  const KvLayerView original = cache.layer(1).View(0);
  EXPECT_NE(view.frozen_key_scales, original.frozen_key_scales);
  EXPECT_EQ(cache.Fork()->layer(1).View(0).frozen_key_scales, original.frozen_key_scales);
  const std::vector<float> scales = {0, 1, 2, 10, 11};
  for (int64_t j = 0; j < 5; ++j) {
    EXPECT_EQ(view.frozen_key_scales[j], scales[j]);
    EXPECT_EQ(view.frozen_value_scales[j], -scales[j]);
    for (int64_t c = 0; c < 4; ++c) {
      const int64_t expected = j < 3 ? 4 * j + c : 20 + 4 * (j - 3) + c;
      EXPECT_EQ(view.frozen_keys.As<int8_t>()[4 * j + c], expected);
      EXPECT_EQ(view.frozen_values.As<int8_t>()[4 * j + c], -expected);
    }
  }
}

TEST_F(KvCacheTest, LengthsOfHeadsMayBeKnownAfterTheirMemory) {
  KvCache cache(*backend_, kGeometry);
  LayerKv& layer = cache.layer(0);
  ASSERT_TRUE(layer.ReserveFrozenEntries(*backend_, 8).ok());
  EXPECT_EQ(layer.FrozenLen(0), 0);
  EXPECT_EQ(cache.bytes_held(), 8 * kGeometry.EntryBytes());
  layer.SetFrozenHeads(std::vector<int64_t>{2, 5});
  EXPECT_EQ(layer.FrozenLen(1), 5);
  EXPECT_EQ(layer.FrozenHead(0).keys.dim(1), 2);
  EXPECT_EQ(layer.FrozenHead(1).values.dim(1), 5);
  const KvLayerView view = layer.View(0);
  EXPECT_EQ(view.frozen_keys.dim(0), 7);
  EXPECT_EQ(layer.FrozenHead(1).keys.data(), view.frozen_keys.Rows(2, 7).data());
  EXPECT_EQ(layer.FrozenHead(1).positions.data(), view.frozen_positions + 2);
}

TEST_F(KvCacheTest, TailsLoseEntriesLayerByLayer) {
  KvCache cache(*backend_, kGeometry);
  ASSERT_TRUE(Reserve(cache, {0, 0}).ok());
  ASSERT_TRUE(cache.ReserveTail(5).ok());
  EXPECT_EQ(cache.bytes_held(), 2 * (2 * 5 * 2 * 4 * 4 + 5 * 4));
  FillTail(cache, 0, 5);
  for (int64_t i = 0; i < 2; ++i) {
    auto* positions = cache.layer(i).TailPositions(0, 5).As<int32_t>();
    std::iota(positions, positions + 5, 10);
  }
  cache.set_next_position(15);
  ASSERT_TRUE(cache.AppendTokens(1).ok());
  FillTail(cache, 5, 6);
  Result<KvCache> fork = cache.Fork();
  ASSERT_TRUE(fork.ok());

  ASSERT_TRUE(cache.ReserveSpare().ok());
  std::vector<int32_t> indices = {0, 2, 3, 5, 1, 2, 4, 5};
  cache.KeepTail(TensorView(indices.data(), DType::kI32, {2, 4}));
  EXPECT_EQ(cache.tail_len(), 4);
  EXPECT_EQ(cache.next_position(), 16);
  EXPECT_THAT(cache.PositionsOf(0, 1).value(), ElementsAre(10, 12, 13, 15));
  EXPECT_THAT(cache.PositionsOf(1, 0).value(), ElementsAre(11, 12, 14, 15));
  const KvLayerView view = cache.layer(1).View(4);
  for (int64_t head = 0; head < 2; ++head) {
    for (int64_t entry = 0; entry < 4; ++entry) {
      const auto expected = static_cast<float>(1000 * head + indices[4 + entry]);
      EXPECT_EQ(view.tail_keys.As<float>()[head * view.tail_keys.stride(0) + 4 * entry], expected);
      EXPECT_EQ(view.tail_values.As<float>()[head * view.tail_values.stride(0) + 4 * entry],
                -expected);
    }
  }
  // The fork is left alone, and both go on.
  ExpectTail(*fork, 6);
  EXPECT_EQ(fork->PositionsOf(0, 0)->size(), 6U);
  ASSERT_TRUE(cache.AppendTokens(200).ok());
  EXPECT_EQ(cache.PositionsOf(1, 0)->at(4), 16);
}

// Refuses after a set number of allocations.
class FailingAllocator final : public Allocator {
 public:
  explicit FailingAllocator(int64_t allowed) : allowed_(allowed) {}
  void* Allocate(size_t num_bytes) override {
    return allowed_-- > 0 ? SystemAllocator().Allocate(num_bytes) : nullptr;
  }
  void Free(void* data, size_t num_bytes) override { SystemAllocator().Free(data, num_bytes); }

 private:
  int64_t allowed_;
};

TEST_F(KvCacheTest, AFailedAppendLeavesTheCacheAsItWas) {
  for (int64_t allowed = 6; allowed < 12; ++allowed) {  // 6 allocations reserve the frozen parts
    FailingAllocator allocator(allowed);
    backend_ = CreateReferenceBackend({}, &allocator);
    KvCache cache(*backend_, kGeometry);
    ASSERT_TRUE(Reserve(cache, {1, 1}).ok());
    const Status status = cache.AppendTokens(1);
    EXPECT_EQ(status.code(), StatusCode::kMemory) << allowed;
    EXPECT_EQ(cache.tail_len(), 0);
    EXPECT_EQ(cache.next_position(), 0);
  }
}

}  // namespace
}  // namespace fastkv
