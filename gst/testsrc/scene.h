// SPDX-License-Identifier: Apache-2.0
// The scene of rgbdtestsrc: a living room of boxes, cylinders and ellipsoids, some moving, and a swaying
// camera. World: metres, x right, y up, z into the room.
#pragma once

#include <cstdint>
#include <vector>

#include "gst/testsrc/noise.h"

namespace rgbd {

struct Vec3 {
  float x = 0, y = 0, z = 0;
  friend Vec3 operator+(Vec3 a, Vec3 b) { return {a.x + b.x, a.y + b.y, a.z + b.z}; }
  friend Vec3 operator-(Vec3 a, Vec3 b) { return {a.x - b.x, a.y - b.y, a.z - b.z}; }
  friend Vec3 operator*(Vec3 a, float s) { return {a.x * s, a.y * s, a.z * s}; }
  friend float dot(Vec3 a, Vec3 b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
  friend Vec3 cross(Vec3 a, Vec3 b) {
    return {a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x};
  }
  friend Vec3 normalized(Vec3 a) { return a * (1 / std::sqrt(dot(a, a))); }
};

enum class Texture {
  kPlain,     // a little cloudy
  kPlaster,   // painted wall, skirting board in `second`
  kWindow,    // plaster with a window in it
  kPlanks,    // wooden floor with a rug in `second`
  kWood,      // grain along the longest side
  kFabric,    // weave
  kStripes,   // bands of `color` and `second` along v
  kOctants,   // a ball of eight triangles
  kPainting,  // hills under a sky, framed
  kBook,      // a spine with bands
};

struct Material {
  Texture texture = Texture::kPlain;
  Vec3 color{0.5f, 0.5f, 0.5f};  // albedo, linear
  Vec3 second{0.1f, 0.1f, 0.1f};
  float gloss = 0;     // strength of the highlight
  float emission = 0;  // light of its own, times color
};

/// Affine image of a unit shape (sphere; cube -1..1; cylinder of radius 1 along y, -1..1).
enum class Shape { kEllipsoid, kBox, kCylinder };
struct Object {
  Shape shape;
  Vec3 center;
  Vec3 axis[3];  // images of the unit vectors; at right angles
  Material material;
};

/// Pinhole camera; pixels see along forward + a right - b up.
struct Camera {
  Vec3 position, right, up, forward;  // unit vectors at right angles
};
Camera look(Vec3 from, Vec3 at);

/// The room reaches from -half to +half around center; its faces are -x, +x, -y, +y, -z, +z.
struct Room {
  Vec3 center, half;
  Material faces[6];
};

/// Everything at one moment.
struct Snapshot {
  Camera camera;
  Vec3 light;  // a lamp under the ceiling
  Room room;
  std::vector<Object> objects;
};

/// What moves from frame to frame; the rest stands still as in frame 0.
enum class Motion { kNone, kObjects, kCamera, kBoth };

/// A room furnished by seed. Immutable after construction; any thread.
class Scene {
 public:
  explicit Scene(uint32_t seed);
  /// The scene at a frame, 1/30 s after the one before whatever the framerate is.
  Snapshot at(uint64_t frame, Motion motion = Motion::kBoth) const;

 private:
  void furnish(Random& random);
  void add_table(Random& random);
  void add_sofa(Random& random);
  void add_shelf(Random& random);
  void add_plant(Random& random);
  void add_chair(Random& random);
  void add_lamp_and_walls(Random& random);
  void add_moving(double seconds, std::vector<Object>& objects) const;

  Snapshot still_;
  double phase_[8];  // turns
  float side_;       // +1, or -1 for the mirrored room
  Vec3 accents_[4];
};

}  // namespace rgbd
