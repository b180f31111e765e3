#include "fastkv/model_flags.h"

#include <charconv>
#include <cstdlib>
#include <vector>

#include "base/limits.h"
#include "fastkv/progress_bar.h"
#include "io/quoted.h"

namespace fastkv {
namespace {

// Where published tools keep downloaded models, in their order of precedence.
std::vector<std::string> HuggingFaceCacheFolders() {
  std::vector<std::string> folders;
  const auto add = [&](const char* variable, const char* below) {
    const char* value = std::getenv(variable);
    if (value != nullptr && *value != '\0') folders.push_back(value + std::string(below));
  };
  add("HF_HUB_CACHE", "");
  add("HUGGINGFACE_HUB_CACHE", "");
  add("HF_HOME", "/hub");
  add("XDG_CACHE_HOME", "/huggingface/hub");
  add("HOME", "/.cache/huggingface/hub");
  return folders;
}

// The snapshot of `org/name` that refs/main points to in one cache folder, or nothing.
std::optional<std::string> FindInCache(FileSystem& files, const std::string& cache,
                                       const std::string& name) {
  std::string folder = cache + "/models--" + name;
  folder.replace(folder.rfind('/'), 1, "--");
  const Result<std::string> revision = files.ReadFile(folder + "/refs/main", 4096);
  if (!revision.ok()) return std::nullopt;
  std::string text = *revision;
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  if (text.empty() || text.find('/') != std::string::npos) return std::nullopt;
  return folder + "/snapshots/" + text;
}

Result<std::string> DefaultModelPath(FileSystem& files) {
  const Result<std::string> program = files.RealPath("/proc/self/exe");
  std::vector<std::string> places;
  if (program.ok()) {
    const std::string folder = program->substr(0, program->rfind('/'));
    places.push_back(folder + "/../models/needle-16m");
  }
  places.push_back("models/needle-16m");
  std::string looked_at;
  for (const std::string& place : places) {
    const Result<bool> there = files.IsDirectory(place);
    if (there.ok() && *there) return place;
    looked_at += (looked_at.empty() ? "" : ", ") + place;
  }
  return NotFoundError("no model given and the built-in one is not in " + looked_at +
                       "; give a model folder with --model");
}

std::string Joined(const std::vector<std::string>& names) {
  std::string joined;
  for (const std::string& name : names) joined += (joined.empty() ? "" : ", ") + name;
  return joined;
}

bool LooksLikeHubName(const std::string& model) {
  const size_t slash = model.find('/');
  return slash != std::string::npos && slash > 0 && slash + 1 < model.size() &&
         model.find('/', slash + 1) == std::string::npos && model[0] != '.';
}

Result<int64_t> ParseLayer(const std::string& text) {
  int64_t layer = 0;
  const char* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, layer);
  if (parsed.ec == std::errc() && parsed.ptr == end) return layer;
  return InvalidArgumentError("--tsp-layer: expected a layer's number or auto, got " +
                              Quoted(text));
}

}  // namespace

void AddModelFlags(CLI::App& command, ModelFlags& flags) {
  command.add_option("-m,--model", flags.model,
                     "Model folder, GGUF file, or org/name in the local Hugging Face cache "
                     "[default: the built-in needle model]");
  command.add_option("--device", flags.device, "auto, cpu, cuda or cuda:N")->capture_default_str();
  command
      .add_option("-t,--threads", flags.num_threads, "CPU threads [default: one per physical core]")
      ->check(CLI::Range(1, 1024));
  command
      .add_option("--dtype", flags.dtype, "Arithmetic of the matrix products: auto, f32 or bf16")
      ->capture_default_str()
      ->check(CLI::IsMember({"auto", "f32", "bf16"}));
  command
      .add_option("--weights", flags.weights,
                  "Weights of the matrix products: auto (as in the files), or int8 (rounded while "
                  "loading; CPU only)")
      ->capture_default_str()
      ->check(CLI::IsMember({"auto", "int8"}));
  command
      .add_option("--kv-dtype,--kv-cache-dtype", flags.kv_dtype,
                  "Keys and values that are kept of the prompt: auto (as computed), f32 or bf16 "
                  "(which --dtype must give), or int8 (rounded once they are kept; CPU only)")
      ->capture_default_str()
      ->check(CLI::IsMember({"auto", "f32", "bf16", "int8"}));
  command
      .add_option("--rope-dtype", flags.rope_dtype,
                  "Precision of the rotary frequencies: f32, or bf16 as in a model that was cast "
                  "to bfloat16 as a whole")
      ->capture_default_str()
      ->check(CLI::IsMember({"f32", "bf16"}));
  command
      .add_option(
          "--sliding-window", flags.sliding_window_tokens,
          "Tokens that each token attends to, itself included, or 0 for all; for GGUF files "
          "of models whose window the conversion lost [default: what the model says]")
      ->check(CLI::Range(int64_t{0}, limits::kMaxContextTokens));
  command.add_option("--profile", flags.profile,
                     "The model's profile, as fastkv calibrate writes it "
                     "[default: fastkv.json beside the model, if any]");
}

