#include <cctype>
#include <cmath>

#include "tests/ops/case_data.h"
#include "tests/ops/case_groups.h"

namespace fastkv::op_cases {
namespace {

struct WeightPart {
  int64_t rows = 0;
  StoredType type = StoredType::kBF16;
};

struct MatMulSizes {
  int64_t num_tokens = 0;
  int64_t in_features = 0;
  std::vector<WeightPart> parts;
};

struct MatMulOptions {
  bool bias = false;
  bool accumulate = false;
  bool out_activation = false;
  int64_t x_padding = 0;  // elements between the rows of x
};

// A unit-variance product: x is standard normal and the weights have variance 1 / in_features.
void SetUpMatMul(const MatMulSizes& sizes, const MatMulOptions& options, OpRun& run) {
  Random random(sizes.num_tokens * 1'000'003 + sizes.in_features);
  std::vector<int64_t> part_rows;
  std::vector<StoredType> part_types;
  int64_t out_features = 0;
  for (const WeightPart& part : sizes.parts) {
    part_rows.push_back(part.rows);
    part_types.push_back(part.type);
    out_features += part.rows;
  }
  const int64_t m = sizes.num_tokens;
  const int64_t k = sizes.in_features;
  const float weight_deviation = 1 / std::sqrt(static_cast<float>(k));
  MatMulParams params;
  params.weight =
      run.Weight(part_rows, part_types, k, Gaussian(random, out_features * k, weight_deviation));
  params.x = run.Input(run.activation(), {m, k}, Gaussian(random, m * k), k + options.x_padding);
  if (options.bias) {
    params.bias = run.Input(DType::kF32, {out_features}, Gaussian(random, out_features));
  }
  params.accumulate = options.accumulate;
  params.out = run.Output(
      "out", options.out_activation ? run.activation() : DType::kF32, {m, out_features}, 0,
      options.accumulate ? Gaussian(random, m * out_features, 3) : std::vector<float>());
  run.SetOperation([params](Backend& backend) { backend.MatMul(params); },
                   2.0 * static_cast<double>(m * k * out_features),
                   static_cast<double>(params.weight->num_bytes()));
}

// As in "n48bf16".
std::string NameOf(StoredType type) {
  std::string name(StoredTypeName(type));
  for (char& c : name) c = static_cast<char>(std::tolower(c));
  return name;
}

OpCase MatMulCase(const MatMulSizes& sizes, const MatMulOptions& options = {}) {
  std::string name = Label({{"m", sizes.num_tokens}, {"k", sizes.in_features}});
  for (const WeightPart& part : sizes.parts) {
    name += "_n" + std::to_string(part.rows) + NameOf(part.type);
  }
  if (options.bias) name += "_bias";
  if (options.accumulate) name += "_accumulate";
  if (options.out_activation) name += "_act";
  if (options.x_padding > 0) name += "_strided";
  return {"MatMul", name, [sizes, options](OpRun& run) { SetUpMatMul(sizes, options, run); }};
}

OpCase EmbedCase(int64_t num_tokens, int64_t vocab_size, int64_t hidden_size, StoredType source) {
  const std::string name =
      Label({{"tokens", num_tokens}, {"vocab", vocab_size}, {"hidden", hidden_size}}) + "_" +
      NameOf(source);
  return {"EmbedTokens", name, [=](OpRun& run) {
            Random random(num_tokens + hidden_size);
            std::vector<int32_t> ids = Integers(random, num_tokens, vocab_size);
            if (num_tokens > 1) ids.back() = static_cast<int32_t>(vocab_size - 1);
            EmbedTokensParams params;
            params.table = run.Weight({vocab_size}, {source}, hidden_size,
                                      Gaussian(random, vocab_size * hidden_size));
            params.ids = run.Input({num_tokens}, ids).As<int32_t>();
            params.out = run.Output("out", DType::kF32, {num_tokens, hidden_size});
            run.SetOperation([params](Backend& backend) { backend.EmbedTokens(params); }, 0,
                             static_cast<double>(num_tokens * RowBytes(source, hidden_size)));
          }};
}

// Every format of blocks: rows of one block and of several, every kind of product.
void AddBlockCases(std::vector<OpCase>& cases) {
  for (int i = 0; i < kNumStoredTypes; ++i) {
    const auto type = static_cast<StoredType>(i);
    if (IsElementType(type)) continue;
    const int64_t block = BlockOf(type).num_values;
    const int64_t several = block == 32 ? 416 : 768;
    cases.push_back(MatMulCase({0, block, {{5, type}}}));
    cases.push_back(MatMulCase({1, block, {{1, type}}}));
    cases.push_back(MatMulCase({1, several, {{83, type}}}, {.bias = true, .accumulate = true}));
    cases.push_back(MatMulCase({2, several, {{19, type}}}, {.x_padding = 32}));
    cases.push_back(MatMulCase({7, several, {{41, type}}}, {.out_activation = true}));
    cases.push_back(MatMulCase({9, block, {{33, type}}}));
    cases.push_back(MatMulCase({40, several, {{67, type}}}, {.bias = true, .accumulate = true}));
    cases.push_back(EmbedCase(5, 30, several, type));
  }
  constexpr StoredType kQ4_0 = StoredType::kQ4_0;
  constexpr StoredType kQ4K = StoredType::kQ4K;
  constexpr StoredType kQ6K = StoredType::kQ6K;
  // One weight of several formats, and rows beyond a block of columns.
  for (int64_t num_tokens : {1, 3, 4, 5, 6, 8, 20}) {
    cases.push_back(
        MatMulCase({num_tokens, 2560, {{48, kQ4K}, {7, kQ6K}, {25, kQ4_0}, {3, StoredType::kF16}}},
                   {.bias = true, .x_padding = 32}));
  }
  cases.push_back(MatMulCase({200, 512, {{130, kQ6K}, {62, kQ4K}}}, {.out_activation = true}));
}

}  // namespace

void AddMatMulCases(std::vector<OpCase>& cases) {
  constexpr StoredType kF32 = StoredType::kF32;
  constexpr StoredType kBF16 = StoredType::kBF16;
  constexpr StoredType kF16 = StoredType::kF16;
  for (int64_t num_tokens : {0, 1, 2, 3, 7, 33, 200}) {
    for (StoredType source : {kF32, kBF16, kF16}) {
      cases.push_back(MatMulCase({num_tokens, 96, {{64, source}}}));
    }
    cases.push_back(MatMulCase({num_tokens, 65, {{33, kBF16}}}, {.bias = true}));
    cases.push_back(MatMulCase({num_tokens, 257, {{129, kBF16}}}, {.accumulate = true}));
    cases.push_back(MatMulCase({num_tokens, 127, {{31, kBF16}}}, {.out_activation = true}));
    cases.push_back(MatMulCase({num_tokens, 160, {{48, kBF16}, {7, kBF16}, {25, kBF16}}},
                               {.bias = true, .out_activation = true, .x_padding = 32}));
  }
  cases.push_back(MatMulCase({3, 80, {{17, kF32}, {16, kF16}, {31, kBF16}}}, {.x_padding = 5}));
  cases.push_back(MatMulCase({1, 4096, {{200, kBF16}}}));
  cases.push_back(MatMulCase({1, 4099, {{67, kBF16}}}, {.bias = true, .accumulate = true}));
  cases.push_back(MatMulCase({65, 2048, {{257, kBF16}}}, {.accumulate = true}));
  cases.push_back(MatMulCase({64, 512, {{384, kF32}}}, {.out_activation = true}));
  cases.push_back(MatMulCase({33, 1, {{40, kBF16}}}));
  cases.push_back(MatMulCase({40, 33, {{1, kBF16}}}));
  cases.push_back(MatMulCase({1, 2, {{3, kBF16}}}));
  // Every number of rows of a short product, and weights that do not divide into its streams.
  for (int64_t num_tokens : {4, 5, 6, 8, 9}) {
    cases.push_back(MatMulCase({num_tokens, 519, {{41, kBF16}, {6, kBF16}}}));
  }

  AddBlockCases(cases);

  cases.push_back(EmbedCase(0, 10, 64, kBF16));
  cases.push_back(EmbedCase(1, 10, 33, kBF16));
  cases.push_back(EmbedCase(77, 300, 96, kF32));
  cases.push_back(EmbedCase(5, 300, 128, kF16));
  cases.push_back(EmbedCase(130, 1000, 127, kBF16));
}

void AddMatMulBenchCases(const BenchSizes& sizes, std::vector<OpCase>& cases) {
  const MatMulBenchSizes& layer = sizes.layer;
  for (int64_t num_tokens : {int64_t{1}, int64_t{4}, int64_t{8}, sizes.num_tokens}) {
    cases.push_back(
        MatMulCase({num_tokens, layer.hidden_size, {{layer.qkv_size}}}, {.out_activation = true}));
    cases.push_back(
        MatMulCase({num_tokens, layer.hidden_size, {{layer.hidden_size}}}, {.accumulate = true}));
    cases.push_back(MatMulCase(
        {num_tokens, layer.hidden_size, {{layer.intermediate_size}, {layer.intermediate_size}}},
        {.out_activation = true}));
    cases.push_back(MatMulCase({num_tokens, layer.intermediate_size, {{layer.hidden_size}}},
                               {.accumulate = true}));
  }
  cases.push_back(EmbedCase(sizes.num_tokens, 32000, layer.hidden_size, StoredType::kBF16));
}

}  // namespace fastkv::op_cases
