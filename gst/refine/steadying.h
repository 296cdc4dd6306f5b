// SPDX-License-Identifier: Apache-2.0
// Property `temporal`: which frames of the stream have a common past, for the core's filter. Source task
// only: here the frames are in order, whatever batches and other elements the model serves, and none that was
// cancelled is among them.
#pragma once

#include <gst/gst.h>

#include <memory>

#include "core/rgbd.h"

namespace rgbd::refine {

class Steadying {
 public:
  /// Changes a refined frame in place, which has to be readable. With a `weight` of 0 it does nothing, and
  /// holds no memory. Frames that are missing in between (a leaky queue in front of a busy model marks nearly
  /// every one DISCONT) do not end the past: depth that does not move is as good after them, and what has
  /// moved, the filter sees. Throws Error.
  void steady(Runtime& runtime, double weight, const DepthOut& frame);
  /// What comes next is another scene, or depth made in another way. Caps and segments call it, and with them
  /// every flush: after one, both come again.
  void forget() noexcept {
    if (filter_) filter_->reset();
  }

 private:
  std::unique_ptr<TemporalFilter> filter_;  // null: the property has been 0
};

}  // namespace rgbd::refine
