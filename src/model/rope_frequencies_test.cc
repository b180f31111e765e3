#include "model/rope_frequencies.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "io/json.h"

namespace fastkv {
namespace {

using testing::HasSubstr;

Result<RopeConfig> Parse(const std::string& text) {
  const Json json = *ParseJson(text);
  return ParseRopeConfig(*JsonFields::Of(json, "config.json"), 4096);
}

void ExpectNear(const std::vector<float>& actual, const std::vector<double>& expected) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(actual[i], expected[i], 2e-6 * expected[i]) << i;
  }
}

// The expected numbers were computed apart, in double precision, from the published formulas.

TEST(RopeFrequencies, DefaultIsAGeometricSeries) {
  const RopeFrequencies rope = ComputeRopeFrequencies(*Parse("{}"), 8);
  ExpectNear(rope.inverse_frequencies, {1, 0.1, 0.01, 0.001});
  EXPECT_EQ(rope.attention_factor, 1.0f);
}

TEST(RopeFrequencies, LinearDividesAll) {
  const Result<RopeConfig> config = Parse(R"({"rope_scaling":{"type":"linear","factor":4}})");
  ExpectNear(ComputeRopeFrequencies(*config, 8).inverse_frequencies,
             {0.25, 0.025, 0.0025, 0.00025});
}

TEST(RopeFrequencies, Llama3StretchesLowFrequencies) {
  const Result<RopeConfig> config = Parse(
      R"({"rope_parameters":{"rope_type":"llama3","rope_theta":500000.0,"factor":8.0,
          "low_freq_factor":1.0,"high_freq_factor":4.0,"original_max_position_embeddings":512}})");
  ExpectNear(ComputeRopeFrequencies(*config, 32).inverse_frequencies,
             {1, 0.440366603, 0.193922745, 0.0853971003, 0.0273441373, 0.00375802094,
              0.000911583092, 0.000401430749, 0.000176776695, 7.78465527e-05, 3.4281022e-05,
              1.50962172e-05, 6.64786987e-06, 2.92749987e-06, 1.28917317e-06, 5.6770881e-07});
}

constexpr char kYarn[] =
    R"("rope_type":"yarn","factor":4.0,"original_max_position_embeddings":256)";

RopeFrequencies Yarn(const std::string& more) {
  return ComputeRopeFrequencies(
      *Parse("{\"rope_theta\":1000000,\"rope_scaling\":{" + std::string(kYarn) + more + "}}"), 16);
}

TEST(RopeFrequencies, YarnRampsBetweenItsBounds) {
  const RopeFrequencies rope = Yarn("");
  ExpectNear(rope.inverse_frequencies, {1, 0.133370956, 0.0158113883, 0.00140585331, 0.00025,
                                        4.44569853e-05, 7.90569415e-06, 1.40585331e-06});
  EXPECT_NEAR(rope.attention_factor, 1.138629436111989, 1e-7);
  ExpectNear(Yarn(",\"truncate\":false").inverse_frequencies,
             {1, 0.120666691, 0.00963994285, 0.00140585331, 0.00025, 4.44569853e-05, 7.90569415e-06,
              1.40585331e-06});
  ExpectNear(Yarn(",\"beta_fast\":null,\"beta_slow\":0").inverse_frequencies,
             {1, 0.133370956, 0.0158113883, 0.00140585331, 0.00025, 4.44569853e-05, 7.90569415e-06,
              1.40585331e-06});
}

TEST(RopeFrequencies, YarnWithEqualBoundsIsAStep) {
  const RopeFrequencies rope = Yarn(",\"truncate\":false,\"beta_fast\":7,\"beta_slow\":7");
  EXPECT_FLOAT_EQ(rope.inverse_frequencies[1], 0.177827941f);
  EXPECT_FLOAT_EQ(rope.inverse_frequencies[2], 0.0316227766f / 4);
}

TEST(RopeFrequencies, YarnAttentionFactor) {
  EXPECT_FLOAT_EQ(Yarn(",\"attention_factor\":0.5").attention_factor, 0.5f);
  EXPECT_FLOAT_EQ(Yarn(",\"mscale\":1,\"mscale_all_dim\":1").attention_factor, 1.0f);
  EXPECT_FLOAT_EQ(Yarn(",\"mscale\":2,\"mscale_all_dim\":1").attention_factor,
                  1.277258872f / 1.138629436f);
  EXPECT_FLOAT_EQ(Yarn(",\"mscale\":2").attention_factor, 1.138629436f);
  EXPECT_FLOAT_EQ(
      ComputeRopeFrequencies(*Parse(R"({"rope_scaling":{"rope_type":"yarn","factor":1}})"), 16)
          .attention_factor,
      1.0f);
}

