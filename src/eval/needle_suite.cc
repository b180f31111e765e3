// The built-in tasks as a suite. Profile "native": prompts, data and scores are ours.
#include <algorithm>
#include <utility>

#include "eval/grammar.h"
#include "eval/needle_tasks.h"
#include "eval/prompt_encoder.h"
#include "eval/suite_list.h"

namespace fastkv {
namespace {

constexpr int64_t kDefaultLength = 4096;
constexpr int64_t kDefaultSamples = 16;
constexpr int64_t kMaxAnswerTokens = 64;  // four 7-digit numbers take half of it
constexpr size_t kExcerptMarginBytes = 90;

// The excerpt also shows the question's end, so that prompts can be told apart at a glance.
std::string ExcerptOf(const NeedleSample& sample) {
  std::vector<std::pair<size_t, size_t>> spans;
  for (const FactSpan& fact : sample.facts) spans.emplace_back(fact.begin, fact.end);
  return ExcerptAround(sample.prompt, std::move(spans), kExcerptMarginBytes);
}

class NeedleSuite final : public Suite {
 public:
  // Tokens that the chat template puts around a prompt, beyond those of the tasks' own chat
  // strings.
  NeedleSuite(SuiteOptions options, int64_t template_tokens)
      : options_(std::move(options)), template_tokens_(template_tokens) {
    for (const int64_t length : options_.lengths) {
      // Tasks take turns, so that a run that was stopped has some of each.
      const int64_t num_questions = options_.questions_per_context;
      for (int64_t first = 0; first < options_.num_samples; first += num_questions) {
        const int64_t end = std::min(first + num_questions, options_.num_samples);
        for (const std::string& task : options_.tasks) {
          for (int64_t i = first; i < end; ++i) {
            keys_.push_back({.task = task, .length = length, .depth = std::nullopt, .index = i});
          }
        }
      }
    }
  }

  std::string_view profile() const override { return "native"; }

  Json Settings() const override {
    Json settings;
    settings["tasks"] = options_.tasks;
    settings["lengths"] = options_.lengths;
    settings["samples"] = options_.num_samples;
    settings["seed"] = options_.seed;
    settings["chat_template"] = options_.chat_template != nullptr;
    if (options_.questions_per_context > 1) {
      settings["questions_per_context"] = options_.questions_per_context;
    }
    if (options_.share_context) settings["share_context"] = true;
    return settings;
  }

  std::span<const SampleKey> keys() const override { return keys_; }

  Result<EvalSample> Make(const SampleKey& key) const override {
    const int64_t num_questions = options_.questions_per_context;
    const std::string name = key.task + "/" + std::to_string(key.length) + "/" +
                             std::to_string(key.index / num_questions);
    const std::vector<std::string_view> questions(static_cast<size_t>(num_questions), key.task);
    FASTKV_ASSIGN_OR_RETURN(
        const std::vector<NeedleSample> needles,
        MakeNeedleContextWithQuestions(questions, key.length - template_tokens_,
                                       SampleSeed(options_.seed, name),
                                       NeedleTokenCounter(*options_.tokenizer)));
    const NeedleSample& needle = needles[static_cast<size_t>(key.index % num_questions)];
    EvalSample sample;
    FASTKV_ASSIGN_OR_RETURN(sample.ids, Encode(needle));
    if (options_.share_context) {
      FASTKV_ASSIGN_OR_RETURN(sample.context_tokens, ContextTokens(needle, sample.ids));
    }
    sample.max_new_tokens = kMaxAnswerTokens;
    sample.expected = needle.answer_parts;
    sample.question = needle.question;
    sample.excerpt = ExcerptOf(needle);
    return sample;
  }

 private:
  Result<std::vector<int32_t>> Encode(const NeedleSample& needle) const {
    if (options_.chat_template == nullptr) return EncodeNeedlePrompt(*options_.tokenizer, needle);
    return EncodeUserMessage(
        options_,
        needle.context + Grammar::BuiltIn().chat().between_context_and_question + needle.question);
  }

  Result<int64_t> ContextTokens(const NeedleSample& needle, std::span<const int32_t> ids) const {
    if (options_.chat_template != nullptr) {
      FASTKV_ASSIGN_OR_RETURN(const std::vector<int32_t> alone,
                              EncodeUserMessage(options_, needle.context));
      return CommonPrefixTokens(alone, ids);
    }
    const TokenCounter count_tokens = NeedleTokenCounter(*options_.tokenizer);
    const std::vector<std::string_view> pieces = NeedlePromptPieces(needle);
    return count_tokens(pieces[0]) + count_tokens(pieces[1]);
  }

  const SuiteOptions options_;
  const int64_t template_tokens_;
  std::vector<SampleKey> keys_;
};

// How much longer the chat template makes a prompt than the tasks' own chat strings do.
Result<int64_t> TemplateTokens(const SuiteOptions& options) {
  if (options.chat_template == nullptr) return int64_t{0};
  FASTKV_ASSIGN_OR_RETURN(const std::vector<int32_t> ids, EncodeUserMessage(options, "."));
  const Grammar::Chat& chat = Grammar::BuiltIn().chat();
  const TokenCounter count_tokens = NeedleTokenCounter(*options.tokenizer);
  const int64_t own_tokens = count_tokens(chat.user_open) + count_tokens(".") +
                             count_tokens(chat.turn_close + chat.assistant_open);
  return std::max<int64_t>(0, static_cast<int64_t>(ids.size()) - own_tokens);
}

}  // namespace

Result<std::unique_ptr<Suite>> CreateNeedleSuite(const SuiteOptions& asked) {
  SuiteOptions options = asked;
  FASTKV_RETURN_IF_ERROR(CheckTaskNames(options.tasks, NeedleTaskNames()));
  if (options.tasks.empty()) {
    options.tasks.assign(NeedleTaskNames().begin(), NeedleTaskNames().end());
  }
  if (options.lengths.empty()) options.lengths = {kDefaultLength};
  if (options.num_samples == 0) options.num_samples = kDefaultSamples;
  FASTKV_ASSIGN_OR_RETURN(const int64_t template_tokens, TemplateTokens(options));
  for (const int64_t length : options.lengths) {
    if (length - template_tokens < kMinNeedleTokens) {
      return InvalidArgumentError("--length: needle tasks need at least " +
                                  std::to_string(kMinNeedleTokens + template_tokens) +
                                  " tokens, got " + std::to_string(length));
    }
  }
  return std::unique_ptr<Suite>(std::make_unique<NeedleSuite>(std::move(options), template_tokens));
}

Result<double> ScoreNeedleSuite(const OutputToScore& answer) {
  std::vector<std::string> parts;
  for (const Json& part : answer.expected) {
    if (!part.is_string()) break;
    parts.push_back(part.get<std::string>());
  }
  if (!answer.expected.is_array() || parts.empty() || parts.size() != answer.expected.size()) {
    return FormatError("needle-tasks: expected a list of answer parts, got " +
                       DumpJson(answer.expected).substr(0, 80));
  }
  return ScoreNeedleOutput(answer.output, parts);
}

}  // namespace fastkv
