// SPDX-License-Identifier: Apache-2.0
// What the sinks say about lateness, and which frames are too late because of it. Mirrors the rule of
// GstVideoAggregator.
#pragma once

#include <cstdint>
#include <mutex>

#include "gst/refine/pairing.h"

namespace rgbd::refine {

class Qos {
 public:
  /// A QOS event: the frame of `running_time` came `lateness` ns late (negative: early).
  void update(double proportion, int64_t lateness, uint64_t running_time, uint64_t frame_duration) {
    std::lock_guard lock(mutex_);
    proportion_ = proportion;
    int64_t ahead = lateness > 0 ? 2 * lateness + static_cast<int64_t>(frame_duration) : lateness;
    int64_t earliest = static_cast<int64_t>(running_time) + ahead;
    earliest_ = running_time == kNoTime ? kNoTime : static_cast<uint64_t>(earliest > 0 ? earliest : 0);
  }
  void reset() {
    std::lock_guard lock(mutex_);
    earliest_ = kNoTime;
    proportion_ = 0.5;
  }
  struct Verdict {
    bool late = false;
    int64_t jitter = 0;  // ns past the earliest time that makes sense
    double proportion = 0.5;
  };
  Verdict judge(uint64_t running_time) const {
    std::lock_guard lock(mutex_);
    if (earliest_ == kNoTime || running_time == kNoTime || running_time > earliest_) return {};
    return {true, static_cast<int64_t>(earliest_ - running_time), proportion_};
  }

 private:
  mutable std::mutex mutex_;
  uint64_t earliest_ = kNoTime;
  double proportion_ = 0.5;
};

}  // namespace rgbd::refine
