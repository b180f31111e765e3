// How far a back end may be from the reference: the one table, by operation and type.
#ifndef FASTKV_TESTS_OPS_TOLERANCE_H_
#define FASTKV_TESTS_OPS_TOLERANCE_H_

#include <string>
#include <string_view>
#include <vector>

#include "backend/backend.h"
#include "tests/ops/op_case.h"

namespace fastkv::op_cases {

// |value - expected| <= absolute * rms + relative * |expected|, where rms is the root mean square
// of the expected row (of the whole output where rows are shorter than 16). Zero and zero: equal.
struct Tolerance {
  double absolute = 0;
  double relative = 0;
};

struct ToleranceRow {
  std::string_view op;
  std::string_view output;  // empty: every output of the operation
  Tolerance f32;            // activations and KV in f32
  Tolerance bf16;           // either in bf16
  std::string_view reason;
};

// The first row that matches an output is its tolerance; outputs without a row are exact.
const std::vector<ToleranceRow>& ToleranceTable();

// Added where an output is stored as bf16, whatever the operation: two values a hair apart may
// round to neighbours.
inline constexpr Tolerance kStoredAsBF16 = {.absolute = 0, .relative = 0x1.0p-7};
// Added where the back end rounds a weight that is not bf16 at its source.
inline constexpr Tolerance kWeightsRounded = {.absolute = 0.012, .relative = 0x1.0p-8};
// Added where it multiplies with int8 weights, beside the reference's with the same, and with
// weights in blocks.
inline constexpr Tolerance kInputsRounded = {.absolute = 2e-4, .relative = 0};

Tolerance ToleranceFor(std::string_view op, const OpOutput& output, const ComputeTypes& types,
                       const OperandRounding& rounding);

// The table as the rows of a Markdown table, as docs/numerics.md shows it.
std::vector<std::string> ToleranceTableLines();

}  // namespace fastkv::op_cases

#endif  // FASTKV_TESTS_OPS_TOLERANCE_H_
