// Models as GGUF files against the same models from elsewhere: the same numbers in the same order.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "base/float16.h"
#include "io/temp_folder.h"
#include "model/folder_weights.h"
#include "model/model_folder.h"
#include "tests/engine/engine_fixture.h"
#include "tests/engine/gguf_writer.h"
#include "tests/engine/random_engine.h"
#include "tests/unpack_testdata.h"

namespace fastkv {
namespace {

using testing::HasSubstr;

constexpr int64_t kNewTokens = 6;

EngineOptions Options(const std::string& path = "") {
  return {.model_path = path, .device = "cpu", .num_threads = 2, .compute_type = ComputeType::kF32};
}

class GgufFolder {
 public:
  std::string Write(const std::string& content, const std::string& name = "model.gguf") {
    std::ofstream(folder_.File(name), std::ios::binary) << content;
    return folder_.File(name);
  }
  const std::string& path() const { return folder_.path(); }

 private:
  TempFolder folder_;
};

class GgufFamilies : public testing::TestWithParam<std::string> {
 protected:
  GgufFamilies() : path_(UnpackedTestArchive("golden_models") + "/" + GetParam()) {
    Result<ModelFolder> folder = ModelFolder::Load(RealFileSystem(), path_);
    EXPECT_TRUE(folder.ok()) << folder.status().message();
    config_ = folder->config;
    weights_ = std::make_unique<FolderWeights>(std::move(folder->weights), SystemAllocator());
  }
  TestRun Run(const Engine& engine) const {
    return RunPrompt(engine, RandomIds(5, 150, config_.vocab_size), {.name = "full"}, kNewTokens);
  }

  std::string path_;
  ModelConfig config_;
  std::unique_ptr<WeightSource> weights_;
};

TEST_P(GgufFamilies, ComputeWhatTheFolderDoes) {
  GgufFolder folder;
  const auto expected_engine = LoadTestEngine(Options(path_));
  const auto engine = LoadTestEngine(Options(folder.Write(GgufOf(config_, *weights_))));
  EXPECT_EQ(engine->generation_config().eos_token_ids,
            expected_engine->generation_config().eos_token_ids);
  EXPECT_EQ(engine->config().sliding_window, config_.sliding_window);
  EXPECT_EQ(engine->config().tie_word_embeddings, config_.tie_word_embeddings);
  const TestRun expected = Run(*expected_engine);
  const TestRun actual = Run(*engine);
  if (config_.rope.kind == RopeKind::kDefault) {
    EXPECT_EQ(actual.last_logits, expected.last_logits);
  } else {  // frequencies are rounded once more on the way
    EXPECT_LT(LargestRelativeError(actual.last_logits, expected.last_logits), 1e-5);
  }
  EXPECT_EQ(actual.output_ids, expected.output_ids);
}

INSTANTIATE_TEST_SUITE_P(Folders, GgufFamilies,
                         testing::Values("llama", "llama31", "mistral", "mistral_window", "qwen2",
                                         "qwen2_yarn", "qwen3"));

using GgufWindow = GgufFamilies;

TEST_P(GgufWindow, IsGivenWhereTheFileHasLostIt) {
  GgufFolder folder;
  EngineOptions options = Options(folder.Write(GgufOf(config_, *weights_, /*with_window=*/false)));
  const TestRun expected = Run(*LoadTestEngine(Options(path_)));
  EXPECT_NE(Run(*LoadTestEngine(options)).last_logits, expected.last_logits);
  options.sliding_window_tokens = config_.sliding_window[0];
  EXPECT_EQ(Run(*LoadTestEngine(options)).last_logits, expected.last_logits);
}

INSTANTIATE_TEST_SUITE_P(Folders, GgufWindow, testing::Values("mistral_window"));

ModelConfig FormatModelConfig(Architecture architecture) {
  ModelConfig config = RandomBlockModelConfig();
  config.architecture = architecture;
  config.rms_norm_eps = 0.0009765625;  // exact in float
  config.qk_norm = architecture == Architecture::kQwen3;
  return config;
}

// Random matrices of one element type.
class RandomElements final : public WeightSource {
 public:
  explicit RandomElements(DType type) : type_(type) {}

  Result<ConstTensorView> Tensor(const std::string& name,
                                 std::initializer_list<int64_t> shape) override {
    FASTKV_ASSIGN_OR_RETURN(const ConstTensorView source, source_.Tensor(name, shape));
    if (shape.size() != 2) return source;
    const auto* const from = source.As<BFloat16>();
    std::vector<std::byte>& bytes = matrices_[name];
    bytes.resize(static_cast<size_t>(source.num_elements() * DTypeBytes(type_)));
    for (int64_t i = 0; i < source.num_elements(); ++i) {
      if (type_ == DType::kF32) {
        reinterpret_cast<float*>(bytes.data())[i] = ToFloat(from[i]);
      } else {
        reinterpret_cast<Float16*>(bytes.data())[i] = ToFloat16(ToFloat(from[i]));
      }
    }
    return ConstTensorView(bytes.data(), type_, shape);
  }

