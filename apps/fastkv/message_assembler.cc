#include "fastkv/message_assembler.h"

#include <utility>

namespace fastkv {
namespace {

constexpr std::string_view kQuotes = "\"\"\"";

}  // namespace

std::optional<std::string> MessageAssembler::Take(std::string_view line) {
  if (!open() && line.starts_with(kQuotes)) {
    in_block_ = true;
    line.remove_prefix(kQuotes.size());
    // Marks alone on their line are no line of the message.
    if (line.empty()) return std::nullopt;
  }
  if (in_block_) {
    const bool closes = line.ends_with(kQuotes);
    if (closes) line.remove_suffix(kQuotes.size());
    text_ += line;
    if (!closes) text_ += '\n';
    if (!closes) return std::nullopt;
    if (line.empty() && text_.ends_with('\n')) text_.pop_back();
    return Finish();
  }
  continues_ = line.ends_with('\\');
  if (continues_) line.remove_suffix(1);
  text_ += line;
  if (!continues_) return Finish();
  text_ += '\n';
  return std::nullopt;
}

std::optional<std::string> MessageAssembler::TakeRest() {
  if (!open()) return std::nullopt;
  if (text_.ends_with('\n')) text_.pop_back();
  return Finish();
}

std::string MessageAssembler::Finish() {
  std::string text = std::move(text_);
  Clear();
  return text;
}

void MessageAssembler::Clear() {
  text_.clear();
  in_block_ = false;
  continues_ = false;
}

}  // namespace fastkv
