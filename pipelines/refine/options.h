// SPDX-License-Identifier: Apache-2.0
// rgbd-refine's command line: the flags of the published Python program's infer.py, with its defaults, and a
// few more.
#pragma once

#include <string>

namespace rgbd {

struct RefineOptions {
  std::string rgb;                // file, or a pattern with one %d (%05d)
  std::string depth;              // the same; a pattern if and only if `rgb` is one
  std::string output;             // the 2x2 picture; empty = none
  std::string output_depth;       // the refined depth; empty = none
  std::string model;              // empty = the embedded model
  std::string encoder = "auto";   // what the model must have: auto | vits | vitb | vitl | vitg
  unsigned input_size = 0;        // 0 = the model's own
  double steps_per_metre = 1000;  // of the input depth, and of the output depth
  double max_depth_m = 25;   // input depth beyond is no depth; infer.py's flag says 6 but the program uses 25
  double max_hole = 0.3;     // larger holes stay holes; share of the depth image
  double temporal = 0;       // weight of the frames before, of a sequence; 0 = none
  double image_min_m = 0.1;  // range of the colours
  double image_max_m = 5;
  std::string device = "auto";
  std::string precision = "fp32";
  bool optimize = true;
};

/// Reads the command line; `argv` as main() has it. Prints and exits for --help and --version.
/// Throws Failure{kExitUsage} with one sentence.
RefineOptions parse_options(int argc, char** argv);

}  // namespace rgbd
