// What attention and the window scores share: one KV head's keys, and the softmax of one query row
// over the entries it sees.
#ifndef FASTKV_BACKEND_REFERENCE_SOFTMAX_H_
#define FASTKV_BACKEND_REFERENCE_SOFTMAX_H_

#include <cstdint>
#include <vector>

#include "tensor/tensor_view.h"

namespace fastkv::reference {

// The entries of one KV head, in order.
struct HeadEntries {
  std::vector<std::vector<double>> keys;
  std::vector<std::vector<double>> values;  // empty where only scores are wanted
  std::vector<int32_t> positions;           // empty where no window is in force
};

// Which entries a query row sees: the first `num_visible`, and of these, with window > 0, those
// with position - entry position < window.
struct RowVisibility {
  int64_t num_visible = 0;
  int64_t window = 0;
  int64_t position = 0;
};

struct RowSoftmax {
  std::vector<double> probabilities;  // [num_visible]; 0 where the row does not see the entry
  double log_sum_exp = 0;             // natural log; -inf where it sees nothing
};

// softmax over j of scale * query . keys[j].
RowSoftmax SoftmaxOfRow(const std::vector<double>& query, double scale, const HeadEntries& entries,
                        const RowVisibility& visibility);

// sum over j of probabilities[j] * values[j].
std::vector<double> WeightedValues(const RowSoftmax& softmax, const HeadEntries& entries,
                                   int64_t head_dim);

}  // namespace fastkv::reference

#endif  // FASTKV_BACKEND_REFERENCE_SOFTMAX_H_
