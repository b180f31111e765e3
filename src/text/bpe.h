// Byte-pair encoding of the pieces that a pre-tokenizer cuts.
#ifndef FASTKV_TEXT_BPE_H_
#define FASTKV_TEXT_BPE_H_

#include <array>
#include <bitset>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "text/bpe_merge_table.h"
#include "text/bpe_word.h"
#include "text/tokenizer_spec.h"

namespace fastkv {

// Scratch memory and a memory of words seen, for one thread at a time.
class BpeWorkspace {
 public:
  BpeWorkspace();

 private:
  friend class BpeModel;
  static constexpr size_t kMaxCachedSymbols = 16;
  static constexpr size_t kMaxCachedIds = 8;
  static constexpr size_t kNumCachedWords = 1 << 13;
  struct CachedWord {
    uint8_t num_symbols = 0;  // 0: nothing is stored here
    uint8_t num_ids = 0;
    std::array<int32_t, kMaxCachedSymbols> symbols;
    std::array<int32_t, kMaxCachedIds> ids;
  };
  std::vector<CachedWord> cache_;
  BpeWordEncoder word_encoder_;
  std::vector<int32_t> word_;
  std::string mapped_;
};

// Thread-safe when const.
class BpeModel {
 public:
  // Tokens in `never_made` (by id) come from no text: no merge makes them and no symbol is one.
  // (The unknown token still stands for unknown characters.) Errors: kFormat when a merge names a
  // token or makes a text that is not in the vocabulary.
  static Result<std::unique_ptr<BpeModel>> Create(TokenizerSpec spec, std::vector<bool> never_made);

  const TokenVocabulary& vocabulary() const { return vocabulary_; }

  // Appends the tokens of one piece of valid UTF-8.
  void Encode(std::string_view piece, BpeWorkspace& workspace, std::vector<int32_t>& ids) const;
  // The same as Encode of the piece's bytes written in the alphabet of bytes.
  void EncodeBytes(std::string_view piece, BpeWorkspace& workspace,
                   std::vector<int32_t>& ids) const;

 private:
  static constexpr int32_t kNone = -1;
  static constexpr size_t kNumJunctionBits = 1 << 19;

  // Code points to the tokens that they are by themselves.
  class SymbolTable {
   public:
    int32_t Find(char32_t code_point) const;
    void Insert(char32_t code_point, int32_t id);

   private:
    static constexpr size_t kPageSize = 256;
    std::array<uint16_t, 0x110000 / kPageSize> page_of_{};  // 0: no such page
    std::vector<int32_t> pages_;
  };

  BpeModel(TokenizerSpec spec, std::vector<bool> never_made);
  bool NeverMade(int32_t id) const {
    return static_cast<size_t>(id) < never_made_.size() && never_made_[static_cast<size_t>(id)];
  }
  // `ranks` as TokenizerSpec::merge_ranks.
  Status AddMerges(const std::vector<MergeSpec>& merges, const std::vector<uint32_t>& ranks);
  // Marks where the merge of two tokens may join symbols.
  void AddJunctions(const MergeSpec& merge);
  bool EncodeWhole(std::string_view text, std::vector<int32_t>& ids) const;
  void AddUnknown(std::string_view character, bool& unknown_pending, BpeWorkspace& workspace,
                  std::vector<int32_t>& ids) const;
  // Adds a symbol to the current word, which ends first where no merge can reach across.
  void AddSymbol(int32_t id, BpeWorkspace& workspace, std::vector<int32_t>& ids) const;
  void FinishWord(BpeWorkspace& workspace, std::vector<int32_t>& ids) const;
  static size_t JunctionBit(int32_t left, int32_t right);

  TokenVocabulary vocabulary_;
  std::vector<bool> never_made_;
  BpeMergeTable merges_;
  SymbolTable symbols_;
  std::array<int32_t, 256> byte_symbols_;  // by byte, written in the alphabet of bytes
  std::array<int32_t, 256> fallback_ids_;  // the tokens <0xNN>
  // Which symbols may stand on the two sides of a merge's seam, hashed: a bit that is not set means
  // that no merge ever crosses there, so the text can be cut. A collision only leaves a cut out.
  std::bitset<kNumJunctionBits> junctions_;
  int32_t unknown_id_ = kNone;
  bool byte_fallback_ = false;
  bool fuse_unknown_ = false;
  bool ignore_merges_ = false;
};

}  // namespace fastkv

#endif  // FASTKV_TEXT_BPE_H_
