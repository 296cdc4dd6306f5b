// SPDX-License-Identifier: Apache-2.0
// Where a ray meets a unit shape, without branches: T is float for one ray or Lanes for four.
#pragma once

#include "gst/testsrc/lanes.h"
#include "gst/testsrc/scene.h"

namespace rgbd {

inline constexpr float kMiss = 1e9f;   // farther than anything
inline constexpr float kNear = 0.05f;  // nothing is seen nearer than that

/// Where a ray enters a shape, in lengths of its direction, if it does. A ray starts at `o`.
template <class T>
struct Meeting {
  T t;
  Mask<T> hit;
};

/// The unit sphere.
template <class T>
Meeting<T> meet_sphere(Vec3 o, T dx, T dy, T dz) {
  const T a = dx * dx + dy * dy + dz * dz;
  const T b = o.x * dx + o.y * dy + o.z * dz;
  const float c = o.x * o.x + o.y * o.y + o.z * o.z - 1;
  const T d = b * b - a * c;
  const T t = (-b - square_root(greater(d, T{}))) / a;
  return {t, (d > 0) & (t > kNear)};
}

/// The cube from -1 to 1.
template <class T>
Meeting<T> meet_box(Vec3 o, T dx, T dy, T dz) {
  const T ix = 1 / dx, iy = 1 / dy, iz = 1 / dz;
  const T ax = (-1 - o.x) * ix, bx = (1 - o.x) * ix;
  const T ay = (-1 - o.y) * iy, by = (1 - o.y) * iy;
  const T az = (-1 - o.z) * iz, bz = (1 - o.z) * iz;
  const T in = greater(greater(lesser(ax, bx), lesser(ay, by)), lesser(az, bz));
  const T out = lesser(lesser(greater(ax, bx), greater(ay, by)), greater(az, bz));
  return {in, (in < out) & (in > kNear)};
}

/// The closed cylinder of radius 1 along y, from -1 to 1.
template <class T>
Meeting<T> meet_cylinder(Vec3 o, T dx, T dy, T dz) {
  const T a = dx * dx + dz * dz;
  const T b = o.x * dx + o.z * dz;
  const float c = o.x * o.x + o.z * o.z - 1;
  const T d = b * b - a * c;
  const T root = square_root(greater(d, T{})), ia = 1 / a, iy = 1 / dy;
  const T ay = (-1 - o.y) * iy, by = (1 - o.y) * iy;
  const T in = greater((-b - root) * ia, lesser(ay, by));
  const T out = lesser((-b + root) * ia, greater(ay, by));
  return {in, (d > 0) & (in < out) & (in > kNear)};
}

template <class T>
Meeting<T> meet(Shape shape, Vec3 o, T dx, T dy, T dz) {
  switch (shape) {
    case Shape::kEllipsoid:
      return meet_sphere(o, dx, dy, dz);
    case Shape::kBox:
      return meet_box(o, dx, dy, dz);
    default:
      return meet_cylinder(o, dx, dy, dz);
  }
}

/// Where a ray from inside leaves a box of half size h, and through which face: 0..5 = -x, +x, -y, +y, -z,
/// +z.
template <class T>
struct Leaving {
  T t;
  Mask<T> by_x, by_y;  // else by z
};
template <class T>
Leaving<T> leave_room(Vec3 o, Vec3 h, T dx, T dy, T dz) {
  const T ix = 1 / dx, iy = 1 / dy, iz = 1 / dz;
  const T x = greater((-h.x - o.x) * ix, (h.x - o.x) * ix);
  const T y = greater((-h.y - o.y) * iy, (h.y - o.y) * iy);
  const T z = greater((-h.z - o.z) * iz, (h.z - o.z) * iz);
  return {lesser(lesser(x, y), z), (x < y) & (x < z), y < z};
}

}  // namespace rgbd
