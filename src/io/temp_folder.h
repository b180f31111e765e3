// A folder of its own for a test, removed at the end with all that it holds.
#ifndef FASTKV_IO_TEMP_FOLDER_H_
#define FASTKV_IO_TEMP_FOLDER_H_

#include <stdlib.h>

#include <filesystem>
#include <string>
#include <system_error>

#include "base/check.h"

namespace fastkv {

class TempFolder {
 public:
  TempFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "fastkv-test-XXXXXX").string();
    FASTKV_CHECK_MSG(mkdtemp(name.data()) != nullptr, name.c_str());
    path_ = std::filesystem::canonical(name).string();
  }
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  // Absolute, without symbolic links.
  const std::string& path() const { return path_; }
  std::string File(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace fastkv

#endif  // FASTKV_IO_TEMP_FOLDER_H_
