#include "eval/eval_record.h"

#include <limits>

#include "io/content_hash.h"

namespace fastkv {
namespace {

// What stands before the checksum, which covers the line up to here.
constexpr std::string_view kCheckField = ",\"check\":\"";
constexpr std::string_view kLineClose = "\"}";
constexpr size_t kCheckDigits = 16;
constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
constexpr double kMaxNumber = std::numeric_limits<double>::max();

Json OrNull(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

// The part that the checksum covers. Errors: kFormat.
Result<std::string_view> CheckedPart(std::string_view line) {
  const size_t tail_bytes = kCheckField.size() + kCheckDigits + kLineClose.size();
  if (line.size() <= tail_bytes) return FormatError("it is too short for a result");
  const std::string_view checked = line.substr(0, line.size() - tail_bytes);
  const std::string tail =
      std::string(kCheckField) + HashText(ContentHash(checked)) + std::string(kLineClose);
  if (line.substr(checked.size()) != tail) return FormatError("its checksum does not fit");
  return checked;
}

Result<std::vector<int32_t>> IdsOf(const JsonFields& fields) {
  std::vector<int32_t> ids;
  const Json* list = fields.Find("output_ids");
  if (list == nullptr || !list->is_array()) return FormatError("output_ids: expected a list");
  for (const Json& id : *list) {
    if (!id.is_number_integer()) return FormatError("output_ids: expected integers");
    ids.push_back(id.get<int32_t>());
  }
  return ids;
}

}  // namespace

std::string RecordLine(const EvalRecord& record) {
  Json json;
  json["sample"] = record.sample;
  json["suite"] = record.suite;
  json["profile"] = record.profile;
  json["task"] = record.key.task;
  json["length"] = record.key.length;
  if (record.key.depth) json["depth"] = *record.key.depth;
  json["index"] = record.key.index;
  json["run"] = record.run;
  json["score"] = record.score ? Json(*record.score) : Json(nullptr);
  json["error"] = OrNull(record.error);
  json["output"] = record.output;
  json["expected"] = record.expected;
  json["question"] = record.question;
  json["excerpt"] = record.excerpt;
  json["output_ids"] = record.output_ids;
  json["finish"] = OrNull(record.finish);
  json["prompt_tokens"] = record.prompt_tokens;
  json["untruncated_tokens"] =
      record.untruncated_tokens > 0 ? Json(record.untruncated_tokens) : Json(nullptr);
  json["prompt_hash"] = record.prompt_hash;
  json["kv_bytes"] = record.kv_bytes;
  json["full_kv_bytes"] = record.full_kv_bytes;
  json["prefill_flops"] = record.prefill_flops;
  json["full_prefill_flops"] = record.full_prefill_flops;
  json["identity"] = record.identity;
  std::string line = DumpJson(json);
  line.pop_back();  // the checksum stands inside the object
  const std::string check = HashText(ContentHash(line));
  line.append(kCheckField).append(check).append(kLineClose);
  return line += '\n';
}

Result<EvalRecord> ParseRecord(std::string_view line) {
  FASTKV_RETURN_IF_ERROR(CheckedPart(line).status());
  FASTKV_ASSIGN_OR_RETURN(const Json json, ParseJson(line));
  FASTKV_ASSIGN_OR_RETURN(const JsonFields fields, JsonFields::Of(json, "result"));
  EvalRecord record;
  FASTKV_ASSIGN_OR_RETURN(record.sample, fields.Int("sample", 0, kMax));
  FASTKV_ASSIGN_OR_RETURN(record.suite, fields.String("suite"));
  FASTKV_ASSIGN_OR_RETURN(record.profile, fields.String("profile"));
  FASTKV_ASSIGN_OR_RETURN(record.key.task, fields.String("task"));
  FASTKV_ASSIGN_OR_RETURN(record.key.length, fields.Int("length", 0, kMax));
  if (fields.Has("depth")) {
    FASTKV_ASSIGN_OR_RETURN(record.key.depth, fields.Number("depth", 0, 100));
  }
  FASTKV_ASSIGN_OR_RETURN(record.key.index, fields.Int("index", 0, kMax));
  FASTKV_ASSIGN_OR_RETURN(record.run, fields.String("run"));
  if (fields.Has("score")) {
    FASTKV_ASSIGN_OR_RETURN(record.score, fields.Number("score", 0, 1));
  }
  FASTKV_ASSIGN_OR_RETURN(record.error, fields.StringOr("error", ""));
  FASTKV_ASSIGN_OR_RETURN(record.output, fields.String("output"));
  const Json* expected = fields.Find("expected");
  if (expected != nullptr) record.expected = *expected;
  FASTKV_ASSIGN_OR_RETURN(record.question, fields.String("question"));
  FASTKV_ASSIGN_OR_RETURN(record.excerpt, fields.String("excerpt"));
  FASTKV_ASSIGN_OR_RETURN(record.output_ids, IdsOf(fields));
  FASTKV_ASSIGN_OR_RETURN(record.finish, fields.StringOr("finish", ""));
  FASTKV_ASSIGN_OR_RETURN(record.prompt_tokens, fields.Int("prompt_tokens", 0, kMax));
  FASTKV_ASSIGN_OR_RETURN(record.untruncated_tokens,
                          fields.IntOr("untruncated_tokens", 0, 0, kMax));
  FASTKV_ASSIGN_OR_RETURN(record.prompt_hash, fields.String("prompt_hash"));
  FASTKV_ASSIGN_OR_RETURN(record.kv_bytes, fields.Int("kv_bytes", 0, kMax));
  FASTKV_ASSIGN_OR_RETURN(record.full_kv_bytes, fields.Int("full_kv_bytes", 0, kMax));
  FASTKV_ASSIGN_OR_RETURN(record.prefill_flops, fields.Number("prefill_flops", 0, kMaxNumber));
  FASTKV_ASSIGN_OR_RETURN(record.full_prefill_flops,
                          fields.Number("full_prefill_flops", 0, kMaxNumber));
  FASTKV_ASSIGN_OR_RETURN(record.identity, fields.String("identity"));
  return record;
}

}  // namespace fastkv
