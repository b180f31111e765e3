// Attention by products of pairs of bf16 against plain loops in double precision, at every level
// that this processor has: the levels without such products run the same blocks through float32.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "backend/cpu/cpu_features.h"
#include "backend/cpu/operations.h"
#include "backend/cpu/pair_attention_tile.h"
#include "base/float16.h"
#include "base/random.h"

namespace fastkv::cpu {
namespace {

constexpr ComputeTypes kBF16Types = {.activation = DType::kBF16, .kv = DType::kBF16};

std::vector<CpuLevel> LevelsHere() {
  std::vector<CpuLevel> levels = {CpuLevel::kGeneric};
  for (CpuLevel level :
       {CpuLevel::kAvx2, CpuLevel::kAvx512, CpuLevel::kAvx512Bf16, CpuLevel::kAmx}) {
    if (DetectCpuLevel() >= level) levels.push_back(level);
  }
  return levels;
}

std::vector<BFloat16> RandomValues(int64_t count, float deviation, uint64_t seed) {
  Random random(seed);
  std::vector<BFloat16> values(static_cast<size_t>(count));
  for (BFloat16& value : values) {
    value = ToBFloat16(deviation * static_cast<float>(random.NextGaussian()));
  }
  return values;
}

struct Sizes {
  int64_t num_q_heads = 4;
  int64_t num_kv_heads = 2;
  int64_t head_dim = 64;
  int64_t q_start = 0;
  int64_t q_len = 1;
  int64_t later_entries = 0;  // of unset numbers, behind the last row's own
  int64_t window = 0;
  float deviation = 1;  // of queries and keys
  // Keys grow by this factor every 128 entries, so that later scores dwarf earlier ones.
  float growth = 1;
};

// The inputs of one call, and what plain loops make of them.
class Problem {
 public:
  explicit Problem(const Sizes& sizes)
      : sizes_(sizes), kv_len_(sizes.q_start + sizes.q_len + sizes.later_entries) {
    q_ = RandomValues(sizes.q_len * sizes.num_q_heads * sizes.head_dim, sizes.deviation, 1);
    keys_ = RandomValues(sizes.num_kv_heads * kv_len_ * sizes.head_dim, sizes.deviation, 2);
    values_ = RandomValues(sizes.num_kv_heads * kv_len_ * sizes.head_dim, 1, 3);
    for (int64_t a = 0; a < sizes.num_kv_heads; ++a) {
      for (int64_t j = 0; j < kv_len_; ++j) {
        const bool unset = j >= sizes.q_start + sizes.q_len;
        const float factor = std::pow(sizes.growth, static_cast<float>(j / 128));
        for (int64_t c = 0; c < sizes.head_dim; ++c) {
          const size_t at = Entry(a, j, c);
          keys_[at] = ToBFloat16(unset ? NAN : factor * ToFloat(keys_[at]));
          if (unset) values_[at] = ToBFloat16(NAN);
        }
      }
    }
    for (int64_t j = 0; j < kv_len_; ++j) positions_.push_back(static_cast<int32_t>(3 * j));
  }

  // Rows [begin, end) of q; out [q_len, num_q_heads, head_dim] and log_sum_exp [q_len,
  // num_q_heads].
  void Run(const Context& context, int64_t begin, int64_t end, std::vector<BFloat16>& out,
           std::vector<float>& log_sum_exp) const {
    const Sizes& s = sizes_;
    const ConstTensorView q(q_.data(), DType::kBF16, {s.q_len, s.num_q_heads, s.head_dim});
    const TensorView out_view(out.data(), DType::kBF16, {s.q_len, s.num_q_heads * s.head_dim});
    const TensorView sums(log_sum_exp.data(), DType::kF32, {s.q_len, s.num_q_heads});
    PrefillAttentionInPairs(
        context,
        {.q = q.Rows(begin, end),
         .keys = ConstTensorView(keys_.data(), DType::kBF16, {s.num_kv_heads, kv_len_, s.head_dim}),
         .values =
             ConstTensorView(values_.data(), DType::kBF16, {s.num_kv_heads, kv_len_, s.head_dim}),
         .q_start = s.q_start + begin,
         .scale = Scale(),
         .window = s.window,
         .positions = positions_.data(),
         .out = out_view.Rows(begin, end),
         .log_sum_exp = sums.Rows(begin, end)});
  }

