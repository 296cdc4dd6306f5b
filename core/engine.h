// SPDX-License-Identifier: Apache-2.0
// A loaded model and the one thread that runs it. Refiners (one per camera) queue pairs here.
//
// One thread does all torch work: cuDNN's plan caches, OpenMP teams, streams and InferenceMode belong to a
// thread, and GStreamer's streaming threads come and go.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "core/device_frames.h"
#include "core/network.h"
#include "core/rgbd.h"

namespace rgbd {

class Engine;

/// Makes the network, on the worker thread under InferenceMode. Tests put a stand-in here.
using NetworkLoader = std::function<std::unique_ptr<Network>(const NetworkOptions&)>;
/// What makes the frames on a device, before the network; null = the CPU. The same of both.
using FramesMaker = std::function<std::unique_ptr<DeviceFrames>(at::Device)>;

/// Loads, or finds one loaded with the same instance_id from the same file. Blocks; throws Error: what
/// loading throws, and kInvalidArgument when the other options of the one that is loaded are not equal.
/// A model whose handles have all been retired() is not in the way of other options, nor is one that was lost
/// with its device (all that is submitted to it gets that Error).
/// batch_size and batch_timeout_ns may differ: the largest hold of what the handles that are left asked for;
/// each call returns a handle of its own on the engine. Without `loader`, the checkpoint `options.model`
/// names; without `frames`, device_frames().
std::shared_ptr<Engine> open_engine(const Options& options, NetworkLoader loader = {},
                                    FramesMaker frames = {});

/// The engine of a handle without the handle: for an opener that will submit nothing more but has yet to
/// drain(). Once the handle itself is gone, the opener counts neither for batches nor for sharing.
std::shared_ptr<Engine> retired(const std::shared_ptr<Engine>& handle);

const Info& info(const Engine& engine);

/// Ordered per caller; several callers are served in turn. Throws Error{kInvalidArgument} on views that
/// contradict themselves or are in the memory of another device, and when kMostWaiting pairs of this caller
/// wait already.
std::unique_ptr<Pending> submit(const std::shared_ptr<Engine>& engine, const void* caller,
                                const ImageView& image, const DepthView& depth, const DepthOut& out);
inline constexpr size_t kMostWaiting = 64;

/// Runs the network once at the size a `width` x `height` frame gets. Blocks.
void warm_up(const std::shared_ptr<Engine>& engine, const void* caller, int width, int height);

/// Blocks until the engine holds nothing of this caller. On the engine's own thread (a frame's owner can be
/// let go there, and a camera with it) it does not wait.
void drain(const std::shared_ptr<Engine>& engine, const void* caller) noexcept;

}  // namespace rgbd
