// The facts of the built-in tasks and the questions about them, as text.
#ifndef FASTKV_EVAL_NEEDLE_FACTS_H_
#define FASTKV_EVAL_NEEDLE_FACTS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "eval/grammar.h"

namespace fastkv {

enum class NeedleFactKind { kNumber, kWord, kValues, kTrace };

// Facts that belong together: all that a question about `subject` can ask for.
struct NeedleFactGroup {
  NeedleFactKind kind = NeedleFactKind::kNumber;
  std::string subject;                 // the key; with kTrace the number that the names share
  std::vector<std::string> values;     // the answer's parts in text order
  std::vector<std::string> sentences;  // [values.size()]; sentence i states value i
};

// The numbers 0 to count - 1 in random order, each once.
class DistinctDraws {
 public:
  explicit DistinctDraws(int64_t count);
  // Nothing once all are used.
  std::optional<int64_t> Next(Random& random);

 private:
  std::vector<int64_t> unused_;
};

// Makes the fact groups of one context: no key and no name comes twice. Not thread-safe.
class NeedleFactMaker {
 public:
  // Both arguments must outlive the maker.
  NeedleFactMaker(const Grammar& grammar, Random& random);
  // Nothing once the keys or names are used up.
  std::optional<NeedleFactGroup> Make(NeedleFactKind kind);

 private:
  std::optional<std::string> NextKey();
  std::optional<std::string> NextName();
  std::string Number();
  std::string Password();
  std::optional<NeedleFactGroup> MakeKeyed(NeedleFactKind kind);
  std::optional<NeedleFactGroup> MakeTrace();

  const Grammar& grammar_;
  Random& random_;
  DistinctDraws keys_;
  DistinctDraws names_;
};

// The question whose answer is the group's values.
std::string AskForGroup(const Grammar& grammar, const NeedleFactGroup& group, Random& random);

// The question for the numbers of several keys: "a, b and c". REQUIRES: at least two groups.
std::string AskForManyKeys(const Grammar& grammar,
                           const std::vector<const NeedleFactGroup*>& groups, Random& random);

}  // namespace fastkv

#endif  // FASTKV_EVAL_NEEDLE_FACTS_H_
