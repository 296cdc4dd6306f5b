// SPDX-License-Identifier: Apache-2.0
// The depth cameras of rgbdtestsrc, row by row; see sensor.h.
#include "gst/testsrc/sensor.h"

#include <algorithm>

namespace rgbd {

/// Figures of one kind of camera. Noise amplitudes in standard deviations of the tiles.
struct DepthSensor::Model {
  float baseline_m, steps_per_px;   // triangulation
  float sigma_px, low, mid, white;  // disparity noise and what it is made of
  float jitter_px;                  // how ragged outlines are
  bool swells;                      // matching windows make near things larger
  float near_m, far_m;
  float dark, dark_from;  // darker than this is lost where the noise exceeds the second value
  float faint;            // less texture than this is lost at times
};

namespace {

constexpr int kBlock = 8;   // px of a texture block
constexpr int kMargin = 2;  // px that a matching window reaches to each side
constexpr float kSaturated = 0.985f, kGrazingSlope = 5.0f;
constexpr float kSpeckleFrom = 2.75f, kLostFrom = 2.2f;

int clamped(int i, int size) {
  return std::clamp(i, 0, size - 1);
}

void to_millimetres(const float* metres, size_t count, uint16_t* out) {
  for (size_t i = 0; i < count; ++i)
    out[i] = static_cast<uint16_t>(static_cast<int32_t>(lesser(metres[i] * 1000 + 0.5f, 65535.0f)));
}

}  // namespace

void write_truth(const View& view, uint16_t* depth_mm) {
  to_millimetres(view.depth.data(), view.depth.size(), depth_mm);
}

void DepthSensor::measure(const View& view, float tan_x, uint32_t seed, uint64_t frame, uint16_t* depth_mm) {
  constexpr Model kStereoModel{0.05f, 32,    0.05f, 0.9f, 0.3f, 0.12f,  0.8f,
                               true,  0.25f, 8,     0.1f, 0.3f, 0.0055f};
  constexpr Model kLightModel{0.075f, 8, 0.055f, 0.7f, 0.45f, 0.3f, 1.1f, false, 0.4f, 6, 0.13f, 0.0f, 0};
  constexpr Model kTofModel{0, 0, 0, 0, 0, 0, 0, false, 0.2f, 6, 0.17f, -0.6f, 0};
  if (kind_ == SensorKind::kNone) return write_truth(view, depth_mm);
  seed_ = seed;
  frame_ = static_cast<uint32_t>(frame);
  const auto width = static_cast<size_t>(view.width);
  for (auto& field : fields_) field.resize(width);
  for (auto* row : {&measured_, &disparity_, &second_view_, &hidden_, &row_texture_}) row->resize(width);
  for (auto* row : {&seen_at_, &columns_, &lines_}) row->resize(width);
  look_at_picture(view);

  const Model& model = kind_ == SensorKind::kStereo            ? kStereoModel
                       : kind_ == SensorKind::kStructuredLight ? kLightModel
                                                               : kTofModel;
  const float focal = static_cast<float>(view.width) / (2 * tan_x);
  if (kind_ == SensorKind::kTof) {
    halve(view);
  } else {
    find_disparities(view, focal * model.baseline_m);
  }
  for (int y = 0; y < view.height; ++y) {
    if (kind_ == SensorKind::kTof)
      fly_row(view, model, y);
    else
      match_row(view, model, focal * model.baseline_m, y);
    lose_row(view, model, focal, y, depth_mm + static_cast<size_t>(y) * width);
  }
}

void DepthSensor::look_at_picture(const View& view) {
  const int width = view.width, height = view.height;
  brightness_.resize(view.depth.size());
  const uint8_t* color = view.color.data();
  for (size_t i = 0; i < brightness_.size(); ++i)
    brightness_[i] = static_cast<float>(77 * color[3 * i] + 150 * color[3 * i + 1] + 29 * color[3 * i + 2]) *
                     (1.0f / 65280);
  const int columns = (width + kBlock - 1) / kBlock, rows = (height + kBlock - 1) / kBlock;
  texture_.assign(static_cast<size_t>(columns) * rows, 0);
  std::vector<float>& steps = row_texture_;
  for (int y = 0; y + 1 < height; ++y) {
    const float* row = &brightness_[static_cast<size_t>(y) * width];
    for (int x = 0; x + 1 < width; ++x)
      steps[x] = std::abs(row[x + 1] - row[x]) + std::abs(row[x + width] - row[x]);
    steps[width - 1] = 0;
    float* blocks = &texture_[static_cast<size_t>(y / kBlock) * columns];
    for (int block = 0, x = 0; block < columns; ++block) {
      float sum = 0;
      for (const int right = std::min(x + kBlock, width); x < right; ++x) sum += steps[x];
      blocks[block] += sum * (0.5f / (kBlock * kBlock));
    }
  }
}

/// A field's row. Fields of the fine noise are new in every frame, those that say where the camera is weak
/// drift.
const float* DepthSensor::noise_row(Blur blur, Channel channel, int y, int width) {
  const bool drifts = channel >= kSwell && channel != kSpeckle && channel != kGrazing;
  const uint32_t start = drifts ? hash(seed_, channel) : hash(hash(seed_, frame_), channel);
  const uint32_t shift = drifts ? frame_ : 0;
  float* out = fields_[channel].data();
  noise_.row(blur, start + shift, (start >> 16) + static_cast<uint32_t>(y), width, out);
  return out;
}

/// Disparities in plane_, whose rows have kMargin pixels more on both sides, the same as at the edge.
void DepthSensor::find_disparities(const View& view, float focal_baseline) {
  const int width = view.width;
  plane_.resize(static_cast<size_t>(width + 2 * kMargin) * static_cast<size_t>(view.height));
  float* out = plane_.data();
  for (int y = 0; y < view.height; ++y, out += width + 2 * kMargin) {
    const float* depth = &view.depth[static_cast<size_t>(y) * width];
    for (int x = 0; x < width; ++x) out[kMargin + x] = focal_baseline / depth[x];
    std::fill(out, out + kMargin, out[kMargin]);
    std::fill(out + kMargin + width, out + 2 * kMargin + width, out[kMargin + width - 1]);
  }
}

void DepthSensor::match_row(const View& view, const Model& model, float focal_baseline, int y) {
  const int width = view.width, stride = width + 2 * kMargin;
  const float* jitter_x = noise_row(Blur::kFine, kJitterX, y, width);
  const float* jitter_y = noise_row(Blur::kFine, kJitterY, y, width);
  const float* swell = noise_row(Blur::kCoarse, kSwell, y, width);
  int32_t *columns = columns_.data(), *lines = lines_.data();
  for_lanes(0, width, [&]<class T>(int x, T) {
    const T right = count_from<T>(x) + load<T>(jitter_x + x) * model.jitter_px + 0.5f;
    const T down = static_cast<float>(y) + load<T>(jitter_y + x) * model.jitter_px + 0.5f;
    const auto last_column = fill<T>(static_cast<float>(width - 1));
    const auto last_line = fill<T>(static_cast<float>(view.height - 1));
    store(columns + x, truncate(lesser(greater(right, T{}), last_column)));
    store(lines + x, truncate(lesser(greater(down, T{}), last_line)));
  });
  for (int x = 0; x < width; ++x) {
    const float* place = &plane_[static_cast<size_t>(lines[x]) * stride + kMargin + columns[x]];
    const float beside = greater(place[-kMargin], place[kMargin]);
    disparity_[x] = model.swells && swell[x] > -0.3f ? greater(*place, beside) : *place;
  }
  cast_shadow(width);

  const float* low = noise_row(Blur::kMedium, kLow, y, width);
  const float* mid = noise_row(Blur::kFine, kMid, y, width);
  const float* white = noise_row(Blur::kNone, kWhite, y, width);
  const float* blocks = &texture_[static_cast<size_t>(y / kBlock) * ((width + kBlock - 1) / kBlock)];
  for (int x = 0; x < width; ++x) row_texture_[x] = blocks[x / kBlock];
  for (int x = 0; x < width; ++x) {
    const float sigma = model.sigma_px * (0.7f + 0.8f * 0.02f / (0.02f + row_texture_[x]));
    const float noisy =
        disparity_[x] + sigma * (model.low * low[x] + model.mid * mid[x] + model.white * white[x]);
    const float steps = static_cast<float>(static_cast<int>(greater(noisy, 0) * model.steps_per_px + 0.5f));
    measured_[x] = focal_baseline * model.steps_per_px / greater(steps, 1);
  }
}

void DepthSensor::cast_shadow(int width) {
  std::fill(second_view_.begin(), second_view_.end(), 0.0f);
  int32_t* seen_at = seen_at_.data();  // by how far to the left the second camera sees it; -1: outside
  for_lanes(0, width, [&]<class T>(int x, T) {
    const T place = count_from<T>(x) - load<T>(&disparity_[x]);
    store(seen_at + x, choose(place < 0, truncate(fill<T>(-1)), truncate(place + 0.5f)));
  });
  float* second = second_view_.data();
  for (int x = 0; x < width; ++x)
    if (seen_at[x] >= 0) second[seen_at[x]] = greater(second[seen_at[x]], disparity_[x]);
  for (int x = 0; x < width; ++x)
    hidden_[x] = seen_at[x] < 0 || second[seen_at[x]] > disparity_[x] + 1 ? 1.0f : 0.0f;
}

void DepthSensor::halve(const View& view) {
  const int width = view.width, height = view.height, columns = (width + 1) / 2, rows = (height + 1) / 2;
  plane_.resize(static_cast<size_t>(columns) * rows);
  for (int y = 0; y < rows; ++y) {
    const float* top = &view.depth[static_cast<size_t>(2 * y) * width];
    const float* bottom = 2 * y + 1 < height ? top + width : top;
    float* out = &plane_[static_cast<size_t>(y) * columns];
    for (int x = 0; x < columns; ++x) {
      const int right = 2 * x + 1 < width ? 1 : 0;
      out[x] = 0.25f * (top[2 * x] + top[2 * x + right] + bottom[2 * x] + bottom[2 * x + right]);
    }
  }
}

void DepthSensor::fly_row(const View& view, const Model& model, int y) {
  const int width = view.width, columns = (width + 1) / 2, rows = (view.height + 1) / 2;
  const int near_row = y / 2, far_row = clamped(near_row + (y & 1 ? 1 : -1), rows);
  const float* near_line = &plane_[static_cast<size_t>(near_row) * columns];
  const float* far_line = &plane_[static_cast<size_t>(far_row) * columns];
  for (int x = 0; x < width; ++x) {  // between the four nearest of the half picture, 9:3:3:1
    const int near_column = x / 2, far_column = clamped(near_column + (x & 1 ? 1 : -1), columns);
    measured_[x] = 0.0625f * (9 * near_line[near_column] + 3 * near_line[far_column] +
                              3 * far_line[near_column] + far_line[far_column]);
  }
  const float* mid = noise_row(Blur::kFine, kMid, y, width);
  const float* white = noise_row(Blur::kNone, kWhite, y, width);
  const float* brightness = &brightness_[static_cast<size_t>(y) * width];
  for (int x = 0; x < width; ++x) {
    const float z = measured_[x], turns = z * (1 / 0.75f);
    const float phase = turns - static_cast<float>(static_cast<int>(turns));
    const float wiggle =
        0.004f * (8 * phase * (1 - phase) - 1);  // the error of a square wave taken for a sine
    const float light = brightness[x] * brightness[x];
    const float sigma = 0.001f + 0.0006f * z * z / std::sqrt(light + 0.05f);
    measured_[x] = z + wiggle + sigma * (0.8f * mid[x] + 0.6f * white[x]);
    hidden_[x] = 0;
    row_texture_[x] = 1;
  }
}

void DepthSensor::lose_row(const View& view, const Model& model, float focal, int y, uint16_t* depth_mm) {
  const int width = view.width;
  const float* faint = noise_row(Blur::kCoarse, kFaint, y, width);
  const float* dark = noise_row(Blur::kMedium, kDark, y, width);
  const float* grazing = noise_row(Blur::kFine, kGrazing, y, width);
  const float* speckle = noise_row(Blur::kFine, kSpeckle, y, width);
  const float* lost = noise_row(Blur::kHuge, kLost, y, width);
  const float* brightness = &brightness_[static_cast<size_t>(y) * width];
  const float* z = &view.depth[static_cast<size_t>(y) * width];
  const float* above = y > 0 ? z - width : z;
  const float* below = y + 1 < view.height ? z + width : z;
  const float half_focal2 = 0.25f * focal * focal;
  // Lost: seen at too flat an angle.
  auto grazes = [&](int x, auto left, auto right) {
    using T = decltype(left);
    const T here = load<T>(z + x), across = right - left, along = load<T>(below + x) - load<T>(above + x);
    return ((across * across + along * along) * half_focal2 > kGrazingSlope * kGrazingSlope * here * here) &
           (load<T>(grazing + x) > 0);
  };
  auto lose = [&]<class T>(int x, T left, T right) {
    const T bright = load<T>(brightness + x), darkness = load<T>(dark + x), metres = load<T>(&measured_[x]);
    const auto bad = grazes(x, left, right) | (load<T>(&hidden_[x]) > 0) |
                     ((bright < model.dark) & (darkness > model.dark_from)) |
                     ((bright > kSaturated) & (darkness > -0.3f)) |
                     ((load<T>(&row_texture_[x]) < model.faint) & (load<T>(faint + x) > 0.9f)) |
                     (load<T>(speckle + x) > kSpeckleFrom) | (load<T>(lost + x) > kLostFrom) |
                     (metres < model.near_m) | (metres > model.far_m);
    store(&measured_[x], choose(bad, T{}, metres));
  };
  lose(0, z[0], z[std::min(1, width - 1)]);
  for_lanes(1, width - 1, [&]<class T>(int x, T) { lose(x, load<T>(z + x - 1), load<T>(z + x + 1)); });
  if (width > 1) lose(width - 1, z[width - 2], z[width - 1]);
  to_millimetres(measured_.data(), static_cast<size_t>(width), depth_mm);
}

}  // namespace rgbd
