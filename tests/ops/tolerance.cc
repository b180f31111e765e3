#include "tests/ops/tolerance.h"

#include <cstdio>

namespace fastkv::op_cases {
namespace {

constexpr Tolerance kExact = {};

std::string Text(const Tolerance& tolerance) {
  if (tolerance.absolute == 0 && tolerance.relative == 0) return "exact";
  char text[64];
  std::snprintf(text, sizeof(text), "%g rms + %g", tolerance.absolute, tolerance.relative);
  return text;
}

std::string Line(std::string_view op, std::string_view output, const std::string& f32,
                 const std::string& bf16, std::string_view reason) {
  std::string line = "| ";
  line.append(op).append(" | ").append(output.empty() ? "all" : output);
  line.append(" | ").append(f32).append(" | ").append(bf16).append(" | ");
  return line.append(reason).append(" |");
}

}  // namespace

const std::vector<ToleranceRow>& ToleranceTable() {
  static const std::vector<ToleranceRow> table = {
      {"EmbedTokens", "", kExact, kExact, "a copy, widened"},
      {"GatherRows", "", kExact, kExact, "a copy"},
      {"GatherKv", "", kExact, kExact, "a copy; 8-bit integers and their scales are defined"},
      {"SelectTopK", "", kExact, kExact, "integers; the order of ties and of NaN is defined"},
      {"ArgMax", "", kExact, kExact, "integers; ties and broken rows are defined"},
      {"FillColumns", "", kExact, kExact, "a constant beside what was there"},
      {"PoolScores", "max", kExact, kExact, "a maximum rounds nothing"},
      {"PoolScores",
       "average",
       {1e-6, 1e-6},
       {1e-6, 1e-6},
       "float32 sum of at most 31 numbers of either sign"},
      {"ReduceRows", "max", kExact, kExact, "a maximum rounds nothing"},
      {"ReduceRows",
       "",
       {1e-6, 1e-6},
       {1e-6, 1e-6},
       "float32 sum of at most 32 numbers of either sign"},
      {"RmsNorm",
       "",
       {0, 4e-6},
       {0, 4e-6},
       "float32 sum of squares without cancellation, then a root and two products"},
      {"RopeTable",
       "",
       {3e-6, 0},
       {3e-6, 0},
       "float32 sine and cosine of the same float32 angle, reduced exactly even at 3 million "
       "radians"},
      {"StoreQkv",
       "",
       {3e-6, 4e-6},
       {3e-6, 4e-6},
       "norm as above, then a difference of two float32 products"},
      {"MatMul",
       "",
       {2e-5, 1e-6},
       {2e-5, 1e-6},
       "float32 accumulation of up to 4099 products, error about sqrt(4099) 2^-24 of the rms; "
       "bf16 products are exact in float32"},
      {"SiluMultiply",
       "",
       {1e-7, 1e-5},
       {1e-7, 1e-5},
       "float32 exponential whose argument, up to 88, is off by half a unit in the last place"},
      {"PrefillAttention",
       "log_sum_exp",
       {1e-5, 1e-6},
       {1e-5, 1e-6},
       "float32 scores and sums with either type"},
      {"PrefillAttention",
       "out",
       {1e-4, 1e-4},
       {0.016, 0},
       "f32: scores of +-100 are off by 3e-5, and so are the probabilities' logarithms; bf16: "
       "probabilities are rounded to bf16 before they meet the values, 2^-9 each, 5 deviations"},
      {"CachedAttention", "log_sum_exp", {1e-5, 1e-6}, {1e-5, 1e-6}, "as PrefillAttention"},
      {"CachedAttention", "out", {1e-4, 1e-4}, {0.016, 0}, "as PrefillAttention"},
      {"WindowScores",
       "",
       {1e-6, 1e-4},
       {1e-6, 1e-4},
       "float32 scores with either type, never rounded between the steps; exponentials as in "
       "attention"},
      {"ColumnScores",
       "",
       {1e-6, 1e-4},
       {1e-6, 1e-4},
       "as WindowScores, with a float32 normaliser that both are given"},
      {"QueryScores", "", {1e-5, 1e-6}, {1e-5, 1e-6}, "float32 accumulation of up to 256 products"},
      {"KeyNormScores",
       "",
       {0, 4e-6},
       {0, 4e-6},
       "float32 sum of squares without cancellation, then a root"},
      {"KeyDiffScores",
       "",
       {1e-5, 1e-6},
       {1e-5, 1e-6},
       "float32 sums of 5000 directions, then a dot product of two of norm 1"},
      {"QueryMoments",
       "",
       {2e-5, 2e-6},
       {8e-5, 4e-6},
       "float32 accumulation as in MatMul; bf16: after a norm, a query keeps at least 16 bits"},
      {"ExpectedAttentionScores",
       "",
       {1e-6, 1e-4},
       {1e-6, 1e-4},
       "float32 exponents with either type, up to 100 and off by 3e-5"},
      {"TargetLogProbs",
       "",
       {2e-6, 2e-6},
       {2e-6, 2e-6},
       "float32 exponentials of a vocabulary, then the difference of two numbers up to 500"},
  };
  return table;
}

Tolerance ToleranceFor(std::string_view op, const OpOutput& output, const ComputeTypes& types,
                       const OperandRounding& rounding) {
  if (output.dtype == DType::kI32) return kExact;
  const bool any_bf16 = types.activation == DType::kBF16 || types.kv == DType::kBF16;
  Tolerance tolerance;
  for (const ToleranceRow& row : ToleranceTable()) {
    if (row.op == op && (row.output.empty() || row.output == output.name)) {
      tolerance = any_bf16 ? row.bf16 : row.f32;
      break;
    }
  }
  const auto add = [&tolerance](const Tolerance& more) {
    tolerance.absolute += more.absolute;
    tolerance.relative += more.relative;
  };
  const bool is_copy = op == "GatherRows" || op == "GatherKv";
  if (output.dtype == DType::kBF16 && !is_copy) add(kStoredAsBF16);
  if (rounding.weights) add(kWeightsRounded);
  if (op == "MatMul" && (rounding.inputs || types.weights == WeightType::kInt8)) {
    add(kInputsRounded);
  }
  return tolerance;
}

std::vector<std::string> ToleranceTableLines() {
  std::vector<std::string> lines;
  for (const ToleranceRow& row : ToleranceTable()) {
    lines.push_back(Line(row.op, row.output, Text(row.f32), Text(row.bf16), row.reason));
  }
  lines.push_back(Line("any but copies", "stored as bf16", "", "+ " + Text(kStoredAsBF16),
                       "two values a hair apart may round to neighbours, 2^-7 apart"));
  lines.push_back(Line("MatMul, EmbedTokens", "from other than bf16 weights", "",
                       "+ " + Text(kWeightsRounded),
                       "a back end with bf16 products rounds such weights once, 2^-9 on average; "
                       "5 deviations of the sum"));
  lines.push_back(Line("MatMul", "with weights of int8 or in blocks", "+ " + Text(kInputsRounded),
                       "+ " + Text(kInputsRounded),
                       "a product of few rows rounds its inputs to 16 bits of the largest of 256, "
                       "about 4e-5 of the rms; 5 deviations"));
  return lines;
}

}  // namespace fastkv::op_cases
