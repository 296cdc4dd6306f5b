// SPDX-License-Identifier: Apache-2.0
// Everything is queued on one stream, so what it leaves in device memory may be overwritten by what is queued
// next. Pinned memory is written by the CPU, and a slot's only after the batch before was waited for.
#include "core/cuda/frames.h"

#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <limits>
#include <mutex>
#include <set>

#include "core/color.h"
#include "core/cuda/frames_kernels.h"
#include "core/cuda/frames_tables.h"
#include "core/cuda/log.h"
#include "core/cuda/runtime.h"
#include "core/measured.h"

namespace rgbd::cuda {
namespace {

/// Rows of pixels with something between them.
struct Rows {
  ptrdiff_t stride;
  size_t row_bytes;  // of pixels
  int count;
  size_t bytes() const { return row_bytes * static_cast<size_t>(count); }
};

Rows rows_of(const ImageView& image, int plane) {
  return {image.planes[plane].stride_bytes, static_cast<size_t>(row_bytes(image.format, plane, image.width)),
          plane_rows(image.format, plane, image.height)};
}
Rows rows_of(const DepthView& depth) {
  return {depth.stride_bytes, 2 * static_cast<size_t>(depth.width), depth.height};
}
Rows rows_of(const DepthOut& out) {
  return {out.stride_bytes, 2 * static_cast<size_t>(out.width), out.height};
}

/// The pixels alone.
void pack(const Rows& rows, const uint8_t* from, uint8_t* to) {
  if (rows.stride == static_cast<ptrdiff_t>(rows.row_bytes)) {
    std::memcpy(to, from, rows.bytes());
    return;
  }
  for (int y = 0; y < rows.count; ++y) {
    std::memcpy(to, from, rows.row_bytes);
    from += rows.stride;
    to += rows.row_bytes;
  }
}

/// And back.
void unpack(const Rows& rows, const uint8_t* from, uint8_t* to) {
  if (rows.stride == static_cast<ptrdiff_t>(rows.row_bytes)) {
    std::memcpy(to, from, rows.bytes());
    return;
  }
  for (int y = 0; y < rows.count; ++y) {
    std::memcpy(to, from, rows.row_bytes);
    from += rows.row_bytes;
    to += rows.stride;
  }
}

struct Copies {
  unsigned count = 0;
  uint64_t bytes = 0;
};

/// What one pair of a batch needs.
struct Slot {
  Pinned pinned_frames, pinned_mask, pinned_out;
  at::Tensor frames, mask, out;  // bytes on the device
  at::Tensor map;                // the network's, until it is written
  bool has_mask = false;
  Event started, prepared, inferred, finished;
  Copies up, down;
};

/// A stream of torch's pool that no other worker has: torch hands the same 32 out in turn, and what is queued
/// on a stream while another worker captures it would go into that one's graph. Where all are taken, one of
/// them.
class OwnStream {
 public:
  explicit OwnStream(c10::DeviceIndex device) {
    constexpr int kPool = 32;
    std::lock_guard lock(mutex());
    for (int i = 0; i < kPool; ++i) {
      stream_ = c10::cuda::getStreamFromPool(/*isHighPriority=*/false, device);
      if (taken().count(stream_) == 0) break;
    }
    if (taken().count(stream_) != 0)
      log(LogLevel::kWarning,
          "more models on one GPU than CUDA streams: two share one, and may fail to be captured");
    taken().insert(stream_);
  }
  ~OwnStream() {
    std::lock_guard lock(mutex());
    taken().erase(taken().find(stream_));
  }
  OwnStream(const OwnStream&) = delete;
  OwnStream& operator=(const OwnStream&) = delete;

  c10::cuda::CUDAStream get() const { return stream_; }

 private:
  static std::mutex& mutex() {
    static auto& mutex = *new std::mutex;
    return mutex;
  }
  static std::multiset<cudaStream_t>& taken() {
    static auto& taken = *new std::multiset<cudaStream_t>;
    return taken;
  }

  c10::cuda::CUDAStream stream_ = c10::cuda::getDefaultCUDAStream();
};

class CudaFrames final : public DeviceFrames {
 public:
  explicit CudaFrames(at::Device device)
      : device_(device),
        own_(device.index()),
        guard_(own_.get()),
        stream_(own_.get().stream()),
        tables_(device) {}

  ~CudaFrames() override { (void)cudaStreamSynchronize(stream_); }  // then pinned memory may go

  StreamMark admit(const ImageView& image) const override {
    const c10::cuda::CUDAGuard here(device_);
    for (int plane = 0; plane < 3 && rows_of(image, plane).row_bytes != 0; ++plane)
      require_ours("the colour frame", image.planes[plane].data);
    return mark("the colour frame", image.cuda_stream);
  }

  StreamMark admit(const DepthOut& out) const override {
    const c10::cuda::CUDAGuard here(device_);
    require_ours("the output frame", out.data);
    return mark("the output frame", out.cuda_stream);
  }

