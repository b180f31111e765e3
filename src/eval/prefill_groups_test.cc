#include "eval/prefill_groups.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/model_shape.h"
#include "model/model_folder.h"

namespace fastkv {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

class PrefillGroupsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto config = ReadModelConfig(RealFileSystem(), "models/needle-16m");
    ASSERT_TRUE(config.ok()) << config.status().message();
    config_ = std::move(config).value();
  }

  std::vector<std::vector<size_t>> Groups(const std::vector<std::string>& methods,
                                          std::vector<double> rates = {0.1},
                                          int64_t prompt_tokens = 1000) {
    runs_.clear();
    for (const std::string& method : methods) {
      for (const double rate : rates) {
        EvalRun run{.label = method, .method = {.name = method}, .has_budget = true};
        run.method.kv = Budget::Rate(rate);
        runs_.push_back(run);
      }
    }
    groups_ = GroupRuns(config_, runs_, prompt_tokens, /*context_tokens=*/0);
    std::vector<std::vector<size_t>> members;
    for (const PrefillGroup& group : groups_) members.push_back(group.runs);
    return members;
  }

  ModelConfig config_;
  std::vector<EvalRun> runs_;
  std::vector<PrefillGroup> groups_;
};

TEST_F(PrefillGroupsTest, WhatDropsNoTokensOnTheWayIsReadTogether) {
  EXPECT_THAT(Groups({"full", "fastkv", "snapkv", "streamingllm", "h2o", "adakv"}),
              ElementsAre(ElementsAre(0, 2, 3, 4, 5), ElementsAre(1)));
}

TEST_F(PrefillGroupsTest, BudgetsBesideTheSameCutAreReadTogether) {
  EXPECT_THAT(Groups({"snapkv", "fastkv"}, {0.05, 0.1, 0.2}),
              ElementsAre(ElementsAre(0, 1, 2), ElementsAre(3, 4, 5)));
}

TEST_F(PrefillGroupsTest, ASecondReadingAndAFallingShareStandAlone) {
  EXPECT_THAT(Groups({"gemfilter", "pyramidinfer", "full"}, {0.1, 0.2}),
              ElementsAre(ElementsAre(0), ElementsAre(1), ElementsAre(2), ElementsAre(3),
                          ElementsAre(4, 5)));
}

TEST_F(PrefillGroupsTest, APassCostsLessThanItsRunsOneByOne) {
  Groups({"full", "snapkv", "h2o"});
  ASSERT_THAT(groups_, SizeIs(1));
  double sum = 0;
  for (const EvalRun& run : runs_) {
    const std::vector<PrefillGroup> alone = GroupRuns(config_, {&run, 1}, 1000, 0);
    ASSERT_THAT(alone, SizeIs(1));
    EXPECT_GE(groups_[0].flops, alone[0].flops);
    sum += alone[0].flops;
  }
  EXPECT_LT(groups_[0].flops, 0.5 * sum);
}

TEST_F(PrefillGroupsTest, RunsThatShareContextsReadThemTogether) {
  std::vector<EvalRun> runs;
  for (const char* name : {"full", "snapkv", "knorm", "h2o"}) {
    runs.push_back({.label = name, .method = {.name = name}});
  }
  ASSERT_TRUE(ShareContexts(runs, ShapeOf(config_)).ok());
  const std::vector<PrefillGroup> groups = GroupRuns(config_, runs, 1000, /*context_tokens=*/900);
  ASSERT_THAT(groups, SizeIs(2));
  EXPECT_THAT(groups[0].runs, ElementsAre(0, 2));
  EXPECT_TRUE(groups[0].reads_context);
  EXPECT_THAT(groups[1].runs, ElementsAre(1, 3));
  EXPECT_FALSE(groups[1].reads_context);
  EXPECT_LT(groups[0].flops, groups[1].flops);
  EXPECT_THAT(GroupRuns(config_, runs, 1000, /*context_tokens=*/0), SizeIs(1))
      << "a prompt without a context is read whole";
}

TEST_F(PrefillGroupsTest, ARunWithoutAPlanStandsAlone) {
  const std::vector<EvalRun> runs = {{.label = "full", .method = {.name = "full"}},
                                     {.label = "none", .method = {.name = "none"}},
                                     {.label = "snapkv", .method = {.name = "snapkv"}}};
  const std::vector<PrefillGroup> groups = GroupRuns(config_, runs, 100, 0);
  ASSERT_THAT(groups, SizeIs(2));
  EXPECT_THAT(groups[0].runs, ElementsAre(0, 2));
  EXPECT_THAT(groups[1].runs, ElementsAre(1));
  EXPECT_EQ(groups[1].flops, 0);
}

}  // namespace
}  // namespace fastkv
