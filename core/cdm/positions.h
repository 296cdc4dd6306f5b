// SPDX-License-Identifier: Apache-2.0
// The position embedding at other grids than the trained one. Mirrors rgbddepth's dinov2.py,
// `interpolate_pos_encoding`.
#pragma once

#include <ATen/core/Tensor.h>

namespace rgbd::cdm {

/// pos_embed [1, 1 + side * side, C] float32, any device; returns [1, 1 + rows * columns, C], same type and
/// device.
at::Tensor resized_positions(const at::Tensor& pos_embed, int64_t rows, int64_t columns);

}  // namespace rgbd::cdm
