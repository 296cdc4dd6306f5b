// SPDX-License-Identifier: Apache-2.0
// Colours a row of pixels whose depth and object are known: texture, lamp with shadow, window light, corners.
#pragma once

#include <cstdint>
#include <vector>

#include "gst/testsrc/noise.h"
#include "gst/testsrc/scene.h"
#include "gst/testsrc/texture.h"

namespace rgbd {

/// The shadow map: what the lamp sees looking down, x right, z up, this wide at a distance of 1.
inline constexpr int kShadowSize = 512;
inline constexpr float kShadowTan = 2.2f;

/// For one frame. Keeps references to all it is given.
class Shader {
 public:
  /// `pixel_pitch` is a pixel's width at a distance of 1.
  Shader(const Snapshot& scene, const NoiseTiles& noise, const float* shadow_map, int width,
         float pixel_pitch);

  /// Rays start + x * step from the camera; depth and ids as render.h has them; 3 bytes per pixel out.
  void shade_row(Vec3 start, Vec3 step, const float* depth, const int32_t* ids, uint32_t grain, uint32_t y,
                 uint8_t* color);

 private:
  void paint_run(const Material& material, int left, int right);
  void paint_face(int face, int left, int right);
  void paint_object(const Object& object, int left, int right, const float* depth);
  void find_shadows();
  void light_row(Vec3 eye);

  const Snapshot& scene_;
  const NoiseTiles& noise_;
  const float* shadow_map_;
  int width_;
  float pixel_pitch_;
  // One value per pixel of the row: place, normal, albedo, highlight, own light, share of the lamp that
  // arrives.
  std::vector<float> px_, py_, pz_, nx_, ny_, nz_, red_, green_, blue_, gloss_, glow_, lit_, grain_;
  std::vector<SurfacePoint> points_;
  std::vector<Paint> paints_;
  std::vector<int32_t> steps_[3];  // red, green, blue, 0..255
};

}  // namespace rgbd
