// The page that shows what a method kept of one prompt: one self-contained HTML file, no script, no
// network, light and dark, for a screen of any width and for paper.
#ifndef FASTKV_EVAL_SELECTION_PAGE_H_
#define FASTKV_EVAL_SELECTION_PAGE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "eval/method_comparison.h"

namespace fastkv {

// Tokens [first, end) of a prompt.
struct TokenSpan {
  int64_t first = 0;
  int64_t end = 0;
};

// A fact that holds a part of the answer.
struct MarkedFact {
  TokenSpan sentence;
  TokenSpan value;    // the answer's part, inside the sentence
  std::string label;  // the part as text
};

struct LayerSelection {
  int64_t tokens_in = 0;                            // tokens that reached the layer
  std::vector<std::vector<int32_t>> kept_per_head;  // [num_kv_heads], ascending original positions
};

// What came of a further text that was read with both methods.
struct DocumentSection {
  std::string name;         // what was read: "GPL-3"
  bool is_cut = false;      // only the beginning was read
  std::string method_text;  // as in SelectionPageData
  MethodComparison comparison;
};

struct SelectionPageData {
  MethodComparison comparison;
  std::string method_text;     // the settings as one phrase: "TSP 20 % after layer 7, KV 10 %"
  std::string command;         // what was typed, to run it again
  int64_t question_shown = 0;  // of comparison.questions: the one whose prompt is drawn
  std::vector<std::string>
      token_texts;                     // [num_tokens] of that prompt; a token may split a character
  std::vector<LayerSelection> layers;  // [num_layers]
  int64_t tsp_layer = -1;              // layer after which only `propagated` go on; -1: none
  std::vector<int32_t> propagated;     // ascending positions; empty when tsp_layer is -1
  std::vector<MarkedFact> facts;
  std::optional<DocumentSection> document;  // shown behind the rest
};

// The page as text, below 1 MB for up to 64 layers. Everything in `data` is escaped.
// REQUIRES: positions and spans lie within token_texts; there is at least one token, one layer and
// one KV head in each layer; question_shown is in range; both methods have one answer for each
// question.
std::string RenderSelectionPage(const SelectionPageData& data);

}  // namespace fastkv

#endif  // FASTKV_EVAL_SELECTION_PAGE_H_
