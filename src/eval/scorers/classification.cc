#include "eval/scorers/classification.h"

#include <algorithm>
#include <vector>

namespace fastkv {

double ClassificationScore(std::string_view prediction, std::string_view answer,
                           std::span<const std::string> all_classes) {
  std::vector<std::string_view> named;
  for (const std::string& name : all_classes) {
    if (prediction.find(name) != prediction.npos) named.push_back(name);
  }
  for (size_t i = 0; i < named.size(); ++i) {
    const std::string_view name = named[i];
    if (name != answer && answer.find(name) != answer.npos) {
      named.erase(std::find(named.begin(), named.end(), name));
    }
  }
  if (std::find(named.begin(), named.end(), answer) == named.end()) return 0;
  return 1.0 / static_cast<double>(named.size());
}

}  // namespace fastkv
