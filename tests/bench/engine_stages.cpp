// SPDX-License-Identifier: Apache-2.0
// Pairs through the engine, see main.cpp.
#include <ATen/ops/from_blob.h>
#include <c10/core/InferenceMode.h>

#include <chrono>
#include <deque>
#include <latch>
#include <memory>
#include <mutex>
#include <thread>

#include "core/engine.h"
#include "tests/bench/bench.h"
#include "tests/bench/device_time.h"
#include "tests/bench/random_frames.h"

namespace rgbd::bench {
namespace {

using Clock = std::chrono::steady_clock;

/// The same pair with its colour in GPU memory, where the engine reads it in place.
ImageView on_device(const Pair& pair, at::Device device) {
  const c10::InferenceMode inference;
  ImageView image = pair.image;
  const auto bytes = random_colour(size_t{4} * pair.depth.size(), 7);
  // .to() has waited: the pixels are ready on any stream.
  const auto pixels = std::make_shared<at::Tensor>(
      at::from_blob(const_cast<uint8_t*>(bytes.data()), {static_cast<int64_t>(bytes.size())}, at::kByte)
          .to(device));
  image.format = PixelFormat::kRgba;
  image.planes[0] = {pixels->const_data_ptr<uint8_t>(), ptrdiff_t{4} * image.width};
  image.memory = Memory::kCuda;
  image.owner = pixels;
  return image;
}

/// What the pairs of one stage were like.
struct Seen {
  std::mutex mutex;
  double batch = 0, to_device = 0, to_host = 0;
  int pairs = 0;

  void add(const std::optional<Result>& result) {
    if (!result) throw std::runtime_error("a pair was cancelled");
    std::lock_guard lock(mutex);
    batch += result->batch;
    to_device += static_cast<double>(result->host_to_device_bytes);
    to_host += static_cast<double>(result->device_to_host_bytes);
    ++pairs;
  }
  void add_to(Line& line) const {
    line["batch_avg"] = rounded(batch / pairs);
    line["to_device_bytes"] = std::round(to_device / pairs);
    line["to_host_bytes"] = std::round(to_host / pairs);
  }
};

class EngineStages {
 public:
  EngineStages(Bench& bench, const Arguments& arguments, const Checkpoint& checkpoint, at::Device device)
      : bench_(bench), frame_(arguments.frame), device_(device), batch_size_(arguments.options.batch_size) {
    options_ = arguments.options;
    options_.model = checkpoint.path();
    options_.instance_id = "bench";
    loader_ = [&checkpoint](const NetworkOptions& o) { return load_network(checkpoint, o); };
    kept_ = open(1);
  }

  void one_camera() {
    const auto engine = open(1);
    Pair pair(frame_, 1), next(frame_, 2);
    with_colour(engine, pair, next, "");
    if (!device_.is_cuda()) return;
    if (!bench_.wants("pair-device") && !bench_.wants("flow-device")) return;
    pair.image = on_device(pair, device_);
    next.image = on_device(next, device_);
    with_colour(engine, pair, next, "-device");
  }

  void cameras(int count) {
    std::vector<std::shared_ptr<Engine>> handles;
    std::vector<std::unique_ptr<Pair>> pairs;
    for (int i = 0; i < count; ++i) {
      handles.push_back(open(batch_size_));
      pairs.push_back(std::make_unique<Pair>(frame_, static_cast<uint32_t>(i + 1)));
    }
    std::latch ready(count + 1);
    Seen seen;
    std::vector<std::exception_ptr> errors(static_cast<size_t>(count));
    std::vector<std::thread> threads;
    for (size_t i = 0; i < handles.size(); ++i) {
      threads.emplace_back([&, i] {
        const auto refine = [&] {
          return submit(handles[i], pairs[i].get(), pairs[i]->image, pairs[i]->view, pairs[i]->out)->wait();
        };
        try {
          for (int n = 0; n < bench_.warm_up(); ++n) refine();
        } catch (...) {
          errors[i] = std::current_exception();
        }
        ready.arrive_and_wait();
        if (errors[i]) return;
        try {
          for (int n = 0; n < bench_.repeats(); ++n) seen.add(refine());
        } catch (...) {
          errors[i] = std::current_exception();
        }
      });
    }
    ready.arrive_and_wait();
    const auto start = Clock::now();
    for (auto& thread : threads) thread.join();
    const std::chrono::duration<double, std::milli> took = Clock::now() - start;
    for (const auto& error : errors)
      if (error) std::rethrow_exception(error);
    Line line = bench_.line("shared");
    line["cameras"] = count;
    line["batch_size"] = batch_size_;
    line["repeats"] = count * bench_.repeats();
    line["ms"] = rounded(took.count() / (count * bench_.repeats()));
    seen.add_to(line);
    print(line);
  }

