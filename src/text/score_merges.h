// BPE by scores, as SentencePiece has it, put as BPE by merges.
#ifndef FASTKV_TEXT_SCORE_MERGES_H_
#define FASTKV_TEXT_SCORE_MERGES_H_

#include <span>
#include <vector>

#include "base/status.h"
#include "text/tokenizer_spec.h"

namespace fastkv {

// Fills spec.merges and spec.merge_ranks so that merging joins, again and again, the neighbours
// whose joint text is the token with the highest score, the leftmost among equals: every way to cut
// a token into two tokens is a merge, and its rank is the place of the token's score among all
// scores. `scores` and `takes_part` go by id; tokens that take no part are neither made nor used.
// They must be in spec.vocabulary. Errors: kLimit (a token too long, too many merges).
//
// SentencePiece also joins characters that are no token themselves; such vocabularies are not made
// by training, which gives each character of a token an entry.
Status AddScoreMerges(std::span<const float> scores, const std::vector<bool>& takes_part,
                      TokenizerSpec& spec);

}  // namespace fastkv

#endif  // FASTKV_TEXT_SCORE_MERGES_H_
