// Needle in a haystack as a suite. Without data, haystack and needle are generated (profile
// "native"). With the user's copy of a published repository, its essays, needle, question and
// prompt are used: profile "fastkv" where its script holds a prompt of its own, as the FastKV
// evaluation does, else "official".
#include <algorithm>
#include <optional>
#include <utility>

#include "base/check.h"
#include "eval/grammar.h"
#include "eval/needle_facts.h"
#include "eval/needle_tasks.h"
#include "eval/niah_haystack.h"
#include "eval/prompt_encoder.h"
#include "eval/scorers/coverage.h"
#include "eval/scorers/python_text.h"
#include "eval/suite_list.h"
#include "io/content_hash.h"

namespace fastkv {
namespace {

constexpr std::string_view kTask = "needle";
constexpr std::string_view kTaskNames[] = {kTask};
constexpr int64_t kNativeLengths[] = {1024, 2048, 4096};
constexpr int64_t kPublishedLengths[] = {16000, 32000, 48000, 64000, 80000, 96000, 112000, 128000};
// Ten points from 0 to 100, rounded, as the FastKV evaluation has them.
constexpr double kDepths[] = {0, 11, 22, 33, 44, 56, 67, 78, 89, 100};
constexpr int64_t kNativeSamples = 2;
constexpr int64_t kNativeAnswerTokens = 24;
constexpr int64_t kPublishedAnswerTokens = 30;
// Tokens of the nominal length that the published test leaves free.
constexpr int64_t kBufferTokens = 200;
constexpr int64_t kMinPublishedTokens = 400;
constexpr size_t kExcerptMarginBytes = 160;

// The keys and settings that both kinds share.
class NiahSuite : public Suite {
 public:
  NiahSuite(SuiteOptions options, std::string profile)
      : options_(std::move(options)), profile_(std::move(profile)) {
    for (const int64_t length : options_.lengths) {
      for (int64_t i = 0; i < options_.num_samples; ++i) {
        for (const double depth : options_.depths) {
          keys_.push_back(
              {.task = std::string(kTask), .length = length, .depth = depth, .index = i});
        }
      }
    }
  }

  std::string_view profile() const override { return profile_; }

  Json Settings() const override {
    Json settings;
    settings["lengths"] = options_.lengths;
    settings["depths"] = options_.depths;
    settings["samples"] = options_.num_samples;
    settings["seed"] = options_.seed;
    settings["chat_template"] = options_.chat_template != nullptr;
    return settings;
  }

  std::span<const SampleKey> keys() const override { return keys_; }

 protected:
  const SuiteOptions& options() const { return options_; }
  std::function<bool(int32_t)> EndsSentence() const {
    return [this](int32_t id) {
      return StripWhiteSpace(options_.tokenizer->Decode({&id, 1})) == ".";
    };
  }

 private:
  const SuiteOptions options_;
  const std::string profile_;
  std::vector<SampleKey> keys_;
};

// Generated prose with one fact in it. A sample's haystack and needle are the same at every depth,
// so that depths differ in nothing else.
class NativeNiahSuite final : public NiahSuite {
 public:
  explicit NativeNiahSuite(SuiteOptions options) : NiahSuite(std::move(options), "native") {}

  Result<EvalSample> Make(const SampleKey& key) const override {
    const Grammar& grammar = Grammar::BuiltIn();
    const std::string name =
        "haystack/" + std::to_string(key.length) + "/" + std::to_string(key.index);
    Random random(SampleSeed(options().seed, name));
    NeedleFactMaker maker(grammar, random);
    const std::optional<NeedleFactGroup> fact = maker.Make(NeedleFactKind::kNumber);
    FASTKV_CHECK(fact.has_value());
    NeedleSample needle;
    needle.task = kTask;
    needle.question = AskForGroup(grammar, *fact, random);
    needle.answer_parts = fact->values;
    std::vector<std::string> prose = MakeProse(key.length, random);
    EvalSample sample;
    while (true) {
      const size_t needle_begin = Join(prose, fact->sentences[0], *key.depth, needle);
      FASTKV_ASSIGN_OR_RETURN(sample.ids, Encode(needle));
      if (static_cast<int64_t>(sample.ids.size()) <= key.length) {
        sample.excerpt =
            ExcerptAround(needle.prompt, {{needle_begin, needle_begin + fact->sentences[0].size()}},
                          kExcerptMarginBytes);
        break;
      }
      if (prose.empty()) {
        return LimitError("a needle and its question do not fit into " +
                          std::to_string(key.length) + " tokens; ask for a longer prompt");
      }
      prose.pop_back();
    }
    sample.max_new_tokens = kNativeAnswerTokens;
    sample.expected = needle.answer_parts;
    sample.question = needle.question;
    return sample;
  }

