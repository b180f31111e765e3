#include "eval/selection_zoom.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "eval/human_format.h"
#include "eval/selection_density.h"
#include "eval/selection_map.h"

namespace fastkv {
namespace {

constexpr int64_t kGridTokensAround = 16;
constexpr int64_t kTextTokensAround = 90;
constexpr int64_t kNarrowTokens = 16;  // in sight on a narrow page

// Of the grid, in pixels.
constexpr int64_t kCellWidth = 20;
constexpr int64_t kCellHeight = 15;
constexpr int64_t kLabelWidth = 32;
constexpr int64_t kCutLabelWidth = 40;
constexpr int64_t kTextHeight = 88;
constexpr int64_t kCutGap = 9;

TokenSpan Around(const SelectionPageData& data, TokenSpan inner, int64_t margin) {
  return {.first = std::max<int64_t>(0, inner.first - margin),
          .end = std::min(static_cast<int64_t>(data.token_texts.size()), inner.end + margin)};
}

bool Contains(TokenSpan span, int64_t position) {
  return position >= span.first && position < span.end;
}

// A token's text with white space made visible where it is all there is.
std::string Visible(std::string_view token) {
  std::string text;
  for (const char c : token) text += c == '\n' ? std::string("⏎") : std::string(1, c);
  return EscapeHtml(text);
}

class GridWriter {
 public:
  GridWriter(const SelectionPageData& data, const MarkedFact& fact)
      : data_(data),
        fact_(fact),
        window_(Around(data, fact.sentence, kGridTokensAround)),
        num_layers_(static_cast<int64_t>(data.layers.size())) {}

  std::string Write() {
    const int64_t width = Left(window_.end) + kCutLabelWidth;
    const int64_t height = RowTop(num_layers_) + kTextHeight;
    svg_ = fmt::format(
        "<div class=\"scroll\"><svg class=\"grid\" width=\"{}\" height=\"{}\" viewBox=\"0 0 {} "
        "{}\" "
        "role=\"img\" aria-label=\"Which layers store which tokens around the fact\">\n",
        kLabelWidth + width, height, kLabelWidth + width, height);
    for (int64_t layer = 0; layer < num_layers_; ++layer) {
      svg_ += fmt::format("<text class=\"layer\" x=\"{}\" y=\"{}\">{}</text>", kLabelWidth - 8,
                          RowTop(layer) + kCellHeight - 4, layer);
    }
    // The inner drawing clips; on a narrow page the style sheet moves its content left by --lead,
    // so that the fact is in sight without scrolling.
    svg_ += fmt::format(
        "\n<svg x=\"{}\" width=\"{}\" height=\"{}\"><g class=\"moving\" style=\"--lead:{}px\">\n",
        kLabelWidth, width, height,
        -std::max<int64_t>(0, Left(fact_.value.end + 1 - kNarrowTokens)));
    for (int64_t layer = 0; layer < num_layers_; ++layer) WriteLayer(layer);
    WriteCut();
    WriteTokens();
    WriteFrame();
    return svg_ + "</g></svg></svg></div>\n";
  }

 private:
  int64_t RowTop(int64_t layer) const {
    const bool is_after_cut = data_.tsp_layer >= 0 && layer > data_.tsp_layer;
    return 6 + layer * kCellHeight + (is_after_cut ? kCutGap : 0);
  }
  int64_t Left(int64_t position) const { return 2 + (position - window_.first) * kCellWidth; }

  void WriteLayer(int64_t layer) {
    const LayerSelection& selection = data_.layers[static_cast<size_t>(layer)];
    const std::vector<int> counts = CountLists(window_, selection.kept_per_head);
    const bool is_after_cut = data_.tsp_layer >= 0 && layer > data_.tsp_layer;
    const std::vector<int> reached = is_after_cut ? CountLists(window_, {&data_.propagated, 1})
                                                  : std::vector<int>(counts.size(), 1);
    const auto num_heads = static_cast<double>(selection.kept_per_head.size());
    std::string paths[kNumShades + 1];
    for (size_t i = 0; i < counts.size(); ++i) {
      const int shade = ShadeOf(counts[i] / num_heads);
      if (shade == 0 && reached[i] == 0) continue;
      paths[shade] +=
          fmt::format("M{} {}h{}v{}h-{}z", Left(window_.first + static_cast<int64_t>(i)) + 1,
                      RowTop(layer) + 1, kCellWidth - 2, kCellHeight - 2, kCellWidth - 2);
    }
    for (int shade = 0; shade <= kNumShades; ++shade) {
      if (paths[shade].empty()) continue;
      svg_ += fmt::format("<path class=\"c{}\" d=\"{}\"/>", shade, paths[shade]);
    }
    svg_ += "\n";
  }

