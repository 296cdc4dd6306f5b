// SPDX-License-Identifier: Apache-2.0
// The textures of rgbdtestsrc, each a few lines of arithmetic on noise tiles.
#include "gst/testsrc/texture.h"

#include <algorithm>
#include <cstdlib>

namespace rgbd {
namespace {

Vec3 mix(Vec3 a, Vec3 b, float share) {
  return a + (b - a) * share;
}

/// Noise in standard deviations where one tile pixel is 1/scale metres.
float cloud(const NoiseTiles& noise, Blur blur, float u, float v, float scale_u, float scale_v) {
  return NoiseTiles::kUnit *
         noise.at(blur, static_cast<int>(u * scale_u + 4096.0f), static_cast<int>(v * scale_v + 4096.0f));
}

/// Share of a pixel that a line of this half width covers, `distance` away from its middle.
float line(float distance, float half_width, float pixel) {
  const float covered = (half_width + 0.5f * pixel - std::abs(distance)) / pixel;
  return std::clamp(covered, 0.0f, 1.0f) * std::min(1.0f, 2 * half_width / pixel);
}

/// 1 inside, 0 outside, a pixel's width in between; `depth` is how far inside.
float inside(float depth, float pixel) {
  return std::clamp(depth / pixel + 0.5f, 0.0f, 1.0f);
}

float fraction(float x) {
  return x - std::floor(x);
}

inline Vec3 plaster(const Material& m, const NoiseTiles& noise, const SurfacePoint& at) {
  const float grain = 0.022f * cloud(noise, Blur::kMedium, at.u, at.v, 160, 160) +
                      0.025f * cloud(noise, Blur::kHuge, at.u, at.v, 60, 60);
  const Vec3 wall = m.color * (1 + grain);
  constexpr float kSkirting = 0.1f;
  if (at.v > kSkirting + at.pixel) return wall;
  const Vec3 board = m.second * (1 - 0.45f * line(at.v - kSkirting + 0.008f, 0.004f, at.pixel));
  return mix(wall, board, inside(kSkirting - at.v, at.pixel));
}

/// A bright window with a white cross in a plastered wall.
Paint window(const Material& m, const NoiseTiles& noise, const SurfacePoint& at) {
  constexpr float kLeft = 3.75f, kRight = 5.05f, kBottom = 1.02f, kTop = 2.15f, kFrame = 0.045f;
  const float edge = std::min(std::min(at.u - kLeft, kRight - at.u), std::min(at.v - kBottom, kTop - at.v));
  if (edge < 0) return {plaster(m, noise, at) * (1 - 0.3f * line(edge, 0.012f, at.pixel)), 0};
  const float cross = std::min(std::abs(at.u - (kLeft + kRight) / 2), std::abs(at.v - (kBottom + kTop) / 2));
  const float frame = std::max(inside(kFrame - edge, at.pixel), line(cross, 0.018f, at.pixel));
  const float high = (at.v - kBottom) / (kTop - kBottom);
  const float trees = 0.33f + 0.05f * cloud(noise, Blur::kCoarse, at.u, 0.7f, 90, 1);
  const Vec3 sky = mix(Vec3{0.86f, 0.92f, 0.96f}, Vec3{0.42f, 0.66f, 0.92f}, high);
  const Vec3 view =
      high < trees ? Vec3{0.22f, 0.36f, 0.16f} * (1 + 0.15f * cloud(noise, Blur::kMedium, at.u, at.v, 90, 90))
                   : sky;
  return {mix(view, m.second, frame), 1.05f * (1 - frame)};
}

Vec3 planks(const Material& m, const NoiseTiles& noise, const SurfacePoint& at) {
  constexpr float kPlank = 0.14f, kLength = 1.25f;
  const float column = at.u / kPlank + 64;
  const auto index = static_cast<uint32_t>(column);
  const float along = at.v / kLength + 16 + static_cast<float>(hash(index, 1) & 255) / 256;
  const uint32_t plank = hash(index, static_cast<uint32_t>(along));
  const float tone = 0.82f + 0.3f * static_cast<float>(plank & 255) / 255;
  const float shift = static_cast<float>(plank >> 8 & 255);
  const float grain =
      0.1f * cloud(noise, Blur::kMedium, at.u + shift, at.v, 420, 26) +
      0.05f * cloud(noise, Blur::kFine, at.u + shift, at.v, 300, 12) * std::min(1.0f, 0.004f / at.pixel);
  const float seam = std::max(line((fraction(column + 0.5f) - 0.5f) * kPlank, 0.0015f, at.pixel),
                              line((fraction(along + 0.5f) - 0.5f) * kLength, 0.0015f, 2 * at.pixel));
  return m.color * (tone * (1 + grain) * (1 - 0.6f * seam));
}

/// Planks with a rug of diamonds on them.
Vec3 floor_with_rug(const Material& m, const NoiseTiles& noise, const SurfacePoint& at) {
  constexpr float kHalfWidth = 1.3f, kHalfDepth = 0.95f, kMiddle = 2.75f;
  const float x = at.u, z = at.v - kMiddle;
  const float edge = std::min(kHalfWidth - std::abs(x), kHalfDepth - std::abs(z));
  if (edge < 0) return planks(m, noise, at);
  const Vec3 cream{0.78f, 0.7f, 0.56f};
  const float weave = 1 + 0.1f * cloud(noise, Blur::kFine, x, z, 260, 260);
  const float band = line(edge - 0.09f, 0.02f, at.pixel) + line(edge - 0.14f, 0.006f, at.pixel);
  const float diamond = std::abs(fraction(x / 0.32f) - 0.5f) + std::abs(fraction(z / 0.32f) - 0.5f);
  const float pattern = edge > 0.18f ? 0.55f * line((diamond - 0.36f) * 0.32f, 0.012f, at.pixel) +
                                           0.3f * inside((0.12f - diamond) * 0.32f, at.pixel)
                                     : 0;
  const float fringe = inside(0.02f - edge, at.pixel);
  return mix(m.second, cream, std::clamp(band + pattern + 0.8f * fringe, 0.0f, 1.0f)) * weave;
}

Vec3 wood(const Material& m, const NoiseTiles& noise, const SurfacePoint& at) {
  const float grain = 0.5f + 0.22f * cloud(noise, Blur::kMedium, at.u, at.v, 36, 620) +
                      0.12f * cloud(noise, Blur::kCoarse, at.u, at.v, 30, 260);
  return mix(m.color, m.second, std::clamp(grain, 0.0f, 1.0f));
}

Vec3 fabric(const Material& m, const NoiseTiles& noise, const SurfacePoint& at) {
  const float fade = std::min(1.0f, 0.004f / at.pixel);
  const float weave = 0.1f * fade * cloud(noise, Blur::kFine, at.u, at.v, 420, 420) +
                      0.05f * cloud(noise, Blur::kCoarse, at.u, at.v, 120, 120);
  return m.color * (1 + weave);
}

Vec3 painting(const Material& m, const SurfacePoint& at) {
  const float x = at.local.x, y = at.local.y;
  const float edge = std::min((1 - std::abs(x)) * 0.4f, (1 - std::abs(y)) * 0.29f);
  if (edge < 0.022f) return {0.05f, 0.035f, 0.025f};
  if (edge < 0.05f) return {0.82f, 0.8f, 0.74f};
  const float far_hill = 0.05f + 0.32f * x * (1 - x) - 0.15f * x, near_hill = -0.32f - 0.3f * x * (0.4f + x);
  const float sun = (x - 0.35f) * (x - 0.35f) + (y - 0.42f) * (y - 0.42f);
  if (y < near_hill) return m.second * 0.6f;
  if (y < far_hill) return mix(m.second, Vec3{0.7f, 0.72f, 0.7f}, 0.45f);
  return sun < 0.03f ? Vec3{0.95f, 0.86f, 0.6f} : mix(m.color, Vec3{0.9f, 0.88f, 0.82f}, 0.35f + 0.4f * y);
}

}  // namespace

void paint(const Material& material, const NoiseTiles& noise, const SurfacePoint* points, int count,
           Paint* out) {
  const Material m = material;  // a copy, so that writing to `out` cannot change it
  auto each = [&](auto look) {
    for (int i = 0; i < count; ++i) out[i] = look(points[i]);
  };
  switch (m.texture) {
    case Texture::kPlaster:
      return each([&](const SurfacePoint& at) { return Paint{plaster(m, noise, at), m.emission}; });
    case Texture::kWindow:
      return each([&](const SurfacePoint& at) { return window(m, noise, at); });
    case Texture::kPlanks:
      return each([&](const SurfacePoint& at) { return Paint{floor_with_rug(m, noise, at), m.emission}; });
    case Texture::kWood:
      return each([&](const SurfacePoint& at) { return Paint{wood(m, noise, at), m.emission}; });
    case Texture::kFabric:
      return each([&](const SurfacePoint& at) { return Paint{fabric(m, noise, at), m.emission}; });
    case Texture::kStripes:
      return each([&](const SurfacePoint& at) {
        const float band = fraction(at.local.y * 2.5f);
        return Paint{mix(m.color, m.second, inside(0.25f - std::abs(band - 0.5f), 0.08f)), m.emission};
      });
    case Texture::kOctants:
      return each([&](const SurfacePoint& at) {
        const bool odd = (at.local.x > 0) ^ (at.local.y > 0) ^ (at.local.z > 0);
        return Paint{odd ? m.color : m.second, m.emission};
      });
    case Texture::kPainting:
      return each([&](const SurfacePoint& at) { return Paint{painting(m, at), m.emission}; });
    case Texture::kBook:
      return each([&](const SurfacePoint& at) {
        const float y = std::abs(at.local.y);
        return Paint{(y > 0.66f) & (y < 0.76f) ? m.second : m.color, m.emission};
      });
    case Texture::kPlain:
      return each([&](const SurfacePoint& at) {
        return Paint{m.color * (1 + 0.03f * cloud(noise, Blur::kMedium, at.u, at.v, 200, 200)), m.emission};
      });
  }
}

}  // namespace rgbd
