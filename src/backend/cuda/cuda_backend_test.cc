// What a CUDA build answers where no device can be used. Everything that runs on a device is tested
// by the parity test.
#include <gtest/gtest.h>

#include <algorithm>

#include "backend/backend.h"
#include "backend/cuda/cuda_check.h"

namespace fastkv {
namespace {

TEST(CudaBackend, DeviceThatIsNotThereIsAnErrorOfOneLine) {
  constexpr int kFarTooHigh = 1'000'000;
  const Result<std::unique_ptr<Backend>> backend =
      CreateCudaBackend({.device_index = kFarTooHigh, .compute_type = ComputeType::kAuto});
  ASSERT_FALSE(backend.ok());
  EXPECT_EQ(backend.status().code(), StatusCode::kDevice);
  const std::string& message = backend.status().message();
  EXPECT_EQ(std::count(message.begin(), message.end(), '\n'), 0) << message;
  EXPECT_GT(message.size(), 20u);
}

TEST(CudaBackend, MachineWithoutDevicesSaysWhatToDo) {
  if (!ListCudaDevices().empty()) GTEST_SKIP() << "this machine has a CUDA device";
  const Result<std::unique_ptr<Backend>> backend = CreateCudaBackend({});
  ASSERT_FALSE(backend.ok());
  EXPECT_EQ(backend.status().code(), StatusCode::kDevice);
  EXPECT_NE(backend.status().message().find("--device cpu"), std::string::npos)
      << backend.status().message();
}

TEST(CudaCheck, ErrorsThatOutliveTheirCallAreSticky) {
  for (cudaError_t error : {cudaErrorIllegalAddress, cudaErrorLaunchFailure, cudaErrorAssert,
                            cudaErrorECCUncorrectable, cudaErrorMisalignedAddress}) {
    EXPECT_TRUE(cuda::IsSticky(error)) << error;
  }
  for (cudaError_t error : {cudaSuccess, cudaErrorMemoryAllocation, cudaErrorInvalidValue,
                            cudaErrorNoDevice, cudaErrorInvalidConfiguration}) {
    EXPECT_FALSE(cuda::IsSticky(error)) << error;
  }
}

TEST(CudaCheck, OrdinaryErrorsBecomeStatuses) {
  EXPECT_TRUE(cuda::ToStatus(cudaSuccess, "waiting").ok());
  const Status status = cuda::ToStatus(cudaErrorInvalidValue, "copying weights");
  EXPECT_EQ(status.code(), StatusCode::kDevice);
  EXPECT_NE(status.message().find("copying weights"), std::string::npos) << status.message();
  const Status memory = cuda::ToStatus(cudaErrorMemoryAllocation, "taking memory");
  EXPECT_EQ(memory.code(), StatusCode::kMemory);
  EXPECT_NE(memory.message().find("lower"), std::string::npos) << memory.message();
}

TEST(CudaCheckDeathTest, StickyErrorEndsTheProcessWithItsOwnStatus) {
  EXPECT_EXIT(FASTKV_CUDA_CHECK(cudaErrorIllegalAddress),
              testing::ExitedWithCode(cuda::kDeviceFailureExitStatus), "the CUDA device failed");
}

}  // namespace
}  // namespace fastkv
