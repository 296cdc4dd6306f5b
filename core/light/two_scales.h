// SPDX-License-Identifier: Apache-2.0
// The inside of large holes answered at half the size, where the network sees twice as far.
#pragma once

#include <memory>

#include "core/network.h"

namespace rgbd::light {

/// x [B, 4, h, w] as Network::forward() takes it, at half the size, odd sides rounded up: mean colour, mean of what is
/// measured. Any device.
at::Tensor halved(const at::Tensor& x);

/// Runs a light network at the size of its input, and once more at half of it for hole pixels of which nothing is measured
/// within `far` pixels of that size, a setting of the model file.
/// Mirrors LightNetwork.forward() of training/rgbdtrain/network.py.
class TwoScales final : public Network {
 public:
  TwoScales(std::unique_ptr<Network> network, int64_t far);

  const InputSpec& input() const override { return network_->input(); }
  std::string architecture() const override { return network_->architecture(); }
  std::string encoder() const override { return network_->encoder(); }
  uint64_t parameters() const override { return network_->parameters(); }
  /// On the CPU a batch without such holes is spared the second run. On other devices none is: a look would wait for them.
  at::Tensor forward(const at::Tensor& x) override;

 private:
  std::unique_ptr<Network> network_;
  int64_t far_;
};

}  // namespace rgbd::light
