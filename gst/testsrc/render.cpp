// SPDX-License-Identifier: Apache-2.0
// Finds what each pixel sees, see render.h; shade.cpp colours it.
#include "gst/testsrc/render.h"

#include <algorithm>
#include <type_traits>

#include "gst/testsrc/shade.h"
#include "gst/testsrc/trace.h"

namespace rgbd {
namespace {

constexpr float kTanHalfWidth = 0.7f;
constexpr int kFaces = 6;

Target prepare(const Object& object, const Camera& camera, FieldOfView fov, int width, int height) {
  Target target{};
  target.shape = object.shape;
  const Vec3 offset = camera.position - object.center;
  Vec3 rows[3];
  for (int i = 0; i < 3; ++i) rows[i] = object.axis[i] * (1 / dot(object.axis[i], object.axis[i]));
  std::copy(rows, rows + 3, target.to_local);
  target.origin = {dot(rows[0], offset), dot(rows[1], offset), dot(rows[2], offset)};

  // The screen rectangle of the box around it; all of the screen if a corner is not in front.
  float left = 1e9f, right = -1e9f, top = 1e9f, bottom = -1e9f;
  for (int corner = 0; corner < 8; ++corner) {
    Vec3 p = Vec3{} - offset;
    for (int i = 0; i < 3; ++i) p = p + object.axis[i] * (corner >> i & 1 ? 1.0f : -1.0f);
    const float z = dot(p, camera.forward);
    if (z < kNear) {
      left = top = -1e9f;
      right = bottom = 1e9f;
      break;
    }
    const float x = dot(p, camera.right) / (z * fov.tan_x), y = -dot(p, camera.up) / (z * fov.tan_y);
    left = lesser(left, x), right = greater(right, x);
    top = lesser(top, y), bottom = greater(bottom, y);
  }
  auto pixel = [](float ndc, int size, int extra) {
    return static_cast<int>(
               std::clamp((ndc + 1) * 0.5f * static_cast<float>(size), -1.0f, static_cast<float>(size))) +
           extra;
  };
  target.left = std::max(pixel(left, width, -1), 0);
  target.top = std::max(pixel(top, height, -1), 0);
  target.right = std::min(pixel(right, width, 2), width);
  target.bottom = std::min(pixel(bottom, height, 2), height);
  return target;
}

/// Rays of one row: direction start + x * step at pixel x.
struct RowRays {
  Vec3 start, step;
};

RowRays row_rays(const Camera& camera, FieldOfView fov, float row, int width, int height) {
  const float pitch_x = 2 * fov.tan_x / static_cast<float>(width),
              pitch_y = 2 * fov.tan_y / static_cast<float>(height);
  const float a = 0.5f * pitch_x - fov.tan_x, b = (row + 0.5f) * pitch_y - fov.tan_y;
  return {camera.forward + camera.right * a - camera.up * b, camera.right * pitch_x};
}

RowRays to_local(const RowRays& rays, const Vec3 (&rows)[3]) {
  auto turn = [&](Vec3 v) { return Vec3{dot(rows[0], v), dot(rows[1], v), dot(rows[2], v)}; };
  return {turn(rays.start), turn(rays.step)};
}

/// Directions of the rays at pixel x and, for Lanes, its neighbours to the right.
template <class T>
struct Directions {
  T x, y, z;
};
template <class T>
Directions<T> directions(const RowRays& rays, int pixel) {
  const T n = count_from<T>(pixel);
  return {rays.start.x + n * rays.step.x, rays.start.y + n * rays.step.y, rays.start.z + n * rays.step.z};
}

/// Keeps the nearer of what is there and the shape, from pixel `left` to before `right`.
template <Shape kShape>
void trace_shape(const RowRays& rays, Vec3 origin, int left, int right, int32_t id, float* depth,
                 int32_t* ids) {
  for_lanes(left, right, [&]<class T>(int x, T) {
    const auto d = directions<T>(rays, x);
    const Meeting<T> m = meet(kShape, origin, d.x, d.y, d.z);
    const T old_depth = load<T>(depth + x);
    const Mask<T> nearer = m.hit & (m.t < old_depth);
    store(depth + x, choose(nearer, m.t, old_depth));
    if constexpr (std::is_same_v<T, Lanes>) {
      IntLanes old_ids;
      std::memcpy(&old_ids, ids + x, sizeof old_ids);
      store(ids + x, choose(nearer, IntLanes{id, id, id, id}, old_ids));
    } else if (nearer) {
      ids[x] = id;
    }
  });
}

/// The face of the room that each ray meets, as a number.
template <class T>
T face_at(Vec3 o, Vec3 h, const Directions<T>& d) {
  const Leaving<T> wall = leave_room(o, h, d.x, d.y, d.z);
  const T side = choose(d.x > 0, fill<T>(1), fill<T>(0)), level = choose(d.y > 0, fill<T>(3), fill<T>(2));
  const T end = choose(d.z > 0, fill<T>(5), fill<T>(4));
  return choose(wall.by_x, side, choose(wall.by_y, level, end));
}

void trace_room(const Room& room, Vec3 eye, const RowRays& rays, int width, float* depth, int32_t* ids) {
  const Vec3 o = eye - room.center, h = room.half;
  for_lanes(0, width, [&]<class T>(int x, T) {
    const auto d = directions<T>(rays, x);
    store(depth + x, leave_room(o, h, d.x, d.y, d.z).t);
    const T face = face_at(o, h, d);
    for (int i = 0; i < static_cast<int>(sizeof(T) / sizeof(float)); ++i) {
      float number;
      std::memcpy(&number, reinterpret_cast<const char*>(&face) + i * sizeof(float), sizeof number);
      ids[x + i] = static_cast<int32_t>(number);
    }
  });
}

Meeting<Lanes> meet_target(const Target& target, const Directions<Lanes>& d) {
  auto turn = [&](Vec3 row) { return row.x * d.x + row.y * d.y + row.z * d.z; };
  const Vec3(&m)[3] = target.to_local;
  return meet(target.shape, target.origin, turn(m[0]), turn(m[1]), turn(m[2]));
}

}  // namespace

FieldOfView field_of_view(int width, int height) {
  return {kTanHalfWidth, kTanHalfWidth * static_cast<float>(height) / static_cast<float>(width)};
}

void Renderer::trace(const Snapshot& scene, const Camera& camera, FieldOfView fov, int width, int height,
                     bool with_room, float* depth, int32_t* ids) {
  targets_.clear();
  for (const Object& object : scene.objects) targets_.push_back(prepare(object, camera, fov, width, height));
  for (int y = 0; y < height; ++y, depth += width, ids += width) {
    const RowRays rays = row_rays(camera, fov, static_cast<float>(y), width, height);
    if (with_room)
      trace_room(scene.room, camera.position, rays, width, depth, ids);
    else
      std::fill(depth, depth + width, kMiss);
    for (size_t i = 0; i < targets_.size(); ++i) {
      const Target& target = targets_[i];
      if (y < target.top || y >= target.bottom || target.left >= target.right) continue;
      const RowRays local = to_local(rays, target.to_local);
      const int32_t id = kFaces + static_cast<int32_t>(i);
      switch (target.shape) {
        case Shape::kEllipsoid:
          trace_shape<Shape::kEllipsoid>(local, target.origin, target.left, target.right, id, depth, ids);
          break;
        case Shape::kBox:
          trace_shape<Shape::kBox>(local, target.origin, target.left, target.right, id, depth, ids);
          break;
        case Shape::kCylinder:
          trace_shape<Shape::kCylinder>(local, target.origin, target.left, target.right, id, depth, ids);
          break;
      }
    }
  }
}

/// What the lamp sees, looking straight down.
void Renderer::render_shadow_map(const Snapshot& scene) {
  const Camera lamp{scene.light, {1, 0, 0}, {0, 0, 1}, {0, -1, 0}};
  shadow_map_.resize(kShadowSize * kShadowSize);
  shadow_ids_.resize(kShadowSize * kShadowSize);
  trace(scene, lamp, {kShadowTan, kShadowTan}, kShadowSize, kShadowSize, false, shadow_map_.data(),
        shadow_ids_.data());
}

void Renderer::render(const Snapshot& scene, FieldOfView fov, int width, int height, uint64_t frame,
                      View& view) {
  const size_t pixels = static_cast<size_t>(width) * static_cast<size_t>(height);
  view.width = width;
  view.height = height;
  view.depth.resize(pixels);
  view.color.resize(pixels * 3);
  ids_.resize(pixels);
  render_shadow_map(scene);
  trace(scene, scene.camera, fov, width, height, true, view.depth.data(), ids_.data());

  Shader shader(scene, noise_, shadow_map_.data(), width, 2 * fov.tan_x / static_cast<float>(width));
  const uint32_t grain = hash(static_cast<uint32_t>(frame), 0x91a1);
  for (int y = 0; y < height; ++y) {
    const RowRays rays = row_rays(scene.camera, fov, static_cast<float>(y), width, height);
    const size_t row = static_cast<size_t>(y) * static_cast<size_t>(width);
    shader.shade_row(rays.start, rays.step, &view.depth[row], &ids_[row], grain, static_cast<uint32_t>(y),
                     &view.color[row * 3]);
  }
  smooth_edges(scene, fov, view);
}

/// Colours of pixels at an outline become the mean of four rays, each with the colour of the neighbour that
/// shows what the ray meets. Depth stays that of the pixel's centre: a camera knows no depth between two
/// things.
void Renderer::smooth_edges(const Snapshot& scene, FieldOfView fov, View& view) {
  constexpr Lanes kRight{-0.125f, 0.375f, -0.375f, 0.125f}, kDown{-0.375f, -0.125f, 0.125f, 0.375f};
  const int width = view.width, height = view.height;
  const Vec3 o = scene.camera.position - scene.room.center;
  const Camera& camera = scene.camera;
  const float pitch_x = 2 * fov.tan_x / static_cast<float>(width);
  const float pitch_y = 2 * fov.tan_y / static_cast<float>(height);
  std::vector<uint8_t> done[2];  // the last two rows' results wait until no neighbour needs the old colours
  for (auto& row : done) row.resize(static_cast<size_t>(width) * 3);
  auto color = [&](int x, int y) { return &view.color[(static_cast<size_t>(y) * width + x) * 3]; };
  auto smooth_pixel = [&](int x, int y, const int32_t* ids, uint8_t* out) {
    int32_t seen[9];
    const uint8_t* seen_color[9];
    int count = 0;
    auto see = [&](int right, int down) {
      const int32_t other = ids[down * width + right];
      for (int i = 0; i < count; ++i)
        if (seen[i] == other) return;
      seen[count] = other;
      seen_color[count++] = color(x + right, y + down);
    };
    see(0, 0);
    for (int down = -1; down <= 1; ++down)
      for (int right = -1; right <= 1; ++right) see(right, down);

    const Lanes a = (static_cast<float>(x) + 0.5f + kRight) * pitch_x - fov.tan_x;
    const Lanes b = (static_cast<float>(y) + 0.5f + kDown) * pitch_y - fov.tan_y;
    auto toward = [&](float Vec3::*part) {
      return camera.forward.*part + a * camera.right.*part - b * camera.up.*part;
    };
    const Directions<Lanes> d{toward(&Vec3::x), toward(&Vec3::y), toward(&Vec3::z)};
    const Lanes face = face_at(o, scene.room.half, d);
    Lanes nearest = fill<Lanes>(kMiss);
    IntLanes picked{};
    for (int i = 0; i < count; ++i) {
      Meeting<Lanes> m{fill<Lanes>(kMiss),
                       face == static_cast<float>(seen[i])};  // the room is behind everything
      if (seen[i] >= kFaces) m = meet_target(targets_[static_cast<size_t>(seen[i] - kFaces)], d);
      const IntLanes nearer = m.hit & (m.t <= nearest);
      nearest = choose(nearer, m.t, nearest);
      picked = choose(nearer, IntLanes{i, i, i, i}, picked);
    }
    for (int c = 0; c < 3; ++c) {
      int sum = 2;
      for (int sample = 0; sample < kLanes; ++sample) sum += seen_color[picked[sample]][c];
      out[c] = static_cast<uint8_t>(sum / 4);
    }
  };
  auto smooth_row = [&](int y, uint8_t* out) {
    std::copy(color(0, y), color(0, y) + static_cast<size_t>(width) * 3, out);
    const int32_t* ids = &ids_[static_cast<size_t>(y) * width];
    auto differs = [&](int x) {
      const int32_t id = ids[x];
      return (id ^ ids[x - 1]) | (id ^ ids[x + 1]) | (id ^ ids[x - width]) | (id ^ ids[x + width]);
    };
    constexpr int kGroup = 16;  // most groups have no outline in them
    for (int left = 1; left + 1 < width; left += kGroup) {
      const int right = std::min(left + kGroup, width - 1);
      int32_t any = 0;
      for (int x = left; x < right; ++x) any |= differs(x);
      if (any == 0) continue;
      for (int x = left; x < right; ++x)
        if (differs(x)) smooth_pixel(x, y, ids + x, out + 3 * x);
    }
  };
  for (int y = 1; y + 1 < height; ++y) {
    smooth_row(y, done[y & 1].data());
    if (y > 1) std::copy(done[~y & 1].begin(), done[~y & 1].end(), color(0, y - 1));
  }
  if (height > 2)
    std::copy(done[(height - 2) & 1].begin(), done[(height - 2) & 1].end(), color(0, height - 2));
}

}  // namespace rgbd
