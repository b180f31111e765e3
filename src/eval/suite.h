// A benchmark: which samples it has, what the model reads, and how an output is scored. To add one:
// a file beside needle_suite.cc, its two functions declared in suite_list.h, and a row in
// suite_registry.cc. From there it is known to `fastkv eval`.
#ifndef FASTKV_EVAL_SUITE_H_
#define FASTKV_EVAL_SUITE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "eval/scorers/jieba_segmenter.h"
#include "io/file.h"
#include "io/json.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace fastkv {

// Names a sample inside its suite; nothing else is needed to make it.
struct SampleKey {
  std::string task;
  int64_t length = 0;           // nominal prompt tokens; 0 where the data decides
  std::optional<double> depth;  // where the needle lies, in percent; set by niah alone
  int64_t index = 0;            // among the samples of the same task, length and depth

  bool operator==(const SampleKey&) const = default;
};

struct EvalSample {
  std::vector<int32_t> ids;  // the prompt, complete
  int64_t max_new_tokens = 0;
  bool needs_a_token = false;      // the first token is not one of the end ids
  std::vector<std::string> stops;  // the output ends before the first of these texts
  std::vector<int32_t> end_ids;    // empty: those of the model's generation configuration
  Json expected;                   // what the suite's scorer needs; written into the results
  std::string question;            // for people
  std::string excerpt;             // for people: the prompt around what the answer hangs on
  // The first ids that are the context alone, without the question about it; 0 unless the suite was
  // asked for it. They hang on this sample alone, never on its neighbours.
  int64_t context_tokens = 0;
  int64_t untruncated_tokens = 0;  // the prompt's length before it was cut to fit; 0: not cut
};

struct SuiteOptions {
  FileSystem* files = nullptr;                  // must outlive the suite
  const Tokenizer* tokenizer = nullptr;         // must outlive the suite
  const ChatTemplate* chat_template = nullptr;  // wraps the prompts where not null
  const JiebaSegmenter* segmenter = nullptr;    // cuts Chinese words, where a score needs them
  int64_t window_tokens = 0;                    // of the model
  std::string model_path;                       // some published limits go by it
  std::string profile;                          // empty: the suite's own choice
  std::string data_folder;                      // the user's copy of the data; empty: none given
  std::vector<std::string> tasks;               // empty: all
  std::vector<int64_t> lengths;                 // empty: the suite's own choice
  std::vector<double> depths;                   // in percent; empty: the suite's own choice
  int64_t num_samples = 0;  // for each task, length and depth; 0: the suite's own choice
  uint64_t seed = 0;
  bool share_context = false;         // samples say where their context ends
  int64_t questions_per_context = 1;  // asked about each generated context, where the suite can
};

// Immutable and thread-safe after construction.
class Suite {
 public:
  virtual ~Suite() = default;
  // Which of the published ways to build prompts and scores this is; no score is shown without it.
  virtual std::string_view profile() const = 0;
  // All that the samples hang on, data files by their hash. Two runs whose settings differ do not
  // mix.
  virtual Json Settings() const = 0;
  // The samples in the order in which they are run.
  virtual std::span<const SampleKey> keys() const = 0;
  // The same key gives the same sample on every machine. REQUIRES: one of keys(). Errors: what
  // keeps this one sample from being made.
  virtual Result<EvalSample> Make(const SampleKey& key) const = 0;
};

struct OutputToScore {
  std::string_view task;
  std::string_view profile;
  std::string_view output;
  const Json& expected;                       // EvalSample::expected
  const JiebaSegmenter* segmenter = nullptr;  // as SuiteOptions::segmenter
};

struct SuiteEntry {
  std::string_view name;
  std::string_view description;
  // Errors: kInvalidArgument (an unknown task, a length that cannot be made), and those of reading
  // the data.
  Result<std::unique_ptr<Suite>> (*create)(const SuiteOptions& options);
  // A pure function, 0 to 1. Errors: kFormat where `expected` is not what the suite writes.
  Result<double> (*score)(const OutputToScore& answer);
};

std::span<const SuiteEntry> RegisteredSuites();

// Errors: kInvalidArgument, with the known names.
Result<const SuiteEntry*> FindSuite(std::string_view name);

// Whether each of `asked` is one of `known`. Errors: kInvalidArgument, with the known names.
Status CheckTaskNames(std::span<const std::string> asked, std::span<const std::string_view> known);

// The seed of one sample, from the run's seed and the sample's name.
uint64_t SampleSeed(uint64_t seed, std::string_view name);

// `text` with what lies further than `margin_bytes` from all of `spans` left out, marked by " … ".
// Cuts between characters. Spans are [first, second) in bytes, within `text`.
std::string ExcerptAround(std::string_view text, std::vector<std::pair<size_t, size_t>> spans,
                          size_t margin_bytes);

}  // namespace fastkv

#endif  // FASTKV_EVAL_SUITE_H_
