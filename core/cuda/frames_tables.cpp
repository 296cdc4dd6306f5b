// SPDX-License-Identifier: Apache-2.0
#include "core/cuda/frames_tables.h"

#include <ATen/ops/from_blob.h>

#include "core/resize.h"

namespace rgbd::cuda {

static_assert(sizeof(Tap) == sizeof(CubicTap) && sizeof(Tap) == 8 * sizeof(float));

constexpr size_t kMostTables = 64;

template <typename Make>
const void* Tables::table(Rule rule, int src, int dst, Make&& make) {
  at::Tensor& table = tables_[{rule, src, dst}];
  if (!table.defined()) {
    auto entries = make(src, dst);
    table =
        at::from_blob(entries.data(), {static_cast<int64_t>(entries.size() * sizeof(entries[0]))}, at::kByte)
            .to(device_);
  }
  return table.const_data_ptr();
}

const Tap* Tables::opencv_cubic(int src, int dst) {
  return static_cast<const Tap*>(table(Rule::kOpencvCubic, src, dst, rgbd::opencv_cubic));
}

const int* Tables::opencv_nearest(int src, int dst) {
  return static_cast<const int*>(table(Rule::kOpencvNearest, src, dst, rgbd::opencv_nearest));
}

const int* Tables::torch_nearest(int src, int dst) {
  return static_cast<const int*>(table(Rule::kTorchNearest, src, dst, rgbd::torch_nearest));
}

void Tables::tidy() {
  if (tables_.size() > kMostTables)
    tables_.clear();  // the allocator gives the memory to this stream's next work
}

}  // namespace rgbd::cuda
