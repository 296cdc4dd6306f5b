// SPDX-License-Identifier: Apache-2.0
// See engine.h. The thread itself is in worker.cpp, the order of the pairs in queue.cpp.
#include "core/engine.h"

#include <sys/stat.h>
#include <torch/version.h>

#include <algorithm>
#include <map>
#include <thread>

#include "core/errors.h"
#include "core/in_torch.h"
#include "core/log.h"
#include "core/paths.h"
#include "core/utf8.h"
#include "core/worker.h"

namespace rgbd {
namespace {

const char* name(Precision precision) {
  switch (precision) {
    case Precision::kFp16:
      return "fp16";
    case Precision::kBf16:
      return "bf16";
    default:
      return "fp32";
  }
}

const char* name(ChannelOrder order) {
  switch (order) {
    case ChannelOrder::kRgb:
      return "rgb";
    case ChannelOrder::kBgr:
      return "bgr";
    default:
      return "auto";
  }
}

InputSpec input_spec(const Network& network, const Options& options) {
  InputSpec spec = network.input();
  if (options.channel_order != ChannelOrder::kAuto) spec.bgr = options.channel_order == ChannelOrder::kBgr;
  return spec;
}

Info make_info(const Network& network, const Options& options, const DeviceChoice& choice) {
  Info info;
  info.architecture = network.architecture();
  info.encoder = network.encoder();
  info.model = valid_utf8(options.model);
  info.device = choice.device.str();
  if (choice.device.is_mps()) info.device = "mps";
  info.precision = choice.precision;
  info.optimize = options.optimize;
  info.input_size =
      options.input_size != 0 ? options.input_size : static_cast<unsigned>(network.input().short_side);
  info.parameters = network.parameters();
  info.runtime = std::string("torch ") + TORCH_VERSION;
  info.warnings = choice.warnings;
  return info;
}

std::string summary(const Info& info) {
  return "loaded " + info.model + ": " + info.architecture +
         (info.encoder.empty() ? "" : " " + info.encoder) + ", " + std::to_string(info.parameters) +
         " parameters, on " + info.device + " in " + name(info.precision) +
         (info.optimize ? "" : ", not optimised") + ", input size " + std::to_string(info.input_size) + ", " +
         info.runtime;
}

}  // namespace

class Engine : public std::enable_shared_from_this<Engine> {
 public:
  // `options.model` is a path by now.
  Engine(const Options& options, const DeviceChoice& choice, NetworkLoader loader, FramesMaker frames)
      : options_(options), state_(std::make_shared<WorkerState>()) {
    WorkerSetup setup;
    setup.network = {choice.device, choice.precision, options.optimize};
    setup.frames = [device = choice.device, frames = std::move(frames)] {
      return frames ? frames(device) : device_frames(device);
    };
    setup.load = [path = options.model, network = setup.network, loader = std::move(loader)] {
      if (network.device.is_mps()) self_test(network.device);
      return loader ? loader(network) : load_network(Checkpoint::open(path), network);
    };
    setup.loaded = [state = state_.get(), options, choice](const Network& network) {
      state->spec = input_spec(network, options);
      state->info = make_info(network, options, choice);
    };
    std::promise<void> ready;
    auto loaded = ready.get_future();
    thread_ = std::thread(run_worker, state_, std::move(setup), std::move(ready));
    try {
      loaded.get();
    } catch (...) {
      thread_.join();
      throw;
    }
    log(LogLevel::kInfo, summary(state_->info));
  }

  ~Engine() {
    {
      std::lock_guard lock(state_->mutex);
      state_->stopping = true;
    }
    state_->wake.notify_all();
    // The last handle can go with a frame's owner, on the worker itself, which then ends on its own: it
    // shares the state and touches nothing of this object.
    if (on_worker()) {
      thread_.detach();
    } else {
      thread_.join();
    }
  }

  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  void add(const BatchWish& wish) {
    change_wishes([&](std::vector<BatchWish>& wishes) { wishes.push_back(wish); });
  }
  void remove(const BatchWish& wish) {
    change_wishes(
        [&](std::vector<BatchWish>& wishes) { wishes.erase(std::find(wishes.begin(), wishes.end(), wish)); });
  }

  bool has_users() const {
    std::lock_guard lock(state_->mutex);
    return !state_->wishes.empty();
  }

  bool lost() const {
    std::lock_guard lock(state_->mutex);
    return state_->lost;
  }

  bool on_worker() const { return std::this_thread::get_id() == thread_.get_id(); }
  const Options& options() const { return options_; }
  const std::shared_ptr<WorkerState>& state() const { return state_; }

