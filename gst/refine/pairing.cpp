// SPDX-License-Identifier: Apache-2.0
// Pairing by running time and by order, see pairing.h.
#include "gst/refine/pairing.h"

namespace rgbd::refine {
namespace {

Step by_order(const Head& rgb, const Head& depth) {
  if (rgb.gap) return Step::kRgbGapPair;
  return depth.gap ? Step::kRgbNoDepth : Step::kPair;
}

Step by_time(const Head& rgb, const Head& depth, int64_t tolerance) {
  if (depth.gap) {
    // Near a gap's end the next depth frame may still be within the tolerance.
    return depth.end_time - rgb.running_time > tolerance ? Step::kRgbAlone : Step::kDepthAlone;
  }
  int64_t later = depth.running_time - rgb.running_time;  // depth than colour
  if (later >= 0) return later > tolerance ? Step::kRgbAlone : Step::kPair;
  // Of two depth frames within the tolerance the nearer one; a colour frame less would be the greater loss.
  bool next_is_nearer = depth.length > 0 && -later > depth.length / 2;
  return -later > tolerance || next_is_nearer ? Step::kDepthAlone : Step::kPair;
}

}  // namespace

Step decide(const Head& rgb, const Head& depth, const PairingRule& rule, bool timeout) {
  if (!rgb.waiting) {
    if (rgb.eos) return Step::kEos;
    return timeout && depth.waiting ? Step::kDepthAlone : Step::kWait;
  }
  if (!depth.waiting) {
    if (rgb.gap) return Step::kRgbGap;
    return depth.eos || timeout ? Step::kRgbAlone : Step::kWait;
  }
  // A frame without a timestamp has only its place in the order.
  if (rule.by_order || rgb.running_time == kUntimed || depth.running_time == kUntimed) {
    return by_order(rgb, depth);
  }
  if (rgb.gap) return Step::kRgbGap;
  return by_time(rgb, depth, rule.tolerance);
}

}  // namespace rgbd::refine
