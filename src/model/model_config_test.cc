#include "model/model_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "model/generation_config.h"

namespace fastkv {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// A small configuration of the family with `changes` put over it (null takes a member away).
Json ConfigJson(const std::string& architecture, const std::string& changes = "{}") {
  Json config = *ParseJson(R"({"hidden_size":64,"intermediate_size":160,"num_hidden_layers":3,
                               "num_attention_heads":4,"num_key_value_heads":2,"vocab_size":512})");
  config["architectures"] = Json::array({architecture + "ForCausalLM"});
  const Json more = *ParseJson(changes);
  for (const auto& [name, value] : more.items()) {
    if (value == "absent") {
      config.erase(name);
    } else {
      config[name] = value;
    }
  }
  return config;
}

Result<ModelConfig> Parse(const std::string& architecture, const std::string& changes = "{}") {
  return ParseModelConfig(ConfigJson(architecture, changes), "config.json");
}

TEST(ModelConfig, Llama) {
  const Result<ModelConfig> config = Parse("Llama");
  ASSERT_TRUE(config.ok()) << config.status().message();
  EXPECT_EQ(config->architecture, Architecture::kLlama);
  EXPECT_EQ(config->num_layers, 3);
  EXPECT_EQ(config->hidden_size, 64);
  EXPECT_EQ(config->num_q_heads, 4);
  EXPECT_EQ(config->num_kv_heads, 2);
  EXPECT_EQ(config->head_dim, 16);
  EXPECT_EQ(config->intermediate_size, 160);
  EXPECT_EQ(config->vocab_size, 512);
  EXPECT_EQ(config->max_position_embeddings, 2048);
  EXPECT_EQ(config->rms_norm_eps, 1e-6);
  EXPECT_EQ(config->rope.theta, 10000);
  EXPECT_FALSE(config->tie_word_embeddings || config->qkv_bias || config->o_bias ||
               config->mlp_bias || config->qk_norm);
  EXPECT_THAT(config->sliding_window, ElementsAre(0, 0, 0));
  EXPECT_EQ(config->bos_token_id, 1);
  EXPECT_THAT(config->eos_token_ids, ElementsAre(2));
  EXPECT_FALSE(config->dtype.has_value());
}

TEST(ModelConfig, LlamaWithEverythingSet) {
  const Result<ModelConfig> config = Parse("Llama", R"({
      "head_dim":32,"attention_bias":true,"mlp_bias":true,"tie_word_embeddings":true,
      "rms_norm_eps":1e-5,"torch_dtype":"float16","hidden_act":"silu","sliding_window":7,
      "max_position_embeddings":131072,"bos_token_id":5,"eos_token_id":[7,6],
      "rope_theta":500000.0,"rope_scaling":{"rope_type":"linear","factor":2}})");
  ASSERT_TRUE(config.ok()) << config.status().message();
  EXPECT_EQ(config->head_dim, 32);
  EXPECT_TRUE(config->qkv_bias && config->o_bias && config->mlp_bias);
  EXPECT_TRUE(config->tie_word_embeddings);
  EXPECT_EQ(config->rms_norm_eps, 1e-5);
  EXPECT_EQ(config->dtype, DType::kF16);
  EXPECT_THAT(config->sliding_window, ElementsAre(0, 0, 0)) << "Llama knows no window";
  EXPECT_EQ(config->bos_token_id, 5);
  EXPECT_THAT(config->eos_token_ids, ElementsAre(7, 6));
  EXPECT_EQ(config->rope.kind, RopeKind::kLinear);
  EXPECT_EQ(config->rope.theta, 500000);
}

