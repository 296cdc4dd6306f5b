// SPDX-License-Identifier: Apache-2.0
// Regions are found by union-find over runs, the stretches of hole in a row: few of them, whatever their
// length.
#include "core/holes.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/measured.h"
#include "core/resize.h"

namespace rgbd {
namespace {

/// Columns first..past-1 of one row.
struct Run {
  int first, past;
  uint32_t parent;  // a run of the same region, not after this one; itself at the region's root
  uint32_t area;    // of the region, once it is whole, at its root; a frame has less than 2^32 pixels
};

class Holes {
 public:
  explicit Holes(const DepthView& depth) {
    const RawRange valid = valid_range(depth);
    const bool swap = needs_swap(depth.big_endian);
    std::vector<uint8_t> missing(static_cast<size_t>(depth.width));
    rows_.reserve(static_cast<size_t>(depth.height) + 1);
    rows_.push_back(0);
    for (int y = 0; y < depth.height; ++y) {
      const uint8_t* from = depth.data + y * depth.stride_bytes;
      for (int x = 0; x < depth.width; ++x)
        missing[static_cast<size_t>(x)] = !valid.contains(load16(from + 2 * static_cast<ptrdiff_t>(x), swap));
      add_row(missing);
    }
    measure();
  }

  uint32_t area(const Run& run) const { return runs_[run.parent].area; }
  /// The runs of row y, from left to right.
  const Run* begin(int y) const { return runs_.data() + rows_[static_cast<size_t>(y)]; }
  const Run* end(int y) const { return runs_.data() + rows_[static_cast<size_t>(y) + 1]; }

 private:
  void add_row(const std::vector<uint8_t>& missing) {
    const size_t row = rows_.back();
    size_t above = rows_.size() > 1 ? rows_[rows_.size() - 2] : row;
    const int width = static_cast<int>(missing.size());
    auto find = [&](int from, int value) {  // the first `value` at or after `from`; width = none
      const void* at = std::memchr(missing.data() + from, value, static_cast<size_t>(width - from));
      return at ? static_cast<int>(static_cast<const uint8_t*>(at) - missing.data()) : width;
    };
    for (int first = find(0, 1), past; first < width; first = find(past, 1)) {
      past = find(first, 0);
      const auto index = static_cast<uint32_t>(runs_.size());
      runs_.push_back({first, past, index, 0});
      while (above < row && runs_[above].past <= first) ++above;
      for (size_t other = above; other < row && runs_[other].first < past; ++other)
        join(index, static_cast<uint32_t>(other));
    }
    rows_.push_back(runs_.size());
  }

  uint32_t root(uint32_t run) {
    while (runs_[run].parent != run) run = runs_[run].parent = runs_[runs_[run].parent].parent;
    return run;
  }
  void join(uint32_t a, uint32_t b) {
    a = root(a), b = root(b);
    runs_[std::max(a, b)].parent = std::min(a, b);
  }

  void measure() {
    for (Run& run : runs_) {
      run.parent = runs_[run.parent].parent;  // the root: parents come first, and have theirs by now
      runs_[run.parent].area += static_cast<uint32_t>(run.past - run.first);
    }
  }

  std::vector<Run> runs_;
  std::vector<size_t> rows_;  // first run of each row, and their number
};

}  // namespace

std::vector<uint8_t> large_holes(const DepthView& depth, int64_t measured, Size size) {
  const int64_t pixels = int64_t{depth.width} * depth.height;
  // So that .07 of 100 pixels are 7, which in floating point they are not.
  const auto most = static_cast<int64_t>(std::floor(depth.max_hole * static_cast<double>(pixels) + 1e-6));
  if (pixels - measured <= most) return {};

  const Holes holes(depth);
  const auto columns = opencv_nearest(depth.width, size.width);  // as preprocess() feeds the network
  const auto rows = opencv_nearest(depth.height, size.height);
  std::vector<uint8_t> open(static_cast<size_t>(size.width) * static_cast<size_t>(size.height));
  std::vector<uint8_t> row(static_cast<size_t>(depth.width));
  bool any = false;
  for (int y = 0; y < size.height; ++y) {
    std::fill(row.begin(), row.end(), uint8_t{0});
    bool in_row = false;
    for (const Run* run = holes.begin(rows[y]); run != holes.end(rows[y]); ++run) {
      if (holes.area(*run) <= most) continue;
      std::fill(row.begin() + run->first, row.begin() + run->past, uint8_t{1});
      in_row = true;
    }
    if (!in_row) continue;
    uint8_t* to = open.data() + static_cast<size_t>(y) * static_cast<size_t>(size.width);
    for (int x = 0; x < size.width; ++x) to[x] = row[columns[x]];
    any = true;
  }
  if (!any) open.clear();
  return open;
}

}  // namespace rgbd
