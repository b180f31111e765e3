#include "engine/engine.h"

#include <utility>

#include "base/memory_guard.h"
#include "model/folder_weights.h"
#include "model/model_folder.h"

namespace fastkv {

struct Engine::Weights {
  GenerationConfig generation;
  FolderWeights source;
};

Engine::Engine() = default;
Engine::~Engine() = default;

Result<std::unique_ptr<Engine>> Engine::Load(
    FileSystem& files, const EngineOptions& options,
    const std::function<void(int64_t done, int64_t total)>& on_layer) {
  return WithMemoryErrors("loading the model",
                          [&] { return LoadUnguarded(files, options, on_layer); });
}

Result<std::unique_ptr<Engine>> Engine::LoadUnguarded(
    FileSystem& files, const EngineOptions& options,
    const std::function<void(int64_t done, int64_t total)>& on_layer) {
  std::unique_ptr<Engine> engine(new Engine);
  engine->model_path_ = options.model_path;
  engine->clock_ = options.clock != nullptr ? options.clock : &SystemClock();
  FASTKV_ASSIGN_OR_RETURN(ModelFolder folder, ModelFolder::Load(files, options.model_path));
  folder.config.rope.round_to_bf16 = options.bf16_rope;
  engine->default_tsp_layer_ = TspLayerWithoutProfile(folder.config);
  if (!options.ignore_profile) {
    FASTKV_ASSIGN_OR_RETURN(
        engine->default_tsp_layer_,
        FindDefaultTspLayer(files, options.model_path, options.profile_path, folder.config));
  }
  FASTKV_ASSIGN_OR_RETURN(engine->backend_, CreateBackend(options));
  Allocator& host_allocator = options.allocator != nullptr ? *options.allocator : SystemAllocator();
  engine->weights_ = std::make_unique<Weights>(Weights{
      std::move(folder.generation), FolderWeights(std::move(folder.weights), host_allocator)});
  FASTKV_ASSIGN_OR_RETURN(engine->model_, DecoderModel::Load(*engine->backend_, folder.config,
                                                             engine->weights_->source, on_layer));
  FASTKV_RETURN_IF_ERROR(engine->CheckWeightsIntact());
  engine->weight_memory_bytes_ = engine->backend_->allocator().held_bytes();
  Result<std::unique_ptr<Tokenizer>> tokenizer = Tokenizer::Load(files, options.model_path);
  if (tokenizer.ok()) {
    engine->tokenizer_ = std::move(tokenizer).value();
  } else {
    engine->tokenizer_status_ = tokenizer.status();
  }
  return engine;
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

Status Engine::CheckWeightsIntact() const { return weights_->source.CheckUndamaged(); }

}  // namespace fastkv
