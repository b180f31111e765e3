#include "eval/timing_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "io/memory_file_system.h"

namespace fastkv {
namespace {

using ::testing::SizeIs;

EvalTiming Timing(int64_t sample, const std::string& run, double prefill_ms) {
  return {.sample = sample,
          .run = run,
          .length = 1024,
          .prefill_ms = prefill_ms,
          .runs_in_prefill = 2,
          .decode_ms_per_token = prefill_ms / 8};
}

TEST(TimingLog, TheLastOfAResultCounts) {
  MemoryFileSystem files;
  {
    auto log = TimingLog::Open(files, "out");
    ASSERT_TRUE(log.ok());
    ASSERT_TRUE(log->Append(Timing(1, "full", 8)).ok());
    ASSERT_TRUE(log->Append(Timing(0, "full", 4)).ok());
    ASSERT_TRUE(log->Append(Timing(1, "full", 16)).ok());
  }
  const auto timings = ReadTimings(files, "out");
  ASSERT_TRUE(timings.ok());
  ASSERT_THAT(*timings, SizeIs(2));
  EXPECT_EQ((*timings)[0].sample, 0);
  EXPECT_EQ((*timings)[1].prefill_ms, 16);
}

TEST(TimingLog, ATornLineIsLeftOutAndDoesNotSpoilTheNext) {
  MemoryFileSystem files;
  files.Put("out/timings.jsonl", "{\"sample\":0,\"ru");
  auto log = TimingLog::Open(files, "out");
  ASSERT_TRUE(log.ok());
  ASSERT_TRUE(log->Append(Timing(3, "full", 4)).ok());
  const auto timings = ReadTimings(files, "out");
  ASSERT_THAT(*timings, SizeIs(1));
  EXPECT_EQ((*timings)[0].sample, 3);
  EXPECT_THAT(*ReadTimings(files, "nowhere"), SizeIs(0));
}

TEST(TimingLog, TheTableHoldsMedians) {
  const std::vector<EvalTiming> timings = {Timing(0, "b", 1), Timing(1, "b", 3), Timing(2, "b", 8),
                                           Timing(0, "a", 2), Timing(1, "a", 4)};
  EXPECT_EQ(TimingTable(timings, {"b", "a"}),
            "run,length,samples,prefill_ms,runs_in_prefill,decode_ms_per_token\n"
            "b,1024,3,3.000,2,0.3750\n"
            "a,1024,2,3.000,2,0.3750\n");
}

}  // namespace
}  // namespace fastkv
