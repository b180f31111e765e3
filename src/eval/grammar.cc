#include "eval/grammar.h"

#include <cctype>
#include <string>

#include "base/check.h"
#include "eval/embedded_text.h"
#include "io/json.h"
#include "io/quoted.h"

namespace fastkv {
namespace {

constexpr std::string_view kContext = "grammar.json";
constexpr std::string_view kCapitalSlot = "when_cap";
constexpr std::string_view kCapitalList = "when";

// The lists that the tasks draw from by name; the words inside prose patterns name further ones.
constexpr std::string_view kNeededLists[] = {
    "when",         "prose",       "key_adjective", "key_noun",       "needle_number",
    "needle_word",  "ask_number",  "ask_word",      "ask_all_values", "ask_many_keys",
    "assign_value", "assign_name", "ask_names",
};

Status Missing(std::string_view what) {
  return FormatError(std::string(kContext) + ": expected " + std::string(what));
}

Result<std::vector<std::string>> ReadWords(const std::string& name, const Json& list) {
  std::vector<std::string> words;
  for (const Json& word : list) {
    if (!word.is_string()) return Missing("strings only in the list " + Quoted(name));
    words.push_back(word.get<std::string>());
  }
  if (words.empty()) return Missing("at least one entry in the list " + Quoted(name));
  return words;
}

// Calls visit(text before the slot, slot name) for each slot, then visit(rest, "").
template <typename Visit>
void ForEachSlot(std::string_view pattern, Visit&& visit) {
  while (true) {
    const size_t open = pattern.find('{');
    const size_t close = open == pattern.npos ? pattern.npos : pattern.find('}', open);
    if (close == pattern.npos) break;
    visit(pattern.substr(0, open), pattern.substr(open + 1, close - open - 1));
    pattern.remove_prefix(close + 1);
  }
  visit(pattern, std::string_view());
}

}  // namespace

const Grammar& Grammar::BuiltIn() {
  static const Grammar grammar = [] {
    Result<Grammar> parsed = Parse(kGrammarJson);
    FASTKV_CHECK_MSG(parsed.ok(), parsed.status().message().c_str());
    return std::move(parsed).value();
  }();
  return grammar;
}

Result<Grammar> Grammar::Parse(std::string_view json) {
  FASTKV_ASSIGN_OR_RETURN(const Json document, ParseJson(json));
  FASTKV_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::Of(document, std::string(kContext)));
  Grammar grammar;
  for (const auto& [name, value] : document.items()) {
    if (!value.is_array()) continue;
    FASTKV_ASSIGN_OR_RETURN(grammar.lists_[name], ReadWords(name, value));
  }
  for (const std::string_view name : kNeededLists) {
    if (!grammar.lists_.contains(name)) return Missing("a list named " + Quoted(name));
  }
  FASTKV_RETURN_IF_ERROR(grammar.CheckProseSlots());

  const Json* chat = fields.Find("chat");
  if (chat == nullptr) return Missing("an object named \"chat\"");
  FASTKV_ASSIGN_OR_RETURN(const JsonFields pieces,
                          JsonFields::Of(*chat, std::string(kContext) + " chat"));
  FASTKV_ASSIGN_OR_RETURN(grammar.chat_.user_open, pieces.String("user_open"));
  FASTKV_ASSIGN_OR_RETURN(grammar.chat_.turn_close, pieces.String("turn_close"));
  FASTKV_ASSIGN_OR_RETURN(grammar.chat_.assistant_open, pieces.String("assistant_open"));
  FASTKV_ASSIGN_OR_RETURN(grammar.chat_.between_context_and_question,
                          pieces.String("between_context_and_question"));
  return grammar;
}

Status Grammar::CheckProseSlots() const {
  Status status;
  for (const std::string& pattern : List("prose")) {
    ForEachSlot(pattern, [&](std::string_view, std::string_view slot) {
      if (slot.empty() || slot == kCapitalSlot || lists_.contains(slot)) return;
      status = Missing("a list for the slot " + Quoted(slot));
    });
  }
  return status;
}

const std::vector<std::string>& Grammar::List(std::string_view name) const {
  const auto found = lists_.find(name);
  FASTKV_CHECK_MSG(found != lists_.end(), std::string(name).c_str());
  return found->second;
}

const std::string& Grammar::Draw(std::string_view name, Random& random) const {
  const std::vector<std::string>& words = List(name);
  return words[static_cast<size_t>(random.NextInt(static_cast<int64_t>(words.size())))];
}

std::string Grammar::Fill(std::string_view pattern, Bindings bindings, Random& random) const {
  std::string filled;
  ForEachSlot(pattern, [&](std::string_view before, std::string_view slot) {
    filled += before;
    if (!slot.empty()) filled += FillSlot(slot, bindings, random);
  });
  return filled;
}

std::string Grammar::FillSlot(std::string_view slot, Bindings bindings, Random& random) const {
  for (const auto& [name, value] : bindings) {
    if (name == slot) return std::string(value);
  }
  if (slot != kCapitalSlot) return Draw(slot, random);
  std::string word = Draw(kCapitalList, random);
  if (!word.empty()) word[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(word[0])));
  return word;
}

}  // namespace fastkv
