// SPDX-License-Identifier: Apache-2.0
// depthcolorize: matplotlib's colours (3.11.2, cm(x, bytes=True)), units, formats, caps both ways.
#include <gst/check/gstharness.h>
#include <gst/video/video.h>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "gst/colorize/colormap.h"
#include "gst/depth_unit.h"
#include "tests/gst/environment.h"

namespace {

using rgbd::Colormap;
using rgbd::Rgb;
using Bytes = std::vector<guint8>;

/// depthcolorize between two pads, for frames of one row.
class Colorizer {
 public:
  explicit Colorizer(const std::string& description = "depthcolorize")
      : harness_(gst_harness_new_parse(description.c_str())) {}
  ~Colorizer() { gst_harness_teardown(harness_); }

  GstHarness* harness() { return harness_; }

  void set_caps(const std::string& in, const std::string& out) {
    const std::string common = ",height=1,framerate=30/1";
    gst_harness_set_caps_str(harness_, ("video/x-raw," + in + common).c_str(),
                             ("video/x-raw," + out + common).c_str());
  }

  /// Bytes of the coloured row; one element of `depth` is one pixel.
  Bytes run(const std::vector<int>& depth, bool big_endian = false) {
    const gsize stride = (depth.size() * 2 + 3) / 4 * 4;
    Bytes row(stride);
    for (size_t i = 0; i < depth.size(); ++i) {
      row[2 * i + (big_endian ? 1 : 0)] = static_cast<guint8>(depth[i]);
      row[2 * i + (big_endian ? 0 : 1)] = static_cast<guint8>(depth[i] >> 8);
    }
    GstBuffer* out = gst_harness_push_and_pull(harness_, gst_buffer_new_memdup(row.data(), row.size()));
    if (!out) return {};
    Bytes bytes(gst_buffer_get_size(out));
    gst_buffer_extract(out, 0, bytes.data(), bytes.size());
    gst_buffer_unref(out);
    return bytes;
  }

  /// The colour of one depth value; RGB caps with a width of 2 have to be set.
  Rgb color(int depth) {
    Bytes bytes = run({depth, depth});
    return bytes.size() < 3 ? Rgb{} : Rgb{bytes[0], bytes[1], bytes[2]};
  }

