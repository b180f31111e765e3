// A model as it lies on the disk, whatever the format: a Hugging Face folder or a GGUF file.
#ifndef FASTKV_MODEL_OPEN_MODEL_H_
#define FASTKV_MODEL_OPEN_MODEL_H_

#include <memory>
#include <string>

#include "base/allocator.h"
#include "base/status.h"
#include "io/file.h"
#include "model/generation_config.h"
#include "model/model_config.h"
#include "model/weight_source.h"

namespace fastkv {

struct OpenedModel {
  ModelConfig config;
  GenerationConfig generation;
  std::unique_ptr<WeightSource> weights;  // holds every tensor of ExpectedTensors(config)
};

// FindGgufFile says what counts as GGUF. The weights are mapped, not read; while they are handed
// out, up to `num_threads` threads work. `allocator` must outlive them. Errors: those of
// ModelFolder::Load and GgufModel::Load.
Result<OpenedModel> OpenModel(FileSystem& files, const std::string& path, int num_threads,
                              Allocator& allocator);

// Reads all weights that the configuration needs, once. Errors: kNumeric, naming the first tensor
// with an element that is NaN or infinite; kIo when a file changed underneath; those of the source.
Status CheckWeightsFinite(const ModelConfig& config, WeightSource& weights);

}  // namespace fastkv

#endif  // FASTKV_MODEL_OPEN_MODEL_H_
