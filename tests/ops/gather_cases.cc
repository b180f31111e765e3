#include <cmath>
#include <iterator>
#include <utility>

#include "tests/ops/case_data.h"
#include "tests/ops/case_groups.h"

namespace fastkv::op_cases {
namespace {

// Numbers that every type holds exactly.
std::vector<float> SmallIntegers(Random& random, int64_t count) {
  std::vector<float> values(count);
  for (float& value : values) value = static_cast<float>(random.NextInt(255) - 127);
  return values;
}

OpCase GatherRowsCase(DType dtype, int64_t num_rows, int64_t num_columns, int64_t num_selected) {
  const std::string name =
      std::string(DTypeName(dtype)) + "_" +
      Label({{"rows", num_rows}, {"columns", num_columns}, {"selected", num_selected}});
  return {"GatherRows", name, [=](OpRun& run) {
            Random random(num_rows * 193 + num_columns);
            GatherRowsParams params;
            params.x = run.Input(dtype, {num_rows, num_columns},
                                 SmallIntegers(random, num_rows * num_columns));
            params.indices =
                run.Input({num_selected}, AscendingSubset(random, num_selected, num_rows))
                    .As<int32_t>();
            params.out = run.Output("out", dtype, {num_selected, num_columns});
            run.SetOperation(
                [params](Backend& backend) { backend.GatherRows(params); }, 0,
                -static_cast<double>((num_rows - num_selected) * num_columns * DTypeBytes(dtype)));
          }};
}

// The form of entries on one side of GatherKv.
enum class Form { kComputed, kInt8 };

struct GatherKvSizes {
  int64_t num_kv_heads = 0;
  int64_t kv_len = 0;
  int64_t head_dim = 0;
  int64_t num_selected = 0;
  int64_t spare_entries = 0;  // room behind each head's entries, on both sides
  Form from = Form::kComputed;
  Form to = Form::kComputed;
  bool takes_all = false;  // no indices; num_selected is then kv_len
};

// One side's keys or values, and their scales where they are in integers.
template <typename View>
struct Vectors {
  View rows;
  View scales;
};

// Gaussian numbers to be rounded, or small integers to be copied. Of those to be rounded, entries
// of each head are all zero, subnormal, huge, infinite or hold a NaN.
Vectors<ConstTensorView> Source(const GatherKvSizes& sizes, Random& random, OpRun& run) {
  const int64_t d = sizes.head_dim;
  const int64_t num_vectors = sizes.num_kv_heads * sizes.kv_len;
  const Dims dims = {sizes.num_kv_heads, sizes.kv_len, d};
  const int64_t stride = sizes.kv_len + sizes.spare_entries;
  if (sizes.from == Form::kInt8) {
    return {run.Input(DType::kI8, dims, SmallIntegers(random, num_vectors * d), stride * d),
            run.Input(DType::kF32, {sizes.num_kv_heads, sizes.kv_len},
                      Gaussian(random, num_vectors), stride)};
  }
  if (sizes.to == Form::kComputed) {
    return {run.Input(run.kv(), dims, SmallIntegers(random, num_vectors * d), stride * d), {}};
  }
  std::vector<float> values = Gaussian(random, num_vectors * d);
  const float factors[] = {1, 0, 1, 0x1p-130f, 0x1p120f, 1, INFINITY};
  for (int64_t i = 0; i < num_vectors; ++i) {
    const int64_t entry = i % sizes.kv_len;
    for (int64_t c = 0; c < d; ++c) values[i * d + c] *= factors[entry % std::size(factors)];
    if (entry % std::size(factors) == 5) values[i * d + entry % d] = NAN;
  }
  return {run.Input(run.kv(), dims, values, stride * d), {}};
}

Vectors<TensorView> Target(const GatherKvSizes& sizes, const std::string& name, OpRun& run) {
  const int64_t d = sizes.head_dim;
  const Dims dims = {sizes.num_kv_heads, sizes.num_selected, d};
  const int64_t stride = sizes.num_selected + sizes.spare_entries;
  if (sizes.to == Form::kComputed) return {run.Output(name, run.kv(), dims, stride * d), {}};
  return {
      run.Output(name, DType::kI8, dims, stride * d),
      run.Output(name + "_scales", DType::kF32, {sizes.num_kv_heads, sizes.num_selected}, stride)};
}

void SetUpGatherKv(const GatherKvSizes& sizes, OpRun& run) {
  Random random(sizes.kv_len * 197 + sizes.num_selected);
  GatherKvParams params;
  if (!sizes.takes_all) {
    std::vector<int32_t> indices;
    for (int64_t a = 0; a < sizes.num_kv_heads; ++a) {
      const std::vector<int32_t> chosen = AscendingSubset(random, sizes.num_selected, sizes.kv_len);
      indices.insert(indices.end(), chosen.begin(), chosen.end());
    }
    params.indices = run.Input({sizes.num_kv_heads, sizes.num_selected}, indices);
  }
  const Vectors<ConstTensorView> keys = Source(sizes, random, run);
  params.keys = keys.rows;
  params.key_scales = keys.scales;
  const Vectors<ConstTensorView> values = Source(sizes, random, run);
  params.values = values.rows;
  params.value_scales = values.scales;
  params.positions = run.Input({sizes.kv_len}, GappedPositions(random, sizes.kv_len)).As<int32_t>();
  const Vectors<TensorView> out_keys = Target(sizes, "keys", run);
  params.out_keys = out_keys.rows;
  params.out_key_scales = out_keys.scales;
  const Vectors<TensorView> out_values = Target(sizes, "values", run);
  params.out_values = out_values.rows;
  params.out_value_scales = out_values.scales;
  params.out_positions =
      run.Output("positions", DType::kI32, {sizes.num_kv_heads, sizes.num_selected});
  const int64_t not_selected =
      sizes.num_kv_heads * (sizes.kv_len - sizes.num_selected) * sizes.head_dim;
  run.SetOperation([params](Backend& backend) { backend.GatherKv(params); }, 0,
                   -2.0 * static_cast<double>(not_selected * DTypeBytes(params.keys.dtype())));
}

OpCase GatherKvCase(const GatherKvSizes& sizes) {
  std::string name = Label({{"heads", sizes.num_kv_heads},
                            {"len", sizes.kv_len},
                            {"dim", sizes.head_dim},
                            {"selected", sizes.num_selected},
                            {"spare", sizes.spare_entries}});
  if (sizes.takes_all) name += "_all";
  if (sizes.from == Form::kInt8) name += "_from_int8";
  if (sizes.to == Form::kInt8) name += "_to_int8";
  return {"GatherKv", name, [sizes](OpRun& run) { SetUpGatherKv(sizes, run); },
          sizes.from == Form::kInt8 || sizes.to == Form::kInt8};
}

}  // namespace

void AddGatherCases(std::vector<OpCase>& cases) {
  for (DType dtype : {DType::kF32, DType::kBF16, DType::kF16, DType::kI32, DType::kI8}) {
    cases.push_back(GatherRowsCase(dtype, 100, 33, 41));
  }
  cases.push_back(GatherRowsCase(DType::kF32, 5, 64, 0));
  cases.push_back(GatherRowsCase(DType::kF32, 5, 64, 5));
  cases.push_back(GatherRowsCase(DType::kF32, 1, 1, 1));
  cases.push_back(GatherRowsCase(DType::kF32, 300, 4096, 61));

  cases.push_back(GatherKvCase({2, 50, 64, 0}));
  cases.push_back(GatherKvCase({1, 1, 16, 1}));
  cases.push_back(GatherKvCase({2, 130, 64, 33, 7}));
  cases.push_back(GatherKvCase({8, 1000, 128, 108, 24}));
  cases.push_back(GatherKvCase({3, 77, 80, 77}));
  for (const auto& [from, to] :
       {std::pair{Form::kComputed, Form::kComputed}, std::pair{Form::kComputed, Form::kInt8},
        std::pair{Form::kInt8, Form::kInt8}, std::pair{Form::kInt8, Form::kComputed}}) {
    for (const bool takes_all : {false, true}) {
      if (from == to && from == Form::kComputed && !takes_all) continue;
      for (const GatherKvSizes& sizes : {GatherKvSizes{2, 50, 64, 0},
                                         {1, 1, 16, 1},
                                         {2, 130, 64, 33, 7},
                                         {4, 700, 128, 108, 24},
                                         {3, 77, 80, 77},
                                         {2, 9, 1, 5, 1},
                                         {2, 40, 300, 19}}) {
        GatherKvSizes of_case = sizes;
        of_case.from = from;
        of_case.to = to;
        of_case.takes_all = takes_all;
        if (takes_all) of_case.num_selected = sizes.kv_len;
        cases.push_back(GatherKvCase(of_case));
      }
      // No entries at all.
      cases.push_back(GatherKvCase({2, 0, 32, 0, 0, from, to, takes_all}));
    }
  }
}

void AddGatherBenchCases(const BenchSizes& sizes, std::vector<OpCase>& cases) {
  cases.push_back(GatherRowsCase(DType::kF32, sizes.kv_len, 4096, sizes.kv_len / 5));
  cases.push_back(GatherKvCase({8, sizes.kv_len, 128, sizes.kv_len / 10}));
  cases.push_back(
      GatherKvCase({8, sizes.kv_len, 128, sizes.kv_len / 10, 0, Form::kComputed, Form::kInt8}));
}

}  // namespace fastkv::op_cases
