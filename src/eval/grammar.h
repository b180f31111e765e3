// Word lists and sentence patterns of the built-in tasks. A pattern holds {slot}s; filling one puts
// a word in each slot's place.
#ifndef FASTKV_EVAL_GRAMMAR_H_
#define FASTKV_EVAL_GRAMMAR_H_

#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/random.h"
#include "base/status.h"

namespace fastkv {

// Immutable after Parse; thread-safe.
class Grammar {
 public:
  // The pieces that turn a context and a question into a prompt with an open assistant turn.
  struct Chat {
    std::string user_open;
    std::string turn_close;
    std::string assistant_open;
    std::string between_context_and_question;
  };
  using Bindings = std::initializer_list<std::pair<std::string_view, std::string_view>>;

  // The grammar compiled into the program; parsed on the first call, lives as long as the process.
  static const Grammar& BuiltIn();

  // Errors: kFormat when a list, a chat piece or the list behind a slot is missing or empty.
  static Result<Grammar> Parse(std::string_view json);

  const Chat& chat() const { return chat_; }

  // REQUIRES: `name` is one of the lists that Parse demands.
  const std::vector<std::string>& List(std::string_view name) const;

  // A uniform draw from a list. REQUIRES: as List.
  const std::string& Draw(std::string_view name, Random& random) const;

  // `pattern` with each slot replaced by its binding, else by a draw of its own from the list of
  // that name ({when_cap}: from `when`, first letter capital). Replacements are not read again.
  // REQUIRES: every slot is bound or names a list.
  std::string Fill(std::string_view pattern, Bindings bindings, Random& random) const;

 private:
  Grammar() = default;
  std::string FillSlot(std::string_view slot, Bindings bindings, Random& random) const;
  Status CheckProseSlots() const;

  std::map<std::string, std::vector<std::string>, std::less<>> lists_;
  Chat chat_;
};

}  // namespace fastkv

#endif  // FASTKV_EVAL_GRAMMAR_H_
