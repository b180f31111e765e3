#include "eval/selection_page.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "eval/embedded_text.h"
#include "eval/human_format.h"
#include "eval/selection_map.h"
#include "eval/selection_zoom.h"

namespace fastkv {
namespace {

// More facts than this are marked in the map but not zoomed in on.
constexpr size_t kMaxZooms = 4;

double Ratio(double numerator, double denominator) {
  return denominator > 0 ? numerator / denominator : 0;
}

std::string Tile(const std::string& name, const std::string& value, const std::string& detail) {
  return fmt::format("<div class=\"tile\"><dt>{}</dt><dd>{}<small>{}</small></dd></div>\n", name,
                     value, detail);
}

std::string Tiles(const MethodComparison& comparison) {
  const ComparedMethod& full = comparison.baseline;
  const ComparedMethod& method = comparison.method;
  const size_t num_questions = comparison.questions.size();
  std::string html = "<dl class=\"tiles\">\n";
  html += Tile("First token",
               HumanChange(full.first_token_ms, method.first_token_ms, "sooner", "later"),
               fmt::format("{} instead of {}", HumanDuration(method.first_token_ms),
                           HumanDuration(full.first_token_ms)));
  html +=
      Tile("Each further token",
           HumanChange(full.decode_ms_per_token, method.decode_ms_per_token, "faster", "slower"),
           fmt::format("{} instead of {}", HumanDuration(method.decode_ms_per_token),
                       HumanDuration(full.decode_ms_per_token)));
  html += Tile(
      "KV memory",
      HumanPercent(Ratio(static_cast<double>(method.kv_bytes), static_cast<double>(full.kv_bytes))),
      fmt::format("{} instead of {}", HumanBytes(method.kv_bytes), HumanBytes(full.kv_bytes)));
  html += Tile("Right answers", fmt::format("{} of {}", method.NumRight(), num_questions),
               fmt::format("full context: {} of {}", full.NumRight(), num_questions));
  return html + "</dl>\n";
}

std::string Header(const SelectionPageData& data) {
  const MethodComparison& comparison = data.comparison;
  const ComparedQuestion& shown = comparison.questions[static_cast<size_t>(data.question_shown)];
  std::string html = fmt::format(
      "<header>\n<p class=\"eyebrow\">fastkv</p>\n<h1>What {} keeps of {} tokens</h1>\n"
      "<p class=\"lede\">The prompt is {} tokens of prose with facts hidden in it, and one "
      "question: "
      "<q>{}</q></p>\n<p class=\"facts\"><span>{}</span><span>{}</span><span>{}</span></p>\n"
      "</header>\n",
      EscapeHtml(comparison.method.name), HumanCount(static_cast<int64_t>(data.token_texts.size())),
      HumanCount(static_cast<int64_t>(data.token_texts.size())), EscapeHtml(shown.question),
      EscapeHtml(comparison.model), EscapeHtml(data.method_text), EscapeHtml(comparison.machine));
  return html;
}

std::string AnswerText(const GivenAnswer& answer) {
  return answer.text.empty() ? "(nothing)" : EscapeHtml(answer.text);
}

std::string AnswerCell(const ComparedQuestion& question, const GivenAnswer& answer) {
  if (question.expected.empty()) return "<td>" + AnswerText(answer) + "</td>";
  const char* css = answer.is_right() ? "right" : answer.score > 0 ? "partly" : "wrong";
  const char* mark = answer.is_right() ? "✓" : answer.score > 0 ? "◐" : "✗";
  return fmt::format("<td class=\"{}\"><i>{}</i> {}</td>", css, mark, AnswerText(answer));
}

// `shown`: the question whose prompt the page draws, or -1.
std::string AnswersTable(const MethodComparison& comparison, int64_t shown) {
  const bool is_judged = comparison.IsJudged();
  std::string html = fmt::format(
      "<div class=\"scroll\"><table class=\"answers\">"
      "<thead><tr><th>Question</th>{}<th>{}</th><th>{}</th></tr></thead><tbody>\n",
      is_judged ? "<th>Expected</th>" : "", EscapeHtml(comparison.baseline.name),
      EscapeHtml(comparison.method.name));
  for (size_t i = 0; i < comparison.questions.size(); ++i) {
    const ComparedQuestion& question = comparison.questions[i];
    html += fmt::format("<tr><td>{}{}</td>{}{}{}</tr>\n", EscapeHtml(question.question),
                        static_cast<int64_t>(i) == shown ? " <small>(drawn above)</small>" : "",
                        is_judged ? "<td>" + EscapeHtml(question.expected) + "</td>" : "",
                        AnswerCell(question, comparison.baseline.answers[i]),
                        AnswerCell(question, comparison.method.answers[i]));
  }
  return html + "</tbody></table></div>\n";
}

std::string ResultRow(const std::string& name, const std::string& full, const std::string& method,
                      const std::string& change) {
  return fmt::format("<tr><th>{}</th><td>{}</td><td>{}</td><td>{}</td></tr>\n", name, full, method,
                     change);
}

std::string ResultsTable(const MethodComparison& comparison) {
  const ComparedMethod& full = comparison.baseline;
  const ComparedMethod& method = comparison.method;
  const size_t num_questions = comparison.questions.size();
  std::string html = fmt::format(
      "<div class=\"scroll\"><table class=\"results\"><thead><tr><th></th>"
      "<th>{}</th><th>{}</th><th></th></tr></thead><tbody>\n",
      EscapeHtml(full.name), EscapeHtml(method.name));
  html += ResultRow("Time to first token", HumanDuration(full.first_token_ms),
                    HumanDuration(method.first_token_ms),
                    HumanChange(full.first_token_ms, method.first_token_ms, "faster", "slower"));
  html += ResultRow(
      "Decoding, per token", HumanDuration(full.decode_ms_per_token),
      HumanDuration(method.decode_ms_per_token),
      HumanChange(full.decode_ms_per_token, method.decode_ms_per_token, "faster", "slower"));
  html += ResultRow("KV memory held", HumanBytes(full.kv_bytes), HumanBytes(method.kv_bytes),
                    HumanChange(static_cast<double>(full.kv_bytes),
                                static_cast<double>(method.kv_bytes), "smaller", "larger"));
  if (comparison.IsJudged()) {
    html += ResultRow("Right answers", fmt::format("{} of {}", full.NumRight(), num_questions),
                      fmt::format("{} of {}", method.NumRight(), num_questions), "");
  }
  return html +
         fmt::format(
             "</tbody></table></div>\n<p class=\"note\">Medians over {} question{}. KV memory is "
             "what the cache holds after the prompt, from its allocations.</p>\n",
             num_questions, num_questions == 1 ? "" : "s");
}

std::string Document(const DocumentSection& document) {
  const MethodComparison& comparison = document.comparison;
  return fmt::format(
             "<section>\n<h2>A document read by {}</h2>\n<p class=\"note\">{} and one question, a "
             "prompt of {} tokens. {}.</p>\n",
             EscapeHtml(comparison.model),
             (document.is_cut ? "The beginning of " : "The text of ") + EscapeHtml(document.name),
             HumanCount(comparison.prompt_tokens), EscapeHtml(document.method_text)) +
         ResultsTable(comparison) + AnswersTable(comparison, /*shown=*/-1) + "</section>\n";
}

std::string Zooms(const SelectionPageData& data) {
  if (data.facts.empty()) return {};
  std::string html =
      "<section>\n<h2>Around the fact, token by token</h2>\n<p class=\"note\">A row is a layer, a "
      "column a token: grey reaches the layer, blue is stored, the stronger the more KV heads "
      "store it. "
      "In the text below, the stronger the blue the more heads of all layers store the token";
  html += data.tsp_layer >= 0 ? "; underlined tokens go on after the TSP layer.</p>\n" : ".</p>\n";
  for (size_t i = 0; i < std::min(kMaxZooms, data.facts.size()); ++i)
    html += RenderFactZoom(data, i);
  return html + "</section>\n";
}

void CheckAnswers(const MethodComparison& comparison) {
  FASTKV_CHECK_EQ(comparison.baseline.answers.size(), comparison.questions.size());
  FASTKV_CHECK_EQ(comparison.method.answers.size(), comparison.questions.size());
}

void CheckData(const SelectionPageData& data) {
  const auto num_tokens = static_cast<int64_t>(data.token_texts.size());
  const auto num_questions = static_cast<int64_t>(data.comparison.questions.size());
  FASTKV_CHECK_GT(num_tokens, 0);
  FASTKV_CHECK(!data.layers.empty());
  for (const LayerSelection& layer : data.layers) FASTKV_CHECK(!layer.kept_per_head.empty());
  FASTKV_CHECK_GE(data.question_shown, 0);
  FASTKV_CHECK_LT(data.question_shown, num_questions);
  CheckAnswers(data.comparison);
  if (data.document) CheckAnswers(data.document->comparison);
  for (const MarkedFact& fact : data.facts) {
    FASTKV_CHECK_LE(0, fact.sentence.first);
    FASTKV_CHECK_LE(fact.sentence.first, fact.value.first);
    FASTKV_CHECK_LT(fact.value.first, fact.value.end);
    FASTKV_CHECK_LE(fact.value.end, fact.sentence.end);
    FASTKV_CHECK_LE(fact.sentence.end, num_tokens);
  }
}

}  // namespace

std::string RenderSelectionPage(const SelectionPageData& data) {
  CheckData(data);
  std::string html = fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n<title>What {} keeps of {} "
      "tokens</title>\n"
      "<style>\n",
      EscapeHtml(data.comparison.method.name),
      HumanCount(static_cast<int64_t>(data.token_texts.size())));
  html += kSelectionPageCss;
  html += "</style>\n</head>\n<body>\n<main>\n";
  html += Header(data);
  html += Tiles(data.comparison);
  html += "<section>\n<h2>Which tokens each layer stores</h2>\n";
  html += RenderSelectionMap(data);
  html += "</section>\n";
  html += Zooms(data);
  html += "<section>\n<h2>Questions and answers</h2>\n" +
          AnswersTable(data.comparison, data.question_shown) + "</section>\n";
  html += "<section>\n<h2>Measured</h2>\n" + ResultsTable(data.comparison) + "</section>\n";
  if (data.document) html += Document(*data.document);
  html += fmt::format("<footer>Made by <code>{}</code></footer>\n</main>\n</body>\n</html>\n",
                      EscapeHtml(data.command));
  return html;
}

}  // namespace fastkv
