// SPDX-License-Identifier: Apache-2.0
#include "core/measured.h"

#include <ATen/Parallel.h>

#include <atomic>
#include <bit>
#include <cmath>

namespace rgbd {

bool needs_swap(bool big_endian) {
  return big_endian != (std::endian::native == std::endian::big);
}

RawRange valid_range(const DepthView& depth) {
  // Limits in float32 like the pixels: with a unit of 0.001 and a limit of 6.1 m, 6100 steps are valid.
  const float min = static_cast<float>(depth.min_depth_m), max = static_cast<float>(depth.max_depth_m);
  auto too_near = [&](unsigned raw) {
    const float m = metres(raw, depth.metres_per_step);
    return !(m > 0) || m < min || !std::isfinite(1.0f / m);
  };
  auto in_reach = [&](unsigned raw) {
    const float m = metres(raw, depth.metres_per_step);
    return m <= max && std::isfinite(m);
  };
  auto count_while = [](auto&& holds) {  // how many raw values from 0 on
    unsigned low = 0, high = 65536;
    while (low < high) {
      const unsigned middle = (low + high) / 2;
      if (holds(middle)) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  };
  const unsigned first = count_while(too_near), past = count_while(in_reach);
  return past > first ? RawRange{first, past - 1} : RawRange{1, 0};
}

bool any_measured(const DepthView& depth) {
  const RawRange valid = valid_range(depth);
  const bool swap = needs_swap(depth.big_endian);
  for (int y = 0; y < depth.height; ++y) {
    const uint8_t* row = depth.data + y * depth.stride_bytes;
    for (int x = 0; x < depth.width; ++x) {
      if (valid.contains(load16(row + 2 * x, swap))) return true;
    }
  }
  return false;
}

int64_t count_measured(const DepthView& depth) {
  const RawRange valid = valid_range(depth);
  const bool swap = needs_swap(depth.big_endian);
  std::atomic<int64_t> total = 0;
  at::parallel_for(0, depth.height, 16, [&](int64_t begin, int64_t end) {
    int64_t count = 0;
    for (int64_t y = begin; y < end; ++y) {
      const uint8_t* row = depth.data + y * depth.stride_bytes;
      for (int x = 0; x < depth.width; ++x) count += valid.contains(load16(row + 2 * x, swap));
    }
    total += count;
  });
  return total;
}

}  // namespace rgbd
