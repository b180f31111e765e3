#include "eval/ruler/ruler_task.h"

#include "eval/ruler/common_words.h"
#include "eval/ruler/document_qa.h"
#include "eval/ruler/frequent_words.h"
#include "eval/ruler/niah.h"
#include "eval/ruler/variable_tracking.h"
#include "io/quoted.h"

namespace fastkv {
namespace {

constexpr int64_t kNiahTokens = 128;
constexpr int64_t kVariableTrackingTokens = 30;
constexpr int64_t kCommonWordsTokens = 120;
constexpr int64_t kFrequentWordsTokens = 50;
constexpr int64_t kQaTokens = 32;

}  // namespace

std::optional<int64_t> RulerTokensToGenerate(std::string_view task) {
  if (NiahVariantOf(task)) return kNiahTokens;
  if (task == "vt") return kVariableTrackingTokens;
  if (task == "cwe") return kCommonWordsTokens;
  if (task == "fwe") return kFrequentWordsTokens;
  if (task == "qa_1" || task == "qa_2") return kQaTokens;
  return std::nullopt;
}

Result<std::unique_ptr<RulerTask>> CreateRulerTask(const RulerTaskParams& params) {
  if (const auto variant = NiahVariantOf(params.name)) {
    return CreateNiahTask(*variant, params.length_tokens, params.seed);
  }
  if (params.name == "vt") return CreateVariableTrackingTask();
  if (params.name == "cwe") return CreateCommonWordsTask(params.length_tokens, params.count_tokens);
  if (params.name == "fwe") return CreateFrequentWordsTask(params.length_tokens);
  if (params.name == "qa_1") return CreateDocumentQaTask(/*num_hops=*/1);
  if (params.name == "qa_2") return CreateDocumentQaTask(/*num_hops=*/2);
  return InvalidArgumentError(
      "expected a RULER task (niah_single_1 to 3, niah_multikey_1 to 3, niah_multivalue, "
      "niah_multiquery, vt, cwe, fwe, qa_1 or qa_2), got " +
      Quoted(params.name));
}

}  // namespace fastkv