TEST(ModelConfig, Mistral) {
  const Result<ModelConfig> config = Parse("Mistral", R"({"attention_bias":true})");
  ASSERT_TRUE(config.ok());
  EXPECT_FALSE(config->qkv_bias || config->o_bias) << "Mistral has none, whatever the file says";
  EXPECT_EQ(config->max_position_embeddings, 131072);
  EXPECT_THAT(config->sliding_window, ElementsAre(4096, 4096, 4096));
  EXPECT_THAT(Parse("Mistral", R"({"sliding_window":null})")->sliding_window, ElementsAre(0, 0, 0));
  EXPECT_THAT(Parse("Mistral", R"({"sliding_window":96})")->sliding_window,
              ElementsAre(96, 96, 96));
  EXPECT_EQ(Parse("Mistral", R"({"num_attention_heads":16,"num_key_value_heads":"absent"})")
                ->num_kv_heads,
            8);
  EXPECT_EQ(
      Parse("Mistral", R"({"num_attention_heads":16,"num_key_value_heads":null})")->num_kv_heads,
      16);
}

TEST(ModelConfig, Qwen2) {
  const Result<ModelConfig> config = Parse("Qwen2");
  ASSERT_TRUE(config.ok());
  EXPECT_TRUE(config->qkv_bias);
  EXPECT_FALSE(config->o_bias || config->qk_norm);
  EXPECT_THAT(config->sliding_window, ElementsAre(0, 0, 0));
  EXPECT_FALSE(config->bos_token_id.has_value());
  EXPECT_THAT(config->eos_token_ids, IsEmpty());
}

TEST(ModelConfig, Qwen2Windows) {
  const auto windows = [](const std::string& changes) {
    return Parse("Qwen2", changes)->sliding_window;
  };
  EXPECT_THAT(windows(R"({"sliding_window":8,"max_window_layers":1})"), ElementsAre(0, 0, 0));
  EXPECT_THAT(windows(R"({"use_sliding_window":true,"sliding_window":8})"), ElementsAre(0, 0, 0));
  EXPECT_THAT(windows(R"({"use_sliding_window":true,"sliding_window":8,"max_window_layers":1})"),
              ElementsAre(0, 8, 8));
  EXPECT_THAT(windows(R"({"use_sliding_window":true,"max_window_layers":2})"),
              ElementsAre(0, 0, 4096));
  EXPECT_THAT(windows(R"({"use_sliding_window":true,"sliding_window":null,"max_window_layers":0})"),
              ElementsAre(0, 0, 0));
  EXPECT_THAT(windows(R"({"use_sliding_window":true,"sliding_window":8,"layer_types":
                          ["sliding_attention","full_attention","sliding_attention"]})"),
              ElementsAre(8, 0, 8));
}

TEST(ModelConfig, Qwen3) {
  const Result<ModelConfig> config = Parse("Qwen3");
  ASSERT_TRUE(config.ok());
  EXPECT_TRUE(config->qk_norm);
  EXPECT_FALSE(config->qkv_bias);
  EXPECT_EQ(config->head_dim, 128);
  EXPECT_TRUE(Parse("Qwen3", R"({"attention_bias":true})")->o_bias);
}

TEST(ModelConfig, FamilyComesFromTheModelTypeWhereNoArchitectureIsNamed) {
  for (const auto& [type, wanted] :
       {std::pair("llama", Architecture::kLlama), std::pair("mistral", Architecture::kMistral),
        std::pair("qwen2", Architecture::kQwen2), std::pair("qwen3", Architecture::kQwen3)}) {
    const Result<ModelConfig> config =
        Parse("Llama", R"({"architectures":null,"model_type":")" + std::string(type) + "\"}");
    ASSERT_TRUE(config.ok()) << type;
    EXPECT_EQ(config->architecture, wanted);
  }
  EXPECT_EQ(ArchitectureName(Architecture::kQwen3), "Qwen3ForCausalLM");
}

TEST(ModelConfig, OtherArchitecturesAreNamedWithWhatIsSupported) {
  const Status status = Parse("Gemma2").status();
  EXPECT_EQ(status.code(), StatusCode::kUnsupported);
  EXPECT_THAT(status.message(), HasSubstr("Gemma2ForCausalLM"));
  EXPECT_THAT(
      status.message(),
      HasSubstr("LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM, Qwen3ForCausalLM"));
  for (const char* changes :
       {R"({"architectures":[]})", R"({"architectures":[1]})", R"({"architectures":null})",
        R"({"architectures":null,"model_type":"gpt2"})"}) {
    EXPECT_EQ(Parse("Llama", changes).status().code(), StatusCode::kUnsupported) << changes;
  }
}

