#include "text/decoder.h"

#include <algorithm>

#include "text/unicode_byte_alphabet.h"
#include "text/unicode_utf8.h"

namespace fastkv {
namespace {

constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";

// For decoders that look at whole tokens: gathers the fragments of each.
class TokenStage : public DecoderStage {
 public:
  explicit TokenStage(DecoderStage& next) : next_(next) {}

  void Take(const DecoderFragment& fragment) override {
    if (fragment.starts_token && fragment.ends_token) {
      TakeToken(fragment.text);
      return;
    }
    if (fragment.starts_token) token_.clear();
    token_ += fragment.text;
    if (fragment.ends_token) TakeToken(token_);
  }
  void Finish() override { next_.Finish(); }

 protected:
  virtual void TakeToken(std::string_view token) = 0;
  DecoderStage& next() { return next_; }

 private:
  DecoderStage& next_;
  std::string token_;
};

// For decoders that make one token of all.
class FuseStage : public DecoderStage {
 public:
  explicit FuseStage(DecoderStage& next) : next_(next) {}
  void Take(const DecoderFragment& fragment) override { Emit(fragment.text); }
  void Finish() override {
    if (started_) next_.Take({"", false, true});
    next_.Finish();
  }

 protected:
  void Emit(std::string_view text) {
    next_.Take({text, !started_, false});
    started_ = true;
  }

 private:
  DecoderStage& next_;
  bool started_ = false;
};

class ByteLevelStage final : public FuseStage {
 public:
  using FuseStage::FuseStage;

  void Take(const DecoderFragment& fragment) override {
    if (fragment.starts_token) token_.clear();
    token_ += fragment.text;
    if (!fragment.ends_token) return;
    const size_t num_before = bytes_.size();
    for (size_t position = 0; position < token_.size();) {
      const CodePoint c = DecodeUtf8(token_, position);
      position += c.length_bytes;
      const int byte = ByteOfCharacter(c.value);
      if (byte < 0) {
        // Added tokens are not written in the alphabet of bytes; such a token stands for itself.
        bytes_.resize(num_before);
        bytes_ += token_;
        break;
      }
      bytes_ += static_cast<char>(byte);
    }
    EmitWholeCharacters(false);
  }

  void Finish() override {
    EmitWholeCharacters(true);
    FuseStage::Finish();
  }

 private:
  void EmitWholeCharacters(bool at_end) {
    std::string text;
    size_t position = 0;
    while (position < bytes_.size()) {
      const Utf8Prefix prefix = ReadUtf8Prefix(std::string_view(bytes_).substr(position));
      if (prefix.cut && !at_end) break;
      if (prefix.valid) {
        text.append(bytes_, position, prefix.length_bytes);
      } else {
        text += kReplacementCharacter;
      }
      position += prefix.length_bytes;
    }
    bytes_.erase(0, position);
    if (!text.empty()) Emit(text);
  }

  std::string token_;
  std::string bytes_;  // what has not become text yet: at most the start of one character
};

class ByteFallbackStage final : public TokenStage {
 public:
  using TokenStage::TokenStage;

  void Finish() override {
    FlushBytes();
    TokenStage::Finish();
  }

 private:
  static int HexValue(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  }

  void TakeToken(std::string_view token) override {
    if (token.size() == 6 && token.starts_with("<0x") && token.back() == '>') {
      const int high = HexValue(token[3]);
      const int low = HexValue(token[4]);
      if (high >= 0 && low >= 0) {
        bytes_ += static_cast<char>(high * 16 + low);
        return;
      }
    }
    FlushBytes();
    next().Take({token});
  }

  // A run of bytes is one text if it is valid as a whole, and unreadable byte by byte otherwise.
  void FlushBytes() {
    if (bytes_.empty()) return;
    if (!FindInvalidUtf8(bytes_)) {
      next().Take({bytes_});
    } else {
      for (size_t i = 0; i < bytes_.size(); ++i) next().Take({kReplacementCharacter});
    }
    bytes_.clear();
  }

  std::string bytes_;
};

class StripStage final : public DecoderStage {
 public:
  StripStage(const DecoderSpec& spec, DecoderStage& next) : spec_(spec), next_(next) {}

  void Take(const DecoderFragment& fragment) override {
    if (fragment.starts_token) {
      may_strip_ = spec_.start;
      num_held_ = 0;
    }
    std::string text;
    for (size_t position = 0; position < fragment.text.size();) {
      const size_t length = DecodeUtf8(fragment.text, position).length_bytes;
      const std::string_view character = fragment.text.substr(position, length);
      position += length;
      const bool matches = character == spec_.content;
      if (matches && may_strip_ > 0) {
        --may_strip_;
        continue;
      }
      may_strip_ = 0;
      if (matches && spec_.stop > 0) {
        ++num_held_;
        continue;
      }
      Release(text, num_held_);
      text += character;
    }
    if (fragment.ends_token) Release(text, std::max<int64_t>(0, num_held_ - spec_.stop));
    next_.Take({text, fragment.starts_token, fragment.ends_token});
  }
  void Finish() override { next_.Finish(); }