  at::Tensor preprocess(size_t slot_number, const ImageView& image, const StreamMark& ready,
                        const DepthView& depth, Size size, const InputSpec& spec) override {
    Slot& slot = slot_at(slot_number);
    slot.up = {};
    slot.started.record(stream_);
    ImageView colour = image;  // where the device reads it
    const uint8_t* const depth_data = upload(slot, colour, depth);
    at::Tensor x = at::empty({4, size.height, size.width}, at::TensorOptions(at::kFloat).device(device_));

    Preprocess work{};
    work.colour = colour_source(colour, spec.bgr);
    tables_.tidy();
    work.columns = tables_.opencv_cubic(image.width, size.width);
    work.rows = tables_.opencv_cubic(image.height, size.height);
    std::copy(spec.mean.begin(), spec.mean.end(), work.mean);
    std::copy(spec.std.begin(), spec.std.end(), work.std);
    work.depth = depth_data;
    work.depth_stride = static_cast<ptrdiff_t>(rows_of(depth).row_bytes);
    work.depth_columns = tables_.opencv_nearest(depth.width, size.width);
    work.depth_rows = tables_.opencv_nearest(depth.height, size.height);
    work.big_endian = depth.big_endian;
    const RawRange valid = valid_range(depth);
    work.first_valid = valid.first;
    work.last_valid = valid.last;
    work.metres_per_step = depth.metres_per_step;
    work.width = size.width;
    work.height = size.height;
    work.x = x.mutable_data_ptr<float>();
    if (ready)
      check(cudaStreamWaitEvent(stream_, static_cast<cudaEvent_t>(ready.get()), 0), "waiting for a stream");
    check(launch(work, stream_), "preparing a frame");
    slot.prepared.record(stream_);
    last_prepared_ = &slot.prepared;
    return x;
  }

  void postprocess(size_t slot_number, const at::Tensor& y, const DepthOut& out,
                   const std::vector<uint8_t>& left_open) override {
    Slot& slot = slot_at(slot_number);
    slot.inferred.record(stream_);
    slot.map = y.contiguous();
    slot.has_mask = !left_open.empty();
    if (slot.has_mask) {
      uint8_t* const host = slot.pinned_mask.get(left_open.size());
      std::memcpy(host, left_open.data(), left_open.size());
      copy(on_device(slot.mask, left_open.size()), host, left_open.size(), slot.up);
    }
    if (out.memory == Memory::kHost) {  // else write() does it, which may
      const size_t ranges = ranges_bytes(out), bytes = ranges + rows_of(out).bytes();
      uint8_t* const data = on_device(slot.out, bytes);
      DepthOut here = out;
      here.data = data + ranges;
      here.stride_bytes = static_cast<ptrdiff_t>(rows_of(out).row_bytes);
      finish(slot, here, data, bytes);
    }
    slot.finished.record(stream_);
  }

  void wait_until_read() override {
    if (last_prepared_) last_prepared_->wait();
  }

  void wait() override { check(cudaStreamSynchronize(stream_), "working"); }

  void wait_for(const StreamMark& mark) override {
    if (mark) check(cudaEventSynchronize(static_cast<cudaEvent_t>(mark.get())), "waiting for a stream");
  }

  InverseRange write(size_t slot_number, const DepthOut& out, Result& result) override {
    Slot& slot = slot_at(slot_number);
    if (out.memory == Memory::kCuda) {
      finish(slot, out, on_device(slot.out, ranges_bytes(out)), ranges_bytes(out));
      wait();
    } else {
      unpack(rows_of(out), slot.pinned_out.data() + ranges_bytes(out), out.data);
    }
    slot.map.reset();
    result.preprocess_ms += slot.prepared.ms_since(slot.started);
    result.inference_ms += slot.inferred.ms_since(*last_prepared_);
    result.postprocess_ms += slot.finished.ms_since(slot.inferred);
    result.host_to_device_copies = slot.up.count;
    result.host_to_device_bytes = slot.up.bytes;
    result.device_to_host_copies = slot.down.count;
    result.device_to_host_bytes = slot.down.bytes;
    return range_of(reinterpret_cast<const Range*>(slot.pinned_out.data()), out.height);
  }

  void clear(const DepthOut& out) override {
    const Rows rows = rows_of(out);
    uint8_t* const first = rows.stride < 0 ? out.data + (rows.count - 1) * rows.stride : out.data;
    const size_t pitch = std::max(static_cast<size_t>(std::abs(rows.stride)), rows.row_bytes);
    check(cudaMemset2DAsync(first, pitch, 0, rows.row_bytes, static_cast<size_t>(rows.count), stream_),
          "clearing the output frame");
    wait();
  }

 private:
  Slot& slot_at(size_t number) {
    while (slots_.size() <= number) slots_.emplace_back();
    return slots_[number];
  }

