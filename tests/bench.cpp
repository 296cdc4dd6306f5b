// SPDX-License-Identifier: Apache-2.0
// How long each stage of a pair takes: one JSON line per stage, milliseconds.
//
//   bench (--encoder vits|vitb|vitl|vitg | --model FILE) [--frame WxH] [--device D] [--precision
//   fp32|fp16|bf16]
//         [--no-optimize] [--threads N] [--warm-up N] [--repeats N] [--only STAGE[,STAGE]]
//
// Stages: load, preprocess, encoders, fusion, head (a Camera Depth Model's three parts), network,
// postprocess, and pair: submit() to wait() through the engine, as the element calls it. Frames are random,
// weights seeded.
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <chrono>
#include <cstdio>
#include <functional>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>

#include "core/cdm/cdm.h"
#include "core/device.h"
#include "core/engine.h"
#include "core/frames.h"
#include "tests/core/seeded_network.h"
#include "tests/support/precision.h"

namespace {

using namespace rgbd;
using Clock = std::chrono::steady_clock;

constexpr const char* kUsage =
    "usage: bench (--encoder vits|vitb|vitl|vitg | --model FILE) [--frame WxH] [--device D]\n"
    "             [--precision fp32|fp16|bf16] [--no-optimize] [--threads N] [--warm-up N] [--repeats N]\n"
    "             [--only STAGE[,STAGE]]   load preprocess encoders fusion head network postprocess pair\n";

struct Arguments {
  std::string encoder, model, only;
  Options options;
  Size frame{640, 480};
  int threads = 0, warm_up = 1, repeats = 10;
};

Arguments parse(int argc, char** argv) {
  Arguments out;
  out.options.device = "cpu";
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    auto next = [&]() -> std::string {
      if (++i >= argc) throw std::runtime_error(flag + " needs a value\n" + kUsage);
      return argv[i];
    };
    if (flag == "--encoder")
      out.encoder = next();
    else if (flag == "--model")
      out.model = next();
    else if (flag == "--frame") {
      const auto size = next();
      out.frame = {std::stoi(size), std::stoi(size.substr(size.find('x') + 1))};
    } else if (flag == "--device")
      out.options.device = next();
    else if (flag == "--precision")
      out.options.precision = test::precision_of(next());
    else if (flag == "--no-optimize")
      out.options.optimize = false;
    else if (flag == "--threads")
      out.threads = std::stoi(next());
    else if (flag == "--warm-up")
      out.warm_up = std::stoi(next());
    else if (flag == "--repeats")
      out.repeats = std::max(1, std::stoi(next()));
    else if (flag == "--only")
      out.only = "," + next() + ",";
    else
      throw std::runtime_error("unknown option " + flag + "\n" + kUsage);
  }
  if (out.encoder.empty() == out.model.empty()) throw std::runtime_error(kUsage);
  return out;
}

/// Random pixels: zeros would flatter a processor's multipliers and caches.
struct Frames {
  explicit Frames(Size size) : rgb(3 * area(size)), depth(area(size)), refined(area(size)) {
    std::mt19937 random(1);
    for (auto& value : rgb) value = static_cast<uint8_t>(random());
    for (auto& value : depth) value = random() % 8 ? static_cast<uint16_t>(500 + random() % 4000) : 0;
    image.width = view.width = out.width = size.width;
    image.height = view.height = out.height = size.height;
    image.planes[0] = {rgb.data(), 3 * size.width};
    view.data = reinterpret_cast<const uint8_t*>(depth.data());
    out.data = reinterpret_cast<uint8_t*>(refined.data());
    view.stride_bytes = out.stride_bytes = 2 * size.width;
  }
  static size_t area(Size size) { return static_cast<size_t>(size.width) * static_cast<size_t>(size.height); }

  std::vector<uint8_t> rgb;
  std::vector<uint16_t> depth, refined;
  ImageView image;
  DepthView view;
  DepthOut out;
};

class Bench {
 public:
  explicit Bench(const Arguments& arguments) : arguments_(arguments) {}

  bool wants(const std::string& stage) const {
    return arguments_.only.empty() || arguments_.only.find("," + stage + ",") != std::string::npos;
  }

