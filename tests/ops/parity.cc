#include "tests/ops/parity.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <limits>

namespace fastkv::op_cases {
namespace {

constexpr int kMaxLines = 4;  // of differing places, an output
constexpr int64_t kMinRow = 16;

double RootMeanSquare(const double* values, int64_t count) {
  double sum = 0;
  int64_t num_finite = 0;
  for (int64_t i = 0; i < count; ++i) {
    // The largest float marks columns that are kept in any case; it says nothing about the others.
    if (!(std::fabs(values[i]) < std::numeric_limits<float>::max())) continue;
    sum += values[i] * values[i];
    ++num_finite;
  }
  return num_finite > 0 ? std::sqrt(sum / static_cast<double>(num_finite)) : 0;
}

// The error as a share of what is allowed: at most 1 is fine.
double ErrorShare(double expected, double actual, double allowed) {
  constexpr double kTooFar = HUGE_VAL;
  if (std::isnan(expected)) return std::isnan(actual) ? 0 : kTooFar;
  if (expected == actual) return 0;
  if (!std::isfinite(expected) || !std::isfinite(actual) || allowed == 0) return kTooFar;
  return std::fabs(expected - actual) / allowed;
}

std::string IndexText(const Dims& dims, int64_t flat) {
  std::string text = "]";
  for (auto dim = dims.rbegin(); dim != dims.rend(); ++dim) {
    text = std::to_string(flat % *dim) + (text == "]" ? "" : ", ") + text;
    flat /= *dim;
  }
  return "[" + text;
}

}  // namespace

OpOutcome RunCase(const OpCase& op_case, Backend& backend, RunOptions options) {
  const std::unique_ptr<OpRun> run = Prepare(op_case, backend, options);
  run->Execute();
  return run->Finish();
}

void CompareOutput(const OpOutput& expected, const OpOutput& actual, const Tolerance& tolerance,
                   ParityReport& report) {
  const auto count = static_cast<int64_t>(expected.values.size());
  const int64_t last_dim = expected.dims.back();
  const int64_t row_size = last_dim >= kMinRow ? last_dim : std::max<int64_t>(count, 1);
  int64_t num_wrong = 0;
  double rms = 0;
  for (int64_t i = 0; i < count; ++i) {
    if (i % row_size == 0) {
      rms = RootMeanSquare(&expected.values[i], std::min(row_size, count - i));
    }
    const double want = expected.values[i];
    const double got = actual.values[i];
    const double allowed = tolerance.absolute * rms + tolerance.relative * std::fabs(want);
    const double share = ErrorShare(want, got, allowed);
    report.worst_share = std::max(report.worst_share, share);
    if (share <= 1) continue;
    if (++num_wrong > kMaxLines) continue;
    char line[160];
    std::snprintf(line, sizeof(line), ": expected %.9g, got %.9g, allowed difference %.3g", want,
                  got, allowed);
    report.problems.push_back(expected.name + IndexText(expected.dims, i) + line);
  }
  if (num_wrong > kMaxLines) {
    report.problems.push_back(expected.name + ": " + std::to_string(num_wrong) + " of " +
                              std::to_string(count) + " elements differ in all");
  }
}

void CompareBits(const OpOutcome& expected, const OpOutcome& actual, const std::string& what,
                 ParityReport& report) {
  FASTKV_CHECK_EQ(expected.outputs.size(), actual.outputs.size());
  for (size_t o = 0; o < expected.outputs.size(); ++o) {
    const OpOutput& output = expected.outputs[o];
    for (size_t i = 0; i < output.values.size(); ++i) {
      const double first = output.values[i];
      const double second = actual.outputs[o].values[i];
      if (std::bit_cast<uint64_t>(first) == std::bit_cast<uint64_t>(second)) continue;
      char line[120];
      std::snprintf(line, sizeof(line), " changed from %.9g to %.9g ", first, second);
      report.problems.push_back(output.name + IndexText(output.dims, static_cast<int64_t>(i)) +
                                line + what);
      break;
    }
  }
}

ParityReport CompareWithReference(const OpCase& op_case, Backend& tested) {
  ParityReport report;
  const std::unique_ptr<Backend> reference = CreateReferenceBackend(tested.types());
  const OpOutcome expected = RunCase(op_case, *reference);
  const std::unique_ptr<OpRun> run = Prepare(op_case, tested);
  run->Execute();
  const OpOutcome actual = run->Finish();
  report.problems = actual.problems;
  if (actual.outputs.size() != expected.outputs.size()) return report;
  for (size_t o = 0; o < expected.outputs.size(); ++o) {
    const OpOutput& output = expected.outputs[o];
    CompareOutput(output, actual.outputs[o],
                  ToleranceFor(op_case.op, output, tested.types(), run->rounding()), report);
  }
  const OpOutcome again = RunCase(op_case, tested);
  if (again.problems.empty()) CompareBits(actual, again, "on the second run", report);
  return report;
}

}  // namespace fastkv::op_cases
