#include "model/model_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>

#include "io/fault_file_system.h"
#include "io/memory_file_system.h"
#include "io/safetensors_bytes.h"
#include "io/temp_folder.h"
#include "tests/unpack_testdata.h"

namespace fastkv {
namespace {

using testing::AnyOf;
using testing::ElementsAre;
using testing::HasSubstr;

class GoldenModels : public testing::TestWithParam<const char*> {
 protected:
  std::string Path() const { return UnpackedTestArchive("golden_models") + "/" + GetParam(); }
};

TEST_P(GoldenModels, LoadAndAreFinite) {
  const Result<ModelFolder> model = ModelFolder::Load(RealFileSystem(), Path());
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(model->config.num_layers, 6);
  EXPECT_EQ(model->config.vocab_size, 512);
  EXPECT_EQ(model->config.dtype, DType::kBF16);
  EXPECT_EQ(model->config.bos_token_id, 0);
  EXPECT_THAT(model->generation.eos_token_ids, ElementsAre(3));
  EXPECT_EQ(model->weights.num_tensors(),
            static_cast<int64_t>(ExpectedTensors(model->config).size()));
  EXPECT_TRUE(CheckWeightsFinite(model->config, model->weights).ok());
  EXPECT_TRUE(std::filesystem::exists(Path() + "/expected.json"));
}

INSTANTIATE_TEST_SUITE_P(All, GoldenModels,
                         testing::Values("llama", "llama31", "mistral", "mistral_window", "qwen2",
                                         "qwen2_yarn", "qwen3"));

ModelConfig GoldenConfig(const std::string& name) {
  return *ReadModelConfig(RealFileSystem(), UnpackedTestArchive("golden_models") + "/" + name);
}

TEST(GoldenModelConfigs, TellTheVariantsApart) {
  EXPECT_EQ(GoldenConfig("llama").rms_norm_eps, 1e-5);
  EXPECT_EQ(GoldenConfig("llama31").head_dim, 32);
  EXPECT_EQ(GoldenConfig("llama31").rope.kind, RopeKind::kLlama3);
  EXPECT_EQ(GoldenConfig("mistral").rope.theta, 1e6);
  EXPECT_THAT(GoldenConfig("mistral").sliding_window, ElementsAre(0, 0, 0, 0, 0, 0));
  EXPECT_THAT(GoldenConfig("mistral_window").sliding_window, ElementsAre(96, 96, 96, 96, 96, 96));
  EXPECT_TRUE(GoldenConfig("qwen2").tie_word_embeddings);
  EXPECT_TRUE(GoldenConfig("qwen2").qkv_bias);
  EXPECT_THAT(GoldenConfig("qwen2").sliding_window, ElementsAre(0, 0, 0, 0, 0, 0));
  EXPECT_EQ(GoldenConfig("qwen2_yarn").rope.kind, RopeKind::kYarn);
  EXPECT_EQ(GoldenConfig("qwen2_yarn").rope.original_max_position_embeddings, 256);
  EXPECT_TRUE(GoldenConfig("qwen3").qk_norm);
}

// From the published formulas in double precision; see rope_frequencies_test.cc for all of them.
TEST(GoldenModelConfigs, GiveTheRightFrequencies) {
  const RopeFrequencies llama31 = ComputeRopeFrequencies(GoldenConfig("llama31").rope, 32);
  EXPECT_NEAR(llama31.inverse_frequencies[3], 0.0853971003, 1e-8) << "kept";
  EXPECT_NEAR(llama31.inverse_frequencies[5], 0.00375802094, 1e-9) << "in the passage";
  EXPECT_NEAR(llama31.inverse_frequencies[15], 5.6770881e-07, 1e-12) << "divided";
  EXPECT_EQ(llama31.attention_factor, 1.0f);
  const RopeFrequencies yarn = ComputeRopeFrequencies(GoldenConfig("qwen2_yarn").rope, 16);
  EXPECT_NEAR(yarn.inverse_frequencies[1], 0.133370956, 1e-7);
  EXPECT_NEAR(yarn.inverse_frequencies[7], 1.40585331e-06, 1e-12);
  EXPECT_NEAR(yarn.attention_factor, 1.13862944, 1e-6);
}

TEST(BundledModel, LoadsFromItsShards) {
  const Result<ModelFolder> model = ModelFolder::Load(RealFileSystem(), "models/needle-16m");
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(model->weights.shards().size(), 3u);
}

TEST(ModelFolderErrors, SayWhatWasExpected) {
  MemoryFileSystem files;
  const auto load = [&](const std::string& path) {
    return ModelFolder::Load(files, path).status();
  };
  const Status missing = load("/none");
  EXPECT_EQ(missing.code(), StatusCode::kNotFound);
  EXPECT_THAT(missing.message(), HasSubstr("no such model: /none"));
  files.Put("/m/tokenizer.json", "{}");
  EXPECT_THAT(load("/m").message(), HasSubstr("no config.json in /m"));
  files.Put("/x.bin", "");
  EXPECT_THAT(load("/x.bin").message(), HasSubstr("expected a folder"));
  files.Put("/m/config.json", "{");
  EXPECT_THAT(load("/m").message(), HasSubstr("/m/config.json: invalid JSON"));
  files.Put("/m/config.json", std::string((4 << 20) + 1, ' '));
  EXPECT_EQ(load("/m").code(), StatusCode::kLimit);
  files.Put("/etc/passwd", "{}");
  files.PutLink("/m/config.json", "/etc/passwd");
  EXPECT_THAT(load("/m").message(), HasSubstr("leads out of its folder"));
}

// One layer, two heads of two dimensions, three tokens.
constexpr char kTinyConfig[] = R"({"architectures":["LlamaForCausalLM"],"hidden_size":4,
    "intermediate_size":2,"num_hidden_layers":1,"num_attention_heads":2,"vocab_size":3})";

