#include "fastkv/generate.h"

#include <fmt/format.h>

#include <utility>

#include "engine/session.h"
#include "eval/human_format.h"
#include "fastkv/answer_stream.h"
#include "fastkv/chat_prompt.h"
#include "fastkv/interrupt.h"
#include "fastkv/progress_bar.h"
#include "fastkv/prompt_input.h"
#include "io/json.h"

namespace fastkv {
namespace {

// Which tokens went through which layers.
std::string PropagationText(const PrefillPlan& plan) {
  if (!plan.selection_pass.empty()) {
    return fmt::format("{} tokens chosen in layer {} were read again",
                       HumanCount(plan.layers.front().tokens_in), plan.selection_pass.size() - 1);
  }
  const int64_t cut = plan.CutLayer();
  if (cut < 0) return "every token went through every layer";
  if (plan.falls_gradually) {
    return fmt::format("tokens fall from layer {} on, to {} in the last", cut,
                       HumanCount(plan.layers.back().tokens_in));
  }
  return fmt::format("{} tokens went on after layer {}", HumanCount(plan.layers[cut].tokens_out),
                     cut);
}

// The four lines after a run: first token, decode rate, KV memory, tokens propagated and kept.
std::string Summary(const PrefillReport& prefill, const DecodeReport& decode,
                    const std::string& method) {
  const PrefillPlan& plan = prefill.plan;
  std::string summary = fmt::format("first token  {} for {} prompt tokens\n",
                                    HumanDuration(prefill.prefill_ms + decode.first_token_ms),
                                    HumanCount(plan.prompt_tokens));
  summary += decode.decode_ms_per_token > 0
                 ? fmt::format("decode       {:.1f} tokens/s ({} a token)\n",
                               1000 / decode.decode_ms_per_token,
                               HumanDuration(decode.decode_ms_per_token))
                 : std::string("decode       one token, nothing to measure\n");
  summary += fmt::format("KV memory    {} held, {} of full\n", HumanBytes(prefill.kv_bytes),
                         HumanPercent(static_cast<double>(prefill.kv_bytes) /
                                      static_cast<double>(prefill.full_kv_bytes)));
  summary += fmt::format("{:<11}  {}; ", method, PropagationText(plan));
  if (method != "full" && !prefill.dropped_anything()) {
    return summary + "the budget holds the whole prompt, so that nothing was dropped\n";
  }
  summary +=
      fmt::format("entries kept per head: {} in the first layer, {} in the last\n",
                  HumanCount(plan.layers.front().kv_len), HumanCount(plan.layers.back().kv_len));
  return summary;
}

// The floor under a share of the tokens. Chat prompts of a line are common, and a tenth of one is
// less than the template's own words; who names a budget gets just that.
int64_t MinKvTokensOf(const GenerateOptions& options) {
  constexpr int64_t kMinChatTokens = 512;
  const MethodFlags& method = options.method;
  const bool names_budget = method.kv_rate || method.kv_tokens || method.compression_ratio;
  return options.min_kv_tokens.value_or(options.chat && !names_budget ? kMinChatTokens : 0);
}

// What each layer received and kept per KV head.
Json LayersJson(const PrefillReport& prefill) {
  Json layers = Json::array();
  for (const LayerReport& layer : prefill.layers) {
    layers.push_back({{"tokens_in", layer.tokens_in}, {"kv_len", layer.kv_len}});
  }
  return layers;
}

}  // namespace

void AddGenerateOptions(CLI::App& command, GenerateOptions& options) {
  AddModelFlags(command, options.model);
  AddMethodFlags(command, options.method);
  command.add_option("-p,--prompt", options.prompt, "The prompt, or - for standard input");
  command.add_option("-f,--file,--prompt-file", options.prompt_files,
                     "Read the prompt from a file, or - for standard input; may be repeated");
  command.add_flag("--chat", options.chat, "Wrap the prompt in the model's chat template");
  command.add_option("--system", options.system, "System message, with --chat");
  command.add_flag("--protect-system", options.protect_system,
                   "With --chat, keep all that stands before the user's text and send it through "
                   "every layer");
  command
      .add_option("--min-kv-tokens", options.min_kv_tokens,
                  "Entries per layer and KV head that a share of the tokens never goes below "
                  "[default: 512 with --chat where no budget is given, else 0]")
      ->check(CLI::NonNegativeNumber);
  command
      .add_option("-n,--max-new-tokens,--max-tokens,--n-predict", options.max_new_tokens,
                  "Tokens to generate at most")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  AddSamplingFlags(command, options.sampling);
  command.add_option("--stop", options.stop, "End at this text; may be repeated");
  command.add_flag("--ignore-eos", options.ignore_eos, "Go on after the model's end token");
  command.add_flag("--json", options.json, "Print one JSON object");
  command.add_flag("-q,--quiet", options.quiet, "No progress, no summary");
  command.add_flag("-v,--verbose", options.verbose,
                   "Show the sampling settings, and per layer what was kept");
}

Status RunGenerate(const GenerateOptions& options, std::istream& in, std::ostream& out) {
  CancelFlag cancel;
  const InterruptGuard interrupt(cancel);
  FASTKV_ASSIGN_OR_RETURN(MethodConfig method, MethodConfigOf(options.method));
  method.min_kv_tokens = MinKvTokensOf(options);
  if (options.protect_system && !options.chat) {
    return InvalidArgumentError(
        "--protect-system needs --chat, whose template has the system message");
  }
  FASTKV_ASSIGN_OR_RETURN(const std::string prompt,
                          ReadPrompt(RealFileSystem(), options.prompt, options.prompt_files, in));
  FASTKV_ASSIGN_OR_RETURN(const std::unique_ptr<Engine> engine,
                          LoadEngine(options.model, options.quiet));
  FASTKV_ASSIGN_OR_RETURN(const Tokenizer* tokenizer, engine->tokenizer());
  FASTKV_ASSIGN_OR_RETURN(const SamplingOptions sampling,
                          SamplingOf(options.sampling, engine->generation_config()));
  std::vector<int32_t> ids;
  if (options.chat) {
    FASTKV_ASSIGN_OR_RETURN(ChatPrompt chat,
                            EncodeChatPrompt(*engine, *tokenizer, options.system, prompt));
    ids = std::move(chat.ids);
    if (options.protect_system) method.protect.push_back({0, chat.system_tokens});
  } else {
    FASTKV_ASSIGN_OR_RETURN(
        ids, tokenizer->Encode(prompt, {.add_special_tokens = true, .parse_special = false}));
  }
  if (!options.quiet) ShowSampling(sampling, options.sampling, options.verbose);

  Session session(*engine);
  PrefillBar bar("prefill", options.quiet);
  FASTKV_RETURN_IF_ERROR(session.Prefill({.ids = ids,
                                          .method = method,
                                          .require_method = options.method.require_method,
                                          .options = {.cancel = &cancel},
                                          .on_progress = [&](const PrefillProgress& progress) {
                                            bar.Show(progress, static_cast<int64_t>(ids.size()));
                                          }}));
  bar.Clear();

  DecodeRequest request{
      .max_new_tokens = options.max_new_tokens, .sampling = sampling, .cancel = &cancel};
  if (!options.ignore_eos) request.end_ids = EndIdsOf(engine->generation_config());
  AnswerStream answer(*tokenizer, options.stop, request.end_ids, options.json ? nullptr : &out);
  request.on_token = [&](int32_t id) { return answer.Take(id); };
  FASTKV_ASSIGN_OR_RETURN(const DecodeReport decode, session.Decode(request));
  answer.Finish();

  const PrefillReport& prefill = session.prefill_report();
  if (options.json) {
    Json report;
    report["text"] = answer.text();
    report["output_ids"] = decode.output_ids;
    report["prompt_tokens"] = ids.size();
    report["ttft_ms"] = prefill.prefill_ms + decode.first_token_ms;
    report["decode_ms_per_token"] = decode.decode_ms_per_token;
    report["kv_bytes"] = prefill.kv_bytes;
    report["full_kv_bytes"] = prefill.full_kv_bytes;
    report["method"] = method.name;
    report["layers"] = LayersJson(prefill);
    report["tokens_propagated"] = prefill.layers.back().tokens_in;
    report["finish_reason"] = FinishName(decode.finish_reason);
    report["seed"] = sampling.seed;
    out << DumpJson(report) << '\n';
  } else {
    out << '\n';
  }
  out.flush();
  if (!options.quiet && options.verbose) fmt::print(stderr, "{}\n", Describe(prefill));
  if (!options.quiet) fmt::print(stderr, "{}", Summary(prefill, decode, method.name));
  if (decode.finish_reason == FinishReason::kCancelled) return CancelledError("interrupted");
  return OkStatus();
}

}  // namespace fastkv