  // Of row i and query head h: the exact output, and the logarithm of the scores' sum.
  double Expected(int64_t i, int64_t h, std::vector<double>& out) const {
    const Sizes& s = sizes_;
    const int64_t a = h / (s.num_q_heads / s.num_kv_heads);
    const int64_t own = s.q_start + i;
    std::vector<double> scores;
    int64_t first = -1;
    for (int64_t j = 0; j <= own; ++j) {
      if (s.window > 0 && positions_[own] - positions_[j] >= s.window) continue;
      if (first < 0) first = j;
      double score = 0;
      for (int64_t c = 0; c < s.head_dim; ++c) {
        score += double{ToFloat(q_[(i * s.num_q_heads + h) * s.head_dim + c])} *
                 ToFloat(keys_[Entry(a, j, c)]);
      }
      scores.push_back(score * Scale());
    }
    const double max = *std::max_element(scores.begin(), scores.end());
    double sum = 0;
    out.assign(static_cast<size_t>(s.head_dim), 0);
    for (size_t k = 0; k < scores.size(); ++k) {
      const double p = std::exp(scores[k] - max);
      sum += p;
      for (int64_t c = 0; c < s.head_dim; ++c) {
        out[static_cast<size_t>(c)] +=
            p * ToFloat(values_[Entry(a, first + static_cast<int64_t>(k), c)]);
      }
    }
    for (double& x : out) x /= sum;
    return max + std::log(sum);
  }

  void ExpectRight(const Context& context) const {
    const Sizes& s = sizes_;
    std::vector<BFloat16> out(static_cast<size_t>(s.q_len * s.num_q_heads * s.head_dim));
    std::vector<float> log_sum_exp(static_cast<size_t>(s.q_len * s.num_q_heads), NAN);
    std::fill(out.begin(), out.end(), ToBFloat16(NAN));
    Run(context, 0, s.q_len, out, log_sum_exp);
    std::vector<double> expected;
    for (int64_t i = 0; i < s.q_len; ++i) {
      for (int64_t h = 0; h < s.num_q_heads; ++h) {
        const double expected_sum = Expected(i, h, expected);
        ASSERT_NEAR(log_sum_exp[i * s.num_q_heads + h], expected_sum,
                    1e-5 * (1 + std::abs(expected_sum)))
            << "row " << i << ", head " << h;
        double squares = 0;
        for (double x : expected) squares += x * x;
        const double rms = std::sqrt(squares / static_cast<double>(s.head_dim));
        for (int64_t c = 0; c < s.head_dim; ++c) {
          const float got = ToFloat(out[(i * s.num_q_heads + h) * s.head_dim + c]);
          const double want = expected[static_cast<size_t>(c)];
          ASSERT_NEAR(got, want, 0.016 * rms + 0.008 * std::abs(want))
              << "row " << i << ", head " << h << ", column " << c;
        }
      }
    }
  }

  const Sizes& sizes() const { return sizes_; }

 private:
  size_t Entry(int64_t a, int64_t j, int64_t c) const {
    return static_cast<size_t>((a * kv_len_ + j) * sizes_.head_dim + c);
  }
  float Scale() const { return 1 / std::sqrt(static_cast<float>(sizes_.head_dim)); }

