// SPDX-License-Identifier: Apache-2.0
// Which colour frame belongs to which depth frame: a pure function of what waits at the two pads' heads.
// Every answer but kWait takes something, so a caller that acts on it always moves on.
#pragma once

#include <cstdint>

namespace rgbd::refine {

/// No time; the same bits as GST_CLOCK_TIME_NONE.
inline constexpr uint64_t kNoTime = UINT64_MAX;

/// Running times of frames are signed: of a frame that the start of a segment cuts, or a pad's offset moves
/// before it, it is the time that counts, not where it is cut.
inline constexpr int64_t kUntimed = INT64_MIN;

/// What waits at the head of one pad.
struct Head {
  bool waiting = false;             // a frame or a gap
  bool eos = false;                 // nothing waits and nothing will come
  bool gap = false;                 // a stretch of time without data, [running_time, end_time)
  int64_t running_time = kUntimed;  // ns; kUntimed: the frame has no timestamp
  int64_t end_time = kUntimed;      // ns, gaps only
  int64_t length = 0;               // ns from one frame to the next; 0: not known
};

struct PairingRule {
  bool by_order = false;  // first with first, whatever the times say
  int64_t tolerance = 0;  // ns, how far apart the running times of a pair may be
};

enum class Step {
  kWait,        // nothing can be said yet
  kPair,        // take both, they belong together
  kRgbAlone,    // take the colour frame, it has no depth
  kRgbNoDepth,  // take both: the colour frame, and the gap that stands for its depth
  kRgbGap,      // take the colour pad's gap
  kRgbGapPair,  // take both: a colour gap, and the depth frame that stood beside it
  kDepthAlone,  // take the depth frame (or depth gap), its colour frame did not come
  kEos,         // the colour stream is over, and with it the output
};

/// `timeout`: the live deadline of what waits has passed, its partner is not waited for any longer.
Step decide(const Head& rgb, const Head& depth, const PairingRule& rule, bool timeout);

}  // namespace rgbd::refine
