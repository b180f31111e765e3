#include "fastkv/inspect.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "engine/session.h"
#include "eval/human_format.h"
#include "fastkv/interrupt.h"
#include "fastkv/model_description.h"
#include "fastkv/progress_bar.h"
#include "io/json.h"

namespace fastkv {
namespace {

Result<std::vector<int32_t>> ReadIds(const std::string& path) {
  FASTKV_ASSIGN_OR_RETURN(const Json json,
                          ReadJsonFile(RealFileSystem(), path, limits::kMaxPromptFileBytes));
  if (!json.is_array()) {
    return FormatError(path + ": expected a JSON array of token ids, got " + json.type_name());
  }
  std::vector<int32_t> ids;
  ids.reserve(json.size());
  for (const Json& item : json) {
    if (!item.is_number_unsigned() || item.get<uint64_t>() > INT32_MAX) {
      return FormatError(path + ": element " + std::to_string(ids.size()) +
                         " is not a token id; expected an integer from 0 to 2147483647");
    }
    ids.push_back(static_cast<int32_t>(item.get<uint64_t>()));
  }
  return ids;
}

// Entries per KV head: one number where all heads agree, else an array.
Json LengthsJson(const std::vector<int64_t>& lengths) {
  const bool equal =
      std::adjacent_find(lengths.begin(), lengths.end(), std::not_equal_to<>()) == lengths.end();
  return equal ? Json(lengths[0]) : Json(lengths);
}

// What prefill made of each layer; to be called before decoding.
Result<Json> LayersJson(const Session& session, bool positions) {
  Json layers = Json::array();
  for (const LayerReport& report : session.prefill_report().layers) {
    Json layer;
    layer["tokens_in"] = report.tokens_in;
    layer["kv_len"] = LengthsJson(report.kv_len);
    if (positions) {
      Json heads = Json::array();
      for (size_t head = 0; head < report.kv_len.size(); ++head) {
        FASTKV_ASSIGN_OR_RETURN(
            const std::vector<int32_t> of_head,
            session.PositionsOf(static_cast<int64_t>(layers.size()), static_cast<int64_t>(head)));
        heads.push_back(of_head);
      }
      layer["kept"] = std::move(heads);
    }
    layers.push_back(std::move(layer));
  }
  return layers;
}

// Where tokens stayed behind, as it was decided in the end.
Json CutsJson(const PrefillPlan& plan) {
  Json cuts = Json::array();
  for (size_t i = 0; i < plan.layers.size(); ++i) {
    const LayerPlan& layer = plan.layers[i];
    if (!layer.cuts()) continue;
    Json cut;
    cut["layer"] = i;
    cut["before_mlp"] = layer.cut_point == CutPoint::kBeforeMlp;
    cut["tokens_in"] = layer.tokens_in;
    cut["tokens_out"] = layer.tokens_out;
    cuts.push_back(std::move(cut));
  }
  return cuts;
}

void AddLengthsAfterDecode(const Session& session, Json& layers) {
  for (size_t i = 0; i < layers.size(); ++i) {
    std::vector<int64_t> lengths;
    for (int64_t head = 0; head < session.cache().geometry().num_kv_heads; ++head) {
      lengths.push_back(session.cache().layer(static_cast<int64_t>(i)).FrozenLen(head) +
                        session.cache().tail_len());
    }
    layers[i]["kv_len_after_decode"] = LengthsJson(lengths);
  }
}

void PrintText(const Json& report, std::ostream& out) {
  out << fmt::format("prompt tokens   {}\n", report["prompt_tokens"].get<int64_t>());
  out << "output ids     ";
  for (const Json& id : report["output_ids"]) out << ' ' << id.get<int64_t>();
  out << fmt::format("\nKV memory       {}\n", HumanBytes(report["kv_bytes"].get<int64_t>()));
  out << fmt::format("prefill         {:.1f} ms\n", report["prefill_ms"].get<double>());
  out << fmt::format("decode          {:.2f} ms per token\n",
                     report["decode_ms_per_token"].get<double>());
  out << "layer  tokens in  kept per KV head\n";
  int64_t index = 0;
  for (const Json& layer : report["layers"]) {
    out << fmt::format("{:5}  {:9}  {}\n", index++, layer["tokens_in"].get<int64_t>(),
                       DumpJson(layer["kv_len"]));
  }
}

// What the model's file says about itself, without running it.
Status DescribeModelAlone(const InspectOptions& options, std::ostream& out) {
  FileSystem& files = RealFileSystem();
  FASTKV_ASSIGN_OR_RETURN(const std::string path, ResolveModelPath(files, options.model.model));
  FASTKV_ASSIGN_OR_RETURN(const std::optional<GgufDescription> description,
                          DescribeModelFile(files, path));
  if (!description) {
    return InvalidArgumentError(
        "--ids is required: give a file with a JSON array of token ids (a GGUF file alone can be "
        "described without)");
  }
  if (options.json) {
    Json report;
    report["model_file"] = DescriptionJson(*description);
    out << DumpJson(report) << '\n';
  } else {
    out << DescriptionText(*description);
  }
  return OkStatus();
}

}  // namespace

void AddInspectOptions(CLI::App& command, InspectOptions& options) {
  AddModelFlags(command, options.model);
  AddMethodFlags(command, options.method);
  command.add_option("--ids", options.ids_file,
                     "File with a JSON array of token ids; without it, what a GGUF file says about "
                     "itself");
  command.add_option("-n,--new-tokens", options.new_tokens, "Tokens to generate, greedily")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  command
      .add_option("--block-tokens", options.block_tokens,
                  "Prompt tokens worked on at a time [default: from the model's size]")
      ->check(CLI::NonNegativeNumber);
  command.add_flag("--no-positions", options.no_positions, "Leave out the kept positions");
  command.add_flag("--json", options.json, "Print one JSON object");
}

Status RunInspect(const InspectOptions& options, std::ostream& out) {
  if (options.ids_file.empty()) return DescribeModelAlone(options, out);
  CancelFlag cancel;
  const InterruptGuard interrupt(cancel);
  FASTKV_ASSIGN_OR_RETURN(const MethodConfig method, MethodConfigOf(options.method));
  FASTKV_ASSIGN_OR_RETURN(const std::vector<int32_t> ids, ReadIds(options.ids_file));
  FASTKV_ASSIGN_OR_RETURN(const std::string path,
                          ResolveModelPath(RealFileSystem(), options.model.model));
  FASTKV_ASSIGN_OR_RETURN(const std::optional<GgufDescription> description,
                          DescribeModelFile(RealFileSystem(), path));
  FASTKV_ASSIGN_OR_RETURN(const std::unique_ptr<Engine> engine,
                          LoadEngine(options.model, /*quiet=*/false));
  Session session(*engine);
  PrefillBar bar("prefill", /*quiet=*/false);
  FASTKV_RETURN_IF_ERROR(session.Prefill({.ids = ids,
                                          .method = method,
                                          .require_method = options.method.require_method,
                                          .options = {.block_tokens = options.block_tokens,
                                                      .score_prompt = method.name == "full",
                                                      .cancel = &cancel},
                                          .on_progress = [&](const PrefillProgress& progress) {
                                            bar.Show(progress, static_cast<int64_t>(ids.size()));
                                          }}));
  bar.Clear();
  FASTKV_ASSIGN_OR_RETURN(const std::vector<float> last_logits, session.LastLogits());
  FASTKV_ASSIGN_OR_RETURN(Json layers, LayersJson(session, !options.no_positions));
  FASTKV_ASSIGN_OR_RETURN(const DecodeReport decode,
                          session.Decode({.max_new_tokens = options.new_tokens,
                                          .end_ids = EndIdsOf(engine->generation_config()),
                                          .cancel = &cancel}));
  if (decode.finish_reason == FinishReason::kCancelled) return CancelledError("interrupted");

  const PrefillReport& prefill = session.prefill_report();
  Json report;
  report["prompt_tokens"] = ids.size();
  report["last_logits"] = last_logits;
  report["output_ids"] = decode.output_ids;
  report["mean_logprob_of_input"] =
      prefill.mean_logprob.has_value() ? Json(*prefill.mean_logprob) : Json(nullptr);
  AddLengthsAfterDecode(session, layers);
  report["layers"] = std::move(layers);
  report["propagated"] = prefill.propagated.has_value() ? Json(*prefill.propagated) : Json(nullptr);
  report["cuts"] = CutsJson(prefill.plan);
  report["kv_bytes"] = prefill.kv_bytes;
  report["prefill_ms"] = prefill.prefill_ms;
  report["decode_ms_per_token"] = decode.decode_ms_per_token;
  report["method"] = method.name;
  const bool propagates = method.name == "fastkv" || method.propagate;
  report["tsp_rule"] = propagates ? Json(method.propagation.rule) : Json(nullptr);
  report["tsp_layer_from"] =
      method.tsp_layer ? "flag" : TspLayerSourceName(engine->default_tsp_layer().source);
  report["peak_bytes"] = prefill.peak_bytes;
  if (description) report["model_file"] = DescriptionJson(*description);
  if (options.json) {
    out << DumpJson(report) << '\n';
  } else {
    if (description) out << DescriptionText(*description);
    PrintText(report, out);
  }
  return OkStatus();
}

}  // namespace fastkv
