#include "eval/needle_tasks.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/random.h"
#include "eval/grammar.h"
#include "eval/needle_facts.h"
#include "io/quoted.h"

namespace fastkv {
namespace {

constexpr std::string_view kTaskNames[] = {"number", "word", "dense", "values", "many", "trace"};
constexpr double kFactShare = 0.04;
constexpr double kMinFill = 0.98;
constexpr int64_t kMinPlayTokens = 24;  // about a sentence
constexpr int kMaxKeysAsked = 3;
// Draws of a sentence that still fits before the rest of the budget is given up.
constexpr int kMaxFitDraws = 32;
// Builds with a corrected budget: the whole prompt's tokens can differ from the sum over its
// sentences, and questions differ in length.
constexpr int kMaxAttempts = 16;
constexpr int64_t kQuestionTokens = 24;  // a usual question, so that the first build mostly fits

NeedleFactKind KindOf(std::string_view task) {
  if (task == "word") return NeedleFactKind::kWord;
  if (task == "values") return NeedleFactKind::kValues;
  if (task == "trace") return NeedleFactKind::kTrace;
  return NeedleFactKind::kNumber;
}

Status CheckArguments(std::span<const std::string_view> tasks, int64_t target_tokens) {
  if (tasks.empty()) return InvalidArgumentError("expected at least one needle task, got none");
  for (const std::string_view task : tasks) {
    if (std::find(std::begin(kTaskNames), std::end(kTaskNames), task) == std::end(kTaskNames)) {
      return InvalidArgumentError(
          "expected a needle task (number, word, dense, values, many or trace), got " +
          Quoted(task));
    }
  }
  if (target_tokens < kMinNeedleTokens) {
    return InvalidArgumentError("expected a needle prompt of at least " +
                                std::to_string(kMinNeedleTokens) + " tokens, got " +
                                std::to_string(target_tokens));
  }
  return OkStatus();
}

std::string JoinParts(std::span<const std::string> parts) {
  std::string joined;
  for (const std::string& part : parts) {
    if (!joined.empty()) joined += ", ";
    joined += part;
  }
  return joined;
}

// One context and the questions about it, for one budget of context tokens.
class NeedleBuild {
 public:
  NeedleBuild(uint64_t seed, const TokenCounter& count_tokens)
      : grammar_(Grammar::BuiltIn()),
        random_(seed),
        maker_(grammar_, random_),
        count_tokens_(count_tokens) {}

  Result<std::vector<NeedleSample>> Samples(std::span<const std::string_view> tasks,
                                            int64_t budget_tokens) {
    FASTKV_RETURN_IF_ERROR(MakeFacts(tasks, budget_tokens));
    if (!is_dense_) MakeProse(budget_tokens - used_tokens_);
    JoinContext();
    std::vector<NeedleSample> samples;
    for (const std::string_view task : tasks) samples.push_back(Ask(task));
    return samples;
  }

 private:
  struct Group {
    NeedleFactGroup facts;
    std::vector<FactSpan> spans;  // [facts.sentences.size()], in the context
    bool asked = false;
  };

  int64_t CountSentences(const std::vector<std::string>& sentences) const {
    int64_t tokens = 0;
    for (const std::string& sentence : sentences) tokens += count_tokens_(" " + sentence);
    return tokens;
  }

  // First what the questions need, then a random mix of the same kinds up to the share.
  Status MakeFacts(std::span<const std::string_view> tasks, int64_t budget_tokens) {
    std::vector<NeedleFactKind> needed;
    for (const std::string_view task : tasks) {
      needed.insert(needed.end(), task == "many" ? kMaxKeysAsked : 1, KindOf(task));
      is_dense_ = is_dense_ || task == "dense";
    }
    const int64_t share_tokens =
        is_dense_ ? budget_tokens
                  : static_cast<int64_t>(kFactShare * static_cast<double>(budget_tokens));
    while (groups_.size() < needed.size() || used_tokens_ < share_tokens) {
      const size_t made = groups_.size();
      const size_t kind =
          made < needed.size()
              ? made
              : static_cast<size_t>(random_.NextInt(static_cast<int64_t>(needed.size())));
      std::optional<NeedleFactGroup> facts = maker_.Make(needed[kind]);
      if (!facts) {
        return LimitError("the " + std::to_string(made) +
                          " distinct keys of the needle tasks do not fill the prompt; ask for a "
                          "shorter one");
      }
      const int64_t tokens = CountSentences(facts->sentences);
      if (used_tokens_ + tokens > budget_tokens) break;
      used_tokens_ += tokens;
      groups_.push_back({.facts = *std::move(facts), .spans = {}, .asked = false});
    }
    if (groups_.size() < needed.size()) {
      return LimitError("the facts that the questions ask for do not fit into the prompt");
    }
    return OkStatus();
  }