 private:
  GstHarness* harness_;
};

std::string text(Rgb color) {
  return std::to_string(color.red) + "," + std::to_string(color.green) + "," + std::to_string(color.blue);
}

TEST(Colormap, SpectralIsMatplotlibsToTheByte) {
  const auto& table = rgbd::colormap_table(Colormap::kSpectral);
  EXPECT_EQ(text(table[0]), "158,1,66");
  EXPECT_EQ(text(table[1]), "160,3,66");
  EXPECT_EQ(text(table[13]), "186,32,72");
  EXPECT_EQ(text(table[64]), "248,142,82");
  EXPECT_EQ(text(table[127]), "254,254,189");
  EXPECT_EQ(text(table[192]), "134,206,164");
  EXPECT_EQ(text(table[254]), "92,81,163");
  EXPECT_EQ(text(table[255]), "94,79,162");
  uint64_t hash = 1469598103934665603u;  // FNV-1a over all 768 bytes, taken from matplotlib's table
  for (Rgb color : table)
    for (uint8_t byte : {color.red, color.green, color.blue}) hash = (hash ^ byte) * 1099511628211u;
  EXPECT_EQ(hash, 13559128373458943061u);
}

TEST(Colormap, TurboIsNearItsPublishedTable) {
  const auto& table = rgbd::colormap_table(Colormap::kTurbo);
  const std::pair<int, Rgb> kPublished[] = {{0, {48, 18, 59}},     {7, {56, 38, 108}},
                                            {100, {63, 245, 138}}, {130, {169, 251, 57}},
                                            {200, {244, 101, 22}}, {255, {122, 4, 2}}};
  for (const auto& [index, color] : kPublished) {
    EXPECT_NEAR(table[index].red, color.red, 6) << index;
    EXPECT_NEAR(table[index].green, color.green, 6) << index;
    EXPECT_NEAR(table[index].blue, color.blue, 6) << index;
  }
}

TEST(Colormap, IndexCutsAndClips) {
  EXPECT_EQ(rgbd::colormap_index(-1), 0);
  EXPECT_EQ(rgbd::colormap_index(0.99 / 256), 0);
  EXPECT_EQ(rgbd::colormap_index(1.0 / 256), 1);
  EXPECT_EQ(rgbd::colormap_index(0.5), 128);
  EXPECT_EQ(rgbd::colormap_index(1), 255);
  EXPECT_EQ(rgbd::colormap_index(7), 255);
  EXPECT_EQ(rgbd::colormap_index(std::nan("")), 0);
}

TEST(DepthUnit, ReadsEveryNumber) {
  auto unit = [](const char* field) {
    GstCaps* caps = gst_caps_from_string((std::string("video/x-raw") + field).c_str());
    auto read = rgbd::depth_unit_of(caps);
    gst_caps_unref(caps);
    return read;
  };
  EXPECT_EQ(unit(",depth-unit=(double)0.0001"), 0.0001);
  EXPECT_EQ(unit(",depth-unit=(float)0.001"), 0.001);
  EXPECT_EQ(unit(",depth-unit=(int)1"), 1);
  EXPECT_EQ(unit(",depth-unit=(fraction)1/5000"), 0.0002);
  EXPECT_EQ(unit(""), std::nullopt);
  EXPECT_EQ(unit(",depth-unit=(double)-1"), std::nullopt);
  EXPECT_EQ(unit(",depth-unit=(string)mm"), std::nullopt);
}

TEST(DepthColorize, SpectralColorsOfChosenDepths) {
  Colorizer colorizer;
  colorizer.set_caps("format=GRAY16_LE,width=2", "format=RGB,width=2");
  // matplotlib.colormaps["Spectral"]((d / 1000 - 0.1) / 4.9, bytes=True)
  EXPECT_EQ(text(colorizer.color(1)), "158,1,66");
  EXPECT_EQ(text(colorizer.color(100)), "158,1,66");
  EXPECT_EQ(text(colorizer.color(500)), "201,48,76");
  EXPECT_EQ(text(colorizer.color(1000)), "239,101,68");
  EXPECT_EQ(text(colorizer.color(1234)), "246,129,76");
  EXPECT_EQ(text(colorizer.color(2550)), "254,254,190");
  EXPECT_EQ(text(colorizer.color(3000)), "231,245,155");
  EXPECT_EQ(text(colorizer.color(5000)), "94,79,162");
  EXPECT_EQ(text(colorizer.color(65535)), "94,79,162");
  EXPECT_EQ(text(colorizer.color(0)), "0,0,0");
}

TEST(DepthColorize, BigEndianGivesTheSamePixels) {
  const std::vector<int> depth = {0, 256, 1000, 2550, 4999};
  Colorizer little, big;
  little.set_caps("format=GRAY16_LE,width=5", "format=RGB,width=5");
  big.set_caps("format=GRAY16_BE,width=5", "format=RGB,width=5");
  EXPECT_EQ(little.run(depth), big.run(depth, true));
}

TEST(DepthColorize, HonoursTheUnitAndRemovesIt) {
  Colorizer millimetres, tenths;
  millimetres.set_caps("format=GRAY16_LE,width=2", "format=RGB,width=2");
  tenths.set_caps("format=GRAY16_LE,width=2,depth-unit=(float)0.0001", "format=RGB,width=2");
  EXPECT_EQ(text(tenths.color(12340)), text(millimetres.color(1234)));
  EXPECT_NE(text(tenths.color(1234)), text(millimetres.color(1234)));
  GstCaps* caps = gst_pad_get_current_caps(tenths.harness()->sinkpad);
  EXPECT_FALSE(gst_structure_has_field(gst_caps_get_structure(caps, 0), "depth-unit"));
  gst_caps_unref(caps);
}

TEST(DepthColorize, RefusesAUnitThatIsNone) {
  Colorizer colorizer;
  colorizer.set_caps("format=GRAY16_LE,width=2,depth-unit=(double)0", "format=RGB,width=2");
  EXPECT_EQ(gst_harness_push(colorizer.harness(), gst_buffer_new_allocate(nullptr, 4, nullptr)),
            GST_FLOW_NOT_NEGOTIATED);
}

TEST(DepthColorize, PropertiesChangeWhilePlaying) {
  Colorizer colorizer("depthcolorize invalid-color=0xff102030");
  colorizer.set_caps("format=GRAY16_LE,width=2", "format=RGB,width=2");
  EXPECT_EQ(text(colorizer.color(0)), "16,32,48");
  gst_harness_set(colorizer.harness(), "depthcolorize", "invalid-color", 0xff405060u, "colormap", 2,
                  "min-depth", 1.0, "max-depth", 3.0, nullptr);
  EXPECT_EQ(text(colorizer.color(0)), "64,80,96");
  EXPECT_EQ(text(colorizer.color(2000)), "128,128,128");
  EXPECT_EQ(text(colorizer.color(999)), "0,0,0");
  EXPECT_EQ(text(colorizer.color(3001)), "255,255,255");
  gst_harness_set(colorizer.harness(), "depthcolorize", "max-depth", 1.0,
                  nullptr);  // an empty range is a step
  EXPECT_EQ(text(colorizer.color(1000)), "0,0,0");
  EXPECT_EQ(text(colorizer.color(1001)), "255,255,255");
}

struct Layout {
  const char* format;
  Bytes valid, invalid;  // of depth 1 m, 239,101,68, and of no depth, 0x80102030
};
class Formats : public ::testing::TestWithParam<Layout> {};

TEST_P(Formats, PutBytesInTheirPlaces) {
  const Layout& layout = GetParam();
  Colorizer colorizer("depthcolorize invalid-color=0x80102030");
  colorizer.set_caps("format=GRAY16_LE,width=4", std::string("width=4,format=") + layout.format);
  Bytes expected = layout.valid;
  expected.insert(expected.end(), layout.invalid.begin(), layout.invalid.end());
  Bytes pixels = colorizer.run({1000, 0, 1000, 0});
  pixels.resize(expected.size());
  EXPECT_EQ(pixels, expected);
}

INSTANTIATE_TEST_SUITE_P(All, Formats,
                         ::testing::Values(Layout{"RGB", {239, 101, 68}, {16, 32, 48}},
                                           Layout{"BGR", {68, 101, 239}, {48, 32, 16}},
                                           Layout{"RGBx", {239, 101, 68, 255}, {16, 32, 48, 255}},
                                           Layout{"BGRx", {68, 101, 239, 255}, {48, 32, 16, 255}},
                                           Layout{"xRGB", {255, 239, 101, 68}, {255, 16, 32, 48}},
                                           Layout{"xBGR", {255, 68, 101, 239}, {255, 48, 32, 16}},
                                           Layout{"RGBA", {239, 101, 68, 255}, {16, 32, 48, 128}},
                                           Layout{"BGRA", {68, 101, 239, 255}, {48, 32, 16, 128}},
                                           Layout{"ARGB", {255, 239, 101, 68}, {128, 16, 32, 48}},
                                           Layout{"ABGR", {255, 68, 101, 239}, {128, 48, 32, 16}}),
                         [](const auto& info) { return std::string(info.param.format); });

TEST(DepthColorize, SizesAndRatesPassBothWays) {
  Colorizer colorizer;
  gst_harness_set_sink_caps_str(colorizer.harness(),
                                "video/x-raw,format=BGRx,width=[100,200],height=48,framerate=15/1");
  GstCaps* caps = gst_pad_peer_query_caps(colorizer.harness()->srcpad, nullptr);
  auto accepts = [&](const char* description) {
    GstCaps* offered = gst_caps_from_string(description);
    const bool subset = gst_caps_is_subset(offered, caps);
    gst_caps_unref(offered);
    return subset;
  };
  EXPECT_TRUE(accepts("video/x-raw,format=GRAY16_BE,width=150,height=48,framerate=15/1"));
  EXPECT_TRUE(
      accepts("video/x-raw,format=GRAY16_LE,width=150,height=48,framerate=15/1,depth-unit=(double)0.001"));
  EXPECT_FALSE(accepts("video/x-raw,format=GRAY16_LE,width=300,height=48,framerate=15/1"));
  EXPECT_FALSE(accepts("video/x-raw,format=GRAY16_LE,width=150,height=48,framerate=30/1"));
  EXPECT_FALSE(accepts("video/x-raw,format=RGB,width=150,height=48,framerate=15/1"));
  gst_caps_unref(caps);
}

}  // namespace
