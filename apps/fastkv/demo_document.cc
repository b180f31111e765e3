#include "fastkv/demo_document.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <sstream>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/session.h"
#include "fastkv/chat_prompt.h"
#include "fastkv/demo_run.h"
#include "fastkv/model_flags.h"
#include "fastkv/prompt_input.h"

namespace fastkv {
namespace {

constexpr std::string_view kParagraphEnd = "\n\n";

// The longest beginning of `text` of whole paragraphs and at most `max_tokens` tokens.
Result<std::string> CutAtParagraph(const Tokenizer& tokenizer, const std::string& text,
                                   int64_t max_tokens) {
  const EncodeOptions plain{.add_special_tokens = false, .parse_special = false};
  FASTKV_ASSIGN_OR_RETURN(const std::vector<int32_t> ids, tokenizer.Encode(text, plain));
  if (std::ssize(ids) <= max_tokens) return text;
  const std::string fitting =
      tokenizer.Decode(std::span(ids).first(static_cast<size_t>(max_tokens)));
  const size_t end = fitting.rfind(kParagraphEnd);
  if (end == fitting.npos || end == 0) {
    return LimitError(
        fmt::format("the document's first paragraph alone has more than {} tokens; give a document "
                    "of several paragraphs with --document",
                    max_tokens));
  }
  return fitting.substr(0, end);
}

// Answers stand in lines and cells.
std::string OneLine(std::string_view text) {
  std::string line;
  for (const char c : text) {
    const bool is_space = c == ' ' || c == '\n' || c == '\t' || c == '\r';
    if (!is_space) {
      line += c;
    } else if (!line.empty() && line.back() != ' ') {
      line += ' ';
    }
  }
  if (!line.empty() && line.back() == ' ') line.pop_back();
  return line;
}

struct DocumentRun {
  ComparedMethod result;
  PrefillPlan plan;
};

Result<DocumentRun> ReadAndAnswer(const Engine& engine, const Tokenizer& tokenizer,
                                  std::span<const int32_t> ids, const MethodConfig& method,
                                  const std::string& name, const DemoDocumentOptions& options) {
  Session session(engine);
  FASTKV_RETURN_IF_ERROR(session.Prefill({.ids = ids,
                                          .method = method,
                                          .options = {.cancel = options.cancel},
                                          .on_progress = [&](const PrefillProgress& progress) {
                                            if (options.on_progress)
                                              options.on_progress("document, " + name, progress,
                                                                  std::ssize(ids));
                                          }}));
  const PrefillReport& prefill = session.prefill_report();
  FASTKV_ASSIGN_OR_RETURN(const DecodeReport decode,
                          session.Decode({.max_new_tokens = options.max_answer_tokens,
                                          .sampling = {},
                                          .end_ids = EndIdsOf(engine.generation_config()),
                                          .cancel = options.cancel,
                                          .on_token = {}}));
  if (decode.finish_reason == FinishReason::kCancelled) return CancelledError("interrupted");
  std::string text = OneLine(tokenizer.Decode(decode.output_ids, /*skip_special=*/true));
  if (decode.finish_reason == FinishReason::kMaxNewTokens) text += " …";
  return DocumentRun{.result = {.name = name,
                                .first_token_ms = prefill.prefill_ms + decode.first_token_ms,
                                .decode_ms_per_token = decode.decode_ms_per_token,
                                .kv_bytes = prefill.kv_bytes,
                                .answers = {{.text = std::move(text), .score = 0}}},
                     .plan = prefill.plan};
}

}  // namespace

std::optional<std::string> FindDemoChatModel(FileSystem& files) {
  const Result<std::string> built_in = ResolveModelPath(files, "");
  if (!built_in.ok()) return std::nullopt;
  const std::string folder = built_in->substr(0, built_in->rfind('/'));
  Result<std::vector<std::string>> names = files.ListDirectory(folder);
  if (!names.ok()) return std::nullopt;
  std::sort(names->begin(), names->end());
  const auto found = std::find_if(names->begin(), names->end(), [](const std::string& name) {
    return name.starts_with("SmolLM2") && name.ends_with(".gguf");
  });
  if (found == names->end()) return std::nullopt;
  return JoinPath(folder, *found);
}

Result<DocumentSection> RunDemoDocument(FileSystem& files, const Engine& engine,
                                        const DemoDocumentOptions& options) {
  FASTKV_ASSIGN_OR_RETURN(const Tokenizer* tokenizer, engine.tokenizer());
  std::istringstream no_input;
  FASTKV_ASSIGN_OR_RETURN(const std::string document,
                          ReadPrompt(files, std::nullopt, {options.document}, no_input));
  FASTKV_ASSIGN_OR_RETURN(const std::string part,
                          CutAtParagraph(*tokenizer, document, options.max_document_tokens));
  FASTKV_ASSIGN_OR_RETURN(const ChatPrompt prompt,
                          EncodeChatPrompt(engine, *tokenizer, /*system=*/"",
                                           part + std::string(kParagraphEnd) + options.question));

  DocumentSection result;
  result.name = options.document.substr(options.document.rfind('/') + 1);
  result.is_cut = part.size() < document.size();
  MethodConfig full;
  full.name = "full";
  FASTKV_ASSIGN_OR_RETURN(DocumentRun baseline, ReadAndAnswer(engine, *tokenizer, prompt.ids, full,
                                                              "full context", options));
  const std::string method_name = DemoMethodName(options.method);
  FASTKV_ASSIGN_OR_RETURN(DocumentRun method, ReadAndAnswer(engine, *tokenizer, prompt.ids,
                                                            options.method, method_name, options));
  const BackendInfo& info = engine.backend().info();
  result.comparison = {.model = engine.model_name(),
                       .machine = info.name + ": " + info.description,
                       .prompt_tokens = std::ssize(prompt.ids),
                       .questions = {{.question = options.question, .expected = {}}},
                       .baseline = std::move(baseline.result),
                       .method = std::move(method.result)};
  result.method_text = DemoMethodText(method_name, method.plan);
  return result;
}

}  // namespace fastkv
