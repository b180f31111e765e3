// The names of one frame of a template while it is looked through: which slot each has, and what it
// holds before the template sets it. scopes.h has the rules.
#ifndef FASTKV_TEXT_JINJA_SYMBOLS_H_
#define FASTKV_TEXT_JINJA_SYMBOLS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "text/jinja/ast.h"

namespace fastkv::jinja {

// Branches of an `if` are tried one after the other from the same starting point, so every change
// is journalled and can be taken back. Not thread-safe. The parent must outlive it.
class Symbols {
 public:
  // `parent`: of the frame around this one; null for the template's own.
  explicit Symbols(const Symbols* parent) : parent_(parent) {}

  // The template reads `name` here.
  void Load(const std::string& name);
  // The template sets `name` here.
  void Store(const std::string& name);
  // `name` is a parameter of the macro or loop whose frame this is; returns its slot.
  uint32_t Parameter(const std::string& name);

  // The variable as seen from this frame.
  std::optional<Slot> Find(const std::string& name) const;

  struct Entry {
    uint32_t slot = 0;
    bool known = false;   // read or set so far on this path
    bool stored = false;  // set so far on this path
    FrameLoad load;
  };
  using Delta = std::vector<std::pair<std::string, Entry>>;

  // A point that TakeBack can return to.
  size_t Mark() const { return journal_.size(); }
  // Takes back everything since `mark` and returns the state that was reached, one entry a name.
  Delta TakeBack(size_t mark);
  // Joins the branches of an `if`. A name that only some of them set keeps what it held before
  // where they did not run: the outer variable of that name, or the global one.
  void Merge(const std::vector<Delta>& branches);

  // By slot: what each variable holds when the frame is entered.
  std::vector<FrameLoad> Loads() const;

 private:
  std::optional<Slot> FindOuter(const std::string& name) const;
  void Define(const std::string& name, FrameLoad load);
  void Change(const std::string& name, const Entry& entry);

  const Symbols* parent_;
  std::unordered_map<std::string, Entry> entries_;
  std::vector<std::pair<std::string, Entry>> journal_;  // names with their state before a change
  uint32_t next_slot_ = 0;
};

}  // namespace fastkv::jinja

#endif  // FASTKV_TEXT_JINJA_SYMBOLS_H_
