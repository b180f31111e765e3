#include "fastkv/bench_output.h"

#include <fmt/format.h>

#include "eval/human_format.h"

namespace fastkv {
namespace {

Json SpreadJson(const std::optional<Spread>& spread) {
  if (!spread.has_value()) return nullptr;
  Json json;
  json["median"] = spread->median;
  json["min"] = spread->min;
  json["max"] = spread->max;
  return json;
}

Json NumberJson(const std::optional<double>& number) {
  return number.has_value() ? Json(*number) : Json(nullptr);
}

Json RateJson(double rate) { return rate > 0 ? Json(rate) : Json(nullptr); }

Json CeilingJson(const std::optional<DeviceCeilings>& ceiling) {
  if (!ceiling.has_value()) return nullptr;
  Json json;
  json["matrix_flops_per_s"] = RateJson(ceiling->matrix_flops_per_s);
  json["read_bytes_per_s"] = RateJson(ceiling->read_bytes_per_s);
  json["copy_bytes_per_s"] = RateJson(ceiling->copy_bytes_per_s);
  json["attention_flops_per_s"] = RateJson(ceiling->attention_flops_per_s);
  json["matrix_dtype"] = std::string(DTypeName(ceiling->matrix_type));
  return json;
}

Json OperationJson(const std::string& name, int64_t calls, double ms) {
  Json json;
  json["operation"] = name;
  json["calls"] = calls;
  json["ms"] = ms;
  return json;
}

constexpr char kOther[] = "not in operations";

Json BreakdownJson(const std::optional<PassBreakdown>& breakdown) {
  if (!breakdown.has_value()) return nullptr;
  Json json;
  json["total_ms"] = breakdown->total_ms;
  json["steps"] = breakdown->steps;
  json["operations"] = Json::array();
  for (const OperationTime& time : breakdown->operations) {
    json["operations"].push_back(OperationJson(time.operation, time.calls, time.ms));
  }
  json["operations"].push_back(OperationJson(kOther, 0, breakdown->other_ms));
  return json;
}

std::string DecodeLabel(const SpeedRow& row) {
  std::string label = fmt::format("tg{}@d{}", row.new_tokens, row.context);
  if (row.batch > 1) label += fmt::format(" b{}", row.batch);
  return label;
}

std::string ShareText(const std::optional<double>& share) {
  return share.has_value() ? HumanPercent(*share) : "-";
}

std::string TimesText(const std::optional<double>& factor) {
  return factor.has_value() ? HumanTimes(*factor) : "-";
}

std::string RateText(double rate) {
  return rate < 1000 ? fmt::format("{:.1f}", rate) : HumanCount(static_cast<int64_t>(rate + 0.5));
}

std::string SpreadText(const Spread& ms) {
  return fmt::format("{} ({} to {})", HumanDuration(ms.median), HumanDuration(ms.min),
                     HumanDuration(ms.max));
}

// Text that may hold two-byte characters, filled up on the left.
std::string Right(const std::string& text, size_t width) {
  size_t columns = 0;
  for (const char c : text) columns += (static_cast<unsigned char>(c) & 0xc0) != 0x80 ? 1 : 0;
  return columns < width ? std::string(width - columns, ' ') + text : text;
}

std::string BreakdownText(const std::string& title, const PassBreakdown& breakdown) {
  const auto steps = static_cast<double>(breakdown.steps);
  std::string text =
      fmt::format("    {:30}{}\n", title, Right(HumanDuration(breakdown.total_ms / steps), 12));
  const auto line = [&](const std::string& name, double ms, const std::string& calls) {
    text += fmt::format("      {:28}{}{}{}\n", name, Right(HumanDuration(ms / steps), 12),
                        Right(HumanPercent(ms / breakdown.total_ms), 9), calls);
  };
  for (const OperationTime& time : breakdown.operations) {
    line(time.operation, time.ms,
         Right(HumanCount(time.calls / breakdown.steps), 8) +
             (time.calls / breakdown.steps == 1 ? " call" : " calls"));
  }
  line(kOther, breakdown.other_ms, "");
  return text;
}

// One level of nesting becomes part of the name; arrays and deeper levels are left out.
std::vector<std::pair<std::string, Json>> Flat(const Json& row) {
  std::vector<std::pair<std::string, Json>> fields;
  for (const auto& [name, value] : row.items()) {
    if (!value.is_object()) {
      fields.emplace_back(name, value);
      continue;
    }
    for (const auto& [inner, number] : value.items()) {
      if (number.is_primitive()) fields.emplace_back(name + "_" + inner, number);
    }
  }
  return fields;
}

std::string CsvField(const Json& value) {
  if (value.is_null()) return "";
  if (!value.is_string()) return DumpJson(value);
  std::string quoted = "\"";
  for (const char c : value.get_ref<const std::string&>()) {
    quoted += c;
    if (c == '"') quoted += c;
  }
  return quoted + "\"";
}

}  // namespace

Json SpeedRowJson(const SpeedRow& row) {
  const auto if_ok = [&](Json value) { return row.ok() ? value : Json(nullptr); };
  Json json;
  json["method"] = row.method;
  json["context"] = row.context;
  json["batch"] = row.batch;
  json["new_tokens"] = row.new_tokens;
  json["repeat"] = row.repeat;
  json["test_prefill"] = fmt::format("pp{}", row.context);
  json["test_decode"] = DecodeLabel(row);
  json["prefill_ms"] = if_ok(SpreadJson(row.prefill_ms));
  json["prefill_tokens_per_s"] = if_ok(SpreadJson(row.PrefillTokensPerSecond()));
  json["decode_ms_per_token"] = if_ok(SpreadJson(row.decode_ms_per_token));
  json["decode_tokens_per_s"] = if_ok(SpreadJson(row.DecodeTokensPerSecond()));
  json["kv_bytes"] = if_ok(row.kv_bytes);
  json["full_kv_bytes"] = row.full_kv_bytes;
  json["peak_bytes"] = if_ok(row.peak_bytes);
  json["speedup_prefill"] = NumberJson(row.speedup_prefill);
  json["speedup_decode"] = NumberJson(row.speedup_decode);
  json["predicted_speedup_prefill"] = row.predicted_speedup_prefill;
  json["predicted_flops"] = row.predicted_flops;
  json["predicted_decode_bytes"] = row.predicted_decode_bytes;
  json["ceiling"] = CeilingJson(row.ceiling);
  Json share;
  share["prefill"] = NumberJson(row.PrefillShare());
  share["decode"] = NumberJson(row.DecodeShare());
  json["ceiling_share"] = std::move(share);
  if (row.prefill_breakdown.has_value()) {
    Json breakdown;
    breakdown["prefill"] = BreakdownJson(row.prefill_breakdown);
    breakdown["decode"] = BreakdownJson(row.decode_breakdown);
    json["breakdown"] = std::move(breakdown);
  }
  if (!row.ok()) json["error"] = row.error;
  return json;
}

std::string SpeedTable(const SpeedReport& report) {
  std::string text = fmt::format("\n  {}\n  {}\n\n", report.model, report.machine);
  text += fmt::format(
      "  {:>9}  {:20}{:>11}{:>10}{:>9}{:>10}{:>10}  {:>11}{:>10}{:>9}{:>10}  {:>10}{:>9}{:>10}\n",
      "context", "method", "prefill", "tokens/s", "speedup", "foreseen", "ceiling", "decode",
      "tokens/s", "speedup", "ceiling", "KV held", "of full", "peak");
  for (const SpeedRow& row : report.rows) {
    text += fmt::format("  {:>9}  {:20}", HumanCount(row.context), row.method);
    if (!row.ok()) {
      text += "  " + row.error + "\n";
      continue;
    }
    text += Right(HumanDuration(row.prefill_ms.median), 11) +
            Right(RateText(row.PrefillTokensPerSecond().median), 10) +
            Right(TimesText(row.speedup_prefill), 9) +
            Right(HumanTimes(row.predicted_speedup_prefill), 10) +
            Right(ShareText(row.PrefillShare()), 10) + "  ";
    if (row.decode_ms_per_token.has_value()) {
      text += Right(HumanDuration(row.decode_ms_per_token->median), 11) +
              Right(RateText(row.DecodeTokensPerSecond()->median), 10);
    } else {
      text += Right("-", 11) + Right("-", 10);
    }
    text += Right(TimesText(row.speedup_decode), 9) + Right(ShareText(row.DecodeShare()), 10) +
            "  " + Right(HumanBytes(row.kv_bytes), 10) +
            Right(HumanPercent(static_cast<double>(row.kv_bytes) /
                               static_cast<double>(row.full_kv_bytes)),
                  9) +
            Right(HumanBytes(row.peak_bytes), 10) + "\n";
  }
  for (const SpeedRow& row : report.rows) {
    if (!row.prefill_breakdown.has_value()) continue;
    text += fmt::format("\n  Where the time goes: {} at {}\n", row.method, HumanCount(row.context));
    text += BreakdownText("prefill", *row.prefill_breakdown);
    if (row.decode_breakdown.has_value()) {
      text += BreakdownText("one decoding step", *row.decode_breakdown);
    }
  }
  return text;
}

std::string SpeedMarkdown(const SpeedReport& report) {
  std::string text = fmt::format(
      "{}; {}\n\n| method | test | time (least to greatest) | t/s | speed-up | foreseen | of "
      "ceiling "
      "| KV held | peak |\n| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
      report.model, report.machine);
  for (const SpeedRow& row : report.rows) {
    if (!row.ok()) {
      text += fmt::format("| {} | pp{} | {} | | | | | | |\n", row.method, row.context, row.error);
      continue;
    }
    text += fmt::format(
        "| {} | pp{} | {} | {} | {} | {} | {} | {} | {} |\n", row.method, row.context,
        SpreadText(row.prefill_ms), RateText(row.PrefillTokensPerSecond().median),
        TimesText(row.speedup_prefill), HumanTimes(row.predicted_speedup_prefill),
        ShareText(row.PrefillShare()), HumanBytes(row.kv_bytes), HumanBytes(row.peak_bytes));
    if (!row.decode_ms_per_token.has_value()) continue;
    text += fmt::format("| {} | {} | {} | {} | {} | | {} | | |\n", row.method, DecodeLabel(row),
                        SpreadText(*row.decode_ms_per_token),
                        RateText(row.DecodeTokensPerSecond()->median),
                        TimesText(row.speedup_decode), ShareText(row.DecodeShare()));
  }
  return text;
}

std::string SpeedCsv(const SpeedReport& report) {
  // A row that was measured has every field; one that failed lacks parts of them.
  const SpeedRow measured{.decode_ms_per_token = Spread{}, .ceiling = DeviceCeilings{}};
  std::vector<std::string> names;
  for (const auto& [name, value] : Flat(SpeedRowJson(measured))) names.push_back(name);
  names.emplace_back("error");
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ",") + name;
  text += '\n';
  for (const SpeedRow& row : report.rows) {
    const auto fields = Flat(SpeedRowJson(row));
    for (size_t i = 0; i < names.size(); ++i) {
      if (i > 0) text += ',';
      for (const auto& [name, value] : fields) {
        if (name == names[i]) text += CsvField(value);
      }
    }
    text += '\n';
  }
  return text;
}

}  // namespace fastkv
