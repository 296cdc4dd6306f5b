// SPDX-License-Identifier: Apache-2.0
// How far two folders of refined depth, 16-bit PNG files of the same names, are apart. One JSON line.
//
//   compare-depth NAME FOLDER FOLDER
//
// share_differing: of all pixels, those that are not equal; over_one_step: pixels more than one step apart;
// most_steps: the largest difference. Exit code 1 where a file is missing in one or has another size.
#include <cstdlib>
#include <filesystem>
#include <set>
#include <stdexcept>

#include "tests/bench/json_lines.h"
#include "tests/core/png_image.h"

namespace rgbd::bench {
namespace {

namespace fs = std::filesystem;

std::set<std::string> files_of(const fs::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.path().extension() == ".png") names.insert(fs::relative(entry.path(), folder).string());
  return names;
}

int step(const DepthView& view, int x, int y) {
  const uint8_t* p = view.data + y * view.stride_bytes + ptrdiff_t{2} * x;
  return view.big_endian ? p[0] << 8 | p[1] : p[1] << 8 | p[0];
}

void compare(const std::string& name, const fs::path& a, const fs::path& b) {
  const auto names = files_of(a);
  if (names.empty() || names != files_of(b))
    throw std::runtime_error(a.string() + " and " + b.string() + " do not hold the same PNG files");
  uint64_t pixels = 0, differing = 0, over_one_step = 0;
  int most = 0;
  for (const auto& file : names) {
    const DepthView left = test::read_depth_png((a / file).string(), 1000);
    const DepthView right = test::read_depth_png((b / file).string(), 1000);
    if (left.width != right.width || left.height != right.height)
      throw std::runtime_error(file + " has two sizes");
    for (int y = 0; y < left.height; ++y) {
      for (int x = 0; x < left.width; ++x) {
        const int difference = std::abs(step(left, x, y) - step(right, x, y));
        ++pixels;
        differing += difference > 0;
        over_one_step += difference > 1;
        most = std::max(most, difference);
      }
    }
  }
  print({{"stage", "samples"},
         {"compared", name},
         {"pairs", names.size()},
         {"pixels", pixels},
         {"share_differing", static_cast<double>(differing) / static_cast<double>(pixels)},
         {"over_one_step", over_one_step},
         {"most_steps", most}});
}

}  // namespace
}  // namespace rgbd::bench

int main(int argc, char** argv) {
  try {
    if (argc != 4) throw std::runtime_error("usage: compare-depth NAME FOLDER FOLDER");
    rgbd::bench::compare(argv[1], argv[2], argv[3]);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "compare-depth: %s\n", error.what());
    return 1;
  }
}