 private:
  std::shared_ptr<Engine> open(unsigned batch_size) {
    options_.batch_size = batch_size;
    return open_engine(options_, loader_);
  }

  void with_colour(const std::shared_ptr<Engine>& engine, const Pair& pair, const Pair& next,
                   const std::string& suffix) {
    try {
      if (bench_.wants("pair" + suffix)) alone(engine, pair, "pair" + suffix);
      if (bench_.wants("flow" + suffix)) flow(engine, pair, next, "flow" + suffix);
    } catch (const Error& error) {
      if (suffix.empty()) throw;
      Line line = bench_.line("pair" + suffix);
      line["error"] = error.what();
      print(line);
    }
  }

  void alone(const std::shared_ptr<Engine>& engine, const Pair& pair, const std::string& name) {
    Seen seen;
    const auto refine = [&] { seen.add(submit(engine, this, pair.image, pair.view, pair.out)->wait()); };
    reset_peak(device_);
    Line line = bench_.line(name);
    line["repeats"] = bench_.repeats();
    add_times(line, time_each(at::kCPU, refine, bench_.warm_up(), bench_.repeats()));
    seen.add_to(line);
    const auto peak = peak_bytes(device_);
    line["peak_mib"] = peak ? Line(*peak >> 20) : Line(nullptr);
    print(line);
  }

  void flow(const std::shared_ptr<Engine>& engine, const Pair& first, const Pair& second,
            const std::string& name) {
    Seen seen;
    const int repeats = bench_.repeats() / 2 * 2 + 2;
    for (int i = 0; i < bench_.warm_up(); ++i)
      submit(engine, this, first.image, first.view, first.out)->wait();
    std::deque<std::unique_ptr<Pending>> inside;
    inside.push_back(submit(engine, this, first.image, first.view, first.out));
    const auto start = Clock::now();
    for (int i = 0; i < repeats; ++i) {
      const Pair& pair = i % 2 ? first : second;
      inside.push_back(submit(engine, this, pair.image, pair.view, pair.out));
      seen.add(inside.front()->wait());
      inside.pop_front();
    }
    const std::chrono::duration<double, std::milli> took = Clock::now() - start;
    inside.front()->wait();
    Line line = bench_.line(name);
    line["repeats"] = repeats;
    line["ms"] = rounded(took.count() / repeats);
    seen.add_to(line);
    print(line);
  }

  Bench& bench_;
  const Size frame_;
  const at::Device device_;
  const unsigned batch_size_;  // of several cameras
  Options options_;
  NetworkLoader loader_;
  std::shared_ptr<Engine> kept_;  // from one stage to the next, so that the model is loaded once
};

}  // namespace

void engine_stages(Bench& bench, const Arguments& arguments, const Checkpoint& checkpoint,
                   at::Device device) {
  const bool one =
      bench.wants("pair") || bench.wants("pair-device") || bench.wants("flow") || bench.wants("flow-device");
  if (!one && arguments.sharers == 0) return;
  EngineStages stages(bench, arguments, checkpoint, device);
  if (one) stages.one_camera();
  if (arguments.sharers == 0) return;
  stages.cameras(1);
  if (arguments.sharers > 1) stages.cameras(arguments.sharers);
}

}  // namespace rgbd::bench
