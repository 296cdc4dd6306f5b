// SPDX-License-Identifier: Apache-2.0
// Compares the network, preprocessing and the final map with what the published program answered ("golden"
// safetensors files) on weights that follow from their names. One line per file and tensor; exit code 1 over
// the tolerance.
//
//   parity --encoder E [--seed N] GOLDEN.safetensors… [--device D] [--precision fp32|fp16|bf16]
//   [--no-optimize]
//          [--checkpoint FILE] [--pair RGB.png DEPTH.png STEPS_PER_METRE]… [--samples HxW]…
//
// A golden with `y` [h, w] is a network's answer to `x` [4, h, w] (made again from the seed where it is left
// out) and may hold tap0..3.rgb/depth [patches, C]. A golden with `inverse_depth` [H, W] is the final map of
// the next --pair, and may hold `x`, the preprocessed pair.
#include <ATen/TensorOperators.h>
#include <ATen/ops/abs.h>
#include <c10/core/InferenceMode.h>

#include <cstdio>
#include <filesystem>
#include <limits>
#include <map>

#include "core/cdm/cdm.h"
#include "core/device.h"
#include "core/frames.h"
#include "core/network.h"
#include "tests/core/png_image.h"
#include "tests/core/seeded_network.h"
#include "tests/support/cuda_module.h"
#include "tests/support/precision.h"

namespace {

using namespace rgbd;

struct Pair {
  std::string rgb, depth;
  double steps_per_metre = 1000;
};

struct Arguments {
  std::string encoder, device = "cpu", precision = "fp32", checkpoint;
  uint64_t seed = 0;
  bool optimize = true;
  std::vector<std::string> goldens;
  std::vector<Pair> pairs;
  std::vector<std::pair<int64_t, int64_t>> samples;  // height, width
};

constexpr const char* kUsage =
    "usage: parity --encoder vits|vitb|vitl|vitg|tiny [--seed N] GOLDEN.safetensors... [--device D]\n"
    "              [--precision fp32|fp16|bf16] [--no-optimize] [--checkpoint FILE]\n"
    "              [--pair RGB.png DEPTH.png STEPS_PER_METRE]... [--samples HxW]...\n";

Arguments parse(int argc, char** argv) {
  Arguments out;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    auto next = [&]() -> std::string {
      if (++i >= argc) throw std::runtime_error(flag + " needs a value\n" + kUsage);
      return argv[i];
    };
    if (flag == "--encoder")
      out.encoder = next();
    else if (flag == "--seed")
      out.seed = std::stoull(next());
    else if (flag == "--device")
      out.device = next();
    else if (flag == "--precision")
      out.precision = next();
    else if (flag == "--no-optimize")
      out.optimize = false;
    else if (flag == "--checkpoint")
      out.checkpoint = next();
    else if (flag == "--pair") {
      Pair pair;
      pair.rgb = next(), pair.depth = next(), pair.steps_per_metre = std::stod(next());
      out.pairs.push_back(pair);
    } else if (flag == "--samples") {
      const auto size = next();
      out.samples.emplace_back(std::stoll(size), std::stoll(size.substr(size.find('x') + 1)));
    } else if (flag.rfind("--", 0) == 0)
      throw std::runtime_error("unknown option " + flag + "\n" + kUsage);
    else
      out.goldens.push_back(flag);
  }
  if ((out.goldens.empty() && out.samples.empty()) || (out.encoder.empty() && out.checkpoint.empty()))
    throw std::runtime_error(kUsage);
  return out;
}

/// Absolute errors allowed.
struct Limits {
  double mean = std::numeric_limits<double>::infinity();
  double max = 1e-4;
};

/// What the Python program's own half runs (autocast) differ by from the goldens of the network, measured on
/// an H200.
const std::map<std::string, std::pair<Limits, Limits>> kPythonHalf = {
    // fp16, bf16
    {"net-vits-126x168", {{.00123, .0069}, {.0117, .061}}},
    {"net-vits-518x686", {{.00155, .0100}, {.0117, .066}}},
    {"net-vitb-126x168", {{.00179, .0087}, {.0115, .056}}},
    {"net-vitl-126x168", {{.00119, .0069}, {.0116, .059}}},
    {"net-vitl-518x686", {{.00142, .0084}, {.0140, .086}}},
};

Limits limits(Precision precision, const std::string& file, const std::string& tensor) {
  if (precision == Precision::kFp32) return {};
  const auto python = kPythonHalf.find(file);
  if (python != kPythonHalf.end() && tensor == "y") {
    const auto& [fp16, bf16] = python->second;
    const Limits& measured = precision == Precision::kFp16 ? fp16 : bf16;
    return {1.2 * measured.mean, 1.5 * measured.max};
  }
  Limits limits;
  limits.max = precision == Precision::kFp16 ? 0.02 : 0.12;
  return limits;
}

