// SPDX-License-Identifier: Apache-2.0
// Colours rows, see shade.h. One pass per row for places, then per run of one object its paint and normals,
// then the light for the whole row in one loop that vectorises.
#include "gst/testsrc/shade.h"

#include <algorithm>

#include "gst/testsrc/lanes.h"
#include "gst/testsrc/texture.h"

namespace rgbd {
namespace {

constexpr int kFaces = 6;
constexpr Vec3 kLampColor{1.0f, 0.93f, 0.8f};
constexpr float kLampPower = 5.2f, kLampReach2 = 1.6f;  // falls off with 1 / (reach^2 + distance^2)
// Light from everywhere, by where a surface looks; the floor sends up a warm part of the lamp's.
constexpr Vec3 kFromAbove{0.36f, 0.36f, 0.37f}, kFromBelow{0.62f, 0.57f, 0.5f}, kAround{0.42f, 0.41f, 0.4f};
constexpr Vec3 kWindowColor{0.16f, 0.2f, 0.26f};
constexpr float kCornerReach = 0.16f;  // m
constexpr float kGrain = 0.7f;         // steps of 8 bit

float length(Vec3 v) {
  return std::sqrt(dot(v, v));
}

/// Linear light to 0..255: highlights roll off, then gamma 2.
template <class T>
T tone(T x) {
  const T rolled = x * (1 + 0.16f * x) / (1 + 0.62f * x);
  return 255 * square_root(lesser(rolled, fill<T>(1)));
}

}  // namespace

Shader::Shader(const Snapshot& scene, const NoiseTiles& noise, const float* shadow_map, int width,
               float pixel_pitch)
    : scene_(scene), noise_(noise), shadow_map_(shadow_map), width_(width), pixel_pitch_(pixel_pitch) {
  for (auto* values :
       {&px_, &py_, &pz_, &nx_, &ny_, &nz_, &red_, &green_, &blue_, &gloss_, &glow_, &lit_, &grain_})
    values->resize(static_cast<size_t>(width));
  points_.resize(static_cast<size_t>(width));
  paints_.resize(static_cast<size_t>(width));
  for (auto& steps : steps_) steps.resize(static_cast<size_t>(width));
}

/// Paints the run from `left` to before `right`, whose points_ and normals are set.
void Shader::paint_run(const Material& material, int left, int right) {
  paint(material, noise_, &points_[left], right - left, &paints_[left]);
  for (int x = left; x < right; ++x) {
    const Paint& surface = paints_[x];
    red_[x] = surface.albedo.x, green_[x] = surface.albedo.y, blue_[x] = surface.albedo.z;
    glow_[x] = surface.glow;
  }
  std::fill(&gloss_[left], &gloss_[left] + (right - left), material.gloss);
}

void Shader::paint_face(int face, int left, int right) {
  const Vec3 eye = scene_.camera.position;
  const int axis = face / 2;
  const float toward = face & 1 ? -1.0f : 1.0f;  // normals point into the room
  const float *u = (axis == 0 ? pz_ : px_).data(), *v = (axis == 1 ? pz_ : py_).data();
  for (int x = left; x < right; ++x) {
    const float distance = std::abs(px_[x] - eye.x) + std::abs(pz_[x] - eye.z);
    points_[x] = {u[x], v[x], {px_[x], py_[x], pz_[x]}, distance * pixel_pitch_};
  }
  for (auto* normal : {&nx_, &ny_, &nz_})
    std::fill(&(*normal)[left], &(*normal)[left] + (right - left), 0.0f);
  auto& facing = axis == 0 ? nx_ : axis == 1 ? ny_ : nz_;
  std::fill(&facing[left], &facing[left] + (right - left), toward);
  paint_run(scene_.room.faces[face], left, right);
}

void Shader::paint_object(const Object& object, int left, int right, const float* depth) {
  const Vec3 half{length(object.axis[0]), length(object.axis[1]), length(object.axis[2])};
  Vec3 rows[3];  // to the unit shape
  for (int i = 0; i < 3; ++i) rows[i] = object.axis[i] * (1 / dot(object.axis[i], object.axis[i]));
  const bool lies = half.y < half.x;  // grain runs along the longer side
  for (int x = left; x < right; ++x) {
    const Vec3 offset = Vec3{px_[x], py_[x], pz_[x]} - object.center;
    const Vec3 p{dot(rows[0], offset), dot(rows[1], offset), dot(rows[2], offset)};
    const float ax = std::abs(p.x), ay = std::abs(p.y), az = std::abs(p.z);
    SurfacePoint at{p.x * half.x, p.y * half.y, p, depth[x] * pixel_pitch_};
    auto outward = [&](Vec3 unit) {
      return normalized(rows[0] * unit.x + rows[1] * unit.y + rows[2] * unit.z);
    };
    Vec3 n;
    if (object.shape == Shape::kEllipsoid) {
      n = outward(p);
    } else if (object.shape == Shape::kCylinder) {
      n = outward(ay > 0.9999f ? Vec3{0, p.y, 0} : Vec3{p.x, 0, p.z});
    } else if (ax > ay && ax > az) {
      n = rows[0] * std::copysign(half.x, p.x);
      at.u = p.z * half.z;
    } else if (ay > az) {
      n = rows[1] * std::copysign(half.y, p.y);
      at.v = p.z * half.z;
    } else {
      n = rows[2] * std::copysign(half.z, p.z);
    }
    if (!lies) std::swap(at.u, at.v);
    points_[x] = at;
    nx_[x] = n.x, ny_[x] = n.y, nz_[x] = n.z;
  }
  paint_run(object.material, left, right);
}

/// Share of the lamp's light that gets to each pixel: four neighbours of the shadow map, weighted.
void Shader::find_shadows() {
  constexpr float kScale = kShadowSize / (2 * kShadowTan), kMiddle = kShadowSize / 2 - 0.5f;
  constexpr float kLast = kShadowSize - 1.001f;
  const Vec3 light = scene_.light;
  for_lanes(0, width_, [&]<class T>(int x, T) {
    const T zero{}, one = fill<T>(1);
    const T below = greater(light.y - load<T>(&py_[x]), fill<T>(0.05f)), scale = kScale / below;
    const T u = (load<T>(&px_[x]) - light.x) * scale + kMiddle;
    const T v = kMiddle - (load<T>(&pz_[x]) - light.z) * scale;
    const auto on_map = (u >= 0) & (u < kLast) & (v >= 0) & (v < kLast);
    const T us = choose(on_map, u, zero), vs = choose(on_map, v, zero);
    const auto column = truncate(us), row = truncate(vs);
    const T fu = us - to_float(column), fv = vs - to_float(row), limit = below - 0.03f;
    const auto texel = row * kShadowSize + column;
    auto open = [&](int next) { return choose(gather(shadow_map_ + next, texel) > limit, one, zero); };
    const T top = open(0) * (1 - fu) + open(1) * fu;
    const T bottom = open(kShadowSize) * (1 - fu) + open(kShadowSize + 1) * fu;
    store(&lit_[x], choose(on_map, top * (1 - fv) + bottom * fv, one));
  });
}

/// Turns albedo into light: lamp (Lambert, Blinn-Phong), window, ambient light that is less in the room's
/// corners. Then the film: red_, green_, blue_ end as 0..255.
void Shader::light_row(Vec3 eye) {
  const Vec3 light = scene_.light;
  const Vec3 low = scene_.room.center - scene_.room.half, high = scene_.room.center + scene_.room.half;
  const float window_side = scene_.room.faces[0].texture == Texture::kWindow ? -1.0f : 1.0f;
  for_lanes(0, width_, [&]<class T>(int x, T) {
    const T zero{};
    const T px = load<T>(&px_[x]), py = load<T>(&py_[x]), pz = load<T>(&pz_[x]);
    const T nx = load<T>(&nx_[x]), ny = load<T>(&ny_[x]), nz = load<T>(&nz_[x]);
    const T lx = light.x - px, ly = light.y - py, lz = light.z - pz;
    const T far2 = lx * lx + ly * ly + lz * lz, near1 = 1 / square_root(far2);
    const T facing = greater((nx * lx + ny * ly + nz * lz) * near1, zero);
    const T lit = load<T>(&lit_[x]), lamp = kLampPower * lit * facing / (kLampReach2 + far2);

    const T gloss = load<T>(&gloss_[x]);
    T highlight{};
    if (any(gloss > 0)) {
      const T vx = eye.x - px, vy = eye.y - py, vz = eye.z - pz;
      const T view1 = 1 / square_root(vx * vx + vy * vy + vz * vz);
      const T hx = lx * near1 + vx * view1, hy = ly * near1 + vy * view1, hz = lz * near1 + vz * view1;
      const T half_way = greater(nx * hx + ny * hy + nz * hz, zero);
      const T h2 = half_way * half_way / (hx * hx + hy * hy + hz * hz + 1e-6f), h4 = h2 * h2, h8 = h4 * h4;
      highlight = gloss * lit * h8 * h8 * h8 * 0.8f;
    }

    // A wall at distance d takes up to half of the light from its side: (d + r/2 (1 + facing)) / (d + r), one
    // each.
    const T x0 = greater(px - low.x, zero), x1 = greater(high.x - px, zero), y0 = greater(py - low.y, zero);
    const T y1 = greater(high.y - py, zero), z0 = greater(pz - low.z, zero), z1 = greater(high.z - pz, zero);
    constexpr float kReach = kCornerReach, kHalf = kCornerReach / 2;
    const T open =
        (x0 + kHalf * (1 + nx)) * (x1 + kHalf * (1 - nx)) * (y0 + kHalf * (1 + ny)) *
        (y1 + kHalf * (1 - ny)) * (z0 + kHalf * (1 + nz)) * (z1 + kHalf * (1 - nz)) /
        ((x0 + kReach) * (x1 + kReach) * (y0 + kReach) * (y1 + kReach) * (z0 + kReach) * (z1 + kReach));
    const T up = greater(ny, zero), down = greater(-ny, zero);
    const T sky = up * open, floor = down * open, level = (1 - up - down) * open;
    const T side = open * greater(0.25f + 0.75f * nx * window_side, zero);
    const T own = load<T>(&glow_[x]);
    auto film = [&](float* color, float Vec3::*part) {
      const T arrives = lamp * kLampColor.*part + sky * kFromAbove.*part + floor * kFromBelow.*part +
                        level * kAround.*part + side * kWindowColor.*part + own;
      store(color, tone(load<T>(color) * arrives + highlight * kLampColor.*part));
    };
    film(&red_[x], &Vec3::x);
    film(&green_[x], &Vec3::y);
    film(&blue_[x], &Vec3::z);
  });
}

void Shader::shade_row(Vec3 start, Vec3 step, const float* depth, const int32_t* ids, uint32_t grain,
                       uint32_t y, uint8_t* color) {
  const Vec3 eye = scene_.camera.position;
  float* __restrict px = px_.data(), * __restrict py = py_.data(), * __restrict pz = pz_.data();
  for (int x = 0; x < width_; ++x) {
    const float fx = static_cast<float>(x), t = depth[x];
    px[x] = eye.x + t * (start.x + fx * step.x);
    py[x] = eye.y + t * (start.y + fx * step.y);
    pz[x] = eye.z + t * (start.z + fx * step.z);
  }
  for (int left = 0; left < width_;) {
    int right = left + 1;
    while (right < width_ && ids[right] == ids[left]) ++right;
    if (ids[left] < kFaces)
      paint_face(ids[left], left, right);
    else
      paint_object(scene_.objects[static_cast<size_t>(ids[left] - kFaces)], left, right, depth);
    left = right;
  }
  find_shadows();
  noise_.row(Blur::kNone, grain, y + (grain >> 10), width_, grain_.data());
  light_row(eye);
  int part = 0;
  for (const auto* values : {&red_, &green_, &blue_}) {
    int32_t* steps = steps_[part++].data();
    for_lanes(0, width_, [&]<class T>(int x, T) {
      const T value = load<T>(&(*values)[x]) + kGrain * load<T>(&grain_[x]);
      store(steps + x, truncate(lesser(greater(value, T{}), fill<T>(255)) + 0.5f));
    });
  }
  const int32_t *red = steps_[0].data(), *green = steps_[1].data(), *blue = steps_[2].data();
  for (int x = 0; x < width_; ++x) {
    color[3 * x] = static_cast<uint8_t>(red[x]);
    color[3 * x + 1] = static_cast<uint8_t>(green[x]);
    color[3 * x + 2] = static_cast<uint8_t>(blue[x]);
  }
}

}  // namespace rgbd
