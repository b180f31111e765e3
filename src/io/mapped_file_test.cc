#include "io/mapped_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "io/temp_folder.h"

namespace fastkv {
namespace {

constexpr size_t kFileBytes = 64 << 10;

class MappedFileTest : public testing::Test {
 protected:
  std::string NewFile(const std::string& name) {
    std::ofstream(folder_.File(name), std::ios::binary) << std::string(kFileBytes, 'x');
    return folder_.File(name);
  }
  std::unique_ptr<MappedFile> Map(const std::string& path) {
    return std::move(RealFileSystem().Map(path)).value();
  }
  TempFolder folder_;
};

char At(const MappedFile& mapping, size_t offset) {
  return static_cast<char>(*const_cast<const volatile std::byte*>(&mapping.bytes()[offset]));
}

int64_t CountEqual(const MappedFile& mapping, char wanted) {
  int64_t count = 0;
  for (size_t i = 0; i < mapping.bytes().size(); ++i) count += At(mapping, i) == wanted;
  return count;
}

TEST_F(MappedFileTest, ShowsTheFile) {
  const std::unique_ptr<MappedFile> mapping = Map(NewFile("a"));
  EXPECT_EQ(mapping->bytes().size(), kFileBytes);
  EXPECT_EQ(CountEqual(*mapping, 'x'), static_cast<int64_t>(kFileBytes));
  EXPECT_FALSE(mapping->damaged());
}

TEST_F(MappedFileTest, EmptyFilesMapToNothing) {
  std::ofstream(folder_.File("empty"));
  const std::unique_ptr<MappedFile> mapping = Map(folder_.File("empty"));
  EXPECT_TRUE(mapping->bytes().empty());
  EXPECT_FALSE(mapping->damaged());
}

TEST_F(MappedFileTest, TruncationReadsAsZerosAndIsReported) {
  const std::string path = NewFile("a");
  const std::unique_ptr<MappedFile> mapping = Map(path);
  const std::unique_ptr<MappedFile> other = Map(NewFile("b"));
  std::filesystem::resize_file(path, 4096 + 100);
  EXPECT_EQ(CountEqual(*mapping, 'x'), 4096 + 100);
  EXPECT_EQ(CountEqual(*mapping, 0), static_cast<int64_t>(kFileBytes) - 4096 - 100);
  EXPECT_TRUE(mapping->damaged());
  std::ofstream(path, std::ios::binary) << std::string(kFileBytes, 'x');
  EXPECT_TRUE(mapping->damaged()) << "stays so when the file grows again";
  EXPECT_EQ(CountEqual(*other, 'x'), static_cast<int64_t>(kFileBytes));
  EXPECT_FALSE(other->damaged());
}

TEST_F(MappedFileTest, TruncationToNothingIsSurvivedByManyThreads) {
  const std::string path = NewFile("a");
  const std::unique_ptr<MappedFile> mapping = Map(path);
  std::filesystem::resize_file(path, 0);
  std::vector<std::thread> threads;
  std::vector<int64_t> num_zeros(4, 0);
  for (int64_t& count : num_zeros) {
    threads.emplace_back([&mapping, &count] { count = CountEqual(*mapping, 0); });
  }
  for (std::thread& thread : threads) thread.join();
  for (int64_t count : num_zeros) EXPECT_EQ(count, static_cast<int64_t>(kFileBytes));
  EXPECT_TRUE(mapping->damaged());
}

TEST_F(MappedFileTest, RewritingInPlaceIsReported) {
  const std::string path = NewFile("a");
  const std::unique_ptr<MappedFile> mapping = Map(path);
  std::fstream(path, std::ios::binary | std::ios::in | std::ios::out) << "new";
  std::filesystem::last_write_time(
      path, std::filesystem::last_write_time(path) + std::chrono::seconds(1));
  EXPECT_TRUE(mapping->damaged());
}

TEST_F(MappedFileTest, UnlinkedAndReplacedFilesStayReadable) {
  const std::unique_ptr<MappedFile> unlinked = Map(NewFile("a"));
  const std::unique_ptr<MappedFile> replaced = Map(NewFile("b"));
  std::filesystem::remove(folder_.File("a"));
  ASSERT_TRUE(RealFileSystem().WriteFile(folder_.File("b"), "short").ok());
  for (const MappedFile* mapping : {unlinked.get(), replaced.get()}) {
    EXPECT_EQ(CountEqual(*mapping, 'x'), static_cast<int64_t>(kFileBytes));
    EXPECT_FALSE(mapping->damaged());
  }
}

TEST_F(MappedFileTest, ARangeUsedAgainStartsUndamaged) {
  const std::string path = NewFile("a");
  for (int round = 0; round < 3; ++round) {
    const std::unique_ptr<MappedFile> mapping = Map(NewFile("a"));
    EXPECT_FALSE(mapping->damaged());
    std::filesystem::resize_file(path, 0);
    EXPECT_EQ(At(*mapping, 5000), 0);
    EXPECT_TRUE(mapping->damaged());
  }
}

using MappedFileDeathTest = MappedFileTest;

TEST_F(MappedFileDeathTest, OtherBusErrorsStillEndTheProcess) {
  const std::string path = NewFile("a");
  const std::unique_ptr<MappedFile> mapping = Map(path);
  EXPECT_DEATH(raise(SIGBUS), "");
  const int fd = open(path.c_str(), O_RDONLY);
  void* unguarded = mmap(nullptr, kFileBytes, PROT_READ, MAP_PRIVATE, fd, 0);
  std::filesystem::resize_file(path, 0);
  EXPECT_DEATH((void)*static_cast<volatile char*>(unguarded), "");
  munmap(unguarded, kFileBytes);
  close(fd);
}

TEST_F(MappedFileDeathTest, AnEarlierHandlerStillHears) {
  // In a process of its own, for the handler is installed once.
  const auto earlier_handler_hears = [&](bool with_info) {
    struct sigaction action = {};
    if (with_info) {
      action.sa_flags = SA_SIGINFO;
      action.sa_sigaction = [](int, siginfo_t*, void*) { _exit(41); };
    } else {
      action.sa_handler = [](int) { _exit(42); };
    }
    sigaction(SIGBUS, &action, nullptr);
    const std::unique_ptr<MappedFile> mapping = Map(NewFile("a"));
    raise(SIGBUS);
    _exit(0);
  };
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(earlier_handler_hears(true), testing::ExitedWithCode(41), "");
  EXPECT_EXIT(earlier_handler_hears(false), testing::ExitedWithCode(42), "");
}

}  // namespace
}  // namespace fastkv
