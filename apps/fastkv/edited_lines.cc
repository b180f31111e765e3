#include <histedit.h>
#include <unistd.h>

#include <clocale>
#include <cstdio>
#include <cwchar>

#include "fastkv/line_source.h"

namespace fastkv {
namespace {

constexpr int kHistoryLines = 1000;

class EditedLines final : public LineSource {
 public:
  explicit EditedLines(InputWaiter& waiter) : waiter_(waiter) {}
  ~EditedLines() override {
    if (editor_ != nullptr) el_end(editor_);
    if (history_ != nullptr) history_end(history_);
  }
  EditedLines(const EditedLines&) = delete;
  EditedLines& operator=(const EditedLines&) = delete;

  Status Open() {
    // Letters beyond ASCII are edited as one character each.
    if (std::setlocale(LC_CTYPE, "") == nullptr || MB_CUR_MAX == 1) {
      std::setlocale(LC_CTYPE, "C.UTF-8");
    }
    editor_ = el_init("fastkv", stdin, stdout, stderr);
    history_ = history_init();
    if (editor_ == nullptr || history_ == nullptr) {
      return IoError(
          "the terminal cannot be used for line editing; give the messages through a pipe");
    }
    HistEvent event;
    history(history_, &event, H_SETSIZE, kHistoryLines);
    history(history_, &event, H_SETUNIQUE, 1);
    el_set(editor_, EL_CLIENTDATA, this);
    el_set(editor_, EL_PROMPT, &EditedLines::Prompt);
    el_set(editor_, EL_EDITOR, "emacs");
    el_set(editor_, EL_HIST, history, history_);
    el_set(editor_, EL_GETCFN, &EditedLines::ReadCharacter);
    el_source(editor_, nullptr);
    return OkStatus();
  }

  Result<InputLine> Read(const std::string& prompt) override {
    prompt_ = prompt;
    wakening_ = Wakening::kInput;
    el_resize(editor_);
    int count = 0;
    const char* line = el_gets(editor_, &count);
    if (wakening_ != Wakening::kInput) {
      std::fputs("\n", stdout);
      std::fflush(stdout);
      return InputLine{.kind = wakening_ == Wakening::kInterrupt ? InputLine::Kind::kInterrupted
                                                                 : InputLine::Kind::kTerminated};
    }
    if (line == nullptr || count <= 0) {
      std::fputs("\n", stdout);
      std::fflush(stdout);
      return InputLine{.kind = InputLine::Kind::kEnd};
    }
    InputLine read{.text = std::string(line, static_cast<size_t>(count))};
    while (!read.text.empty() && (read.text.back() == '\n' || read.text.back() == '\r')) {
      read.text.pop_back();
    }
    return read;
  }

  void Remember(const std::string& message) override {
    HistEvent event;
    history(history_, &event, H_ENTER, message.c_str());
  }

  bool interactive() const override { return true; }

 private:
  static EditedLines* Of(EditLine* editor) {
    EditedLines* lines = nullptr;
    el_get(editor, EL_CLIENTDATA, &lines);
    return lines;
  }

  static char* Prompt(EditLine* editor) { return Of(editor)->prompt_.data(); }

  // One character of the terminal; 0 at its end, -1 where a signal came first.
  static int ReadCharacter(EditLine* editor, wchar_t* character) {
    EditedLines& lines = *Of(editor);
    std::mbstate_t state = {};
    while (true) {
      lines.wakening_ = lines.waiter_.Wait(STDIN_FILENO);
      if (lines.wakening_ != Wakening::kInput) return -1;
      char byte = 0;
      const ssize_t count = read(STDIN_FILENO, &byte, 1);
      if (count <= 0) return static_cast<int>(count);
      const size_t used = std::mbrtowc(character, &byte, 1, &state);
      if (used == static_cast<size_t>(-2)) continue;
      if (used == static_cast<size_t>(-1)) {
        state = {};
        *character = L'?';
      }
      return 1;
    }
  }

  InputWaiter& waiter_;
  EditLine* editor_ = nullptr;
  History* history_ = nullptr;
  std::string prompt_;
  Wakening wakening_ = Wakening::kInput;
};

}  // namespace

Result<std::unique_ptr<LineSource>> CreateEditedLines(InputWaiter& waiter) {
  auto lines = std::make_unique<EditedLines>(waiter);
  FASTKV_RETURN_IF_ERROR(lines->Open());
  return std::unique_ptr<LineSource>(std::move(lines));
}

}  // namespace fastkv
