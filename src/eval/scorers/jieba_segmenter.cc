#include "eval/scorers/jieba_segmenter.h"

#include <array>

#include "eval/scorers/python_text.h"
#include "text/unicode_utf8.h"

namespace fastkv {
namespace {

constexpr uint64_t kMaxDictionaryBytes = 64ull << 20;
constexpr uint64_t kMaxTableBytes = 16ull << 20;

// What the dictionary looks at; all else is cut into single characters.
bool IsWordCharacter(char32_t c) {
  constexpr std::u32string_view kMarks = U"+#&._%-";
  return IsHan(c) || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         kMarks.find(c) != kMarks.npos;
}

std::string ToUtf8(std::u32string_view characters) {
  std::string text;
  for (const char32_t c : characters) AppendUtf8(c, text);
  return text;
}

Result<std::string> ReadText(FileSystem& files, const std::string& path, uint64_t max_bytes) {
  FASTKV_ASSIGN_OR_RETURN(std::string text, files.ReadFile(path, max_bytes));
  if (const auto invalid = FindInvalidUtf8(text)) {
    return FormatError(path + ": expected UTF-8, byte " + std::to_string(*invalid) + " is not");
  }
  return text;
}

}  // namespace

Result<std::unique_ptr<JiebaSegmenter>> JiebaSegmenter::Load(FileSystem& files,
                                                             const std::string& folder) {
  const std::string dictionary_path = JoinPath(folder, "dict.txt");
  FASTKV_ASSIGN_OR_RETURN(const std::string words,
                          ReadText(files, dictionary_path, kMaxDictionaryBytes));
  std::array<std::string, 3> tables;
  constexpr std::array<std::string_view, 3> kNames = {"prob_start.py", "prob_trans.py",
                                                      "prob_emit.py"};
  const std::string model_folder = JoinPath(folder, "finalseg");
  for (size_t i = 0; i < kNames.size(); ++i) {
    FASTKV_ASSIGN_OR_RETURN(tables[i],
                            ReadText(files, JoinPath(model_folder, kNames[i]), kMaxTableBytes));
  }
  Result<JiebaDictionary> dictionary = JiebaDictionary::Parse(words);
  if (!dictionary.ok()) return dictionary.status().WithContext(dictionary_path);
  Result<JiebaHmm> hmm = JiebaHmm::Parse(tables[0], tables[1], tables[2]);
  if (!hmm.ok()) return hmm.status().WithContext(model_folder);
  return std::make_unique<JiebaSegmenter>(std::move(dictionary).value(), std::move(hmm).value());
}

std::vector<std::string> JiebaSegmenter::Segment(std::string_view text) const {
  const std::u32string characters = CodePoints(text);
  std::vector<std::string> words;
  for (size_t begin = 0; begin < characters.size();) {
    size_t end = begin;
    while (end < characters.size() && IsWordCharacter(characters[end])) ++end;
    if (end > begin) {
      SegmentRun(std::u32string_view(characters).substr(begin, end - begin), words);
      begin = end;
    } else {
      const bool line_end = std::u32string_view(characters).substr(begin).starts_with(U"\r\n");
      end = begin + (line_end ? 2 : 1);
      words.push_back(ToUtf8(std::u32string_view(characters).substr(begin, end - begin)));
      begin = end;
    }
  }
  return words;
}

void JiebaSegmenter::SegmentRun(std::u32string_view run, std::vector<std::string>& words) const {
  const std::vector<size_t> ends = dictionary_.BestEnds(run);
  size_t gathered = 0;  // one-character words that stand side by side begin here
  const auto end_gathering = [&](size_t end) {
    const std::u32string_view singles = run.substr(gathered, end - gathered);
    if (singles.size() >= 2 && dictionary_.Frequency(singles) == 0) {
      for (const std::u32string_view word : hmm_.Segment(singles)) words.push_back(ToUtf8(word));
    } else {
      for (const char32_t c : singles) words.push_back(ToUtf8({&c, 1}));
    }
  };
  for (size_t begin = 0; begin < run.size(); begin = ends[begin]) {
    if (ends[begin] == begin + 1) continue;
    end_gathering(begin);
    words.push_back(ToUtf8(run.substr(begin, ends[begin] - begin)));
    gathered = ends[begin];
  }
  end_gathering(run.size());
}

}  // namespace fastkv
