// RULER's question answering over numbered documents. RULER takes paragraphs and questions of SQuAD
// (qa_1) and HotpotQA (qa_2); ours are about houses and people that do not exist.
#ifndef FASTKV_EVAL_RULER_DOCUMENT_QA_H_
#define FASTKV_EVAL_RULER_DOCUMENT_QA_H_

#include <memory>

#include "eval/ruler/ruler_task.h"

namespace fastkv {

// With one hop a document names the answer: who built a house. With two it names a person, and
// another document what the question asks about that person. REQUIRES: num_hops is 1 or 2.
std::unique_ptr<RulerTask> CreateDocumentQaTask(int num_hops);

}  // namespace fastkv

#endif  // FASTKV_EVAL_RULER_DOCUMENT_QA_H_
