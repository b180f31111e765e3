#include "model/model_profile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "io/memory_file_system.h"

namespace fastkv {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

ModelConfig SmallConfig() {
  ModelConfig config;
  config.num_layers = 16;
  config.hidden_size = 256;
  config.num_q_heads = 8;
  config.num_kv_heads = 2;
  config.head_dim = 64;
  config.intermediate_size = 768;
  config.vocab_size = 4096;
  config.max_position_embeddings = 32768;
  return config;
}

ModelConfig Llama31Config() {
  ModelConfig config;
  config.num_layers = 32;
  config.hidden_size = 4096;
  config.num_q_heads = 32;
  config.num_kv_heads = 8;
  config.head_dim = 128;
  config.intermediate_size = 14336;
  config.vocab_size = 128256;
  return config;
}

Json SmallProfile(int64_t tsp_layer) {
  Json json;
  json["format"] = kModelProfileFormat;
  json["version"] = 1;
  json["model"] = ModelIdentity(SmallConfig());
  json["tsp_layer"] = tsp_layer;
  return json;
}

class ModelProfileTest : public ::testing::Test {
 protected:
  ModelProfileTest() { files_.Put("m/config.json", "{}"); }

  Result<DefaultTspLayer> Find(const std::string& profile_path = "") {
    return FindDefaultTspLayer(files_, "m", profile_path, SmallConfig());
  }
  // The error that a profile of this content gives.
  Status ErrorOf(const std::string& content) {
    files_.Put("m/fastkv.json", content);
    const Result<DefaultTspLayer> found = Find();
    EXPECT_FALSE(found.ok());
    EXPECT_THAT(found.status().message(),
                AllOf(HasSubstr("m/fastkv.json"), HasSubstr("fastkv calibrate")));
    return found.status();
  }