  void require_ours(const char* what, const void* data) const {
    cudaPointerAttributes memory{};
    check(cudaPointerGetAttributes(&memory, data), "looking at a pointer");
    if (memory.type == cudaMemoryTypeManaged) return;
    if (memory.type != cudaMemoryTypeDevice)
      throw Error(ErrorCode::kInvalidArgument,
                  std::string(what) + " is said to be in CUDA memory, but is not");
    if (memory.device != device_.index()) {
      throw Error(ErrorCode::kInvalidArgument,
                  std::string(what) + " is in the memory of cuda:" + std::to_string(memory.device) +
                      ", and the model runs on " + device_.str() + ": copy it there");
    }
  }

  StreamMark mark(const char* what, void* stream) const {
    cudaEvent_t event = nullptr;
    check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "making an event");
    StreamMark mark(event, [](cudaEvent_t made) { (void)cudaEventDestroy(made); });
    const cudaError_t error = cudaEventRecord(event, static_cast<cudaStream_t>(stream));
    if (error == cudaErrorInvalidResourceHandle) {
      (void)cudaGetLastError();
      throw Error(ErrorCode::kInvalidArgument, "the stream of " + std::string(what) +
                                                   " is none of the primary context of " + device_.str());
    }
    check(error, "marking a stream");
    return mark;
  }

  // At least so many bytes.
  uint8_t* on_device(at::Tensor& memory, size_t bytes) const {
    if (!memory.defined() || memory.nbytes() < bytes)
      memory = at::empty({static_cast<int64_t>(bytes)}, at::TensorOptions(at::kByte).device(device_));
    return memory.mutable_data_ptr<uint8_t>();
  }

  // Either way; the host's side is pinned.
  void copy(uint8_t* to, const uint8_t* from, size_t bytes, Copies& copies) const {
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream_), "copying a frame");
    ++copies.count;
    copies.bytes += bytes;
  }

  // Queues copies of what is in host memory. The depth's pixels, without padding, are where it returns;
  // `colour` then says where the device reads the colour.
  const uint8_t* upload(Slot& slot, ImageView& colour, const DepthView& depth) {
    const bool in_host = colour.memory == Memory::kHost;
    size_t colour_bytes = 0;
    for (int plane = 0; plane < 3 && in_host; ++plane) colour_bytes += rows_of(colour, plane).bytes();
    const size_t bytes = colour_bytes + rows_of(depth).bytes();
    uint8_t* const host = slot.pinned_frames.get(bytes);
    uint8_t* const device = on_device(slot.frames, bytes);
    if (in_host) {
      size_t at = 0;
      for (int plane = 0; plane < 3; ++plane) {
        const Rows rows = rows_of(colour, plane);
        if (rows.row_bytes == 0) break;
        pack(rows, colour.planes[plane].data, host + at);
        colour.planes[plane] = {device + at, static_cast<ptrdiff_t>(rows.row_bytes)};
        at += rows.bytes();
      }
      copy(device, host, colour_bytes, slot.up);
    }
    pack(rows_of(depth), depth.data, host + colour_bytes);
    copy(device + colour_bytes, host + colour_bytes, bytes - colour_bytes, slot.up);
    return device + colour_bytes;
  }

  static size_t ranges_bytes(const DepthOut& out) { return sizeof(Range) * static_cast<size_t>(out.height); }

  // Queues the slot's map to `out` on the device, and the copy to pinned memory of the first `bytes` at
  // `ranges`, where the rows' ranges come first.
  void finish(Slot& slot, const DepthOut& out, uint8_t* ranges, size_t bytes) {
    const int height = static_cast<int>(slot.map.size(0)), width = static_cast<int>(slot.map.size(1));
    tables_.tidy();
    Postprocess work{};
    work.map = slot.map.const_data_ptr<float>();
    work.map_width = width;
    work.left_open = slot.has_mask ? slot.mask.const_data_ptr<uint8_t>() : nullptr;
    work.columns = tables_.torch_nearest(width, out.width);
    work.rows = tables_.torch_nearest(height, out.height);
    work.metres_per_step = out.metres_per_step;
    work.big_endian = out.big_endian;
    work.out = out.data;
    work.out_stride = out.stride_bytes;
    work.width = out.width;
    work.height = out.height;
    work.ranges = reinterpret_cast<Range*>(ranges);
    check(launch(work, stream_), "writing a frame");
    slot.down = {};
    copy(slot.pinned_out.get(bytes), ranges, bytes, slot.down);
  }

  static InverseRange range_of(const Range* ranges, int count) {
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    Range all{kInfinity, -kInfinity};
    for (int i = 0; i < count; ++i) {
      all.min = std::min(all.min, ranges[i].min);
      all.max = std::max(all.max, ranges[i].max);
    }
    return {all.min, all.max};
  }

  const at::Device device_;
  const OwnStream own_;
  const c10::cuda::CUDAStreamGuard guard_;
  const cudaStream_t stream_;
  Tables tables_;
  std::deque<Slot> slots_;
  const Event* last_prepared_ = nullptr;
};

}  // namespace

std::unique_ptr<DeviceFrames> make_frames(at::Device device) {
  return std::make_unique<CudaFrames>(device);
}

}  // namespace rgbd::cuda
