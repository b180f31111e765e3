#include "model/rope_frequencies.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/float16.h"
#include "base/limits.h"
#include "io/quoted.h"

namespace fastkv {
namespace {

constexpr double kMaxTheta = 1e15;
constexpr double kMaxFactor = 1e6;

// A value for which Transformers takes null and 0 as "not given".
Result<double> NonZeroOr(const JsonFields& fields, std::string_view name, double otherwise) {
  FASTKV_ASSIGN_OR_RETURN(const double value, fields.NumberOr(name, 0, 0, kMaxFactor));
  return value == 0 ? otherwise : value;
}

Result<RopeKind> ParseKind(const JsonFields& fields) {
  FASTKV_ASSIGN_OR_RETURN(const std::string old_name, fields.StringOr("type", "default"));
  FASTKV_ASSIGN_OR_RETURN(const std::string name, fields.StringOr("rope_type", old_name));
  if (name == "default") return RopeKind::kDefault;
  if (name == "linear") return RopeKind::kLinear;
  if (name == "llama3") return RopeKind::kLlama3;
  if (name == "yarn") return RopeKind::kYarn;
  return UnsupportedError(fields.context() + ": RoPE of type " + Quoted(name) +
                          " is not supported; supported are default, linear, llama3 and yarn");
}

Status ParseLlama3(const JsonFields& fields, RopeConfig* rope) {
  FASTKV_ASSIGN_OR_RETURN(rope->low_freq_factor,
                          fields.Number("low_freq_factor", 1e-3, kMaxFactor));
  FASTKV_ASSIGN_OR_RETURN(rope->high_freq_factor,
                          fields.Number("high_freq_factor", 1e-3, kMaxFactor));
  if (rope->high_freq_factor > rope->low_freq_factor) return OkStatus();
  return FormatError(fields.context() +
                     ": field \"high_freq_factor\": expected more than \"low_freq_factor\"");
}

Status ParseYarn(const JsonFields& fields, RopeConfig* rope) {
  FASTKV_ASSIGN_OR_RETURN(rope->beta_fast, NonZeroOr(fields, "beta_fast", 32));
  FASTKV_ASSIGN_OR_RETURN(rope->beta_slow, NonZeroOr(fields, "beta_slow", 1));
  FASTKV_ASSIGN_OR_RETURN(rope->truncate, fields.BoolOr("truncate", true));
  FASTKV_ASSIGN_OR_RETURN(rope->mscale, NonZeroOr(fields, "mscale", 0));
  FASTKV_ASSIGN_OR_RETURN(rope->mscale_all_dim, NonZeroOr(fields, "mscale_all_dim", 0));
  if (fields.Has("attention_factor")) {
    FASTKV_ASSIGN_OR_RETURN(rope->attention_factor,
                            fields.Number("attention_factor", 1e-6, kMaxFactor));
  }
  return OkStatus();
}

// What all kinds share once the object with the parameters is known.
Result<RopeConfig> ParseParameters(const JsonFields& config, const JsonFields& fields,
                                   int64_t max_position_embeddings) {
  RopeConfig rope;
  FASTKV_ASSIGN_OR_RETURN(const double top_theta,
                          config.NumberOr("rope_theta", 10000, 2, kMaxTheta));
  FASTKV_ASSIGN_OR_RETURN(rope.theta, fields.NumberOr("rope_theta", top_theta, 2, kMaxTheta));
  for (const JsonFields* place : {&config, &fields}) {
    FASTKV_ASSIGN_OR_RETURN(const double part, place->NumberOr("partial_rotary_factor", 1, 0, 1));
    if (part != 1) {
      return UnsupportedError(place->context() +
                              ": field \"partial_rotary_factor\": only 1 is supported");
    }
  }
  for (const char* name : {"full_attention", "sliding_attention", "llama_4_scaling_beta"}) {
    if (fields.Has(name)) {
      return UnsupportedError(fields.context() + ": the field " + Quoted(name) +
                              " is not supported");
    }
  }
  FASTKV_ASSIGN_OR_RETURN(rope.kind, ParseKind(fields));
  if (rope.kind == RopeKind::kDefault) return rope;

  const bool derived = rope.kind == RopeKind::kYarn && !fields.Has("factor");
  if (!derived) {
    FASTKV_ASSIGN_OR_RETURN(rope.factor, fields.Number("factor", 1, kMaxFactor));
  }
  if (rope.kind == RopeKind::kLinear) return rope;

  constexpr char kOriginal[] = "original_max_position_embeddings";
  FASTKV_ASSIGN_OR_RETURN(
      const int64_t inner_original,
      fields.IntOr(kOriginal, max_position_embeddings, 1, limits::kMaxContextTokens));
  FASTKV_ASSIGN_OR_RETURN(rope.original_max_position_embeddings,
                          config.IntOr(kOriginal, inner_original, 1, limits::kMaxContextTokens));
  if (derived) {
    rope.factor = std::max(1.0, static_cast<double>(max_position_embeddings) /
                                    static_cast<double>(rope.original_max_position_embeddings));
  }
  FASTKV_RETURN_IF_ERROR(rope.kind == RopeKind::kLlama3 ? ParseLlama3(fields, &rope)
                                                        : ParseYarn(fields, &rope));
  return rope;
}

void ScaleLlama3(const RopeConfig& config, std::vector<float>* frequencies) {
  const auto context = static_cast<float>(config.original_max_position_embeddings);
  const auto factor = static_cast<float>(config.factor);
  const auto low = static_cast<float>(config.low_freq_factor);
  const auto high = static_cast<float>(config.high_freq_factor);
  for (float& frequency : *frequencies) {
    const float wavelength = 2 * std::numbers::pi_v<float> / frequency;
    if (wavelength > context / low) {
      frequency /= factor;
    } else if (!(wavelength < context / high)) {
      const float smooth = (context / wavelength - low) / (high - low);
      frequency = (1 - smooth) * frequency / factor + smooth * frequency;
    }
  }
}

// The dimension, a real number, that turns `num_turns` times over the original context.
double YarnDimension(const RopeConfig& config, int64_t head_dim, double num_turns) {
  const auto context = static_cast<double>(config.original_max_position_embeddings);
  return static_cast<double>(head_dim) * std::log(context / (num_turns * 2 * std::numbers::pi)) /
         (2 * std::log(config.theta));
}

// `periods`: the radians per position of each pair of dimensions, inverted.
std::vector<float> YarnFrequencies(const RopeConfig& config, int64_t head_dim,
                                   const std::vector<float>& periods) {
  double low = YarnDimension(config, head_dim, config.beta_fast);
  double high = YarnDimension(config, head_dim, config.beta_slow);
  if (config.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(head_dim - 1));
  if (low == high) high += 0.001;
  const auto factor = static_cast<float>(config.factor);
  std::vector<float> frequencies;
  frequencies.reserve(periods.size());
  for (size_t i = 0; i < periods.size(); ++i) {
    const float ramp =
        (static_cast<float>(i) - static_cast<float>(low)) / static_cast<float>(high - low);
    const float kept = 1 - std::clamp(ramp, 0.0f, 1.0f);
    const float stretched = 1.0f / (factor * periods[i]);
    frequencies.push_back(stretched * (1 - kept) + 1.0f / periods[i] * kept);
  }
  return frequencies;
}

double YarnAttentionFactor(const RopeConfig& config) {
  if (config.attention_factor) return *config.attention_factor;
  const auto magnitude = [&](double mscale) {
    return config.factor <= 1 ? 1.0 : 0.1 * mscale * std::log(config.factor) + 1.0;
  };
  if (config.mscale != 0 && config.mscale_all_dim != 0) {
    return magnitude(config.mscale) / magnitude(config.mscale_all_dim);
  }
  return magnitude(1);
}

}  // namespace

Result<RopeConfig> ParseRopeConfig(const JsonFields& config, int64_t max_position_embeddings) {
  // Transformers lets the older name win where both are given.
  for (const char* name : {"rope_scaling", "rope_parameters"}) {
    const Json* parameters = config.Find(name);
    if (parameters == nullptr || parameters->empty()) continue;
    FASTKV_ASSIGN_OR_RETURN(const JsonFields fields,
                            JsonFields::Of(*parameters, config.context() + ": " + name));
    return ParseParameters(config, fields, max_position_embeddings);
  }
  const Json none = Json::object();
  FASTKV_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::Of(none, config.context()));
  return ParseParameters(config, fields, max_position_embeddings);
}

