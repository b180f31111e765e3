#include "eval/eval_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fastkv {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr ModelShape kShape{.num_layers = 8, .num_q_heads = 4, .num_kv_heads = 2, .head_dim = 8};

std::vector<std::string> Labels(const std::vector<std::string>& methods,
                                const std::vector<Budget>& budgets) {
  const auto runs = MakeEvalRuns(methods, budgets, {}, kShape);
  EXPECT_TRUE(runs.ok()) << runs.status().message();
  std::vector<std::string> labels;
  for (const EvalRun& run : *runs) labels.push_back(run.label);
  return labels;
}

TEST(EvalRun, EveryMethodWithEveryBudget) {
  EXPECT_THAT(Labels({"snapkv", "fastkv"}, {Budget::Rate(0.05), Budget::Tokens(512)}),
              ElementsAre("snapkv 5 %", "snapkv 512", "fastkv 5 %", "fastkv 512"));
}

TEST(EvalRun, AMethodWithoutABudgetIsThereOnce) {
  EXPECT_THAT(Labels({"full", "snapkv"}, {Budget::Rate(0.1), Budget::Rate(0.225)}),
              ElementsAre("full", "snapkv 10 %", "snapkv 22.5 %"));
}

TEST(EvalRun, RefusesTheSameTwiceAndWhatNoMethodTakes) {
  const auto refusal = [](const std::vector<std::string>& methods,
                          const std::vector<Budget>& budgets) {
    const Status status = MakeEvalRuns(methods, budgets, {}, kShape).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    return status.message();
  };
  EXPECT_THAT(refusal({"snapkv", "snapkv"}, {Budget::Rate(0.1)}), HasSubstr("snapkv 10 %"));
  EXPECT_THAT(refusal({"full", "full"}, {Budget::Rate(0.1)}), HasSubstr("'full'"));
  EXPECT_THAT(refusal({"snapkv"}, {Budget::Rate(0.1), Budget::Rate(0.1)}),
              HasSubstr("snapkv 10 %"));
  EXPECT_THAT(refusal({"snapkv"}, {Budget::Rate(1.5)}), HasSubstr("--kv-rate"));
  EXPECT_THAT(refusal({"snopkv"}, {Budget::Rate(0.1)}), HasSubstr("snopkv"));
}

TEST(EvalRun, SettingsTellRunsApart) {
  EvalRun run{.label = "snapkv 10 %", .method = {.name = "snapkv"}, .has_budget = true};
  run.method.kv = Budget::Rate(0.1);
  const Json settings = RunSettings(run);
  EXPECT_EQ(settings["kv"]["rate"], 0.1);
  for (const auto change :
       {+[](MethodConfig& m) { m.window = 9; }, +[](MethodConfig& m) { m.kernel = 9; },
        +[](MethodConfig& m) { m.kv = Budget::Tokens(9); },
        +[](MethodConfig& m) { m.tsp = Budget::Rate(0.3); },
        +[](MethodConfig& m) { m.tsp_layer = 3; },
        +[](MethodConfig& m) { m.pooling = PoolingKind::kAverage; },
        +[](MethodConfig& m) { m.propagate = true; }, +[](MethodConfig& m) { m.retention = "h2o"; },
        +[](MethodConfig& m) { m.sinks = 5; }, +[](MethodConfig& m) { m.filter_layer = 3; },
        +[](MethodConfig& m) { m.recent_ratio = 0.3; },
        +[](MethodConfig& m) { m.decay_ratio = 0.6; },
        +[](MethodConfig& m) { m.decode_eviction = false; },
        +[](MethodConfig& m) { m.pyramid_beta = 10; },
        +[](MethodConfig& m) { m.adakv_alpha = 0.3; },
        +[](MethodConfig& m) { m.future_positions = 99; },
        +[](MethodConfig& m) { m.protect_first = 2; }, +[](MethodConfig& m) { m.protect_last = 2; },
        +[](MethodConfig& m) {
          m.protect = {{1, 2}};
        }}) {
    EvalRun other = run;
    change(other.method);
    EXPECT_NE(RunSettings(other), settings);
  }
}

}  // namespace
}  // namespace fastkv
