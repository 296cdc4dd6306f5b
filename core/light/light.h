// SPDX-License-Identifier: Apache-2.0
// The embedded model's network: a U-Net that chooses among measured, coarse and filled depths; then holes are
// voted on, noise is averaged and edges move, as the file's settings say. Mirrors
// training/rgbdtrain/network.py and finishing.py to the letter (versions 2 and 3).
#pragma once

#include <string>

#include "core/light/choice.h"
#include "core/light/settings.h"
#include "core/light/unet.h"
#include "core/light/weights.h"
#include "core/network.h"

namespace rgbd::light {

class Light final : public Network {
 public:
  Light(const Weights& weights, const NetworkOptions& options);

  const InputSpec& input() const override { return settings_.input; }
  std::string architecture() const override { return "light"; }
  std::string encoder() const override { return ""; }
  uint64_t parameters() const override { return parameters_; }
  /// Any size. A frame with too few measured pixels comes back as it was measured.
  at::Tensor forward(const at::Tensor& x) override;

 private:
  struct Answer {
    at::Tensor y;        // [B, h, w]
    at::Tensor too_few;  // [B, 1, 1] bool: too few measured pixels, of which y is as measured
  };
  /// The U-Net's choice, at one size.
  Answer answer(const at::Tensor& x);

  Settings settings_;
  uint64_t parameters_;
  Backend backend_;
  Unet unet_;
  Choice choice_;
};

}  // namespace rgbd::light
