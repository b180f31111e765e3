#include "model/gguf_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <string>

#include "io/gguf_bytes.h"
#include "io/memory_file_system.h"
#include "model/gguf_weights.h"
#include "model/open_model.h"

namespace fastkv {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr char kPath[] = "/m/tiny.gguf";
constexpr int64_t kHidden = 32;
constexpr int64_t kHeadDim = 8;
constexpr int64_t kNumQHeads = 4;
constexpr int64_t kNumKvHeads = 2;
constexpr int64_t kInner = 64;
constexpr int64_t kVocab = 5;

std::string Floats(int64_t count) {
  std::string data;
  for (int64_t i = 0; i < count; ++i) data += GgufBytes::Raw(static_cast<float>(i));
  return data;
}

// Leaves out the keys in `without`; `more` adds keys and tensors.
std::string File(const std::string& architecture, const std::vector<std::string>& without = {},
                 const std::function<void(GgufBytes&)>& more = nullptr) {
  GgufBytes bytes;
  const auto wanted = [&](const std::string& name) {
    return std::find(without.begin(), without.end(), name) == without.end();
  };
  if (wanted("general.architecture")) bytes.String("general.architecture", architecture);
  const auto number = [&](const std::string& name, int64_t value) {
    if (wanted(name)) bytes.U32(architecture + "." + name, static_cast<uint32_t>(value));
  };
  number("block_count", 1);
  number("context_length", 128);
  number("embedding_length", kHidden);
  number("feed_forward_length", kInner);
  number("attention.head_count", kNumQHeads);
  number("attention.head_count_kv", kNumKvHeads);
  if (wanted("attention.layer_norm_rms_epsilon")) {
    bytes.F32(architecture + ".attention.layer_norm_rms_epsilon", 1e-5F);
  }
  if (wanted("tokenizer.ggml.tokens")) {
    bytes.Strings("tokenizer.ggml.tokens", {"a", "b", "<|im_end|>", "<|eot_id|>", "c"})
        .Ints("tokenizer.ggml.token_type", {1, 1, 3, 1, 1});
  }
  const auto tensor = [&](const std::string& name, const std::vector<int64_t>& shape) {
    int64_t count = 1;
    for (const int64_t size : shape) count *= size;
    if (wanted(name)) bytes.Tensor(name, shape, 0, Floats(count));
  };
  tensor("token_embd.weight", {kVocab, kHidden});
  tensor("output_norm.weight", {kHidden});
  tensor("blk.0.attn_norm.weight", {kHidden});
  tensor("blk.0.attn_q.weight", {kNumQHeads * kHeadDim, kHidden});
  tensor("blk.0.attn_k.weight", {kNumKvHeads * kHeadDim, kHidden});
  tensor("blk.0.attn_v.weight", {kNumKvHeads * kHeadDim, kHidden});
  tensor("blk.0.attn_output.weight", {kHidden, kNumQHeads * kHeadDim});
  tensor("blk.0.ffn_norm.weight", {kHidden});
  tensor("blk.0.ffn_gate.weight", {kInner, kHidden});
  tensor("blk.0.ffn_up.weight", {kInner, kHidden});
  tensor("blk.0.ffn_down.weight", {kHidden, kInner});
  if (architecture == "qwen2") {
    tensor("blk.0.attn_q.bias", {kNumQHeads * kHeadDim});
    tensor("blk.0.attn_k.bias", {kNumKvHeads * kHeadDim});
    tensor("blk.0.attn_v.bias", {kNumKvHeads * kHeadDim});
  }
  if (architecture == "qwen3") {
    tensor("blk.0.attn_q_norm.weight", {kHeadDim});
    tensor("blk.0.attn_k_norm.weight", {kHeadDim});
  }
  if (more) more(bytes);
  return bytes.Build();
}

Result<GgufModel> Load(const std::string& file) {
  MemoryFileSystem files;
  files.Put(kPath, file);
  return GgufModel::Load(files, kPath);
}

ModelConfig ConfigOf(const std::string& file) {
  const auto model = Load(file);
  EXPECT_TRUE(model.ok()) << model.status().message();
  return model.ok() ? model->config : ModelConfig();
}

void ExpectRefused(const std::string& file, StatusCode code, const std::string& wanted) {
  const Status status = Load(file).status();
  ASSERT_FALSE(status.ok()) << wanted;
  EXPECT_EQ(status.code(), code) << status.message();
  EXPECT_THAT(status.message(), AllOf(HasSubstr(kPath), HasSubstr(wanted)));
  EXPECT_EQ(status.message().find('\n'), std::string::npos);
}

TEST(GgufModel, FillsInDefaults) {
  const ModelConfig config = ConfigOf(File("llama"));
  EXPECT_EQ(config.architecture, Architecture::kLlama);
  EXPECT_EQ(config.num_layers, 1);
  EXPECT_EQ(config.max_position_embeddings, 128);
  EXPECT_EQ(config.head_dim, kHeadDim);
  EXPECT_EQ(config.num_kv_heads, kNumKvHeads);
  EXPECT_EQ(config.vocab_size, kVocab);
  EXPECT_EQ(config.rope.kind, RopeKind::kDefault);
  EXPECT_EQ(config.rope.theta, 10000);
  EXPECT_FLOAT_EQ(static_cast<float>(config.rms_norm_eps), 1e-5F);
  EXPECT_TRUE(config.tie_word_embeddings);
  EXPECT_FALSE(config.qkv_bias || config.o_bias || config.mlp_bias || config.qk_norm);
  EXPECT_THAT(config.sliding_window, ElementsAre(0));
  EXPECT_EQ(config.dtype, DType::kF32);
  EXPECT_EQ(config.bos_token_id, std::nullopt);
  // Only the control token spelt like an end; the other one is ordinary text.
  EXPECT_THAT(config.eos_token_ids, ElementsAre(2));
}

TEST(GgufModel, KnowsTheFamilies) {
  EXPECT_TRUE(ConfigOf(File("qwen2")).qkv_bias);
  EXPECT_TRUE(ConfigOf(File("qwen3")).qk_norm);
  const ModelConfig biased = ConfigOf(File("llama", {}, [](GgufBytes& bytes) {
    bytes.Tensor("blk.0.attn_q.bias", {32}, 0, Floats(32))
        .Tensor("blk.0.attn_k.bias", {16}, 0, Floats(16))
        .Tensor("blk.0.attn_v.bias", {16}, 0, Floats(16))
        .Tensor("blk.0.attn_output.bias", {32}, 0, Floats(32))
        .Tensor("output.weight", {kVocab, kHidden}, 0, Floats(kVocab * kHidden));
  }));
  EXPECT_TRUE(biased.qkv_bias && biased.o_bias);
  EXPECT_FALSE(biased.mlp_bias || biased.tie_word_embeddings);
}

TEST(GgufModel, ReadsWindowsAndEqualNumbersOfAllLayers) {
  const ModelConfig config =
      ConfigOf(File("llama", {"attention.head_count_kv"}, [](GgufBytes& bytes) {
        bytes.U32("llama.attention.sliding_window", 16)
            .Ints("llama.attention.head_count_kv", {2, 2, 2});
      }));
  EXPECT_THAT(config.sliding_window, ElementsAre(16));
  EXPECT_EQ(config.num_kv_heads, 2);
  ExpectRefused(File("llama", {"attention.head_count_kv"},
                     [](GgufBytes& bytes) {
                       bytes.Ints("llama.attention.head_count_kv", {2, 1});
                     }),
                StatusCode::kUnsupported, "llama.attention.head_count_kv");
}

TEST(GgufModel, ReadsRotaryEmbeddings) {
  const auto rope = [](const std::function<void(GgufBytes&)>& more) {
    return ConfigOf(File("llama", {}, more)).rope;
  };
  const RopeConfig linear = rope([](GgufBytes& bytes) {
    bytes.F32("llama.rope.scaling.factor", 4).F32("llama.rope.freq_base", 500000);
  });
  EXPECT_EQ(linear.kind, RopeKind::kLinear);
  EXPECT_EQ(linear.factor, 4);
  EXPECT_EQ(linear.theta, 500000);
  EXPECT_EQ(rope([](GgufBytes& bytes) { bytes.F32("llama.rope.scale_linear", 2); }).factor, 2);
  const RopeConfig none = rope([](GgufBytes& bytes) {
    bytes.String("llama.rope.scaling.type", "none").F32("llama.rope.scaling.factor", 4);
  });
  EXPECT_EQ(none.kind, RopeKind::kDefault);
  const RopeConfig yarn = rope([](GgufBytes& bytes) {
    bytes.String("llama.rope.scaling.type", "yarn")
        .F32("llama.rope.scaling.factor", 4)
        .U32("llama.rope.scaling.original_context_length", 32)
        .F32("llama.rope.scaling.attn_factor", 0.5)
        .F32("llama.rope.scaling.yarn_attn_factor", 100)
        .F32("llama.rope.scaling.yarn_beta_fast", 16);
  });
  EXPECT_EQ(yarn.kind, RopeKind::kYarn);
  EXPECT_EQ(yarn.original_max_position_embeddings, 32);
  EXPECT_EQ(yarn.beta_fast, 16);
  EXPECT_EQ(yarn.beta_slow, 1);
  EXPECT_NEAR(*yarn.attention_factor, 0.5 * (1 + 0.1 * std::log(4.0)), 1e-12);
  const RopeConfig divided = rope([](GgufBytes& bytes) {
    bytes.Tensor(
        "rope_freqs.weight", {4}, 0,
        GgufBytes::Raw(1.0F) + GgufBytes::Raw(2.0F) + GgufBytes::Raw(4.0F) + GgufBytes::Raw(8.0F));
  });
  EXPECT_THAT(divided.divisors, ElementsAre(1, 2, 4, 8));
  const std::vector<float> plain =
      ComputeRopeFrequencies(RopeConfig(), kHeadDim).inverse_frequencies;
  const std::vector<float> frequencies =
      ComputeRopeFrequencies(divided, kHeadDim).inverse_frequencies;
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(frequencies[i], plain[i] / divided.divisors[i]);
}

TEST(GgufModel, RefusesOtherRotaryEmbeddings) {
  const auto refused = [](StatusCode code, const std::string& wanted,
                          const std::function<void(GgufBytes&)>& more) {
    ExpectRefused(File("llama", {}, more), code, wanted);
  };
  refused(StatusCode::kUnsupported, "longrope",
          [](GgufBytes& bytes) { bytes.String("llama.rope.scaling.type", "longrope"); });
  refused(StatusCode::kUnsupported, "llama.rope.dimension_count",
          [](GgufBytes& bytes) { bytes.U32("llama.rope.dimension_count", 4); });
  refused(StatusCode::kFormat, "llama.rope.freq_base",
          [](GgufBytes& bytes) { bytes.F32("llama.rope.freq_base", 0); });
  refused(StatusCode::kFormat, "llama.rope.freq_base",
          [](GgufBytes& bytes) { bytes.F32("llama.rope.freq_base", NAN); });
  refused(StatusCode::kUnsupported, "llama.rope.scaling.yarn_ext_factor", [](GgufBytes& bytes) {
    bytes.String("llama.rope.scaling.type", "yarn")
        .F32("llama.rope.scaling.factor", 4)
        .F32("llama.rope.scaling.yarn_ext_factor", 0);
  });
  refused(StatusCode::kFormat, "rope_freqs.weight", [](GgufBytes& bytes) {
    bytes.Tensor("rope_freqs.weight", {4}, 0, std::string(16, '\0'));
  });
  refused(StatusCode::kFormat, "rope_freqs.weight",
          [](GgufBytes& bytes) { bytes.Tensor("rope_freqs.weight", {8}, 0, Floats(8)); });
}

TEST(GgufModel, RefusesMissingAndBadKeys) {
  for (const char* key :
       {"block_count", "context_length", "embedding_length", "feed_forward_length",
        "attention.head_count", "attention.layer_norm_rms_epsilon"}) {
    ExpectRefused(File("llama", {key}), StatusCode::kFormat, "llama." + std::string(key));
    ExpectRefused(
        File("llama", {key}, [&](GgufBytes& bytes) { bytes.U32("llama." + std::string(key), 0); }),
        StatusCode::kFormat, "llama." + std::string(key));
  }
  ExpectRefused(File("llama", {"general.architecture"}), StatusCode::kFormat,
                "general.architecture");
  ExpectRefused(File("llama", {"tokenizer.ggml.tokens"}), StatusCode::kFormat, "llama.vocab_size");
  ExpectRefused(File("llama", {"attention.head_count_kv"},
                     [](GgufBytes& bytes) { bytes.U32("llama.attention.head_count_kv", 3); }),
                StatusCode::kFormat, "expected a divisor of 4");
  ExpectRefused(
      File("llama", {}, [](GgufBytes& bytes) { bytes.U32("llama.attention.key_length", 7); }),
      StatusCode::kFormat, "llama.attention.key_length");
  ExpectRefused(
      File("llama", {}, [](GgufBytes& bytes) { bytes.U32("tokenizer.ggml.eos_token_id", 5); }),
      StatusCode::kFormat, "tokenizer.ggml.eos_token_id");
}

TEST(GgufModel, RefusesWhatIsNoModelThatItKnows) {
  ExpectRefused(File("gemma3"), StatusCode::kUnsupported, "\"gemma3\"");
  ExpectRefused(File("clip"), StatusCode::kUnsupported, "mmproj");
  ExpectRefused(
      File("llama", {}, [](GgufBytes& bytes) { bytes.String("general.type", "adapter"); }),
      StatusCode::kUnsupported, "LoRA");
  ExpectRefused(File("llama", {}, [](GgufBytes& bytes) { bytes.U32("llama.expert_count", 8); }),
                StatusCode::kUnsupported, "llama.expert_count");
  ExpectRefused(
      File("llama", {},
           [](GgufBytes& bytes) { bytes.Tensor("blk.0.ffn_gate_inp.weight", {4}, 0, Floats(4)); }),
      StatusCode::kUnsupported, "blk.0.ffn_gate_inp.weight");
  EXPECT_TRUE(Load(File("llama", {}, [](GgufBytes& bytes) {
                bytes.Tensor("blk.0.attn_rot_embd.weight", {4}, 0, Floats(4));
              })).ok());
}

TEST(GgufModel, RefusesTensorsThatDoNotFit) {
  constexpr char kName[] = "blk.0.ffn_up.weight";
  ExpectRefused(File("llama", {kName}), StatusCode::kFormat, kName);
  ExpectRefused(File("llama", {kName},
                     [](GgufBytes& bytes) {
                       bytes.Tensor("blk.0.ffn_up.weight", {kHidden, kInner}, 0, Floats(2048));
                     }),
                StatusCode::kFormat, "implies the shape [64, 32], the file has [32, 64]");
  ExpectRefused(File("llama", {"output_norm.weight"},
                     [](GgufBytes& bytes) {
                       bytes.Tensor("output_norm.weight", {32}, 8, std::string(34, '\0'));
                     }),
                StatusCode::kFormat, "output_norm.weight");
}

TEST(GgufModel, ReadsRecommendedSampling) {
  EXPECT_FALSE(Load(File("llama"))->generation.do_sample);
  const auto model = Load(File("llama", {}, [](GgufBytes& bytes) {
    bytes.F32("general.sampling.temp", 0.5)
        .Key("general.sampling.top_k", 5, GgufBytes::Raw<int32_t>(7))
        .F32("general.sampling.top_p", 0.25)
        .F32("general.sampling.min_p", 0.125);
  }));
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_TRUE(model->generation.do_sample);
  EXPECT_EQ(model->generation.temperature, 0.5);
  EXPECT_EQ(model->generation.top_k, 7);
  EXPECT_EQ(model->generation.top_p, 0.25);
  EXPECT_EQ(model->generation.min_p, 0.125);
  EXPECT_FALSE(Load(File("llama", {}, [](GgufBytes& bytes) {
                 bytes.F32("general.sampling.temp", 0);
               }))->generation.do_sample);
}

TEST(GgufModel, DescribesItself) {
  const auto model = Load(File("llama", {"blk.0.ffn_up.weight"}, [](GgufBytes& bytes) {
    bytes.String("general.name", "Tiny").U32("general.file_type", 7);
    bytes.Tensor("blk.0.ffn_up.weight", {kInner, kHidden}, 8, std::string(64 * 34, '\0'));
  }));
  ASSERT_TRUE(model.ok()) << model.status().message();
  const GgufDescription description = DescribeGguf(*model);
  EXPECT_THAT(description.labels, ElementsAre(testing::Pair("name", "Tiny")));
  EXPECT_EQ(description.file_type, "Q8_0");
  EXPECT_THAT(description.tensors_by_type,
              ElementsAre(testing::Pair("F32", 10), testing::Pair("Q8_0", 1)));
  EXPECT_THAT(description.warnings, IsEmpty());
}

TEST(GgufWeights, UndoesTheOrderOfRotaryPairs) {
  MemoryFileSystem files;
  for (const char* architecture : {"llama", "qwen3"}) {
    files.Put(kPath, File(architecture));
    const auto model = OpenModel(files, kPath, /*num_threads=*/2, SystemAllocator());
    ASSERT_TRUE(model.ok()) << model.status().message();
    const auto query =
        model->weights->Matrix("model.layers.0.self_attn.q_proj.weight", 32, kHidden);
    ASSERT_TRUE(query.ok()) << query.status().message();
    // The first value of each row tells which row of the file it was.
    std::vector<float> rows;
    for (int64_t row = 0; row < 10; ++row) {
      float first = 0;
      std::memcpy(&first, query->Row(row), sizeof(first));
      rows.push_back(first / kHidden);
    }
    if (std::string(architecture) == "llama") {
      EXPECT_THAT(rows, ElementsAre(0, 2, 4, 6, 1, 3, 5, 7, 8, 10));
    } else {
      EXPECT_THAT(rows, ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9));
    }
    const auto again =
        model->weights->Matrix("model.layers.0.self_attn.q_proj.weight", 32, kHidden);
    EXPECT_EQ(again->data, query->data);
  }
}

