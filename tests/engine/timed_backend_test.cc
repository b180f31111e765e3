// A breakdown forwards every operation and loses no time.
#include "engine/timed_backend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "engine/model_shape.h"
#include "engine/prefill.h"
#include "engine/session.h"
#include "method/method.h"
#include "tests/engine/random_engine.h"

namespace fastkv {
namespace {

// Every look at it takes a millisecond.
class CountingClock final : public Clock {
 public:
  double NowMs() const override { return now_ms_++; }

 private:
  mutable double now_ms_ = 0;
};

std::map<std::string, OperationTime> ByName(const TimedBackend& timed) {
  std::map<std::string, OperationTime> times;
  for (const OperationTime& time : timed.Times()) times[time.operation] = time;
  return times;
}

TEST(TimedBackend, NamesProductsAndCountsEveryCall) {
  const CountingClock clock;
  const std::unique_ptr<Engine> engine = MakeRandomEngine({.device = "cpu"});
  TimedBackend timed(engine->backend(), engine->model(), clock);
  const std::unique_ptr<Method> method =
      CreateMethod({.name = "fastkv"}, ShapeOf(engine->config())).value();
  const std::vector<int32_t> ids = RandomIds(1, 100, engine->config().vocab_size);
  std::unique_ptr<Prefill> prefill =
      Prefill::Start(timed, engine->model(), *method, ids, {}).value();
  while (!prefill->done()) ASSERT_TRUE(prefill->Step().ok());
  const auto times = ByName(timed);
  // Four layers in one block each; the last layer's rows before its window are a block of their own
  // without queries.
  EXPECT_EQ(times.at("MatMul qkv").calls, 4);
  EXPECT_EQ(times.at("MatMul down").calls, 4);
  EXPECT_EQ(times.at("MatMul last layer kv").calls, 1);
  EXPECT_EQ(times.at("MatMul head").calls, 1);
  EXPECT_EQ(times.at("PrefillAttention").calls, 4);
  EXPECT_EQ(times.at("WindowScores").calls, 4);
  EXPECT_EQ(times.at("GatherRows").calls, 3);
  EXPECT_EQ(times.count("MatMul"), 0);
  for (const auto& [name, time] : times) {
    // One millisecond a call: two looks at the clock, one millisecond apart.
    EXPECT_EQ(time.ms, static_cast<double>(time.calls)) << name;
  }
  timed.Reset();
  EXPECT_TRUE(timed.Times().empty());
}

TEST(TimedBackend, ChangesNoResult) {
  const std::unique_ptr<Engine> engine = MakeRandomEngine({.device = "cpu"});
  const std::vector<int32_t> ids = RandomIds(2, 77, engine->config().vocab_size);
  Session session(*engine);
  ASSERT_TRUE(session.Prefill({.ids = ids, .method = {.name = "fastkv"}}).ok());
  TimedBackend timed(engine->backend(), engine->model(), SystemClock());
  const std::unique_ptr<Method> method =
      CreateMethod({.name = "fastkv"}, ShapeOf(engine->config())).value();
  std::unique_ptr<Prefill> prefill =
      Prefill::Start(timed, engine->model(), *method, ids, {}).value();
  while (!prefill->done()) ASSERT_TRUE(prefill->Step().ok());
  std::vector<float> logits(engine->config().vocab_size);
  ASSERT_TRUE(timed
                  .CopyToHost(logits.data(), prefill->TakeLogits().data(),
                              4 * static_cast<int64_t>(logits.size()))
                  .ok());
  EXPECT_EQ(logits, session.LastLogits().value());
}

}  // namespace
}  // namespace fastkv
