// fastkv eval ruler --generate-only: RULER samples as a file, without running a model.
#ifndef FASTKV_APPS_FASTKV_EVAL_RULER_H_
#define FASTKV_APPS_FASTKV_EVAL_RULER_H_

#include <cstdint>
#include <string>

#include "base/status.h"

namespace fastkv {

struct RulerFileOptions {
  std::string model;  // as ResolveModelPath takes it; its tokenizer alone is used
  std::string task;
  int64_t length_tokens = 0;
  int64_t num_samples = 0;
  uint64_t seed = 0;
  std::string output_file;
};

// Writes the file in one step: it holds all samples, or is left as it was. Errors: those of
// RulerGenerator, of loading the tokenizer, and of the file system.
Status WriteRulerFile(const RulerFileOptions& options);

}  // namespace fastkv

#endif  // FASTKV_APPS_FASTKV_EVAL_RULER_H_
