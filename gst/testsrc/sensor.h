// SPDX-License-Identifier: Apache-2.0
// What a depth camera makes of the true depth: noise, steps, holes and shadows of three kinds of camera. The
// figures follow measurements of D435, Kinect v1 and Azure Kinect class cameras; only what is named here is
// modelled.
#pragma once

#include <cstdint>
#include <vector>

#include "gst/testsrc/lanes.h"
#include "gst/testsrc/noise.h"
#include "gst/testsrc/render.h"

namespace rgbd {

enum class SensorKind {
  kNone,    // the truth in whole millimetres
  kStereo,  // active stereo: 50 mm baseline, 1/32 px steps, noise that hangs together over some pixels
  kStructuredLight,  // projector and camera: 75 mm, 1/8 px steps, ragged outlines, projector shadow
  kTof,  // time of flight: half resolution, flying pixels, noise with the square of depth, dark loss
};

/// The true depth in whole millimetres; what 16 bits cannot hold becomes 65535. `depth_mm` is [height,
/// width].
void write_truth(const View& view, uint16_t* depth_mm);

/// One camera. Keeps its buffers; one thread at a time.
class DepthSensor {
 public:
  DepthSensor(SensorKind kind, const NoiseTiles& noise) : kind_(kind), noise_(noise) {}

  /// Measures a view of half width `tan_x` at a distance of 1; [height, width] millimetres out. Noise is new
  /// in each frame; where the camera sees badly drifts slowly.
  void measure(const View& view, float tan_x, uint32_t seed, uint64_t frame, uint16_t* depth_mm);

 private:
  struct Model;
  /// Names of the noise fields of one frame; each starts somewhere else in its tile.
  enum Channel {
    kLow,
    kMid,
    kWhite,
    kJitterX,
    kJitterY,
    kSwell,
    kFaint,
    kDark,
    kGrazing,
    kSpeckle,
    kLost,
    kChannels
  };

  void look_at_picture(const View& view);
  void find_disparities(const View& view, float focal_baseline);
  /// Both write metres to measured_, before any hole.
  void match_row(const View& view, const Model& model, float focal_baseline, int y);
  void fly_row(const View& view, const Model& model, int y);
  /// Row of the second camera's view: drops what something nearer hides from it.
  void cast_shadow(int width);
  void lose_row(const View& view, const Model& model, float focal, int y, uint16_t* depth_mm);
  void halve(const View& view);
  const float* noise_row(Blur blur, Channel channel, int y, int width);

  SensorKind kind_;
  const NoiseTiles& noise_;
  uint32_t seed_ = 0, frame_ = 0;
  std::vector<float> brightness_;  // [height, width] 0..1
  std::vector<float> texture_;     // [height / 8, width / 8] mean step between neighbours there, 0..1
  std::vector<float> plane_;  // [height, width + margins] disparity in px, or [height / 2, width / 2] metres
  // One value per pixel of the row.
  std::vector<float> fields_[kChannels], measured_, disparity_, second_view_, hidden_, row_texture_;
  std::vector<int32_t> seen_at_, columns_, lines_;
};

}  // namespace rgbd
