#include "eval/ruler/variable_tracking.h"

#include <algorithm>

#include "eval/ruler/ruler_words.h"

namespace fastkv {
namespace {

constexpr std::string_view kNoise = "The rain has stopped. The road is dry. Here we go again.";
constexpr int64_t kNumVariables = 5;  // 4 hops
constexpr int64_t kExampleNameLength = 3;
constexpr int64_t kTaskNameLength = 5;
constexpr int64_t kExampleNoiseLines = 10;

struct Chain {
  std::vector<std::string> names;
  std::string value;
  std::vector<double> depths;  // ascending, 0 to 1
};

std::string Spaced(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : " ") + name;
  return text;
}

// The assignments among `num_noise` noise lines, each line ended.
std::string Lines(const Chain& chain, int64_t num_noise) {
  std::string lines;
  size_t next = 0;
  for (int64_t line = 0; line <= num_noise; ++line) {
    for (; next < chain.names.size() &&
           static_cast<int64_t>(chain.depths[next] * static_cast<double>(num_noise + 1)) <= line;
         ++next) {
      const std::string source = next == 0 ? chain.value : "VAR " + chain.names[next - 1];
      lines += "VAR " + chain.names[next] + " = " + source + "\n";
    }
    if (line < num_noise) lines += std::string(kNoise) + "\n";
  }
  return lines;
}

std::string Question(const Chain& chain) {
  return "Question: Which variables hold the value " + chain.value + "?\n";
}

std::string AnswerBegin(const Chain& chain) {
  return "Answer: The variables that hold the value " + chain.value + " are:";
}

class VariableTrackingDraft final : public RulerDraft {
 public:
  explicit VariableTrackingDraft(Random random) : random_(random) {
    task_ = NewChain(kTaskNameLength);
    do {
      example_ = NewChain(kExampleNameLength);
    } while (example_.value == task_.value || AnyNameInside());
  }

  int64_t min_units() const override { return kNumVariables; }

  RulerText Text(int64_t num_units) override {
    RulerText text;
    text.input =
        "Follow the variables in the lines: each gets a number, or what another variable holds. "
        "Name all variables that hold the number asked for.\n\n" +
        Lines(example_, kExampleNoiseLines) + Question(example_) + AnswerBegin(example_) + " " +
        Spaced(example_.names) + "\n\n" + Lines(task_, num_units) + Question(task_);
    text.answer_prefix = AnswerBegin(task_);
    text.outputs = task_.names;
    return text;
  }

 private:
  Chain NewChain(int64_t name_length) {
    Chain chain;
    while (static_cast<int64_t>(chain.names.size()) < kNumVariables) {
      std::string name = RandomLetters(name_length, 'A', random_);
      const bool is_new =
          std::find(chain.names.begin(), chain.names.end(), name) == chain.names.end();
      if (is_new && name != "VAR") chain.names.push_back(std::move(name));
    }
    chain.value = std::to_string(10'000 + random_.NextInt(90'000));
    for (int64_t i = 0; i < kNumVariables; ++i) chain.depths.push_back(random_.NextDouble());
    std::sort(chain.depths.begin(), chain.depths.end());
    return chain;
  }

  // Scoring looks for names inside longer ones too.
  bool AnyNameInside() const {
    for (const std::string& name : task_.names) {
      for (const std::string& inner : example_.names) {
        if (name.find(inner) != name.npos) return true;
      }
    }
    return false;
  }

  Random random_;
  Chain example_;
  Chain task_;
};

class VariableTrackingTask final : public RulerTask {
 public:
  std::unique_ptr<RulerDraft> NewDraft(int64_t, Random random) const override {
    return std::make_unique<VariableTrackingDraft>(random);
  }
};

}  // namespace

std::unique_ptr<RulerTask> CreateVariableTrackingTask() {
  return std::make_unique<VariableTrackingTask>();
}

}  // namespace fastkv
