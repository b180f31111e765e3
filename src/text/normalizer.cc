#include "text/normalizer.h"

#include <algorithm>
#include <utility>

#include "text/unicode_class.h"
#include "text/unicode_normalize.h"
#include "text/unicode_utf8.h"

namespace fastkv {

// Builds a step's result beside its input.
class Normalizer::Writer {
 public:
  Writer(std::string_view input, const std::vector<uint8_t>& trusted, std::string& output,
         std::vector<uint8_t>& output_trusted)
      : input_(input), trusted_(trusted), output_(output), output_trusted_(output_trusted) {
    output_.clear();
    output_trusted_.clear();
  }

  void Copy(size_t begin, size_t end) {
    output_.append(input_.substr(begin, end - begin));
    if (trusted_.empty()) return;
    output_trusted_.insert(output_trusted_.end(), trusted_.begin() + static_cast<ptrdiff_t>(begin),
                           trusted_.begin() + static_cast<ptrdiff_t>(end));
  }

  // The text that a caller may append to before it calls Made.
  std::string& output() { return output_; }

  // What was appended to output() came from the input's [begin, end).
  void Made(size_t begin, size_t end) {
    if (trusted_.empty()) return;
    const bool all = std::all_of(trusted_.begin() + static_cast<ptrdiff_t>(begin),
                                 trusted_.begin() + static_cast<ptrdiff_t>(end),
                                 [](uint8_t value) { return value != 0; });
    output_trusted_.resize(output_.size(), all ? 1 : 0);
  }

 private:
  std::string_view input_;
  const std::vector<uint8_t>& trusted_;
  std::string& output_;
  std::vector<uint8_t>& output_trusted_;
};

namespace {

NormalizationForm FormOf(NormalizerKind kind) {
  switch (kind) {
    case NormalizerKind::kNfd:
      return NormalizationForm::kNfd;
    case NormalizerKind::kNfkc:
      return NormalizationForm::kNfkc;
    case NormalizerKind::kNfkd:
      return NormalizationForm::kNfkd;
    default:
      return NormalizationForm::kNfc;
  }
}

template <typename Writer>
bool ApplyForm(NormalizationForm form, std::string_view text, Writer& writer) {
  UnicodeNormalizer normalizer(form);
  size_t position = 0;
  while (position < text.size()) {
    const UnicodeNormalizer::Segment segment = normalizer.NextSegment(text, position);
    if (segment.unchanged) {
      if (position == 0 && segment.end == text.size()) return false;
      writer.Copy(position, segment.end);
    } else {
      normalizer.AppendNormalized(text.substr(position, segment.end - position), writer.output());
      writer.Made(position, segment.end);
    }
    position = segment.end;
  }
  return true;
}

template <typename Writer>
void ApplyLowercase(std::string_view text, Writer& writer) {
  for (size_t position = 0; position < text.size();) {
    const CodePoint c = DecodeUtf8(text, position);
    const size_t end = position + c.length_bytes;
    AppendUtf8(c.value == 0x130 ? U'i' : LowerCase(c.value), writer.output());
    // The one character whose lower case is two: the dot above is kept as a mark.
    if (c.value == 0x130) AppendUtf8(0x307, writer.output());
    writer.Made(position, end);
    position = end;
  }
}

template <typename Writer>
void ApplyStripAccents(std::string_view text, Writer& writer) {
  for (size_t position = 0; position < text.size();) {
    const CodePoint c = DecodeUtf8(text, position);
    const size_t end = position + c.length_bytes;
    if (!IsNonspacingMark(c.value)) writer.Copy(position, end);
    position = end;
  }
}

template <typename Writer>
void ApplyStrip(const NormalizerSpec& spec, std::string_view text, Writer& writer) {
  size_t begin = 0;
  size_t end = text.size();
  while (spec.strip_left && begin < end) {
    const CodePoint c = DecodeUtf8(text, begin);
    if (!IsWhiteSpace(c.value)) break;
    begin += c.length_bytes;
  }
  while (spec.strip_right && begin < end) {
    const size_t last = PreviousUtf8(text, end);
    if (!IsWhiteSpace(DecodeUtf8(text, last).value)) break;
    end = last;
  }
  writer.Copy(begin, end);
}

}  // namespace

Result<Normalizer> Normalizer::Create(const std::vector<NormalizerSpec>& specs) {
  Normalizer result;
  for (const NormalizerSpec& spec : specs) {
    Step step{spec, nullptr};
    if (spec.kind == NormalizerKind::kReplace) {
      FASTKV_ASSIGN_OR_RETURN(step.pattern, MakeTextPattern(spec.pattern));
    }
    result.steps_.push_back(std::move(step));
  }
  return result;
}

Status Normalizer::Normalize(NormalizedText& text, Scratch& scratch,
                             PatternScratch& patterns) const {
  std::vector<uint8_t> next_trusted;
  for (const Step& step : steps_) {
    if (text.text.empty()) return OkStatus();
    Writer writer(text.text, text.trusted, scratch.next, next_trusted);
    FASTKV_ASSIGN_OR_RETURN(const bool changed, Apply(step, text.text, patterns, writer));
    if (!changed) continue;
    scratch.current.swap(scratch.next);
    text.text = scratch.current;
    text.trusted.swap(next_trusted);
  }
  return OkStatus();
}

Result<bool> Normalizer::Apply(const Step& step, std::string_view text, PatternScratch& patterns,
                               Writer& writer) {
  switch (step.spec.kind) {
    case NormalizerKind::kNfc:
    case NormalizerKind::kNfd:
    case NormalizerKind::kNfkc:
    case NormalizerKind::kNfkd:
      return ApplyForm(FormOf(step.spec.kind), text, writer);
    case NormalizerKind::kPrepend:
      writer.output() += step.spec.content;
      writer.Made(0, 0);
      writer.Copy(0, text.size());
      return true;
    case NormalizerKind::kLowercase:
      ApplyLowercase(text, writer);
      return true;
    case NormalizerKind::kStrip:
      ApplyStrip(step.spec, text, writer);
      return true;
    case NormalizerKind::kStripAccents:
      ApplyStripAccents(text, writer);
      return true;
    case NormalizerKind::kReplace:
      break;
  }
  size_t copied = 0;
  size_t search = 0;
  bool matched_before = false;
  while (search <= text.size()) {
    PatternMatch match;
    FASTKV_ASSIGN_OR_RETURN(const bool found,
                            step.pattern->FindNext(text, search, patterns, match));
    if (!found) break;
    if (match.begin == match.end && matched_before && match.end == copied) {
      if (search >= text.size()) break;
      search += DecodeUtf8(text, search).length_bytes;
      continue;
    }
    writer.Copy(copied, match.begin);
    writer.output() += step.spec.content;
    writer.Made(match.begin, match.end);
    copied = search = match.end;
    matched_before = true;
  }
  if (!matched_before) return false;
  writer.Copy(copied, text.size());
  return true;
}

}  // namespace fastkv
