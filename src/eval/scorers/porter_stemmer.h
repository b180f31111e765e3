// Porter's stemmer (An algorithm for suffix stripping, 1980) with NLTK's extensions, which Google's
// ROUGE uses.
#ifndef FASTKV_EVAL_SCORERS_PORTER_STEMMER_H_
#define FASTKV_EVAL_SCORERS_PORTER_STEMMER_H_

#include <string>
#include <string_view>

namespace fastkv {

// REQUIRES: `word` consists of a-z and 0-9; digits count as consonants. Thread-safe.
std::string PorterStem(std::string_view word);

}  // namespace fastkv

#endif  // FASTKV_EVAL_SCORERS_PORTER_STEMMER_H_