void AddMethodFlags(CLI::App& command, MethodFlags& flags) {
  command.add_option("--method", flags.method, "Compression method: " + Joined(MethodNames()))
      ->capture_default_str();
  command.add_option("--kv-rate", flags.kv_rate,
                     "Share of the prompt's KV entries that is KEPT per layer and KV head "
                     "[default: 0.1]");
  command.add_option("--kv-tokens", flags.kv_tokens,
                     "Entries kept per layer and KV head, instead of a share");
  command.add_option("--compression-ratio", flags.compression_ratio,
                     "Share of KV entries that is REMOVED; the same as --kv-rate 1-R");
  command.add_option(
      "--tsp-rate", flags.tsp_rate,
      "Share of the tokens that goes on after the TSP layer [default: 0.2; peakkv: 0.05]");
  command.add_option("--tsp-tokens", flags.tsp_tokens,
                     "Tokens that go on after the TSP layer, instead of a share");
  command.add_option(
      "--tsp-layer", flags.tsp_layer,
      "Layer (from 0) after which only selected tokens go on, or auto: where the prompt lets it "
      "(rule asl); given for a method that only drops entries, it does so there too [default: the "
      "model's profile, else half the layers less one]");
  AddPropagationFlags(command, flags.propagation);
  command
      .add_option(
          "--retention", flags.retention,
          "With --method fastkv, which entries each layer keeps: " + Joined(RetentionNames()))
      ->capture_default_str();
  command.add_option("--window", flags.window,
                     "Observation window in tokens [default: 8; adakv alone and rule asl: 32]");
  command.add_option("--kernel", flags.kernel, "Pooling width, odd [default: 7; peakkv: 31]");
  command
      .add_option("--pooling", flags.pooling,
                  "Pooling: max or avg [default: max; avg for the rules asl and claa]")
      ->check(CLI::IsMember({"max", "avg"}));
  command.add_option("--sinks", flags.sinks, "First tokens kept: streamingllm, expected-attention")
      ->capture_default_str();
  command.add_option("--filter-layer", flags.filter_layer,
                     "Layer (from 0) that chooses the tokens: gemfilter [default: the TSP layer]");
  command
      .add_option("--recent-ratio", flags.recent_ratio,
                  "Share of the prompt's end that is never dropped: pyramidinfer")
      ->capture_default_str();
  command
      .add_option("--decay-ratio", flags.decay_ratio,
                  "What the falling share of tokens tends to: pyramidinfer")
      ->capture_default_str();
  command.add_flag("--no-decode-eviction", flags.no_decode_eviction,
                   "Keep every generated token's entries: pyramidinfer");
  command
      .add_option("--pyramid-beta", flags.pyramid_beta,
                  "How steeply the budget falls with depth: pyramidkv")
      ->capture_default_str();
  command
      .add_option("--adakv-alpha", flags.adakv_alpha,
                  "Share of the budget that each head has for sure: adakv")
      ->capture_default_str();
  command
      .add_option("--future-positions", flags.future_positions,
                  "Positions that coming queries are averaged over: expected-attention")
      ->capture_default_str();
  command
      .add_option("--protect-first", flags.protect_first,
                  "First tokens of the prompt that are kept and sent through every layer")
      ->capture_default_str();
  command.add_option("--protect-last", flags.protect_last, "Last tokens, likewise")
      ->capture_default_str();
  command.add_flag("--require-method", flags.require_method,
                   "Fail where the method drops nothing, as with a prompt below its budget");
}

