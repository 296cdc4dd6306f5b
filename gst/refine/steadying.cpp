// SPDX-License-Identifier: Apache-2.0
// See steadying.h.
#include "gst/refine/steadying.h"

namespace rgbd::refine {
namespace {

/// Frames lost for no longer than this do not end the past. A leaky queue in front of a busy model marks
/// nearly every frame DISCONT, and depth that does not move is as good after a gap; what has moved meanwhile,
/// the filter sees.
constexpr GstClockTime kShortGap = GST_SECOND / 2;

bool follows(const Steadying::Moment& next, const Steadying::Moment& last) {
  if (!next.discontinuous) return true;
  return GST_CLOCK_TIME_IS_VALID(next.running_time) && GST_CLOCK_TIME_IS_VALID(last.running_time) &&
         next.running_time >= last.running_time && next.running_time - last.running_time <= kShortGap;
}

}  // namespace

void Steadying::steady(Runtime& runtime, double weight, const DepthOut& frame, const Moment& moment) {
  if (!(weight > 0)) {
    filter_.reset();
    return;
  }
  if (!filter_) filter_ = runtime.temporal_filter();
  if (!follows(moment, last_)) filter_->reset();
  last_ = moment;
  filter_->apply(frame, weight);
}

}  // namespace rgbd::refine
