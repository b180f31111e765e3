#include "eval/selection_map.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "eval/human_format.h"
#include "eval/selection_density.h"

namespace fastkv {
namespace {

constexpr int64_t kMaxColumns = 1024;
constexpr size_t kMaxHeadDots = 4;     // more heads than this are counted in digits
constexpr size_t kCountWidth = 3;      // of such a count, in dots
constexpr size_t kMaxFactColumns = 4;  // further facts are marked on the axis alone

// Rows are one unit high in the drawing; the style sheet gives their height on the page.
std::string Strip(const std::string& paths, int64_t num_columns, const std::string& title) {
  return fmt::format(
      "<svg class=\"strip\" viewBox=\"0 0 {} 1\" preserveAspectRatio=\"none\" role=\"img\" "
      "aria-label=\"{}\"><title>{}</title>{}</svg>",
      num_columns, title, title, paths);
}

std::string ShadedPaths(std::span<const double> shares, const std::string& css_prefix) {
  std::vector<int> shades(shares.size());
  std::transform(shares.begin(), shares.end(), shades.begin(), ShadeOf);
  std::string paths;
  for (int shade = 1; shade <= kNumShades; ++shade) {
    const std::string path = ShadePath(shades, shade, 0.5);
    if (!path.empty())
      paths += fmt::format("<path class=\"{}{}\" d=\"{}\"/>", css_prefix, shade, path);
  }
  return paths;
}

// A number of the form 1, 2 or 5 times a power of ten, so that up to six of them fit.
int64_t TickStep(int64_t num_tokens) {
  int64_t power = 1;
  while (true) {
    for (const int64_t digit : {1, 2, 5}) {
      if (digit * power * 6 >= num_tokens) return digit * power;
    }
    power *= 10;
  }
}

class MapWriter {
 public:
  explicit MapWriter(const SelectionPageData& data)
      : data_(data),
        num_tokens_(static_cast<int64_t>(data.token_texts.size())),
        scale_(ColumnScale::For(num_tokens_, kMaxColumns)) {}

  std::string Write() {
    WriteLegend();
    const size_t num_heads = data_.layers[0].kept_per_head.size();
    html_ += fmt::format("<div class=\"map\" style=\"--facts:{};--dots:{}\">\n", NumFactColumns(),
                         num_heads <= kMaxHeadDots ? num_heads : kCountWidth);
    WriteMarks();
    WriteAxis();
    const auto num_layers = static_cast<int64_t>(data_.layers.size());
    for (int64_t layer = 0; layer < num_layers; ++layer) {
      WriteLayer(layer);
      if (layer == data_.tsp_layer) WriteCut();
    }
    html_ += "</div>\n";
    return std::move(html_);
  }

 private:
  void WriteMarks() {
    html_ += "<div class=\"marks\">";
    for (size_t i = 0; i < data_.facts.size(); ++i) {
      const TokenSpan& value = data_.facts[i].value;
      html_ += fmt::format("<i class=\"mark\" style=\"left:{:.3f}%\"><b>{}</b></i>",
                           100 * scale_.ShareOfWidth((value.first + value.end) / 2),
                           FactBadge(data_, i));
    }
    html_ += "</div>\n";
  }

  void WriteAxis() {
    html_ += "<div class=\"label head\">layer</div><div class=\"axis\">";
    const int64_t step = TickStep(num_tokens_);
    // A label needs room to its right, where the next column begins.
    for (int64_t at = 0; at < num_tokens_ - num_tokens_ / 16; at += step) {
      html_ += fmt::format("<span style=\"left:{:.3f}%\">{}{}</span>",
                           100 * scale_.ShareOfWidth(at), at == 0 ? "token " : "", HumanCount(at));
    }
    html_ += "</div><div class=\"side head\"><span class=\"wide\">stored</span>";
    for (size_t i = 0; i < NumFactColumns(); ++i) {
      html_ += "<span class=\"dots\">" + FactBadge(data_, i) + "</span>";
    }
    html_ += "</div>\n";
  }

  void WriteLayer(int64_t layer) {
    const LayerSelection& selection = data_.layers[static_cast<size_t>(layer)];
    const std::vector<double> shares = ColumnShares(scale_, selection.kept_per_head);
    int64_t num_kept = 0;
    for (const auto& kept : selection.kept_per_head) num_kept += static_cast<int64_t>(kept.size());
    const auto num_heads = static_cast<int64_t>(selection.kept_per_head.size());
    const bool is_after_cut = data_.tsp_layer >= 0 && layer > data_.tsp_layer;
    const std::string reached =
        is_after_cut ? ReachedPaths()
                     : fmt::format("<path class=\"r5\" d=\"M0 .5h{}\"/>", scale_.num_columns);
    const std::string title =
        fmt::format("Layer {}: {} of {} tokens came in, {} of {} KV entries per head stored", layer,
                    HumanCount(selection.tokens_in), HumanCount(num_tokens_),
                    HumanCount(num_kept / num_heads), HumanCount(num_tokens_));
    html_ += fmt::format("<div class=\"label\">{}</div>{}<div class=\"side\">{}</div>\n", layer,
                         Strip(reached + ShadedPaths(shares, "k"), scale_.num_columns, title),
                         Side(selection, num_kept));
  }

