#include "eval/scorers/porter_stemmer.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <span>
#include <utility>

namespace fastkv {
namespace {

// Words with a stem of their own.
constexpr std::array<std::pair<std::string_view, std::string_view>, 16> kIrregular = {{
    {"sky", "sky"},
    {"skies", "sky"},
    {"dying", "die"},
    {"lying", "lie"},
    {"tying", "tie"},
    {"news", "news"},
    {"inning", "inning"},
    {"innings", "inning"},
    {"outing", "outing"},
    {"outings", "outing"},
    {"canning", "canning"},
    {"cannings", "canning"},
    {"howe", "howe"},
    {"proceed", "proceed"},
    {"exceed", "exceed"},
    {"succeed", "succeed"},
}};

// For each letter whether it is a consonant; y is one unless a consonant stands before it.
std::string ConsonantPattern(std::string_view word) {
  std::string pattern;
  for (const char c : word) {
    bool consonant = c != 'a' && c != 'e' && c != 'i' && c != 'o' && c != 'u';
    if (c == 'y') consonant = pattern.empty() || pattern.back() == 'v';
    pattern += consonant ? 'c' : 'v';
  }
  return pattern;
}

// Porter's m: how often a consonant follows a vowel.
int Measure(std::string_view stem) {
  const std::string pattern = ConsonantPattern(stem);
  int measure = 0;
  for (size_t i = 1; i < pattern.size(); ++i) {
    if (pattern[i - 1] == 'v' && pattern[i] == 'c') ++measure;
  }
  return measure;
}

bool HasVowel(std::string_view stem) {
  return ConsonantPattern(stem).find('v') != std::string::npos;
}

// Porter's *d.
bool EndsInDoubleConsonant(std::string_view word) {
  return word.size() >= 2 && word[word.size() - 1] == word[word.size() - 2] &&
         ConsonantPattern(word).back() == 'c';
}

// Porter's *o; NLTK adds stems of two letters.
bool EndsConsonantVowelConsonant(std::string_view word) {
  const std::string pattern = ConsonantPattern(word);
  if (pattern.size() == 2) return pattern == "vc";
  return pattern.size() >= 3 && pattern.ends_with("cvc") && word.back() != 'w' &&
         word.back() != 'x' && word.back() != 'y';
}

// Whether a rule may change a word, from what is left without its suffix.
using Condition = bool (*)(std::string_view stem);
bool Always(std::string_view) { return true; }
bool MeasureAbove0(std::string_view stem) { return Measure(stem) > 0; }
bool MeasureAbove1(std::string_view stem) { return Measure(stem) > 1; }
bool AfterConsonant(std::string_view stem) {
  return stem.size() > 1 && ConsonantPattern(stem).back() == 'c';
}
bool AfterSOrT(std::string_view stem) {
  return Measure(stem) > 1 && (stem.back() == 's' || stem.back() == 't');
}
// The l of -logi counts with the stem.
bool MeasureWithLAbove0(std::string_view stem) { return Measure(std::string(stem) + "l") > 0; }

struct Rule {
  std::string_view suffix;
  std::string_view replacement;
  Condition condition;
};

// The first rule whose suffix the word has decides, even where its condition fails.
std::string Apply(std::span<const Rule> rules, const std::string& word) {
  for (const Rule& rule : rules) {
    if (!word.ends_with(rule.suffix)) continue;
    const std::string_view stem(word.data(), word.size() - rule.suffix.size());
    return rule.condition(stem) ? std::string(stem) + std::string(rule.replacement) : word;
  }
  return word;
}

constexpr Rule kPlurals[] = {
    {"sses", "ss", Always}, {"ies", "i", Always}, {"ss", "ss", Always}, {"s", "", Always}};

constexpr Rule kFinalY[] = {{"y", "i", AfterConsonant}};

constexpr Rule kDoubleSuffixes[] = {
    {"ational", "ate", MeasureAbove0}, {"tional", "tion", MeasureAbove0},
    {"enci", "ence", MeasureAbove0},   {"anci", "ance", MeasureAbove0},
    {"izer", "ize", MeasureAbove0},    {"bli", "ble", MeasureAbove0},
    {"alli", "al", MeasureAbove0},     {"entli", "ent", MeasureAbove0},
    {"eli", "e", MeasureAbove0},       {"ousli", "ous", MeasureAbove0},
    {"ization", "ize", MeasureAbove0}, {"ation", "ate", MeasureAbove0},
    {"ator", "ate", MeasureAbove0},    {"alism", "al", MeasureAbove0},
    {"iveness", "ive", MeasureAbove0}, {"fulness", "ful", MeasureAbove0},
    {"ousness", "ous", MeasureAbove0}, {"aliti", "al", MeasureAbove0},
    {"iviti", "ive", MeasureAbove0},   {"biliti", "ble", MeasureAbove0},
    {"fulli", "ful", MeasureAbove0},   {"logi", "log", MeasureWithLAbove0}};

constexpr Rule kDerivations[] = {{"icate", "ic", MeasureAbove0}, {"ative", "", MeasureAbove0},
                                 {"alize", "al", MeasureAbove0}, {"iciti", "ic", MeasureAbove0},
                                 {"ical", "ic", MeasureAbove0},  {"ful", "", MeasureAbove0},
                                 {"ness", "", MeasureAbove0}};

constexpr Rule kLongSuffixes[] = {
    {"al", "", MeasureAbove1},   {"ance", "", MeasureAbove1}, {"ence", "", MeasureAbove1},
    {"er", "", MeasureAbove1},   {"ic", "", MeasureAbove1},   {"able", "", MeasureAbove1},
    {"ible", "", MeasureAbove1}, {"ant", "", MeasureAbove1},  {"ement", "", MeasureAbove1},
    {"ment", "", MeasureAbove1}, {"ent", "", MeasureAbove1},  {"ion", "", AfterSOrT},
    {"ou", "", MeasureAbove1},   {"ism", "", MeasureAbove1},  {"ate", "", MeasureAbove1},
    {"iti", "", MeasureAbove1},  {"ous", "", MeasureAbove1},  {"ive", "", MeasureAbove1},
    {"ize", "", MeasureAbove1}};

std::string WithoutPlural(const std::string& word) {
  if (word.size() == 4 && word.ends_with("ies")) return word.substr(0, 1) + "ie";
  return Apply(kPlurals, word);
}

// What -ed and -ing leave behind: an e that they took is put back, a doubled letter made single.
std::string Mend(std::string stem) {
  if (stem.ends_with("at") || stem.ends_with("bl") || stem.ends_with("iz")) return stem + "e";
  if (EndsInDoubleConsonant(stem)) {
    if (stem.back() != 'l' && stem.back() != 's' && stem.back() != 'z') stem.pop_back();
    return stem;
  }
  if (Measure(stem) == 1 && EndsConsonantVowelConsonant(stem)) return stem + "e";
  return stem;
}

std::string WithoutTense(const std::string& word) {
  if (word.ends_with("ied")) {
    return word.substr(0, word.size() - 3) + (word.size() == 4 ? "ie" : "i");
  }
  if (word.ends_with("eed")) {
    const std::string stem = word.substr(0, word.size() - 3);
    return Measure(stem) > 0 ? stem + "ee" : word;
  }
  for (const std::string_view suffix : {"ed", "ing"}) {
    if (!word.ends_with(suffix)) continue;
    std::string stem = word.substr(0, word.size() - suffix.size());
    return HasVowel(stem) ? Mend(std::move(stem)) : word;
  }
  return word;
}

std::string WithoutDoubleSuffix(std::string word) {
  if (word.ends_with("alli") && Measure(word.substr(0, word.size() - 4)) > 0) {
    word.resize(word.size() - 2);
  }
  return Apply(kDoubleSuffixes, word);
}

std::string WithoutFinalE(const std::string& word) {
  if (!word.ends_with("e")) return word;
  std::string stem = word.substr(0, word.size() - 1);
  const int measure = Measure(stem);
  const bool drop = measure > 1 || (measure == 1 && !EndsConsonantVowelConsonant(stem));
  return drop ? stem : word;
}

std::string WithoutDoubleL(const std::string& word) {
  const std::string stem = word.substr(0, word.size() - 1);
  return word.ends_with("ll") && Measure(stem) > 1 ? stem : word;
}

}  // namespace

std::string PorterStem(std::string_view word) {
  const auto irregular = std::find_if(kIrregular.begin(), kIrregular.end(),
                                      [&](const auto& entry) { return entry.first == word; });
  if (irregular != kIrregular.end()) return std::string(irregular->second);
  if (word.size() <= 2) return std::string(word);
  std::string stem = WithoutTense(WithoutPlural(std::string(word)));
  stem = WithoutDoubleSuffix(Apply(kFinalY, stem));
  stem = Apply(kLongSuffixes, Apply(kDerivations, stem));
  stem = WithoutFinalE(stem);
  return stem.empty() ? stem : WithoutDoubleL(stem);
}

}  // namespace fastkv
