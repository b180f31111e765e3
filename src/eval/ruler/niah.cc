#include "eval/ruler/niah.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "eval/ruler/ruler_words.h"

namespace fastkv {
namespace {

using Haystack = NiahVariant::Haystack;

constexpr std::array<NiahVariant, 8> kVariants = {{
    {"niah_single_1", Haystack::kNoise, false, false, 1, 1, 1},
    {"niah_single_2", Haystack::kProse, false, false, 1, 1, 1},
    {"niah_single_3", Haystack::kProse, false, true, 1, 1, 1},
    {"niah_multikey_1", Haystack::kProse, false, false, 4, 1, 1},
    {"niah_multikey_2", Haystack::kNeedles, false, false, 1, 1, 1},
    {"niah_multikey_3", Haystack::kNeedles, true, true, 1, 1, 1},
    {"niah_multivalue", Haystack::kProse, false, false, 1, 4, 1},
    {"niah_multiquery", Haystack::kProse, false, false, 4, 1, 4},
}};

constexpr std::string_view kNoise = "The rain has stopped. The road is dry. Here we go again.";
constexpr int64_t kNumDepths = 40;  // RULER's: evenly spaced from 0 to 100 percent
constexpr int64_t kMinUnits = 12;   // sentences or lines of noise
constexpr int64_t kMinNeedleLines = 5;
constexpr int64_t kTokensAtMostPerNeedle = 200;

// A line of two uuids takes about 85 tokens, more than the play that a short prompt has. So up to
// seven of these stand in the instruction, and a unit is an eighth of a line.
constexpr std::array<std::string_view, 7> kHints = {
    " Take your time.",           " Each line counts.",        " No code comes twice.",
    " The lines are not sorted.", " Keep every code in mind.", " Read all of it.",
    " Then give your answer."};

struct Needle {
  std::string key;
  std::string value;
};

class NiahDraft final : public RulerDraft {
 public:
  // `first_depth` is where the needle that is asked for first stands, in steps of kNumDepths.
  NiahDraft(const NiahVariant& variant, int64_t length_tokens, int64_t first_depth, Random random)
      : variant_(variant), random_(random), prose_(Random(random_.NextUint64())) {
    if (variant_.uuid_keys) units_per_line_ = static_cast<int64_t>(kHints.size()) + 1;
    min_units_ = kMinUnits;
    if (variant_.haystack == Haystack::kNeedles) {
      min_units_ = units_per_line_ *
                   std::max(kMinNeedleLines, (length_tokens - 1) / kTokensAtMostPerNeedle + 1);
    }
    for (int64_t i = 0; i < variant_.num_keys; ++i) {
      const std::string key = NewKey();
      for (int64_t j = 0; j < variant_.num_values; ++j) needles_.push_back({key, NewValue()});
    }
    depths_ = {first_depth};
    std::vector<int64_t> others;
    for (int64_t depth = 0; depth < kNumDepths; ++depth) {
      if (depth != first_depth) others.push_back(depth);
    }
    Shuffle(others, random_);
    depths_.insert(depths_.end(), others.begin(),
                   others.begin() + static_cast<std::ptrdiff_t>(needles_.size() - 1));
    if (variant_.num_values > 1) std::sort(depths_.begin(), depths_.end());
  }

  int64_t min_units() const override { return min_units_; }
  int64_t max_units() const override {
    const bool keys_run_out = variant_.haystack == Haystack::kNeedles && !variant_.uuid_keys;
    return keys_run_out ? PairDraws::Limit() - variant_.num_keys : RulerDraft::max_units();
  }

  RulerText Text(int64_t num_units) override {
    RulerText text;
    text.input = "Some secret " + Things(2) +
                 " are hidden in the text below. Remember them: a question follows the text." +
                 Hints(num_units % units_per_line_) + "\n" + Context(num_units / units_per_line_) +
                 "\n" + Question() + "\n";
    text.answer_prefix = Prefix();
    const int64_t num_asked = variant_.num_values * variant_.num_queries;
    for (int64_t i = 0; i < num_asked; ++i) {
      text.outputs.push_back(needles_[static_cast<size_t>(i)].value);
    }
    return text;
  }

 private:
  static std::string Hints(int64_t count) {
    std::string hints;
    for (int64_t i = 0; i < count; ++i) hints += kHints[static_cast<size_t>(i)];
    return hints;
  }

  std::string NewKey() {
    if (variant_.uuid_keys) return RandomUuid(random_);
    const auto [adjective, noun] = pairs_.Next(random_);
    return adjective + "-" + noun;
  }

  // 9 million numbers are few enough to meet twice.
  std::string NewValue() {
    while (true) {
      std::string value = variant_.uuid_values ? RandomUuid(random_) : RandomNumber7(random_);
      if (values_.insert(value).second) return value;
    }
  }