Result<MethodConfig> MethodConfigOf(const MethodFlags& flags) {
  const int kv_flags = static_cast<int>(flags.kv_rate.has_value()) +
                       static_cast<int>(flags.kv_tokens.has_value()) +
                       static_cast<int>(flags.compression_ratio.has_value());
  if (kv_flags > 1) {
    return InvalidArgumentError(
        "--kv-rate, --kv-tokens and --compression-ratio say the same thing; give one of them");
  }
  if (flags.tsp_rate.has_value() && flags.tsp_tokens.has_value()) {
    return InvalidArgumentError("--tsp-rate and --tsp-tokens say the same thing; give one of them");
  }
  MethodConfig config;
  config.name = flags.method;
  if (flags.kv_rate.has_value()) config.kv = Budget::Rate(*flags.kv_rate);
  if (flags.kv_tokens.has_value()) config.kv = Budget::Tokens(*flags.kv_tokens);
  if (flags.compression_ratio.has_value()) {
    config.kv = Budget::Rate(1 - *flags.compression_ratio);
  }
  if (flags.tsp_rate.has_value()) config.tsp = Budget::Rate(*flags.tsp_rate);
  if (flags.tsp_tokens.has_value()) config.tsp = Budget::Tokens(*flags.tsp_tokens);
  const bool is_auto = flags.tsp_layer == "auto";
  if (flags.tsp_layer && !is_auto) {
    FASTKV_ASSIGN_OR_RETURN(config.tsp_layer, ParseLayer(*flags.tsp_layer));
  }
  FASTKV_ASSIGN_OR_RETURN(config.propagation, PropagationConfigOf(flags.propagation, is_auto));
  config.propagate =
      flags.tsp_layer || flags.propagation.rule || config.propagation.rule != "fastkv";
  config.retention = flags.retention;
  config.window = flags.window;
  config.kernel = flags.kernel;
  if (flags.pooling) {
    config.pooling = *flags.pooling == "max" ? PoolingKind::kMax : PoolingKind::kAverage;
  }
  config.sinks = flags.sinks;
  config.filter_layer = flags.filter_layer;
  config.recent_ratio = flags.recent_ratio;
  config.decay_ratio = flags.decay_ratio;
  config.decode_eviction = !flags.no_decode_eviction;
  config.pyramid_beta = flags.pyramid_beta;
  config.adakv_alpha = flags.adakv_alpha;
  config.future_positions = flags.future_positions;
  config.protect_first = flags.protect_first;
  config.protect_last = flags.protect_last;
  return config;
}

Result<std::string> ResolveModelPath(FileSystem& files, const std::string& model) {
  if (model.empty()) return DefaultModelPath(files);
  FASTKV_ASSIGN_OR_RETURN(const bool exists, files.Exists(model));
  if (exists) return model;
  if (!LooksLikeHubName(model)) {
    return NotFoundError(
        "no model at '" + model +
        "'; give a folder with config.json, *.safetensors and tokenizer.json, or a "
        "GGUF file");
  }
  std::string looked_at = model;
  for (const std::string& cache : HuggingFaceCacheFolders()) {
    const std::optional<std::string> snapshot = FindInCache(files, cache, model);
    if (snapshot.has_value()) return *snapshot;
    looked_at += ", " + cache;
  }
  return NotFoundError("no model '" + model + "' in " + looked_at +
                       "; download it first, or give a folder");
}

EngineOptions EngineOptionsOf(const ModelFlags& flags) {
  EngineOptions options;
  options.device = flags.device;
  options.num_threads = flags.num_threads;
  options.compute_type = flags.dtype == "f32"    ? ComputeType::kF32
                         : flags.dtype == "bf16" ? ComputeType::kBF16
                                                 : ComputeType::kAuto;
  options.weight_type = flags.weights == "int8" ? WeightType::kInt8 : WeightType::kAuto;
  options.kv_type = flags.kv_dtype == "f32"    ? KvType::kF32
                    : flags.kv_dtype == "bf16" ? KvType::kBF16
                    : flags.kv_dtype == "int8" ? KvType::kInt8
                                               : KvType::kAuto;
  options.sliding_window_tokens = flags.sliding_window_tokens;
  options.bf16_rope = flags.rope_dtype == "bf16";
  options.profile_path = flags.profile;
  options.ignore_profile = flags.ignore_profile;
  return options;
}

Result<std::unique_ptr<Engine>> LoadEngine(const ModelFlags& flags, bool quiet) {
  FileSystem& files = RealFileSystem();
  EngineOptions options = EngineOptionsOf(flags);
  FASTKV_ASSIGN_OR_RETURN(options.model_path, ResolveModelPath(files, flags.model));
  ProgressBar bar("loading", quiet);
  return Engine::Load(files, options, [&](int64_t done, int64_t total) {
    bar.Show(static_cast<double>(done) / static_cast<double>(total),
             "layer " + std::to_string(done) + "/" + std::to_string(total));
  });
}

}  // namespace fastkv
