#include "io/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "io/fault_file_system.h"
#include "io/temp_folder.h"

namespace fastkv {
namespace {

using testing::AnyOf;
using testing::HasSubstr;

void Write(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary) << content;
}

std::string Content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

int64_t CountEntries(const std::string& folder) {
  return std::distance(std::filesystem::directory_iterator(folder),
                       std::filesystem::directory_iterator());
}

class FileTest : public testing::Test {
 protected:
  FileSystem& files_ = RealFileSystem();
  TempFolder folder_;
};

TEST_F(FileTest, ReadsWholeFiles) {
  const std::string text = std::string(200'000, 'x') + '\0' + "end";
  Write(folder_.File("a"), text);
  Write(folder_.File("empty"), "");
  EXPECT_EQ(*files_.ReadFile(folder_.File("a"), text.size()), text);
  EXPECT_EQ(*files_.ReadFile(folder_.File("empty"), 0), "");
  EXPECT_THAT(*files_.ReadFile("/proc/self/status", 1 << 20), HasSubstr("Pid:"));
}

TEST_F(FileTest, RefusesFilesAboveTheLimit) {
  Write(folder_.File("a"), "12345");
  const Status status = files_.ReadFile(folder_.File("a"), 4).status();
  EXPECT_EQ(status.code(), StatusCode::kLimit);
  EXPECT_THAT(status.message(), HasSubstr(folder_.File("a")));
  EXPECT_EQ(files_.ReadFile("/proc/self/status", 10).status().code(), StatusCode::kLimit)
      << "whose stated size is 0";
}

TEST_F(FileTest, OpensRegularFilesOnlyAndNeverBlocks) {
  ASSERT_EQ(mkfifo(folder_.File("fifo").c_str(), 0600), 0);
  std::filesystem::create_symlink("loop", folder_.File("loop"));
  for (const std::string& path :
       {folder_.path(), folder_.File("fifo"), folder_.File("missing"), folder_.File("loop"),
        folder_.File("missing/below"), std::string("/dev/zero"), std::string("/dev/null"),
        std::string(""), std::string("a\0b", 3), std::string(5000, 'n')}) {
    EXPECT_EQ(files_.ReadFile(path, 100).status().code(), StatusCode::kNotFound) << path;
    EXPECT_EQ(files_.Map(path).status().code(), StatusCode::kNotFound) << path;
  }
  for (const std::string& path : {folder_.path(), folder_.File("fifo"), std::string("/dev/null")}) {
    EXPECT_EQ(files_.WriteFile(path, "x").code(), StatusCode::kNotFound) << path;
    EXPECT_EQ(files_.OpenForAppend(path).status().code(), StatusCode::kNotFound) << path;
  }
}

TEST_F(FileTest, TellsWhatIsThere) {
  Write(folder_.File("a"), "1");
  EXPECT_TRUE(*files_.Exists(folder_.File("a")));
  EXPECT_TRUE(*files_.Exists(folder_.path()));
  EXPECT_FALSE(*files_.Exists(folder_.File("b")));
  EXPECT_FALSE(*files_.Exists(folder_.File("a/b")));
  EXPECT_TRUE(*files_.IsDirectory(folder_.path()));
  EXPECT_FALSE(*files_.IsDirectory(folder_.File("a")));
  EXPECT_FALSE(*files_.IsDirectory(folder_.File("b")));
  EXPECT_FALSE(files_.Exists(std::string("a\0", 2)).ok());
}

TEST_F(FileTest, ResolvesLinks) {
  Write(folder_.File("a"), "1");
  std::filesystem::create_symlink("a", folder_.File("link"));
  EXPECT_EQ(*files_.RealPath(folder_.File("link")), folder_.File("a"));
  EXPECT_EQ(files_.RealPath(folder_.File("none")).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(files_.RealPath(std::string("\0", 1)).status().code(), StatusCode::kNotFound);
}

TEST_F(FileTest, WritesAndReplacesFiles) {
  const std::string path = folder_.File("a");
  ASSERT_TRUE(files_.WriteFile(path, "first").ok());
  EXPECT_EQ(Content(path), "first");
  ASSERT_TRUE(files_.WriteFile(path, "").ok());
  EXPECT_EQ(Content(path), "");
  EXPECT_EQ(CountEntries(folder_.path()), 1);
  const Status status = files_.WriteFile(folder_.File("none/b"), "x");
  EXPECT_EQ(status.code(), StatusCode::kNotFound);
  EXPECT_THAT(status.message(), HasSubstr(folder_.File("none/b") + ":"));
}

TEST_F(FileTest, WritingThroughALinkKeepsTheLink) {
  Write(folder_.File("a"), "old");
  std::filesystem::create_symlink("a", folder_.File("link"));
  ASSERT_TRUE(files_.WriteFile(folder_.File("link"), "new").ok());
  EXPECT_TRUE(std::filesystem::is_symlink(folder_.File("link")));
  EXPECT_EQ(Content(folder_.File("a")), "new");
}

TEST_F(FileTest, WritesIntoTheCurrentFolder) {
  const std::string name = "fastkv-file-test-" + std::to_string(getpid());
  EXPECT_TRUE(files_.WriteFile(name, "x").ok());
  EXPECT_EQ(Content(name), "x");
  std::filesystem::remove(name);
}

TEST_F(FileTest, Appends) {
  Write(folder_.File("log"), "1\n");
  for (const char* line : {"2\n", "3\n"}) {
    Result<std::unique_ptr<AppendFile>> log = files_.OpenForAppend(folder_.File("log"));
    ASSERT_TRUE(log.ok());
    EXPECT_TRUE((*log)->Append(line).ok());
    EXPECT_TRUE((*log)->Append("").ok());
    EXPECT_TRUE((*log)->Sync().ok());
  }
  EXPECT_EQ(Content(folder_.File("log")), "1\n2\n3\n");
  EXPECT_TRUE(files_.OpenForAppend(folder_.File("new")).ok());
  EXPECT_TRUE(*files_.Exists(folder_.File("new")));
}

TEST_F(FileTest, OneWriterAppendsAtATime) {
  const auto first = files_.OpenForAppend(folder_.File("log"));
  ASSERT_TRUE(first.ok());
  const Status second = files_.OpenForAppend(folder_.File("log")).status();
  EXPECT_EQ(second.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(second.message(), HasSubstr(folder_.File("log")));
}

TEST_F(FileTest, CreatesFoldersWithThoseAbove) {
  EXPECT_TRUE(files_.CreateDirectory(folder_.File("a/b/c")).ok());
  EXPECT_TRUE(*files_.IsDirectory(folder_.File("a/b/c")));
  EXPECT_TRUE(files_.CreateDirectory(folder_.File("a/b/c/")).ok()) << "again";
  Write(folder_.File("file"), "1");
  EXPECT_EQ(files_.CreateDirectory(folder_.File("file")).code(), StatusCode::kNotFound);
  EXPECT_EQ(files_.CreateDirectory(folder_.File("file/below")).code(), StatusCode::kNotFound);
  EXPECT_EQ(files_.CreateDirectory("").code(), StatusCode::kNotFound);
  EXPECT_EQ(files_.CreateDirectory(std::string("a\0b", 3)).code(), StatusCode::kNotFound);
}

TEST_F(FileTest, ListsFolders) {
  Write(folder_.File("b"), "1");
  Write(folder_.File("a"), "1");
  Write(folder_.File(".c"), "1");
  std::filesystem::create_directory(folder_.File("d"));
  EXPECT_THAT(*files_.ListDirectory(folder_.path()), testing::ElementsAre(".c", "a", "b", "d"));
  EXPECT_THAT(*files_.ListDirectory(folder_.File("d")), testing::IsEmpty());
  EXPECT_EQ(files_.ListDirectory(folder_.File("a")).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(files_.ListDirectory(folder_.File("e")).status().code(), StatusCode::kNotFound);
}

TEST_F(FileTest, FullDisksAreReported) {
  FaultFileSystem files(2, Fault::kNoSpace);
  const Status status = files.WriteFile(folder_.File("a"), "x");
  EXPECT_EQ(status.code(), StatusCode::kIo);
  EXPECT_THAT(status.message(), HasSubstr("No space left"));
}

TEST(JoinPath, PutsOneSlashBetween) {
  EXPECT_EQ(JoinPath("a", "b"), "a/b");
  EXPECT_EQ(JoinPath("a/", "b"), "a/b");
  EXPECT_EQ(JoinPath("/", "b"), "/b");
  EXPECT_EQ(JoinPath("", "b"), "b");
}

// Every operation of every call meets every fault once.
class FaultTest : public FileTest, public testing::WithParamInterface<Fault> {
 protected:
  // Faults that the file layer must make invisible.
  bool harmless() const { return GetParam() == Fault::kInterrupted || GetParam() == Fault::kShort; }
  void ExpectFailure(const Status& status) const {
    EXPECT_THAT(status.code(), AnyOf(StatusCode::kIo, StatusCode::kMemory)) << status.message();
    EXPECT_THAT(status.message(), HasSubstr(folder_.path()));
    EXPECT_EQ(status.message().find('\n'), std::string::npos);
  }
};

TEST_P(FaultTest, Read) {
  const std::string text(100'000, 'x');
  Write(folder_.File("a"), text);
  int64_t num_faults = 0;
  for (;; ++num_faults) {
    FaultFileSystem files(num_faults, GetParam());
    const Result<std::string> content = files.ReadFile(folder_.File("a"), 1 << 20);
    if (!files.reached()) break;
    if (harmless()) {
      ASSERT_TRUE(content.ok()) << content.status().message();
      EXPECT_EQ(*content, text);
    } else if (GetParam() == Fault::kEarlyEnd) {
      ASSERT_TRUE(content.ok());
      EXPECT_EQ(text.compare(0, content->size(), *content), 0);
    } else {
      ExpectFailure(content.status());
    }
  }
  EXPECT_GE(num_faults, 5) << "stat, open, stat, read, read";
}

TEST_P(FaultTest, Map) {
  Write(folder_.File("a"), "text");
  int64_t num_faults = 0;
  for (;; ++num_faults) {
    FaultFileSystem files(num_faults, GetParam());
    const Result<std::unique_ptr<MappedFile>> mapping = files.Map(folder_.File("a"));
    if (!files.reached()) break;
    if (harmless() || GetParam() == Fault::kEarlyEnd) {
      ASSERT_TRUE(mapping.ok());
      EXPECT_EQ((*mapping)->bytes().size(), 4u);
    } else {
      ExpectFailure(mapping.status());
    }
  }
  EXPECT_EQ(num_faults, 4) << "stat, open, stat, map";
}

TEST_P(FaultTest, Look) {
  for (int64_t k = 0;; ++k) {
    FaultFileSystem files(k, GetParam());
    const Status exists = files.Exists(folder_.path()).status();
    const Status directory = files.IsDirectory(folder_.path()).status();
    const Status resolved = files.RealPath(folder_.path()).status();
    if (!files.reached()) break;
    if (harmless() || GetParam() == Fault::kEarlyEnd) {
      EXPECT_TRUE(exists.ok() && directory.ok() && resolved.ok());
    } else {
      ExpectFailure(!exists.ok() ? exists : !directory.ok() ? directory : resolved);
    }
  }
}

TEST_P(FaultTest, Replace) {
  const std::string path = folder_.File("a");
  int64_t num_faults = 0;
  for (;; ++num_faults) {
    Write(path, "old");
    FaultFileSystem files(num_faults, GetParam());
    const Status status = files.WriteFile(path, "new");
    if (!files.reached()) break;
    if (harmless() || GetParam() == Fault::kEarlyEnd) {
      EXPECT_TRUE(status.ok()) << status.message();
    } else {
      ExpectFailure(status);
    }
    EXPECT_THAT(Content(path), AnyOf("old", "new")) << "never anything between";
    EXPECT_EQ(CountEntries(folder_.path()), 1) << "no temporary file stays";
  }
  EXPECT_GE(num_faults, 8) << "stat, resolve, open, write, sync, rename, open folder, sync folder";
}

TEST_P(FaultTest, Append) {
  const std::string path = folder_.File("log");
  int64_t num_faults = 0;
  for (;; ++num_faults) {
    Write(path, "old\n");
    FaultFileSystem files(num_faults, GetParam());
    Result<std::unique_ptr<AppendFile>> log = files.OpenForAppend(path);
    Status status = log.status();
    if (status.ok()) status = (*log)->Append("new\n");
    if (status.ok()) status = (*log)->Sync();
    if (!files.reached()) break;
    if (harmless() || GetParam() == Fault::kEarlyEnd) {
      EXPECT_TRUE(status.ok()) << status.message();
      EXPECT_EQ(Content(path), "old\nnew\n");
    } else {
      ExpectFailure(status);
      EXPECT_EQ(Content(path).compare(0, 4, "old\n"), 0);
    }
  }
  EXPECT_GE(num_faults, 5) << "stat, open, stat, write, sync";
}

TEST_P(FaultTest, Folders) {
  const std::string path = folder_.File("a/b");
  int64_t num_faults = 0;
  for (;; ++num_faults) {
    std::filesystem::remove_all(folder_.File("a"));
    FaultFileSystem files(num_faults, GetParam());
    Status status = files.CreateDirectory(path);
    if (status.ok()) status = files.ListDirectory(path).status();
    if (!files.reached()) break;
    if (harmless() || GetParam() == Fault::kEarlyEnd) {
      EXPECT_TRUE(status.ok()) << status.message();
    } else {
      EXPECT_THAT(status.code(), AnyOf(StatusCode::kIo, StatusCode::kMemory)) << status.message();
    }
  }
  EXPECT_GE(num_faults, 5) << "the folders above, two that are made, stat, list";
}

INSTANTIATE_TEST_SUITE_P(EveryFault, FaultTest,
                         testing::Values(Fault::kError, Fault::kNoSpace, Fault::kNoMemory,
                                         Fault::kInterrupted, Fault::kShort, Fault::kEarlyEnd));

}  // namespace
}  // namespace fastkv
