// The second act of `fastkv demo`: a chat model reads a document that every Debian machine has,
// with the full context and with a method, and answers a question about it.
#ifndef FASTKV_APPS_DEMO_DOCUMENT_H_
#define FASTKV_APPS_DEMO_DOCUMENT_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/cancel.h"
#include "base/status.h"
#include "engine/engine.h"
#include "engine/prefill.h"
#include "eval/selection_page.h"
#include "io/file.h"
#include "method/method_config.h"

namespace fastkv {

struct DemoDocumentOptions {
  MethodConfig method;
  std::string document;                // path of a UTF-8 text
  std::string question;                // asked behind the document
  int64_t max_document_tokens = 0;     // a longer document is cut at the end of a paragraph
  int64_t max_answer_tokens = 0;       // at least 1
  const CancelFlag* cancel = nullptr;  // may be null
  // `run` names what is being worked on ("document, FastKV"). May be null.
  std::function<void(const std::string& run, const PrefillProgress& progress,
                     int64_t prompt_tokens)>
      on_progress;
};

// The first SmolLM2*.gguf, by name, beside the built-in model; null where there is none.
std::optional<std::string> FindDemoChatModel(FileSystem& files);

// The document and the question are one user message in the model's chat template; answers are
// greedy and not judged. Errors: those of reading the document and of its being empty, of the chat
// template, of Prefill and of Decode; kLimit where even one paragraph does not fit; kCancelled.
Result<DocumentSection> RunDemoDocument(FileSystem& files, const Engine& engine,
                                        const DemoDocumentOptions& options);

}  // namespace fastkv

#endif  // FASTKV_APPS_DEMO_DOCUMENT_H_