 private:
  template <typename Change>
  void change_wishes(Change&& change) {
    {
      std::lock_guard lock(state_->mutex);
      change(state_->wishes);
      state_->batch = {};
      for (const BatchWish& wish : state_->wishes) {
        state_->batch.size = std::max(state_->batch.size, wish.size);
        state_->batch.timeout = std::max(state_->batch.timeout, wish.timeout);
      }
    }
    state_->wake.notify_all();  // what waits for its batch may have waited long enough
  }

  const Options options_;
  const std::shared_ptr<WorkerState> state_;
  std::thread thread_;
};

namespace {

class PendingPair : public Pending {
 public:
  PendingPair(std::shared_ptr<WorkerState> state, JobPtr job)
      : state_(std::move(state)), job_(std::move(job)) {}
  ~PendingPair() override { PendingPair::cancel(); }

  std::optional<Result> wait() override {
    std::unique_lock lock(job_->mutex);
    job_->changed.wait(lock, [&] { return job_->phase != Job::Phase::kWaiting; });
    if (job_->error) std::rethrow_exception(job_->error);
    if (job_->phase == Job::Phase::kCancelled) return std::nullopt;
    return job_->result;
  }

  void cancel() noexcept override { rgbd::cancel(*state_, job_); }

 private:
  const std::shared_ptr<WorkerState> state_;
  const JobPtr job_;
};

std::unique_ptr<Pending> enqueue(const std::shared_ptr<Engine>& engine, JobPtr job) {
  const auto& state = engine->state();
  job->submitted = Clock::now();
  auto pending = std::make_unique<PendingPair>(state, job);
  {
    throw_if_ending();
    std::lock_guard lock(state->mutex);
    if (state->queue.waiting(job->caller) >= kMostWaiting) {
      throw Error(ErrorCode::kInvalidArgument,
                  std::to_string(kMostWaiting) + " pairs are waiting already: wait() for some of them first");
    }
    state->queue.push(std::move(job));
  }
  state->wake.notify_all();
  return pending;
}

// One opener's hold on an engine: what it asked of batches goes with it.
class Lease {
 public:
  Lease(std::shared_ptr<Engine> engine, const Options& options)
      : engine_(std::move(engine)),
        wish_{options.batch_size,
              std::chrono::nanoseconds(std::min<uint64_t>(options.batch_timeout_ns, 3'600'000'000'000))} {
    engine_->add(wish_);
  }
  ~Lease() { engine_->remove(wish_); }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

  Engine* engine() const { return engine_.get(); }

 private:
  const std::shared_ptr<Engine> engine_;
  const BatchWish wish_;
};

std::shared_ptr<Engine> lease(std::shared_ptr<Engine> engine, const Options& options) {
  auto lease = std::make_shared<Lease>(std::move(engine), options);
  return {lease, lease->engine()};
}

// Loaded models that can be shared, by instance and file.
class Instances {
 public:
  struct Entry {
    std::mutex loading;            // held while it loads, so that a second opener waits
    std::weak_ptr<Engine> engine;  // under the mutex of all
  };