 private:
  // Sentences of about `num_tokens` tokens; what is too much is taken off afterwards.
  std::vector<std::string> MakeProse(int64_t num_tokens, Random& random) const {
    const Grammar& grammar = Grammar::BuiltIn();
    const TokenCounter count_tokens = NeedleTokenCounter(*options().tokenizer);
    std::vector<std::string> prose;
    for (int64_t tokens = 0; tokens < num_tokens; tokens += count_tokens(" " + prose.back())) {
      prose.push_back(grammar.Fill(grammar.Draw("prose", random), {}, random));
    }
    return prose;
  }

  // Writes context and prompt; returns where the needle begins in the prompt. As in the published
  // test, the needle stands behind the last sentence that ends at or before the depth.
  size_t Join(const std::vector<std::string>& prose, const std::string& fact, double depth_percent,
              NeedleSample& needle) const {
    size_t prose_bytes = 0;
    for (const std::string& sentence : prose) prose_bytes += 1 + sentence.size();
    const auto depth_bytes =
        static_cast<size_t>(static_cast<double>(prose_bytes) * depth_percent / 100);
    needle.context.clear();
    size_t needle_begin = 0;
    bool is_placed = false;
    const auto place = [&] {
      needle_begin = needle.context.size() + 1;
      needle.context += " " + fact;
      is_placed = true;
    };
    for (const std::string& sentence : prose) {
      if (!is_placed && needle.context.size() + 1 + sentence.size() > depth_bytes) place();
      needle.context += " " + sentence;
    }
    if (!is_placed) place();
    const Grammar::Chat& chat = Grammar::BuiltIn().chat();
    needle.prompt = chat.user_open + needle.context + chat.between_context_and_question +
                    needle.question + chat.turn_close + chat.assistant_open;
    return chat.user_open.size() + needle_begin;
  }

  Result<std::vector<int32_t>> Encode(const NeedleSample& needle) const {
    if (options().chat_template == nullptr) return EncodeNeedlePrompt(*options().tokenizer, needle);
    return EncodeUserMessage(
        options(),
        needle.context + Grammar::BuiltIn().chat().between_context_and_question + needle.question);
  }
};

// The published test: every step in tokens, the result decoded and tokenised again.
class PublishedNiahSuite final : public NiahSuite {
 public:
  PublishedNiahSuite(SuiteOptions options, NiahTexts texts, std::vector<int32_t> haystack)
      : NiahSuite(std::move(options), texts.prompt.empty() ? "official" : "fastkv"),
        texts_(std::move(texts)),
        haystack_(std::move(haystack)) {}

  Json Settings() const override {
    Json settings = NiahSuite::Settings();
    settings["data"] = HashText(texts_.hash);
    return settings;
  }

  Result<EvalSample> Make(const SampleKey& key) const override {
    const Tokenizer& tokenizer = *options().tokenizer;
    FASTKV_ASSIGN_OR_RETURN(const std::vector<int32_t> needle, tokenizer.Encode(texts_.needle, {}));
    const auto cut_tokens = std::min(haystack_.size(), static_cast<size_t>(key.length));
    FASTKV_ASSIGN_OR_RETURN(
        std::vector<int32_t> haystack,
        tokenizer.Encode(tokenizer.Decode(std::span(haystack_).first(cut_tokens)), {}));
    const auto budget = static_cast<size_t>(key.length - kBufferTokens);
    if (haystack.size() + needle.size() > budget) {
      haystack.resize(budget - std::min(budget, needle.size()));
    }
    const std::string context =
        tokenizer.Decode(InsertNeedle(haystack, needle, *key.depth, EndsSentence()));
    EvalSample sample;
    FASTKV_ASSIGN_OR_RETURN(sample.ids, Encode(PromptWith(context)));
    sample.max_new_tokens = kPublishedAnswerTokens;
    sample.stops = {"\n"};
    sample.expected = Json::object({{"answer", texts_.answer}});
    sample.question = texts_.question;
    const std::string_view sentence = StripWhiteSpace(texts_.needle);
    const size_t needle_begin = context.find(sentence);
    if (needle_begin != context.npos) {
      sample.excerpt = ExcerptAround(context, {{needle_begin, needle_begin + sentence.size()}},
                                     kExcerptMarginBytes);
    }
    return sample;
  }

