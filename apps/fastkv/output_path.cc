#include "fastkv/output_path.h"

#include "io/file.h"
#include "io/quoted.h"

namespace fastkv {

Status CheckOutputPath(const std::string& flag, const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == path.npos || slash == 0) return OkStatus();
  const std::string folder = path.substr(0, slash);
  const Result<bool> is_folder = RealFileSystem().IsDirectory(folder);
  if (is_folder.ok() && is_folder.value()) return OkStatus();
  return InvalidArgumentError(flag + ": expected a path in an existing folder, but " +
                              Quoted(folder) + " is none; create it first");
}

}  // namespace fastkv
