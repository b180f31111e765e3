// A loaded model on a device, ready for sessions. Start here to use fastkv as a library:
//
//   auto engine = Engine::Load(RealFileSystem(), {.model_path = "models/needle-16m"}, nullptr);
//   Session session(**engine);
//   session.Prefill({.ids = ids, .method = {.name = "fastkv"}});
//   session.Decode({.max_new_tokens = 64, ...});
#ifndef FASTKV_ENGINE_ENGINE_H_
#define FASTKV_ENGINE_ENGINE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "backend/backend.h"
#include "base/clock.h"
#include "base/status.h"
#include "io/file.h"
#include "method/method_config.h"
#include "model/decoder_model.h"
#include "model/generation_config.h"
#include "model/model_profile.h"
#include "model/weight_source.h"
#include "text/tokenizer.h"

namespace fastkv {

struct EngineOptions {
  std::string model_path;       // a Hugging Face folder or a GGUF file
  std::string device = "auto";  // auto, cpu, reference, cuda or cuda:N
  int num_threads = 0;          // CPU threads; 0: as many as there are cores to use
  ComputeType compute_type = ComputeType::kAuto;
  WeightType weight_type = WeightType::kAuto;
  KvType kv_type = KvType::kAuto;
  bool bf16_rope = false;  // RopeConfig::round_to_bf16
  // ModelConfig::sliding_window of every layer, for files that have lost it; 0: all tokens.
  std::optional<int64_t> sliding_window_tokens;
  std::string profile_path;     // the model's profile; empty: the one beside the model, if any
  bool ignore_profile = false;  // look at no profile, so that a damaged one stops nothing
  Allocator* allocator =
      nullptr;                   // host memory; nullptr: SystemAllocator(); must outlive the engine
  const Clock* clock = nullptr;  // nullptr: SystemClock(); must outlive the engine
};

// The back end that `options.device` names; auto takes the first CUDA device that works, else the
// CPU. Errors: kInvalidArgument (unknown name), kUnsupported (a type that the device lacks), and
// those of the back ends.
Result<std::unique_ptr<Backend>> CreateBackend(const EngineOptions& options);

// Immutable after loading, but its back end serves one thread at a time: run one session's call at
// a time.
class Engine {
 public:
  // `on_layer(done, total)` reports loading and may be null. Errors: those of reading the folder,
  // of the back end and of memory.
  static Result<std::unique_ptr<Engine>> Load(
      FileSystem& files, const EngineOptions& options,
      const std::function<void(int64_t done, int64_t total)>& on_layer);
  // An engine without a folder: `source` gives the weights of `config`. There is no tokenizer, and
  // options.model_path is a name for reports. Errors: those of the source, of the back end and of
  // memory.
  static Result<std::unique_ptr<Engine>> FromWeights(
      const ModelConfig& config, std::unique_ptr<WeightSource> source, const EngineOptions& options,
      const std::function<void(int64_t done, int64_t total)>& on_layer);
  ~Engine();

  Backend& backend() const { return *backend_; }
  const DecoderModel& model() const { return *model_; }
  const ModelConfig& config() const { return model_->config(); }
  const GenerationConfig& generation_config() const;
  const Clock& clock() const { return *clock_; }
  const std::string& model_path() const { return model_path_; }
  // The last part of the path.
  std::string model_name() const;
  // The TSP layer of a method that names none, and where it comes from.
  const DefaultTspLayer& default_tsp_layer() const { return default_tsp_layer_; }
  // `method` with what it leaves to the model filled in.
  MethodConfig WithModelDefaults(MethodConfig method) const;
  // Device memory that the weights take, from allocations; mapped weights count nothing.
  int64_t weight_memory_bytes() const { return weight_memory_bytes_; }

  // The folder's tokenizer. Errors: why it could not be loaded (a folder may lack one; prompts are
  // then token ids).
  Result<const Tokenizer*> tokenizer() const;

  // kIo when a weight file was changed or truncated while in use: results since then cannot be
  // trusted.
  Status CheckWeightsIntact() const;

 private:
  struct Weights;
  Engine();
  static Result<std::unique_ptr<Engine>> LoadUnguarded(
      FileSystem& files, const EngineOptions& options,
      const std::function<void(int64_t done, int64_t total)>& on_layer);
  static Result<std::unique_ptr<Engine>> FromWeightsUnguarded(
      const ModelConfig& config, std::unique_ptr<WeightSource> source, const EngineOptions& options,
      const std::function<void(int64_t done, int64_t total)>& on_layer);
  // Everything but the tokenizer. REQUIRES: backend_ is made.
  Status LoadModel(ModelConfig config, GenerationConfig generation,
                   std::unique_ptr<WeightSource> source, const EngineOptions& options,
                   const std::function<void(int64_t done, int64_t total)>& on_layer);

  std::string model_path_;
  const Clock* clock_;
  // Declared so that the model goes before the mappings and the back end that it points into.
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Weights> weights_;
  std::unique_ptr<DecoderModel> model_;
  std::unique_ptr<Tokenizer> tokenizer_;
  Status tokenizer_status_;
  DefaultTspLayer default_tsp_layer_;
  int64_t weight_memory_bytes_ = 0;
};

}  // namespace fastkv

#endif  // FASTKV_ENGINE_ENGINE_H_
