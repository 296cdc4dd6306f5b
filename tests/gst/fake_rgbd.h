// SPDX-License-Identifier: Apache-2.0
// What the stand-in for librgbd does, and how a test holds it by the reins. See fake_rgbd.cpp.
//
// The "model" is a string: "fake:delay=20,add=3". delay: ms that one pair takes; warm: ms of a warm-up; add:
// is added to each valid depth step, so that a test sees which model ran; warn: a text for Info::warnings;
// device: a text for Info::device, though nothing is computed there.
// "fake:bad" cannot be read and a name that does not begin with "fake:" is not found. Empty is "fake:". It
// runs on "cpu" ("auto") alone.
//
// The "network" writes input depth, nearest-resized, in the output's unit, plus `add`. Pixel (1, 0) becomes
// the first byte of the colour frame and pixel (2, 0) the last byte of its last row, so that a wrong partner
// or a wrong stride shows.
//
// The temporal filter is the real one.
#pragma once

#include <cstdint>

#include "core/rgbd.h"

namespace fake_rgbd {

/// Everything as at the start: nothing held, no failure, counters at 0, no model open. Blocks until the
/// models of earlier elements are gone, whose last pairs would be taken for new ones. False: after ten
/// seconds one is still open.
[[nodiscard]] RGBD_API bool reset();

/// From now on pairs stay in the engine until release(); cancelling one frees the engine too. Warm-ups, which
/// nobody can cancel, stay too.
RGBD_API void hold();
/// As hold(), but a cancelled pair keeps the engine busy until release(), as real inference does.
RGBD_API void hold_stubbornly();
RGBD_API void release();
/// Lets one pair go, the one in the engine or else the next; those after it stay held.
RGBD_API void release_one();
/// Blocks until a pair is in the engine. False after ten seconds.
RGBD_API bool wait_until_busy();
/// The same, and somebody is inside Pending::wait().
RGBD_API bool wait_until_waited_for();

/// Blocks until somebody has cancelled a pair since reset(). False after ten seconds.
RGBD_API bool wait_until_cancelled();

/// open() blocks until release_loads().
RGBD_API void hold_loads();
RGBD_API void release_loads();
/// Blocks until somebody is inside open(). False after ten seconds.
RGBD_API bool wait_until_loading();

/// The next pair or warm-up fails with this.
RGBD_API void fail_next(rgbd::ErrorCode code);
/// Takes fail_next() back, if nothing has failed with it yet.
RGBD_API void fail_none();

RGBD_API uint64_t pairs_run();  // forward passes that ended, cancelled ones too
RGBD_API uint64_t warm_ups();
RGBD_API int models_open();
/// Blocks until so many models are open: the element lets go of one on a thread of its own. False after ten
/// seconds.
RGBD_API bool wait_until_models_open(int count);
RGBD_API rgbd::Options last_options();
RGBD_API rgbd::ImageView last_image();  // its pointers are stale
RGBD_API rgbd::DepthView last_depth();  // here too

}  // namespace fake_rgbd
