#include "text/pre_tokenizer.h"

#include <utility>

#include "text/pre_tokenizer_split.h"
#include "text/unicode_byte_alphabet.h"
#include "text/unicode_class.h"
#include "text/unicode_utf8.h"

namespace fastkv {
namespace {

// Each step calls the next one for every piece, so this also bounds the depth of calls.
constexpr size_t kMaxSteps = 64;

bool IsPunctuation(char32_t c) {
  return (CharacterClasses::Get()[c] & kClassPunctuation) != 0 ||
         (c < 0x80 && (CharacterClasses::Get()[c] & kClassSymbol) != 0);
}

bool IsNumber(char32_t c) { return (CharacterClasses::Get()[c] & kClassNumber) != 0; }

}  // namespace

struct PreTokenizer::Run {
  PatternScratch& scratch;
  PieceSink& sink;
};

Result<PreTokenizer> PreTokenizer::Create(const std::vector<PreTokenizerSpec>& specs) {
  if (specs.size() > kMaxSteps) {
    return LimitError(std::to_string(specs.size()) + " pre-tokenizers, at most " +
                      std::to_string(kMaxSteps) + " are allowed");
  }
  PreTokenizer result;
  for (const PreTokenizerSpec& spec : specs) {
    Step step{spec, nullptr};
    PatternSpec pattern;
    if (spec.kind == PreTokenizerKind::kSplit) pattern = spec.pattern;
    if (spec.kind == PreTokenizerKind::kByteLevel && spec.use_regex) {
      pattern = {true, std::string(kGpt2Expression)};
    }
    if (spec.kind == PreTokenizerKind::kMetaspace && spec.split)
      pattern = {false, spec.replacement};
    FASTKV_ASSIGN_OR_RETURN(step.pattern, MakeTextPattern(pattern));
    result.steps_.push_back(std::move(step));
  }
  result.pieces_are_bytes_ = !specs.empty() && specs.back().kind == PreTokenizerKind::kByteLevel;
  return result;
}

Status PreTokenizer::Cut(std::string_view text, bool at_text_start, PatternScratch& scratch,
                         PieceSink& sink) const {
  Run run{scratch, sink};
  return RunStep(0, text, at_text_start, run);
}

Status PreTokenizer::RunStep(size_t index, std::string_view text, bool at_text_start,
                             Run& run) const {
  if (text.empty()) return OkStatus();
  if (index == steps_.size()) {
    run.sink.Take(text);
    return OkStatus();
  }
  const PreTokenizerSpec& spec = steps_[index].spec;
  switch (spec.kind) {
    case PreTokenizerKind::kSplit:
      return SplitAtPattern(index, text, at_text_start, run);
    case PreTokenizerKind::kDigits:
      return SplitAtCharacters(
          index, text, at_text_start,
          spec.individual_digits ? SplitBehavior::kIsolated : SplitBehavior::kContiguous, IsNumber,
          run);
    case PreTokenizerKind::kPunctuation:
      return SplitAtCharacters(index, text, at_text_start, spec.behavior, IsPunctuation, run);
    case PreTokenizerKind::kWhitespaceSplit:
      return SplitAtCharacters(index, text, at_text_start, SplitBehavior::kRemoved, IsWhiteSpace,
                               run);
    case PreTokenizerKind::kByteLevel:
      return RunByteLevel(index, text, at_text_start, run);
    case PreTokenizerKind::kMetaspace:
      return RunMetaspace(index, text, at_text_start, run);
  }
  return OkStatus();
}

Status PreTokenizer::SplitAtPattern(size_t index, std::string_view text, bool at_text_start,
                                    Run& run) const {
  const Step& step = steps_[index];
  SplitBehavior behavior = step.spec.behavior;
  bool invert = step.spec.invert;
  if (step.spec.kind == PreTokenizerKind::kByteLevel) {
    behavior = SplitBehavior::kIsolated;
    invert = false;
  } else if (step.spec.kind == PreTokenizerKind::kMetaspace) {
    behavior = SplitBehavior::kMergedWithNext;
    invert = false;
  }
  const auto emit = [&](size_t begin, size_t end) {
    return RunStep(index + 1, text.substr(begin, end - begin), at_text_start && begin == 0, run);
  };
  SplitFolder folder(behavior, emit);
  size_t covered = 0;  // the text up to here went to the folder
  size_t search = 0;
  bool matched_before = false;
  while (search <= text.size()) {
    PatternMatch match;
    FASTKV_ASSIGN_OR_RETURN(const bool found,
                            step.pattern->FindNext(text, search, run.scratch, match));
    if (!found) break;
    if (match.end == match.begin && matched_before && match.end == covered) {
      // An empty match right behind a match does not count; the search goes on one character later.
      if (search >= text.size()) break;
      search += DecodeUtf8(text, search).length_bytes;
      continue;
    }
    if (match.begin > covered) FASTKV_RETURN_IF_ERROR(folder.Take(covered, match.begin, invert));
    FASTKV_RETURN_IF_ERROR(folder.Take(match.begin, match.end, !invert));
    covered = search = match.end;
    matched_before = true;
  }
  if (covered < text.size()) FASTKV_RETURN_IF_ERROR(folder.Take(covered, text.size(), invert));
  return folder.Finish();
}

template <typename Accept>
Status PreTokenizer::SplitAtCharacters(size_t index, std::string_view text, bool at_text_start,
                                       SplitBehavior behavior, const Accept& accept,
                                       Run& run) const {
  const auto emit = [&](size_t begin, size_t end) {
    return RunStep(index + 1, text.substr(begin, end - begin), at_text_start && begin == 0, run);
  };
  SplitFolder folder(behavior, emit);
  size_t covered = 0;
  for (size_t position = 0; position < text.size();) {
    const CodePoint c = DecodeUtf8(text, position);
    const size_t end = position + c.length_bytes;
    if (accept(c.value)) {
      if (covered < position) FASTKV_RETURN_IF_ERROR(folder.Take(covered, position, false));
      FASTKV_RETURN_IF_ERROR(folder.Take(position, end, true));
      covered = end;
    }
    position = end;
  }
  if (covered < text.size()) FASTKV_RETURN_IF_ERROR(folder.Take(covered, text.size(), false));
  return folder.Finish();
}

Status PreTokenizer::RunByteLevel(size_t index, std::string_view text, bool at_text_start,
                                  Run& run) const {
  const Step& step = steps_[index];
  std::string changed;
  if (step.spec.add_prefix_space && text.front() != ' ') {
    changed.reserve(text.size() + 1);
    changed.append(" ").append(text);
    text = changed;
  }
  if (index + 1 == steps_.size()) {
    if (step.pattern != nullptr && step.spec.use_regex) {
      return SplitAtPattern(index, text, at_text_start, run);
    }
    run.sink.Take(text);
    return OkStatus();
  }
  // Another step follows and sees the alphabet. The mapping keeps each byte apart, so that cutting
  // before or after it is the same only when the pattern has run on the plain text.
  std::string mapped;
  const auto emit = [&](size_t begin, size_t end) {
    mapped.clear();
    for (const char c : text.substr(begin, end - begin)) {
      AppendUtf8(kByteAlphabet[static_cast<unsigned char>(c)], mapped);
    }
    return RunStep(index + 1, mapped, at_text_start && begin == 0, run);
  };
  if (!step.spec.use_regex) return emit(0, text.size());
  size_t position = 0;
  while (position < text.size()) {
    PatternMatch match;
    FASTKV_ASSIGN_OR_RETURN(const bool found,
                            step.pattern->FindNext(text, position, run.scratch, match));
    const size_t end = found ? match.end : text.size();
    FASTKV_RETURN_IF_ERROR(emit(position, end));
    position = end;
  }
  return OkStatus();
}

Status PreTokenizer::RunMetaspace(size_t index, std::string_view text, bool at_text_start,
                                  Run& run) const {
  const PreTokenizerSpec& spec = steps_[index].spec;
  std::string changed;
  changed.reserve(text.size() + text.size() / 4 + spec.replacement.size());
  const bool prepend = spec.prepend_scheme == PrependScheme::kAlways ||
                       (spec.prepend_scheme == PrependScheme::kFirst && at_text_start);
  const bool starts_marked = text.front() == ' ' || text.starts_with(spec.replacement);
  if (prepend && !starts_marked) changed += spec.replacement;
  for (const char c : text) {
    if (c == ' ') {
      changed += spec.replacement;
    } else {
      changed += c;
    }
  }
  if (spec.split) return SplitAtPattern(index, changed, at_text_start, run);
  return RunStep(index + 1, changed, at_text_start, run);
}

}  // namespace fastkv
