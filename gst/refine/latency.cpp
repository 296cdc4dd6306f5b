// SPDX-License-Identifier: Apache-2.0
// Reported latency, see latency.h.
#include "gst/refine/latency.h"

#include <cmath>

namespace rgbd::refine {
namespace {
// Up at once when sinks would drop frames, down only when a good part of the reserve is unused.
constexpr double kTooLow = 1.0;
constexpr double kTooHigh = 0.6;
constexpr double kReserve = 1.15;
constexpr size_t kFramesBeforeLowering = 30;

uint64_t with_reserve(double ns) {
  return static_cast<uint64_t>(std::llround(ns * kReserve));
}
}  // namespace

void LatencyEstimate::reset(uint64_t ns) {
  window_.clear();
  reported_ns_ = with_reserve(static_cast<double>(ns));
}

std::optional<uint64_t> LatencyEstimate::add(uint64_t ns) {
  window_.add(static_cast<double>(ns));
  double p95 = window_.percentile(0.95);
  double reported = static_cast<double>(reported_ns_);
  bool raise = p95 > reported * kTooLow;
  bool lower = window_.size() >= kFramesBeforeLowering && p95 < reported * kTooHigh;
  if (!raise && !lower) return {};
  reported_ns_ = with_reserve(p95);
  return reported_ns_;
}

}  // namespace rgbd::refine
