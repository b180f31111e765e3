// Whole models with weights in blocks: the CPU computes what the reference does with the same
// blocks, and with what they stand for.
#include <map>

#include "tensor/block_formats.h"
#include "tests/engine/engine_fixture.h"
#include "tests/engine/random_engine.h"

namespace fastkv {
namespace {

// The matrices of another source in float32.
class DecodedWeights final : public WeightSource {
 public:
  explicit DecodedWeights(std::unique_ptr<WeightSource> blocks) : blocks_(std::move(blocks)) {}

  Result<ConstTensorView> Tensor(const std::string& name,
                                 std::initializer_list<int64_t> shape) override {
    return blocks_->Tensor(name, shape);
  }
  Result<WeightView> Matrix(const std::string& name, int64_t num_rows,
                            int64_t num_columns) override {
    FASTKV_ASSIGN_OR_RETURN(const WeightView matrix, blocks_->Matrix(name, num_rows, num_columns));
    std::vector<float>& values = values_[name];
    values.resize(static_cast<size_t>(num_rows * num_columns));
    for (int64_t row = 0; row < num_rows; ++row) {
      DecodeRow(matrix.type, matrix.Row(row), num_columns, values.data() + row * num_columns);
    }
    return PackedRows(values.data(), StoredType::kF32, num_rows, num_columns);
  }

 private:
  std::unique_ptr<WeightSource> blocks_;
  std::map<std::string, std::vector<float>> values_;
};

std::unique_ptr<Engine> MakeDecodedEngine(const EngineOptions& options, StoredType type) {
  auto blocks =
      std::make_unique<RandomWeights>(/*seed=*/3, /*num_threads=*/1, SystemAllocator(), type);
  Result<std::unique_ptr<Engine>> engine =
      Engine::FromWeights(RandomBlockModelConfig(),
                          std::make_unique<DecodedWeights>(std::move(blocks)), options, nullptr);
  EXPECT_TRUE(engine.ok()) << engine.status().message();
  return std::move(engine).value();
}

class BlockWeights : public testing::TestWithParam<StoredType> {
 protected:
  // Long enough for products of many rows; what is generated afterwards makes products of one.
  TestRun Run(const Engine& engine) const {
    return RunPrompt(engine, RandomIds(7, 24, 300), {.name = "full"}, 4);
  }
  static EngineOptions Options(const std::string& device, ComputeType type = ComputeType::kF32) {
    return {.device = device, .num_threads = 2, .compute_type = type};
  }
};

TEST_P(BlockWeights, MeanTheSameToTheReference) {
  const auto reference =
      MakeRandomEngine(Options("reference"), RandomBlockModelConfig(), GetParam());
  const auto cpu = MakeRandomEngine(Options("cpu"), RandomBlockModelConfig(), GetParam());
  const TestRun expected = Run(*reference);
  const TestRun actual = Run(*cpu);
  EXPECT_LT(LargestRelativeError(actual.last_logits, expected.last_logits), 1e-4);
  EXPECT_EQ(actual.output_ids, expected.output_ids);
}

TEST_P(BlockWeights, AreWhatTheyStandFor) {
  for (ComputeType type : {ComputeType::kF32, ComputeType::kBF16}) {
    const auto decoded = MakeDecodedEngine(Options("cpu", type), GetParam());
    const auto blocks =
        MakeRandomEngine(Options("cpu", type), RandomBlockModelConfig(), GetParam());
    EXPECT_LT(2 * blocks->model().weight_bytes(), decoded->model().weight_bytes());
    const TestRun expected = Run(*decoded);
    const TestRun actual = Run(*blocks);
    const double allowed = type == ComputeType::kF32 ? 1e-4 : 0.03;
    EXPECT_LT(LargestRelativeError(actual.last_logits, expected.last_logits), allowed);
  }
}

std::vector<StoredType> BlockTypes() {
  std::vector<StoredType> types;
  for (int i = 0; i < kNumStoredTypes; ++i) {
    if (!IsElementType(static_cast<StoredType>(i))) types.push_back(static_cast<StoredType>(i));
  }
  return types;
}

INSTANTIATE_TEST_SUITE_P(Formats, BlockWeights, testing::ValuesIn(BlockTypes()),
                         [](const testing::TestParamInfo<StoredType>& info) {
                           return std::string(StoredTypeName(info.param));
                         });

// Rounded once more, from what the blocks stand for.
TEST(WeightsInBlocks, MayBeRoundedTo8BitsLikeOthers) {
  EngineOptions options = {.device = "cpu", .num_threads = 2, .compute_type = ComputeType::kF32};
  options.weight_type = WeightType::kInt8;
  const auto blocks = MakeRandomEngine(options, RandomBlockModelConfig(), StoredType::kQ4K);
  const auto decoded = MakeDecodedEngine(options, StoredType::kQ4K);
  const std::vector<int32_t> ids = RandomIds(7, 24, 300);
  EXPECT_EQ(RunPrompt(*blocks, ids, {.name = "full"}, 4).last_logits,
            RunPrompt(*decoded, ids, {.name = "full"}, 4).last_logits);
}

}  // namespace
}  // namespace fastkv