RopeFrequencies ComputeRopeFrequencies(const RopeConfig& config, int64_t head_dim) {
  FASTKV_CHECK_GT(head_dim, 0);
  FASTKV_CHECK_EQ(head_dim % 2, 0);
  std::vector<float> periods;
  RopeFrequencies rope;
  const auto theta = static_cast<float>(config.theta);
  for (int64_t i = 0; i < head_dim; i += 2) {
    periods.push_back(std::pow(theta, static_cast<float>(i) / static_cast<float>(head_dim)));
    rope.inverse_frequencies.push_back(1.0f / periods.back());
  }
  switch (config.kind) {
    case RopeKind::kDefault:
      break;
    case RopeKind::kLinear:
      for (float& frequency : rope.inverse_frequencies) {
        frequency /= static_cast<float>(config.factor);
      }
      break;
    case RopeKind::kLlama3:
      ScaleLlama3(config, &rope.inverse_frequencies);
      break;
    case RopeKind::kYarn:
      rope.inverse_frequencies = YarnFrequencies(config, head_dim, periods);
      rope.attention_factor = static_cast<float>(YarnAttentionFactor(config));
      break;
  }
  if (!config.divisors.empty()) {
    FASTKV_CHECK_EQ(config.divisors.size(), rope.inverse_frequencies.size());
    for (size_t i = 0; i < config.divisors.size(); ++i) {
      rope.inverse_frequencies[i] /= config.divisors[i];
    }
  }
  if (config.round_to_bf16) {
    for (float& frequency : rope.inverse_frequencies) frequency = ToFloat(ToBFloat16(frequency));
  }
  return rope;
}

}  // namespace fastkv