  void WriteCut() {
    if (data_.tsp_layer < 0) return;
    const int64_t y = RowTop(data_.tsp_layer + 1) - kCutGap / 2;
    svg_ += fmt::format(
        "<path class=\"cut-line\" d=\"M{} {}H{}\"/><text class=\"cut-label\" x=\"{}\" "
        "y=\"{}\">TSP</text>\n",
        Left(window_.first), y, Left(window_.end), Left(window_.end) + 6, y + 4);
  }

  void WriteTokens() {
    const int64_t y = RowTop(num_layers_) + 13;
    for (int64_t position = window_.first; position < window_.end; ++position) {
      svg_ += fmt::format("<text class=\"{}\" transform=\"translate({} {})rotate(55)\">{}</text>",
                          Contains(fact_.value, position)      ? "value"
                          : Contains(fact_.sentence, position) ? "fact"
                                                               : "other",
                          Left(position) + kCellWidth / 2 - 3, y,
                          Visible(data_.token_texts[static_cast<size_t>(position)]));
    }
    svg_ += "\n";
  }

  void WriteFrame() {
    const int64_t top = RowTop(0) - 3;
    const int64_t height = RowTop(num_layers_) - top + 3;
    for (const auto& [span, css] :
         {std::pair(fact_.sentence, "fact-frame"), std::pair(fact_.value, "value-frame")}) {
      svg_ += fmt::format(
          "<rect class=\"{}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"3\"/>", css,
          Left(span.first) - 1, top, (span.end - span.first) * kCellWidth + 2, height);
    }
  }

  const SelectionPageData& data_;
  const MarkedFact& fact_;
  const TokenSpan window_;
  const int64_t num_layers_;
  std::string svg_;
};

std::string WriteText(const SelectionPageData& data, const MarkedFact& fact) {
  const TokenSpan window = Around(data, fact.sentence, kTextTokensAround);
  std::vector<int> counts(static_cast<size_t>(window.end - window.first));
  size_t num_lists = 0;
  for (const LayerSelection& layer : data.layers) {
    const std::vector<int> of_layer = CountLists(window, layer.kept_per_head);
    for (size_t i = 0; i < counts.size(); ++i) counts[i] += of_layer[i];
    num_lists += layer.kept_per_head.size();
  }
  const std::vector<int> propagated = CountLists(window, {&data.propagated, 1});
  std::string html = "<p class=\"text\">";
  if (window.first > 0) html += "… ";
  for (int64_t position = window.first; position < window.end; ++position) {
    const auto i = static_cast<size_t>(position - window.first);
    // Half of all heads is already much: no token matters everywhere.
    const int shade = ShadeOf(2.0 * counts[i] / static_cast<double>(num_lists));
    std::string css = fmt::format("t{}", shade);
    if (propagated[i] != 0) css += " on";
    if (position == fact.value.first) html += "<span class=\"value\">";
    html += fmt::format("<span class=\"{}\" title=\"token {}: {} of {} heads\">{}</span>", css,
                        HumanCount(position), counts[i], num_lists,
                        Visible(data.token_texts[static_cast<size_t>(position)]));
    if (position + 1 == fact.value.end) html += "</span>";
  }
  if (window.end < static_cast<int64_t>(data.token_texts.size())) html += " …";
  return html + "</p>\n";
}

}  // namespace

std::string RenderFactZoom(const SelectionPageData& data, size_t fact_index) {
  const MarkedFact& fact = data.facts[fact_index];
  std::string html = "<section class=\"zoom\">\n";
  html += fmt::format("<h3><b class=\"badge\">{}</b> {} <small>tokens {} to {}</small></h3>\n",
                      FactBadge(data, fact_index), EscapeHtml(fact.label),
                      HumanCount(fact.value.first), HumanCount(fact.value.end - 1));
  html += GridWriter(data, fact).Write();
  html += WriteText(data, fact);
  return html + "</section>\n";
}

}  // namespace fastkv