  MemoryFileSystem files_;
};

TEST_F(ModelProfileTest, TheFileBesideTheModelCounts) {
  files_.Put("m/fastkv.json", DumpJson(SmallProfile(5)));
  const DefaultTspLayer found = Find().value();
  EXPECT_EQ(found.layer, 5);
  EXPECT_EQ(found.source, TspLayerSource::kProfileFile);
  EXPECT_EQ(found.detail, "m/fastkv.json");
}

TEST_F(ModelProfileTest, ANamedFileCountsMore) {
  files_.Put("m/fastkv.json", DumpJson(SmallProfile(5)));
  files_.Put("other.json", DumpJson(SmallProfile(9)));
  EXPECT_EQ(Find("other.json")->layer, 9);
  EXPECT_EQ(Find("missing.json").status().code(), StatusCode::kNotFound);
}

TEST_F(ModelProfileTest, AModelInOneFileHasItsProfileBesideIt) {
  files_.Put("m.gguf", "");
  EXPECT_EQ(ModelProfilePath(files_, "m.gguf").value(), "m.gguf.fastkv.json");
  EXPECT_EQ(ModelProfilePath(files_, "m").value(), "m/fastkv.json");
}

TEST_F(ModelProfileTest, WithoutAFileHalfOfTheLayers) {
  const DefaultTspLayer found = Find().value();
  EXPECT_EQ(found.layer, 7);
  EXPECT_EQ(found.source, TspLayerSource::kHalfOfLayers);
  ModelConfig config = SmallConfig();
  for (const auto& [num_layers, layer] : {std::pair{1, 0}, {2, 0}, {3, 0}, {5, 1}}) {
    config.num_layers = num_layers;
    EXPECT_EQ(TspLayerWithoutProfile(config).layer, layer);
  }
}

TEST_F(ModelProfileTest, PublishedModelsAreRecognised) {
  ModelConfig config = Llama31Config();
  EXPECT_EQ(TspLayerWithoutProfile(config).layer, 15);
  EXPECT_EQ(TspLayerWithoutProfile(config).detail, "Llama-3.1-8B");
  config.architecture = Architecture::kMistral;
  EXPECT_EQ(TspLayerWithoutProfile(config).source, TspLayerSource::kHalfOfLayers);
  config.vocab_size = 131072;
  config.num_layers = 36;
  config.intermediate_size = 12288;
  EXPECT_EQ(TspLayerWithoutProfile(config).detail, "Ministral-8B");
  EXPECT_EQ(TspLayerWithoutProfile(config).layer, 17);
  config.num_layers = 40;
  config.intermediate_size = 14336;
  config.hidden_size = 5120;
  EXPECT_EQ(TspLayerWithoutProfile(config).detail, "Mistral-Nemo-12B");
  EXPECT_EQ(TspLayerWithoutProfile(config).layer, 19);
}

TEST_F(ModelProfileTest, TheMeasuredProfileIsOfSmolLm2) {
  ModelConfig config;
  config.num_layers = 30;
  config.hidden_size = 576;
  config.num_q_heads = 9;
  config.num_kv_heads = 3;
  config.head_dim = 64;
  config.intermediate_size = 1536;
  config.vocab_size = 49152;
  config.rope.theta = 100000;
  const auto found = FindDefaultTspLayer(RealFileSystem(), "models/none.gguf",
                                         "docs/results/calibrate-smollm2.json", config);
  ASSERT_TRUE(found.ok()) << found.status().message();
  EXPECT_EQ(found->layer, 21);
}

TEST_F(ModelProfileTest, DamagedProfilesAreErrorsThatSayWhatToDo) {
  EXPECT_EQ(ErrorOf("{\"format\": \"fastkv-prof").code(), StatusCode::kFormat);
  EXPECT_EQ(ErrorOf("[]").code(), StatusCode::kFormat);
  EXPECT_EQ(ErrorOf("").code(), StatusCode::kFormat);
  EXPECT_THAT(ErrorOf("{\"format\": \"other\"}").message(), HasSubstr("\"format\""));
  for (const char* field : {"format", "version", "model", "tsp_layer"}) {
    Json json = SmallProfile(5);
    json.erase(field);
    EXPECT_THAT(ErrorOf(DumpJson(json)).message(), HasSubstr(field));
  }
  Json json = SmallProfile(5);
  json["tsp_layer"] = "five";
  EXPECT_THAT(ErrorOf(DumpJson(json)).message(), HasSubstr("tsp_layer"));
  EXPECT_EQ(ErrorOf(DumpJson(SmallProfile(15))).code(), StatusCode::kFormat);
  EXPECT_EQ(ErrorOf(DumpJson(SmallProfile(-1))).code(), StatusCode::kFormat);
}

TEST_F(ModelProfileTest, ALaterVersionIsUnsupported) {
  Json json = SmallProfile(5);
  json["version"] = kModelProfileVersion + 1;
  EXPECT_EQ(ErrorOf(DumpJson(json)).code(), StatusCode::kUnsupported);
}

TEST_F(ModelProfileTest, AnotherModelsProfileIsRefused) {
  Json json = SmallProfile(5);
  json["model"] = ModelIdentity(Llama31Config());
  const Status status = ErrorOf(DumpJson(json));
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("of another"));
}

TEST_F(ModelProfileTest, IdentityFollowsShapeAndRope) {
  const std::string identity = ModelIdentity(SmallConfig());
  EXPECT_EQ(identity.size(), 16u);
  ModelConfig longer = SmallConfig();
  longer.max_position_embeddings = 131072;  // a setting, not a shape
  EXPECT_EQ(ModelIdentity(longer), identity);
  for (int64_t ModelConfig::*size :
       {&ModelConfig::num_layers, &ModelConfig::hidden_size, &ModelConfig::num_q_heads,
        &ModelConfig::num_kv_heads, &ModelConfig::head_dim, &ModelConfig::intermediate_size,
        &ModelConfig::vocab_size}) {
    ModelConfig other = SmallConfig();
    other.*size += 1;
    EXPECT_NE(ModelIdentity(other), identity);
  }
  ModelConfig other = SmallConfig();
  other.rope.theta *= 2;
  EXPECT_NE(ModelIdentity(other), identity);
}

}  // namespace
}  // namespace fastkv
