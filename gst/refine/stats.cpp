// SPDX-License-Identifier: Apache-2.0
// Counters and percentiles, see stats.h.
#include "gst/refine/stats.h"

#include <string>

#include "gst/refine/pairing.h"

namespace rgbd::refine {
namespace {

constexpr const char* kDropNames[] = {"unpaired-rgb", "unpaired-depth", "interval", "late", "qos",
                                      "bad",          "flushed"};
constexpr const char* kStageNames[] = {"queue", "preprocess", "inference", "postprocess", "total"};

const char* name_of(Precision precision) {
  switch (precision) {
    case Precision::kFp16:
      return "fp16";
    case Precision::kBf16:
      return "bf16";
    case Precision::kFp32:
      break;
  }
  return "fp32";
}

}  // namespace

void Stats::reset() {
  std::lock_guard lock(mutex_);
  rgb_in_ = depth_in_ = pairs_in_ = 0;
  out_ = {};
  dropped_ = {};
  skew_sum_ns_ = skew_count_ = skew_max_ns_ = 0;
  ms_ = {};
  batch_sum_ = batch_count_ = batch_max_ = 0;
  min_inverse_depth_ = max_inverse_depth_ = 0;
  host_to_device_copies_ = device_to_host_copies_ = host_to_device_bytes_ = device_to_host_bytes_ = 0;
}

void Stats::frame_in(bool rgb) {
  std::lock_guard lock(mutex_);
  ++(rgb ? rgb_in_ : depth_in_);
}

void Stats::pair_in(int64_t skew_ns) {
  std::lock_guard lock(mutex_);
  ++pairs_in_;
  uint64_t skew = static_cast<uint64_t>(skew_ns < 0 ? -skew_ns : skew_ns);
  skew_sum_ns_ += skew;
  ++skew_count_;
  skew_max_ns_ = std::max(skew_max_ns_, skew);
}

void Stats::frame_out(Made how) {
  std::lock_guard lock(mutex_);
  ++out_[static_cast<size_t>(how)];
}

void Stats::dropped(Drop why) {
  std::lock_guard lock(mutex_);
  ++dropped_[static_cast<size_t>(why)];
}

void Stats::refined(const Result& result, double total_ms) {
  std::lock_guard lock(mutex_);
  ms_[kQueue].add(result.queue_ms);
  ms_[kPreprocess].add(result.preprocess_ms);
  ms_[kInference].add(result.inference_ms);
  ms_[kPostprocess].add(result.postprocess_ms);
  ms_[kTotal].add(total_ms);
  batch_sum_ += result.batch;
  ++batch_count_;
  batch_max_ = std::max<uint64_t>(batch_max_, result.batch);
  min_inverse_depth_ = result.min_inverse_depth;
  max_inverse_depth_ = result.max_inverse_depth;
  host_to_device_copies_ += result.host_to_device_copies;
  device_to_host_copies_ += result.device_to_host_copies;
  host_to_device_bytes_ += result.host_to_device_bytes;
  device_to_host_bytes_ += result.device_to_host_bytes;
}

void Stats::totals(uint64_t& processed, uint64_t& dropped) const {
  std::lock_guard lock(mutex_);
  processed = dropped = 0;
  for (uint64_t count : out_) processed += count;
  for (uint64_t count : dropped_) dropped += count;
  // Depth without colour is no frame of the output.
  dropped -= dropped_[static_cast<size_t>(Drop::kUnpairedDepth)];
}

GstStructure* Stats::structure(const Info* info) const {
  std::lock_guard lock(mutex_);
  auto made = [&](Made how) { return static_cast<guint64>(out_[static_cast<size_t>(how)]); };
  GstStructure* s = gst_structure_new(
      "rgbd-stats", "rgb-in", G_TYPE_UINT64, guint64{rgb_in_}, "depth-in", G_TYPE_UINT64, guint64{depth_in_},
      "pairs-in", G_TYPE_UINT64, guint64{pairs_in_}, "pairs-out", G_TYPE_UINT64,
      made(Made::kRefined) + made(Made::kRaw) + made(Made::kRepeated), "refined", G_TYPE_UINT64,
      made(Made::kRefined), "raw", G_TYPE_UINT64, made(Made::kRaw), "repeated", G_TYPE_UINT64,
      made(Made::kRepeated), "skew-avg", G_TYPE_UINT64, guint64{skew_count_ ? skew_sum_ns_ / skew_count_ : 0},
      "skew-max", G_TYPE_UINT64, guint64{skew_max_ns_}, nullptr);
  for (size_t i = 0; i < dropped_.size(); ++i) {
    gst_structure_set(s, (std::string("dropped-") + kDropNames[i]).c_str(), G_TYPE_UINT64,
                      guint64{dropped_[i]}, nullptr);
  }
  for (size_t i = 0; i < ms_.size(); ++i) {
    std::string stage = kStageNames[i];
    gst_structure_set(s, (stage + "-ms-p50").c_str(), G_TYPE_DOUBLE, ms_[i].percentile(0.5),
                      (stage + "-ms-p95").c_str(), G_TYPE_DOUBLE, ms_[i].percentile(0.95), nullptr);
  }
  double batch_avg = batch_count_ ? static_cast<double>(batch_sum_) / static_cast<double>(batch_count_) : 0;
  gst_structure_set(s, "batch-avg", G_TYPE_DOUBLE, batch_avg, "batch-max", G_TYPE_UINT64, guint64{batch_max_},
                    nullptr);
  gst_structure_set(s, "min-inverse-depth", G_TYPE_DOUBLE, min_inverse_depth_, "max-inverse-depth",
                    G_TYPE_DOUBLE, max_inverse_depth_, "host-to-device-copies", G_TYPE_UINT64,
                    guint64{host_to_device_copies_}, "host-to-device-bytes", G_TYPE_UINT64,
                    guint64{host_to_device_bytes_}, "device-to-host-copies", G_TYPE_UINT64,
                    guint64{device_to_host_copies_}, "device-to-host-bytes", G_TYPE_UINT64,
                    guint64{device_to_host_bytes_}, nullptr);
  if (info) {
    gst_structure_set(s, "device", G_TYPE_STRING, info->device.c_str(), "model", G_TYPE_STRING,
                      info->model.c_str(), "precision", G_TYPE_STRING, name_of(info->precision),
                      "architecture", G_TYPE_STRING, info->architecture.c_str(), "encoder", G_TYPE_STRING,
                      info->encoder.c_str(), nullptr);
  }
  return s;
}

}  // namespace rgbd::refine
