// SPDX-License-Identifier: Apache-2.0
// The forms of fill.h for the CPU: float32, each map written once. To float rounding.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace rgbd::light {

/// push_pull(q, q > 0, levels).
std::vector<at::Tensor> push_pull_cpu(const at::Tensor& q, int64_t levels);

/// What pixel_unshuffle(features(colour, q > 0, …), 2) returns, channels last, with zeros up to
/// padded_channels(). The steps of `differences` are at most 2^8 wide.
at::Tensor features_cpu(const at::Tensor& colour, const at::Tensor& q, const std::vector<at::Tensor>& fills,
                        const std::vector<int64_t>& differences, const at::Tensor& borders);

/// Channels of `features` maps that lie in fours, up to a multiple of 8.
int64_t padded_channels(int64_t features);

}  // namespace rgbd::light
