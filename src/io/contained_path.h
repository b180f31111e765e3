// Files that a model folder names, kept inside that folder.
#ifndef FASTKV_IO_CONTAINED_PATH_H_
#define FASTKV_IO_CONTAINED_PATH_H_

#include <string>

#include "base/status.h"
#include "io/file.h"

namespace fastkv {

// The path to open for the file `name` of `folder`, with links resolved. `name` must be a plain
// file name, and the file it leads to must lie in the folder. A snapshot folder of a Hugging Face
// cache
// (<repo>/snapshots/<revision>) may also lead into <repo>/blobs, which is how that cache stores
// files. Errors: kFormat (the name is no plain file name), kNotFound (missing, or outside the
// folder).
Result<std::string> ContainedPath(FileSystem& files, const std::string& folder,
                                  const std::string& name);

}  // namespace fastkv

#endif  // FASTKV_IO_CONTAINED_PATH_H_
