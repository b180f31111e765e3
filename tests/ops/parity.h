// Runs a case on a back end and on the reference, and says where they differ.
#ifndef FASTKV_TESTS_OPS_PARITY_H_
#define FASTKV_TESTS_OPS_PARITY_H_

#include <string>
#include <vector>

#include "tests/ops/op_case.h"
#include "tests/ops/tolerance.h"

namespace fastkv::op_cases {

struct ParityReport {
  // One line each; empty: the back end agrees with the reference.
  std::vector<std::string> problems;
  // The largest error as a share of what is allowed, where something is.
  double worst_share = 0;
};

// Compares with the reference of the same types on the same inputs; runs the operation twice on
// fresh inputs and also demands the same bits both times.
ParityReport CompareWithReference(const OpCase& op_case, Backend& tested);

// Adds to `report` how `actual` differs from `expected`: the first few places, and how many.
void CompareOutput(const OpOutput& expected, const OpOutput& actual, const Tolerance& tolerance,
                   ParityReport& report);

// Adds a line for every output of which one bit differs.
void CompareBits(const OpOutcome& expected, const OpOutcome& actual, const std::string& what,
                 ParityReport& report);

// Prepare, execute, finish.
OpOutcome RunCase(const OpCase& op_case, Backend& backend, RunOptions options = {});

}  // namespace fastkv::op_cases

#endif  // FASTKV_TESTS_OPS_PARITY_H_
