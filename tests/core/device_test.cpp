// SPDX-License-Identifier: Apache-2.0
// Which device and precision a request becomes, on machines of every kind; the self-test and its errors.
#include "core/device.h"

#include <gtest/gtest.h>

namespace rgbd {
namespace {

const char kBf16Warning[] = "BF16 only supported on CUDA, falling back to FP32";
const char kFp16Warning[] = "FP16 not recommended on CPU, falling back to FP32";

Machine machine(int cuda_devices, bool mps) {
  Machine m;
  m.cuda_devices = cuda_devices;
  m.mps = mps;
  m.why_no_cuda = "no NVIDIA GPU or driver";
  return m;
}

std::string device(const std::string& name, const Machine& m) {
  return choose_device(name, Precision::kFp32, m).device.str();
}

ErrorCode refusal(const std::string& name, const Machine& m, std::string* text = nullptr) {
  try {
    choose_device(name, Precision::kFp32, m);
  } catch (const Error& error) {
    if (text) *text = error.what();
    return error.code();
  }
  ADD_FAILURE() << name << " was taken";
  return ErrorCode::kInternal;
}

TEST(Device, AutoPrefersCudaThenMps) {
  EXPECT_EQ(device("auto", machine(2, true)), "cuda:0");
  EXPECT_EQ(device("auto", machine(0, true)), "mps:0");
  EXPECT_EQ(device("auto", machine(0, false)), "cpu");
  EXPECT_EQ(device("CPU", machine(2, true)), "cpu");
  EXPECT_EQ(device("cuda", machine(2, false)), "cuda:0");
  EXPECT_EQ(device("cuda:1", machine(2, false)), "cuda:1");
}

TEST(Device, RefusesWhatIsMissing) {
  std::string text;
  EXPECT_EQ(refusal("cuda", machine(0, true), &text), ErrorCode::kDevice);
  EXPECT_NE(text.find("no NVIDIA GPU or driver"), std::string::npos) << text;
  EXPECT_EQ(refusal("cuda:2", machine(2, false)), ErrorCode::kDevice);
  EXPECT_EQ(refusal("mps", machine(1, false), &text), ErrorCode::kDevice);
  EXPECT_NE(text.find("MPS"), std::string::npos) << text;
  for (const char* name : {"gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:1000", "cuda:0x"}) {
    EXPECT_EQ(refusal(name, machine(2, true), &text), ErrorCode::kInvalidArgument) << name;
    EXPECT_NE(text.find(name), std::string::npos) << text;
  }
}

TEST(Device, FallsBackWithTheOriginalsWords) {
  using Warnings = std::vector<std::string>;
  auto choose = [](const char* name, Precision precision, const Machine& m) {
    return choose_device(name, precision, m);
  };
  const auto cpu = machine(0, false), mac = machine(0, true), gpu = machine(1, false);
  EXPECT_EQ(choose("cpu", Precision::kBf16, cpu).warnings, Warnings{kBf16Warning});
  EXPECT_EQ(choose("cpu", Precision::kBf16, cpu).precision, Precision::kFp32);
  EXPECT_EQ(choose("cpu", Precision::kFp16, gpu).warnings, Warnings{kFp16Warning});
  EXPECT_EQ(choose("cpu", Precision::kFp16, gpu).precision, Precision::kFp32);
  EXPECT_EQ(choose("mps", Precision::kBf16, mac).warnings, Warnings{kBf16Warning});
  EXPECT_EQ(choose("mps", Precision::kFp16, mac).warnings, Warnings{});
  EXPECT_EQ(choose("mps", Precision::kFp16, mac).precision, Precision::kFp16);
  EXPECT_EQ(choose("auto", Precision::kBf16, gpu).warnings, Warnings{});
  EXPECT_EQ(choose("auto", Precision::kBf16, gpu).precision, Precision::kBf16);
  EXPECT_EQ(choose("cpu", Precision::kFp32, cpu).warnings, Warnings{});

  auto old = gpu;
  old.has_bf16 = [](at::Device) { return false; };
  EXPECT_EQ(choose("cuda", Precision::kBf16, old).precision, Precision::kFp32);
  EXPECT_EQ(choose("cuda", Precision::kBf16, old).warnings.size(), 1u);
  EXPECT_EQ(choose("cuda", Precision::kFp16, old).precision, Precision::kFp16);
}

TEST(Device, SaysWhenCudaCameTooLate) {
  auto late = machine(0, false);
  late.cuda_came_too_late = true;
  late.why_no_cuda = "this process used torch before, without CUDA";
  const auto choice = choose_device("auto", Precision::kFp32, late);
  EXPECT_TRUE(choice.device.is_cpu());
  ASSERT_EQ(choice.warnings.size(), 1u);
  EXPECT_NE(choice.warnings[0].find("without CUDA"), std::string::npos);
  EXPECT_TRUE(choose_device("cpu", Precision::kFp32, late).warnings.empty());
}

TEST(Device, AsksThisMachine) {
  load_cuda_module();
  EXPECT_NO_THROW(choose_device("cpu", Precision::kFp32));
  const Machine here = this_machine();
  if (here.cuda_devices == 0) EXPECT_EQ(refusal("cuda", here), ErrorCode::kDevice);
  if (!here.mps) EXPECT_EQ(refusal("mps", here), ErrorCode::kDevice);
}

TEST(SelfTest, PassesOnTheCpu) {
  EXPECT_NO_THROW(self_test(at::kCPU));
}

TEST(SelfTest, NamesTheOperationThatDiffers) {
  std::vector<std::string> operations;
  self_test(at::kCPU, [&](const std::string& operation, at::Tensor result) {
    operations.push_back(operation);
    return result;
  });
  EXPECT_GE(operations.size(), 10u);
  for (const std::string& broken : operations) {
    try {
      self_test(at::kCPU, [&](const std::string& operation, at::Tensor result) {
        return operation == broken ? result.mul(1.05) : result;
      });
      ADD_FAILURE() << broken << " may be wrong unseen";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kDevice);
      EXPECT_NE(std::string(error.what()).find(broken), std::string::npos) << error.what();
    }
  }
  EXPECT_THROW(self_test(at::kCPU, [](const std::string&, at::Tensor result) { return result.mul(NAN); }),
               Error);
}

}  // namespace
}  // namespace rgbd
