// SPDX-License-Identifier: Apache-2.0
// The pipeline with rgbdrefine in it: appsrc ! r.rgb, appsrc ! r.depth, r. ! appsink. One for all pairs, so
// that the model is loaded once.
#pragma once

#include <cstdint>
#include <string>

#include "pipelines/refine/frame.h"
#include "pipelines/refine/options.h"
#include "pipelines/refine/owned.h"

namespace rgbd {

/// What the element says of itself once it has its model (its `stats`).
struct ModelFacts {
  std::string architecture;
  std::string encoder;  // empty for the embedded model
  std::string model;    // path
  std::string device;
  std::string precision;  // in use, after every fall-back
};

struct RefinedFrame {
  DepthFrame depth;              // size of the colour frame, steps of the input
  double min_inverse_depth = 0;  // of the network's map, 1/m
  double max_inverse_depth = 0;
};

/// gst_init, and the plugin beside this program (in its build tree or its installation) before any other.
void load_plugins();

/// Throws Failure unless the model has the encoder that was asked for; "auto" takes any.
void require_encoder(const std::string& wanted, const ModelFacts& model);

class RefinePipeline {
 public:
  /// Loads the model. Warnings of the element go to stderr, now and later. Throws Failure.
  explicit RefinePipeline(const RefineOptions& options);

  ModelFacts facts() const;
  /// Blocks until the pair is refined. Throws Failure; the pipeline is of no use after that.
  RefinedFrame refine(const ColorFrame& color, const DepthFrame& depth);

 private:
  void push(GstElement* source, OwnedBuffer buffer, OwnedCaps caps);
  OwnedSample wait_for_frame();

  OwnedPipeline pipeline_;
  OwnedElement refine_, rgb_, depth_, sink_;
  Owned<GstBus> bus_;
  uint64_t frames_ = 0;
};

}  // namespace rgbd