  Sizes sizes_;
  int64_t kv_len_;
  std::vector<BFloat16> q_, keys_, values_;
  std::vector<int32_t> positions_;
};

class PairAttention : public testing::TestWithParam<CpuLevel> {
 protected:
  // A context of `num_threads`; `allocator_` outlives it.
  Context Make(int num_threads) {
    auto context = Context::Create(GetParam(), num_threads, kBF16Types, allocator_);
    EXPECT_TRUE(context.ok());
    return std::move(context).value();
  }
  TrackingAllocator allocator_{SystemAllocator()};
};

TEST_P(PairAttention, MatchesDouble) {
  const Context context = Make(2);
  const Sizes cases[] = {
      {.q_len = 1},
      {.q_len = 33},
      {.q_start = 127, .q_len = 3},
      {.q_start = 128, .q_len = 130, .later_entries = 3},
      {.num_q_heads = 6, .head_dim = 128, .q_start = 37, .q_len = 65, .later_entries = 70},
      {.num_q_heads = 9, .num_kv_heads = 3, .q_start = 300, .q_len = 70},
      {.num_q_heads = 7, .num_kv_heads = 1, .head_dim = 80, .q_start = 40, .q_len = 21},
      {.num_q_heads = 2, .head_dim = 16, .q_start = 5, .q_len = 50},
      {.num_q_heads = 2, .num_kv_heads = 1, .head_dim = 512, .q_start = 20, .q_len = 9},
      {.num_q_heads = 40, .num_kv_heads = 1, .head_dim = 33, .q_start = 90, .q_len = 5},
  };
  for (const Sizes& sizes : cases) {
    SCOPED_TRACE(testing::Message() << sizes.num_q_heads << " heads of " << sizes.head_dim << ", "
                                    << sizes.q_len << " rows from " << sizes.q_start);
    Problem(sizes).ExpectRight(context);
  }
}

TEST_P(PairAttention, SeesItsWindowOnly) {
  const Context context = Make(2);
  for (int64_t window : {1, 30, 390, 100'000}) {
    SCOPED_TRACE(window);
    Problem({.q_start = 251, .q_len = 67, .later_entries = 4, .window = window})
        .ExpectRight(context);
    Problem({.q_len = 300, .window = window}).ExpectRight(context);
  }
}

TEST_P(PairAttention, FollowsScoresThatGrowWithoutBound) {
  const Context context = Make(1);
  Problem({.q_start = 700, .q_len = 20, .growth = 4}).ExpectRight(context);
  Problem({.q_start = 700, .q_len = 20, .growth = 0.25f}).ExpectRight(context);
  Problem({.q_start = 300, .q_len = 40, .deviation = 6}).ExpectRight(context);
  Problem({.q_start = 300, .q_len = 40, .deviation = 0}).ExpectRight(context);
}

TEST_P(PairAttention, DependsOnNeitherThreadsNorBlocks) {
  for (const int64_t window : {0, 600}) {
    const Problem problem({.num_q_heads = 6, .q_len = 520, .window = window, .deviation = 3});
    const Sizes& s = problem.sizes();
    const size_t num_rows = static_cast<size_t>(s.q_len * s.num_q_heads);
    const auto run = [&](int num_threads, int64_t block) {
      const Context context = Make(num_threads);
      std::vector<BFloat16> out(num_rows * static_cast<size_t>(s.head_dim));
      std::vector<float> log_sum_exp(num_rows);
      for (int64_t begin = 0; begin < s.q_len; begin += block) {
        problem.Run(context, begin, std::min(begin + block, s.q_len), out, log_sum_exp);
      }
      std::vector<char> bytes(out.size() * sizeof(BFloat16) + num_rows * sizeof(float));
      std::memcpy(bytes.data(), out.data(), out.size() * sizeof(BFloat16));
      std::memcpy(bytes.data() + out.size() * sizeof(BFloat16), log_sum_exp.data(),
                  num_rows * sizeof(float));
      return bytes;
    };
    const std::vector<char> whole = run(1, s.q_len);
    for (int num_threads : {2, 3, 7}) EXPECT_EQ(whole, run(num_threads, s.q_len)) << num_threads;
    for (int64_t block : {7, 100, 257}) EXPECT_EQ(whole, run(2, block)) << block;
  }
}

// More values than the shared scratch holds: the last blocks are packed by each tile.
TEST_P(PairAttention, PacksWhatTheScratchDoesNotHold) {
  const Context context = Make(2);
  const int64_t held = 2 * Context::kSharedScratchFloats / PairAttentionTile::PackedValues(512);
  const Sizes sizes{.num_q_heads = 1,
                    .num_kv_heads = 1,
                    .head_dim = 512,
                    .q_start = (held + 1) * kPairKeys,
                    .q_len = 400};
  Problem problem(sizes);
  std::vector<BFloat16> out(static_cast<size_t>(sizes.q_len * sizes.head_dim));
  std::vector<float> log_sum_exp(static_cast<size_t>(sizes.q_len));
  problem.Run(context, 0, sizes.q_len, out, log_sum_exp);
  std::vector<double> expected;
  for (int64_t i : {0, 255, 399}) {
    EXPECT_NEAR(log_sum_exp[static_cast<size_t>(i)], problem.Expected(i, 0, expected), 1e-4);
    for (int64_t c : {0, 77, 511}) {
      EXPECT_NEAR(ToFloat(out[static_cast<size_t>(i * sizes.head_dim + c)]),
                  expected[static_cast<size_t>(c)], 2e-3);
    }
  }
}

TEST_P(PairAttention, NanSpreadsToTheRowsThatSeeIt) {
  const Context context = Make(1);
  const int64_t head_dim = 32;
  std::vector<BFloat16> q(2 * head_dim, ToBFloat16(0.5f));
  std::vector<BFloat16> keys(2 * head_dim, ToBFloat16(0.5f));
  std::vector<BFloat16> values = keys;
  keys.back() = ToBFloat16(NAN);
  std::vector<BFloat16> out(2 * head_dim);
  const auto view = [&](std::vector<BFloat16>& data) {
    return TensorView(data.data(), DType::kBF16, {1, 2, head_dim});
  };
  PrefillAttentionInPairs(context, {.q = TensorView(q.data(), DType::kBF16, {2, 1, head_dim}),
                                    .keys = view(keys),
                                    .values = view(values),
                                    .out = TensorView(out.data(), DType::kBF16, {2, head_dim})});
  EXPECT_EQ(ToFloat(out.front()), 0.5f);
  EXPECT_TRUE(std::isnan(ToFloat(out.back())));
}

INSTANTIATE_TEST_SUITE_P(Levels, PairAttention, testing::ValuesIn(LevelsHere()),
                         [](const testing::TestParamInfo<CpuLevel>& info) {
                           return std::string(CpuLevelName(info.param));
                         });

}  // namespace
}  // namespace fastkv::cpu