 private:
  void Release(std::string& text, int64_t count) {
    for (int64_t i = 0; i < count; ++i) text += spec_.content;
    num_held_ = 0;
  }

  const DecoderSpec& spec_;
  DecoderStage& next_;
  int64_t may_strip_ = 0;  // how many characters may still go at the start of this token
  int64_t num_held_ = 0;   // characters that go if the token ends here
};

class ReplaceStage final : public TokenStage {
 public:
  ReplaceStage(const DecoderSpec& spec, DecoderStage& next) : TokenStage(next), spec_(spec) {}

 private:
  void TakeToken(std::string_view token) override {
    const std::string& pattern = spec_.pattern.text;
    std::string text;
    size_t copied = 0;
    while (true) {
      const size_t found = token.find(pattern, copied);
      if (found == std::string_view::npos) break;
      text.append(token.substr(copied, found - copied)).append(spec_.content);
      copied = found + pattern.size();
    }
    text.append(token.substr(copied));
    next().Take({text});
  }

  const DecoderSpec& spec_;
};

class MetaspaceStage final : public DecoderStage {
 public:
  MetaspaceStage(const DecoderSpec& spec, DecoderStage& next) : spec_(spec), next_(next) {}

  void Take(const DecoderFragment& fragment) override {
    if (fragment.starts_token) ++num_tokens_;
    const bool drops = num_tokens_ == 1 && spec_.prepend_scheme != PrependScheme::kNever;
    std::string text;
    for (size_t position = 0; position < fragment.text.size();) {
      const size_t length = DecodeUtf8(fragment.text, position).length_bytes;
      const std::string_view character = fragment.text.substr(position, length);
      position += length;
      if (character != spec_.content) {
        text += character;
      } else if (!drops) {
        text += ' ';
      }
    }
    next_.Take({text, fragment.starts_token, fragment.ends_token});
  }
  void Finish() override { next_.Finish(); }

 private:
  const DecoderSpec& spec_;
  DecoderStage& next_;
  int64_t num_tokens_ = 0;
};

class JoinStage final : public DecoderStage {
 public:
  explicit JoinStage(DecoderStage& next) : next_(next) {}
  void Take(const DecoderFragment& fragment) override {
    if (!std::exchange(is_first_, false)) next_.Take({" "});
    next_.Take(fragment);
  }
  void Finish() override { next_.Finish(); }

 private:
  DecoderStage& next_;
  bool is_first_ = true;
};

std::unique_ptr<DecoderStage> MakeStage(const DecoderSpec& spec, DecoderStage& next) {
  switch (spec.kind) {
    case DecoderKind::kByteLevel:
      return std::make_unique<ByteLevelStage>(next);
    case DecoderKind::kByteFallback:
      return std::make_unique<ByteFallbackStage>(next);
    case DecoderKind::kStrip:
      return std::make_unique<StripStage>(spec, next);
    case DecoderKind::kReplace:
      return std::make_unique<ReplaceStage>(spec, next);
    case DecoderKind::kMetaspace:
      return std::make_unique<MetaspaceStage>(spec, next);
    case DecoderKind::kFuse:
      break;
  }
  return std::make_unique<FuseStage>(next);
}

bool IsOneCharacter(std::string_view text) {
  return !text.empty() && DecodeUtf8(text, 0).length_bytes == text.size();
}

}  // namespace

class DecoderRun::Output final : public DecoderStage {
 public:
  void Take(const DecoderFragment& fragment) override { text += fragment.text; }
  void Finish() override {}
  std::string text;
};

DecoderRun::DecoderRun(const std::optional<std::vector<DecoderSpec>>& specs)
    : output_(std::make_unique<Output>()), first_(output_.get()) {
  if (!specs) {
    stages_.push_back(std::make_unique<JoinStage>(*first_));
    first_ = stages_.back().get();
    return;
  }
  for (auto spec = specs->rbegin(); spec != specs->rend(); ++spec) {
    stages_.push_back(MakeStage(*spec, *first_));
    first_ = stages_.back().get();
  }
}

DecoderRun::~DecoderRun() = default;
DecoderRun::DecoderRun(DecoderRun&&) noexcept = default;

void DecoderRun::Take(std::string_view token) { first_->Take({token}); }
void DecoderRun::Finish() { first_->Finish(); }
std::string DecoderRun::TakeText() { return std::exchange(output_->text, {}); }

Status CheckDecoders(const std::vector<DecoderSpec>& specs) {
  for (const DecoderSpec& spec : specs) {
    if (spec.kind == DecoderKind::kReplace) {
      if (spec.pattern.is_regex) {
        return UnsupportedError("a Replace decoder with a regular expression is not supported");
      }
      if (spec.pattern.text.empty()) {
        return FormatError("a Replace decoder needs a text to look for, but has an empty one");
      }
    }
    const bool needs_character =
        spec.kind == DecoderKind::kStrip || spec.kind == DecoderKind::kMetaspace;
    if (needs_character && !IsOneCharacter(spec.content)) {
      return FormatError("a Strip or Metaspace decoder needs one character to act on");
    }
  }
  return OkStatus();
}

}  // namespace fastkv
