// Data files of public benchmarks: one JSON object a line, up to gigabytes in all.
#ifndef FASTKV_EVAL_SUITES_BENCHMARK_FILE_H_
#define FASTKV_EVAL_SUITES_BENCHMARK_FILE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "io/file.h"
#include "io/json.h"

namespace fastkv {

// Mapped; lines are parsed when they are asked for. Thread-safe after Open.
class BenchmarkFile {
 public:
  // Errors: those of FileSystem.
  static Result<BenchmarkFile> Open(FileSystem& files, const std::string& path);

  // Lines that are not blank.
  int64_t num_lines() const { return static_cast<int64_t>(lines_.size()); }

  // The object on line `index` of these. Errors: kFormat with path and line number, for what is no
  // object; kIo when the file changed underneath.
  Result<Json> Line(int64_t index) const;

  // The number of that line in the file, from 1 on: the id of a sample, since benchmarks' own are
  // missing or not unique.
  int64_t LineNumber(int64_t index) const { return lines_[static_cast<size_t>(index)].number; }

  const std::string& path() const { return path_; }

  // Of the whole content, as text (io/content_hash.h). Reads all of it.
  std::string Hash() const;

 private:
  struct LineSpan {
    std::string_view text;
    int64_t number;
  };

  std::string path_;
  std::unique_ptr<MappedFile> file_;
  std::vector<LineSpan> lines_;
};

// The list of strings in a field of a record. Errors: kFormat names the field.
Result<std::vector<std::string>> StringList(const JsonFields& fields, std::string_view name);

}  // namespace fastkv

#endif  // FASTKV_EVAL_SUITES_BENCHMARK_FILE_H_
