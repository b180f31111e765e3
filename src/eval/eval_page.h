// The page of an evaluation: one self-contained HTML file, no script, no network, light and dark,
// for a screen of any width and for paper.
#ifndef FASTKV_EVAL_EVAL_PAGE_H_
#define FASTKV_EVAL_EVAL_PAGE_H_

#include <span>
#include <string>

#include "eval/eval_manifest.h"
#include "eval/eval_record.h"
#include "eval/eval_summary.h"

namespace fastkv {

// Tables of scores, scores against KV memory and against prefill operations, maps of length and
// depth where samples have one, and single samples with what each run answered. Below 1 MB: of many
// samples those that the runs answered differently come first. Everything is escaped.
std::string RenderEvalPage(const EvalManifest& manifest, const EvalSummary& summary,
                           std::span<const EvalRecord> records);

}  // namespace fastkv

#endif  // FASTKV_EVAL_EVAL_PAGE_H_
