// RMS norm of one row, shared by RmsNorm and the per-head norms of StoreQkv and QueryMoments.
#ifndef FASTKV_BACKEND_REFERENCE_NORM_H_
#define FASTKV_BACKEND_REFERENCE_NORM_H_

#include <vector>

namespace fastkv::reference {

// row = row / sqrt(mean(row^2) + epsilon) * weight. REQUIRES: equal sizes.
void NormalizeRow(const std::vector<double>& weight, double epsilon, std::vector<double>& row);

}  // namespace fastkv::reference

#endif  // FASTKV_BACKEND_REFERENCE_NORM_H_
