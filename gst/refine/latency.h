// SPDX-License-Identifier: Apache-2.0
// What the element answers to a LATENCY query: the 95th percentile of the inference time, with hysteresis
// so that the pipeline is not reconfigured by every wobble.
#pragma once

#include <cstdint>
#include <optional>

#include "gst/refine/window.h"

namespace rgbd::refine {

class LatencyEstimate {
 public:
  /// Starts over, from a time known beforehand (a warm-up) or 0.
  void reset(uint64_t ns);
  /// Another model runs from now on: its times are not those of the last one. Until they tell, what was
  /// reported holds, so that one fast frame does not lower it.
  void forget() { window_.clear(); }
  /// One pair's time. A value: report this from now on.
  std::optional<uint64_t> add(uint64_t ns);
  uint64_t reported_ns() const { return reported_ns_; }

 private:
  Window window_;
  uint64_t reported_ns_ = 0;
};

}  // namespace rgbd::refine
