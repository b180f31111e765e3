// The page's main picture: one row a layer, token positions from left to right.
#ifndef FASTKV_EVAL_SELECTION_MAP_H_
#define FASTKV_EVAL_SELECTION_MAP_H_

#include <string>

#include "eval/selection_page.h"

namespace fastkv {

// HTML of the picture with its legend. REQUIRES: as RenderSelectionPage.
std::string RenderSelectionMap(const SelectionPageData& data);

// The badge of fact `index`: a letter where there are several, else a mark.
std::string FactBadge(const SelectionPageData& data, size_t index);

}  // namespace fastkv

#endif  // FASTKV_EVAL_SELECTION_MAP_H_
