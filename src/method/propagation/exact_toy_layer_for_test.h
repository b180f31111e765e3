// The toy layer of docs/methods.md, "A worked example", in double precision: 4 query heads, 2 KV
// heads, 24 tokens of size 4. A phase shifts its angles, so that a stack of layers can be made.
#ifndef FASTKV_METHOD_PROPAGATION_EXACT_TOY_LAYER_FOR_TEST_H_
#define FASTKV_METHOD_PROPAGATION_EXACT_TOY_LAYER_FOR_TEST_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace fastkv {

class ExactToyLayer {
 public:
  static constexpr int kTokens = 24;
  static constexpr int kQueryHeads = 4;
  static constexpr int kKvHeads = 2;
  static constexpr int kHeadDim = 4;
  using Rows = std::vector<std::vector<double>>;

  // The layer of index `l` in the stack, whose phases shrink and alternate.
  static ExactToyLayer OfStack(int l) { return ExactToyLayer(2 * std::pow(-0.6, l)); }

  explicit ExactToyLayer(double phase = 0) : phase_(phase) {}

  // scale * q[h, i] . k[h / 2, j].
  double Logit(int head, int row, int column) const {
    double sum = 0;
    for (int c = 0; c < kHeadDim; ++c) {
      sum += 2 * std::sin(0.7 * (head + 1) + 0.31 * row * (c + 1) + phase_) * 2 *
             std::cos(0.4 * (head / 2 + 1) + 0.53 * column + 0.9 * c + phase_);
    }
    return sum / 2;
  }

  // Attention probabilities of the last `window` rows, summed: [kQueryHeads][kTokens], the window's
  // own columns included.
  Rows ColumnSums(int window) const {
    Rows sums(kQueryHeads, std::vector<double>(kTokens));
    for (int head = 0; head < kQueryHeads; ++head) {
      for (int row = kTokens - window; row < kTokens; ++row) {
        double total = 0;
        for (int j = 0; j <= row; ++j) total += std::exp(Logit(head, row, j));
        for (int j = 0; j <= row; ++j) sums[head][j] += std::exp(Logit(head, row, j)) / total;
      }
    }
    return sums;
  }

  // u of docs/methods.md: [kQueryHeads][kTokens - window].
  Rows WindowScores(int window) const {
    Rows sums = ColumnSums(window);
    for (std::vector<double>& row : sums) row.resize(kTokens - window);
    return sums;
  }

  // G of docs/methods.md, average pooling: [kKvHeads * (kTokens - window)], row-major.
  std::vector<double> GroupScores(int window, int kernel) const {
    const int num_past = kTokens - window;
    const Rows scores = WindowScores(window);
    std::vector<double> groups(kKvHeads * num_past);
    for (int head = 0; head < kQueryHeads; ++head) {
      for (int j = 0; j < num_past; ++j) {
        double sum = 0;
        for (int i = std::max(0, j - kernel / 2); i <= std::min(num_past - 1, j + kernel / 2);
             ++i) {
          sum += scores[head][i];
        }
        groups[head / 2 * num_past + j] += sum / kernel;
      }
    }
    return groups;
  }

  // S of docs/methods.md, average pooling: [kTokens - window].
  std::vector<double> TokenScores(int window, int kernel) const {
    const std::vector<double> groups = GroupScores(window, kernel);
    std::vector<double> tokens(kTokens - window);
    for (size_t i = 0; i < groups.size(); ++i) tokens[i % tokens.size()] += groups[i];
    return tokens;
  }

 private:
  double phase_;
};

// Rows added up.
inline std::vector<double> SumOfRows(const ExactToyLayer::Rows& rows) {
  std::vector<double> sum(rows[0].size());
  for (const std::vector<double>& row : rows) {
    for (size_t j = 0; j < row.size(); ++j) sum[j] += row[j];
  }
  return sum;
}

}  // namespace fastkv

#endif  // FASTKV_METHOD_PROPAGATION_EXACT_TOY_LAYER_FOR_TEST_H_
