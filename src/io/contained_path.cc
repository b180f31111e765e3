#include "io/contained_path.h"

#include <string_view>

#include "io/quoted.h"

namespace fastkv {
namespace {

bool LiesBelow(std::string_view path, std::string_view folder) {
  // The root folder alone ends in a slash.
  if (folder == "/") folder = "";
  return path.size() > folder.size() + 1 && path.substr(0, folder.size()) == folder &&
         path[folder.size()] == '/';
}

// <repo>/blobs for <repo>/snapshots/<revision>, or "" for any other folder.
std::string BlobsFolderFor(const std::string& real_folder) {
  const size_t revision = real_folder.rfind('/');
  if (revision == std::string::npos) return "";
  const std::string_view snapshots = std::string_view(real_folder).substr(0, revision);
  constexpr std::string_view kSuffix = "/snapshots";
  if (snapshots.size() <= kSuffix.size() ||
      snapshots.substr(snapshots.size() - kSuffix.size()) != kSuffix) {
    return "";
  }
  return std::string(snapshots.substr(0, snapshots.size() - kSuffix.size())) + "/blobs";
}

}  // namespace

Result<std::string> ContainedPath(FileSystem& files, const std::string& folder,
                                  const std::string& name) {
  if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos ||
      name.find('\0') != std::string::npos) {
    return FormatError("expected the plain name of a file in the same folder, found " +
                       Quoted(name));
  }
  FASTKV_ASSIGN_OR_RETURN(const std::string real_folder, files.RealPath(folder));
  FASTKV_ASSIGN_OR_RETURN(std::string real_path, files.RealPath(JoinPath(folder, name)));
  if (LiesBelow(real_path, real_folder)) return real_path;
  const std::string blobs = BlobsFolderFor(real_folder);
  if (!blobs.empty() && LiesBelow(real_path, blobs)) return real_path;
  return NotFoundError("cannot open " + JoinPath(folder, name) +
                       ": it leads out of its folder to " + real_path +
                       "; copy the file into the folder");
}

}  // namespace fastkv
