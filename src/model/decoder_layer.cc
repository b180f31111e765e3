#include "model/decoder_layer.h"

namespace fastkv {
namespace {

ConstTensorView VectorView(const Buffer& buffer) {
  if (buffer.data() == nullptr) return {};
  return buffer.View(DType::kF32, {buffer.num_bytes() / DTypeBytes(DType::kF32)});
}

// All rows at once, or each to the sequence that it belongs to.
void StoreRows(Backend& backend, const LayerBlock& block, const StoreQkvParams& params) {
  if (block.row_destinations.empty()) {
    backend.StoreQkv(params);
    return;
  }
  const int64_t num_tokens = params.qkv.dim(0);
  FASTKV_CHECK_EQ(block.row_destinations.size(), num_tokens);
  for (int64_t i = 0; i < num_tokens; ++i) {
    StoreQkvParams row = params;
    row.qkv = params.qkv.Rows(i, i + 1);
    row.cos_sin = params.cos_sin.Rows(i, i + 1);
    row.q = params.q.Rows(i, i + 1);
    row.keys = block.row_destinations[i].keys;
    row.values = block.row_destinations[i].values;
    backend.StoreQkv(row);
  }
}

float NormEpsilon(const DecoderModel& model) {
  return static_cast<float>(model.config().rms_norm_eps);
}

Status CheckCancelled(const CancelFlag* cancel) {
  if (cancel != nullptr && cancel->cancelled()) return CancelledError("cancelled");
  return OkStatus();
}

}  // namespace

Result<DecoderWorkspace> DecoderWorkspace::Allocate(Backend& backend, const ModelConfig& config,
                                                    int64_t max_tokens) {
  DecoderWorkspace workspace;
  workspace.config_ = config;
  workspace.activation_ = backend.types().activation;
  workspace.max_tokens_ = max_tokens;
  const int64_t row_bytes = max_tokens * DTypeBytes(workspace.activation_);
  const int64_t q_size = config.num_q_heads * config.head_dim;
  const int64_t kv_size = config.num_kv_heads * config.head_dim;
  struct Part {
    Buffer* buffer;
    int64_t columns;
  };
  const Part parts[] = {
      {&workspace.normed_, config.hidden_size},
      {&workspace.qkv_, q_size + 2 * kv_size},
      {&workspace.queries_, q_size},
      {&workspace.attention_, q_size},
      {&workspace.gate_up_, 2 * config.intermediate_size},
      {&workspace.mlp_, config.intermediate_size},
  };
  for (const Part& part : parts) {
    FASTKV_ASSIGN_OR_RETURN(*part.buffer,
                            backend.Allocate(row_bytes * part.columns, "activations of a block"));
  }
  return workspace;
}

int64_t DecoderWorkspace::NumBytes(const ComputeTypes& types, const ModelConfig& config,
                                   int64_t max_tokens) {
  const int64_t q_size = config.num_q_heads * config.head_dim;
  const int64_t kv_size = config.num_kv_heads * config.head_dim;
  const int64_t columns =
      config.hidden_size + 3 * q_size + 2 * kv_size + 3 * config.intermediate_size;
  return max_tokens * columns * DTypeBytes(types.activation);
}

TensorView DecoderWorkspace::Normed(int64_t num_tokens) const {
  return normed_.View(activation_, {num_tokens, config_.hidden_size});
}
TensorView DecoderWorkspace::Qkv(int64_t num_tokens) const {
  return qkv_.View(activation_, {num_tokens, (config_.num_q_heads + 2 * config_.num_kv_heads) *
                                                 config_.head_dim});
}
TensorView DecoderWorkspace::KeysValues(int64_t num_tokens) const {
  return qkv_.View(activation_, {num_tokens, 2 * config_.num_kv_heads * config_.head_dim});
}
TensorView DecoderWorkspace::Queries(int64_t num_tokens) const {
  return queries_.View(activation_, {num_tokens, config_.num_q_heads, config_.head_dim});
}
TensorView DecoderWorkspace::Attention(int64_t num_tokens) const {
  return attention_.View(activation_, {num_tokens, config_.num_q_heads * config_.head_dim});
}
TensorView DecoderWorkspace::GateUp(int64_t num_tokens) const {
  return gate_up_.View(activation_, {num_tokens, 2 * config_.intermediate_size});
}
TensorView DecoderWorkspace::Mlp(int64_t num_tokens) const {
  return mlp_.View(activation_, {num_tokens, config_.intermediate_size});
}

void ProjectQkv(Backend& backend, const DecoderModel& model, const DecoderWorkspace& workspace,
                const LayerBlock& block) {
  const LayerWeights& weights = model.layer(block.layer);
  const int64_t num_tokens = block.hidden.dim(0);
  FASTKV_CHECK_LE(num_tokens, workspace.max_tokens());
  const TensorView normed = workspace.Normed(num_tokens);
  backend.RmsNorm({.x = block.hidden,
                   .weight = VectorView(weights.attention_norm),
                   .epsilon = NormEpsilon(model),
                   .out = normed});
  backend.MatMul({.x = normed,
                  .weight = weights.qkv.get(),
                  .bias = VectorView(weights.qkv_bias),
                  .out = workspace.Qkv(num_tokens)});
}

void StoreProjection(Backend& backend, const DecoderModel& model, const DecoderWorkspace& workspace,
                     const LayerBlock& block) {
  const LayerWeights& weights = model.layer(block.layer);
  const int64_t num_tokens = block.hidden.dim(0);
  StoreRows(backend, block,
            {.qkv = workspace.Qkv(num_tokens),
             .q_norm_weight = VectorView(weights.q_norm),
             .k_norm_weight = VectorView(weights.k_norm),
             .norm_epsilon = NormEpsilon(model),
             .cos_sin = block.cos_sin,
             .q = workspace.Queries(num_tokens),
             .keys = block.keys,
             .values = block.values});
}

void AddAttention(Backend& backend, const DecoderModel& model, const DecoderWorkspace& workspace,
                  const LayerBlock& block) {
  const LayerWeights& weights = model.layer(block.layer);
  backend.MatMul({.x = workspace.Attention(block.hidden.dim(0)),
                  .weight = weights.output.get(),
                  .bias = VectorView(weights.output_bias),
                  .out = block.hidden,
                  .accumulate = true});
}

Status RunMlp(Backend& backend, const DecoderModel& model, const DecoderWorkspace& workspace,
              int64_t layer, TensorView hidden, const CancelFlag* cancel) {
  const LayerWeights& weights = model.layer(layer);
  const int64_t num_tokens = hidden.dim(0);
  const TensorView normed = workspace.Normed(num_tokens);
  const TensorView gate_up = workspace.GateUp(num_tokens);
  const TensorView mlp = workspace.Mlp(num_tokens);
  backend.RmsNorm({.x = hidden,
                   .weight = VectorView(weights.mlp_norm),
                   .epsilon = NormEpsilon(model),
                   .out = normed});
  backend.MatMul({.x = normed,
                  .weight = weights.gate_up.get(),
                  .bias = VectorView(weights.gate_up_bias),
                  .out = gate_up});
  FASTKV_RETURN_IF_ERROR(CheckCancelled(cancel));
  backend.SiluMultiply({.gate_up = gate_up, .out = mlp});
  backend.MatMul({.x = mlp,
                  .weight = weights.down.get(),
                  .bias = VectorView(weights.down_bias),
                  .out = hidden,
                  .accumulate = true});
  return OkStatus();
}

Status RunDecoderLayer(Backend& backend, const DecoderModel& model,
                       const DecoderWorkspace& workspace, const LayerBlock& block,
                       const AttendFunction& attend, const CancelFlag* cancel) {
  const int64_t num_tokens = block.hidden.dim(0);
  ProjectQkv(backend, model, workspace, block);
  StoreProjection(backend, model, workspace, block);
  FASTKV_RETURN_IF_ERROR(CheckCancelled(cancel));
  attend(workspace.Queries(num_tokens), workspace.Attention(num_tokens));
  FASTKV_RETURN_IF_ERROR(CheckCancelled(cancel));
  AddAttention(backend, model, workspace, block);
  return RunMlp(backend, model, workspace, block.layer, block.hidden, cancel);
}

void AddQueryMoments(Backend& backend, const DecoderModel& model, int64_t layer,
                     ConstTensorView qkv, TensorView sum, TensorView products) {
  backend.QueryMoments({.qkv = qkv,
                        .q_norm_weight = VectorView(model.layer(layer).q_norm),
                        .norm_epsilon = NormEpsilon(model),
                        .sum = sum,
                        .products = products});
}

void StoreLastLayerKeysValues(Backend& backend, const DecoderModel& model,
                              const DecoderWorkspace& workspace, const LayerBlock& block) {
  FASTKV_CHECK_EQ(block.layer, model.config().num_layers - 1);
  const LayerWeights& weights = model.layer(block.layer);
  const float epsilon = NormEpsilon(model);
  const int64_t num_tokens = block.hidden.dim(0);
  const TensorView normed = workspace.Normed(num_tokens);
  const TensorView keys_values = workspace.KeysValues(num_tokens);
  backend.RmsNorm({.x = block.hidden,
                   .weight = VectorView(weights.attention_norm),
                   .epsilon = epsilon,
                   .out = normed});
  backend.MatMul({.x = normed,
                  .weight = &model.last_layer_kv(),
                  .bias = model.LastLayerKvBias(),
                  .out = keys_values});
  backend.StoreQkv({.qkv = keys_values,
                    .k_norm_weight = VectorView(weights.k_norm),
                    .norm_epsilon = epsilon,
                    .cos_sin = block.cos_sin,
                    .keys = block.keys,
                    .values = block.values});
}

void RunHead(Backend& backend, const DecoderModel& model, const DecoderWorkspace& workspace,
             ConstTensorView hidden, TensorView logits) {
  const TensorView normed = workspace.Normed(hidden.dim(0));
  backend.RmsNorm(
      {.x = hidden, .weight = model.FinalNorm(), .epsilon = NormEpsilon(model), .out = normed});
  backend.MatMul({.x = normed, .weight = &model.head(), .out = logits});
}

}  // namespace fastkv
