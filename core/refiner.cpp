// SPDX-License-Identifier: Apache-2.0
// rgbd.h's abstract types over the engine, and the library's entry.
#include <mutex>
#include <utility>

#include "core/engine.h"
#include "core/errors.h"
#include "core/log.h"
#include "core/rgbd.h"
#include "core/temporal.h"

namespace rgbd {
namespace {

class EngineRefiner : public Refiner {
 public:
  explicit EngineRefiner(std::shared_ptr<Engine> engine) : engine_(std::move(engine)) {}
  ~EngineRefiner() override { drain(engine_, this); }

  const Info& info() const noexcept override { return rgbd::info(*engine()); }

  std::unique_ptr<Pending> submit(const ImageView& image, const DepthView& depth,
                                  const DepthOut& out) override {
    return guarded("submitting a pair", [&] { return rgbd::submit(engine(), this, image, depth, out); });
  }

  void warm_up(int width, int height) override {
    guarded("warming up", [&] { rgbd::warm_up(engine(), this, width, height); });
  }

  void retire() noexcept override {
    std::shared_ptr<Engine> handle;  // goes after the lock
    std::lock_guard lock(mutex_);
    handle = std::exchange(engine_, retired(engine_));
  }

 private:
  std::shared_ptr<Engine> engine() const {
    std::lock_guard lock(mutex_);
    return engine_;
  }

  mutable std::mutex mutex_;
  std::shared_ptr<Engine> engine_;
};

class LibraryRuntime : public Runtime {
 public:
  const char* version() const noexcept override { return RGBD_VERSION; }
  void set_log_sink(LogSink sink) override { rgbd::set_log_sink(std::move(sink)); }
  std::shared_ptr<Refiner> open(const Options& options) override {
    return guarded("opening a model", [&] { return std::make_shared<EngineRefiner>(open_engine(options)); });
  }
  std::unique_ptr<TemporalFilter> temporal_filter() override {
    return guarded("making a temporal filter", [] { return make_temporal_filter(); });
  }
};

}  // namespace
}  // namespace rgbd

rgbd::Runtime* rgbd_runtime(int abi_version) noexcept {
  if (abi_version != rgbd::kAbiVersion) return nullptr;
  // Never destroyed: programs use it until they end, and then the order of destructors is anyone's guess.
  static rgbd::Runtime* const runtime = new (std::nothrow) rgbd::LibraryRuntime;
  return runtime;
}
