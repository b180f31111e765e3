#include "fastkv/tokenize.h"

#include <memory>
#include <vector>

#include "base/limits.h"
#include "fastkv/model_flags.h"
#include "io/json.h"
#include "text/tokenizer.h"

namespace fastkv {
namespace {

Result<std::string> ReadText(std::istream& in) {
  std::string text;
  char chunk[1 << 16];
  while (in.read(chunk, sizeof(chunk)), in.gcount() > 0) {
    text.append(chunk, static_cast<size_t>(in.gcount()));
    if (text.size() > limits::kMaxPromptFileBytes) {
      return LimitError("the text on standard input is longer than " +
                        std::to_string(limits::kMaxPromptFileBytes) + " bytes");
    }
  }
  return text;
}

Result<std::vector<std::string>> ReadBatch(const std::string& path) {
  FASTKV_ASSIGN_OR_RETURN(const Json json,
                          ReadJsonFile(RealFileSystem(), path, limits::kMaxPromptFileBytes));
  if (!json.is_array()) {
    return FormatError(path + ": expected a JSON array of texts, got " + json.type_name());
  }
  std::vector<std::string> texts;
  for (const Json& item : json) {
    if (!item.is_string()) {
      return FormatError(path + ": element " + std::to_string(texts.size()) +
                         " must be a text, got " + item.type_name());
    }
    texts.push_back(item.get<std::string>());
  }
  return texts;
}

Result<std::string> Line(const Tokenizer& tokenizer, const std::string& text, bool json) {
  FASTKV_ASSIGN_OR_RETURN(const std::vector<int32_t> ids, tokenizer.Encode(text, {}));
  if (json) {
    Json report;
    report["ids"] = ids;
    report["text"] = tokenizer.Decode(ids);
    return DumpJson(report);
  }
  std::string line;
  for (const int32_t id : ids) {
    if (!line.empty()) line += ' ';
    line += std::to_string(id);
  }
  return line;
}

}  // namespace

void AddTokenizeOptions(CLI::App& command, TokenizeOptions& options) {
  command.add_option(
      "-m,--model", options.model,
      "Model folder or GGUF file, of which only the tokenizer is read [default: the needle model]");
  command.add_option("--batch", options.batch_file,
                     "File with a JSON array of texts, instead of standard input");
  command.add_flag("--json", options.json, "Print JSON with ids and the text decoded back");
}

Status RunTokenize(const TokenizeOptions& options, std::istream& in, std::ostream& out) {
  FASTKV_ASSIGN_OR_RETURN(const std::string folder,
                          ResolveModelPath(RealFileSystem(), options.model));
  FASTKV_ASSIGN_OR_RETURN(const std::unique_ptr<Tokenizer> tokenizer,
                          Tokenizer::Load(RealFileSystem(), folder));
  if (options.batch_file.empty()) {
    FASTKV_ASSIGN_OR_RETURN(const std::string text, ReadText(in));
    FASTKV_ASSIGN_OR_RETURN(const std::string line, Line(*tokenizer, text, options.json));
    out << line << '\n';
    return OkStatus();
  }
  FASTKV_ASSIGN_OR_RETURN(const std::vector<std::string> texts, ReadBatch(options.batch_file));
  std::vector<std::string> lines;
  for (const std::string& text : texts) {
    Result<std::string> line = Line(*tokenizer, text, options.json);
    if (!line.ok()) {
      return line.status().WithContext(options.batch_file + ": element " +
                                       std::to_string(lines.size()));
    }
    lines.push_back(std::move(line).value());
  }
  if (options.json) out << '[';
  for (size_t i = 0; i < lines.size(); ++i) {
    if (options.json && i > 0) out << ",\n ";
    out << lines[i];
    if (!options.json) out << '\n';
  }
  if (options.json) out << "]\n";
  return OkStatus();
}

}  // namespace fastkv
