// SPDX-License-Identifier: Apache-2.0
// What the element makes of the network: whole pipelines with rgbdrefine between prepared frames and a sink
// that throws them away. One JSON line per measurement. Run it in `meson devenv -C build`.
//
//   bench-element [--model FILE] [--device D] [--precision fp32|fp16|bf16] [--no-optimize]
//                 [--memory system|cuda] [--format F] [--frame WxH] [--elements N] [--batch-size N]
//                 [--warm-up N] [--repeats N] [--cameras [--fps N] [--seconds N] [--most N]]
//
//   element  frames as fast as --elements elements, which share one model, take them: ms is a frame's share
//            of the time. first_ms: from NULL to the first refined frame, loading included. With --memory
//            cuda colour goes up once (cudaupload), before the start, and is used again and again; depth is
//            in system memory always
//   cameras  with --cameras: the largest number of live cameras of --fps at which, after two seconds to
//            settle, no frame is dropped or late for --seconds seconds. A line `trial` for each number tried
#include <cmath>
#include <cstdlib>
#include <stdexcept>

#include "tests/bench/hardware.h"
#include "tests/bench/json_lines.h"
#include "tests/bench/lanes.h"

namespace rgbd::bench {
namespace {

constexpr const char* kUsage =
    "usage: bench-element [--model FILE] [--device D] [--precision fp32|fp16|bf16] [--no-optimize]\n"
    "                     [--memory system|cuda] [--format F] [--frame WxH] [--elements N] [--batch-size N]\n"
    "                     [--warm-up N] [--repeats N] [--cameras [--fps N] [--seconds N] [--most N]]\n";
constexpr std::chrono::seconds kSettle{2};

struct Arguments {
  std::string model, device = "auto", precision = "fp32", memory = "system", format = "RGB";
  bool optimize = true, cameras = false;
  int width = 640, height = 480, elements = 1, batch_size = 1, warm_up = 20, repeats = 200;
  int fps = 30, seconds = 5, most = 64;
};

int number(const std::string& text, int least) {
  char* end = nullptr;
  const long value = std::strtol(text.c_str(), &end, 10);
  if (text.empty() || *end || value < least || value > 1'000'000)
    throw std::runtime_error("'" + text + "' is no number from " + std::to_string(least) + " on\n" + kUsage);
  return static_cast<int>(value);
}

Arguments parse(int argc, char** argv) {
  Arguments out;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    auto next = [&]() -> std::string {
      if (++i >= argc) throw std::runtime_error(flag + " needs a value\n" + kUsage);
      return argv[i];
    };
    if (flag == "--model")
      out.model = next();
    else if (flag == "--device")
      out.device = next();
    else if (flag == "--precision")
      out.precision = next();
    else if (flag == "--no-optimize")
      out.optimize = false;
    else if (flag == "--memory")
      out.memory = next();
    else if (flag == "--format")
      out.format = next();
    else if (flag == "--frame") {
      const auto size = next();
      const size_t cross = std::min(size.find('x'), size.size());
      out.width = number(size.substr(0, cross), 14);
      out.height = number(size.substr(std::min(cross + 1, size.size())), 14);
    } else if (flag == "--elements")
      out.elements = number(next(), 1);
    else if (flag == "--batch-size")
      out.batch_size = number(next(), 1);
    else if (flag == "--warm-up")
      out.warm_up = number(next(), 1);
    else if (flag == "--repeats")
      out.repeats = number(next(), 1);
    else if (flag == "--cameras")
      out.cameras = true;
    else if (flag == "--fps")
      out.fps = number(next(), 1);
    else if (flag == "--seconds")
      out.seconds = number(next(), 1);
    else if (flag == "--most")
      out.most = number(next(), 1);
    else
      throw std::runtime_error("unknown option " + flag + "\n" + kUsage);
  }
  if (out.memory != "system" && out.memory != "cuda") throw std::runtime_error(kUsage);
  return out;
}

LaneOptions lane_options(const Arguments& arguments, int lanes, bool live) {
  LaneOptions options;
  options.lanes = lanes;
  options.live = live;
  options.fps = arguments.fps;
  options.model = arguments.model;
  options.properties = "device=" + arguments.device + " precision=" + arguments.precision +
                       " batch-size=" + std::to_string(arguments.batch_size) +
                       (arguments.optimize ? "" : " optimize=false");
  return options;
}

std::string text_of(const GstStructure* stats, const char* field) {
  const char* text = gst_structure_get_string(stats, field);
  return text ? text : "";
}

/// A line that begins with what runs on what.
Line line_of(const std::string& stage, const Arguments& arguments, const Lanes& lanes) {
  GstStructure* stats = lanes.stats();
  Line line{{"stage", stage},
            {"hardware", hardware_name(text_of(stats, "device"))},
            {"device", text_of(stats, "device")},
            {"precision", text_of(stats, "precision")},
            {"optimize", arguments.optimize},
            {"frame", std::to_string(arguments.width) + "x" + std::to_string(arguments.height)},
            {"network", text_of(stats, "architecture")},
            {"encoder", text_of(stats, "encoder")},
            {"memory", arguments.memory},
            {"format", arguments.format},
            {"batch_size", arguments.batch_size}};
  gst_structure_free(stats);
  return line;
}

/// What the element itself counted.
void add_stats(Line& line, const Lanes& lanes) {
  GstStructure* stats = lanes.stats();
  guint64 refined = 0;
  gst_structure_get_uint64(stats, "refined", &refined);
  for (const char* stage : {"queue", "preprocess", "inference", "postprocess", "total"}) {
    double ms = 0;
    gst_structure_get_double(stats, (std::string(stage) + "-ms-p50").c_str(), &ms);
    line[std::string(stage) + "_ms_p50"] = rounded(ms);
  }
  double batch = 0;
  gst_structure_get_double(stats, "batch-avg", &batch);
  line["batch_avg"] = rounded(batch);
  for (const char* direction : {"host-to-device", "device-to-host"}) {
    guint64 bytes = 0;
    gst_structure_get_uint64(stats, (std::string(direction) + "-bytes").c_str(), &bytes);
    line[direction == std::string("host-to-device") ? "to_device_bytes" : "to_host_bytes"] =
        refined ? std::round(static_cast<double>(bytes) / static_cast<double>(refined)) : 0.0;
  }
  gst_structure_free(stats);
}

double ms_between(Lanes::Clock::time_point from, Lanes::Clock::time_point to) {
  return std::chrono::duration<double, std::milli>(to - from).count();
}

void throughput(const Arguments& arguments) {
  Frames frames = make_frames(arguments.format, arguments.width, arguments.height, arguments.fps);
  Lanes lanes(lane_options(arguments, arguments.elements, false));
  const auto start = Lanes::Clock::now();
  lanes.pause(frames);
  bool one_context = false;
  if (arguments.memory == "cuda") one_context = upload(frames, lanes.pipeline(), lanes.rgb_pad());
  lanes.play(frames);
  const auto warm = static_cast<uint64_t>(arguments.warm_up) * static_cast<uint64_t>(arguments.elements);
  const auto all =
      warm + static_cast<uint64_t>(arguments.repeats) * static_cast<uint64_t>(arguments.elements);
  lanes.run_until(all);
  Line line = line_of("element", arguments, lanes);
  if (arguments.memory == "cuda") line["one_context"] = one_context;
  line["elements"] = arguments.elements;
  line["repeats"] = all - warm;
  const double ms = ms_between(lanes.time_of(warm), lanes.time_of(all)) / static_cast<double>(all - warm);
  line["ms"] = rounded(ms);
  line["fps"] = rounded(1e3 / ms);
  // With memory of the GPU, frames went up meanwhile.
  line["first_ms"] =
      arguments.memory == "system" ? Line(rounded(ms_between(start, lanes.time_of(1)))) : Line(nullptr);
  add_stats(line, lanes);
  print(line);
}

/// Whether so many cameras run without losing a frame.
bool runs(const Arguments& arguments, int cameras, Frames& frames, bool& uploaded) {
  Lanes lanes(lane_options(arguments, cameras, true));
  lanes.pause(frames);
  if (arguments.memory == "cuda" && !uploaded) {
    upload(frames, lanes.pipeline(), lanes.rgb_pad());
    uploaded = true;
  }
  lanes.play(frames);
  lanes.run_for(kSettle);
  const auto before = lanes.counts();
  lanes.run_for(std::chrono::seconds(arguments.seconds));
  const auto after = lanes.counts();
  LaneCounts sum;
  uint64_t fewest = UINT64_MAX;
  for (size_t i = 0; i < after.size(); ++i) {
    sum.out += after[i].out - before[i].out;
    sum.dropped += after[i].dropped - before[i].dropped;
    sum.late += after[i].late - before[i].late;
    fewest = std::min(fewest, after[i].out - before[i].out);
  }
  // Two frames: those under way when it began and when it ended.
  const auto due = static_cast<uint64_t>(std::max(1, arguments.fps * arguments.seconds - 2));
  const bool good = sum.dropped == 0 && sum.late == 0 && fewest >= due;
  Line line = line_of("trial", arguments, lanes);
  line["fps"] = arguments.fps;
  line["cameras"] = cameras;
  line["good"] = good;
  line["out"] = sum.out;
  line["dropped"] = sum.dropped;
  line["late"] = sum.late;
  add_stats(line, lanes);
  print(line);
  return good;
}

void count_cameras(const Arguments& arguments) {
  Frames frames = make_frames(arguments.format, arguments.width, arguments.height, arguments.fps);
  // Holds the model, so that it is loaded once.
  Lanes keeper(lane_options(arguments, 1, true));
  keeper.pause(frames);
  bool uploaded = false;
  // Twice: the first time a batch of some size comes up, its kernels are chosen, which costs frames.
  const auto run = [&](int cameras) {
    return runs(arguments, cameras, frames, uploaded) || runs(arguments, cameras, frames, uploaded);
  };
  int good = 0, bad = 1;
  while (bad <= arguments.most && run(bad)) {
    good = bad;
    bad *= 2;
  }
  bad = std::min(bad, arguments.most + 1);
  while (bad - good > 1) {
    const int middle = (good + bad) / 2;
    (run(middle) ? good : bad) = middle;
  }
  Line line = line_of("cameras", arguments, keeper);
  line["fps"] = arguments.fps;
  line["seconds"] = arguments.seconds;
  line["cameras"] = good;
  print(line);
}

}  // namespace
}  // namespace rgbd::bench

int main(int argc, char** argv) {
  try {
    gst_init(nullptr, nullptr);
    const auto arguments = rgbd::bench::parse(argc, argv);
    arguments.cameras ? rgbd::bench::count_cameras(arguments) : rgbd::bench::throughput(arguments);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench-element: %s\n", error.what());
    return 2;
  }
}