TEST(ParseRopeConfig, ReadsOldAndNewNames) {
  EXPECT_EQ(Parse(R"({"rope_theta":500000})")->theta, 500000);
  EXPECT_EQ(Parse(R"({"rope_theta":5,"rope_parameters":{"rope_theta":6}})")->theta, 6);
  EXPECT_EQ(Parse(R"({"rope_theta":5,"rope_scaling":null})")->theta, 5);
  EXPECT_EQ(Parse(R"({"rope_theta":5,"rope_scaling":{}})")->theta, 5);
  EXPECT_EQ(Parse(R"({"rope_scaling":{"type":"linear","factor":2}})")->kind, RopeKind::kLinear);
  EXPECT_EQ(Parse(R"({"rope_scaling":{"rope_type":"linear","type":"yarn","factor":2}})")->kind,
            RopeKind::kLinear);
  EXPECT_EQ(
      Parse(R"({"rope_scaling":{"type":"default"},"rope_parameters":{"rope_type":"yarn"}})")->kind,
      RopeKind::kDefault);
}

TEST(ParseRopeConfig, OriginalLength) {
  const auto original = [](const std::string& more, const std::string& top) {
    return Parse("{\"rope_scaling\":{\"type\":\"yarn\"" + more + "}" + top + "}");
  };
  EXPECT_EQ(original(",\"factor\":2", "")->original_max_position_embeddings, 4096);
  EXPECT_EQ(original(",\"factor\":2,\"original_max_position_embeddings\":9", "")
                ->original_max_position_embeddings,
            9);
  EXPECT_EQ(original(",\"factor\":2", ",\"original_max_position_embeddings\":10")
                ->original_max_position_embeddings,
            10);
  EXPECT_EQ(original(",\"original_max_position_embeddings\":1024", "")->factor, 4);
}

TEST(ParseRopeConfig, RefusesWhatItCannotDo) {
  for (const char* text :
       {R"({"rope_scaling":{"type":"dynamic","factor":2}})",
        R"({"rope_scaling":{"type":"longrope"}})", R"({"rope_scaling":{"type":"mrope"}})",
        R"({"partial_rotary_factor":0.5})", R"({"rope_parameters":{"partial_rotary_factor":0.5}})",
        R"({"rope_parameters":{"full_attention":{"rope_theta":1}}})",
        R"({"rope_parameters":{"rope_type":"yarn","factor":2,"llama_4_scaling_beta":0.1}})"}) {
    EXPECT_EQ(Parse(text).status().code(), StatusCode::kUnsupported) << text;
  }
  EXPECT_TRUE(Parse(R"({"partial_rotary_factor":1.0})").ok());
}

TEST(ParseRopeConfig, RefusesWhatCannotBe) {
  for (
      const char* text : {
          R"({"rope_theta":0})",
          R"({"rope_theta":-10000})",
          R"({"rope_theta":"10000"})",
          R"({"rope_theta":1})",
          R"({"rope_parameters":{"rope_theta":0}})",
          R"({"rope_parameters":7})",
          R"({"rope_scaling":[1]})",
          R"({"rope_scaling":{"type":1}})",
          R"({"rope_scaling":{"type":"linear"}})",
          R"({"rope_scaling":{"type":"linear","factor":0}})",
          R"({"rope_scaling":{"type":"yarn","factor":0.5}})",
          R"({"rope_scaling":{"type":"yarn","factor":2,"beta_fast":-1}})",
          R"({"rope_scaling":{"type":"yarn","factor":2,"truncate":1}})",
          R"({"rope_scaling":{"type":"yarn","factor":2,"attention_factor":0}})",
          R"({"rope_scaling":{"type":"yarn","factor":2,"original_max_position_embeddings":0}})",
          R"({"rope_scaling":{"type":"llama3","factor":8,"low_freq_factor":1}})",
          R"({"rope_scaling":{"type":"llama3","factor":8,"low_freq_factor":4,"high_freq_factor":4}})",
      }) {
    const Status status = Parse(text).status();
    EXPECT_EQ(status.code(), StatusCode::kFormat) << text;
    EXPECT_THAT(status.message(), HasSubstr("config.json: ")) << text;
  }
  EXPECT_THAT(Parse(R"({"rope_scaling":{"type":"linear"}})").status().message(),
              HasSubstr("config.json: rope_scaling: field \"factor\""));
}

}  // namespace
}  // namespace fastkv
