// The tokens on their way through the layers of a prefill: hidden states, original positions and
// the rotary table that belongs to them. At a cut some of them stay behind.
#ifndef FASTKV_ENGINE_TOKEN_STREAM_H_
#define FASTKV_ENGINE_TOKEN_STREAM_H_

#include <cstdint>
#include <span>
#include <vector>

#include "backend/backend.h"
#include "base/status.h"
#include "model/decoder_model.h"
#include "tensor/buffer.h"

namespace fastkv {

// Move-only. Back end and model must outlive it.
class TokenStream {
 public:
  // For prompts of up to `prompt_tokens`, and cuts after each of which at most `cut_tokens` are
  // left. Errors: kMemory.
  static Result<TokenStream> Allocate(Backend& backend, const DecoderModel& model,
                                      int64_t prompt_tokens, int64_t cut_tokens);
  // What one token takes.
  static int64_t TokenBytes(const ModelConfig& config);

  // Starts (again) with the embeddings of `ids` at positions 0, 1, ... Errors: kMemory, kDevice.
  Status Embed(std::span<const int32_t> ids);

  // Goes on with the tokens `indices` (device, ascending) of the present ones. `final`: no cut
  // comes after this one, and memory for the longer stream is given back. Errors: kDevice.
  Status Keep(const int32_t* indices, int64_t count, bool final);

  // Starts (again) with the tokens `indices` (device, ascending) of `other`, which keeps them.
  // REQUIRES: room for them. Errors: kDevice.
  Status CopyFrom(const TokenStream& other, const int32_t* indices, int64_t count);

  int64_t num_tokens() const { return num_tokens_; }
  TensorView Hidden() const;         // [num_tokens, hidden_size], f32
  TensorView CosSin() const;         // [num_tokens, head_dim], f32
  const int32_t* positions() const;  // device: [num_tokens]
  // Host copy of the positions after a cut; empty as long as they are 0, 1, ...
  std::span<const int32_t> host_positions() const { return host_positions_; }

 private:
  struct Columns {
    Buffer hidden;
    Buffer positions;
    Buffer cos_sin;
  };
  TokenStream(Backend& backend, const DecoderModel& model) : backend_(&backend), model_(&model) {}
  Result<Columns> AllocateColumns(int64_t tokens) const;
  // Copies tokens `indices` of the `num_tokens` in `from`.
  void Gather(const Columns& from, int64_t num_tokens, const int32_t* indices, int64_t count,
              const Columns& to) const;

  Backend* backend_;
  const DecoderModel* model_;
  int64_t num_tokens_ = 0;
  Columns now_;
  Columns next_;  // where the next cut goes
  std::vector<int32_t> host_positions_;
};

}  // namespace fastkv

#endif  // FASTKV_ENGINE_TOKEN_STREAM_H_
