// What must hold for every generated sample, read from its text alone.
#include "eval/ruler/ruler_generator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>
#include <regex>
#include <sstream>

#include "text/tokenizer.h"

namespace fastkv {
namespace {

using testing::Each;
using testing::HasSubstr;
using testing::SizeIs;

constexpr int64_t kLength = 4096;
constexpr int64_t kNumSamples = 4;
constexpr const char* kTasks[] = {"niah_single_1",
                                  "niah_single_2",
                                  "niah_single_3",
                                  "niah_multikey_1",
                                  "niah_multikey_2",
                                  "niah_multikey_3",
                                  "niah_multivalue",
                                  "niah_multiquery",
                                  "vt",
                                  "cwe",
                                  "fwe",
                                  "qa_1",
                                  "qa_2"};

using Strings = std::vector<std::string>;

std::string Whole(const RulerSample& sample) { return sample.input + sample.answer_prefix; }

int64_t NumFound(const std::string& text, const std::string& part) {
  int64_t found = 0;
  for (size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++found;
  return found;
}

Strings AllMatches(const std::string& text, const char* expression, size_t group = 0) {
  const std::regex regex(expression);
  Strings matches;
  for (std::sregex_iterator it(text.begin(), text.end(), regex); it != std::sregex_iterator();
       ++it) {
    matches.push_back((*it)[group].str());
  }
  return matches;
}

Strings Lines(const std::string& text) {
  Strings lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

std::string Replaced(std::string text, const std::string& from, const std::string& to) {
  return text.replace(text.find(from), from.size(), to);
}

bool AllDiffer(Strings strings) {
  std::sort(strings.begin(), strings.end());
  return std::adjacent_find(strings.begin(), strings.end()) == strings.end();
}

class RulerGeneratorTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    auto loaded = Tokenizer::Load(RealFileSystem(), "models/needle-16m");
    ASSERT_TRUE(loaded.ok()) << loaded.status().message();
    tokenizer_ = std::move(loaded).value().release();
  }
  static void TearDownTestSuite() { delete std::exchange(tokenizer_, nullptr); }

  static int64_t CountTokens(std::string_view text) {
    return static_cast<int64_t>(tokenizer_->Encode(text, {}).value().size());
  }

  static std::vector<RulerSample> Make(const std::string& task, int64_t length = kLength,
                                       int64_t num_samples = kNumSamples, uint64_t seed = 7) {
    auto generator = RulerGenerator::Create(
        {.task = task, .length_tokens = length, .seed = seed, .count_tokens = CountTokens});
    EXPECT_TRUE(generator.ok()) << generator.status().message();
    std::vector<RulerSample> samples;
    for (int64_t i = 0; i < num_samples; ++i) {
      auto sample = generator->Next();
      EXPECT_TRUE(sample.ok()) << task << ": " << sample.status().message();
      if (!sample.ok()) break;
      samples.push_back(std::move(sample).value());
    }
    return samples;
  }

  static Tokenizer* tokenizer_;
};
Tokenizer* RulerGeneratorTest::tokenizer_ = nullptr;

TEST_F(RulerGeneratorTest, EveryTaskFillsItsLengthWithDifferentSamples) {
  for (const char* task : kTasks) {
    for (const int64_t length : {kMinRulerTokens, kLength}) {
      const auto samples = Make(task, length);
      ASSERT_THAT(samples, SizeIs(kNumSamples)) << task;
      Strings inputs;
      for (const RulerSample& sample : samples) {
        EXPECT_EQ(sample.index, static_cast<int64_t>(inputs.size()));
        EXPECT_EQ(sample.length_tokens, CountTokens(Whole(sample)) + *RulerTokensToGenerate(task));
        EXPECT_LE(sample.length_tokens, length) << task;
        EXPECT_GE(static_cast<double>(sample.length_tokens), 0.98 * static_cast<double>(length))
            << task;
        EXPECT_THAT(sample.outputs, Each(testing::Not(testing::IsEmpty())));
        inputs.push_back(sample.input);
      }
      EXPECT_TRUE(AllDiffer(inputs)) << task;
    }
  }
}

TEST_F(RulerGeneratorTest, SamplesFollowFromTheSeedAlone) {
  for (const char* task : {"niah_single_1", "vt", "cwe", "fwe", "qa_2"}) {
    const auto first = Make(task, kMinRulerTokens, 2);
    const auto again = Make(task, kMinRulerTokens, 3);
    const auto other = Make(task, kMinRulerTokens, 2, /*seed=*/8);
    for (size_t i = 0; i < 2; ++i) {
      EXPECT_EQ(Whole(first[i]), Whole(again[i])) << task;
      for (size_t j = 0; j < 2; ++j) EXPECT_NE(first[i].input, other[j].input) << task;
    }
  }
}

constexpr const char* kNumber = "\\b[1-9][0-9]{6}\\b";
constexpr const char* kUuid =
    "\\b[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\\b";
constexpr const char* kWordKey = "\\b[a-z]+-[a-z]+\\b";

// The sentence around `value`, with value and key replaced by marks.
struct FoundNeedle {
  std::string key;
  std::string wording;
  size_t begin;
  size_t end;
};
FoundNeedle NeedleOf(const std::string& input, const std::string& value,
                     const char* key_expression) {
  const size_t at = input.find(value);
  EXPECT_NE(at, input.npos);
  const size_t end = at + value.size() + 1;
  EXPECT_EQ(input[end - 1], '.');
  const size_t begin = input.find_last_of(".\n", at) + 1;
  std::string sentence = input.substr(begin, end - begin);
  const Strings keys = AllMatches(Replaced(sentence, value, ""), key_expression);
  EXPECT_THAT(keys, SizeIs(1)) << sentence;
  EXPECT_LT(sentence.find(keys.at(0)), sentence.find(value)) << sentence;
  sentence = Replaced(Replaced(sentence, value, "VALUE"), keys.at(0), "KEY");
  sentence.erase(0, sentence.find_first_not_of(' '));
  return {keys.at(0), sentence, begin, end};
}

struct NiahExpectation {
  const char* task;
  const char* key;
  const char* value;
  size_t num_needles;  // 0: every line of the context
  size_t num_outputs;
};

TEST_F(RulerGeneratorTest, NeedlesAreWhereAndWhatTheyShouldBe) {
  const NiahExpectation kExpectations[] = {
      {"niah_single_1", kWordKey, kNumber, 1, 1},   {"niah_single_2", kWordKey, kNumber, 1, 1},
      {"niah_single_3", kWordKey, kUuid, 1, 1},     {"niah_multikey_1", kWordKey, kNumber, 4, 1},
      {"niah_multikey_2", kWordKey, kNumber, 0, 1}, {"niah_multikey_3", kUuid, kUuid, 0, 1},
      {"niah_multivalue", kWordKey, kNumber, 4, 4}, {"niah_multiquery", kWordKey, kNumber, 4, 4}};
  for (const NiahExpectation& expected : kExpectations) {
    SCOPED_TRACE(expected.task);
    std::set<std::string> wordings;
    std::set<int64_t> depths;
    for (const RulerSample& sample : Make(expected.task)) {
      const bool keys_are_values = expected.key == expected.value;
      Strings values = AllMatches(sample.input, expected.value);
      if (keys_are_values) {
        std::erase_if(values, [&](const std::string& v) {
          return sample.input[sample.input.find(v) + v.size()] != '.';
        });
      }
      EXPECT_TRUE(AllDiffer(values));
      if (expected.num_needles > 0) {
        EXPECT_THAT(values, SizeIs(expected.num_needles));
      } else {
        EXPECT_GE(values.size(), static_cast<size_t>(kLength / 200));
      }
      Strings keys;
      std::map<std::string, std::string> key_of;
      for (const std::string& value : values) {
        const FoundNeedle needle = NeedleOf(sample.input, value, expected.key);
        wordings.insert(needle.wording);
        keys.push_back(needle.key);
        key_of[value] = needle.key;
        EXPECT_EQ(NumFound(Whole(sample), value), 1);
      }
      const bool one_key = std::string_view(expected.task) == "niah_multivalue";
      EXPECT_EQ(AllDiffer(keys), !one_key);
      EXPECT_THAT(sample.outputs, SizeIs(expected.num_outputs));
      const size_t question = sample.input.rfind('\n', sample.input.size() - 2);
      size_t last_key_at = 0;
      for (const std::string& output : sample.outputs) {
        ASSERT_TRUE(key_of.contains(output));
        const size_t key_at = sample.input.find(key_of[output], question);
        ASSERT_NE(key_at, std::string::npos);
        EXPECT_TRUE(one_key || key_at > last_key_at);
        last_key_at = key_at;
        EXPECT_THAT(sample.answer_prefix, HasSubstr(key_of[output]));
      }
      depths.insert(
          static_cast<int64_t>(sample.input.find(sample.outputs[0]) * 20 / sample.input.size()));
    }
    EXPECT_THAT(wordings, SizeIs(1));
    EXPECT_GT(depths.size(), 1u);
  }
}

TEST_F(RulerGeneratorTest, HaystacksAreWhatTheTaskSays) {
  for (const RulerSample& sample : Make("niah_single_1")) {
    std::map<std::string, int> times;
    for (const std::string& line : Lines(sample.input)) ++times[line];
    EXPECT_EQ(std::count_if(times.begin(), times.end(), [](auto& e) { return e.second > 1; }), 1);
    EXPECT_EQ(times.size(), 4u);  // the task, noise, the needle, the question
  }
  for (const RulerSample& sample : Make("niah_single_2")) {
    const size_t at = sample.input.find(sample.outputs[0]);
    const size_t begin = sample.input.find_last_of('.', at) + 2;
    EXPECT_EQ(sample.input[begin - 1], ' ');
    EXPECT_EQ(sample.input[begin - 2], '.');
    const std::string after = sample.input.substr(at + sample.outputs[0].size(), 3);
    EXPECT_TRUE(after[0] == '.' && after[1] == ' ' && std::isupper(after[2]) != 0) << after;
  }
  for (const RulerSample& sample : Make("niah_multikey_2")) {
    const Strings lines = Lines(sample.input);
    for (size_t i = 1; i + 1 < lines.size(); ++i) {
      EXPECT_THAT(AllMatches(lines[i], kNumber), SizeIs(1)) << lines[i];
    }
  }
}

TEST_F(RulerGeneratorTest, VariablesFormOneChain) {
  for (const RulerSample& sample : Make("vt")) {
    struct Assignment {
      std::string name;
      std::string source;
    };
    std::vector<Assignment> assignments;
    std::map<std::string, int> other_lines;
    const std::regex assignment("VAR ([A-Z]+) = (?:VAR ([A-Z]{3,5})|([0-9]{5}))");
    size_t last_at = 0;
    for (const std::string& line : Lines(sample.input)) {
      std::smatch match;
      if (std::regex_match(line, match, assignment)) {
        assignments.push_back({match[1], match[2].matched ? match[2] : match[3]});
        last_at = sample.input.find(line + "\n");
      } else {
        EXPECT_EQ(line.find("VAR "), line.npos);
        ++other_lines[line];
      }
    }
    EXPECT_EQ(std::count_if(other_lines.begin(), other_lines.end(),
                            [](auto& e) { return !e.first.empty() && e.second > 1; }),
              1);
    ASSERT_THAT(assignments, SizeIs(10));
    for (size_t i = 0; i < 10; ++i) {
      EXPECT_THAT(assignments[i].name, SizeIs(i < 5 ? 3 : 5));
      EXPECT_TRUE(i % 5 == 0 || assignments[i].source == assignments[i - 1].name);
    }
    EXPECT_NE(assignments[0].source, assignments[5].source);
    std::string example_names;
    for (size_t i = 0; i < 5; ++i) example_names += " " + assignments[i].name;
    EXPECT_THAT(sample.input, HasSubstr(example_names + "\n"));
    Strings names;
    for (size_t i = 5; i < 10; ++i) names.push_back(assignments[i].name);
    EXPECT_EQ(sample.outputs, names);
    const std::string after = sample.input.substr(sample.input.find('\n', last_at));
    EXPECT_THAT(after, HasSubstr(assignments[5].source));
    EXPECT_THAT(sample.answer_prefix, HasSubstr(assignments[5].source));
    for (const std::string& name : names)
      EXPECT_EQ(NumFound(after + sample.answer_prefix, name), 0);
  }
}

// The numbered lists of a text, as words in order.
std::vector<Strings> NumberedLists(const std::string& text) {
  std::vector<Strings> lists;
  const std::regex entry("(\\d+)\\. ([^\\s.]+)");
  for (std::sregex_iterator it(text.begin(), text.end(), entry); it != std::sregex_iterator();
       ++it) {
    const size_t number = std::stoul((*it)[1].str());
    if (number == 1) lists.emplace_back();
    EXPECT_EQ(number, lists.back().size() + 1);
    lists.back().push_back((*it)[2].str());
  }
  return lists;
}

std::map<std::string, int64_t> Times(const Strings& words) {
  std::map<std::string, int64_t> times;
  for (const std::string& word : words) ++times[word];
  return times;
}

TEST_F(RulerGeneratorTest, CommonWordsHaveTheirCounts) {
  for (const int64_t length : {int64_t{2048}, kLength}) {
    const bool is_short = length < 4096;
    for (const RulerSample& sample : Make("cwe", length)) {
      const auto lists = NumberedLists(sample.input);
      ASSERT_THAT(lists, SizeIs(3));
      ASSERT_THAT(lists[1], SizeIs(10));
      const auto example = Times(lists[0]);
      EXPECT_THAT(example, SizeIs(is_short ? 20 : 40));
      for (const auto& [word, times] : example) {
        const bool is_common = std::count(lists[1].begin(), lists[1].end(), word) > 0;
        EXPECT_EQ(times, is_common ? (is_short ? 3 : 10) : (is_short ? 1 : 3)) << word;
      }
      const auto task = Times(lists[2]);
      EXPECT_THAT(sample.outputs, SizeIs(10));
      for (const auto& [word, times] : task) {
        const bool is_common = std::count(sample.outputs.begin(), sample.outputs.end(), word) > 0;
        EXPECT_EQ(times, is_common ? (is_short ? 6 : 30) : (is_short ? 1 : 3)) << word;
      }
      EXPECT_GT(task.size(), 10u);
      EXPECT_FALSE(std::is_sorted(lists[2].begin(), lists[2].end()));
    }
  }
}

TEST_F(RulerGeneratorTest, FrequentWordsFollowTheLaw) {
  for (const RulerSample& sample : Make("fwe")) {
    // The run is one line.
    Strings words;
    for (const std::string& line : Lines(sample.input)) {
      std::istringstream stream(line);
      Strings tokens{std::istream_iterator<std::string>(stream), {}};
      if (tokens.size() > words.size()) words = tokens;
    }
    for (const std::string& word : words) {
      EXPECT_TRUE(word == "..." ||
                  (word.size() == 6 && std::all_of(word.begin(), word.end(),
                                                   [](char c) { return c >= 'a' && c <= 'z'; })))
          << word;
    }
    const auto times = Times(words);
    std::vector<std::pair<int64_t, std::string>> ranked;
    for (const auto& [word, count] : times) ranked.emplace_back(-count, word);
    std::sort(ranked.begin(), ranked.end());
    ASSERT_GE(ranked.size(), 5u);
    EXPECT_LE(ranked.size(), (kLength - 50) / 50);
    EXPECT_EQ(ranked[0].second, "...");
    EXPECT_EQ(sample.outputs, Strings({ranked[1].second, ranked[2].second, ranked[3].second}));
    // Some n gives all counts: the first fixes it to within two.
    const double zeta = std::numbers::pi * std::numbers::pi / 6;
    bool found = false;
    const auto first = static_cast<double>(-ranked[0].first);
    for (auto n = static_cast<int64_t>(first * zeta);
         n <= static_cast<int64_t>((first + 1) * zeta) + 1; ++n) {
      bool all = true;
      for (size_t r = 0; r < ranked.size(); ++r) {
        const double share =
            static_cast<double>(n) / (static_cast<double>((r + 1) * (r + 1)) * zeta);
        all = all && -ranked[r].first == static_cast<int64_t>(std::floor(share));
      }
      found = found || all;
    }
    EXPECT_TRUE(found);
    EXPECT_FALSE(std::is_sorted(words.begin(), words.end()));
  }
}

TEST_F(RulerGeneratorTest, DocumentsHoldTheAnswer) {
  for (const char* task : {"qa_1", "qa_2"}) {
    std::set<size_t> places;
    for (const RulerSample& sample : Make(task)) {
      const size_t question_at = sample.input.rfind("\n\n");
      const std::string question = sample.input.substr(question_at) + sample.answer_prefix;
      Strings documents;
      size_t begin = sample.input.find("\nDocument 1:\n");
      for (size_t number = 2; begin != std::string::npos && begin < question_at; ++number) {
        const size_t next =
            sample.input.find("\nDocument " + std::to_string(number) + ":\n", begin + 1);
        const size_t body = sample.input.find('\n', begin + 1);
        documents.push_back(sample.input.substr(body, std::min(next, question_at) - body));
        begin = next;
      }
      ASSERT_GE(documents.size(), 5u);
      EXPECT_TRUE(AllDiffer(documents));
      ASSERT_THAT(sample.outputs, SizeIs(1));
      const std::string& answer = sample.outputs[0];
      EXPECT_EQ(question.find(answer), question.npos);
      size_t num_with_answer = 0;
      for (size_t i = 0; i < documents.size(); ++i) {
        if (documents[i].find(answer) == documents[i].npos) continue;
        ++num_with_answer;
        places.insert(i);
      }
      EXPECT_EQ(num_with_answer, 1u);
    }
    EXPECT_GT(places.size(), 1u) << task;
  }
}

TEST_F(RulerGeneratorTest, TwoHopsNeedTwoDocuments) {
  for (const RulerSample& sample : Make("qa_2")) {
    const Strings house = AllMatches(sample.input, "the house called (\\w+ \\w+) named", 1);
    ASSERT_THAT(house, SizeIs(1));
    const Strings builder = AllMatches(
        sample.input, ("house called " + house[0] + " stands[^.]*\\. (\\w+ \\w+),").c_str(), 1);
    ASSERT_THAT(builder, SizeIs(1));
    const Strings boat = AllMatches(
        sample.input,
        (builder[0] + " came[^.]*\\. The boat of this builder was named (\\w+ \\w+)").c_str(), 1);
    EXPECT_EQ(boat, sample.outputs);
    // The answer's document does not know the house, the house's does not know the answer.
    for (const std::string& line : Lines(sample.input)) {
      EXPECT_FALSE(line.find("called " + house[0] + " stands") != line.npos &&
                   line.find(sample.outputs[0]) != line.npos);
    }
  }
}

TEST_F(RulerGeneratorTest, RefusesWhatCannotBeMade) {
  const auto create = [](const std::string& task, int64_t length) {
    return RulerGenerator::Create(
        {.task = task, .length_tokens = length, .seed = 1, .count_tokens = CountTokens});
  };
  EXPECT_THAT(create("niah", kLength).status().message(), HasSubstr("\"niah\""));
  EXPECT_THAT(create("vt", kMinRulerTokens - 1).status().message(), HasSubstr("1023"));
  // A token a byte leaves no room for the words that cwe must have.
  auto bytewise = RulerGenerator::Create(
      {.task = "cwe",
       .length_tokens = kLength,
       .seed = 1,
       .count_tokens = [](std::string_view text) { return static_cast<int64_t>(text.size()); }});
  const auto sample = bytewise->Next();
  ASSERT_FALSE(sample.ok());
  EXPECT_EQ(sample.status().code(), StatusCode::kLimit);
  EXPECT_THAT(sample.status().message(), HasSubstr("cwe"));
}

}  // namespace
}  // namespace fastkv
