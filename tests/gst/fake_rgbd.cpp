// SPDX-License-Identifier: Apache-2.0
// libfake-rgbd.so: librgbd's interface over arithmetic that a test can check, without torch. Like the real
// one it has a thread per model, and views whose owners outlive a cancelled pair.
#include "tests/gst/fake_rgbd.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <map>
#include <mutex>
#include <sstream>
#include <thread>
#include <utility>

#include "core/temporal.h"

namespace fake_rgbd {
namespace {

using namespace std::chrono_literals;
using rgbd::DepthOut;
using rgbd::DepthView;
using rgbd::Error;
using rgbd::ErrorCode;
using rgbd::ImageView;

struct Control {
  std::mutex mutex;
  std::condition_variable changed;
  bool held = false, stubborn = false, loads_held = false;
  int busy = 0, waiting = 0, loading = 0, models = 0, let_go = 0;
  uint64_t pairs = 0, cancelled = 0, warm_ups = 0;
  std::optional<ErrorCode> failure;
  rgbd::Options options;
  ImageView image;
  DepthView depth;
};

Control& control() {
  static Control* instance = new Control;  // threads may outlive main()
  return *instance;
}

template <typename Change>
void change(Change&& what) {
  std::lock_guard lock(control().mutex);
  what(control());
  control().changed.notify_all();
}

template <typename Condition>
bool wait_for(Condition&& condition) {
  std::unique_lock lock(control().mutex);
  return control().changed.wait_for(lock, 10s, [&] { return condition(control()); });
}

struct Job {
  ImageView image;
  DepthView depth;
  DepthOut out;
  bool done = false, cancelled = false;  // under control().mutex
  std::optional<ErrorCode> failure;
};

unsigned read_step(const uint8_t* at, bool big_endian) {
  return big_endian ? at[0] << 8 | at[1] : at[1] << 8 | at[0];
}

void write_step(const DepthOut& out, int x, int y, unsigned step) {
  uint8_t* at = out.data + out.stride_bytes * y + 2 * x;
  at[out.big_endian ? 0 : 1] = static_cast<uint8_t>(step >> 8);
  at[out.big_endian ? 1 : 0] = static_cast<uint8_t>(step);
}

int bytes_per_pixel(rgbd::PixelFormat format) {
  switch (format) {
    case rgbd::PixelFormat::kRgb:
    case rgbd::PixelFormat::kBgr:
      return 3;
    case rgbd::PixelFormat::kNv12:
    case rgbd::PixelFormat::kI420:
      return 1;
    case rgbd::PixelFormat::kYuy2:
      return 2;
    default:
      return 4;
  }
}

thread_local volatile uint8_t sink;  // written, so that reads stay

/// Every byte of every row, as a network would: a sanitizer sees what lies outside the frame's memory.
void read_all(const ImageView& image) {
  const int across = (image.width + 1) / 2, down = (image.height + 1) / 2;
  struct {
    int row_bytes, rows;
  } planes[3] = {{image.width * bytes_per_pixel(image.format), image.height}, {0, 0}, {0, 0}};
  if (image.format == rgbd::PixelFormat::kYuy2) planes[0].row_bytes = 4 * across;
  if (image.format == rgbd::PixelFormat::kNv12) planes[1] = {2 * across, down};
  if (image.format == rgbd::PixelFormat::kI420) planes[1] = planes[2] = {across, down};
  for (int plane = 0; plane < 3; ++plane) {
    for (int y = 0; y < planes[plane].rows; ++y) {
      const uint8_t* row = image.planes[plane].data + image.planes[plane].stride_bytes * y;
      for (int x = 0; x < planes[plane].row_bytes; ++x) sink = row[x];
    }
  }
}

void run_network(const Job& job, unsigned add) {
  read_all(job.image);
  const DepthOut& out = job.out;
  double ratio = job.depth.metres_per_step / out.metres_per_step;
  for (int y = 0; y < out.height; ++y) {
    for (int x = 0; x < out.width; ++x) {
      const uint8_t* from = job.depth.data + job.depth.stride_bytes * (y * job.depth.height / out.height) +
                            2 * (x * job.depth.width / out.width);
      unsigned step = read_step(from, job.depth.big_endian);
      if (step) step = static_cast<unsigned>(std::min(std::round(step * ratio) + add, 65535.0));
      write_step(out, x, y, step);
    }
  }
  const rgbd::Plane& plane = job.image.planes[0];
  int row = job.image.width * bytes_per_pixel(job.image.format);
  if (out.width < 3) return;
  write_step(out, 1, 0, plane.data[0]);
  write_step(out, 2, 0, plane.data[plane.stride_bytes * (job.image.height - 1) + row - 1]);
}

/// One model's queue and thread.
class Engine {
 public:
  explicit Engine(std::map<std::string, std::string> settings) : settings_(std::move(settings)) {
    add_ = static_cast<unsigned>(number("add"));
    delay_ = std::chrono::milliseconds(number("delay"));
    thread_ = std::thread([this] { run(); });
  }
  ~Engine() { drain(); }
  /// Ends the thread once the queue is empty, and waits for that.
  void drain() {
    change([&](Control&) { stopping_ = true; });
    if (thread_.joinable()) thread_.join();
  }
  void submit(std::shared_ptr<Job> job) {
    change([&](Control& c) {
      job->failure = std::exchange(c.failure, {});
      c.image = job->image;
      c.image.owner.reset();
      c.depth = job->depth;
      c.depth.owner.reset();
      queue_.push_back(std::move(job));
    });
  }

