#include "eval/needle_tasks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <regex>
#include <set>
#include <string>

#include "eval/grammar.h"

namespace fastkv {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

// A stand-in for a tokenizer: a chat mark is one token, a word one for every four letters, digits
// one for every three, everything else but spaces one each.
int64_t CountTokens(std::string_view text) {
  int64_t tokens = 0;
  for (size_t i = 0; i < text.size();) {
    if (text.substr(i, 2) == "<|") {
      i = text.find("|>", i) + 2;
      ++tokens;
      continue;
    }
    const auto run = [&](auto in_class) {
      size_t n = 0;
      while (i + n < text.size() && in_class(static_cast<unsigned char>(text[i + n])) != 0) ++n;
      return n;
    };
    if (const size_t letters = run([](unsigned char c) { return std::isalpha(c); })) {
      tokens += static_cast<int64_t>(letters + 3) / 4;
      i += letters;
    } else if (const size_t digits = run([](unsigned char c) { return std::isdigit(c); })) {
      tokens += static_cast<int64_t>(digits + 2) / 3;
      i += digits;
    } else {
      tokens += text[i] == ' ' ? 0 : 1;
      ++i;
    }
  }
  return tokens;
}

NeedleSample Sample(std::string_view task, int64_t target_tokens, uint64_t seed) {
  Result<NeedleSample> sample = MakeNeedleSample(task, target_tokens, seed, CountTokens);
  EXPECT_TRUE(sample.ok()) << sample.status().message();
  return std::move(sample).value();
}

std::vector<std::string> SentencesOf(const std::string& context) {
  std::vector<std::string> sentences;
  size_t begin = 0;
  while (begin < context.size()) {
    const size_t end = context.find('.', begin);
    if (end == context.npos) {
      ADD_FAILURE() << "text after the last sentence: " << context.substr(begin);
      break;
    }
    sentences.push_back(context.substr(begin, end + 1 - begin));
    begin = end + 1;
  }
  return sentences;
}

// Key to its values in text order, for facts of `noun` ("secret number" or "password").
std::multimap<std::string, std::string> FactsOf(const std::string& context,
                                                const std::string& noun) {
  std::multimap<std::string, std::string> facts;
  const std::regex pattern("the " + noun + R"( of (\w+-\w+) is ([^.]+)\.)", std::regex::icase);
  for (std::sregex_iterator it(context.begin(), context.end(), pattern), end; it != end; ++it) {
    facts.emplace((*it)[1], (*it)[2]);
  }
  return facts;
}

std::vector<std::string> KeysIn(const std::string& question) {
  std::vector<std::string> keys;
  const std::regex pattern(R"([a-z]+-[a-z]+)");
  for (std::sregex_iterator it(question.begin(), question.end(), pattern), end; it != end; ++it) {
    keys.push_back(it->str());
  }
  return keys;
}

class EveryTask : public ::testing::TestWithParam<std::string_view> {};
INSTANTIATE_TEST_SUITE_P(Needle, EveryTask, ::testing::ValuesIn(NeedleTaskNames()),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(EveryTask, HitsTheLength) {
  for (const int64_t target : {1200, 1500, 4096, 16384}) {
    for (uint64_t seed = 0; seed < 4; ++seed) {
      const int64_t tokens = CountTokens(Sample(GetParam(), target, seed).prompt);
      EXPECT_LE(tokens, target);
      EXPECT_GE(static_cast<double>(tokens), 0.98 * static_cast<double>(target));
    }
  }
}

TEST_P(EveryTask, StaysWithinASentenceOfAShortLength) {
  for (const int64_t target : {kMinNeedleTokens, int64_t{300}, int64_t{512}}) {
    for (uint64_t seed = 0; seed < 4; ++seed) {
      const int64_t tokens = CountTokens(Sample(GetParam(), target, seed).prompt);
      EXPECT_LE(tokens, target);
      EXPECT_GE(tokens, target - 24);
    }
  }
}

TEST_P(EveryTask, DependsOnTheSeedAlone) {
  EXPECT_EQ(Sample(GetParam(), 2048, 7).prompt, Sample(GetParam(), 2048, 7).prompt);
  EXPECT_NE(Sample(GetParam(), 2048, 7).prompt, Sample(GetParam(), 2048, 8).prompt);
}

TEST_P(EveryTask, PromptIsContextAndQuestionInChatStrings) {
  const NeedleSample sample = Sample(GetParam(), 2048, 3);
  EXPECT_EQ(sample.prompt, "<|im_start|>user\n" + sample.context + "\n\n" + sample.question +
                               "<|im_end|>\n<|im_start|>assistant\n");
}

TEST_P(EveryTask, PiecesAreThePromptCutAroundTheContext) {
  const NeedleSample sample = Sample(GetParam(), 1024, 3);
  const std::vector<std::string_view> pieces = NeedlePromptPieces(sample);
  ASSERT_THAT(pieces, SizeIs(4));
  EXPECT_EQ(pieces[0], "<|im_start|>user\n");
  EXPECT_EQ(pieces[1], sample.context);
  EXPECT_EQ(pieces[2], "\n\n");
  EXPECT_EQ(pieces[3], sample.question + "<|im_end|>\n<|im_start|>assistant\n");
}

TEST_P(EveryTask, EverySentenceHasOneSpaceBeforeIt) {
  const NeedleSample sample = Sample(GetParam(), 4096, 5);
  for (const std::string& sentence : SentencesOf(sample.context)) {
    ASSERT_GT(sentence.size(), 2u);
    EXPECT_EQ(sentence[0], ' ') << sentence;
    EXPECT_TRUE(std::isupper(static_cast<unsigned char>(sentence[1]))) << sentence;
    EXPECT_EQ(sentence.find("  "), sentence.npos) << sentence;
    EXPECT_EQ(sentence.find_first_of("{}"), sentence.npos) << sentence;
  }
}

TEST_P(EveryTask, SpansShowTheAnswerInTheFacts) {
  const NeedleSample sample = Sample(GetParam(), 4096, 11);
  ASSERT_THAT(sample.facts, SizeIs(sample.answer_parts.size()));
  for (size_t i = 0; i < sample.facts.size(); ++i) {
    const FactSpan& fact = sample.facts[i];
    EXPECT_EQ(sample.prompt.substr(fact.value_begin, fact.value_end - fact.value_begin),
              sample.answer_parts[i]);
    EXPECT_LE(fact.begin, fact.value_begin);
    EXPECT_LE(fact.value_end, fact.end);
    EXPECT_EQ(sample.prompt[fact.begin - 1], ' ');
    EXPECT_EQ(sample.prompt[fact.end - 1], '.');
    EXPECT_EQ(sample.prompt.find('.', fact.begin), fact.end - 1) << "one sentence";
  }
}

TEST(NeedleTasks, KeysNeverComeTwice) {
  const auto numbers = FactsOf(Sample("dense", 8192, 1).context, "secret number");
  EXPECT_GT(numbers.size(), 300u);
  for (const auto& [key, value] : numbers) {
    EXPECT_EQ(numbers.count(key), 1u) << key;
    EXPECT_EQ(value.size(), 7u);
  }
}

TEST(NeedleTasks, FactsFillFourPercent) {
  for (const std::string_view task : {"number", "word", "values", "many", "trace"}) {
    const NeedleSample sample = Sample(task, 16384, 2);
    const std::regex fact(R"( (secret number|password) of | Let [A-Z]{3} (be|equal) )");
    int64_t fact_tokens = 0;
    for (const std::string& sentence : SentencesOf(sample.context)) {
      if (std::regex_search(sentence, fact)) fact_tokens += CountTokens(sentence);
    }
    const double share =
        static_cast<double>(fact_tokens) / static_cast<double>(CountTokens(sample.context));
    EXPECT_GT(share, 0.039) << task;
    EXPECT_LT(share, 0.046) << task;
  }
}

TEST(NeedleTasks, DenseIsFactsAlone) {
  const NeedleSample sample = Sample("dense", 4096, 2);
  EXPECT_EQ(SentencesOf(sample.context).size(), FactsOf(sample.context, "secret number").size());
}

TEST(NeedleTasks, NumberAndWordAskForAnExistingFact) {
  for (uint64_t seed = 0; seed < 8; ++seed) {
    for (const bool is_word : {false, true}) {
      const NeedleSample sample = Sample(is_word ? "word" : "number", 2048, seed);
      const auto facts = FactsOf(sample.context, is_word ? "password" : "secret number");
      const std::vector<std::string> keys = KeysIn(sample.question);
      ASSERT_THAT(keys, SizeIs(1));
      ASSERT_EQ(facts.count(keys[0]), 1u);
      EXPECT_EQ(facts.find(keys[0])->second, sample.answer);
    }
  }
}

TEST(NeedleTasks, WordsAreAdjectiveNounAndTwoDigits) {
  EXPECT_TRUE(
      std::regex_match(Sample("word", 2048, 1).answer, std::regex("[a-z]+ [a-z]+ [1-9][0-9]")));
}

TEST(NeedleTasks, ValuesComeInTextOrder) {
  std::set<size_t> sizes;
  for (uint64_t seed = 0; seed < 16; ++seed) {
    const NeedleSample sample = Sample("values", 2048, seed);
    std::vector<std::string> stated;
    const auto facts = FactsOf(sample.context, "secret number");
    const auto [first, last] = facts.equal_range(KeysIn(sample.question).at(0));
    for (auto it = first; it != last; ++it) stated.push_back(it->second);
    EXPECT_EQ(sample.answer_parts, stated);
    EXPECT_TRUE(std::is_sorted(
        sample.facts.begin(), sample.facts.end(),
        [](const FactSpan& left, const FactSpan& right) { return left.begin < right.begin; }));
    sizes.insert(stated.size());
  }
  EXPECT_EQ(sizes, (std::set<size_t>{2, 3, 4}));
}

TEST(NeedleTasks, ManyAnswersInTheOrderAsked) {
  std::set<size_t> sizes;
  for (uint64_t seed = 0; seed < 8; ++seed) {
    const NeedleSample sample = Sample("many", 2048, seed);
    const auto facts = FactsOf(sample.context, "secret number");
    std::vector<std::string> expected;
    for (const std::string& key : KeysIn(sample.question)) {
      ASSERT_EQ(facts.count(key), 1u);
      expected.push_back(facts.find(key)->second);
    }
    EXPECT_EQ(sample.answer_parts, expected);
    EXPECT_THAT(sample.question, HasSubstr(" and "));
    sizes.insert(expected.size());
  }
  EXPECT_EQ(sizes, (std::set<size_t>{2, 3}));
}

TEST(NeedleTasks, TraceFollowsTheNames) {
  const NeedleSample sample = Sample("trace", 2048, 4);
  ASSERT_GE(sample.answer_parts.size(), 2u);
  std::smatch value;
  ASSERT_TRUE(std::regex_search(sample.question, value, std::regex("[0-9]{7}")));
  EXPECT_THAT(sample.context,
              HasSubstr(" Let " + sample.answer_parts[0] + " be " + value.str() + "."));
  for (size_t i = 1; i < sample.answer_parts.size(); ++i) {
    EXPECT_THAT(sample.context, HasSubstr(" Let " + sample.answer_parts[i] + " equal " +
                                          sample.answer_parts[i - 1] + "."));
  }
}

TEST(NeedleTasks, SeveralQuestionsShareOneContext) {
  const std::string_view tasks[] = {"number", "number", "number", "word", "many"};
  const auto samples = MakeNeedleContextWithQuestions(tasks, 16384, 1, CountTokens);
  ASSERT_TRUE(samples.ok()) << samples.status().message();
  ASSERT_THAT(samples.value(), SizeIs(5));
  std::set<std::string> parts;
  size_t num_parts = 0;
  for (size_t i = 0; i < 5; ++i) {
    const NeedleSample& sample = samples.value()[i];
    EXPECT_EQ(sample.task, tasks[i]);
    EXPECT_EQ(sample.context, samples.value()[0].context);
    EXPECT_LE(CountTokens(sample.prompt), 16384);
    EXPECT_GE(static_cast<double>(CountTokens(sample.prompt)), 0.98 * 16384);
    parts.insert(sample.answer_parts.begin(), sample.answer_parts.end());
    num_parts += sample.answer_parts.size();
  }
  EXPECT_EQ(parts.size(), num_parts) << "no fact is asked for twice";
  EXPECT_FALSE(FactsOf(samples.value()[0].context, "password").empty());
}

TEST(NeedleTasks, SeveralQuestionsFitIntoAShortContext) {
  const std::string_view tasks[] = {"number", "many", "word", "number", "number"};
  const auto samples = MakeNeedleContextWithQuestions(tasks, 1024, 1, CountTokens);
  ASSERT_TRUE(samples.ok()) << samples.status().message();
  int64_t longest = 0;
  for (const NeedleSample& sample : samples.value()) {
    longest = std::max(longest, CountTokens(sample.prompt));
  }
  EXPECT_LE(longest, 1024);
  EXPECT_GE(static_cast<double>(longest), 0.97 * 1024);
}

TEST(NeedleTasks, CorrectsForATokenizerThatCountsSentencesApart) {
  // One token more for each call, as tokenizers count that put a mark before every text.
  const TokenCounter with_mark = [](std::string_view text) { return CountTokens(text) + 1; };
  const auto sample = MakeNeedleSample("number", 8192, 1, with_mark);
  ASSERT_TRUE(sample.ok()) << sample.status().message();
  EXPECT_LE(with_mark(sample.value().prompt), 8192);
  EXPECT_GE(static_cast<double>(with_mark(sample.value().prompt)), 0.98 * 8192);
}

TEST(NeedleTasks, RefusesWhatItCannotMake) {
  const auto code = [](std::string_view task, int64_t target) {
    return MakeNeedleSample(task, target, 1, CountTokens).status().code();
  };
  EXPECT_EQ(code("numbers", 4096), StatusCode::kInvalidArgument);
  EXPECT_EQ(code("number", kMinNeedleTokens - 1), StatusCode::kInvalidArgument);
  EXPECT_EQ(code("dense", 1 << 20), StatusCode::kLimit) << "12,000 keys do not fill it";
  EXPECT_EQ(MakeNeedleContextWithQuestions({}, 4096, 1, CountTokens).status().code(),
            StatusCode::kInvalidArgument);
  const TokenCounter constant = [](std::string_view) { return 1; };
  EXPECT_EQ(MakeNeedleSample("number", 1024, 1, constant).status().code(), StatusCode::kLimit);
}

TEST(NeedleTasks, ScoreIsTheShareOfPartsFound) {
  const std::vector<std::string> parts = {"1234567", "7654321"};
  EXPECT_EQ(ScoreNeedleOutput("1234567, 7654321", parts), 1.0);
  EXPECT_EQ(ScoreNeedleOutput("it is 7654321.", parts), 0.5);
  EXPECT_EQ(ScoreNeedleOutput("", parts), 0.0);
}

TEST(Grammar, FillsSlotsIndependently) {
  const Grammar& grammar = Grammar::BuiltIn();
  Random random(1);
  EXPECT_EQ(grammar.Fill("{key} is {value}.", {{"key", "{value}"}, {"value", "7"}}, random),
            "{value} is 7.");
  const std::string capital = grammar.Fill("{when_cap}", {}, random);
  EXPECT_TRUE(std::isupper(static_cast<unsigned char>(capital[0])));
  std::set<std::string> pairs;
  for (int i = 0; i < 20; ++i) pairs.insert(grammar.Fill("{person} {person}", {}, random));
  EXPECT_GT(pairs.size(), 10u);
}

TEST(Grammar, RefusesMissingLists) {
  EXPECT_EQ(Grammar::Parse("{}").status().code(), StatusCode::kFormat);
  EXPECT_EQ(Grammar::Parse(R"({"when": []})").status().code(), StatusCode::kFormat);
  EXPECT_EQ(Grammar::Parse(R"({"when": [1]})").status().code(), StatusCode::kFormat);
  EXPECT_EQ(Grammar::Parse("[").status().code(), StatusCode::kFormat);
}

}  // namespace
}  // namespace fastkv
