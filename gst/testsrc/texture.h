// SPDX-License-Identifier: Apache-2.0
// What a surface looks like at a point.
#pragma once

#include "gst/testsrc/noise.h"
#include "gst/testsrc/scene.h"

namespace rgbd {

struct Paint {
  Vec3 albedo;
  float glow = 0;  // light of its own, times albedo
};

/// A point of a surface: metres along it, and from -1 to 1 within the object.
struct SurfacePoint {
  float u, v;   // metres; v up where there is an up
  Vec3 local;   // in the unit shape
  float pixel;  // metres that one pixel covers: what is finer is faded out, not left to flicker
};

/// What `count` points of one material look like.
void paint(const Material& material, const NoiseTiles& noise, const SurfacePoint* points, int count,
           Paint* out);

}  // namespace rgbd