 private:
  long number(const char* name) const {
    auto found = settings_.find(name);
    return found == settings_.end() ? 0 : std::strtol(found->second.c_str(), nullptr, 10);
  }

  void run() {
    Control& c = control();
    std::unique_lock lock(c.mutex);
    while (true) {
      c.changed.wait(lock, [&] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) return;
      std::shared_ptr<Job> job = std::move(queue_.front());
      queue_.pop_front();
      ++c.busy;
      c.changed.notify_all();
      c.changed.wait(lock, [&] { return !c.held || c.let_go > 0 || (job->cancelled && !c.stubborn); });
      if (c.held && c.let_go > 0) --c.let_go;
      lock.unlock();
      std::this_thread::sleep_for(delay_);  // stands for work
      if (!job->failure) run_network(*job, add_);
      lock.lock();
      --c.busy;
      ++c.pairs;
      job->done = true;
      c.changed.notify_all();
      lock.unlock();
      job.reset();
      lock.lock();
    }
  }

  std::map<std::string, std::string> settings_;
  unsigned add_ = 0;
  std::chrono::milliseconds delay_{};
  std::deque<std::shared_ptr<Job>> queue_;
  bool stopping_ = false;
  std::thread thread_;
};

class Pending : public rgbd::Pending {
 public:
  explicit Pending(std::shared_ptr<Job> job) : job_(std::move(job)) {}
  ~Pending() override { cancel(); }
  std::optional<rgbd::Result> wait() override {
    std::unique_lock lock(control().mutex);
    ++control().waiting;
    control().changed.notify_all();
    control().changed.wait(lock, [&] { return job_->done || job_->cancelled; });
    --control().waiting;
    if (job_->cancelled) return {};
    if (job_->failure) throw Error(*job_->failure, "the stand-in was told to fail");
    rgbd::Result result;
    result.inference_ms = 1;
    result.host_to_device_copies = 2;
    result.host_to_device_bytes = 100;
    return result;
  }
  void cancel() noexcept override {
    change([&](Control& c) {
      if (job_->done || job_->cancelled) return;
      job_->cancelled = true;
      ++c.cancelled;
    });
  }

 private:
  std::shared_ptr<Job> job_;
};

class Refiner : public rgbd::Refiner {
 public:
  Refiner(const rgbd::Options& options, const std::map<std::string, std::string>& settings)
      : engine_(settings) {
    info_.architecture = "fake";
    info_.model = options.model;
    info_.device = options.device == "auto" ? "cpu" : options.device;
    if (auto device = settings.find("device"); device != settings.end()) info_.device = device->second;
    info_.precision = options.precision;
    info_.runtime = "no torch";
    if (auto warm = settings.find("warm"); warm != settings.end())
      warm_up_time_ = std::chrono::milliseconds(std::atoi(warm->second.c_str()));
    if (auto warn = settings.find("warn"); warn != settings.end()) info_.warnings.push_back(warn->second);
    change([](Control& c) { ++c.models; });
  }
  ~Refiner() override {
    engine_.drain();
    change([](Control& c) { --c.models; });
  }
  const rgbd::Info& info() const noexcept override { return info_; }
  void retire() noexcept override {}
  std::unique_ptr<rgbd::Pending> submit(const ImageView& image, const DepthView& depth,
                                        const DepthOut& out) override {
    auto job = std::make_shared<Job>();
    job->image = image;
    job->depth = depth;
    job->out = out;
    engine_.submit(job);
    return std::make_unique<Pending>(job);
  }
  void warm_up(int, int) override {
    {
      Control& c = control();
      std::unique_lock lock(c.mutex);
      ++c.busy;
      c.changed.notify_all();
      c.changed.wait(lock, [&] { return !c.held || c.stubborn; });
      --c.busy;
    }
    std::this_thread::sleep_for(warm_up_time_);  // stands for work
    std::optional<ErrorCode> failure;
    change([&](Control& c) {
      ++c.warm_ups;
      failure = std::exchange(c.failure, {});
    });
    if (failure) throw Error(*failure, "the stand-in was told to fail");
  }

