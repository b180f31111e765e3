// Every allocation and every file operation of a short run is made to fail once: the failure is an
// error value, and the next run succeeds. Also: cancelling, and weights that give no finite output.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <new>
#include <string>
#include <utility>

#include "io/fault_file_system.h"
#include "io/temp_folder.h"
#include "tests/engine/engine_fixture.h"
#include "tests/unpack_testdata.h"

namespace {

// Counts down to the one operator new of this thread that fails.
thread_local int64_t news_until_failure = std::numeric_limits<int64_t>::max();

}  // namespace

// gcc takes malloc behind operator new for a mismatch when it inlines one but not the other.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
void* operator new(size_t num_bytes) {
  if (--news_until_failure == 0) throw std::bad_alloc();
  void* data = std::malloc(num_bytes);
  if (data == nullptr) throw std::bad_alloc();
  return data;
}
// std::stable_sort asks this one, and does without where it fails.
void* operator new(size_t num_bytes, const std::nothrow_t& /*tag*/) noexcept {
  return --news_until_failure == 0 ? nullptr : std::malloc(num_bytes);
}
void operator delete(void* data) noexcept { std::free(data); }
void operator delete(void* data, size_t /*num_bytes*/) noexcept { std::free(data); }
#pragma GCC diagnostic pop

namespace fastkv {
namespace {

// All faults with FASTKV_ALL_FAULTS set, else every kSampleStep-th.
constexpr int64_t kSampleStep = 13;

int64_t FaultStep() { return std::getenv("FASTKV_ALL_FAULTS") != nullptr ? 1 : kSampleStep; }

std::string TinyModel() { return UnpackedTestArchive("golden_models") + "/qwen3"; }

std::vector<int32_t> PromptIds() {
  std::vector<int32_t> ids(120);
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>((i * 37 + 11) % 512);
  return ids;
}

// Loads, prefills and generates 8 tokens. What it needs is made beforehand, so that a fault meets
// the library and not the test.
class ShortRun {
 public:
  ShortRun(const std::string& method, Allocator* allocator, KvType kv_type = KvType::kAuto)
      : options_{.model_path = TinyModel(),
                 .device = "cpu",
                 .num_threads = 1,
                 .kv_type = kv_type,
                 .allocator = allocator},
        ids_(PromptIds()) {
    prefill_.ids = ids_;
    prefill_.method.name = method;
    // Long enough that entries are dropped while decoding.
    if (method == "pyramidinfer") new_tokens_ = 20;
  }

  Status Go(FileSystem& files) const {
    FASTKV_ASSIGN_OR_RETURN(const std::unique_ptr<Engine> engine,
                            Engine::Load(files, options_, nullptr));
    Session session(*engine);
    FASTKV_RETURN_IF_ERROR(session.Prefill(prefill_));
    return session.Decode({.max_new_tokens = new_tokens_}).status();
  }

 private:
  EngineOptions options_;
  std::vector<int32_t> ids_;
  PrefillRequest prefill_;
  int64_t new_tokens_ = 8;
};

// Refuses allocation number `fail_at`, and all after it where `for_good`.
class FailingAllocator final : public Allocator {
 public:
  FailingAllocator(int64_t fail_at, bool for_good) : fail_at_(fail_at), for_good_(for_good) {}
  bool reached() const { return count_ > fail_at_; }

  void* Allocate(size_t num_bytes) override {
    const int64_t number = count_++;
    if (number == fail_at_ || (for_good_ && number > fail_at_)) return nullptr;
    held_ += static_cast<int64_t>(num_bytes);
    return SystemAllocator().Allocate(num_bytes);
  }
  void Free(void* data, size_t num_bytes) override {
    held_ -= static_cast<int64_t>(num_bytes);
    SystemAllocator().Free(data, num_bytes);
  }
  int64_t held() const { return held_; }

