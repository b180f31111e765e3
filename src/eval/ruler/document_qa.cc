#include "eval/ruler/document_qa.h"

#include <algorithm>

#include "base/check.h"
#include "eval/grammar.h"
#include "eval/ruler/ruler_words.h"

namespace fastkv {
namespace {

constexpr int64_t kMinDocuments = 6;
constexpr int64_t kProsePerDocument = 4;  // sentences beside the facts

// No house, surname or boat comes twice, and prose has none of them, so that an answer stands where
// its fact does and nowhere else.
class DocumentQaDraft final : public RulerDraft {
 public:
  DocumentQaDraft(int num_hops, Random random)
      : num_hops_(num_hops), random_(random), prose_(Random(random_.NextUint64())) {
    // The documents that the answer needs; where they stand is set when their number is known.
    for (int i = 0; i < num_hops_; ++i) place_draws_.push_back(random_.NextDouble());
  }

  int64_t min_units() const override { return kMinDocuments; }
  // Each pair of documents takes three pairs of words at most.
  int64_t max_units() const override { return PairDraws::Limit() / 3 * kProsePerDocument; }

  // A unit is a sentence of prose; every kProsePerDocument make a further document.
  RulerText Text(int64_t num_units) override {
    const int64_t num_documents = std::max(kMinDocuments, num_units / kProsePerDocument);
    while (static_cast<int64_t>(facts_.size()) < num_documents) AddFacts();
    const std::vector<size_t> order = Order(static_cast<size_t>(num_documents));
    RulerText text;
    text.input = "Answer the question with the help of the documents. Give the answer alone.\n\n";
    int64_t prose_index = 0;
    for (int64_t i = 0; i < num_documents; ++i) {
      text.input += "Document " + std::to_string(i + 1) + ":\n";
      text.input += facts_[order[static_cast<size_t>(i)]];
      const int64_t prose_end = num_units * (i + 1) / num_documents;
      for (; prose_index < prose_end; ++prose_index)
        text.input += " " + prose_.Sentence(prose_index);
      text.input += "\n";
    }
    text.input += "\nQuestion: " + question_ + "\n";
    text.answer_prefix = "Answer:";
    text.outputs = {answer_};
    return text;
  }

 private:
  // A given name and a surname like Silverfalcon.
  std::string NewPerson() {
    const std::string& given = Grammar::BuiltIn().Draw("person", random_);
    auto [adjective, noun] = pairs_.Next(random_);
    adjective[0] = static_cast<char>(adjective[0] - 'a' + 'A');
    return given + " " + adjective + noun;
  }

  std::string Fill(std::string_view pattern) {
    return Grammar::BuiltIn().Fill(pattern, {}, random_);
  }

  // One document more, with two hops two: the house's and its builder's. The first ones hold the
  // answer.
  void AddFacts() {
    const std::string house = Capitalized(pairs_.Next(random_));
    const std::string person = NewPerson();
    facts_.push_back("The house called " + house + Fill(" stands in {place}, by {scene}. ") +
                     person + Fill(", the {role}, built it {when}."));
    if (num_hops_ == 1) {
      if (facts_.size() > 1) return;
      question_ = "Who built the house called " + house + "?";
      answer_ = person;
      return;
    }
    const std::string boat = Capitalized(pairs_.Next(random_));
    facts_.push_back(person + Fill(" came from {place} and was known for a {quality} {thing}. ") +
                     "The boat of this builder was named " + boat + ".");
    if (facts_.size() > 2) return;
    question_ = "What was the boat of the builder of the house called " + house + " named?";
    answer_ = boat;
  }

  // Which document stands at each place: those that the answer needs at their drawn places, the
  // others in an order of their own.
  std::vector<size_t> Order(size_t num_documents) const {
    const auto num_needed = static_cast<size_t>(num_hops_);
    std::vector<size_t> order;
    for (size_t i = num_needed; i < num_documents; ++i) order.push_back(i);
    Random shuffling(static_cast<uint64_t>(place_draws_[0] * 0x1p53));
    Shuffle(order, shuffling);
    for (size_t i = 0; i < num_needed; ++i) {
      const auto at =
          static_cast<std::ptrdiff_t>(place_draws_[i] * static_cast<double>(order.size() + 1));
      order.insert(order.begin() + at, i);
    }
    return order;
  }

  int num_hops_;
  Random random_;
  ProseStream prose_;
  PairDraws pairs_;
  std::vector<double> place_draws_;  // 0 to 1
  std::vector<std::string> facts_;   // [documents made]
  std::string question_;
  std::string answer_;
};

class DocumentQaTask final : public RulerTask {
 public:
  explicit DocumentQaTask(int num_hops) : num_hops_(num_hops) {
    FASTKV_CHECK(num_hops == 1 || num_hops == 2);
  }
  std::unique_ptr<RulerDraft> NewDraft(int64_t, Random random) const override {
    return std::make_unique<DocumentQaDraft>(num_hops_, random);
  }

 private:
  int num_hops_;
};

}  // namespace

std::unique_ptr<RulerTask> CreateDocumentQaTask(int num_hops) {
  return std::make_unique<DocumentQaTask>(num_hops);
}

}  // namespace fastkv
