#include "fastkv/number_list.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/limits.h"
#include "io/quoted.h"

namespace fastkv {
namespace {

constexpr size_t kMaxNumbers = 1000;

std::optional<int64_t> ParseNumber(std::string_view text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (number < 1 || number > limits::kMaxContextTokens) return std::nullopt;
  return number;
}

// first, then each next number made from the one before, up to last.
struct Range {
  int64_t first = 0;
  int64_t last = 0;
  int64_t factor = 1;
  int64_t step = 0;
};

std::optional<Range> ParseRange(std::string_view item) {
  const size_t dash = item.find('-');
  if (dash == item.npos) {
    const std::optional<int64_t> number = ParseNumber(item);
    if (!number.has_value()) return std::nullopt;
    return Range{.first = *number, .last = *number, .step = 1};
  }
  const size_t sign = item.find_first_of("*+", dash);
  if (sign == item.npos) return std::nullopt;
  const std::optional<int64_t> first = ParseNumber(item.substr(0, dash));
  const std::optional<int64_t> last = ParseNumber(item.substr(dash + 1, sign - dash - 1));
  const std::optional<int64_t> growth = ParseNumber(item.substr(sign + 1));
  if (!first.has_value() || !last.has_value() || !growth.has_value()) return std::nullopt;
  if (item[sign] == '+') return Range{.first = *first, .last = *last, .step = *growth};
  if (*growth < 2) return std::nullopt;
  return Range{.first = *first, .last = *last, .factor = *growth};
}

}  // namespace

Result<std::vector<int64_t>> ParseNumberList(std::string_view flag,
                                             const std::vector<std::string>& items) {
  std::vector<int64_t> numbers;
  for (const std::string& item : items) {
    const std::optional<Range> range = ParseRange(item);
    if (!range.has_value() || range->first > range->last) {
      return InvalidArgumentError(std::string(flag) + ": expected numbers from 1 to " +
                                  std::to_string(limits::kMaxContextTokens) +
                                  ", or ranges such as 1024-8192*2 and 1000-3000+500, but got " +
                                  Quoted(item));
    }
    for (int64_t number = range->first; number <= range->last;
         number = number * range->factor + range->step) {
      if (std::find(numbers.begin(), numbers.end(), number) != numbers.end()) continue;
      if (numbers.size() == kMaxNumbers) {
        return InvalidArgumentError(std::string(flag) + ": " + Quoted(item) + " makes more than " +
                                    std::to_string(kMaxNumbers) + " numbers; give fewer");
      }
      numbers.push_back(number);
    }
  }
  if (numbers.empty())
    return InvalidArgumentError(std::string(flag) + ": give at least one number");
  return numbers;
}

}  // namespace fastkv
