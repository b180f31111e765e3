// The sizes that methods and caches are told, from a model's configuration: they do not know
// models.
#ifndef FASTKV_ENGINE_MODEL_SHAPE_H_
#define FASTKV_ENGINE_MODEL_SHAPE_H_

#include "backend/backend.h"
#include "kv/layer_kv.h"
#include "method/method_config.h"
#include "model/model_config.h"

namespace fastkv {

inline ModelShape ShapeOf(const ModelConfig& config) {
  return {.num_layers = config.num_layers,
          .num_q_heads = config.num_q_heads,
          .num_kv_heads = config.num_kv_heads,
          .head_dim = config.head_dim};
}

inline KvGeometry KvGeometryOf(const ModelConfig& config, const ComputeTypes& types) {
  return {.num_layers = config.num_layers,
          .num_kv_heads = config.num_kv_heads,
          .head_dim = config.head_dim,
          .dtype = types.kv,
          .int8_frozen = types.has_int8_kv()};
}

}  // namespace fastkv

#endif  // FASTKV_ENGINE_MODEL_SHAPE_H_
