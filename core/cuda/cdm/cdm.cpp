// SPDX-License-Identifier: Apache-2.0
#include "core/cuda/cdm/cdm.h"

#include <ATen/cuda/CUDAContext.h>
#include <c10/core/DeviceGuard.h>
#include <c10/cuda/CUDAException.h>

#include "core/cuda/cdm/encoders.h"
#include "core/cuda/cdm/fusion.h"
#include "core/cuda/cdm/head.h"
#include "core/cuda/cdm/token_kernels.h"
#include "core/cuda/graph.h"

namespace rgbd::cuda {
namespace {

Element element_of(Precision precision) {
  switch (precision) {
    case Precision::kFp16:
      return Element::kFp16;
    case Precision::kBf16:
      return Element::kBf16;
    case Precision::kFp32:
      break;
  }
  return Element::kTf32x3;
}

class Cdm final : public Network {
 public:
  Cdm(const cdm::Weights& weights, const NetworkOptions& options, Element element)
      : encoder_(weights.variant().encoder),
        parameters_(weights.parameters()),
        device_(options.device),
        encoders_(weights, element, device_),
        fusion_{Fusion(weights, 0, element, device_), Fusion(weights, 1, element, device_),
                Fusion(weights, 2, element, device_), Fusion(weights, 3, element, device_)},
        head_(weights, element, device_) {}

  const InputSpec& input() const override { return input_; }
  std::string architecture() const override { return "cdm"; }
  std::string encoder() const override { return encoder_; }
  uint64_t parameters() const override { return parameters_; }

  at::Tensor forward(const at::Tensor& x) override {
    if (x.dim() != 4 || x.size(1) != 4 || x.size(2) < cdm::kPatch || x.size(3) < cdm::kPatch ||
        x.size(2) % cdm::kPatch || x.size(3) % cdm::kPatch) {
      throw Error(ErrorCode::kInternal,
                  "network input must be [B, 4, h, w] with sides that are multiples of 14");
    }
    const c10::DeviceGuard guard(device_);
    return graphs_.run(x.contiguous(), [this](const at::Tensor& input) { return queue(input); });
  }

 private:
  at::Tensor queue(const at::Tensor& x) {
    std::array<at::Tensor, 4> projected;
    encoders_(x, [&](int tap, const at::Tensor& tokens) {
      projected[tap] = fusion_[tap](tokens, encoders_.gain(), encoders_.offset());
    });
    auto y = head_(projected, x.size(0), x.size(2) / cdm::kPatch, x.size(3) / cdm::kPatch);
    C10_CUDA_CHECK(cudaGetLastError());  // of our launches: no code for this chip, say
    return y;
  }

  InputSpec input_;
  std::string encoder_;
  uint64_t parameters_;
  at::Device device_;
  Encoders encoders_;
  std::array<Fusion, 4> fusion_;
  Head head_;
  GraphCache graphs_;
};

// The kernels take eight channels at a time.
bool fits(const cdm::Variant& v) {
  bool fits =
      v.channels <= kMostChannels && v.channels % 32 == 0 && v.hidden % 8 == 0 && v.features % 16 == 0;
  for (const auto channels : v.out_channels) fits = fits && channels % 8 == 0;
  return fits;
}

}  // namespace

std::unique_ptr<Network> load_cdm(const cdm::Weights& weights, const NetworkOptions& options) {
  const c10::DeviceGuard guard(options.device);
  const auto element = element_of(options.precision);
  // Tensor cores have TF32 and bfloat16 from 8.0.
  const int oldest = element == Element::kFp16 ? 7 : 8;
  if (at::cuda::getCurrentDeviceProperties()->major < oldest || !fits(weights.variant())) return nullptr;
  return std::make_unique<Cdm>(weights, options, element);
}

}  // namespace rgbd::cuda
