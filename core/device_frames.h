// SPDX-License-Identifier: Apache-2.0
// frames.h on a device that works beside the CPU: what is called here is queued, and the device runs it
// later. The CUDA module implements it (cuda/frames.cpp); device.h makes one.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/frames.h"
#include "core/network.h"
#include "core/rgbd.h"

namespace rgbd {

/// A place in a caller's CUDA stream; empty = no place to wait for. May be let go on any thread.
using StreamMark = std::shared_ptr<void>;

/// One worker's. Made on its thread, where it makes a stream of its own the current one until it is
/// destroyed, there too: all torch work in between is queued on that stream. Everything throws Error{kDevice}
/// when the device has failed, and Error{kOutOfMemory}.
///
/// A batch is a preprocess() per pair, the network, a postprocess() per pair, wait_until_read(), wait(), a
/// write() per pair. `slot` says which pair of the batch is meant, from 0: a slot's memory is kept and used
/// again by the next batch. After an error, wait() before frames are let go.
class DeviceFrames {
 public:
  virtual ~DeviceFrames() = default;

  /// Any thread, before the pair is queued: where the view's stream is now. Throws Error{kInvalidArgument} on
  /// memory that is not this device's.
  virtual StreamMark admit(const ImageView& image) const = 0;
  virtual StreamMark admit(const DepthOut& out) const = 0;

  /// One pair as network input, as rgbd::preprocess() makes it and to the same bits: [4, h, w] float32 on the
  /// device, there once the current stream has got that far. Frames in host memory have been read when it
  /// returns; a colour frame in device memory is read in place, after `ready`.
  virtual at::Tensor preprocess(size_t slot, const ImageView& image, const StreamMark& ready,
                                const DepthView& depth, Size size, const InputSpec& spec) = 0;

  /// The network's map y [h, w] float32 on the device to 16-bit steps, as rgbd::postprocess() and to the same
  /// bits. Does not touch out.data yet.
  virtual void postprocess(size_t slot, const at::Tensor& y, const DepthOut& out,
                           const std::vector<uint8_t>& left_open) = 0;

  /// Blocks until the frames of all preprocess() have been read, and may go.
  virtual void wait_until_read() = 0;

  /// Blocks until the device has done all that was queued.
  virtual void wait() = 0;

  /// Blocks until the caller's stream has got there; due before the next two where the output is in device
  /// memory.
  virtual void wait_for(const StreamMark& mark) = 0;

  /// After wait(): writes what postprocess() made to out.data; it is there when this returns. Adds the
  /// device's times and the pair's copies to `result`.
  virtual InverseRange write(size_t slot, const DepthOut& out, Result& result) = 0;

  /// Writes no depth everywhere, in device memory.
  virtual void clear(const DepthOut& out) = 0;
};

}  // namespace rgbd
