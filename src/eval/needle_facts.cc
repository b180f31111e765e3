#include "eval/needle_facts.h"

#include <numeric>
#include <utility>

#include "base/check.h"

namespace fastkv {
namespace {

constexpr int64_t kLetters = 26;
constexpr int64_t kNameCount = kLetters * kLetters * kLetters;

int64_t Between(Random& random, int64_t low, int64_t high) {
  return low + random.NextInt(high - low + 1);
}

int64_t Size(const std::vector<std::string>& words) { return static_cast<int64_t>(words.size()); }

}  // namespace

DistinctDraws::DistinctDraws(int64_t count) : unused_(static_cast<size_t>(count)) {
  std::iota(unused_.begin(), unused_.end(), int64_t{0});
}

std::optional<int64_t> DistinctDraws::Next(Random& random) {
  if (unused_.empty()) return std::nullopt;
  std::swap(unused_[static_cast<size_t>(random.NextInt(static_cast<int64_t>(unused_.size())))],
            unused_.back());
  const int64_t drawn = unused_.back();
  unused_.pop_back();
  return drawn;
}

NeedleFactMaker::NeedleFactMaker(const Grammar& grammar, Random& random)
    : grammar_(grammar),
      random_(random),
      keys_(Size(grammar.List("key_adjective")) * Size(grammar.List("key_noun"))),
      names_(kNameCount) {}

std::optional<std::string> NeedleFactMaker::NextKey() {
  const std::optional<int64_t> index = keys_.Next(random_);
  if (!index) return std::nullopt;
  const auto& adjectives = grammar_.List("key_adjective");
  const auto& nouns = grammar_.List("key_noun");
  return adjectives[static_cast<size_t>(*index / Size(nouns))] + "-" +
         nouns[static_cast<size_t>(*index % Size(nouns))];
}

std::optional<std::string> NeedleFactMaker::NextName() {
  const std::optional<int64_t> index = names_.Next(random_);
  if (!index) return std::nullopt;
  std::string name;
  for (const int64_t letter :
       {*index / (kLetters * kLetters), *index / kLetters % kLetters, *index % kLetters}) {
    name += static_cast<char>('A' + letter);
  }
  return name;
}

std::string NeedleFactMaker::Number() {
  return std::to_string(Between(random_, 1'000'000, 9'999'999));
}

std::string NeedleFactMaker::Password() {
  std::string password = grammar_.Draw("key_adjective", random_);
  password += " " + grammar_.Draw("key_noun", random_);
  return password + " " + std::to_string(Between(random_, 10, 99));
}

std::optional<NeedleFactGroup> NeedleFactMaker::Make(NeedleFactKind kind) {
  return kind == NeedleFactKind::kTrace ? MakeTrace() : MakeKeyed(kind);
}

std::optional<NeedleFactGroup> NeedleFactMaker::MakeKeyed(NeedleFactKind kind) {
  std::optional<std::string> key = NextKey();
  if (!key) return std::nullopt;
  const bool is_word = kind == NeedleFactKind::kWord;
  NeedleFactGroup group{.kind = kind, .subject = *std::move(key), .values = {}, .sentences = {}};
  const int64_t num_facts = kind == NeedleFactKind::kValues ? Between(random_, 2, 4) : 1;
  for (int64_t i = 0; i < num_facts; ++i) {
    group.values.push_back(is_word ? Password() : Number());
    const std::string& pattern = grammar_.Draw(is_word ? "needle_word" : "needle_number", random_);
    group.sentences.push_back(
        grammar_.Fill(pattern, {{"key", group.subject}, {"value", group.values.back()}}, random_));
  }
  return group;
}

std::optional<NeedleFactGroup> NeedleFactMaker::MakeTrace() {
  NeedleFactGroup group{
      .kind = NeedleFactKind::kTrace, .subject = Number(), .values = {}, .sentences = {}};
  const int64_t num_names = Between(random_, 2, 4);
  for (int64_t i = 0; i < num_names; ++i) {
    std::optional<std::string> name = NextName();
    if (!name) return std::nullopt;
    group.sentences.push_back(
        i == 0 ? grammar_.Fill(grammar_.Draw("assign_value", random_),
                               {{"name", *name}, {"value", group.subject}}, random_)
               : grammar_.Fill(grammar_.Draw("assign_name", random_),
                               {{"name", *name}, {"source", group.values.back()}}, random_));
    group.values.push_back(*std::move(name));
  }
  return group;
}

std::string AskForGroup(const Grammar& grammar, const NeedleFactGroup& group, Random& random) {
  switch (group.kind) {
    case NeedleFactKind::kNumber:
      return grammar.Fill(grammar.Draw("ask_number", random), {{"key", group.subject}}, random);
    case NeedleFactKind::kWord:
      return grammar.Fill(grammar.Draw("ask_word", random), {{"key", group.subject}}, random);
    case NeedleFactKind::kValues:
      return grammar.Fill(grammar.Draw("ask_all_values", random), {{"key", group.subject}}, random);
    case NeedleFactKind::kTrace:
      return grammar.Fill(grammar.Draw("ask_names", random), {{"value", group.subject}}, random);
  }
  FASTKV_CHECK_MSG(false, "no such kind of fact");
  return {};
}

std::string AskForManyKeys(const Grammar& grammar,
                           const std::vector<const NeedleFactGroup*>& groups, Random& random) {
  FASTKV_CHECK_GE(groups.size(), 2);
  std::string keys = groups[0]->subject;
  for (size_t i = 1; i < groups.size(); ++i) {
    keys += i + 1 < groups.size() ? ", " : " and ";
    keys += groups[i]->subject;
  }
  return grammar.Fill(grammar.Draw("ask_many_keys", random), {{"keys", keys}}, random);
}

}  // namespace fastkv
