#include "fastkv/eval_ruler.h"

#include <memory>

#include "eval/needle_tasks.h"
#include "eval/ruler/ruler_generator.h"
#include "eval/suites/ruler_files.h"
#include "fastkv/model_flags.h"
#include "io/file.h"
#include "text/tokenizer.h"

namespace fastkv {

Status WriteRulerFile(const RulerFileOptions& options) {
  FASTKV_ASSIGN_OR_RETURN(const std::string folder,
                          ResolveModelPath(RealFileSystem(), options.model));
  FASTKV_ASSIGN_OR_RETURN(const std::unique_ptr<Tokenizer> tokenizer,
                          Tokenizer::Load(RealFileSystem(), folder));
  FASTKV_ASSIGN_OR_RETURN(RulerGenerator generator,
                          RulerGenerator::Create({.task = options.task,
                                                  .length_tokens = options.length_tokens,
                                                  .seed = options.seed,
                                                  .count_tokens = NeedleTokenCounter(*tokenizer)}));
  std::string lines;
  for (int64_t i = 0; i < options.num_samples; ++i) {
    FASTKV_ASSIGN_OR_RETURN(const RulerSample sample, generator.Next());
    lines += RulerJsonLine(sample);
  }
  return RealFileSystem().WriteFile(options.output_file, lines);
}

}  // namespace fastkv
