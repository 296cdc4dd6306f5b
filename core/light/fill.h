// SPDX-License-Identifier: Apache-2.0
// What the measured depths of a frame give before any weight: their range, their holes filled, the network's
// features. All float32.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace rgbd::light {

/// Order statistics of a frame's measured (positive) inverse depths: the value at floor(share * (n - 1)) of
/// the ascending sort; 0 where n = 0.
struct Range {
  at::Tensor n;                  // [B] int64
  at::Tensor low, median, high;  // [B] float32: 1 %, 50 % (the lower median), 99 %
};
/// depth [B, 1, h, w] float32.
Range measured_range(const at::Tensor& depth);

/// Holes filled from an image pyramid; full size first, each next one half as large, levels + 1 maps.
/// q, mask [B, 1, H, W], sides multiples of 2^levels; mask 1 where q was measured.
std::vector<at::Tensor> push_pull(const at::Tensor& q, const at::Tensor& mask, int64_t levels);

/// colour [B, 3, H, W], q and mask [B, 1, H, W] (q over the frame's median), fills of push_pull(q, mask).
/// Returns [B, 6, H, W].
at::Tensor features(const at::Tensor& colour, const at::Tensor& q, const at::Tensor& mask,
                    const std::vector<at::Tensor>& fills);

/// Bilinear enlargement by a whole factor, corners not aligned.
at::Tensor enlarged(const at::Tensor& x, int64_t factor);

}  // namespace rgbd::light