// Weights for kTinyConfig in which the tensor `name` is left out, or given another entry.
std::string TinyWeights(const std::string& name = "", const std::string& dtype = "F32",
                        std::vector<int64_t> shape = {}, float value = 0.5f) {
  const ModelConfig config = *ParseModelConfig(*ParseJson(kTinyConfig), "config.json");
  std::string header = "{";
  std::string data;
  for (const ExpectedTensor& tensor : ExpectedTensors(config)) {
    const bool changed = tensor.name == name;
    if (changed && shape.empty()) continue;
    int64_t count = 1;
    std::string dims;
    for (int64_t dim : changed ? shape : tensor.shape) {
      count *= dim;
      dims += (dims.empty() ? "" : ",") + std::to_string(dim);
    }
    const std::vector<float> values(static_cast<size_t>(count), changed ? value : 0.5f);
    const std::string begin = std::to_string(data.size());
    data.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
    header += (header.size() > 1 ? ",\"" : "\"") + tensor.name + "\":{\"dtype\":\"" +
              (changed ? dtype : "F32") + "\",\"shape\":[" + dims + "],\"data_offsets\":[" + begin +
              "," + std::to_string(data.size()) + "]}";
  }
  return SafetensorsBytes(header + "}", data);
}

class TinyModel : public testing::Test {
 protected:
  Result<ModelFolder> Load(const std::string& weights) {
    files_.Put("/m/config.json", kTinyConfig);
    files_.Put("/m/model.safetensors", weights);
    return ModelFolder::Load(files_, "/m");
  }
  MemoryFileSystem files_;
};

TEST_F(TinyModel, WeightsMustBeWhatTheConfigurationImplies) {
  EXPECT_TRUE(Load(TinyWeights()).ok());
  const std::string name = "model.layers.0.mlp.up_proj.weight";
  const Status missing = Load(TinyWeights(name)).status();
  EXPECT_EQ(missing.code(), StatusCode::kFormat);
  EXPECT_THAT(missing.message(), HasSubstr("lack the tensor \"" + name));
  for (const std::vector<int64_t>& shape :
       std::vector<std::vector<int64_t>>{{4, 2}, {8}, {2, 4, 1}, {2, 5}, {0, 4}}) {
    const Status wrong = Load(TinyWeights(name, "F32", shape)).status();
    EXPECT_EQ(wrong.code(), StatusCode::kFormat);
    EXPECT_THAT(wrong.message(), HasSubstr(name + "\": config.json implies the shape [2, 4]"));
  }
  EXPECT_EQ(Load(TinyWeights(name, "I32", {2, 4})).status().code(), StatusCode::kUnsupported);
}

TEST_F(TinyModel, WeightsThatAreNotFiniteAreNamedOnRequest) {
  const std::string name = "model.norm.weight";
  for (float value : {std::nanf(""), INFINITY}) {
    const Result<ModelFolder> model = Load(TinyWeights(name, "F32", {4}, value));
    ASSERT_TRUE(model.ok()) << "loading does not look at the values";
    const Status status = CheckWeightsFinite(model->config, model->weights);
    EXPECT_EQ(status.code(), StatusCode::kNumeric);
    EXPECT_THAT(status.message(), HasSubstr("tensor \"" + name));
  }
  for (float value : {0.0f, 1e-45f}) {
    const Result<ModelFolder> model = Load(TinyWeights(name, "F32", {4}, value));
    EXPECT_TRUE(CheckWeightsFinite(model->config, model->weights).ok());
  }
}

TEST_F(TinyModel, GenerationConfigIsOptionalButMustBeRight) {
  EXPECT_EQ(Load(TinyWeights())->generation.temperature, 1);
  files_.Put("/m/generation_config.json", R"({"temperature":0.5})");
  EXPECT_EQ(Load(TinyWeights())->generation.temperature, 0.5);
  files_.Put("/m/generation_config.json", R"({"temperature":"hot"})");
  EXPECT_THAT(Load(TinyWeights()).status().message(),
              HasSubstr("/m/generation_config.json: field \"temperature\""));
}

TEST(ModelFolderFaults, EveryFileOperationMayFailOnce) {
  TempFolder folder;
  std::ofstream(folder.File("config.json")) << kTinyConfig;
  std::ofstream(folder.File("generation_config.json")) << "{}";
  std::ofstream(folder.File("model.safetensors"), std::ios::binary) << TinyWeights();
  for (const Fault fault :
       {Fault::kError, Fault::kNoMemory, Fault::kInterrupted, Fault::kShort, Fault::kEarlyEnd}) {
    for (int64_t k = 0;; ++k) {
      FaultFileSystem files(k, fault);
      const Status status = ModelFolder::Load(files, folder.path()).status();
      if (!files.reached()) break;
      if (fault == Fault::kInterrupted || fault == Fault::kShort) {
        EXPECT_TRUE(status.ok()) << k << status.message();
      } else if (fault != Fault::kEarlyEnd) {
        EXPECT_THAT(status.code(), AnyOf(StatusCode::kIo, StatusCode::kMemory)) << k;
      } else if (!status.ok()) {
        EXPECT_EQ(status.code(), StatusCode::kFormat) << k;
      }
    }
  }
}

}  // namespace
}  // namespace fastkv
