// SPDX-License-Identifier: Apache-2.0
// The Camera Depth Model: two encoders, fusion, head. Mirrors rgbddepth's dpt.py, `RGBDDepth`.
#pragma once

#include <array>
#include <string>

#include "core/cdm/encoder.h"
#include "core/cdm/fusion.h"
#include "core/cdm/head.h"
#include "core/cdm/weights.h"
#include "core/network.h"

namespace rgbd::cdm {

class Cdm final : public Network {
 public:
  Cdm(const Weights& weights, const NetworkOptions& options);

  const InputSpec& input() const override { return input_; }
  std::string architecture() const override { return "cdm"; }
  std::string encoder() const override { return encoder_; }
  uint64_t parameters() const override { return parameters_; }
  at::Tensor forward(const at::Tensor& x) override;

  // The three parts of forward(), for tests and measurements. x [B, 4, h, w] float32.
  struct BothTaps {
    Taps rgb, depth;
  };
  BothTaps encode(const at::Tensor& x);
  std::array<at::Tensor, 4> fuse(const BothTaps& taps) const;
  at::Tensor decode(const std::array<at::Tensor, 4>& projected, int64_t rows, int64_t columns) const;

 private:
  InputSpec input_;
  std::string encoder_;
  uint64_t parameters_;
  Backend backend_;
  Encoder rgb_, depth_;
  std::array<Fusion, 4> fusion_;
  Head head_;
};

}  // namespace rgbd::cdm
