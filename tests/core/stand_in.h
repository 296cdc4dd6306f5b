// SPDX-License-Identifier: Apache-2.0
// A network for engine tests that does what the test says, and frames small enough to make by hand.
#pragma once

#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

#include <cmath>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <vector>

#include "core/engine.h"

namespace rgbd::test {

// Callers are told apart by address only.
inline const char kCallers[5] = {};
inline const void* const kA = &kCallers[0];
inline const void* const kB = &kCallers[1];
inline const void* const kC = &kCallers[2];
inline const void* const kD = &kCallers[3];
inline const void* const kE = &kCallers[4];

inline constexpr uint64_t kHour = 3'600'000'000'000;

/// Which pair each batch row is: its depth in steps of 0.1 m.
inline std::vector<int> pairs_in(const at::Tensor& x) {
  std::vector<int> ids;
  for (int64_t i = 0; i < x.size(0); ++i)
    ids.push_back(static_cast<int>(std::lround(10 / x[i][3].max().item<float>())));
  return ids;
}
inline uint16_t steps_of(int id) {
  return static_cast<uint16_t>(id * 100);
}

/// Code, and text if asked for, of the Error that `body` throws.
inline ErrorCode code_of(const std::function<void()>& body, std::string* text = nullptr) {
  try {
    body();
  } catch (const Error& error) {
    if (text) *text = error.what();
    return error.code();
  }
  ADD_FAILURE() << "nothing was thrown";
  return ErrorCode::kInternal;
}

/// Stops whoever calls pass() until open(); tells when somebody got there.
class Gate {
 public:
  void pass() {
    std::unique_lock lock(mutex_);
    ++arrived_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return open_; });
  }
  void open() {
    std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void wait_for_arrival(int count = 1) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return arrived_ >= count; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
  int arrived_ = 0;
};

using Forward = std::function<at::Tensor(const at::Tensor& x)>;

/// Input spec: short side 28, multiples of 14, colour as 0..1, blue first.
class StandIn : public Network {
 public:
  explicit StandIn(Forward forward) : forward_(std::move(forward)) {
    spec_.short_side = 28;
    spec_.mean = {0, 0, 0};
    spec_.std = {1, 1, 1};
  }
  const InputSpec& input() const override { return spec_; }
  std::string architecture() const override { return "stand-in"; }
  std::string encoder() const override { return ""; }
  uint64_t parameters() const override { return 0; }
  at::Tensor forward(const at::Tensor& x) override { return forward_(x); }

 private:
  InputSpec spec_;
  Forward forward_;
};

inline NetworkLoader loads(Forward forward) {
  return [forward = std::move(forward)](const NetworkOptions&) { return std::make_unique<StandIn>(forward); };
}

/// The answer of most stand-ins: what came in.
inline at::Tensor same_depth(const at::Tensor& x) {
  return x.select(1, 3).clone();
}

/// One pair and room for its answer. Colour is `colour` everywhere, depth `steps` everywhere.
struct Pair {
  explicit Pair(uint16_t steps, int width = 28, int height = 28, std::vector<uint8_t> colour = {10, 20, 30})
      : rgb(3 * static_cast<size_t>(width) * height),
        raw(static_cast<size_t>(width) * height, steps),
        refined(raw.size(), kUntouched) {
    for (size_t i = 0; i < rgb.size(); ++i) rgb[i] = colour[i % 3];
    image.width = depth.width = out.width = width;
    image.height = depth.height = out.height = height;
    image.planes[0] = {rgb.data(), 3 * width};
    depth.data = reinterpret_cast<const uint8_t*>(raw.data());
    out.data = reinterpret_cast<uint8_t*>(refined.data());
    depth.stride_bytes = out.stride_bytes = 2 * width;
  }
  Pair(const Pair&) = delete;

  std::unique_ptr<Pending> submit(const std::shared_ptr<Engine>& engine, const void* caller) {
    return rgbd::submit(engine, caller, image, depth, out);
  }
  bool all(uint16_t steps) const {
    for (uint16_t value : refined) {
      if (value != steps) return false;
    }
    return true;
  }

  static constexpr uint16_t kUntouched = 0xABCD;
  std::vector<uint8_t> rgb;
  std::vector<uint16_t> raw, refined;
  ImageView image;
  DepthView depth;
  DepthOut out;
};

}  // namespace rgbd::test