TEST(ModelConfig, UnsupportedVariants) {
  for (const char* changes :
       {R"({"hidden_act":"gelu"})", R"({"quantization_config":{"quant_method":"awq"}})",
        R"({"rope_scaling":{"type":"dynamic","factor":2}})",
        R"({"layer_types":["full_attention","full_attention","linear_attention"]})"}) {
    EXPECT_EQ(Parse("Qwen2", changes).status().code(), StatusCode::kUnsupported) << changes;
  }
}

TEST(ModelConfig, ValuesThatCannotBeAreNamed) {
  const std::pair<const char*, const char*> cases[] = {
      {"num_attention_heads", "0"},
      {"num_attention_heads", "-4"},
      {"num_attention_heads", "100000"},
      {"num_attention_heads", "4.0"},
      {"num_attention_heads", "\"4\""},
      {"num_attention_heads", "null"},
      {"num_key_value_heads", "0"},
      {"num_key_value_heads", "3"},
      {"num_key_value_heads", "8"},
      {"head_dim", "0"},
      {"head_dim", "15"},
      {"head_dim", "1000000"},
      {"hidden_size", "0"},
      {"hidden_size", "65"},
      {"hidden_size", "18446744073709551615"},
      {"intermediate_size", "-1"},
      {"num_hidden_layers", "0"},
      {"num_hidden_layers", "1000000000"},
      {"vocab_size", "-1"},
      {"vocab_size", "0"},
      {"max_position_embeddings", "0"},
      {"rms_norm_eps", "0"},
      {"rms_norm_eps", "-1e-6"},
      {"rope_theta", "0"},
      {"rope_theta", "\"NaN\""},
      {"bos_token_id", "512"},
      {"eos_token_id", "512"},
      {"eos_token_id", "-1"},
      {"eos_token_id", "[1,512]"},
      {"eos_token_id", "[1,[2]]"},
      {"eos_token_id", "[18446744073709551615]"},
      {"eos_token_id", "\"</s>\""},
      {"eos_token_id", "false"},
      {"tie_word_embeddings", "1"},
      {"use_sliding_window", "0"},
      {"layer_types", "[\"full_attention\"]"},
      {"layer_types", "\"full_attention\""},
      {"layer_types", "[\"full_attention\",\"full_attention\",\"sliding_attention\"]"},
      {"hidden_act", "1"},
      {"dtype", "16"},
      {"architectures", "\"Qwen2ForCausalLM\""},
  };
  for (const auto& [name, value] : cases) {
    const Status status = Parse("Qwen2", "{\"" + std::string(name) + "\":" + value + "}").status();
    EXPECT_EQ(status.code(), StatusCode::kFormat) << name << " " << value;
    EXPECT_THAT(status.message(), HasSubstr(name)) << value;
    EXPECT_THAT(status.message(), HasSubstr("config.json: field \"")) << value;
    EXPECT_EQ(status.message().find('\n'), std::string::npos);
  }
  EXPECT_EQ(Parse("Qwen2", R"({"use_sliding_window":true,"sliding_window":0})").status().code(),
            StatusCode::kFormat);
  EXPECT_THAT(Parse("Qwen2", R"({"hidden_size":60})").status().message(),
              HasSubstr("\"head_dim\": expected an even number"));
  EXPECT_THAT(Parse("Llama", R"({"hidden_size":65536})").status().message(),
              HasSubstr("\"head_dim\""));
  EXPECT_EQ(ParseModelConfig(Json::array(), "config.json").status().code(), StatusCode::kFormat);
}