 private:
  int64_t fail_at_;
  bool for_good_;
  std::atomic<int64_t> count_ = 0;
  std::atomic<int64_t> held_ = 0;
};

TEST(FaultTest, EveryAllocationMayFail) {
  for (const auto& [method, kv_type] : {std::pair{"full", KvType::kAuto},
                                        {"full", KvType::kInt8},
                                        {"fastkv", KvType::kAuto},
                                        {"adakv", KvType::kInt8},
                                        {"adakv", KvType::kAuto},
                                        {"gemfilter", KvType::kAuto},
                                        {"pyramidinfer", KvType::kAuto},
                                        {"pyramidinfer", KvType::kInt8},
                                        {"expected-attention", KvType::kAuto}}) {
    SCOPED_TRACE(std::string(method) + (kv_type == KvType::kInt8 ? ", int8" : ""));
    for (const bool for_good : {false, true}) {
      int64_t num_faults = 0;
      for (int64_t fail_at = 0;; ++fail_at) {
        FailingAllocator allocator(fail_at, for_good);
        const Status status = ShortRun(method, &allocator, kv_type).Go(RealFileSystem());
        EXPECT_EQ(allocator.held(), 0) << fail_at;
        if (!allocator.reached()) {
          EXPECT_TRUE(status.ok()) << status.message();
          break;
        }
        ++num_faults;
        EXPECT_EQ(status.code(), StatusCode::kMemory) << fail_at << " " << status.message();
      }
      EXPECT_GT(num_faults, 40);
    }
  }
}

// In prefill and decoding; loading is left to the two tests around this one, since the JSON library
// allocates in destructors, where nothing can be reported.
TEST(FaultTest, OperatorNewMayFailWhileRunning) {
  const auto engine =
      LoadTestEngine({.model_path = TinyModel(), .device = "cpu", .num_threads = 1});
  const std::vector<int32_t> ids = PromptIds();
  for (const char* method : {"fastkv", "pyramidinfer", "expected-attention"}) {
    SCOPED_TRACE(method);
    PrefillRequest request;
    request.ids = ids;
    request.method.name = method;
    const auto run = [&] {
      Session session(*engine);
      const Status status = session.Prefill(request);
      return status.ok() ? session.Decode({.max_new_tokens = 20}).status() : status;
    };
    int64_t num_faults = 0;
    for (int64_t fail_at = 1;; fail_at += FaultStep()) {
      news_until_failure = fail_at;
      const Status status = run();
      const bool reached = news_until_failure <= 0;
      news_until_failure = std::numeric_limits<int64_t>::max();
      if (!reached) {
        EXPECT_TRUE(status.ok()) << status.message();
        break;
      }
      ++num_faults;
      EXPECT_EQ(status.code(), StatusCode::kMemory) << fail_at << " " << status.message();
      EXPECT_TRUE(run().ok());
    }
    EXPECT_GT(num_faults, 10);
  }
}

TEST(FaultTest, EveryFileOperationMayFail) {
  for (const Fault fault :
       {Fault::kError, Fault::kNoMemory, Fault::kEarlyEnd, Fault::kShort, Fault::kInterrupted}) {
    for (int64_t fail_at = 0;; ++fail_at) {
      FaultFileSystem files(fail_at, fault);
      const Status status = ShortRun("fastkv", nullptr).Go(files);
      if (!files.reached()) {
        EXPECT_TRUE(status.ok()) << status.message();
        EXPECT_GT(fail_at, 5);
        break;
      }
      if (fault == Fault::kShort || fault == Fault::kInterrupted) {
        EXPECT_TRUE(status.ok()) << fail_at << " " << status.message();
      }
    }
  }
  EXPECT_TRUE(ShortRun("fastkv", nullptr).Go(RealFileSystem()).ok());
}

TEST(CancelTest, PrefillStopsBetweenBlocksAndTheSessionStaysUsable) {
  const auto engine = LoadTestEngine({.model_path = TinyModel(), .device = "cpu"});
  const std::vector<int32_t> ids = PromptIds();
  CancelFlag cancel;
  int64_t num_blocks = 0;
  Session session(*engine);
  const Status status = session.Prefill({.ids = ids,
                                         .method = {.name = "fastkv"},
                                         .options = {.block_tokens = 16, .cancel = &cancel},
                                         .on_progress = [&](const PrefillProgress&) {
                                           if (++num_blocks == 3) cancel.Cancel();
                                         }});
  EXPECT_EQ(status.code(), StatusCode::kCancelled);
  EXPECT_EQ(num_blocks, 3);
  cancel.Reset();
  EXPECT_TRUE(session.Prefill({.ids = ids, .method = {.name = "fastkv"}}).ok());
}

TEST(CancelTest, DecodingStopsAndKeepsWhatItHas) {
  const auto engine = LoadTestEngine({.model_path = TinyModel(), .device = "cpu"});
  const std::vector<int32_t> ids = PromptIds();
  Session session(*engine);
  ASSERT_TRUE(session.Prefill({.ids = ids, .method = {.name = "fastkv"}}).ok());
  CancelFlag cancel;
  int64_t num_tokens = 0;
  const Result<DecodeReport> report =
      session.Decode({.max_new_tokens = 50, .cancel = &cancel, .on_token = [&](int32_t) {
                        if (++num_tokens == 4) cancel.Cancel();
                        return true;
                      }});
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->finish_reason, FinishReason::kCancelled);
  EXPECT_EQ(report->output_ids.size(), 4U);
  EXPECT_EQ(session.cache().tail_len(), 3);
}

TEST(NumericTest, WeightsWithNanLoadAndTheRequestFailsByName) {
  const TempFolder folder;
  for (const auto& entry : std::filesystem::directory_iterator(TinyModel())) {
    std::filesystem::copy(entry.path(), folder.path());
  }
  const std::string path = folder.path() + "/model.safetensors";
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(-2, std::ios::end);  // the last bfloat16 of the file
  const char nan[2] = {'\xc0', '\x7f'};
  file.write(nan, 2);
  file.close();
  const auto engine = LoadTestEngine({.model_path = folder.path(), .device = "cpu"});
  const std::vector<int32_t> ids = PromptIds();
  Session session(*engine);
  for (const std::string method : {"full", "fastkv"}) {
    EXPECT_EQ(session.Prefill({.ids = ids, .method = {.name = method}}).code(),
              StatusCode::kNumeric);
  }
}

}  // namespace
}  // namespace fastkv
