#include "backend/cpu/cpu_features.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

namespace fastkv {
namespace {

class LevelVariable : public testing::Test {
 protected:
  void SetUp() override {
    const char* value = std::getenv("FASTKV_CPU_LEVEL");
    if (value != nullptr) saved_ = value;
  }
  void TearDown() override { setenv("FASTKV_CPU_LEVEL", saved_.c_str(), 1); }

 private:
  std::string saved_;
};

TEST_F(LevelVariable, LowersTheLevel) {
  setenv("FASTKV_CPU_LEVEL", "generic", 1);
  EXPECT_EQ(SelectCpuLevel(), CpuLevel::kGeneric);
}

TEST_F(LevelVariable, NeverRaisesIt) {
  setenv("FASTKV_CPU_LEVEL", "amx", 1);
  EXPECT_EQ(SelectCpuLevel(), DetectCpuLevel());
}

TEST_F(LevelVariable, UnknownNamesChangeNothing) {
  setenv("FASTKV_CPU_LEVEL", "sse9", 1);
  EXPECT_EQ(SelectCpuLevel(), DetectCpuLevel());
  unsetenv("FASTKV_CPU_LEVEL");
  EXPECT_EQ(SelectCpuLevel(), DetectCpuLevel());
}

}  // namespace
}  // namespace fastkv
