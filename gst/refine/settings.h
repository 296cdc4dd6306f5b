// SPDX-License-Identifier: Apache-2.0
// The element's properties as plain values; aggregate() works on a copy, so a change acts between two frames.
#pragma once

#include <cstdint>

#include "core/rgbd.h"
#include "gst/refine/pairing.h"

namespace rgbd::refine {

enum class SkipPolicy { kDrop, kRaw, kRepeat };
enum class SyncMode { kRunningTime, kOrder };
enum class Leaky { kAuto, kNone, kDownstream };

struct Settings {
  Options options;        // model, device, precision, …: what the core is opened with
  double depth_unit = 0;  // metres per step; 0 = what the caps say
  double min_depth_m = 0;
  double max_depth_m = 25;
  double max_hole = DepthView{}.max_hole;  // share of the frame
  double temporal = 0;                     // weight of the past; 0 = off
  unsigned inference_interval = 1;
  SkipPolicy skip_policy = SkipPolicy::kDrop;
  uint64_t pts_tolerance = kNoTime;  // ns
  SyncMode sync_mode = SyncMode::kRunningTime;
  Leaky leaky = Leaky::kAuto;
  unsigned max_pairs = 2;
  bool qos = true;
  uint64_t stats_interval = 0;  // ns
};

}  // namespace rgbd::refine
