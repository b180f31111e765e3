#include "eval/scorers/lcs.h"

#include <algorithm>
#include <string>

#include "base/limits.h"

namespace fastkv {
namespace {

enum Step : uint8_t { kTake, kSkipFirst, kSkipSecond };

}  // namespace

Result<LcsTrace> TraceLcs(std::span<const int32_t> first, std::span<const int32_t> second,
                          LcsTie tie) {
  const size_t rows = first.size();
  const size_t columns = second.size();
  if (rows != 0 && columns > static_cast<uint64_t>(limits::kMaxLcsCells) / rows) {
    return LimitError("expected texts whose lengths in words multiply to at most " +
                      std::to_string(limits::kMaxLcsCells) + ", got " + std::to_string(rows) +
                      " and " + std::to_string(columns) + " words; shorten the prediction");
  }
  std::vector<uint8_t> steps(rows * columns);
  std::vector<int32_t> above(columns + 1, 0);
  std::vector<int32_t> row(columns + 1, 0);
  for (size_t i = 0; i < rows; ++i) {
    for (size_t j = 0; j < columns; ++j) {
      const int32_t up = above[j + 1];
      const int32_t left = row[j];
      uint8_t& step = steps[i * columns + j];
      if (first[i] == second[j]) {
        step = kTake;
        row[j + 1] = above[j] + 1;
      } else {
        const bool skip_first = tie == LcsTie::kDropFirst ? up >= left : up > left;
        step = skip_first ? kSkipFirst : kSkipSecond;
        row[j + 1] = std::max(up, left);
      }
    }
    std::swap(above, row);
  }

  LcsTrace trace;
  for (size_t i = rows, j = columns; i > 0 && j > 0; ++trace.num_steps) {
    const uint8_t step = steps[(i - 1) * columns + (j - 1)];
    if (step == kTake) trace.indices.push_back(static_cast<int32_t>(i - 1));
    if (step != kSkipSecond) --i;
    if (step != kSkipFirst) --j;
  }
  std::reverse(trace.indices.begin(), trace.indices.end());
  return trace;
}

}  // namespace fastkv
