// Every back end against the reference, over the shared case table. On a machine without a GPU the
// CUDA back end contributes no tests; --gtest_filter='*cuda*' picks its own elsewhere.
#include "tests/ops/parity.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "tests/ops/op_cases.h"

namespace fastkv::op_cases {
namespace {

struct TestedBackend {
  std::string name;
  std::function<Result<std::unique_ptr<Backend>>()> create;
  bool takes_int8_kv = true;
};

TestedBackend Cpu(const std::string& name, ComputeType compute_type, int num_threads,
                  WeightType weight_type = WeightType::kAuto) {
  return {name, [=] {
            return CreateCpuBackend({.num_threads = num_threads,
                                     .compute_type = compute_type,
                                     .weight_type = weight_type,
                                     .allocator = nullptr});
          }};
}

TestedBackend Cuda(const std::string& name, ComputeType compute_type) {
  return {name,
          [=] { return CreateCudaBackend({.device_index = 0, .compute_type = compute_type}); },
          /*takes_int8_kv=*/false};
}

std::vector<TestedBackend> TestedBackends() {
  std::vector<TestedBackend> backends = {
      Cpu("cpu_f32", ComputeType::kF32, 0),
      Cpu("cpu_f32_1thread", ComputeType::kF32, 1),
      Cpu("cpu_f32_3threads", ComputeType::kF32, 3),
      Cpu("cpu_bf16", ComputeType::kBF16, 0),
      Cpu("cpu_bf16_3threads", ComputeType::kBF16, 3),
  };
  if (!ListCudaDevices().empty()) {
    backends.push_back(Cuda("cuda_f32", ComputeType::kF32));
    backends.push_back(Cuda("cuda_bf16", ComputeType::kBF16));
  }
  return backends;
}

// For the operations that read weights; the others do not know of their type.
std::vector<TestedBackend> Int8Backends() {
  return {Cpu("cpu_f32_int8", ComputeType::kF32, 0, WeightType::kInt8),
          Cpu("cpu_bf16_int8", ComputeType::kBF16, 0, WeightType::kInt8),
          Cpu("cpu_f32_int8_1thread", ComputeType::kF32, 1, WeightType::kInt8),
          Cpu("cpu_bf16_int8_3threads", ComputeType::kBF16, 3, WeightType::kInt8)};
}

bool ReadsWeights(const OpCase& op_case) {
  return op_case.op == "MatMul" || op_case.op == "EmbedTokens";
}

// One of each for the whole program: making a device's back end takes longer than most cases. Never
// freed, because a device's driver may be gone by the time static objects are.
Result<Backend*> SharedBackend(const TestedBackend& tested) {
  static auto& backends = *new std::map<std::string, std::unique_ptr<Backend>>;
  std::unique_ptr<Backend>& backend = backends[tested.name];
  if (backend == nullptr) {
    FASTKV_ASSIGN_OR_RETURN(backend, tested.create());
  }
  return backend.get();
}

void ExpectNoProblems(const ParityReport& report) {
  for (const std::string& problem : report.problems) ADD_FAILURE() << problem;
}

struct ParityParam {
  TestedBackend backend;
  OpCase op_case;
};

std::vector<ParityParam> ParityParams() {
  std::vector<ParityParam> params;
  const std::vector<OpCase> cases = ParityCases();
  for (const TestedBackend& backend : TestedBackends()) {
    for (const OpCase& op_case : cases) {
      if (backend.takes_int8_kv || !op_case.has_int8_kv) params.push_back({backend, op_case});
    }
  }
  for (const TestedBackend& backend : Int8Backends()) {
    for (const OpCase& op_case : cases) {
      if (ReadsWeights(op_case)) params.push_back({backend, op_case});
    }
  }
  return params;
}

void PrintTo(const ParityParam& param, std::ostream* out) {
  *out << param.backend.name << ", " << param.op_case.op << " " << param.op_case.name;
}

class BackendParity : public testing::TestWithParam<ParityParam> {};

TEST_P(BackendParity, MatchesReference) {
  const Result<Backend*> backend = SharedBackend(GetParam().backend);
  if (!backend.ok() && backend.status().code() == StatusCode::kUnsupported) {
    GTEST_SKIP() << backend.status().message();
  }
  ASSERT_TRUE(backend.ok()) << backend.status().message();
  const ParityReport report = CompareWithReference(GetParam().op_case, **backend);
  ExpectNoProblems(report);
  RecordProperty("worst_share_of_tolerance", std::to_string(report.worst_share));
}

INSTANTIATE_TEST_SUITE_P(Ops, BackendParity, testing::ValuesIn(ParityParams()),
                         [](const testing::TestParamInfo<ParityParam>& info) {
                           return info.param.backend.name + "_" + info.param.op_case.op + "_" +
                                  info.param.op_case.name;
                         });

class EveryCase : public testing::TestWithParam<OpCase> {};

// The same numbers in both types: whatever is computed in double differs by one rounding alone.
TEST_P(EveryCase, ReferenceGivesTheSameInBothTypes) {
  const std::unique_ptr<Backend> f32 =
      CreateReferenceBackend({.activation = DType::kF32, .kv = DType::kF32});
  const std::unique_ptr<Backend> bf16 =
      CreateReferenceBackend({.activation = DType::kBF16, .kv = DType::kBF16});
  const RunOptions options = {.bf16_inputs = true};
  const OpOutcome expected = RunCase(GetParam(), *f32, options);
  const OpOutcome actual = RunCase(GetParam(), *bf16, options);
  ParityReport report;
  report.problems = actual.problems;
  ASSERT_EQ(expected.outputs.size(), actual.outputs.size());
  for (size_t o = 0; o < expected.outputs.size(); ++o) {
    const bool rounded = actual.outputs[o].dtype == DType::kBF16;
    const Tolerance tolerance = {.absolute = 0, .relative = rounded ? 0x1.01p-8 : 0};
    CompareOutput(expected.outputs[o], actual.outputs[o], tolerance, report);
  }
  ExpectNoProblems(report);
}

TEST_P(EveryCase, CpuResultsDoNotDependOnThreads) {
  for (ComputeType type : {ComputeType::kF32, ComputeType::kBF16}) {
    for (WeightType weights : {WeightType::kAuto, WeightType::kInt8}) {
      if (weights == WeightType::kInt8 && !ReadsWeights(GetParam())) continue;
      const std::string name = std::string(type == ComputeType::kF32 ? "cpu_f32" : "cpu_bf16") +
                               (weights == WeightType::kInt8 ? "_int8" : "");
      const Result<Backend*> one = SharedBackend(Cpu(name + "_1thread", type, 1, weights));
      const Result<Backend*> three = SharedBackend(Cpu(name + "_3threads", type, 3, weights));
      if (!one.ok() && one.status().code() == StatusCode::kUnsupported) continue;
      ASSERT_TRUE(one.ok()) << one.status().message();
      ASSERT_TRUE(three.ok()) << three.status().message();
      ParityReport report;
      CompareBits(RunCase(GetParam(), **one), RunCase(GetParam(), **three), "with 3 threads",
                  report);
      ExpectNoProblems(report);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Ops, EveryCase, testing::ValuesIn(ParityCases()),
                         [](const testing::TestParamInfo<OpCase>& info) {
                           return info.param.op + "_" + info.param.name;
                         });

TEST(CaseTable, NamesAreUnique) {
  std::set<std::string> names;
  for (const OpCase& op_case : ParityCases()) {
    EXPECT_TRUE(names.insert(op_case.op + "_" + op_case.name).second)
        << op_case.op << " " << op_case.name;
  }
}

TEST(ToleranceTable, DocumentationShowsIt) {
  std::ifstream file("docs/numerics.md");
  ASSERT_TRUE(file.is_open()) << "run from the project's root folder";
  std::stringstream text;
  text << file.rdbuf();
  for (const std::string& line : ToleranceTableLines()) {
    EXPECT_NE(text.str().find(line), std::string::npos) << "docs/numerics.md lacks: " << line;
  }
}

TEST(Comparison, FindsAWrongElement) {
  const OpOutput expected{.name = "out", .dims = {2, 2}, .values = {1, 2, 3, 4}};
  OpOutput actual = expected;
  actual.values[2] = 3.1;
  ParityReport report;
  CompareOutput(expected, actual, {.absolute = 0, .relative = 1e-3}, report);
  ASSERT_EQ(report.problems.size(), 1u);
  EXPECT_NE(report.problems[0].find("out[1, 0]"), std::string::npos) << report.problems[0];
}

TEST(Comparison, FindsNanAndInfinity) {
  const OpOutput expected{.name = "out", .dims = {2}, .values = {1, 2}};
  OpOutput actual = expected;
  actual.values = {NAN, INFINITY};
  ParityReport report;
  CompareOutput(expected, actual, {.absolute = 1, .relative = 1}, report);
  EXPECT_EQ(report.problems.size(), 2u);
}

TEST(Guards, FindStrayWritesAndChangedInputs) {
  const std::unique_ptr<Backend> backend = CreateReferenceBackend({});
  OpRun run(*backend, {});
  const ConstTensorView input = run.Input(DType::kF32, {4}, {1, 2, 3, 4});
  const TensorView output = run.Output("out", DType::kF32, {2, 3}, 5);
  run.SetOperation(
      [&](Backend&) {
        *const_cast<float*>(input.As<float>()) = 7;
        output.As<float>()[3] = 0;  // between the two rows
      },
      0);
  run.Execute();
  EXPECT_EQ(run.Finish().problems.size(), 2u);
}

}  // namespace
}  // namespace fastkv::op_cases
