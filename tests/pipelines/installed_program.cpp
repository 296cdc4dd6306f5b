// SPDX-License-Identifier: Apache-2.0
// A program that links an installed librgbd, for install_test.sh: refines a slope with a hole in it.
#include <rgbd.h>

#include <cstdio>
#include <vector>

int main() {
  constexpr int kWidth = 64, kHeight = 48;
  std::vector<uint8_t> image(3 * kWidth * kHeight, 128);
  std::vector<uint16_t> depth(kWidth * kHeight), refined(kWidth * kHeight);
  for (int i = 0; i < kWidth * kHeight; ++i)
    depth[i] = i % kWidth < 8 ? 0 : static_cast<uint16_t>(1000 + i % kWidth);
  try {
    rgbd::Options options;
    options.device = "cpu";
    const auto refiner = rgbd::open(options);
    rgbd::ImageView color;
    color.width = kWidth, color.height = kHeight;
    color.planes[0] = {image.data(), 3 * kWidth};
    rgbd::DepthView raw;
    raw.width = kWidth, raw.height = kHeight;
    raw.data = reinterpret_cast<const uint8_t*>(depth.data());
    raw.stride_bytes = 2 * kWidth;
    rgbd::DepthOut out;
    out.width = kWidth, out.height = kHeight;
    out.data = reinterpret_cast<uint8_t*>(refined.data());
    out.stride_bytes = 2 * kWidth;
    if (!refiner->submit(color, raw, out)->wait()) return 1;
    int valid = 0;
    for (const uint16_t step : refined) valid += step != 0;
    std::printf("%s: %d of %d pixels have depth\n", refiner->info().model.c_str(), valid, kWidth * kHeight);
    return valid > 0 ? 0 : 1;
  } catch (const rgbd::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
