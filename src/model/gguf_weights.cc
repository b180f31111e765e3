#include "model/gguf_weights.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <utility>
#include <vector>

#include "base/checked_math.h"
#include "base/parallel_for.h"
#include "io/quoted.h"
#include "tensor/block_formats.h"

namespace fastkv {
namespace {

constexpr std::string_view kLayerPrefix = "model.layers.";

struct Name {
  std::string_view transformers;
  std::string_view gguf;
};

constexpr std::array<Name, 3> kTopNames = {{
    {"model.embed_tokens.weight", "token_embd.weight"},
    {"model.norm.weight", "output_norm.weight"},
    {"lm_head.weight", "output.weight"},
}};

// Without ".weight" or ".bias".
constexpr std::array<Name, 11> kLayerNames = {{
    {"input_layernorm", "attn_norm"},
    {"self_attn.q_proj", "attn_q"},
    {"self_attn.k_proj", "attn_k"},
    {"self_attn.v_proj", "attn_v"},
    {"self_attn.o_proj", "attn_output"},
    {"self_attn.q_norm", "attn_q_norm"},
    {"self_attn.k_norm", "attn_k_norm"},
    {"post_attention_layernorm", "ffn_norm"},
    {"mlp.gate_proj", "ffn_gate"},
    {"mlp.up_proj", "ffn_up"},
    {"mlp.down_proj", "ffn_down"},
}};

std::string ShapeText(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

// Query and key projections, whose rows files of architecture llama reorder.
bool IsRotated(std::string_view name) {
  return name.find(".q_proj.") != std::string_view::npos ||
         name.find(".k_proj.") != std::string_view::npos;
}

}  // namespace

std::optional<std::string> GgufTensorName(std::string_view name) {
  for (const Name& top : kTopNames) {
    if (name == top.transformers) return std::string(top.gguf);
  }
  if (!name.starts_with(kLayerPrefix)) return std::nullopt;
  name.remove_prefix(kLayerPrefix.size());
  const size_t dot = name.find('.');
  const size_t last_dot = name.rfind('.');
  if (dot == std::string_view::npos || dot == last_dot) return std::nullopt;
  const std::string_view inner = name.substr(dot + 1, last_dot - dot - 1);
  for (const Name& layer : kLayerNames) {
    if (inner != layer.transformers) continue;
    return "blk." + std::string(name.substr(0, dot + 1)) + std::string(layer.gguf) +
           std::string(name.substr(last_dot));
  }
  return std::nullopt;
}

Status GgufWeights::BadFile(const std::string& what) const {
  return FormatError(files_.path() + ": " + what);
}

Result<const GgufFiles::Place*> GgufWeights::Find(const std::string& name,
                                                  std::initializer_list<int64_t> shape) const {
  const std::optional<std::string> gguf_name = GgufTensorName(name);
  const GgufFiles::Place* place = gguf_name ? files_.Find(*gguf_name) : nullptr;
  if (place == nullptr) {
    return BadFile("the file lacks the tensor " + Quoted(gguf_name.value_or(name)) +
                   ", which its metadata implies");
  }
  const std::vector<int64_t> expected(shape);
  if (place->tensor->shape != expected) {
    return BadFile("tensor " + Quoted(*gguf_name) + ": the metadata implies the shape " +
                   ShapeText(expected) + ", the file has " + ShapeText(place->tensor->shape));
  }
  return place;
}

Result<ConstTensorView> GgufWeights::Tensor(const std::string& name,
                                            std::initializer_list<int64_t> shape) {
  FASTKV_ASSIGN_OR_RETURN(const GgufFiles::Place* place, Find(name, shape));
  const StoredType type = place->tensor->type;
  if (!IsElementType(type)) {
    return BadFile("tensor " + Quoted(place->tensor->name) + ": expected F32, F16 or BF16, found " +
                   std::string(StoredTypeName(type)));
  }
  const int64_t num_rows = *shape.begin();
  const auto row_bytes = static_cast<int64_t>(place->tensor->size_bytes) / num_rows;
  FASTKV_ASSIGN_OR_RETURN(const std::byte* data, RowsInOrder(name, *place, num_rows, row_bytes));
  return ConstTensorView(data, ElementTypeOf(type), shape);
}

Result<WeightView> GgufWeights::Matrix(const std::string& name, int64_t num_rows,
                                       int64_t num_columns) {
  FASTKV_ASSIGN_OR_RETURN(const GgufFiles::Place* place, Find(name, {num_rows, num_columns}));
  FASTKV_RETURN_IF_ERROR(CheckScales(*place, num_rows, num_columns));
  const StoredType type = place->tensor->type;
  FASTKV_ASSIGN_OR_RETURN(const std::byte* data,
                          RowsInOrder(name, *place, num_rows, RowBytes(type, num_columns)));
  return PackedRows(data, type, num_rows, num_columns);
}

Result<const std::byte*> GgufWeights::RowsInOrder(const std::string& name,
                                                  const GgufFiles::Place& place, int64_t num_rows,
                                                  int64_t row_bytes) {
  if (config_.architecture != Architecture::kLlama || !IsRotated(name)) return place.data;
  const auto made = copies_.find(name);
  if (made != copies_.end()) return static_cast<const std::byte*>(made->second.data());
  FASTKV_ASSIGN_OR_RETURN(Buffer copy, Buffer::Allocate(allocator_, num_rows * row_bytes,
                                                        "a projection in the order of its heads"));
  auto* const rows = static_cast<std::byte*>(copy.data());
  // Of head h, row 2 i + s of the file is row s * head_dim / 2 + i of the model.
  const int64_t half = config_.head_dim / 2;
  for (int64_t row = 0; row < num_rows; ++row) {
    const int64_t head_start = row - row % config_.head_dim;
    const int64_t pair = row % config_.head_dim / 2;
    const int64_t target = head_start + row % 2 * half + pair;
    std::memcpy(rows + target * row_bytes, place.data + row * row_bytes,
                static_cast<size_t>(row_bytes));
  }
  copies_.emplace(name, std::move(copy));
  return rows;
}

Status GgufWeights::CheckScales(const GgufFiles::Place& place, int64_t num_rows,
                                int64_t num_columns) {
  const GgufTensor& tensor = *place.tensor;
  if (IsElementType(tensor.type) || checked_.contains(&tensor)) return OkStatus();
  constexpr int64_t kRowsPerTask = 256;
  const int64_t row_bytes = RowBytes(tensor.type, num_columns);
  std::atomic<int64_t> bad_row = num_rows;
  ParallelFor(num_threads_, CeilDivide(num_rows, kRowsPerTask), [&](int64_t task, int /*thread*/) {
    const int64_t end = std::min(num_rows, (task + 1) * kRowsPerTask);
    for (int64_t row = task * kRowsPerTask; row < end; ++row) {
      if (!HasNonFiniteScale(tensor.type, place.data + row * row_bytes, num_columns)) continue;
      int64_t known = bad_row.load();
      while (row < known && !bad_row.compare_exchange_weak(known, row)) {
      }
      return;
    }
  });
  if (bad_row.load() < num_rows) {
    return BadFile("tensor " + Quoted(tensor.name) + ": row " + std::to_string(bad_row.load()) +
                   " has a block whose scale is infinite or NaN; the file is damaged, fetch it "
                   "again");
  }
  checked_.insert(&tensor);
  return OkStatus();
}

}  // namespace fastkv
