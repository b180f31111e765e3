#include "text/jinja/symbols.h"

namespace fastkv::jinja {

void Symbols::Load(const std::string& name) {
  if (!Find(name)) Define(name, {FrameLoad::From::kGlobal, {}, name});
}

void Symbols::Store(const std::string& name) {
  const auto found = entries_.find(name);
  if (found == entries_.end() || !found->second.known) {
    const std::optional<Slot> outer = FindOuter(name);
    if (outer) {
      Define(name, {FrameLoad::From::kOuter, *outer, name});
    } else {
      Define(name, {FrameLoad::From::kNothing, {}, name});
    }
  }
  Entry changed = entries_[name];
  changed.stored = true;
  Change(name, changed);
}

uint32_t Symbols::Parameter(const std::string& name) {
  Define(name, {FrameLoad::From::kParameter, {}, name});
  Entry changed = entries_[name];
  changed.stored = true;
  Change(name, changed);
  return changed.slot;
}

std::optional<Slot> Symbols::Find(const std::string& name) const {
  uint32_t hops = 0;
  for (const Symbols* frame = this; frame != nullptr; frame = frame->parent_, ++hops) {
    const auto found = frame->entries_.find(name);
    if (found != frame->entries_.end() && found->second.known)
      return Slot{hops, found->second.slot};
  }
  return std::nullopt;
}

Symbols::Delta Symbols::TakeBack(size_t mark) {
  Delta delta;
  std::unordered_map<std::string, bool> seen;
  for (size_t i = mark; i < journal_.size(); ++i) {
    const std::string& name = journal_[i].first;
    if (!seen.emplace(name, true).second) continue;
    delta.emplace_back(name, entries_[name]);
  }
  while (journal_.size() > mark) {
    entries_[journal_.back().first] = std::move(journal_.back().second);
    journal_.pop_back();
  }
  return delta;
}

void Symbols::Merge(const std::vector<Delta>& branches) {
  std::unordered_map<std::string, size_t> stores;
  std::vector<std::string> order;
  for (const Delta& branch : branches) {
    for (const auto& [name, entry] : branch) {
      if (!entry.stored || entries_[name].stored) continue;
      if (stores[name]++ == 0) order.push_back(name);
    }
  }
  for (const Delta& branch : branches) {
    for (const auto& [name, entry] : branch) {
      Entry merged = entry;
      merged.stored = merged.stored || entries_[name].stored;
      Change(name, merged);
    }
  }
  for (const std::string& name : order) {
    if (stores[name] == branches.size()) continue;
    Entry changed = entries_[name];
    const std::optional<Slot> outer = FindOuter(name);
    changed.load = outer ? FrameLoad{FrameLoad::From::kOuter, *outer, name}
                         : FrameLoad{FrameLoad::From::kGlobal, {}, name};
    Change(name, changed);
  }
}

std::vector<FrameLoad> Symbols::Loads() const {
  std::vector<FrameLoad> loads(next_slot_);
  for (const auto& [name, entry] : entries_) {
    if (entry.known) loads[entry.slot] = entry.load;
  }
  return loads;
}

std::optional<Slot> Symbols::FindOuter(const std::string& name) const {
  return parent_ == nullptr ? std::nullopt : parent_->Find(name);
}

void Symbols::Define(const std::string& name, FrameLoad load) {
  const auto [found, is_new] = entries_.try_emplace(name);
  if (is_new) found->second.slot = next_slot_++;
  Entry changed = found->second;
  changed.known = true;
  changed.load = std::move(load);
  Change(name, changed);
}

void Symbols::Change(const std::string& name, const Entry& entry) {
  Entry& current = entries_[name];
  journal_.emplace_back(name, current);
  current = entry;
}

}  // namespace fastkv::jinja