 private:
  rgbd::Info info_;
  std::chrono::milliseconds warm_up_time_{};
  Engine engine_;
};

std::map<std::string, std::string> parse(const std::string& model) {
  std::string name = model.empty() ? "fake:" : model;
  if (name.rfind("fake:", 0) != 0) throw Error(ErrorCode::kNotFound, "there is no model file " + name);
  if (name == "fake:bad") throw Error(ErrorCode::kBadCheckpoint, name + " is no checkpoint");
  std::map<std::string, std::string> settings;
  std::stringstream parts(name.substr(5));
  for (std::string part; std::getline(parts, part, ',');) {
    auto equals = part.find('=');
    settings[part.substr(0, equals)] = equals == std::string::npos ? "" : part.substr(equals + 1);
  }
  return settings;
}

class Runtime : public rgbd::Runtime {
 public:
  const char* version() const noexcept override { return "fake"; }
  void set_log_sink(rgbd::LogSink sink) override { sink(rgbd::LogLevel::kInfo, "the stand-in was opened"); }
  std::shared_ptr<rgbd::Refiner> open(const rgbd::Options& options) override {
    {
      Control& c = control();
      std::unique_lock lock(c.mutex);
      c.options = options;
      ++c.loading;
      c.changed.notify_all();
      c.changed.wait(lock, [&] { return !c.loads_held; });
      --c.loading;
    }
    if (options.device != "auto" && options.device != "cpu")
      throw Error(ErrorCode::kDevice, "there is no device " + options.device + "; use cpu");
    return std::make_shared<Refiner>(options, parse(options.model));
  }
  std::unique_ptr<rgbd::TemporalFilter> temporal_filter() override { return rgbd::make_temporal_filter(); }
};

}  // namespace

bool reset() {
  change([](Control& c) { c.held = c.stubborn = c.loads_held = false; });
  bool gone = wait_for([](Control& c) { return c.models == 0 && c.loading == 0; });
  change([](Control& c) {
    c.pairs = c.cancelled = c.warm_ups = 0;
    c.failure.reset();
  });
  return gone;
}
void hold() {
  change([](Control& c) {
    c.held = true;
    c.stubborn = false;
  });
}
void hold_stubbornly() {
  change([](Control& c) { c.held = c.stubborn = true; });
}
void release() {
  change([](Control& c) {
    c.held = false;
    c.let_go = 0;
  });
}
void release_one() {
  change([](Control& c) { ++c.let_go; });
}
bool wait_until_busy() {
  return wait_for([](Control& c) { return c.busy > 0; });
}
bool wait_until_waited_for() {
  return wait_for([](Control& c) { return c.busy > 0 && c.waiting > 0; });
}
bool wait_until_cancelled() {
  return wait_for([](Control& c) { return c.cancelled > 0; });
}
void hold_loads() {
  change([](Control& c) { c.loads_held = true; });
}
void release_loads() {
  change([](Control& c) { c.loads_held = false; });
}
bool wait_until_loading() {
  return wait_for([](Control& c) { return c.loading > 0; });
}
void fail_next(ErrorCode code) {
  change([&](Control& c) { c.failure = code; });
}
void fail_none() {
  change([](Control& c) { c.failure.reset(); });
}
uint64_t pairs_run() {
  std::lock_guard lock(control().mutex);
  return control().pairs;
}
uint64_t warm_ups() {
  std::lock_guard lock(control().mutex);
  return control().warm_ups;
}
int models_open() {
  std::lock_guard lock(control().mutex);
  return control().models;
}
bool wait_until_models_open(int count) {
  return wait_for([&](Control& c) { return c.models == count; });
}
rgbd::Options last_options() {
  std::lock_guard lock(control().mutex);
  return control().options;
}
rgbd::ImageView last_image() {
  std::lock_guard lock(control().mutex);
  return control().image;
}
rgbd::DepthView last_depth() {
  std::lock_guard lock(control().mutex);
  return control().depth;
}

}  // namespace fake_rgbd

extern "C" rgbd::Runtime* rgbd_runtime(int abi_version) noexcept {
  static auto* runtime = new fake_rgbd::Runtime;
  return abi_version == rgbd::kAbiVersion ? runtime : nullptr;
}
