// SPDX-License-Identifier: Apache-2.0
// The generator of seeded weights against figures from its Python original.
#include "tests/support/seeded.h"

#include <gtest/gtest.h>

#include <bit>

namespace rgbd::test {
namespace {

TEST(Seeded, KeysAndShapesAreThePublishedOnes) {
  struct Case {
    const char* encoder;
    size_t keys;
    uint64_t hash;  // fnv1a64 of "KEY SIDE,SIDE,…\n" of every key
  };
  for (const Case& want : {Case{"tiny", 206, 0x5d3485a13f62eb08}, Case{"vits", 430, 0x88aeda286ebaf5c9},
                           Case{"vitb", 430, 0x0d2c0f3ce68f6ea4}, Case{"vitl", 766, 0xc63309b318bdab09},
                           Case{"vitg", 1214, 0x1c0bce56fadd4b14}}) {
    const auto shapes = seeded_shapes(want.encoder);
    EXPECT_EQ(shapes.size(), want.keys) << want.encoder;
    uint64_t hash = 0xCBF29CE484222325u;
    for (const auto& [key, shape] : shapes) {
      std::string line = key + " ";
      for (size_t i = 0; i < shape.size(); ++i) line += (i ? "," : "") + std::to_string(shape[i]);
      line += '\n';
      for (unsigned char byte : line) hash = (hash ^ byte) * 0x100000001B3u;
    }
    EXPECT_EQ(hash, want.hash) << want.encoder;
  }
}

TEST(Seeded, ValuesAreThePythonOnesBitForBit) {
  const auto hash = [](const char* encoder, uint64_t seed) {
    uint64_t all = 0;
    for (const auto& [key, shape] : seeded_shapes(encoder)) {
      const auto values = seeded_value(key, shape, seed);
      uint64_t sum = 0;
      for (size_t i = 0; i < values.size(); ++i) sum += std::bit_cast<uint32_t>(values[i]) * uint64_t{i + 1};
      all = all * 31 + sum;
    }
    return all;
  };
  EXPECT_EQ(hash("tiny", 0), 0x5f58ed7b068d4b3au);
  EXPECT_EQ(hash("tiny", 7), 0x61d5c913cee6963du);
  EXPECT_EQ(hash("vits", 0), 0x98af0fcfd2aa0d52u);
}

TEST(Seeded, AnUnknownEncoderIsAnError) {
  EXPECT_THROW(seeded_shapes("vith"), std::invalid_argument);
}

}  // namespace
}  // namespace rgbd::test