  std::string Things(int64_t count) const {
    return std::string(variant_.uuid_values ? "code" : "number") + (count > 1 ? "s" : "");
  }

  std::string Sentence(const Needle& needle) const {
    return "The secret " + Things(1) + " of " + needle.key + " is " + needle.value + ".";
  }

  // Before which of `num_pieces` lines or sentences the needles stand, in the order of needles_.
  std::vector<int64_t> Places(int64_t num_pieces) const {
    // In prose a needle has a sentence on either side.
    const bool inside = variant_.haystack == Haystack::kProse;
    const int64_t first = inside ? 1 : 0;
    const int64_t last = inside ? num_pieces - 1 : num_pieces;
    std::vector<int64_t> places;
    for (const int64_t depth : depths_) {
      const double share = static_cast<double>(depth) / static_cast<double>(kNumDepths - 1);
      places.push_back(first + std::llround(share * static_cast<double>(last - first)));
    }
    return places;
  }

  std::string Piece(int64_t index) {
    switch (variant_.haystack) {
      case Haystack::kNoise:
        return std::string(kNoise);
      case Haystack::kProse:
        return prose_.Sentence(index);
      case Haystack::kNeedles:
        while (static_cast<int64_t>(distractors_.size()) <= index) {
          std::string key = NewKey();
          distractors_.push_back({std::move(key), NewValue()});
        }
        return Sentence(distractors_[static_cast<size_t>(index)]);
    }
    return "";
  }

  std::string Context(int64_t num_pieces) {
    const std::vector<int64_t> places = Places(num_pieces);
    const std::string_view separator = variant_.haystack == Haystack::kProse ? " " : "\n";
    std::string context;
    const auto append = [&](const std::string& piece) {
      if (!context.empty()) context += separator;
      context += piece;
    };
    for (int64_t piece = 0; piece <= num_pieces; ++piece) {
      for (size_t i = 0; i < needles_.size(); ++i) {
        if (places[i] == piece) append(Sentence(needles_[i]));
      }
      if (piece < num_pieces) append(Piece(piece));
    }
    return context;
  }

  std::vector<std::string> KeysAsked() const {
    std::vector<std::string> keys;
    for (int64_t i = 0; i < variant_.num_queries; ++i) {
      keys.push_back(needles_[static_cast<size_t>(i)].key);
    }
    return keys;
  }

  std::string Question() const {
    const std::string keys = ListedInText(KeysAsked());
    if (variant_.num_values > 1) {
      return "What are all the secret " + Things(2) + " of " + keys + " in the text?";
    }
    if (variant_.num_queries > 1) {
      return "What are the secret " + Things(2) + " of " + keys + " in the text, in this order?";
    }
    return "What is the secret " + Things(1) + " of " + keys + " in the text?";
  }

  std::string Prefix() const {
    const std::string keys = ListedInText(KeysAsked());
    const bool several = variant_.num_values * variant_.num_queries > 1;
    return "In the text, the secret " + Things(several ? 2 : 1) + " of " + keys +
           (several ? " are" : " is");
  }

  NiahVariant variant_;
  Random random_;
  ProseStream prose_;
  PairDraws pairs_;
  std::set<std::string> values_;
  int64_t min_units_ = 0;
  int64_t units_per_line_ = 1;
  std::vector<Needle> needles_;  // those asked for first
  std::vector<int64_t> depths_;  // of needles_
  std::vector<Needle> distractors_;
};

class NiahTask final : public RulerTask {
 public:
  NiahTask(const NiahVariant& variant, int64_t length_tokens, uint64_t seed)
      : variant_(variant), length_tokens_(length_tokens) {
    for (int64_t depth = 0; depth < kNumDepths; ++depth) first_depths_.push_back(depth);
    Random random(seed);
    Shuffle(first_depths_, random);
  }

  std::unique_ptr<RulerDraft> NewDraft(int64_t index, Random random) const override {
    const int64_t first_depth = first_depths_[static_cast<size_t>(index % kNumDepths)];
    return std::make_unique<NiahDraft>(variant_, length_tokens_, first_depth, random);
  }

 private:
  NiahVariant variant_;
  int64_t length_tokens_;
  std::vector<int64_t> first_depths_;  // from sample to sample
};

}  // namespace

std::optional<NiahVariant> NiahVariantOf(std::string_view task) {
  const auto* found =
      std::find_if(kVariants.begin(), kVariants.end(),
                   [&](const NiahVariant& variant) { return variant.name == task; });
  if (found == kVariants.end()) return std::nullopt;
  return *found;
}

std::unique_ptr<RulerTask> CreateNiahTask(const NiahVariant& variant, int64_t length_tokens,
                                          uint64_t seed) {
  return std::make_unique<NiahTask>(variant, length_tokens, seed);
}

}  // namespace fastkv
