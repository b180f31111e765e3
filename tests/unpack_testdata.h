// Test data that the repository holds packed, as folders.
#ifndef FASTKV_TESTS_UNPACK_TESTDATA_H_
#define FASTKV_TESTS_UNPACK_TESTDATA_H_

#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "base/check.h"
#include "io/temp_folder.h"

namespace fastkv {

// The folder with the content of tests/testdata/<name>.tar.xz: unpacked once for the process and
// removed when it ends. Aborts when that fails. Thread-safe. REQUIRES: the current folder is the
// project's root.
inline std::string UnpackedTestArchive(const std::string& name) {
  static std::mutex mutex;
  static std::map<std::string, std::unique_ptr<TempFolder>> folders;
  const std::lock_guard<std::mutex> lock(mutex);
  std::unique_ptr<TempFolder>& folder = folders[name];
  if (folder == nullptr) {
    auto fresh = std::make_unique<TempFolder>();
    const std::string command =
        "tar -xJf 'tests/testdata/" + name + ".tar.xz' -C '" + fresh->path() + "'";
    FASTKV_CHECK_MSG(std::system(command.c_str()) == 0, command.c_str());
    folder = std::move(fresh);
  }
  return folder->path();
}

}  // namespace fastkv

#endif  // FASTKV_TESTS_UNPACK_TESTDATA_H_
