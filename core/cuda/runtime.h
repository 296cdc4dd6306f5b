// SPDX-License-Identifier: Apache-2.0
// What frames.cpp takes of the CUDA runtime, cleaning up after itself and throwing the core's errors.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "core/rgbd.h"

namespace rgbd::cuda {

/// Throws Error{kOutOfMemory} or Error{kDevice}: "CUDA failed DOING: …".
inline void check(cudaError_t error, const char* doing) {
  if (error == cudaSuccess) return;
  (void)cudaGetLastError();  // else the next call of somebody else reports it
  throw Error(error == cudaErrorMemoryAllocation ? ErrorCode::kOutOfMemory : ErrorCode::kDevice,
              std::string("CUDA failed ") + doing + ": " + cudaGetErrorString(error));
}

/// A place in a stream, and the time when the device gets there.
class Event {
 public:
  Event() { check(cudaEventCreate(&event_), "making an event"); }
  ~Event() { (void)cudaEventDestroy(event_); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  void record(cudaStream_t stream) { check(cudaEventRecord(event_, stream), "marking a stream"); }
  /// Blocks until the device has got there; at once where it was never recorded.
  void wait() const { check(cudaEventSynchronize(event_), "working"); }
  /// Both were recorded, and waited for.
  double ms_since(const Event& start) const {
    float ms = 0;
    check(cudaEventElapsedTime(&ms, start.event_, event_), "measuring time");
    return ms;
  }

 private:
  cudaEvent_t event_ = nullptr;
};

/// Host memory that the device copies from and to by itself. Grows, never shrinks.
class Pinned {
 public:
  Pinned() = default;
  ~Pinned() { (void)cudaFreeHost(data_); }
  Pinned(const Pinned&) = delete;
  Pinned& operator=(const Pinned&) = delete;

  /// At least so many bytes; what was in there is gone. No copy may be under way.
  uint8_t* get(size_t bytes) {
    if (bytes > size_) {
      (void)cudaFreeHost(data_);
      data_ = nullptr;
      size_ = 0;
      void* data = nullptr;
      check(cudaHostAlloc(&data, bytes, cudaHostAllocDefault), "allocating pinned memory");
      data_ = static_cast<uint8_t*>(data);
      size_ = bytes;
    }
    return data_;
  }
  const uint8_t* data() const { return data_; }

 private:
  uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace rgbd::cuda
