// SPDX-License-Identifier: Apache-2.0
// The test camera: scene, renderer and depth sensor, put into the memories of a buffer.
#pragma once

#include <gst/gst.h>

#include <cstdint>
#include <vector>

#include "gst/testsrc/negotiate.h"
#include "gst/testsrc/noise.h"
#include "gst/testsrc/render.h"
#include "gst/testsrc/scene.h"
#include "gst/testsrc/sensor.h"

namespace rgbd {

/// One thread at a time. What a frame shows depends on seed, sensor, motion, frame number and sizes
/// alone.
class TestCamera {
 public:
  TestCamera(uint32_t seed, SensorKind sensor, Motion motion);
  /// Appends one memory to `buffer` for each stream of `format`.
  void render(uint64_t frame, const FrameFormat& format, GstBuffer* buffer);

 private:
  /// The view of this size, rendered once for all streams that have it.
  const View& view_of(const Snapshot& scene, FieldOfView fov, int width, int height, uint64_t frame);

  uint32_t seed_;
  Motion motion_;
  NoiseTiles noise_;
  Scene scene_;
  Renderer renderer_;
  DepthSensor sensor_;
  std::vector<uint16_t> depth_mm_;
  View views_[kStreams];
  int views_used_ = 0;
};

}  // namespace rgbd