 private:
  std::string PromptWith(const std::string& context) const {
    if (texts_.prompt.empty()) return context + "\n\n" + texts_.question;
    constexpr std::string_view kContext = "{context}";
    constexpr std::string_view kQuestion = "{question}";
    // The question first: the essays may hold anything.
    std::string prompt = texts_.prompt;
    prompt.replace(prompt.find(kQuestion), kQuestion.size(), texts_.question);
    return prompt.replace(prompt.find(kContext), kContext.size(), context);
  }

  Result<std::vector<int32_t>> Encode(const std::string& prompt) const {
    if (options().chat_template != nullptr) return EncodeUserMessage(options(), prompt);
    return options().tokenizer->Encode(prompt,
                                       {.add_special_tokens = true, .parse_special = false});
  }

  const NiahTexts texts_;
  const std::vector<int32_t> haystack_;  // the essays, repeated until the longest prompt is covered
};

Status CheckLengthsAndDepths(const SuiteOptions& options, int64_t min_tokens) {
  for (const int64_t length : options.lengths) {
    if (length < min_tokens) {
      return InvalidArgumentError("--length: niah needs at least " + std::to_string(min_tokens) +
                                  " tokens, got " + std::to_string(length));
    }
  }
  for (const double depth : options.depths) {
    if (depth >= 0 && depth <= 100) continue;
    return InvalidArgumentError("--depths: expected percentages from 0 to 100, got " +
                                DumpJson(Json(depth)));
  }
  return OkStatus();
}

Result<std::unique_ptr<Suite>> CreatePublished(SuiteOptions options) {
  FASTKV_RETURN_IF_ERROR(CheckLengthsAndDepths(options, kMinPublishedTokens));
  FASTKV_ASSIGN_OR_RETURN(NiahTexts texts, ReadNiahTexts(*options.files, options.data_folder));
  FASTKV_ASSIGN_OR_RETURN(const std::vector<int32_t> essays,
                          options.tokenizer->Encode(texts.haystack, {.parse_special = false}));
  const int64_t longest = *std::max_element(options.lengths.begin(), options.lengths.end());
  std::vector<int32_t> haystack = essays;
  while (!essays.empty() && static_cast<int64_t>(haystack.size()) < longest) {
    haystack.insert(haystack.end(), essays.begin(), essays.end());
  }
  return std::unique_ptr<Suite>(std::make_unique<PublishedNiahSuite>(
      std::move(options), std::move(texts), std::move(haystack)));
}

}  // namespace

Result<std::unique_ptr<Suite>> CreateNiahSuite(const SuiteOptions& asked) {
  SuiteOptions options = asked;
  FASTKV_RETURN_IF_ERROR(CheckTaskNames(options.tasks, kTaskNames));
  const bool is_published = !options.data_folder.empty();
  if (options.lengths.empty()) {
    const std::span<const int64_t> lengths =
        is_published ? std::span<const int64_t>(kPublishedLengths) : kNativeLengths;
    options.lengths.assign(lengths.begin(), lengths.end());
  }
  if (options.depths.empty()) options.depths.assign(std::begin(kDepths), std::end(kDepths));
  if (is_published && options.num_samples > 1) {
    return InvalidArgumentError(
        "--samples: the published needle test leaves nothing to draw, it has 1 sample for each "
        "length and depth; got " +
        std::to_string(options.num_samples));
  }
  if (options.num_samples == 0) options.num_samples = is_published ? 1 : kNativeSamples;
  if (is_published) return CreatePublished(std::move(options));
  FASTKV_RETURN_IF_ERROR(CheckLengthsAndDepths(options, kMinNeedleTokens));
  return std::unique_ptr<Suite>(std::make_unique<NativeNiahSuite>(std::move(options)));
}

Result<double> ScoreNiahSuite(const OutputToScore& answer) {
  if (answer.profile == "native") return ScoreNeedleSuite(answer);
  FASTKV_ASSIGN_OR_RETURN(const JsonFields expected,
                          JsonFields::Of(answer.expected, "niah: the expected answer"));
  FASTKV_ASSIGN_OR_RETURN(const std::string clause, expected.String("answer"));
  return WordCoverage(StripWhiteSpace(answer.output), clause);
}

}  // namespace fastkv
