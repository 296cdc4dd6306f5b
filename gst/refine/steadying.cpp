// SPDX-License-Identifier: Apache-2.0
// See steadying.h.
#include "gst/refine/steadying.h"

namespace rgbd::refine {
void Steadying::steady(Runtime& runtime, double weight, const DepthOut& frame) {
  if (!(weight > 0)) {
    filter_ = nullptr;
    return;
  }
  if (!filter_) filter_ = runtime.temporal_filter();
  filter_->apply(frame, weight);
}

}  // namespace rgbd::refine
