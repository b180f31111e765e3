// One decoder layer over a block of tokens: the same forward serves prefill, decoding and later
// turns. What differs between them, where keys and values go and what the queries attend to, is
// passed in.
#ifndef FASTKV_MODEL_DECODER_LAYER_H_
#define FASTKV_MODEL_DECODER_LAYER_H_

#include <cstdint>
#include <functional>
#include <span>

#include "backend/backend.h"
#include "base/cancel.h"
#include "base/status.h"
#include "model/decoder_model.h"
#include "tensor/buffer.h"

namespace fastkv {

// Scratch for blocks of up to max_tokens tokens; reused from layer to layer.
class DecoderWorkspace {
 public:
  // Errors: kMemory.
  static Result<DecoderWorkspace> Allocate(Backend& backend, const ModelConfig& config,
                                           int64_t max_tokens);
  // What Allocate takes.
  static int64_t NumBytes(const ComputeTypes& types, const ModelConfig& config, int64_t max_tokens);

  int64_t max_tokens() const { return max_tokens_; }

  // Views for a block of num_tokens rows; all in the activation type.
  TensorView Normed(int64_t num_tokens) const;  // [num_tokens, hidden_size]
  TensorView Qkv(
      int64_t num_tokens) const;  // [num_tokens, (num_q_heads + 2 num_kv_heads) head_dim]
  TensorView KeysValues(
      int64_t num_tokens) const;  // [num_tokens, 2 num_kv_heads head_dim], in Qkv's memory
  TensorView Queries(int64_t num_tokens) const;    // [num_tokens, num_q_heads, head_dim]
  TensorView Attention(int64_t num_tokens) const;  // [num_tokens, num_q_heads head_dim]
  TensorView GateUp(int64_t num_tokens) const;     // [num_tokens, 2 intermediate_size]
  TensorView Mlp(int64_t num_tokens) const;        // [num_tokens, intermediate_size]

 private:
  ModelConfig config_;
  DType activation_ = DType::kF32;
  int64_t max_tokens_ = 0;
  Buffer normed_;
  Buffer qkv_;
  Buffer queries_;
  Buffer attention_;
  Buffer gate_up_;
  Buffer mlp_;
};

// Where the key and value of one token go: [num_kv_heads, 1, head_dim], kv.
struct KvDestination {
  TensorView keys;
  TensorView values;
};

struct LayerBlock {
  int64_t layer = 0;
  TensorView hidden;        // [num_tokens, hidden_size], f32; read and overwritten
  ConstTensorView cos_sin;  // [num_tokens, head_dim], f32
  TensorView keys;          // [num_kv_heads, num_tokens, head_dim], kv: where this block's keys go
  TensorView values;        // as keys
  // Instead of keys and values, where every row belongs to another sequence: [num_tokens].
  std::span<const KvDestination> row_destinations;
};

// Enqueues the attention of `q` [num_tokens, num_q_heads, head_dim] into `out`
// [num_tokens, num_q_heads * head_dim]; called once this block's keys and values are stored.
using AttendFunction = std::function<void(ConstTensorView q, TensorView out)>;

// One whole layer: the parts below, with `attend` between them. Errors: kCancelled, looked at
// between operations; `cancel` may be null.
Status RunDecoderLayer(Backend& backend, const DecoderModel& model,
                       const DecoderWorkspace& workspace, const LayerBlock& block,
                       const AttendFunction& attend, const CancelFlag* cancel);

// RunDecoderLayer in parts, for a caller that looks at what lies between them.
//
// Norm and the product with the q, k and v weights, into workspace.Qkv.
void ProjectQkv(Backend& backend, const DecoderModel& model, const DecoderWorkspace& workspace,
                const LayerBlock& block);
// From workspace.Qkv, queries into workspace.Queries, keys and values into the block's.
void StoreProjection(Backend& backend, const DecoderModel& model, const DecoderWorkspace& workspace,
                     const LayerBlock& block);
// Adds workspace.Attention, through the output weights, to block.hidden.
void AddAttention(Backend& backend, const DecoderModel& model, const DecoderWorkspace& workspace,
                  const LayerBlock& block);
// Adds the MLP of `hidden` [num_tokens, hidden_size], f32, to it. Errors: kCancelled.
Status RunMlp(Backend& backend, const DecoderModel& model, const DecoderWorkspace& workspace,
              int64_t layer, TensorView hidden, const CancelFlag* cancel);

// Adds the moments of the queries of `qkv`, rows of workspace.Qkv, to `sum` [num_q_heads, head_dim]
// and `products` [num_q_heads, head_dim, head_dim], f32: before rotary embedding, after their norm.
void AddQueryMoments(Backend& backend, const DecoderModel& model, int64_t layer,
                     ConstTensorView qkv, TensorView sum, TensorView products);

// Stores keys and values of the last layer for tokens whose output nobody needs. block.hidden is
// read only. REQUIRES: block.layer is the last layer.
void StoreLastLayerKeysValues(Backend& backend, const DecoderModel& model,
                              const DecoderWorkspace& workspace, const LayerBlock& block);

// logits [num_tokens, vocab_size], f32, from the last layer's output.
void RunHead(Backend& backend, const DecoderModel& model, const DecoderWorkspace& workspace,
             ConstTensorView hidden, TensorView logits);

}  // namespace fastkv

#endif  // FASTKV_MODEL_DECODER_LAYER_H_
