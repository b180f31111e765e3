#include "eval/scorers/jieba_hmm.h"

#include <cstdint>
#include <span>

#include "eval/scorers/python_literal.h"
#include "eval/scorers/python_text.h"

namespace fastkv {
namespace {

constexpr double kImpossible = -3.14e100;  // what jieba puts for a missing logarithm
constexpr std::array<std::string_view, kNumHmmStates> kLetters = {"B", "E", "M", "S"};

constexpr size_t Index(HmmState state) { return static_cast<size_t>(state); }

// The states that may stand before each, in the order of kLetters.
constexpr std::array<std::array<HmmState, 2>, kNumHmmStates> kBefore = {{
    {HmmState::kEnd, HmmState::kSingle},    // B
    {HmmState::kBegin, HmmState::kMiddle},  // E
    {HmmState::kBegin, HmmState::kMiddle},  // M
    {HmmState::kEnd, HmmState::kSingle},    // S
}};

Status WrongTable(std::string_view table) {
  return FormatError("expected P = {...} with a logarithm for each of the states B, E, M, S in " +
                     std::string(table));
}

Result<PythonValue> ParseTable(std::string_view source, std::string_view table) {
  Result<PythonValue> value = ParsePythonAssignment(source, "P");
  if (!value.ok()) return value.status().WithContext(table);
  if (value->kind != PythonValue::Kind::kDict) return WrongTable(table);
  return value;
}

bool IsNumber(const PythonValue& value) { return value.kind == PythonValue::Kind::kNumber; }

bool IsAsciiWord(char32_t c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool IsAsciiDigit(char32_t c) { return c >= '0' && c <= '9'; }

// How many characters of `text` from `begin` on make one token outside Han: [a-zA-Z0-9]+, then
// (\.\d+)?, then %?. 0 where none begins there.
size_t TokenLength(std::u32string_view text, size_t begin) {
  size_t end = begin;
  while (end < text.size() && IsAsciiWord(text[end])) ++end;
  if (end == begin) return 0;
  if (end + 1 < text.size() && text[end] == '.' && IsAsciiDigit(text[end + 1])) {
    ++end;
    while (end < text.size() && IsAsciiDigit(text[end])) ++end;
  }
  if (end < text.size() && text[end] == '%') ++end;
  return end - begin;
}

void SegmentOther(std::u32string_view text, std::vector<std::u32string_view>& words) {
  size_t between = 0;
  size_t position = 0;
  while (position < text.size()) {
    const size_t length = TokenLength(text, position);
    if (length == 0) {
      ++position;
      continue;
    }
    if (position > between) words.push_back(text.substr(between, position - between));
    words.push_back(text.substr(position, length));
    position += length;
    between = position;
  }
  if (position > between) words.push_back(text.substr(between));
}

}  // namespace

Result<JiebaHmm> JiebaHmm::Parse(std::string_view start, std::string_view transitions,
                                 std::string_view emissions) {
  JiebaHmm hmm;
  FASTKV_ASSIGN_OR_RETURN(const PythonValue start_table, ParseTable(start, "prob_start"));
  FASTKV_ASSIGN_OR_RETURN(const PythonValue transition_table,
                          ParseTable(transitions, "prob_trans"));
  FASTKV_ASSIGN_OR_RETURN(const PythonValue emission_table, ParseTable(emissions, "prob_emit"));
  for (size_t state = 0; state < kNumHmmStates; ++state) {
    const PythonValue* first = start_table.Find(kLetters[state]);
    if (first == nullptr || !IsNumber(*first)) return WrongTable("prob_start");
    hmm.start_[state] = first->number;

    const PythonValue* next = transition_table.Find(kLetters[state]);
    if (next == nullptr || next->kind != PythonValue::Kind::kDict) return WrongTable("prob_trans");
    for (size_t to = 0; to < kNumHmmStates; ++to) {
      const PythonValue* log = next->Find(kLetters[to]);
      if (log != nullptr && !IsNumber(*log)) return WrongTable("prob_trans");
      hmm.transitions_[state][to] = log == nullptr ? kImpossible : log->number;
    }

    const PythonValue* emitted = emission_table.Find(kLetters[state]);
    if (emitted == nullptr || emitted->kind != PythonValue::Kind::kDict) {
      return WrongTable("prob_emit");
    }
    for (size_t i = 0; i + 1 < emitted->items.size(); i += 2) {
      const std::u32string code_points = CodePoints(emitted->items[i].text);
      const PythonValue& log = emitted->items[i + 1];
      if (code_points.size() != 1 || !IsNumber(log)) return WrongTable("prob_emit");
      const auto [entry, fresh] = hmm.emissions_.try_emplace(code_points[0]);
      if (fresh) entry->second.fill(kImpossible);
      entry->second[state] = log.number;
    }
  }
  return hmm;
}

std::vector<HmmState> JiebaHmm::BestStates(std::u32string_view han) const {
  StateLogs unknown;
  unknown.fill(kImpossible);
  const auto emissions_of = [&](char32_t character) -> const StateLogs& {
    const auto found = emissions_.find(character);
    return found == emissions_.end() ? unknown : found->second;
  };
  StateLogs logs = start_;
  for (size_t state = 0; state < kNumHmmStates; ++state) logs[state] += emissions_of(han[0])[state];
  std::vector<std::array<HmmState, kNumHmmStates>> before(han.size());  // [character][state]
  for (size_t i = 1; i < han.size(); ++i) {
    const StateLogs& emitted = emissions_of(han[i]);
    StateLogs next;
    for (size_t state = 0; state < kNumHmmStates; ++state) {
      const auto log_from = [&](HmmState from) {
        return logs[Index(from)] + transitions_[Index(from)][state] + emitted[state];
      };
      const auto [lesser, greater] = kBefore[state];
      const bool take_greater = log_from(greater) >= log_from(lesser);
      before[i][state] = take_greater ? greater : lesser;
      next[state] = log_from(before[i][state]);
    }
    logs = next;
  }
  std::vector<HmmState> states(han.size());
  const bool ends_single = logs[Index(HmmState::kSingle)] >= logs[Index(HmmState::kEnd)];
  states.back() = ends_single ? HmmState::kSingle : HmmState::kEnd;
  for (size_t i = han.size() - 1; i > 0; --i) states[i - 1] = before[i][Index(states[i])];
  return states;
}

void JiebaHmm::SegmentHan(std::u32string_view han, std::vector<std::u32string_view>& words) const {
  const std::vector<HmmState> states = BestStates(han);
  size_t begin = 0;
  size_t next = 0;
  for (size_t i = 0; i < han.size(); ++i) {
    const bool is_single = states[i] == HmmState::kSingle;
    if (is_single || states[i] == HmmState::kBegin) begin = i;
    if (is_single || states[i] == HmmState::kEnd) {
      words.push_back(han.substr(begin, i + 1 - begin));
      next = i + 1;
    }
  }
  if (next < han.size()) words.push_back(han.substr(next));
}

std::vector<std::u32string_view> JiebaHmm::Segment(std::u32string_view text) const {
  std::vector<std::u32string_view> words;
  for (size_t begin = 0; begin < text.size();) {
    size_t end = begin;
    const bool han = IsHan(text[begin]);
    while (end < text.size() && IsHan(text[end]) == han) ++end;
    const std::u32string_view block = text.substr(begin, end - begin);
    if (han) {
      SegmentHan(block, words);
    } else {
      SegmentOther(block, words);
    }
    begin = end;
  }
  return words;
}

}  // namespace fastkv
