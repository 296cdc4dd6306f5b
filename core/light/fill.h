// SPDX-License-Identifier: Apache-2.0
// What a frame gives before any weight: its holes filled, the network's features. All float32.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace rgbd::light {

/// Holes filled from an image pyramid; full size first, each next one half as large, levels + 1 maps.
/// q, mask [B, 1, H, W], sides multiples of 2^levels; mask 1 where q was measured.
std::vector<at::Tensor> push_pull(const at::Tensor& q, const at::Tensor& mask, int64_t levels);

/// The fill's mean over 2^level pixels at full size, linear between them: [B, 1, H, W].
at::Tensor smooth(const std::vector<at::Tensor>& fills, int64_t level);

/// colour [B, 3, H, W], mask [B, 1, H, W], fills of push_pull(q, mask), levels to see the fill against,
/// borders() [B, 4, H, W] or undefined. Returns [B, 5 + differences + borders, H, W].
at::Tensor features(const at::Tensor& colour, const at::Tensor& mask, const std::vector<at::Tensor>& fills,
                    const std::vector<int64_t>& differences, const at::Tensor& borders = {});

/// Bilinear enlargement by a whole factor, corners not aligned.
at::Tensor enlarged(const at::Tensor& x, int64_t factor);

}  // namespace rgbd::light