  void MakeProse(int64_t budget_tokens) {
    int misses = 0;
    while (misses < kMaxFitDraws) {
      std::string sentence = grammar_.Fill(grammar_.Draw("prose", random_), {}, random_);
      const int64_t tokens = count_tokens_(" " + sentence);
      if (tokens > budget_tokens) {
        ++misses;
        continue;
      }
      budget_tokens -= tokens;
      prose_.push_back(std::move(sentence));
    }
  }

  // Drops each fact at a uniform place between prose sentences; sorted places keep a group's order.
  void JoinContext() {
    struct Placed {
      size_t group;
      size_t fact;
    };
    std::vector<std::vector<Placed>> places(prose_.size() + 1);
    for (size_t g = 0; g < groups_.size(); ++g) {
      const size_t num_facts = groups_[g].facts.sentences.size();
      std::vector<size_t> drawn(num_facts);
      for (size_t& place : drawn) {
        place = static_cast<size_t>(random_.NextInt(static_cast<int64_t>(places.size())));
      }
      std::sort(drawn.begin(), drawn.end());
      for (size_t fact = 0; fact < num_facts; ++fact) places[drawn[fact]].push_back({g, fact});
      groups_[g].spans.resize(num_facts);
    }
    for (size_t place = 0; place < places.size(); ++place) {
      for (const Placed& placed : places[place]) AppendFact(groups_[placed.group], placed.fact);
      if (place < prose_.size()) context_ += " " + prose_[place];
    }
  }

  void AppendFact(Group& group, size_t fact) {
    const std::string& sentence = group.facts.sentences[fact];
    const std::string& value = group.facts.values[fact];
    const size_t begin = context_.size() + 1;
    const size_t value_begin = begin + sentence.find(value);
    context_ += " " + sentence;
    group.spans[fact] = {.begin = begin,
                         .end = context_.size(),
                         .value_begin = value_begin,
                         .value_end = value_begin + value.size()};
  }

  // A group of this kind that no question has asked for yet.
  Group& DrawGroup(NeedleFactKind kind) {
    std::vector<Group*> candidates;
    for (Group& group : groups_) {
      if (group.facts.kind == kind && !group.asked) candidates.push_back(&group);
    }
    Group& drawn =
        *candidates[static_cast<size_t>(random_.NextInt(static_cast<int64_t>(candidates.size())))];
    drawn.asked = true;
    return drawn;
  }

  NeedleSample Ask(std::string_view task) {
    const bool is_many = task == "many";
    const int64_t num_groups = is_many ? kMaxKeysAsked - random_.NextInt(2) : 1;
    const Grammar::Chat& chat = grammar_.chat();
    NeedleSample sample;
    sample.task = task;
    sample.context = context_;
    std::vector<const NeedleFactGroup*> asked;
    for (int64_t i = 0; i < num_groups; ++i) {
      const Group& group = DrawGroup(KindOf(task));
      asked.push_back(&group.facts);
      for (size_t fact = 0; fact < group.facts.values.size(); ++fact) {
        sample.answer_parts.push_back(group.facts.values[fact]);
        FactSpan span = group.spans[fact];
        for (size_t* at : {&span.begin, &span.end, &span.value_begin, &span.value_end}) {
          *at += chat.user_open.size();
        }
        sample.facts.push_back(span);
      }
    }
    sample.answer = JoinParts(sample.answer_parts);
    sample.question = is_many ? AskForManyKeys(grammar_, asked, random_)
                              : AskForGroup(grammar_, *asked[0], random_);
    sample.prompt = chat.user_open + context_ + chat.between_context_and_question +
                    sample.question + chat.turn_close + chat.assistant_open;
    return sample;
  }

