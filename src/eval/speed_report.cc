#include "eval/speed_report.h"

#include <algorithm>

#include "base/check.h"

namespace fastkv {
namespace {

constexpr double kMsPerSecond = 1000;

// `amount` for each of the durations; the longest gives the least.
Spread RatesOf(double amount, const Spread& ms) {
  const auto rate = [&](double duration_ms) {
    return duration_ms > 0 ? amount * kMsPerSecond / duration_ms : 0;
  };
  return {.median = rate(ms.median), .min = rate(ms.max), .max = rate(ms.min)};
}

std::optional<double> ShareOf(double work, const Spread& ms, double ceiling) {
  if (ceiling <= 0 || ms.median <= 0) return std::nullopt;
  return work / (ms.median / kMsPerSecond) / ceiling;
}

}  // namespace

Spread SpreadOf(std::vector<double> values) {
  FASTKV_CHECK(!values.empty());
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  const double median =
      values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
  return {.median = median, .min = values.front(), .max = values.back()};
}

std::optional<double> SpeedRow::PrefillShare() const {
  if (!ok() || !ceiling.has_value()) return std::nullopt;
  return ShareOf(predicted_flops, prefill_ms, ceiling->matrix_flops_per_s);
}

std::optional<double> SpeedRow::DecodeShare() const {
  if (!ok() || !ceiling.has_value() || !decode_ms_per_token.has_value()) return std::nullopt;
  return ShareOf(predicted_decode_bytes, *decode_ms_per_token, ceiling->read_bytes_per_s);
}

Spread SpeedRow::PrefillTokensPerSecond() const {
  return RatesOf(static_cast<double>(context), prefill_ms);
}

std::optional<Spread> SpeedRow::DecodeTokensPerSecond() const {
  if (!decode_ms_per_token.has_value()) return std::nullopt;
  return RatesOf(static_cast<double>(batch), *decode_ms_per_token);
}

}  // namespace fastkv
