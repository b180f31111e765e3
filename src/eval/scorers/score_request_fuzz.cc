// A line of predictions, from JSON to a score between 0 and 10.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "eval/scorers/score_request.h"

namespace {

const fastkv::JiebaSegmenter& Segmenter() {
  static const auto* segmenter = new fastkv::JiebaSegmenter(
      fastkv::JiebaDictionary::Parse("一二 3 n\n三 2 n\nc++ 3 nz\n").value(),
      fastkv::JiebaHmm::Parse("P={'B':-0.3,'E':-3.14e+100,'M':-3.14e+100,'S':-1.5}",
                              "P={'B':{'E':-0.5,'M':-0.9},'E':{'B':-0.6,'S':-0.8},"
                              "'M':{'E':-0.3,'M':-1.3},'S':{'B':-0.7,'S':-0.7}}",
                              "P={'B':{'四':-3.0},'E':{'五':-3.0},'M':{},'S':{'六':-2.0}}")
          .value());
  return *segmenter;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto json = fastkv::ParseJson(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!json.ok()) return 0;
  const auto request = fastkv::ParseScoreRequest(*json);
  if (!request.ok()) return 0;
  const auto score = fastkv::ScorePrediction(*request, {.segmenter = &Segmenter()});
  if (!score.ok()) {
    FASTKV_CHECK(score.status().message().find('\n') == std::string::npos);
    return 0;
  }
  FASTKV_CHECK(score->has_value());
  FASTKV_CHECK(**score >= 0 && **score <= 10 + 1e-9);
  return 0;
}
