// SPDX-License-Identifier: Apache-2.0
// A loaded model and the one thread that runs it. Refiners (one per camera) queue pairs here.
//
// One thread does all torch work: cuDNN's plan caches, OpenMP teams, streams and InferenceMode belong to a
// thread, and GStreamer's streaming threads come and go.
#pragma once

#include <memory>
#include <string>

#include "core/rgbd.h"

namespace rgbd {

class Engine;

/// Loads, or finds one loaded with the same instance_id and equal options. Blocks; throws Error.
std::shared_ptr<Engine> open_engine(const Options& options);

const Info& info(const Engine& engine);

/// Ordered per caller; several callers are served in turn.
std::unique_ptr<Pending> submit(const std::shared_ptr<Engine>& engine, const void* caller, const ImageView& image,
                                const DepthView& depth, const DepthOut& out);

/// Runs the network once at the size a `width` x `height` frame gets. Blocks.
void warm_up(const std::shared_ptr<Engine>& engine, int width, int height);

}  // namespace rgbd