  const Grammar& grammar_;
  Random random_;
  NeedleFactMaker maker_;
  const TokenCounter& count_tokens_;
  bool is_dense_ = false;
  int64_t used_tokens_ = 0;
  std::vector<Group> groups_;
  std::vector<std::string> prose_;
  std::string context_;
};

}  // namespace

std::span<const std::string_view> NeedleTaskNames() { return kTaskNames; }

std::vector<std::string_view> NeedlePromptPieces(const NeedleSample& sample) {
  const Grammar::Chat& chat = Grammar::BuiltIn().chat();
  std::vector<std::string_view> pieces;
  std::string_view rest = sample.prompt;
  for (const size_t size :
       {chat.user_open.size(), sample.context.size(), chat.between_context_and_question.size()}) {
    pieces.push_back(rest.substr(0, size));
    rest.remove_prefix(size);
  }
  pieces.push_back(rest);
  return pieces;
}

Result<std::vector<int32_t>> EncodeNeedlePrompt(const Tokenizer& tokenizer,
                                                const NeedleSample& sample) {
  std::vector<int32_t> ids;
  for (const std::string_view piece : NeedlePromptPieces(sample)) {
    FASTKV_ASSIGN_OR_RETURN(const std::vector<int32_t> piece_ids, tokenizer.Encode(piece, {}));
    ids.insert(ids.end(), piece_ids.begin(), piece_ids.end());
  }
  return ids;
}

TokenCounter NeedleTokenCounter(const Tokenizer& tokenizer) {
  return [&tokenizer](std::string_view text) {
    const Result<std::vector<int32_t>> ids = tokenizer.Encode(text, {});
    return ids.ok() ? static_cast<int64_t>(ids->size()) : std::numeric_limits<int32_t>::max();
  };
}

Result<std::vector<NeedleSample>> MakeNeedleContextWithQuestions(
    std::span<const std::string_view> tasks, int64_t target_tokens, uint64_t seed,
    const TokenCounter& count_tokens) {
  FASTKV_RETURN_IF_ERROR(CheckArguments(tasks, target_tokens));
  const int64_t min_tokens =
      std::min(target_tokens - kMinPlayTokens,
               static_cast<int64_t>(kMinFill * static_cast<double>(target_tokens)) + 1);
  const Grammar::Chat& chat = Grammar::BuiltIn().chat();
  int64_t budget_tokens = target_tokens - kQuestionTokens - count_tokens(chat.user_open) -
                          count_tokens(chat.between_context_and_question) -
                          count_tokens(chat.turn_close + chat.assistant_open);
  for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
    FASTKV_ASSIGN_OR_RETURN(std::vector<NeedleSample> samples,
                            NeedleBuild(seed, count_tokens).Samples(tasks, budget_tokens));
    int64_t longest = 0;
    for (const NeedleSample& sample : samples) {
      int64_t prompt_tokens = 0;
      for (const std::string_view piece : NeedlePromptPieces(sample)) {
        prompt_tokens += count_tokens(piece);
      }
      longest = std::max(longest, prompt_tokens);
    }
    if (longest <= target_tokens && longest >= min_tokens) return samples;
    // One token less each time, so that two budgets never take turns for ever.
    budget_tokens += target_tokens - longest - attempt;
  }
  return LimitError("no needle prompt of " + std::to_string(min_tokens) + " to " +
                    std::to_string(target_tokens) +
                    " tokens came out of this tokenizer; ask for a longer one");
}

Result<NeedleSample> MakeNeedleSample(std::string_view task, int64_t target_tokens, uint64_t seed,
                                      const TokenCounter& count_tokens) {
  FASTKV_ASSIGN_OR_RETURN(
      std::vector<NeedleSample> samples,
      MakeNeedleContextWithQuestions({&task, 1}, target_tokens, seed, count_tokens));
  return std::move(samples[0]);
}

double ScoreNeedleOutput(std::string_view output, std::span<const std::string> answer_parts) {
  FASTKV_CHECK(!answer_parts.empty());
  const auto found =
      std::count_if(answer_parts.begin(), answer_parts.end(),
                    [&](const std::string& part) { return output.find(part) != output.npos; });
  return static_cast<double>(found) / static_cast<double>(answer_parts.size());
}

}  // namespace fastkv
