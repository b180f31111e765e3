// What a tokenizer is made of, as plain data: read from tokenizer.json, or put together from the
// metadata of another file format. Texts are valid UTF-8.
#ifndef FASTKV_TEXT_TOKENIZER_SPEC_H_
#define FASTKV_TEXT_TOKENIZER_SPEC_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "text/tokenizer_vocabulary.h"

namespace fastkv {

// Text to look for: a literal string, or a regular expression in Oniguruma's syntax.
struct PatternSpec {
  bool is_regex = false;
  std::string text;
};

enum class NormalizerKind {
  kNfc,
  kNfd,
  kNfkc,
  kNfkd,
  kPrepend,  // puts `content` before a text that is not empty
  kReplace,  // puts `content` in place of each match of `pattern`
  kLowercase,
  kStrip,         // drops white space at the ends
  kStripAccents,  // drops nonspacing marks
};

struct NormalizerSpec {
  NormalizerKind kind = NormalizerKind::kNfc;
  PatternSpec pattern;
  std::string content;
  bool strip_left = true;
  bool strip_right = true;
};

// What happens to the matches of a pattern that cuts text.
enum class SplitBehavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

// Where Metaspace puts its mark before a text that does not start with it.
enum class PrependScheme { kAlways, kFirst, kNever };

enum class PreTokenizerKind {
  kSplit,            // at `pattern`
  kDigits,           // at numbers (\p{N}), one by one or in runs
  kPunctuation,      // at \p{P} and ASCII's symbols
  kWhitespaceSplit,  // at white space, which is dropped
  kByteLevel,        // GPT-2's pattern and its alphabet of bytes
  kMetaspace,        // spaces become `replacement`, which starts words
};

struct PreTokenizerSpec {
  PreTokenizerKind kind = PreTokenizerKind::kSplit;
  PatternSpec pattern;                                // kSplit
  SplitBehavior behavior = SplitBehavior::kIsolated;  // kSplit, kPunctuation
  bool invert = false;                                // kSplit: the gaps are the matches
  bool individual_digits = false;                     // kDigits
  bool add_prefix_space = false;                      // kByteLevel
  bool use_regex = true;                              // kByteLevel
  std::string replacement;                            // kMetaspace: one character
  PrependScheme prepend_scheme = PrependScheme::kAlways;
  bool split = true;  // kMetaspace
};

enum class DecoderKind {
  kByteLevel,     // from the alphabet of bytes to text
  kByteFallback,  // runs of <0xNN> to text
  kFuse,          // all tokens to one
  kStrip,      // up to `start` and `stop` times the character `content` at the ends of each token
  kReplace,    // `content` for each match of `pattern`, token by token
  kMetaspace,  // `content` (one character) to a space; dropped in the first token unless kNever
};

struct DecoderSpec {
  DecoderKind kind = DecoderKind::kFuse;
  PatternSpec pattern;
  std::string content;
  int64_t start = 0;
  int64_t stop = 0;
  PrependScheme prepend_scheme = PrependScheme::kAlways;
};

struct AddedTokenSpec {
  int32_t id = 0;
  std::string content;
  bool single_word = false;  // only where no word character touches
  bool lstrip = false;       // swallows the white space to its left
  bool rstrip = false;
  bool normalized = false;  // sought in the normalized text
  bool special = false;     // control token: left out of decoded text on request
};

// One rule: `left` and `right` become the token whose text is theirs together. The rule's place in
// the list is its rank.
struct MergeSpec {
  int32_t left = 0;
  int32_t right = 0;
};

struct TokenizerSpec {
  TokenVocabulary vocabulary;  // the model's tokens; added ones may be among them
  std::vector<MergeSpec> merges;
  // As many as merges, where several may share a rank; empty: the places in the list.
  std::vector<uint32_t> merge_ranks;
  std::optional<int32_t> unknown_id;
  bool byte_fallback = false;  // an unknown character becomes its bytes <0xNN>
  bool fuse_unknown = false;   // a run of unknown characters is one token
  bool ignore_merges = false;  // a piece that is a token as a whole is that token

  std::vector<AddedTokenSpec> added_tokens;
  std::vector<NormalizerSpec> normalizers;       // one after the other
  std::vector<PreTokenizerSpec> pre_tokenizers;  // one after the other
  // One after the other. With no value at all, decoding joins the tokens with spaces.
  std::optional<std::vector<DecoderSpec>> decoders;

  std::vector<int32_t> prefix_ids;  // what add_special_tokens puts before the text
  std::vector<int32_t> suffix_ids;  // and behind it
  std::optional<int32_t> bos_id;
  std::optional<int32_t> eos_id;
};

}  // namespace fastkv

#endif  // FASTKV_TEXT_TOKENIZER_SPEC_H_