  std::shared_ptr<Entry> entry(const std::string& key) {
    std::lock_guard lock(mutex_);
    std::erase_if(entries_, [](const auto& entry) {
      return entry.second.use_count() == 1 && entry.second->engine.expired();
    });
    auto& entry = entries_[key];
    if (!entry) entry = std::make_shared<Entry>();
    return entry;
  }
  std::shared_ptr<Engine> engine(const Entry& entry) {
    std::lock_guard lock(mutex_);
    return entry.engine.lock();
  }
  void set(Entry& entry, const std::shared_ptr<Engine>& engine) {
    std::lock_guard lock(mutex_);
    entry.engine = engine;
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Entry>> entries_;
};

Instances& instances() {
  static auto& instances = *new Instances;  // never destroyed: an engine may outlive main()
  return instances;
}

// One file has one key whatever its path, and another one once it has been written anew: who asks for it then
// wants what is in it now.
std::string key_of(const Options& options) {
  std::string key = options.instance_id + '\0';
  struct stat file {};
  if (stat(options.model.c_str(), &file) != 0) return key + options.model;
  for (auto part : {static_cast<uint64_t>(file.st_dev), static_cast<uint64_t>(file.st_ino),
                    static_cast<uint64_t>(file.st_size), static_cast<uint64_t>(file.st_mtim.tv_sec),
                    static_cast<uint64_t>(file.st_mtim.tv_nsec)}) {
    key += std::to_string(part) + ' ';
  }
  return key;
}

// What of the two must be equal and is not; empty = they can share a model.
std::string differences_of(const Options& loaded, const Options& asked) {
  std::string differences;
  auto compare = [&](const char* what, const std::string& a, const std::string& b) {
    if (a != b)
      differences += (differences.empty() ? "" : ", ") + std::string(what) + " " + b + " (not " + a + ")";
  };
  compare("device", loaded.device, asked.device);
  compare("precision", name(loaded.precision), name(asked.precision));
  compare("optimize", loaded.optimize ? "true" : "false", asked.optimize ? "true" : "false");
  compare("input size", std::to_string(loaded.input_size), std::to_string(asked.input_size));
  compare("channel order", name(loaded.channel_order), name(asked.channel_order));
  return differences;
}

}  // namespace

std::shared_ptr<Engine> open_engine(const Options& asked, NetworkLoader loader, FramesMaker frames) {
  return guarded("loading the model", [&] {
    if (asked.input_size != 0 && asked.input_size < kSmallestSide) {
      throw Error(ErrorCode::kInvalidArgument, "an input size of " + std::to_string(asked.input_size) +
                                                   " is too small: " + std::to_string(kSmallestSide) +
                                                   " pixels are needed");
    }
    if (asked.batch_size == 0) throw Error(ErrorCode::kInvalidArgument, "a batch size of 0 runs nothing");
    Options options = asked;
    if (options.model.empty() && !loader) options.model = embedded_model();
    const DeviceChoice choice = [&] {
      const InTorch in_torch;
      load_cuda_module();  // before anything of torch runs
      return choose_device(options.device, options.precision);
    }();
    auto load = [&] {
      return std::make_shared<Engine>(options, choice, std::move(loader), std::move(frames));
    };
    if (options.instance_id.empty()) return lease(load(), options);

    const auto entry = instances().entry(key_of(options));
    std::lock_guard loading(entry->loading);
    auto engine = instances().engine(*entry);
    if (engine && engine->lost()) engine.reset();  // its users' to let go of
    const std::string differences = engine ? differences_of(engine->options(), options) : "";
    if (!differences.empty()) {
      if (engine->has_users()) {
        throw Error(ErrorCode::kInvalidArgument,
                    "the model instance '" + options.instance_id +
                        "' is loaded with other options; asked for: " + differences +
                        ". Ask for the same, or give it another instance id");
      }
      engine.reset();  // it ends with its last pair, beside the new one
    }
    if (!engine) {
      engine = load();
      instances().set(*entry, engine);
    }
    return lease(std::move(engine), options);
  });
}

std::shared_ptr<Engine> retired(const std::shared_ptr<Engine>& handle) {
  return handle->shared_from_this();
}

const Info& info(const Engine& engine) {
  return engine.state()->info;
}

namespace {

// For a view in CUDA memory.
const DeviceFrames& frames_for(const Engine& engine, const char* what) {
  const WorkerState& state = *engine.state();
  if (state.frames) return *state.frames;
  throw Error(ErrorCode::kInvalidArgument, std::string(what) + " is in CUDA memory, and the model runs on " +
                                               state.info.device + ": copy it to host memory");
}

}  // namespace

std::unique_ptr<Pending> submit(const std::shared_ptr<Engine>& engine, const void* caller,
                                const ImageView& image, const DepthView& depth, const DepthOut& out) {
  check(image);
  check(depth);
  check(out);
  auto job = std::make_shared<Job>();
  job->caller = caller;
  job->image = image;
  job->depth = depth;
  job->out = out;
  if (image.memory == Memory::kCuda) job->image_ready = frames_for(*engine, "the colour frame").admit(image);
  if (out.memory == Memory::kCuda) job->out_ready = frames_for(*engine, "the output frame").admit(out);
  job->size = network_size({image.width, image.height}, engine->state()->spec, engine->options().input_size);
  return enqueue(engine, std::move(job));
}

void warm_up(const std::shared_ptr<Engine>& engine, const void* caller, int width, int height) {
  auto job = std::make_shared<Job>();
  job->caller = caller;
  job->warm_up = true;
  job->size = network_size({width, height}, engine->state()->spec, engine->options().input_size);
  enqueue(engine, std::move(job))->wait();
}

void drain(const std::shared_ptr<Engine>& engine, const void* caller) noexcept {
  if (engine->on_worker()) return;
  WorkerState& state = *engine->state();
  std::unique_lock lock(state.mutex);
  state.idle.wait(lock, [&] { return state.queue.held(caller) == 0; });
}

}  // namespace rgbd
