#include "engine/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>
#include <vector>

namespace fastkv {
namespace {

class SamplerTest : public ::testing::Test {
 protected:
  SamplerTest() : backend_(CreateReferenceBackend({})) {}

  Sampler Create(const SamplingOptions& options, std::vector<int32_t> prompt = {}) {
    return Sampler::Create(*backend_, options, 6, prompt).value();
  }
  Result<int32_t> Next(Sampler& sampler, std::vector<float> logits) {
    return sampler.Next(
        TensorView(logits.data(), DType::kF32, {1, static_cast<int64_t>(logits.size())}));
  }
  // How often each id comes in `count` draws from the same logits.
  std::map<int32_t, int> Draw(const SamplingOptions& options, const std::vector<float>& logits,
                              int count) {
    Sampler sampler = Create(options);
    std::map<int32_t, int> drawn;
    for (int i = 0; i < count; ++i) ++drawn[Next(sampler, logits).value()];
    return drawn;
  }

  const std::vector<float> kLogits = {0.0F, 3.0F, 2.0F, 1.0F, -1.0F, 2.5F};
  std::unique_ptr<Backend> backend_;
};

TEST_F(SamplerTest, GreedyTakesTheLowestOfEqualLogits) {
  Sampler sampler = Create({});
  EXPECT_EQ(Next(sampler, kLogits).value(), 1);
  EXPECT_EQ(Next(sampler, {1, 4, 4, 0, 0, 4}).value(), 1);
}

TEST_F(SamplerTest, RefusesLogitsThatAreNotFinite) {
  for (const SamplingOptions& options : {SamplingOptions{}, SamplingOptions{.temperature = 1},
                                         SamplingOptions{.repetition_penalty = 1.1}}) {
    Sampler sampler = Create(options);
    EXPECT_EQ(Next(sampler, {0, 1, NAN, 0, 0, 0}).status().code(), StatusCode::kNumeric);
    EXPECT_EQ(Next(sampler, {0, 1, INFINITY, 0, 0, 0}).status().code(), StatusCode::kNumeric);
    EXPECT_TRUE(Next(sampler, {0, 1, -INFINITY, 0, 0, 0}).ok());
  }
}

TEST_F(SamplerTest, DrawsInTheSoftmaxsProportions) {
  constexpr int kDraws = 20000;
  const std::map<int32_t, int> drawn = Draw({.temperature = 2, .seed = 5}, kLogits, kDraws);
  double sum = 0;
  for (float logit : kLogits) sum += std::exp(logit / 2);
  for (int32_t id = 0; id < 6; ++id) {
    const double expected = std::exp(kLogits[id] / 2) / sum;
    // Five standard deviations.
    const double slack = 5 * std::sqrt(expected * (1 - expected) / kDraws);
    EXPECT_NEAR(drawn.at(id) / static_cast<double>(kDraws), expected, slack) << id;
  }
}

TEST_F(SamplerTest, TopKTopPAndMinPLimitWhatIsDrawn) {
  const auto ids = [](const std::map<int32_t, int>& drawn) {
    std::set<int32_t> set;
    for (const auto& [id, count] : drawn) set.insert(id);
    return set;
  };
  EXPECT_EQ(ids(Draw({.temperature = 5, .top_k = 2}, kLogits, 500)), (std::set<int32_t>{1, 5}));
  // Probabilities at temperature 1: 0.467, 0.283, 0.172, ...; two of them reach 0.7.
  EXPECT_EQ(ids(Draw({.temperature = 1, .top_p = 0.7}, kLogits, 500)), (std::set<int32_t>{1, 5}));
  // exp(2 - 3) = 0.37 of the best stays, exp(1 - 3) = 0.14 goes.
  EXPECT_EQ(ids(Draw({.temperature = 1, .min_p = 0.3}, kLogits, 500)),
            (std::set<int32_t>{1, 2, 5}));
  EXPECT_EQ(ids(Draw({.temperature = 1, .top_p = 1e-9}, kLogits, 50)), (std::set<int32_t>{1}));
}

TEST_F(SamplerTest, TheSeedDecides) {
  const auto sequence = [&](uint64_t seed) {
    Sampler sampler = Create({.temperature = 1.5, .seed = seed});
    std::vector<int32_t> ids;
    for (int i = 0; i < 40; ++i) ids.push_back(Next(sampler, kLogits).value());
    return ids;
  };
  EXPECT_EQ(sequence(7), sequence(7));
  EXPECT_NE(sequence(7), sequence(8));
}

TEST_F(SamplerTest, ThePenaltyCountsPromptAndOutput) {
  Sampler sampler = Create({.repetition_penalty = 2}, {1});
  EXPECT_EQ(Next(sampler, kLogits).value(), 5);  // 3.0 became 1.5
  EXPECT_EQ(Next(sampler, kLogits).value(), 2);  // and 2.5 became 1.25
}

TEST_F(SamplerTest, ChecksItsOptions) {
  for (const SamplingOptions& wrong :
       {SamplingOptions{.temperature = -1}, SamplingOptions{.temperature = NAN},
        SamplingOptions{.top_k = -1}, SamplingOptions{.top_p = 0}, SamplingOptions{.top_p = 1.1},
        SamplingOptions{.min_p = 1}, SamplingOptions{.repetition_penalty = 0}}) {
    EXPECT_EQ(CheckSamplingOptions(wrong).code(), StatusCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace fastkv
