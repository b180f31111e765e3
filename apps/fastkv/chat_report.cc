#include "fastkv/chat_report.h"

#include <fmt/format.h>

#include <algorithm>

#include "eval/human_format.h"
#include "fastkv/answer_stream.h"
#include "io/json.h"

namespace fastkv {
namespace {

// The entries of a layer now: least and most over its heads.
struct EntryRange {
  int64_t least = 0;
  int64_t most = 0;
  bool operator==(const EntryRange&) const = default;
};

std::vector<EntryRange> EntriesNow(const Session& session) {
  const KvCache& cache = session.cache();
  std::vector<EntryRange> layers;
  for (int64_t i = 0; i < cache.geometry().num_layers; ++i) {
    EntryRange layer{.least = cache.layer(i).FrozenLen(0), .most = cache.layer(i).FrozenLen(0)};
    for (int64_t head = 1; head < cache.geometry().num_kv_heads; ++head) {
      layer.least = std::min(layer.least, cache.layer(i).FrozenLen(head));
      layer.most = std::max(layer.most, cache.layer(i).FrozenLen(head));
    }
    layer.least += cache.tail_len();
    layer.most += cache.tail_len();
    layers.push_back(layer);
  }
  return layers;
}

// "layers 0-7: 120; layer 8: 90 to 110".
template <typename Value, typename Show>
std::string ByLayer(const std::vector<Value>& values, const Show& show) {
  std::string text;
  for (size_t first = 0; first < values.size();) {
    size_t end = first + 1;
    while (end < values.size() && values[end] == values[first]) ++end;
    text += text.empty() ? "" : "; ";
    text += end == first + 1 ? fmt::format("layer {}: ", first)
                             : fmt::format("layers {}-{}: ", first, end - 1);
    text += show(values[first]);
    first = end;
  }
  return text;
}

std::string BudgetText(const ChatSession& chat) {
  const Result<std::vector<int64_t>> budget = chat.session()->BudgetLens();
  if (!budget.ok()) return "none: " + budget.status().message();
  const MethodConfig& method = chat.settings().method;
  const std::string lens = ByLayer(*budget, [](int64_t len) { return HumanCount(len); });
  if (method.name == "full") return "none: every entry is kept";
  if (method.kv.tokens.has_value()) return lens + " (--kv-tokens)";
  return fmt::format("{} ({} of the tokens so far, at least {})", lens,
                     HumanPercent(method.kv.rate), HumanCount(method.min_kv_tokens));
}

std::string LastTurnText(const TurnStats& turn) {
  std::string text =
      fmt::format("{} tokens read {}in {}", HumanCount(turn.read_tokens),
                  turn.from_start ? "from the start " : "", HumanDuration(turn.read_ms));
  if (turn.reduced) text += ", cache reduced";
  text += fmt::format("; {} tokens generated",
                      HumanCount(static_cast<int64_t>(turn.decode.output_ids.size())));
  if (turn.decode.decode_ms_per_token > 0) {
    text += fmt::format(", {:.1f} tokens/s", 1000 / turn.decode.decode_ms_per_token);
  }
  return text;
}

}  // namespace

std::string ChatStatsText(const ChatSession& chat, const std::vector<TurnStats>& turns) {
  const Session* session = chat.session();
  if (session == nullptr || turns.empty()) return "nothing was read yet\n";
  const KvCache& cache = session->cache();
  const auto full_bytes = static_cast<double>(cache.geometry().FullBytes(session->num_tokens()));
  std::string text =
      fmt::format("tokens     {} so far, {} left of the model's {}; {} answers\n",
                  HumanCount(session->num_tokens()), HumanCount(session->context_left()),
                  HumanCount(chat.engine().config().max_position_embeddings), turns.size());
  text += fmt::format("method     {}\n", chat.settings().method.name);
  text += fmt::format("entries    per KV head: {}\n",
                      ByLayer(EntriesNow(*session), [](const EntryRange& layer) {
                        return layer.least == layer.most
                                   ? HumanCount(layer.least)
                                   : HumanCount(layer.least) + " to " + HumanCount(layer.most);
                      }));
  text += fmt::format("budget     {}\n", BudgetText(chat));
  text += fmt::format("KV memory  {} held, {} of full; {} at most with all scratch memory\n",
                      HumanBytes(cache.bytes_held()),
                      HumanPercent(static_cast<double>(cache.bytes_held()) / full_bytes),
                      HumanBytes(chat.engine().backend().allocator().peak_bytes() -
                                 chat.engine().weight_memory_bytes()));
  text += fmt::format("last turn  {}\n", LastTurnText(turns.back()));
  return text;
}

std::string ChatJson(const ChatSession& chat, const std::vector<ChatMessage>& messages,
                     const std::vector<TurnStats>& turns) {
  Json report;
  report["method"] = chat.settings().method.name;
  report["seed"] = chat.settings().sampling.seed;
  report["messages"] = Json::array();
  for (const ChatMessage& message : messages) {
    report["messages"].push_back({{"role", message.role}, {"content", message.content}});
  }
  report["turns"] = Json::array();
  for (const TurnStats& turn : turns) {
    report["turns"].push_back({{"text", turn.answer},
                               {"output_ids", turn.decode.output_ids},
                               {"read_tokens", turn.read_tokens},
                               {"from_start", turn.from_start},
                               {"reduced", turn.reduced},
                               {"ttft_ms", turn.read_ms + turn.decode.first_token_ms},
                               {"decode_ms_per_token", turn.decode.decode_ms_per_token},
                               {"kv_bytes", turn.kv_bytes},
                               {"full_kv_bytes", turn.full_kv_bytes},
                               {"kv_len", turn.kv_len},
                               {"finish_reason", FinishName(turn.decode.finish_reason)}});
  }
  return DumpJson(report);
}

}  // namespace fastkv
