// SPDX-License-Identifier: Apache-2.0
// The last few measurements of something, for percentiles.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

namespace rgbd::refine {

class Window {
 public:
  void add(double value) {
    values_[next_] = value;
    next_ = (next_ + 1) % kLength;
    size_ = std::min(size_ + 1, kLength);
  }
  void clear() { next_ = size_ = 0; }
  size_t size() const { return size_; }

  /// Nearest rank; 0 when empty. `share` in (0, 1].
  double percentile(double share) const {
    if (size_ == 0) return 0;
    auto sorted = values_;
    size_t rank = static_cast<size_t>(std::ceil(share * static_cast<double>(size_))) - 1;
    std::nth_element(sorted.begin(), sorted.begin() + rank, sorted.begin() + size_);
    return sorted[rank];
  }

 private:
  static constexpr size_t kLength = 128;
  std::array<double, kLength> values_{};
  size_t next_ = 0, size_ = 0;
};

}  // namespace rgbd::refine
