// SPDX-License-Identifier: Apache-2.0
// Frames in the memory of the first CUDA device, for tests that skip where there is none.
#pragma once

#include <c10/core/Device.h>
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <vector>

#include "core/device.h"
#include "core/rgbd.h"
#include "tests/core/frame_cases.h"

namespace rgbd::test {

inline const at::Device kDevice(at::kCUDA, 0);

inline void ok(cudaError_t error) {
  if (error != cudaSuccess) throw std::runtime_error(cudaGetErrorString(error));
}

/// Skips without a device.
class OnGpu : public testing::Test {
 protected:
  void SetUp() override {
    const Machine machine = this_machine();
    if (machine.cuda_devices == 0) GTEST_SKIP() << machine.why_no_cuda;
    if (!cuda_module()) GTEST_SKIP() << "no CUDA module";
  }
};

/// A copy in device memory, which lies as the original.
class OnDevice {
 public:
  OnDevice(const void* from, size_t bytes) : bytes_(bytes) {
    ok(cudaMalloc(&data_, bytes));
    ok(cudaMemcpy(data_, from, bytes, cudaMemcpyHostToDevice));
  }
  explicit OnDevice(const std::vector<uint8_t>& bytes) : OnDevice(bytes.data(), bytes.size()) {}
  ~OnDevice() { cudaFree(data_); }
  OnDevice(const OnDevice&) = delete;

  uint8_t* data() const { return static_cast<uint8_t*>(data_); }
  std::vector<uint8_t> bytes() const {
    std::vector<uint8_t> bytes(bytes_);
    ok(cudaMemcpy(bytes.data(), data_, bytes_, cudaMemcpyDeviceToHost));
    return bytes;
  }

 private:
  void* data_ = nullptr;
  size_t bytes_;
};

/// A colour frame's planes in device memory, and the view of them.
struct DeviceColour {
  explicit DeviceColour(const ColourFrame& frame) : view(frame.view) {
    for (int p = 0; p < 3 && !frame.bytes[p].empty(); ++p) {
      planes[p] = std::make_unique<OnDevice>(frame.bytes[p]);
      view.planes[p].data = planes[p]->data() + (frame.view.planes[p].data - frame.bytes[p].data());
    }
    view.memory = Memory::kCuda;
  }
  std::unique_ptr<OnDevice> planes[3];
  ImageView view;
};

/// A stream that other streams do not wait for.
class Stream {
 public:
  Stream() { ok(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking)); }
  ~Stream() { cudaStreamDestroy(stream_); }
  Stream(const Stream&) = delete;
  operator cudaStream_t() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

}  // namespace rgbd::test
