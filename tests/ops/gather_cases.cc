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

struct GatherKvSizes {
  int64_t num_kv_heads = 0;
  int64_t kv_len = 0;
  int64_t head_dim = 0;
  int64_t num_selected = 0;
  int64_t spare_entries = 0;  // room behind each head's entries, on both sides
};

void SetUpGatherKv(const GatherKvSizes& sizes, OpRun& run) {
  Random random(sizes.kv_len * 197 + sizes.num_selected);
  const int64_t d = sizes.head_dim;
  const Dims dims = {sizes.num_kv_heads, sizes.kv_len, d};
  const Dims out_dims = {sizes.num_kv_heads, sizes.num_selected, d};
  const int64_t count = sizes.num_kv_heads * sizes.kv_len * d;
  const int64_t head_stride = (sizes.kv_len + sizes.spare_entries) * d;
  const int64_t out_head_stride = (sizes.num_selected + sizes.spare_entries) * d;
  std::vector<int32_t> indices;
  for (int64_t a = 0; a < sizes.num_kv_heads; ++a) {
    const std::vector<int32_t> chosen = AscendingSubset(random, sizes.num_selected, sizes.kv_len);
    indices.insert(indices.end(), chosen.begin(), chosen.end());
  }
  GatherKvParams params;
  params.keys = run.Input(run.kv(), dims, SmallIntegers(random, count), head_stride);
  params.values = run.Input(run.kv(), dims, SmallIntegers(random, count), head_stride);
  params.positions = run.Input({sizes.kv_len}, GappedPositions(random, sizes.kv_len)).As<int32_t>();
  params.indices = run.Input({sizes.num_kv_heads, sizes.num_selected}, indices);
  params.out_keys = run.Output("keys", run.kv(), out_dims, out_head_stride);
  params.out_values = run.Output("values", run.kv(), out_dims, out_head_stride);
  params.out_positions =
      run.Output("positions", DType::kI32, {sizes.num_kv_heads, sizes.num_selected});
  const int64_t not_selected = sizes.num_kv_heads * (sizes.kv_len - sizes.num_selected) * d;
  run.SetOperation([params](Backend& backend) { backend.GatherKv(params); }, 0,
                   -2.0 * static_cast<double>(not_selected * DTypeBytes(run.kv())));
}

OpCase GatherKvCase(const GatherKvSizes& sizes) {
  const std::string name = Label({{"heads", sizes.num_kv_heads},
                                  {"len", sizes.kv_len},
                                  {"dim", sizes.head_dim},
                                  {"selected", sizes.num_selected},
                                  {"spare", sizes.spare_entries}});
  return {"GatherKv", name, [sizes](OpRun& run) { SetUpGatherKv(sizes, run); }};
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
}

void AddGatherBenchCases(const BenchSizes& sizes, std::vector<OpCase>& cases) {
  cases.push_back(GatherRowsCase(DType::kF32, sizes.kv_len, 4096, sizes.kv_len / 5));
  cases.push_back(GatherKvCase({8, sizes.kv_len, 128, sizes.kv_len / 10}));
}

}  // namespace fastkv::op_cases
