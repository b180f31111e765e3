#include "text/score_merges.h"

#include <algorithm>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>

#include "base/limits.h"
#include "io/quoted.h"
#include "text/unicode_utf8.h"

namespace fastkv {
namespace {

// Cutting a token everywhere takes time that grows with the square of its length.
constexpr size_t kMaxTokenBytes = 512;

}  // namespace

Status AddScoreMerges(std::span<const float> scores, const std::vector<bool>& takes_part,
                      TokenizerSpec& spec) {
  std::vector<int32_t> by_score;
  for (size_t i = 0; i < takes_part.size(); ++i) {
    if (takes_part[i]) by_score.push_back(static_cast<int32_t>(i));
  }
  std::stable_sort(by_score.begin(), by_score.end(), [&](int32_t a, int32_t b) {
    return scores[static_cast<size_t>(a)] > scores[static_cast<size_t>(b)];
  });
  const auto find = [&](std::string_view text) -> std::optional<int32_t> {
    const std::optional<int32_t> id = spec.vocabulary.Find(text);
    if (!id || !takes_part[static_cast<size_t>(*id)]) return std::nullopt;
    return id;
  };
  uint32_t rank = 0;
  for (size_t i = 0; i < by_score.size(); ++i) {
    const int32_t id = by_score[i];
    if (i > 0 && scores[static_cast<size_t>(id)] != scores[static_cast<size_t>(by_score[i - 1])]) {
      ++rank;
    }
    const std::string_view text = spec.vocabulary.Text(id);
    if (text.size() > kMaxTokenBytes) {
      return LimitError("token " + Quoted(text) + " with id " + std::to_string(id) +
                        " is longer than " + std::to_string(kMaxTokenBytes) + " bytes");
    }
    for (size_t cut = DecodeUtf8(text, 0).length_bytes; cut < text.size();
         cut += DecodeUtf8(text, cut).length_bytes) {
      const std::optional<int32_t> left = find(text.substr(0, cut));
      if (!left) continue;
      const std::optional<int32_t> right = find(text.substr(cut));
      if (!right) continue;
      if (spec.merges.size() >= static_cast<size_t>(limits::kMaxMerges)) {
        return LimitError("the vocabulary has more than " + std::to_string(limits::kMaxMerges) +
                          " ways to join two tokens");
      }
      spec.merges.push_back({*left, *right});
      spec.merge_ranks.push_back(rank);
    }
  }
  return OkStatus();
}

}  // namespace fastkv
