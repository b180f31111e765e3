#include "eval/suites/benchmark_file.h"

#include <utility>

#include "io/content_hash.h"

namespace fastkv {

Result<BenchmarkFile> BenchmarkFile::Open(FileSystem& files, const std::string& path) {
  BenchmarkFile file;
  file.path_ = path;
  FASTKV_ASSIGN_OR_RETURN(file.file_, files.Map(path));
  const auto bytes = file.file_->bytes();
  std::string_view rest(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (rest.starts_with("\xEF\xBB\xBF")) rest.remove_prefix(3);
  for (int64_t number = 1; !rest.empty(); ++number) {
    const size_t end = rest.find('\n');
    const std::string_view line = rest.substr(0, end);
    if (line.find_first_not_of(" \t\r") != line.npos) file.lines_.push_back({line, number});
    rest.remove_prefix(end == rest.npos ? rest.size() : end + 1);
  }
  return file;
}

Result<Json> BenchmarkFile::Line(int64_t index) const {
  const LineSpan& line = lines_[static_cast<size_t>(index)];
  const std::string where = path_ + " line " + std::to_string(line.number);
  Result<Json> json = ParseJson(line.text);
  if (file_->damaged()) return IoError(path_ + " changed while it was read; copy it again");
  if (!json.ok()) return json.status().WithContext(where);
  if (!json->is_object()) {
    return FormatError(where + ": expected a JSON object, got " + json->type_name());
  }
  return json;
}

std::string BenchmarkFile::Hash() const { return HashText(ContentHash(file_->bytes())); }

Result<std::vector<std::string>> StringList(const JsonFields& fields, std::string_view name) {
  const Json* list = fields.Find(name);
  std::vector<std::string> strings;
  const bool is_list = list != nullptr && list->is_array();
  if (is_list) {
    for (const Json& item : *list) {
      if (item.is_string()) strings.push_back(item.get<std::string>());
    }
  }
  if (!is_list || strings.size() != list->size()) {
    return FormatError(fields.context() + ": expected a list of strings as '" + std::string(name) +
                       "'" + (list == nullptr ? ", found none" : ""));
  }
  return strings;
}

}  // namespace fastkv
