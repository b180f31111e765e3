// Chinese word segmentation with the user's copy of the Python package jieba (0.42.1): its accurate
// mode with the hidden Markov model on, word for word.
#ifndef FASTKV_EVAL_SCORERS_JIEBA_SEGMENTER_H_
#define FASTKV_EVAL_SCORERS_JIEBA_SEGMENTER_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "eval/scorers/jieba_dictionary.h"
#include "eval/scorers/jieba_hmm.h"
#include "io/file.h"

namespace fastkv {

// Immutable; thread-safe.
class JiebaSegmenter {
 public:
  // `folder` is the package's: dict.txt, and finalseg/ with prob_start.py, prob_trans.py and
  // prob_emit.py. Errors: those of FileSystem; kFormat with file and line.
  static Result<std::unique_ptr<JiebaSegmenter>> Load(FileSystem& files, const std::string& folder);

  JiebaSegmenter(JiebaDictionary dictionary, JiebaHmm hmm)
      : dictionary_(std::move(dictionary)), hmm_(std::move(hmm)) {}

  // The words of jieba.cut(text); joined, they are the text. REQUIRES: valid UTF-8.
  std::vector<std::string> Segment(std::string_view text) const;

 private:
  void SegmentRun(std::u32string_view run, std::vector<std::string>& words) const;

  JiebaDictionary dictionary_;
  JiebaHmm hmm_;
};

}  // namespace fastkv

#endif  // FASTKV_EVAL_SCORERS_JIEBA_SEGMENTER_H_
