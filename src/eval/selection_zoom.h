// The neighbourhood of one fact, token by token.
#ifndef FASTKV_EVAL_SELECTION_ZOOM_H_
#define FASTKV_EVAL_SELECTION_ZOOM_H_

#include <string>

#include "eval/selection_page.h"

namespace fastkv {

// HTML: a grid of layers by tokens, and the text with what was kept of it.
// REQUIRES: as RenderSelectionPage; fact_index is in range.
std::string RenderFactZoom(const SelectionPageData& data, size_t fact_index);

}  // namespace fastkv

#endif  // FASTKV_EVAL_SELECTION_ZOOM_H_
