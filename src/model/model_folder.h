// A model folder as published on the Hugging Face hub: config.json, generation_config.json and
// weights in safetensors files. Everything is checked against everything else before a model is
// made from it.
#ifndef FASTKV_MODEL_MODEL_FOLDER_H_
#define FASTKV_MODEL_MODEL_FOLDER_H_

#include <string>

#include "base/status.h"
#include "io/file.h"
#include "io/safetensors.h"
#include "model/generation_config.h"
#include "model/model_config.h"

namespace fastkv {

struct ModelFolder {
  std::string path;
  ModelConfig config;
  GenerationConfig generation;
  SafetensorsModel weights;  // holds every tensor of ExpectedTensors(config), in its shape

  // Errors: kNotFound (no such folder, a file missing), kUnsupported (architecture, element type,
  // other kinds of model file), kFormat, kLimit, kIo; messages name the file and what to do.
  static Result<ModelFolder> Load(FileSystem& files, const std::string& path);
};

// config.json alone; for what needs no weights. Errors: as ModelFolder::Load.
Result<ModelConfig> ReadModelConfig(FileSystem& files, const std::string& path);

// Whether the weights hold what the configuration implies. Errors: kFormat (a tensor missing or of
// another shape), kUnsupported (an element type that fastkv does not compute with).
Status CheckTensors(const ModelConfig& config, const SafetensorsModel& weights);

// Reads all weights that the configuration needs, once. Errors: kNumeric, naming the first tensor
// with a NaN or infinite element; kIo when a file changed underneath.
Status CheckWeightsFinite(const ModelConfig& config, const SafetensorsModel& weights);

}  // namespace fastkv

#endif  // FASTKV_MODEL_MODEL_FOLDER_H_
