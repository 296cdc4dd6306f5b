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

constexpr int kBlock = 8;  // px of a texture block
constexpr float kSaturated = 0.985f, kGrazingSlope = 5.0f;
constexpr float kSpeckleFrom = 2.75f, kLostFrom = 2.2f;

int clamped(int i, int size) {
  return std::clamp(i, 0, size - 1);
}

}  // namespace

void DepthSensor::measure(const View& view, float tan_x, uint32_t seed, uint64_t frame, uint16_t* depth_mm) {
  constexpr Model kStereoModel{0.05f, 32,    0.05f, 0.9f, 0.3f, 0.12f,  0.8f,
                               true,  0.25f, 8,     0.1f, 0.3f, 0.0055f};
  constexpr Model kLightModel{0.075f, 8, 0.055f, 0.7f, 0.45f, 0.3f, 1.1f, false, 0.4f, 6, 0.13f, 0.0f, 0};
  constexpr Model kTofModel{0, 0, 0, 0, 0, 0, 0, false, 0.2f, 6, 0.17f, -0.6f, 0};
  const size_t pixels = view.depth.size();
  if (kind_ == SensorKind::kNone) {
    for (size_t i = 0; i < pixels; ++i) depth_mm[i] = to_millimetres(view.depth[i]);
    return;
  }
  seed_ = seed;
  frame_ = static_cast<uint32_t>(frame);
  const auto width = static_cast<size_t>(view.width);
  for (auto& field : fields_) field.resize(width);
  for (auto* row : {&measured_, &disparity_, &second_view_, &hidden_, &row_texture_}) row->resize(width);
  bytes_.resize(width);
  look_at_picture(view);

  const Model& model = kind_ == SensorKind::kStereo            ? kStereoModel
                       : kind_ == SensorKind::kStructuredLight ? kLightModel
                                                               : kTofModel;
  const float focal = static_cast<float>(view.width) / (2 * tan_x);
  if (kind_ == SensorKind::kTof) {
    halve(view);
  } else {
    plane_.resize(pixels);
    for (size_t i = 0; i < pixels; ++i) plane_[i] = focal * model.baseline_m / view.depth[i];
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
    for (int x = 0; x < width; ++x) blocks[x / kBlock] += steps[x] * (0.5f / (kBlock * kBlock));
  }
}

/// A field's row. Fields of the fine noise are new in every frame, those that say where the camera is weak
/// drift.
const float* DepthSensor::noise_row(Blur blur, Channel channel, int y, int width) {
  const bool drifts = channel >= kSwell && channel != kSpeckle && channel != kGrazing;
  const uint32_t start = drifts ? hash(seed_, channel) : hash(hash(seed_, frame_), channel);
  const uint32_t shift = drifts ? frame_ : 0;
  noise_.row(blur, start + shift, (start >> 16) + static_cast<uint32_t>(y), width, bytes_.data());
  float* out = fields_[channel].data();
  for (int x = 0; x < width; ++x) out[x] = static_cast<float>(bytes_[x]) * NoiseTiles::kUnit;
  return out;
}

void DepthSensor::match_row(const View& view, const Model& model, float focal_baseline, int y) {
  const int width = view.width, height = view.height;
  const float* jitter_x = noise_row(Blur::kFine, kJitterX, y, width);
  const float* jitter_y = noise_row(Blur::kFine, kJitterY, y, width);
  const float* swell = noise_row(Blur::kCoarse, kSwell, y, width);
  for (int x = 0; x < width; ++x) {
    const int column = x + static_cast<int>(jitter_x[x] * model.jitter_px + 16.5f) - 16;
    const int line = y + static_cast<int>(jitter_y[x] * model.jitter_px + 16.5f) - 16;
    const float* row = &plane_[static_cast<size_t>(clamped(line, height)) * width];
    const float here = row[clamped(column, width)];
    const float beside = greater(row[clamped(column - 2, width)], row[clamped(column + 2, width)]);
    disparity_[x] = model.swells && swell[x] > -0.3f ? greater(here, beside) : here;
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
  for (int x = 0; x < width; ++x) {
    const int seen_at = static_cast<int>(static_cast<float>(x) - disparity_[x] + 0.5f);
    if (seen_at >= 0) second_view_[seen_at] = greater(second_view_[seen_at], disparity_[x]);
  }
  for (int x = 0; x < width; ++x) {
    const float place = static_cast<float>(x) - disparity_[x];
    const int seen_at = clamped(static_cast<int>(place + 0.5f), width);
    hidden_[x] = place < 0 || second_view_[seen_at] > disparity_[x] + 1 ? 1.0f : 0.0f;
  }
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
  for (int x = 0; x < width; ++x) {
    const int left = x > 0 ? x - 1 : x, right = x + 1 < width ? x + 1 : x;
    const float across = z[right] - z[left], along = below[x] - above[x];
    const float slope2 = (across * across + along * along) * (0.25f * focal * focal);
    const float limit2 = kGrazingSlope * kGrazingSlope * z[x] * z[x];
    const bool bad = ((slope2 > limit2) & (grazing[x] > 0)) | (hidden_[x] > 0) |
                     ((brightness[x] < model.dark) & (dark[x] > model.dark_from)) |
                     ((brightness[x] > kSaturated) & (dark[x] > -0.3f)) |
                     ((row_texture_[x] < model.faint) & (faint[x] > 0.9f)) | (speckle[x] > kSpeckleFrom) |
                     (lost[x] > kLostFrom) | (measured_[x] < model.near_m) | (measured_[x] > model.far_m);
    depth_mm[x] = bad ? 0 : to_millimetres(measured_[x]);
  }
}

}  // namespace rgbd