TEST(ModelConfig, ExpectedTensorsFollowTheConfiguration) {
  const auto names = [](const ModelConfig& config) {
    std::string all;
    for (const ExpectedTensor& tensor : ExpectedTensors(config)) {
      all += tensor.name + "[";
      for (int64_t dim : tensor.shape) all += std::to_string(dim) + ",";
      all += "] ";
    }
    return all;
  };
  const std::string llama = names(*Parse("Llama"));
  EXPECT_THAT(llama, HasSubstr("model.embed_tokens.weight[512,64,]"));
  EXPECT_THAT(llama, HasSubstr("model.layers.2.self_attn.k_proj.weight[32,64,]"));
  EXPECT_THAT(llama, HasSubstr("model.layers.0.mlp.down_proj.weight[64,160,]"));
  EXPECT_THAT(llama, HasSubstr("lm_head.weight[512,64,]"));
  EXPECT_EQ(llama.find("bias"), std::string::npos);
  EXPECT_EQ(llama.find("q_norm"), std::string::npos);
  EXPECT_EQ(ExpectedTensors(*Parse("Llama")).size(), 3u * 9 + 3);
  const std::string tied = names(*Parse("Qwen2", R"({"tie_word_embeddings":true})"));
  EXPECT_EQ(tied.find("lm_head"), std::string::npos);
  EXPECT_THAT(tied, HasSubstr("v_proj.bias[32,]"));
  EXPECT_EQ(tied.find("o_proj.bias"), std::string::npos);
  const std::string qwen3 = names(*Parse("Qwen3"));
  EXPECT_THAT(qwen3, HasSubstr("q_norm.weight[128,]"));
  EXPECT_THAT(qwen3, HasSubstr("o_proj.weight[64,512,]"));
  EXPECT_THAT(names(*Parse("Llama", R"({"mlp_bias":true})")), HasSubstr("gate_proj.bias[160,]"));
}

class GenerationConfigTest : public testing::Test {
 protected:
  Result<GenerationConfig> ParseGeneration(const std::string& text) {
    return ParseGenerationConfig(*ParseJson(text), "generation_config.json", model_);
  }
  ModelConfig model_ = *Parse("Llama", R"({"eos_token_id":[9,3]})");
};

TEST_F(GenerationConfigTest, DefaultsWithoutAFile) {
  const GenerationConfig config = DefaultGenerationConfig(model_);
  EXPECT_THAT(config.eos_token_ids, ElementsAre(3, 9));
  EXPECT_FALSE(config.do_sample);
  EXPECT_FALSE(config.max_new_tokens.has_value());
  EXPECT_THAT(ParseGeneration("{}")->eos_token_ids, ElementsAre(3, 9));
  EXPECT_EQ(ParseGeneration("{}")->temperature, 1);
}

TEST_F(GenerationConfigTest, ReadsWhatTheFileSays) {
  const Result<GenerationConfig> config = ParseGeneration(R"({"eos_token_id":[4,3],
      "do_sample":true,"temperature":0.6,"top_k":20,"top_p":0.95,"min_p":0.1,
      "repetition_penalty":1.05,"max_new_tokens":2048,"unknown":[]})");
  ASSERT_TRUE(config.ok()) << config.status().message();
  EXPECT_THAT(config->eos_token_ids, ElementsAre(3, 4, 9));
  EXPECT_TRUE(config->do_sample);
  EXPECT_EQ(config->temperature, 0.6);
  EXPECT_EQ(config->top_k, 20);
  EXPECT_EQ(config->top_p, 0.95);
  EXPECT_EQ(config->min_p, 0.1);
  EXPECT_EQ(config->repetition_penalty, 1.05);
  EXPECT_EQ(config->max_new_tokens, 2048);
}

TEST_F(GenerationConfigTest, RefusesWhatCannotBe) {
  for (const char* text :
       {"[]", R"({"eos_token_id":512})", R"({"do_sample":1})", R"({"temperature":-1})",
        R"({"top_k":-2})", R"({"top_p":1.5})", R"({"min_p":-0.1})", R"({"repetition_penalty":0})",
        R"({"max_new_tokens":0})"}) {
    const Status status = ParseGeneration(text).status();
    EXPECT_EQ(status.code(), StatusCode::kFormat) << text;
    EXPECT_THAT(status.message(), HasSubstr("generation_config.json")) << text;
  }
}

}  // namespace
}  // namespace fastkv
