// Weights of 8 bits in a whole model: they are what is multiplied with, they take the memory they
// should, and the CPU computes what the reference does with the same.
#include "tests/engine/engine_fixture.h"

namespace fastkv {
namespace {

std::unique_ptr<Engine> LoadNeedle(const std::string& device, WeightType weight_type) {
  return LoadTestEngine({.model_path = kNeedleModel,
                         .device = device,
                         .num_threads = 2,
                         .compute_type = ComputeType::kF32,
                         .weight_type = weight_type});
}

// Long enough for products of many rows; what is generated afterwards makes products of one.
std::vector<int32_t> Prompt() {
  std::vector<int32_t> ids;
  for (int32_t i = 0; i < 24; ++i) ids.push_back((i * 97 + 5) % 4096);
  return ids;
}

TEST(WeightsOf8Bits, AreCloseToTheModelAndNotTheSame) {
  const auto as_stored = LoadNeedle("cpu", WeightType::kAuto);
  const auto int8 = LoadNeedle("cpu", WeightType::kInt8);
  const TestRun expected = RunPrompt(*as_stored, Prompt(), {.name = "full"}, 8);
  const TestRun actual = RunPrompt(*int8, Prompt(), {.name = "full"}, 8);
  const double error = LargestRelativeError(actual.last_logits, expected.last_logits);
  EXPECT_GT(error, 1e-5);
  EXPECT_LT(error, 0.1);
}

TEST(WeightsOf8Bits, TakeHalfOfBFloat16) {
  const auto as_stored = LoadNeedle("cpu", WeightType::kAuto);
  const auto int8 = LoadNeedle("cpu", WeightType::kInt8);
  const auto stored_bytes = static_cast<double>(as_stored->model().weight_bytes());
  const auto int8_bytes = static_cast<double>(int8->model().weight_bytes());
  EXPECT_GT(int8_bytes, 0.5 * stored_bytes);
  EXPECT_LT(int8_bytes, 0.51 * stored_bytes);
  EXPECT_GT(int8->weight_memory_bytes() - as_stored->weight_memory_bytes(),
            int8->model().weight_bytes());
}

TEST(WeightsOf8Bits, MeanTheSameToTheReference) {
  if (kSanitized) GTEST_SKIP() << "the reference takes minutes there";
  const auto reference = LoadNeedle("reference", WeightType::kInt8);
  const auto cpu = LoadNeedle("cpu", WeightType::kInt8);
  const TestRun expected = RunPrompt(*reference, Prompt(), {.name = "full"}, 3);
  const TestRun actual = RunPrompt(*cpu, Prompt(), {.name = "full"}, 3);
  EXPECT_LT(LargestRelativeError(actual.last_logits, expected.last_logits), 1e-4);
  EXPECT_EQ(actual.output_ids, expected.output_ids);
}

TEST(WeightsOf8Bits, AreRefusedOnAGpuWithWhatToDo) {
  const auto backend = CreateBackend({.device = "cuda:0", .weight_type = WeightType::kInt8});
  ASSERT_FALSE(backend.ok());
  EXPECT_EQ(backend.status().code(), StatusCode::kUnsupported);
  EXPECT_NE(backend.status().message().find("--device cpu"), std::string::npos);
}

}  // namespace
}  // namespace fastkv