 private:
  RandomWeights source_{/*seed=*/3, /*num_threads=*/1, SystemAllocator()};
  DType type_;
  std::map<std::string, std::vector<std::byte>> matrices_;
};

std::unique_ptr<WeightSource> RandomSource(StoredType type) {
  if (type == StoredType::kF32) return std::make_unique<RandomElements>(DType::kF32);
  if (type == StoredType::kF16) return std::make_unique<RandomElements>(DType::kF16);
  return std::make_unique<RandomWeights>(/*seed=*/3, /*num_threads=*/1, SystemAllocator(), type);
}

class GgufFormats : public testing::TestWithParam<StoredType> {};

TEST_P(GgufFormats, AreMultipliedAsTheyStand) {
  for (const Architecture architecture : {Architecture::kLlama, Architecture::kQwen3}) {
    const ModelConfig config = FormatModelConfig(architecture);
    GgufFolder folder;
    Result<std::unique_ptr<Engine>> random_engine =
        Engine::FromWeights(config, RandomSource(GetParam()), Options(), nullptr);
    ASSERT_TRUE(random_engine.ok()) << random_engine.status().message();
    const std::unique_ptr<Engine>& expected_engine = *random_engine;
    const auto engine =
        LoadTestEngine(Options(folder.Write(GgufOf(config, *RandomSource(GetParam())))));
    EXPECT_EQ(engine->model().weight_bytes(), expected_engine->model().weight_bytes());
    const std::vector<int32_t> ids = RandomIds(7, 24, config.vocab_size);
    const TestRun expected = RunPrompt(*expected_engine, ids, {.name = "full"}, kNewTokens);
    const TestRun actual = RunPrompt(*engine, ids, {.name = "full"}, kNewTokens);
    EXPECT_EQ(actual.last_logits, expected.last_logits);
    EXPECT_EQ(actual.output_ids, expected.output_ids);
  }
}

std::vector<StoredType> AllTypes() {
  std::vector<StoredType> types;
  for (int i = 0; i < kNumStoredTypes; ++i) types.push_back(static_cast<StoredType>(i));
  return types;
}

INSTANTIATE_TEST_SUITE_P(Types, GgufFormats, testing::ValuesIn(AllTypes()),
                         [](const testing::TestParamInfo<StoredType>& info) {
                           return std::string(StoredTypeName(info.param));
                         });

class GgufEngine : public testing::Test {
 protected:
  std::string File(StoredType type) {
    RandomWeights source(/*seed=*/3, /*num_threads=*/1, SystemAllocator(), type);
    return GgufOf(FormatModelConfig(Architecture::kLlama), source);
  }
  GgufFolder folder_;
};

TEST_F(GgufEngine, RefusesScalesThatAreNotFinite) {
  std::string file = File(StoredType::kQ8_0);
  // The last matrix is the head; its last block ends the file.
  file.replace(file.size() - 34, 2, std::string("\x00\x7c", 2));
  const auto engine = Engine::Load(RealFileSystem(), Options(folder_.Write(file)), nullptr);
  ASSERT_FALSE(engine.ok());
  EXPECT_EQ(engine.status().code(), StatusCode::kFormat);
  EXPECT_THAT(engine.status().message(), HasSubstr("\"output.weight\""));
}

TEST_F(GgufEngine, TakesTheOnlyFileOfAFolder) {
  folder_.Write(File(StoredType::kQ4_0));
  EXPECT_EQ(LoadTestEngine(Options(folder_.path()))->config().hidden_size, 256);
}

TEST_F(GgufEngine, TakesTheProfileBesideTheFile) {
  const std::string path = folder_.Write(File(StoredType::kQ4_0));
  folder_.Write("{", "model.gguf.fastkv.json");
  const auto engine = Engine::Load(RealFileSystem(), Options(path), nullptr);
  ASSERT_FALSE(engine.ok());
  EXPECT_THAT(engine.status().message(), HasSubstr("model.gguf.fastkv.json"));
}

TEST_F(GgufEngine, NoticesAFileThatIsCutWhileInUse) {
  const std::string path = folder_.Write(File(StoredType::kQ4_0));
  const auto engine = LoadTestEngine(Options(path));
  EXPECT_TRUE(engine->CheckWeightsIntact().ok());
  std::filesystem::resize_file(path, 4096);
  EXPECT_EQ(engine->CheckWeightsIntact().code(), StatusCode::kIo);
}

}  // namespace
}  // namespace fastkv
