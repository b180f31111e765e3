#include "eval/scorers/sequence_matcher.h"

#include <cstdint>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/check.h"
#include "eval/scorers/lcs.h"

namespace fastkv {
namespace {

struct Block {
  size_t a;
  size_t b;
  size_t size;
};

struct Range {
  size_t a_begin;
  size_t a_end;
  size_t b_begin;
  size_t b_end;
};

class BlockFinder {
 public:
  BlockFinder(std::u32string_view a, std::u32string_view b)
      : a_(a), b_(b), run_(b.size() + 1, 0), next_run_(b.size() + 1, 0) {
    for (size_t j = 0; j < b.size(); ++j) positions_[b[j]].push_back(j);
    constexpr size_t kMinLengthWithPopular = 200;
    if (b.size() < kMinLengthWithPopular) return;
    std::erase_if(positions_,
                  [&](const auto& entry) { return entry.second.size() > b.size() / 100 + 1; });
  }

  // The longest block inside `range`: the first in a, then the first in b. Size 0 where there is
  // none.
  Block FindLongest(const Range& range) {
    Block best{range.a_begin, range.b_begin, 0};
    // run_[j + 1] is the length of the run that ends with the row before and with b[j]; only the
    // entries in touched_ are not 0.
    for (size_t i = range.a_begin; i < range.a_end; ++i) {
      const auto found = positions_.find(a_[i]);
      if (found != positions_.end()) {
        for (const size_t j : found->second) {
          if (j < range.b_begin) continue;
          if (j >= range.b_end) break;
          const size_t size = run_[j] + 1;
          next_run_[j + 1] = size;
          next_touched_.push_back(j + 1);
          if (size > best.size) best = {i + 1 - size, j + 1 - size, size};
        }
      }
      Clear(run_, touched_);
      std::swap(run_, next_run_);
      std::swap(touched_, next_touched_);
    }
    Clear(run_, touched_);
    Extend(range, best);
    return best;
  }

 private:
  static void Clear(std::vector<size_t>& run, std::vector<size_t>& touched) {
    for (const size_t j : touched) run[j] = 0;
    touched.clear();
  }

  // Over equal characters that began no block.
  void Extend(const Range& range, Block& block) const {
    while (block.a > range.a_begin && block.b > range.b_begin &&
           a_[block.a - 1] == b_[block.b - 1]) {
      --block.a;
      --block.b;
      ++block.size;
    }
    while (block.a + block.size < range.a_end && block.b + block.size < range.b_end &&
           a_[block.a + block.size] == b_[block.b + block.size]) {
      ++block.size;
    }
  }

  std::u32string_view a_;
  std::u32string_view b_;
  std::unordered_map<char32_t, std::vector<size_t>> positions_;  // in b, ascending
  std::vector<size_t> run_;
  std::vector<size_t> next_run_;
  std::vector<size_t> touched_;
  std::vector<size_t> next_touched_;
};

double Ratio(size_t num_matches, std::u32string_view a, std::u32string_view b) {
  FASTKV_CHECK(!a.empty() || !b.empty());
  return 2.0 * static_cast<double>(num_matches) / static_cast<double>(a.size() + b.size());
}

}  // namespace

double DifflibRatio(std::u32string_view a, std::u32string_view b) {
  BlockFinder finder(a, b);
  size_t num_matches = 0;
  std::vector<Range> ranges = {{0, a.size(), 0, b.size()}};
  while (!ranges.empty()) {
    const Range range = ranges.back();
    ranges.pop_back();
    const Block block = finder.FindLongest(range);
    if (block.size == 0) continue;
    num_matches += block.size;
    if (range.a_begin < block.a && range.b_begin < block.b) {
      ranges.push_back({range.a_begin, block.a, range.b_begin, block.b});
    }
    if (block.a + block.size < range.a_end && block.b + block.size < range.b_end) {
      ranges.push_back({block.a + block.size, range.a_end, block.b + block.size, range.b_end});
    }
  }
  return Ratio(num_matches, a, b);
}

double IndelRatio(std::u32string_view a, std::u32string_view b) {
  return Ratio(
      static_cast<size_t>(LcsLength(std::span(a.data(), a.size()), std::span(b.data(), b.size()))),
      a, b);
}

}  // namespace fastkv