TEST(GgufWeights, ChecksThatNumbersAreFinite) {
  MemoryFileSystem files;
  files.Put(kPath, File("llama"));
  const auto fine = OpenModel(files, kPath, 1, SystemAllocator());
  EXPECT_TRUE(CheckWeightsFinite(fine->config, *fine->weights).ok());

  files.Put(kPath, File("llama", {"output_norm.weight"}, [](GgufBytes& bytes) {
              bytes.Tensor("output_norm.weight", {kHidden}, 0,
                           Floats(kHidden - 1) + GgufBytes::Raw(NAN));
            }));
  const auto damaged = OpenModel(files, kPath, 1, SystemAllocator());
  const Status status = CheckWeightsFinite(damaged->config, *damaged->weights);
  EXPECT_EQ(status.code(), StatusCode::kNumeric);
  EXPECT_THAT(status.message(), HasSubstr("model.norm.weight"));

  for (const char* scale : {"\x00\x7c", "\x00\xfc", "\x01\x7e"}) {
    files.Put(kPath, File("llama", {"blk.0.ffn_up.weight"}, [&](GgufBytes& bytes) {
                std::string blocks(kInner * 34, '\0');
                blocks.replace(40 * 34, 2, std::string(scale, 2));
                bytes.Tensor("blk.0.ffn_up.weight", {kInner, kHidden}, 8, blocks);
              }));
    const auto model = OpenModel(files, kPath, 2, SystemAllocator());
    ASSERT_TRUE(model.ok()) << model.status().message();
    const Status refused =
        model->weights->Matrix("model.layers.0.mlp.up_proj.weight", kInner, kHidden).status();
    EXPECT_EQ(refused.code(), StatusCode::kFormat);
    EXPECT_THAT(refused.message(), AllOf(HasSubstr("blk.0.ffn_up.weight"), HasSubstr("row 40")));
  }
}

}  // namespace
}  // namespace fastkv
