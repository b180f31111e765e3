#include "fastkv/comparison_table.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "eval/human_format.h"

namespace fastkv {
namespace {

constexpr size_t kNameWidth = 21;
constexpr size_t kColumnWidth = 14;

class TableWriter {
 public:
  TableWriter(const MethodComparison& comparison, bool colour)
      : comparison_(comparison), colour_(colour) {}

  std::string Write() {
    const ComparedMethod& full = comparison_.baseline;
    const ComparedMethod& method = comparison_.method;
    const auto num_questions = static_cast<int64_t>(comparison_.questions.size());
    text_ += Paint(fmt::format("  {:{}}{:>{}}{:>{}}", "", kNameWidth, full.name, kColumnWidth,
                               method.name, kColumnWidth),
                   kFaint) +
             "\n";
    Row("time to first token", HumanDuration(full.first_token_ms),
        HumanDuration(method.first_token_ms),
        Change(full.first_token_ms, method.first_token_ms, "faster", "slower"));
    Row("decoding, per token", HumanDuration(full.decode_ms_per_token),
        HumanDuration(method.decode_ms_per_token),
        Change(full.decode_ms_per_token, method.decode_ms_per_token, "faster", "slower"));
    Row("KV memory held", HumanBytes(full.kv_bytes), HumanBytes(method.kv_bytes),
        Change(static_cast<double>(full.kv_bytes), static_cast<double>(method.kv_bytes), "smaller",
               "larger"));
    if (comparison_.IsJudged()) {
      Row("right answers", fmt::format("{} of {}", full.NumRight(), num_questions),
          fmt::format("{} of {}", method.NumRight(), num_questions), "");
    }
    for (size_t i = 0; i < comparison_.questions.size(); ++i) {
      text_ += "\n  " + Printable(comparison_.questions[i].question) + "\n";
      const std::string& expected = comparison_.questions[i].expected;
      if (!expected.empty()) Answer("expected", expected, "");
      for (const ComparedMethod* compared : {&full, &method}) {
        Answer(compared->name, compared->answers[i].text,
               expected.empty() ? "" : Mark(compared->answers[i]));
      }
    }
    return std::move(text_);
  }

 private:
  static constexpr std::string_view kBold = "\x1b[1m";
  static constexpr std::string_view kFaint = "\x1b[2m";
  static constexpr std::string_view kGreen = "\x1b[32m";
  static constexpr std::string_view kYellow = "\x1b[33m";
  static constexpr std::string_view kRed = "\x1b[31m";

  std::string Paint(const std::string& text, std::string_view code) const {
    return colour_ && !text.empty() ? std::string(code) + text + "\x1b[0m" : text;
  }

  static std::string Printable(std::string_view text) {
    std::string printable(text);
    std::replace_if(
        printable.begin(), printable.end(),
        [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, ' ');
    return printable;
  }

  std::string Change(double full, double method, std::string_view better,
                     std::string_view worse) const {
    return Paint(HumanChange(full, method, better, worse), method <= full ? kGreen : kRed);
  }

  void Row(std::string_view name, const std::string& full, const std::string& method,
           const std::string& change) {
    text_ += fmt::format("  {:{}}{:>{}}{}", name, kNameWidth, full, kColumnWidth,
                         Paint(fmt::format("{:>{}}", method, kColumnWidth), kBold));
    if (!change.empty()) text_ += "   " + change;
    text_ += "\n";
  }

  std::string Mark(const GivenAnswer& answer) const {
    if (answer.is_right()) return Paint("right", kGreen);
    return answer.score > 0 ? Paint("partly right", kYellow) : Paint("wrong", kRed);
  }

  void Answer(std::string_view name, std::string_view answer, const std::string& mark) {
    const std::string shown = answer.empty() ? "(nothing)" : Printable(answer);
    text_ += fmt::format("    {:14}{}{}{}\n", name, shown, mark.empty() ? "" : "  ", mark);
  }

  const MethodComparison& comparison_;
  const bool colour_;
  std::string text_;
};

}  // namespace

std::string ComparisonTable(const MethodComparison& comparison, bool colour) {
  return TableWriter(comparison, colour).Write();
}

bool StandardOutputTakesColour() {
  const char* no_color = std::getenv("NO_COLOR");
  return (no_color == nullptr || *no_color == '\0') && isatty(STDOUT_FILENO) != 0;
}

}  // namespace fastkv