class Report {
 public:
  explicit Report(Precision precision) : precision_(precision) {}

  void compare(const std::string& file, const std::string& tensor, const at::Tensor& ours,
               const at::Tensor& golden) {
    if (ours.sizes() != golden.sizes()) {
      std::printf("%-40s %-14s shapes differ\n", file.c_str(), tensor.c_str());
      failed_ = true;
      return;
    }
    const auto error = at::abs(ours.to(at::kCPU, at::kDouble) - golden.to(at::kDouble));
    const double max = error.max().item<double>(), mean = error.mean().item<double>();
    const Limits allowed = limits(precision_, file, tensor);
    const bool good = max <= allowed.max && mean <= allowed.mean;  // false for NaN
    std::printf("%-40s %-14s max %.3g mean %.3g%s\n", file.c_str(), tensor.c_str(), max, mean,
                good ? "" : "  OVER");
    std::fflush(stdout);
    failed_ |= !good;
  }
  bool failed() const { return failed_; }

 private:
  const Precision precision_;
  bool failed_ = false;
};

void check_network(const std::string& file, const Checkpoint& golden, Network& network, at::Device device,
                   uint64_t seed, Report& report) {
  const auto y = golden.tensor("y");
  const auto x = golden.contains("x") ? golden.tensor("x") : test::seeded_input(y.size(0), y.size(1), seed);
  const auto input = x.unsqueeze(0).to(device);
  auto* plain = dynamic_cast<cdm::Cdm*>(&network);  // the CUDA module's network shows no taps
  if (plain && golden.contains("tap0.rgb")) {
    const auto taps = plain->encode(input);
    for (int i = 0; i < 4; ++i) {
      const auto name = "tap" + std::to_string(i);
      report.compare(file, name + ".rgb", taps.rgb[i][0], golden.tensor(name + ".rgb"));
      report.compare(file, name + ".depth", taps.depth[i][0], golden.tensor(name + ".depth"));
    }
  }
  report.compare(file, "y", network.forward(input)[0], y);
}

void check_pair(const std::string& file, const Checkpoint& golden, Network& network, at::Device device,
                const Pair& pair, Report& report) {
  const auto image = test::read_colour_png(pair.rgb);
  const auto depth = test::read_depth_png(pair.depth, pair.steps_per_metre);
  const Size frame{image.width, image.height};
  const auto x = preprocess(image, depth, network_size(frame, network.input(), 0), network.input());
  if (golden.contains("x")) report.compare(file, "x", x, golden.tensor("x"));
  const auto y = network.forward(x.unsqueeze(0).to(device))[0].cpu();
  report.compare(file, "inverse_depth", resize_nearest(y, frame), golden.tensor("inverse_depth"));
}

int run(const Arguments& arguments) {
  test::use_built_cuda_module();
  load_cuda_module();
  const auto choice = choose_device(arguments.device, test::precision_of(arguments.precision));
  for (const auto& warning : choice.warnings) std::fprintf(stderr, "%s\n", warning.c_str());
  c10::InferenceMode guard;

  NetworkOptions options;
  options.device = choice.device;
  options.precision = choice.precision;
  options.optimize = arguments.optimize;
  const auto network =
      load_network(arguments.checkpoint.empty() ? test::seeded_checkpoint(arguments.encoder, arguments.seed)
                                                : Checkpoint::open(arguments.checkpoint),
                   options);
  if (network->architecture() != "cdm")
    throw std::runtime_error("the checkpoint holds no Camera Depth Model");
  if (!arguments.encoder.empty() && network->encoder() != arguments.encoder)
    throw std::runtime_error("the checkpoint is " + network->encoder() + ", not " + arguments.encoder);

  Report report(choice.precision);
  auto pair = arguments.pairs.begin();
  for (const auto& path : arguments.goldens) {
    const auto golden = Checkpoint::open(path);
    const auto file = std::filesystem::path(path).stem().string();
    if (golden.contains("y")) {
      check_network(file, golden, *network, choice.device, arguments.seed, report);
    } else if (golden.contains("inverse_depth")) {
      if (pair == arguments.pairs.end())
        throw std::runtime_error(path + " needs --pair RGB DEPTH STEPS_PER_METRE");
      check_pair(file, golden, *network, choice.device, *pair++, report);
    } else {
      throw std::runtime_error(path + " holds neither y nor inverse_depth");
    }
  }
  for (const auto& [height, width] : arguments.samples) {
    const auto x = test::seeded_input(height, width, arguments.seed).unsqueeze(0).to(choice.device);
    std::printf("%s %ldx%ld", network->encoder().c_str(), static_cast<long>(height),
                static_cast<long>(width));
    for (const float value : test::samples(network->forward(x)[0])) std::printf(" %.7g", value);
    std::printf("\n");
  }
  return report.failed() ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(parse(argc, argv));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "parity: %s\n", error.what());
    return 2;
  }
}