  /// Times `call`, which must not return before the work is done.
  void stage(const std::string& name, const std::function<void()>& call, int warm_up, int repeats) {
    if (!wants(name)) return;
    std::vector<double> ms;
    for (int i = -warm_up; i < repeats; ++i) {
      const auto start = Clock::now();
      call();
      if (i >= 0) ms.push_back(std::chrono::duration<double, std::milli>(Clock::now() - start).count());
    }
    std::sort(ms.begin(), ms.end());
    nlohmann::ordered_json line{{"stage", name}};
    line.update(configuration);
    line["threads"] = at::get_num_threads();
    line["repeats"] = repeats;
    line["ms_p50"] = ms[ms.size() / 2];
    line["ms_p95"] = ms[ms.size() * 95 / 100];
    std::printf("%s\n", line.dump().c_str());
    std::fflush(stdout);
  }
  void stage(const std::string& name, const std::function<void()>& call) {
    stage(name, call, arguments_.warm_up, arguments_.repeats);
  }

  nlohmann::ordered_json configuration;

 private:
  const Arguments& arguments_;
};

Checkpoint open(const Arguments& arguments) {
  return arguments.model.empty() ? test::seeded_checkpoint(arguments.encoder)
                                 : Checkpoint::open(arguments.model);
}

void run(const Arguments& arguments) {
  load_cuda_module();
  if (arguments.threads > 0) at::set_num_threads(arguments.threads);
  const auto choice = choose_device(arguments.options.device, arguments.options.precision);
  for (const auto& warning : choice.warnings) std::fprintf(stderr, "%s\n", warning.c_str());
  const auto checkpoint = open(arguments);
  NetworkOptions options{choice.device, choice.precision, arguments.options.optimize};
  Frames frames(arguments.frame);
  Bench bench(arguments);
  bench.configuration = {
      {"device", choice.device.str()},
      {"precision", test::name_of(choice.precision)},
      {"optimize", options.optimize},
      {"frame", std::to_string(arguments.frame.width) + "x" + std::to_string(arguments.frame.height)}};

  {
    c10::InferenceMode guard;
    std::unique_ptr<Network> network;
    auto load = [&] { network = load_network(checkpoint, options); };
    if (bench.wants("load")) bench.stage("load", load, 0, 1);
    if (!network) load();
    const auto size = network_size(arguments.frame, network->input(), 0);
    bench.configuration["network"] = network->architecture();
    if (!network->encoder().empty()) bench.configuration["encoder"] = network->encoder();
    bench.configuration["input"] = std::to_string(size.height) + "x" + std::to_string(size.width);

    at::Tensor x, y;
    auto prepare = [&] { x = preprocess(frames.image, frames.view, size, network->input()).unsqueeze(0); };
    prepare();
    bench.stage("preprocess", prepare);
    x = x.to(choice.device);
    // Bringing the result to the host waits for the device.
    auto* cdm = dynamic_cast<cdm::Cdm*>(network.get());
    if (cdm && (bench.wants("encoders") || bench.wants("fusion") || bench.wants("head"))) {
      cdm::Cdm::BothTaps taps;
      std::array<at::Tensor, 4> projected;
      bench.stage("encoders", [&] { taps = cdm->encode(x), taps.depth[3].cpu(); });
      if (!taps.rgb[0].defined()) taps = cdm->encode(x);
      bench.stage("fusion", [&] { projected = cdm->fuse(taps), projected[3].cpu(); });
      if (!projected[0].defined()) projected = cdm->fuse(taps);
      bench.stage("head",
                  [&] { cdm->decode(projected, size.height / cdm::kPatch, size.width / cdm::kPatch).cpu(); });
    }
    bench.stage("network", [&] { y = network->forward(x).cpu(); });
    if (!y.defined()) y = network->forward(x).cpu();
    bench.stage("postprocess", [&] { postprocess(y[0], frames.out); });
  }

  if (!bench.wants("pair")) return;
  Options engine_options = arguments.options;
  engine_options.model = checkpoint.path();
  const auto engine =
      open_engine(engine_options, [&](const NetworkOptions& o) { return load_network(checkpoint, o); });
  bench.stage("pair", [&] { submit(engine, &bench, frames.image, frames.view, frames.out)->wait(); });
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run(parse(argc, argv));
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench: %s\n", error.what());
    return 2;
  }
}
