// SPDX-License-Identifier: Apache-2.0
// rgbd-refine: refines the depth of one RGB-D pair, or of a numbered sequence, and says what the published
// Python program (infer.py) says on the way.
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>

#include "core/rgbd.h"
#include "pipelines/refine/codec.h"
#include "pipelines/refine/failure.h"
#include "pipelines/refine/options.h"
#include "pipelines/refine/overwriting.h"
#include "pipelines/refine/picture.h"
#include "pipelines/refine/progress.h"
#include "pipelines/refine/refine_pipeline.h"
#include "pipelines/refine/sequence.h"

namespace rgbd {
namespace {

constexpr double kShapeTolerance = 1.1;  // between the aspect ratios of two views that are meant to be one

struct Pair {
  ColorFrame color;
  DepthFrame depth;
};

std::string size_of(int width, int height) {
  return std::to_string(width) + "x" + std::to_string(height);
}

Pair read_pair(const PairFiles& files) {
  const ImageFile color_file = read_color_file(files.rgb);
  const ImageFile depth_file = read_depth_file(files.depth);
  Pair pair{decode_color(color_file), decode_depth(depth_file)};
  if (pair.color.width < kSmallestSide || pair.color.height < kSmallestSide)
    throw Failure("colour image '" + files.rgb + "' is too small: " +
                  size_of(pair.color.width, pair.color.height) + " pixels, at least 14x14 are needed");
  return pair;
}

/// Depth that is turned or cropped otherwise than the colour is stretched over it all the same.
bool shapes_differ(const Pair& pair) {
  const double color = double{1} * pair.color.width / pair.color.height;
  const double depth = double{1} * pair.depth.width / pair.depth.height;
  return std::max(color / depth, depth / color) > kShapeTolerance;
}

void warn_of_shapes(const PairFiles& files, const Pair& pair) {
  std::fprintf(
      stderr,
      "Warning: depth image '%s' (%s) has another aspect ratio than colour image '%s' (%s); they must "
      "show the same view\n",
      files.depth.c_str(), size_of(pair.depth.width, pair.depth.height).c_str(), files.rgb.c_str(),
      size_of(pair.color.width, pair.color.height).c_str());
}

/// "min=0.1234, max=1.2345", in 1/m as infer.py prints it.
std::string range_of(const RefinedFrame& refined) {
  char text[64];
  std::snprintf(text, sizeof text, "min=%.4f, max=%.4f", refined.min_inverse_depth,
                refined.max_inverse_depth);
  return text;
}

/// Both are encoded before the first is written.
void write_results(const RefineOptions& options, const PairFiles& files, const Pair& pair,
                   const DepthFrame& refined) {
  const PictureRange range{1 / options.steps_per_metre, options.max_depth_m, options.image_min_m,
                           options.image_max_m};
  std::string picture, depth;
  if (!files.output.empty()) picture = encode_png(make_picture(pair.color, pair.depth, refined, range));
  if (!files.output_depth.empty()) depth = encode_png(refined);
  if (!files.output_depth.empty()) write_file(files.output_depth, depth);
  if (!files.output.empty()) write_file(files.output, picture);
}

void print_facts(const RefineOptions& options, const ModelFacts& facts) {
  std::printf("Using device: %s\n", facts.device.c_str());
  std::printf("Model loaded: %s from %s\n",
              (facts.encoder.empty() ? facts.architecture : facts.encoder).c_str(), facts.model.c_str());
  if (facts.precision == "fp32") {
    std::puts("Using full precision: FP32");
  } else {
    std::printf("Using mixed precision: %s\n", facts.precision == "fp16" ? "FP16" : "BF16");
  }
  if (!options.optimize) std::puts("Plain operations (--no-optimize)");
}

void refine_one(const RefineOptions& options, const PairFiles& files) {
  const Pair pair = read_pair(files);
  if (shapes_differ(pair)) warn_of_shapes(files, pair);
  RefinePipeline pipeline(options);
  print_facts(options, pipeline.facts());
  std::printf("Images loaded: RGB (%d, %d, 3), Depth (%d, %d)\n", pair.color.height, pair.color.width,
              pair.depth.height, pair.depth.width);
  const RefinedFrame refined = pipeline.refine(pair.color, pair.depth);
  std::printf("Prediction info: shape=(%d, %d), %s\n", refined.depth.height, refined.depth.width,
              range_of(refined).c_str());
  write_results(options, files, pair, refined.depth);
  for (const std::string& path : {files.output, files.output_depth})
    if (!path.empty()) std::printf("Output saved to: %s\n", path.c_str());
}

void refine_sequence(const RefineOptions& options, const PairList& list) {
  for (const std::string& hole : list.holes) std::fprintf(stderr, "Warning: %s\n", hole.c_str());
  // The first pair is read before the model is loaded: a wrong file is told at once.
  Pair pair = read_pair(list.pairs.front());
  bool warned = false;
  RefinePipeline pipeline(options);
  print_facts(options, pipeline.facts());
  Progress progress(list.pairs.size(), isatty(STDOUT_FILENO));
  for (const PairFiles& files : list.pairs) {
    if (&files != &list.pairs.front()) pair = read_pair(files);
    if (!warned && shapes_differ(pair)) {
      warn_of_shapes(files, pair);
      warned = true;
    }
    const RefinedFrame refined = pipeline.refine(pair.color, pair.depth);
    write_results(options, files, pair, refined.depth);
    progress.frame_done(files.digits + ": " + range_of(refined));
  }
}

/// On every way out, also that of --help: what was printed must have arrived.
void require_stdout() {
  if (std::fflush(stdout) == 0 && !std::ferror(stdout)) return;
  std::fputs("rgbd-refine: standard output cannot be written\n", stderr);
  _exit(kExitFailed);
}

int run(int argc, char** argv) {
  try {
    const RefineOptions options = parse_options(argc, argv);
    const PairList list = list_pairs(options);
    require_files_of_their_own(options, list);
    load_plugins();
    if (list.pairs.front().digits.empty()) {
      refine_one(options, list.pairs.front());
    } else {
      refine_sequence(options, list);
    }
    return 0;
  } catch (const Failure& failure) {
    std::fflush(stdout);
    std::fprintf(stderr, "rgbd-refine: %s\n", failure.what());
    return failure.exit_code();
  } catch (const std::exception& error) {
    std::fflush(stdout);
    std::fprintf(stderr, "rgbd-refine: %s\n", error.what());
    return kExitFailed;
  }
}

}  // namespace
}  // namespace rgbd

int main(int argc, char** argv) {
  std::signal(SIGXFSZ, SIG_IGN);  // a file that grows too large is an error like any other
  std::atexit(rgbd::require_stdout);
  return rgbd::run(argc, argv);
}
