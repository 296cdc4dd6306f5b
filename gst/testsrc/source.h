// SPDX-License-Identifier: Apache-2.0
// The private source inside rgbdtestsrc: one buffer per frame, with one memory for each stream that is
// linked.
#pragma once

#include <gst/gst.h>

#include "gst/testsrc/scene.h"
#include "gst/testsrc/sensor.h"

namespace rgbd {

/// What the source hands to the demuxer. The caps' fields rgb, depth and truth, each missing if not wanted,
/// hold the stream's own caps; the buffer's memories follow in this order.
inline constexpr char kFrameCaps[] = "application/x-rgbd-test-frame";
inline constexpr const char* kStreamNames[] = {"rgb", "depth", "truth"};
inline constexpr int kStreams = 3;
enum Stream { kRgb, kDepth, kTruth };

/// What a stream can be, as its pad template says. Owned by the caller.
GstCaps* stream_template_caps(int stream);

/// GObject type of SensorKind.
GType sensor_type();

/// GObject type of Motion.
GType motion_type();

/// seed, sensor, motion, num-buffers and is-live: the bin has the same ones and passes them on.
void install_source_properties(GObjectClass* object_class);

}  // namespace rgbd

GType gst_rgbd_test_source_get_type();
GType gst_rgbd_test_demux_get_type();
