// The sizes that methods are told, from a model's configuration: methods do not know models.
#ifndef FASTKV_ENGINE_MODEL_SHAPE_H_
#define FASTKV_ENGINE_MODEL_SHAPE_H_

#include "method/method_config.h"
#include "model/model_config.h"

namespace fastkv {

inline ModelShape ShapeOf(const ModelConfig& config) {
  return {.num_layers = config.num_layers,
          .num_q_heads = config.num_q_heads,
          .num_kv_heads = config.num_kv_heads,
          .head_dim = config.head_dim};
}

}  // namespace fastkv

#endif  // FASTKV_ENGINE_MODEL_SHAPE_H_
