// SPDX-License-Identifier: Apache-2.0
// What the element counts and measures; read as the property `stats`.
#pragma once

#include <gst/gst.h>

#include <array>
#include <cstdint>
#include <mutex>

#include "core/rgbd.h"
#include "gst/refine/window.h"

namespace rgbd::refine {

/// Why a frame or a pair did not come out. The order is that of kDropNames.
enum class Drop {
  kUnpairedRgb,    // colour without depth, under skip-policy=drop or with nothing to put out
  kUnpairedDepth,  // depth without colour
  kInterval,       // skipped by inference-interval
  kLate,           // older than `leaky` allows
  kQos,            // the sink would drop it
  kBad,            // a frame that contradicts its caps
  kFlushed,        // taken out of the engine by a flush, a seek or a state change
  kCount
};

/// How a frame that did come out was made.
enum class Made { kRefined, kRaw, kRepeated, kCount };

class Stats {
 public:
  void reset();
  void frame_in(bool rgb);
  void pair_in(int64_t skew_ns);  // skew: depth less colour
  void frame_out(Made how);
  void dropped(Drop why);
  void refined(const Result& result, double total_ms);
  /// Frames put out and dropped so far, as a QOS message wants them.
  void totals(uint64_t& processed, uint64_t& dropped) const;
  /// Everything, with what `info` says about the model (null: none is open). Transfer full.
  GstStructure* structure(const Info* info) const;

 private:
  enum Stage { kQueue, kPreprocess, kInference, kPostprocess, kTotal, kStages };
  mutable std::mutex mutex_;
  uint64_t rgb_in_ = 0, depth_in_ = 0, pairs_in_ = 0;
  std::array<uint64_t, static_cast<size_t>(Made::kCount)> out_{};
  std::array<uint64_t, static_cast<size_t>(Drop::kCount)> dropped_{};
  uint64_t skew_sum_ns_ = 0, skew_count_ = 0, skew_max_ns_ = 0;
  std::array<Window, kStages> ms_;
  uint64_t batch_sum_ = 0, batch_count_ = 0, batch_max_ = 0;  // pairs in the forward pass of each pair
  double min_inverse_depth_ = 0, max_inverse_depth_ = 0;      // of the last refined pair
  uint64_t host_to_device_copies_ = 0, device_to_host_copies_ = 0;
  uint64_t host_to_device_bytes_ = 0, device_to_host_bytes_ = 0;
};

}  // namespace rgbd::refine
