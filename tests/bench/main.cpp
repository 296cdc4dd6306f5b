// SPDX-License-Identifier: Apache-2.0
// How long each stage of a pair takes: one JSON line per stage, milliseconds. Frames are random, never zeros;
// weights come from a file or follow from a seed.
//
//   bench (--encoder vits|vitb|vitl|vitg | --model FILE) [--frame WxH] [--device D]
//         [--precision fp32|fp16|bf16] [--no-optimize] [--threads N] [--warm-up N] [--repeats N]
//         [--only STAGE[,STAGE]] [--profile] [--sharers N] [--batch-size N]
//   bench --encoder E --write FILE
//
// Without --warm-up and --repeats: 20 and 200 on a GPU, 1 and 10 on the CPU. --write makes the seeded
// checkpoint as torch.save would (.pt, .pth, .ckpt) or as safetensors, and ends.
//
//   load         the network from the checkpoint, once
//   preprocess   a pair in host memory to the network's input, on the CPU
//   encoders, fusion, head
//                a Camera Depth Model's three parts, where they run one by one (not in CUDA code of our own)
//   network      input ready on the device to inverse depth ready on the device. ms_p50 to ms_mean: each call
//                alone, between two events of the GPU; ms_together: a call's share of many in a row
//   postprocess  inverse depth on the CPU to 16-bit depth
//   pair         submit() to wait() through the engine, frames in host memory; pair-device: colour in GPU
//                memory
//   flow         two pairs of one camera in the engine at any time: ms is a pair's share; so flow-device
//   shared       with --sharers N: one camera, then N that share the model, each with one pair in the
//                engine; --batch-size pairs may run together. ms is a pair's share
//   profile      with --profile: the kernels of one forward pass (on the CPU: the operations), longest first
//
// peak_mib: most GPU memory that tensors had at once in this stage, weights included; null where unknown.
#include <ATen/Parallel.h>

#include <cstdio>
#include <stdexcept>

#include "core/device.h"
#include "tests/bench/bench.h"
#include "tests/bench/device_time.h"
#include "tests/bench/hardware.h"
#include "tests/bench/random_frames.h"
#include "tests/core/seeded_network.h"
#include "tests/support/cuda_module.h"
#include "tests/support/precision.h"
#include "tests/support/seeded.h"
#include "tests/support/torch_writer.h"

namespace rgbd::bench {
namespace {

constexpr const char* kUsage =
    "usage: bench (--encoder vits|vitb|vitl|vitg | --model FILE) [--frame WxH] [--device D]\n"
    "             [--precision fp32|fp16|bf16] [--no-optimize] [--threads N] [--warm-up N] [--repeats N]\n"
    "             [--only STAGE[,STAGE]] [--profile] [--sharers N] [--batch-size N]\n"
    "       bench --encoder E --write FILE\n"
    "stages: load preprocess encoders fusion head network postprocess pair pair-device flow flow-device\n";

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
    else if (flag == "--write")
      out.write = next();
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
      out.warm_up = std::max(0, std::stoi(next()));
    else if (flag == "--repeats")
      out.repeats = std::max(1, std::stoi(next()));
    else if (flag == "--sharers")
      out.sharers = std::max(1, std::stoi(next()));
    else if (flag == "--batch-size")
      out.options.batch_size = static_cast<unsigned>(std::max(1, std::stoi(next())));
    else if (flag == "--profile")
      out.profile = true;
    else if (flag == "--only")
      out.only = "," + next() + ",";
    else
      throw std::runtime_error("unknown option " + flag + "\n" + kUsage);
  }
  if (out.encoder.empty() == out.model.empty() || (!out.write.empty() && out.encoder.empty()))
    throw std::runtime_error(kUsage);
  return out;
}

void write_checkpoint(const std::string& path, const std::string& encoder) {
  if (path.ends_with(".safetensors")) {
    test::write_seeded(path, encoder);
  } else {
    test::write_seeded_torch(path, encoder);
  }
}

void run(const Arguments& arguments) {
  if (!arguments.write.empty()) return write_checkpoint(arguments.write, arguments.encoder);
  test::use_built_cuda_module();
  load_cuda_module();
  if (arguments.threads > 0) at::set_num_threads(arguments.threads);
  const auto choice = choose_device(arguments.options.device, arguments.options.precision);
  for (const auto& warning : choice.warnings) std::fprintf(stderr, "%s\n", warning.c_str());
  const auto checkpoint = arguments.model.empty() ? test::seeded_checkpoint(arguments.encoder)
                                                  : Checkpoint::open(arguments.model);
  const NetworkOptions options{choice.device, choice.precision, arguments.options.optimize};
  Bench bench(arguments, choice.device);
  bench.configuration = {
      {"hardware", hardware_name(choice.device.str())},
      {"device", choice.device.str()},
      {"precision", test::name_of(choice.precision)},
      {"optimize", options.optimize},
      {"frame", std::to_string(arguments.frame.width) + "x" + std::to_string(arguments.frame.height)}};
  network_stages(bench, arguments, checkpoint, options);
  engine_stages(bench, arguments, checkpoint, choice.device);
}

}  // namespace

Bench::Bench(const Arguments& arguments, at::Device device)
    : only_(arguments.only),
      warm_up_(arguments.warm_up >= 0 ? arguments.warm_up
               : device.is_cpu()      ? 1
                                      : 20),
      repeats_(arguments.repeats > 0 ? arguments.repeats
               : device.is_cpu()     ? 10
                                     : 200) {}

bool Bench::wants(const std::string& stage) const {
  return only_.empty() || only_.find("," + stage + ",") != std::string::npos;
}

Line Bench::line(const std::string& stage) const {
  Line line{{"stage", stage}};
  line.update(configuration);
  line["threads"] = at::get_num_threads();
  return line;
}

void Bench::stage(const std::string& name, const std::function<void()>& call) {
  stage(name, call, warm_up_, repeats_);
}

void Bench::stage(const std::string& name, const std::function<void()>& call, int warm_up, int repeats) {
  if (!wants(name)) return;
  const auto times = time_each(at::kCPU, call, warm_up, repeats);  // loading says what was loaded
  Line out = line(name);
  out["repeats"] = repeats;
  add_times(out, times);
  print(out);
}

Pair::Pair(Size size, uint32_t seed)
    : rgb(random_colour(size_t{3} * static_cast<size_t>(size.width) * static_cast<size_t>(size.height),
                        seed)),
      depth(random_depth(size.width, size.height, seed)),
      refined(depth.size()) {
  image.width = view.width = out.width = size.width;
  image.height = view.height = out.height = size.height;
  image.planes[0] = {rgb.data(), ptrdiff_t{3} * size.width};
  view.data = reinterpret_cast<const uint8_t*>(depth.data());
  out.data = reinterpret_cast<uint8_t*>(refined.data());
  view.stride_bytes = out.stride_bytes = ptrdiff_t{2} * size.width;
}

}  // namespace rgbd::bench

int main(int argc, char** argv) {
  try {
    rgbd::bench::run(rgbd::bench::parse(argc, argv));
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench: %s\n", error.what());
    return 2;
  }
}
