// Any model as a GGUF file, written as the usual converter writes it.
#ifndef FASTKV_TESTS_ENGINE_GGUF_WRITER_H_
#define FASTKV_TESTS_ENGINE_GGUF_WRITER_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "io/gguf_bytes.h"
#include "model/gguf_weights.h"
#include "model/model_config.h"
#include "model/rope_frequencies.h"
#include "model/weight_source.h"
#include "tensor/stored_type.h"

namespace fastkv {

// The number of a type in tensor descriptions.
inline uint32_t GgufNumberOf(StoredType type) {
  switch (type) {
    case StoredType::kF32:
      return 0;
    case StoredType::kF16:
      return 1;
    case StoredType::kQ4_0:
      return 2;
    case StoredType::kQ4_1:
      return 3;
    case StoredType::kQ5_0:
      return 6;
    case StoredType::kQ5_1:
      return 7;
    case StoredType::kQ8_0:
      return 8;
    case StoredType::kQ2K:
      return 10;
    case StoredType::kQ3K:
      return 11;
    case StoredType::kQ4K:
      return 12;
    case StoredType::kQ5K:
      return 13;
    case StoredType::kQ6K:
      return 14;
    case StoredType::kIQ4NL:
      return 20;
    case StoredType::kIQ4XS:
      return 23;
    case StoredType::kBF16:
      return 30;
  }
  return UINT32_MAX;
}

// The rows of one projection in the order of files of architecture llama: of each head, those of
// pair i of the two halves stand side by side.
inline std::string RowsInPairs(const std::byte* rows, int64_t num_rows, int64_t row_bytes,
                               int64_t head_dim) {
  std::string reordered;
  for (int64_t head = 0; head < num_rows; head += head_dim) {
    for (int64_t i = 0; i < head_dim / 2; ++i) {
      for (int64_t s = 0; s < 2; ++s) {
        const std::byte* row = rows + (head + s * head_dim / 2 + i) * row_bytes;
        reordered.append(reinterpret_cast<const char*>(row), static_cast<size_t>(row_bytes));
      }
    }
  }
  return reordered;
}

inline void AddRopeKeys(const ModelConfig& config, const std::string& prefix, GgufBytes& bytes) {
  bytes.F32(prefix + "rope.freq_base", static_cast<float>(config.rope.theta));
  if (config.rope.kind == RopeKind::kYarn) {
    bytes.String(prefix + "rope.scaling.type", "yarn")
        .F32(prefix + "rope.scaling.factor", static_cast<float>(config.rope.factor))
        .U32(prefix + "rope.scaling.original_context_length",
             static_cast<uint32_t>(config.rope.original_max_position_embeddings));
  }
  if (config.rope.kind != RopeKind::kLlama3) return;
  RopeConfig unscaled = config.rope;
  unscaled.kind = RopeKind::kDefault;
  const std::vector<float> plain =
      ComputeRopeFrequencies(unscaled, config.head_dim).inverse_frequencies;
  const std::vector<float> scaled =
      ComputeRopeFrequencies(config.rope, config.head_dim).inverse_frequencies;
  std::string divisors;
  for (size_t i = 0; i < plain.size(); ++i) divisors += GgufBytes::Raw(plain[i] / scaled[i]);
  bytes.Tensor("rope_freqs.weight", {config.head_dim / 2}, 0, divisors);
}

// `with_window`: say the sliding window, which the usual converter does not.
inline std::string GgufOf(const ModelConfig& config, WeightSource& source,
                          bool with_window = true) {
  const bool is_llama =
      config.architecture == Architecture::kLlama || config.architecture == Architecture::kMistral;
  const std::string architecture = is_llama                                      ? "llama"
                                   : config.architecture == Architecture::kQwen2 ? "qwen2"
                                                                                 : "qwen3";
  const std::string prefix = architecture + ".";
  GgufBytes bytes;
  bytes.String("general.architecture", architecture).String("general.name", "test");
  const auto number = [&](const std::string& name, int64_t value) {
    bytes.U32(prefix + name, static_cast<uint32_t>(value));
  };
  number("block_count", config.num_layers);
  number("context_length", config.max_position_embeddings);
  number("embedding_length", config.hidden_size);
  number("feed_forward_length", config.intermediate_size);
  number("attention.head_count", config.num_q_heads);
  number("attention.head_count_kv", config.num_kv_heads);
  number("attention.key_length", config.head_dim);
  number("attention.value_length", config.head_dim);
  number("vocab_size", config.vocab_size);
  if (with_window && config.sliding_window[0] != 0) {
    number("attention.sliding_window", config.sliding_window[0]);
  }
  bytes.F32(prefix + "attention.layer_norm_rms_epsilon", static_cast<float>(config.rms_norm_eps));
  if (!config.eos_token_ids.empty()) {
    bytes.U32("tokenizer.ggml.eos_token_id", static_cast<uint32_t>(config.eos_token_ids[0]));
  }
  AddRopeKeys(config, prefix, bytes);
  for (const ExpectedTensor& tensor : ExpectedTensors(config)) {
    WeightView rows;
    if (tensor.shape.size() == 2) {
      rows = source.Matrix(tensor.name, tensor.shape[0], tensor.shape[1]).value();
    } else {
      const ConstTensorView vector = source.Tensor(tensor.name, {tensor.shape[0]}).value();
      rows = PackedRows(vector.data(), StoredTypeOf(vector.dtype()), tensor.shape[0], 1);
    }
    const bool is_rotated = tensor.name.find(".q_proj.") != std::string::npos ||
                            tensor.name.find(".k_proj.") != std::string::npos;
    const std::string data =
        is_llama && is_rotated
            ? RowsInPairs(rows.Row(0), rows.num_rows, rows.row_bytes, config.head_dim)
            : std::string(static_cast<const char*>(rows.data),
                          static_cast<size_t>(rows.num_rows * rows.row_bytes));
    bytes.Tensor(*GgufTensorName(tensor.name), tensor.shape, GgufNumberOf(rows.type), data);
  }
  return bytes.Build();
}

}  // namespace fastkv

#endif  // FASTKV_TESTS_ENGINE_GGUF_WRITER_H_