  std::string ReachedPaths() const {
    return ShadedPaths(ColumnShares(scale_, {&data_.propagated, 1}), "r");
  }

  std::string Side(const LayerSelection& selection, int64_t num_kept) const {
    const double share = static_cast<double>(num_kept) / static_cast<double>(num_tokens_) /
                         static_cast<double>(selection.kept_per_head.size());
    std::string side = fmt::format("<span class=\"wide\">{}</span>", HumanPercent(share));
    for (size_t i = 0; i < NumFactColumns(); ++i) {
      side += "<span class=\"dots\">" + HeldBy(selection, data_.facts[i].value) + "</span>";
    }
    return side;
  }

  // A dot for each KV head; many heads as a count of those that hold all of the value.
  static std::string HeldBy(const LayerSelection& selection, TokenSpan value) {
    std::string dots;
    int64_t num_full = 0;
    for (const std::vector<int32_t>& kept : selection.kept_per_head) {
      const int64_t num_held = NumHeld(kept, value);
      num_full += num_held == value.end - value.first ? 1 : 0;
      dots += Dot(num_held, value);
    }
    const size_t num_heads = selection.kept_per_head.size();
    return num_heads <= kMaxHeadDots ? dots : fmt::format("{}/{}", num_full, num_heads);
  }

  static int64_t NumHeld(const std::vector<int32_t>& positions, TokenSpan value) {
    const std::vector<int> held = CountLists(value, {&positions, 1});
    return std::count(held.begin(), held.end(), 1);
  }

  static std::string Dot(int64_t num_held, TokenSpan value) {
    if (num_held == 0) return "<i></i>";
    return num_held == value.end - value.first ? "<i class=\"full\"></i>"
                                               : "<i class=\"half\"></i>";
  }

  void WriteCut() {
    const auto num_kept = static_cast<int64_t>(data_.propagated.size());
    const std::string text = fmt::format("after layer {}, {} of {} tokens go on", data_.tsp_layer,
                                         HumanCount(num_kept), HumanCount(num_tokens_));
    const std::vector<double> shares = ColumnShares(scale_, {&data_.propagated, 1});
    const double share = static_cast<double>(num_kept) / static_cast<double>(num_tokens_);
    html_ += fmt::format(
        "<div class=\"cut-text\"><span><b>Token-selective propagation</b>: {}</span></div>\n"
        "<div class=\"label cut\">TSP</div>{}<div class=\"side cut\"><span "
        "class=\"wide\">{}</span>",
        text, Strip(ShadedPaths(shares, "p"), scale_.num_columns, text), HumanPercent(share));
    for (size_t i = 0; i < NumFactColumns(); ++i) {
      const TokenSpan value = data_.facts[i].value;
      html_ += "<span class=\"dots\">" + Dot(NumHeld(data_.propagated, value), value) + "</span>";
    }
    html_ += "</div>\n";
  }

  size_t NumFactColumns() const { return std::min(kMaxFactColumns, data_.facts.size()); }

  void WriteLegend() {
    html_ += "<ul class=\"legend\">";
    html_ += "<li><svg class=\"key\" viewBox=\"0 0 5 1\" preserveAspectRatio=\"none\">";
    for (int shade = 1; shade <= kNumShades; ++shade) {
      html_ += fmt::format("<path class=\"k{}\" d=\"M{} .5h1\"/>", shade, shade - 1);
    }
    html_ += fmt::format("</svg>KV entries stored, few to all, over {} heads{}</li>",
                         data_.layers[0].kept_per_head.size(),
                         scale_.tokens_per_column > 1
                             ? fmt::format(" and {} tokens a column", scale_.tokens_per_column)
                             : "");
    html_ +=
        "<li><svg class=\"key\" viewBox=\"0 0 5 1\" preserveAspectRatio=\"none\">"
        "<path class=\"r5\" d=\"M0 .5h5\"/></svg>token reaches the layer</li>";
    if (data_.tsp_layer >= 0) {
      html_ +=
          "<li><svg class=\"key\" viewBox=\"0 0 5 1\" preserveAspectRatio=\"none\">"
          "<path class=\"p5\" d=\"M0 .5h5\"/></svg>token goes on after the TSP layer</li>";
    }
    if (!data_.facts.empty()) {
      html_ +=
          "<li><i class=\"key-mark\"></i>the fact that holds the answer</li>"
          "<li><span class=\"dots\"><i class=\"full\"></i><i class=\"half\"></i><i></i></span>"
          "a KV head stores the answer: whole, in part, not</li>";
    }
    html_ += "</ul>\n";
  }

  const SelectionPageData& data_;
  const int64_t num_tokens_;
  const ColumnScale scale_;
  std::string html_;
};

}  // namespace

std::string RenderSelectionMap(const SelectionPageData& data) { return MapWriter(data).Write(); }

std::string FactBadge(const SelectionPageData& data, size_t index) {
  if (data.facts.size() < 2) return "fact";
  return std::string(1, static_cast<char>('A' + index % 26));
}

}  // namespace fastkv
