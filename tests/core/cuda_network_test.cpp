// SPDX-License-Identifier: Apache-2.0
// The Camera Depth Model as the CUDA module runs it, against the plain operations on the CPU. Needs a GPU.
#include <ATen/Context.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/stack.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include "core/device.h"
#include "core/network.h"
#include "tests/core/seeded_network.h"

namespace rgbd {
namespace {

class CudaNetwork : public testing::Test {
 protected:
  void SetUp() override {
    load_cuda_module();
    const Machine machine = this_machine();
    if (machine.cuda_devices == 0) GTEST_SKIP() << machine.why_no_cuda;
    cuda_ = true;
  }

  std::unique_ptr<Network> load(const std::string& encoder, bool on_cuda,
                                Precision precision = Precision::kFp32) {
    NetworkOptions options;
    options.device = on_cuda ? at::Device(at::kCUDA, 0) : at::Device(at::kCPU);
    options.precision = precision;
    options.optimize = on_cuda;
    return load_network(test::seeded_checkpoint(encoder), options);
  }
  static at::Tensor answer(Network& network, const at::Tensor& x, bool on_cuda) {
    return network.forward(on_cuda ? x.to(at::Device(at::kCUDA, 0)) : x).cpu();
  }
  static double worst(const at::Tensor& a, const at::Tensor& b) {
    EXPECT_EQ(a.sizes(), b.sizes());
    return at::abs(a - b).max().item<double>();
  }

  c10::InferenceMode guard_;
  bool cuda_ = false;
};

at::Tensor frames(int64_t batch, int64_t height, int64_t width) {
  std::vector<at::Tensor> inputs;
  for (int64_t b = 0; b < batch; ++b)
    inputs.push_back(test::seeded_input(height, width, static_cast<uint64_t>(b)));
  return at::stack(inputs);
}

// Half types: half as much again as the published program's own runs are off by at most.
double limit(Precision precision) {
  return precision == Precision::kFp16 ? 0.0104 : precision == Precision::kBf16 ? 0.092 : 1e-4;
}

TEST_F(CudaNetwork, AnswersAsThePlainOperationsDo) {
  const auto plain = load("vits", false);
  for (const auto precision : {Precision::kFp32, Precision::kFp16, Precision::kBf16}) {
    const auto network = load("vits", true, precision);
    for (const auto& [batch, height, width] :
         {std::tuple{1, 126, 168}, {1, 14, 14}, {3, 70, 28}, {2, 154, 210}, {1, 126, 168}}) {
      const auto x = frames(batch, height, width);
      EXPECT_LE(worst(answer(*network, x, true), answer(*plain, x, false)), limit(precision))
          << batch << " x " << height << "x" << width << ", precision " << static_cast<int>(precision);
    }
  }
}

TEST_F(CudaNetwork, TakesEveryMemberOfTheFamily) {
  for (const std::string encoder : {"tiny", "vitb"}) {
    const auto x = frames(1, 70, 98);
    const auto plain = load(encoder, false);
    for (const auto precision : {Precision::kFp32, Precision::kFp16}) {
      const auto network = load(encoder, true, precision);
      EXPECT_LE(worst(answer(*network, x, true), answer(*plain, x, false)), limit(precision)) << encoder;
    }
  }
}

TEST_F(CudaNetwork, RepeatsItselfAndKeepsItsAnswers) {
  const auto network = load("vits", true, Precision::kFp16);
  const auto x = frames(1, 126, 168).to(at::Device(at::kCUDA, 0)),
             other = frames(2, 126, 168).slice(0, 1).to(x.device());
  const auto first = network->forward(x);  // runs and captures
  const auto of_other = network->forward(other);
  const auto again = network->forward(x);  // replays
  EXPECT_TRUE(at::equal(first, again));
  EXPECT_FALSE(at::equal(first, of_other));
}

TEST_F(CudaNetwork, ForgetsSizesInTheOrderOfTheirUse) {
  const auto network = load("tiny", true), plain = load("tiny", false);
  for (int round = 0; round < 2; ++round) {
    for (int64_t patches = 2; patches < 20; ++patches) {
      const auto x = frames(1, 14 * patches, 28);
      EXPECT_LE(worst(answer(*network, x, true), answer(*plain, x, false)), 1e-4) << patches;
    }
  }
}

}  // namespace
}  // namespace rgbd
