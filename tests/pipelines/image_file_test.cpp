// SPDX-License-Identifier: Apache-2.0
// Files in and out: what is refused, and that nothing is lost or half-written.
#include "pipelines/refine/image_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>

#include "pipelines/refine/codec.h"
#include "pipelines/refine/failure.h"
#include "tests/gst/environment.h"
#include "tests/pipelines/sample_images.h"
#include "tests/pipelines/sample_png.h"
#include "tests/pipelines/temp_folder.h"

namespace rgbd {
namespace {

using testing::gst_image;
using testing::read_bytes;
using testing::TempFolder;

template <typename Read>
std::string refusal(Read read) {
  try {
    read();
  } catch (const Failure& failure) {
    return failure.what();
  }
  return "accepted";
}

TEST(ImageFile, DepthComesBackBitExact) {
  const TempFolder folder;
  for (const auto& [width, height] : {std::pair{33, 17}, std::pair{64, 2}}) {
    const DepthFrame depth = testing::random_depth(width, height);
    write_file(folder.file("depth.png"), encode_png(depth));
    const DepthFrame back = decode_depth(read_depth_file(folder.file("depth.png")));
    EXPECT_EQ(back.width, width);
    EXPECT_EQ(back.height, height);
    EXPECT_EQ(back.steps, depth.steps);
  }
}

TEST(ImageFile, ColourComesBackBitExact) {
  const TempFolder folder;
  const ColorFrame color = testing::random_color(33, 17);
  write_file(folder.file("color.png"), encode_png(color));
  const ColorFrame back = decode_color(read_color_file(folder.file("color.png")));
  EXPECT_EQ(back.width, 33);
  EXPECT_EQ(back.rgb, color.rgb);
}

TEST(ImageFile, OtherColourFormatsBecomeRgb) {
  const TempFolder folder;
  for (const char* format : {"RGBA", "GRAY8", "GRAY16_BE"}) {
    gst_image(folder.file("white.png"), format, 32, 20, "white", "pngenc");
    const ColorFrame color = decode_color(read_color_file(folder.file("white.png")));
    ASSERT_EQ(color.rgb.size(), 3u * 32 * 20);
    // From 16 bits, green comes out as 254.
    EXPECT_GE(*std::min_element(color.rgb.begin(), color.rgb.end()), 254) << format;
  }
  gst_image(folder.file("red.jpg"), "I420", 32, 20, "red", "jpegenc quality=100");
  const ColorFrame color = decode_color(read_color_file(folder.file("red.jpg")));
  EXPECT_EQ(color.width, 32);
  EXPECT_EQ(color.height, 20);
  EXPECT_NEAR(color.rgb[0], 255, 3);
  EXPECT_NEAR(color.rgb[1], 0, 3);
  EXPECT_NEAR(color.rgb[2], 0, 3);
}

TEST(ImageFile, SixteenBitColourIsRead) {
  // 2x2 pixels, RGB, 16 bits: ffff 0000 8080, 1234 ffff 0000 / 0000 0100 fe00, abcd 00ff 7f7f.
  constexpr unsigned char kPng[] = {
      0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x48, 0x44,
      0x52, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x02, 0x10, 0x02, 0x00, 0x00, 0x00, 0xad,
      0x44, 0x46, 0x30, 0x00, 0x00, 0x00, 0x1f, 0x49, 0x44, 0x41, 0x54, 0x78, 0x9c, 0x63, 0xf8,
      0xff, 0x9f, 0x81, 0xa1, 0xa1, 0x41, 0xc8, 0x04, 0x44, 0x03, 0x01, 0x23, 0xc3, 0x3f, 0x86,
      0xd5, 0x67, 0x19, 0xfe, 0xd7, 0xd7, 0x03, 0x00, 0x7f, 0xbd, 0x09, 0xb7, 0xc3, 0xe9, 0xd3,
      0x3a, 0x00, 0x00, 0x00, 0x00, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82};
  const TempFolder folder;
  folder.write("deep.png", std::string(std::begin(kPng), std::end(kPng)));
  const ColorFrame color = decode_color(read_color_file(folder.file("deep.png")));
  const std::vector<uint8_t> want = {0xff, 0, 0x80, 0x12, 0xff, 0, 0, 0x01, 0xfe, 0xab, 0, 0x7f};
  ASSERT_EQ(color.rgb.size(), want.size());
  for (size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(color.rgb[i], want[i], 1) << i;
}

TEST(ImageFile, DepthMustBeSixteenBitGray) {
  const TempFolder folder;
  const std::string path = folder.file("x.png");
  const auto refused = [&](const char* format, const char* encoder) {
    gst_image(path, format, 32, 20, "white", encoder);
    return refusal([&] { read_depth_file(path); });
  };
  const std::string start = "depth image '" + path + "' ", end = "; depth must be a 16-bit grayscale PNG";
  EXPECT_EQ(refused("GRAY8", "pngenc"), start + "has 8 bits per pixel" + end);
  EXPECT_EQ(refused("RGB", "pngenc"), start + "is a colour image" + end);
  EXPECT_EQ(refused("RGBA", "pngenc"), start + "is a colour image with alpha" + end);
  EXPECT_EQ(refused("I420", "jpegenc"), start + "is a JPEG" + end);
  EXPECT_EQ(refused("GRAY16_BE", "pngenc"), "accepted");
}

TEST(ImageFile, WhatIsNoImageIsRefused) {
  const TempFolder folder;
  const auto refused = [](const std::string& path) { return refusal([&] { read_color_file(path); }); };
  EXPECT_EQ(refused(folder.file("none.png")),
            "colour image '" + folder.file("none.png") + "' does not exist");
  EXPECT_EQ(refused(folder.write("text.png", "hello")),
            "colour image '" + folder.file("text.png") + "' is no image (neither PNG nor JPEG)");
  EXPECT_EQ(refused(folder.write("empty.png", "")),
            "colour image '" + folder.file("empty.png") + "' is empty");
  EXPECT_NE(refused(folder.file("")).find("directory"), std::string::npos);
}

TEST(ImageFile, EveryCutIsNoticed) {
  const TempFolder folder;
  gst_image(folder.file("a.jpg"), "I420", 32, 20, "red", "jpegenc");
  write_file(folder.file("a.png"), encode_png(testing::random_depth(8, 8)));
  for (const char* name : {"a.jpg", "a.png"}) {
    const std::string whole = read_bytes(folder.file(name));
    EXPECT_EQ(refusal([&] { read_color_file(folder.file(name)); }), "accepted");
    for (size_t size = 0; size < whole.size(); ++size) {
      folder.write("cut", whole.substr(0, size));
      ASSERT_NE(refusal([&] { read_color_file(folder.file("cut")); }), "accepted")
          << name << " cut at " << size;
    }
  }
}

TEST(ImageFile, EveryChangedByteOfAPngIsNoticed) {
  const TempFolder folder;
  const std::string whole = encode_png(testing::random_depth(8, 8));
  for (size_t at = 0; at < whole.size(); ++at) {
    std::string changed = whole;
    changed[at] ^= 1;
    folder.write("changed.png", changed);
    ASSERT_NE(refusal([&] { read_depth_file(folder.file("changed.png")); }), "accepted") << "byte " << at;
  }
}

TEST(ImageFile, APngWithFewerPixelsThanItSaysIsRefused) {
  const TempFolder folder;
  const std::string row(1 + 2 * 8, '\0');
  folder.write("depth.png", testing::png_of({8, 2, 16, kPngGray, false, row}));
  EXPECT_EQ(refusal([&] { read_depth_file(folder.file("depth.png")); }),
            "depth image '" + folder.file("depth.png") + "' is a PNG file cut short");
  folder.write("depth.png", testing::png_of({8, 2, 16, kPngGray, false, row + row}));
  EXPECT_EQ(refusal([&] { read_depth_file(folder.file("depth.png")); }), "accepted");
  // Deep colour has a decoder of its own.
  folder.write("deep.png", testing::png_of({8, 2, 16, 2, false, std::string(1 + 6 * 8, '\0')}));
  EXPECT_EQ(refusal([&] { read_color_file(folder.file("deep.png")); }),
            "colour image '" + folder.file("deep.png") + "' is a PNG file cut short");
}

TEST(ImageFile, APreviewsEndIsNotTheJpegsEnd) {
  const TempFolder folder;
  gst_image(folder.file("a.jpg"), "I420", 32, 20, "red", "jpegenc");
  std::string whole = read_bytes(folder.file("a.jpg"));
  // An application segment of eight bytes that holds an end marker, right after the start.
  whole.insert(2,
               "\xff\xe5\x00\x08"
               "ab\xff\xd9"
               "cd",
               10);
  folder.write("a.jpg", whole);
  EXPECT_EQ(refusal([&] { read_color_file(folder.file("a.jpg")); }), "accepted");
  folder.write("a.jpg", whole.substr(0, whole.size() - 2));
  EXPECT_NE(refusal([&] { read_color_file(folder.file("a.jpg")); }), "accepted");
}

TEST(WriteFile, MakesFoldersAndReplaces) {
  const TempFolder folder;
  const std::string path = folder.file("new/deep/file");
  write_file(path, "one");
  write_file(path, "two");
  EXPECT_EQ(read_bytes(path), "two");
  EXPECT_EQ(folder.entries(), 3);  // two folders and the file: nothing temporary stays
}

TEST(WriteFile, TakesABareFileName) {
  const TempFolder folder;
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(folder.file(""));
  write_file("bare", "one");
  std::filesystem::current_path(before);
  EXPECT_EQ(read_bytes(folder.file("bare")), "one");
}

TEST(WriteFile, SaysWhyItCannot) {
  const TempFolder folder;
  folder.write("file", "x");
  EXPECT_NE(refusal([&] { write_file(folder.file("file/below"), "y"); }), "accepted");
  EXPECT_NE(refusal([&] { write_file(folder.file(""), "y"); }), "accepted");
  EXPECT_EQ(read_bytes(folder.file("file")), "x");
  EXPECT_EQ(folder.entries(), 1);
}

TEST(WriteFile, GoesThroughLinksAndLeavesThem) {
  const TempFolder folder;
  folder.write("target", "old");
  std::filesystem::create_symlink("target", folder.file("link"));
  std::filesystem::create_symlink("link", folder.file("link to link"));
  write_file(folder.file("link to link"), "new");
  EXPECT_TRUE(std::filesystem::is_symlink(folder.file("link")));
  EXPECT_TRUE(std::filesystem::is_symlink(folder.file("link to link")));
  EXPECT_EQ(read_bytes(folder.file("target")), "new");
  // One that leads to no file yet, and to no folder.
  std::filesystem::create_symlink("folder/later", folder.file("dangling"));
  write_file(folder.file("dangling"), "made");
  EXPECT_TRUE(std::filesystem::is_symlink(folder.file("dangling")));
  EXPECT_EQ(read_bytes(folder.file("folder/later")), "made");
  std::filesystem::create_symlink("ring", folder.file("ring"));
  EXPECT_NE(refusal([&] { write_file(folder.file("ring"), "x"); }), "accepted");
}

/// Opening a pipe that nobody else has open would wait for ever.
TEST(Pipes, AreRefused) {
  const TempFolder folder;
  const std::string pipe = folder.file("pipe");
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(refusal([&] { read_color_file(pipe); }),
            "colour image '" + pipe + "' cannot be read: it is no regular file");
  EXPECT_EQ(refusal([&] { read_depth_file(pipe); }),
            "depth image '" + pipe + "' cannot be read: it is no regular file");
  EXPECT_EQ(refusal([&] { write_file(pipe, "x"); }),
            "'" + pipe + "' cannot be written: it is no regular file");
  EXPECT_TRUE(std::filesystem::is_fifo(pipe));
  EXPECT_NE(refusal([] { read_depth_file("/dev/zero"); }), "accepted");
}

}  // namespace
}  // namespace rgbd
