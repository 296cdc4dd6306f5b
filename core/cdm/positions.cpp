// SPDX-License-Identifier: Apache-2.0
#include "core/cdm/positions.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/upsample_bicubic2d.h>

#include <cmath>

namespace rgbd::cdm {

at::Tensor resized_positions(const at::Tensor& pos_embed, int64_t rows, int64_t columns) {
  const auto positions = pos_embed.size(1) - 1, channels = pos_embed.size(2);
  const auto side = static_cast<int64_t>(std::llround(std::sqrt(static_cast<double>(positions))));
  if (rows == side && columns == side) return pos_embed;
  auto grid = pos_embed.slice(1, 1).view({1, side, side, channels}).permute({0, 3, 1, 2});
  // The published program asks for a scale factor, a tenth of a patch too large; the sampling uses it.
  grid = at::upsample_bicubic2d(grid, {rows, columns}, /*align_corners=*/false, (rows + 0.1) / side,
                                (columns + 0.1) / side);
  grid = grid.permute({0, 2, 3, 1}).reshape({1, rows * columns, channels});
  return at::cat({pos_embed.slice(1, 0, 1), grid}, 1);
}

}  // namespace rgbd::cdm
