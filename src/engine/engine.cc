#include "engine/engine.h"

#include <algorithm>
#include <utility>

#include "base/memory_guard.h"
#include "base/parallel_for.h"
#include "model/open_model.h"

namespace fastkv {

struct Engine::Weights {
  GenerationConfig generation;
  std::unique_ptr<WeightSource> source;
};

Engine::Engine() = default;
Engine::~Engine() = default;

Result<std::unique_ptr<Engine>> Engine::Load(
    FileSystem& files, const EngineOptions& options,
    const std::function<void(int64_t done, int64_t total)>& on_layer) {
  return WithMemoryErrors("loading the model",
                          [&] { return LoadUnguarded(files, options, on_layer); });
}

Result<std::unique_ptr<Engine>> Engine::FromWeights(
    const ModelConfig& config, std::unique_ptr<WeightSource> source, const EngineOptions& options,
    const std::function<void(int64_t done, int64_t total)>& on_layer) {
  return WithMemoryErrors("making the model", [&] {
    return FromWeightsUnguarded(config, std::move(source), options, on_layer);
  });
}

Result<std::unique_ptr<Engine>> Engine::LoadUnguarded(
    FileSystem& files, const EngineOptions& options,
    const std::function<void(int64_t done, int64_t total)>& on_layer) {
  std::unique_ptr<Engine> engine(new Engine);
  Allocator& host_allocator = options.allocator != nullptr ? *options.allocator : SystemAllocator();
  const int num_threads = options.num_threads > 0 ? options.num_threads : DefaultNumThreads();
  FASTKV_ASSIGN_OR_RETURN(OpenedModel opened,
                          OpenModel(files, options.model_path, num_threads, host_allocator));
  engine->default_tsp_layer_ = TspLayerWithoutProfile(opened.config);
  if (!options.ignore_profile) {
    FASTKV_ASSIGN_OR_RETURN(
        engine->default_tsp_layer_,
        FindDefaultTspLayer(files, options.model_path, options.profile_path, opened.config));
  }
  if (options.sliding_window_tokens) {
    std::fill(opened.config.sliding_window.begin(), opened.config.sliding_window.end(),
              *options.sliding_window_tokens);
  }
  FASTKV_ASSIGN_OR_RETURN(engine->backend_, CreateBackend(options));
  FASTKV_RETURN_IF_ERROR(engine->LoadModel(std::move(opened.config), std::move(opened.generation),
                                           std::move(opened.weights), options, on_layer));
  Result<std::unique_ptr<Tokenizer>> tokenizer = Tokenizer::Load(files, options.model_path);
  if (tokenizer.ok()) {
    engine->tokenizer_ = std::move(tokenizer).value();
  } else {
    engine->tokenizer_status_ = tokenizer.status();
  }
  return engine;
}

Result<std::unique_ptr<Engine>> Engine::FromWeightsUnguarded(
    const ModelConfig& config, std::unique_ptr<WeightSource> source, const EngineOptions& options,
    const std::function<void(int64_t done, int64_t total)>& on_layer) {
  std::unique_ptr<Engine> engine(new Engine);
  engine->default_tsp_layer_ = TspLayerWithoutProfile(config);
  FASTKV_ASSIGN_OR_RETURN(engine->backend_, CreateBackend(options));
  FASTKV_RETURN_IF_ERROR(engine->LoadModel(config, DefaultGenerationConfig(config),
                                           std::move(source), options, on_layer));
  engine->tokenizer_status_ =
      NotFoundError("a model made from a configuration alone has no tokenizer; give token ids");
  return engine;
}

Status Engine::LoadModel(ModelConfig config, GenerationConfig generation,
                         std::unique_ptr<WeightSource> source, const EngineOptions& options,
                         const std::function<void(int64_t done, int64_t total)>& on_layer) {
  model_path_ = options.model_path;
  clock_ = options.clock != nullptr ? options.clock : &SystemClock();
  config.rope.round_to_bf16 = options.bf16_rope;
  weights_ = std::make_unique<Weights>(Weights{std::move(generation), std::move(source)});
  FASTKV_ASSIGN_OR_RETURN(model_,
                          DecoderModel::Load(*backend_, config, *weights_->source, on_layer));
  FASTKV_RETURN_IF_ERROR(CheckWeightsIntact());
  weight_memory_bytes_ = backend_->allocator().held_bytes();
  return OkStatus();
}

const GenerationConfig& Engine::generation_config() const { return weights_->generation; }

Result<const Tokenizer*> Engine::tokenizer() const {
  if (tokenizer_ == nullptr) return tokenizer_status_;
  return tokenizer_.get();
}

std::string Engine::model_name() const {
  const size_t end = model_path_.find_last_not_of('/') + 1;
  const std::string path = model_path_.substr(0, end);
  return path.substr(path.rfind('/') + 1);
}

MethodConfig Engine::WithModelDefaults(MethodConfig method) const {
  if (!method.tsp_layer && config().num_layers > 1) method.tsp_layer = default_tsp_layer_.layer;
  return method;
}

Status Engine::CheckWeightsIntact() const { return weights_->source->CheckUndamaged(); }

}  // namespace fastkv
