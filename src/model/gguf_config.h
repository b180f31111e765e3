// What a GGUF file's metadata says about a model, checked and with defaults filled in.
#ifndef FASTKV_MODEL_GGUF_CONFIG_H_
#define FASTKV_MODEL_GGUF_CONFIG_H_

#include "base/status.h"
#include "io/gguf.h"
#include "model/generation_config.h"
#include "model/model_config.h"

namespace fastkv {

// For the architectures llama (with Mistral and SmolLM), qwen2 and qwen3. What has no key is told
// from the tensors: biases, a head of its own, the divisors of the rotary frequencies. Messages
// name the key or tensor. Errors: kFormat; kUnsupported (another architecture, no language model at
// all, mixture of experts, other kinds of rotary embedding).
Result<ModelConfig> ModelConfigFromGguf(const GgufFiles& files);

// The sampling that the author recommends (general.sampling.*), and every id that ends an answer:
// those that the file names and the control tokens that are known to. Errors: kFormat.
Result<GenerationConfig> GenerationConfigFromGguf(const GgufMetadata& metadata,
                                                  const ModelConfig& model);

}  // namespace fastkv

#endif  // FASTKV_MODEL_GGUF_CONFIG_H_
