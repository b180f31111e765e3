#include "eval/scorers/rouge_1.h"

#include <string>
#include <vector>

#include "eval/scorers/porter_stemmer.h"
#include "eval/scorers/rouge_lsum.h"
#include "eval/scorers/token_f1.h"

namespace fastkv {
namespace {

std::vector<std::string> Stems(std::string_view text) {
  std::vector<std::string> stems;
  for (const std::string& token : RougeTokens(text)) {
    std::string stem = token.size() > 3 ? PorterStem(token) : token;
    if (!stem.empty()) stems.push_back(std::move(stem));
  }
  return stems;
}

}  // namespace

double Rouge1(std::string_view prediction, std::string_view answer) {
  return BagF1(Stems(prediction), Stems(answer));
}

}  // namespace fastkv
