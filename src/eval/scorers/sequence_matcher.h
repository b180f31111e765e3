// How alike two texts are, by the two measures that the package fuzzywuzzy uses.
#ifndef FASTKV_EVAL_SCORERS_SEQUENCE_MATCHER_H_
#define FASTKV_EVAL_SCORERS_SEQUENCE_MATCHER_H_

#include <string_view>

namespace fastkv {

// SequenceMatcher(None, a, b).ratio() of Python's difflib: 2M / (|a| + |b|), where M counts the
// characters of the longest block in common, of the longest left and right of it, and so on. In a
// `b` of 200 characters and more, those that make up more than one per cent of it do not begin a
// block. Not symmetric. REQUIRES: not both empty. Thread-safe.
double DifflibRatio(std::u32string_view a, std::u32string_view b);

// 2 * LCS / (|a| + |b|), as python-Levenshtein gives it. REQUIRES: not both empty. Thread-safe.
double IndelRatio(std::u32string_view a, std::u32string_view b);

}  // namespace fastkv

#endif  // FASTKV_EVAL_SCORERS_SEQUENCE_MATCHER_H_
