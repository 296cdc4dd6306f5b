// SPDX-License-Identifier: Apache-2.0
// PNG files whose checksums are right and whose pixels are not.
#include "pipelines/refine/png_file.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "pipelines/refine/failure.h"
#include "tests/pipelines/sample_png.h"

namespace rgbd {
namespace {

using testing::png_of;
using testing::PngParts;

std::string refusal(const PngParts& parts) {
  try {
    checked_png(png_of(parts));
  } catch (const Failure& failure) {
    return failure.what();
  }
  return "accepted";
}

/// Pixels of zeros, filters too, row after row and pixel after pixel.
std::string zeros(uint32_t width, uint32_t height, unsigned pixel_bits, bool interlaced) {
  struct Pass {
    uint32_t x, y, x_step, y_step;
  };
  const std::vector<Pass> passes =
      interlaced ? std::vector<Pass>{{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4},
                                     {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}}
                 : std::vector<Pass>{{0, 0, 1, 1}};
  std::string pixels;
  for (const Pass& pass : passes) {
    for (uint32_t y = pass.y; y < height; y += pass.y_step) {
      unsigned bits = 0;
      for (uint32_t x = pass.x; x < width; x += pass.x_step) bits += pixel_bits;
      if (bits > 0) pixels.append(1 + (bits + 7) / 8, '\0');
    }
  }
  return pixels;
}

struct Kind {
  uint8_t color_type, bits;
  unsigned pixel_bits;
};
constexpr Kind kKinds[] = {{0, 1, 1},  {0, 2, 2},   {0, 4, 4},   {0, 8, 8},  {0, 16, 16},
                           {2, 8, 24}, {2, 16, 48}, {3, 1, 1},   {3, 2, 2},  {3, 4, 4},
                           {3, 8, 8},  {4, 8, 16},  {4, 16, 32}, {6, 8, 32}, {6, 16, 64}};

TEST(PngFile, HasExactlyThePixelsOfItsHeader) {
  for (const Kind& kind : kKinds) {
    for (const bool interlaced : {false, true}) {
      for (uint32_t width = 1; width <= 9; ++width) {
        for (uint32_t height = 1; height <= 9; ++height) {
          SCOPED_TRACE(::testing::Message() << width << "x" << height << " of kind " << int{kind.color_type}
                                            << ", " << int{kind.bits} << " bits, interlaced " << interlaced);
          PngParts parts{width, height, kind.bits, kind.color_type, interlaced};
          parts.pixels = zeros(width, height, kind.pixel_bits, interlaced);
          ASSERT_EQ(refusal(parts), "accepted");
          parts.pixels.push_back('\0');
          ASSERT_EQ(refusal(parts), "is a damaged PNG file: it has more pixels than its header says");
          parts.pixels.resize(parts.pixels.size() - 2);
          ASSERT_EQ(refusal(parts), "is a PNG file cut short");
        }
      }
    }
  }
}

TEST(PngFile, HeaderIsHandedOut) {
  PngParts parts{5, 3, 16, kPngGray, true};
  parts.pixels = zeros(5, 3, 16, true);
  const PngHeader header = checked_png(png_of(parts));
  EXPECT_EQ(header.width, 5u);
  EXPECT_EQ(header.height, 3u);
  EXPECT_EQ(header.bits, 16);
  EXPECT_EQ(header.color_type, kPngGray);
  EXPECT_TRUE(header.interlaced);
}

TEST(PngFile, StreamMayBeInManyPiecesButNeedsItsEnd) {
  PngParts parts{300, 200, 8, 2};
  parts.pixels = zeros(300, 200, 24, false);
  for (size_t i = 0; i < parts.pixels.size(); ++i)
    if (i % 901 != 0) parts.pixels[i] = static_cast<char>(i * i / 7);  // but for the filters
  parts.piece = 1;
  EXPECT_EQ(refusal(parts), "accepted");
  parts.piece = 1000;
  EXPECT_EQ(refusal(parts), "accepted");
  parts.lost = 5;  // the checksum of the stream, and a bit of the last pixels
  EXPECT_EQ(refusal(parts), "is a PNG file cut short");
  parts.lost = 1 << 20;
  EXPECT_EQ(refusal(parts), "is a PNG file cut short");
}

TEST(PngFile, EachRowHasAFilterThatThereIs) {
  for (const bool interlaced : {false, true}) {
    PngParts parts{9, 9, 8, kPngGray, interlaced};
    const std::string whole = zeros(9, 9, 8, interlaced);
    // The other bytes are pixels, and may be anything.
    size_t filters = 0;
    for (size_t at = 0; at < whole.size(); ++at) {
      parts.pixels = whole;
      parts.pixels[at] = 5;
      const std::string reason = refusal(parts);
      if (reason == "is a damaged PNG file: a row has an unknown filter") {
        ++filters;
        parts.pixels[at] = 4;
        EXPECT_EQ(refusal(parts), "accepted");
      } else {
        EXPECT_EQ(reason, "accepted");
      }
    }
    // The passes have 2, 2, 1, 3, 2, 5 and 4 rows.
    EXPECT_EQ(filters, interlaced ? 19u : 9u);
    if (!interlaced) {
      parts.pixels = whole;
      parts.pixels[10 * 8] = 5;
      EXPECT_NE(refusal(parts), "accepted");
    }
  }
}

TEST(PngFile, GarbageForPixelsIsRefused) {
  PngParts parts{4, 4, 8, kPngGray};
  parts.compressed = "no zlib stream";
  EXPECT_EQ(refusal(parts), "is a damaged PNG file: its pixels cannot be decompressed");
}

TEST(PngFile, SizesThatTheEngineDoesNotTakeAreRefused) {
  PngParts parts{65535, 1, 8, kPngGray};
  parts.pixels = zeros(65535, 1, 8, false);
  EXPECT_EQ(refusal(parts), "accepted");
  const std::string end = " pixels, at most 65535 a side can be refined";
  parts.width = 65536;
  EXPECT_EQ(refusal(parts), "is too large: 65536x1" + end);
  parts.width = 1;
  parts.height = 0xffffffff;
  EXPECT_EQ(refusal(parts), "is too large: 1x4294967295" + end);
  // A few bytes that call for gigabytes.
  EXPECT_EQ(refusal({40000, 40000, 16, kPngGray}), "is a PNG file cut short");
}

TEST(PngFile, HeadersThatMeanNothingAreRefused) {
  const std::string wrong = "is a damaged PNG file: its header is wrong";
  EXPECT_EQ(refusal({0, 4, 8, kPngGray}), wrong);
  EXPECT_EQ(refusal({4, 0, 8, kPngGray}), wrong);
  for (unsigned color_type = 0; color_type <= 8; ++color_type) {
    for (unsigned bits = 0; bits <= 17; ++bits) {
      PngParts parts{4, 4, static_cast<uint8_t>(bits), static_cast<uint8_t>(color_type)};
      bool known = false;
      for (const Kind& kind : kKinds) known = known || (kind.bits == bits && kind.color_type == color_type);
      EXPECT_EQ(refusal(parts), known ? "is a PNG file cut short" : wrong) << color_type << ", " << bits;
    }
  }
}

}  // namespace
}  // namespace rgbd
