#include "eval/result_log.h"

#include <utility>

#include "base/limits.h"

namespace fastkv {

Result<ResultLines> ReadResultLines(FileSystem& files, const std::string& path) {
  FASTKV_ASSIGN_OR_RETURN(const std::string content,
                          files.ReadFile(path, limits::kMaxResultFileBytes));
  ResultLines lines;
  std::string_view rest = content;
  while (!rest.empty()) {
    const size_t end = rest.find('\n');
    const bool is_last = end == rest.npos || end + 1 == rest.size();
    Result<EvalRecord> record = ParseRecord(rest.substr(0, end));
    if (end == rest.npos || (is_last && !record.ok())) {
      lines.has_torn_end = true;
      break;
    }
    if (!record.ok()) {
      return FormatError(path + ": line " + std::to_string(lines.records.size() + 1) +
                         " is damaged: " + record.status().message() +
                         "; delete it and what follows to run that again");
    }
    lines.records.push_back(std::move(record).value());
    lines.num_bytes += end + 1;
    rest.remove_prefix(end + 1);
  }
  return lines;
}

Result<ResultLog> ResultLog::Open(FileSystem& files, const std::string& path) {
  ResultLog log;
  FASTKV_ASSIGN_OR_RETURN(const bool exists, files.Exists(path));
  if (!exists) {
    // Through WriteFile, so that the file's name is durable too.
    FASTKV_RETURN_IF_ERROR(files.WriteFile(path, ""));
  } else {
    FASTKV_ASSIGN_OR_RETURN(ResultLines lines, ReadResultLines(files, path));
    log.records_ = std::move(lines.records);
    log.had_torn_end_ = lines.has_torn_end;
    if (lines.has_torn_end) {
      FASTKV_ASSIGN_OR_RETURN(const std::string content,
                              files.ReadFile(path, limits::kMaxResultFileBytes));
      FASTKV_RETURN_IF_ERROR(files.WriteFile(path, content.substr(0, lines.num_bytes)));
    }
  }
  FASTKV_ASSIGN_OR_RETURN(log.file_, files.OpenForAppend(path));
  return log;
}

Status ResultLog::Append(EvalRecord record) {
  FASTKV_RETURN_IF_ERROR(file_->Append(RecordLine(record)));
  FASTKV_RETURN_IF_ERROR(file_->Sync());
  records_.push_back(std::move(record));
  return OkStatus();
}

}  // namespace fastkv
