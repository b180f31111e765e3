// A model in a GGUF file, or in several that are its parts. Everything is checked against
// everything else before a model is made from it.
#ifndef FASTKV_MODEL_GGUF_MODEL_H_
#define FASTKV_MODEL_GGUF_MODEL_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "io/file.h"
#include "io/gguf.h"
#include "model/generation_config.h"
#include "model/model_config.h"

namespace fastkv {

struct GgufModel {
  ModelConfig config;
  GenerationConfig generation;
  GgufFiles files;  // holds every tensor of ExpectedTensors(config), in its shape, and no others

  // `path` is the file or one of its parts. Errors: those of GgufFiles::Open and of
  // ModelConfigFromGguf; kFormat (a tensor missing or of another shape), kUnsupported (a tensor
  // that such a model does not have); messages name the path.
  static Result<GgufModel> Load(FileSystem& files, const std::string& path);
};

// What a file says about itself, for people.
struct GgufDescription {
  // Those of name, size, license and so on that the file gives: what it is, and the text.
  std::vector<std::pair<std::string, std::string>> labels;
  std::string file_type;  // what most of the file is in, as it says: "Q4_1"; may be empty
  std::vector<std::pair<std::string, int64_t>> tensors_by_type;  // how many, the most first
  uint64_t size_bytes = 0;                                       // of all tensors
  std::vector<std::string> warnings;  // what was lost when the file was made
};

GgufDescription DescribeGguf(const GgufModel& model);

}  // namespace fastkv

#endif  // FASTKV_MODEL_GGUF_MODEL_H_
