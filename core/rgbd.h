// SPDX-License-Identifier: Apache-2.0
// The public header of librgbd: paired colour and depth frames in, clean metric depth out.
//
// Two ways in: link librgbd and call rgbd::open(), or dlopen() it and call rgbd_runtime() (what the
// GStreamer plugin does, so that it loads where torch is missing). No torch type appears here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#define RGBD_API __attribute__((visibility("default")))

namespace rgbd {

/// Changes with every incompatible change of this header; rgbd_runtime() compares it.
inline constexpr int kAbiVersion = 5;

enum class ErrorCode {
  kNotFound,         // a file that is not there
  kBadCheckpoint,    // a file that is no checkpoint of a known network
  kUnsupported,      // a combination this build or machine cannot do
  kDevice,           // the device is missing, lost or wrong
  kOutOfMemory,      // host or device memory
  kInvalidArgument,  // a view or an option that contradicts itself
  kInternal,         // anything else; a bug
};

/// The only exception that leaves librgbd. what() says what happened, with which value, what to do; UTF-8.
class RGBD_API Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& text) : std::runtime_error(text), code_(code) {}
  ErrorCode code() const noexcept { return code_; }

 private:
  ErrorCode code_;
};

enum class LogLevel { kError, kWarning, kInfo, kDebug, kTrace };
/// Called from any thread, must not block or throw.
using LogSink = std::function<void(LogLevel, const std::string&)>;

enum class Precision { kFp32, kFp16, kBf16 };
enum class ChannelOrder { kAuto, kRgb, kBgr };

/// Shortest side of a colour frame and of the network's input, pixels: one patch. Anything smaller is refused.
inline constexpr int kSmallestSide = 14;
/// The longer side of a colour frame by the shorter: the network's input keeps it, and what attention costs grows with
/// the square of its pixels.
inline constexpr int kMostAspect = 32;

struct Options {
  std::string model;            // checkpoint path; empty = the embedded model
  std::string device = "auto";  // auto | cpu | cuda | cuda:N | mps
  Precision precision = Precision::kFp32;
  bool optimize = true;         // false: the plain operations, for debugging
  unsigned input_size = 0;      // network's short side in pixels; 0 = the model's own
  ChannelOrder channel_order = ChannelOrder::kAuto;
  std::string instance_id;      // same id and same file = one loaded model, whose other options above must be
                                // equal; empty = not shared
  unsigned batch_size = 1;        // most pairs in one forward pass; of a shared model the largest that is asked for…
  // … and so for the longest wait of a pair for its batch to fill. It waits for no more pairs than there are
  // handles on the model without one in the queue.
  uint64_t batch_timeout_ns = 0;
};

/// Byte orders are those of memory: kBgrx = blue first, one byte of padding last.
enum class PixelFormat { kRgb, kBgr, kRgbx, kBgrx, kXrgb, kXbgr, kRgba, kBgra, kArgb, kAbgr, kNv12, kI420, kYuy2 };
enum class ColorMatrix { kBt601, kBt709, kBt2020 };
/// kCuda: of the device that the model runs on; of another device, or where the model runs on none, submit() throws
/// Error{kInvalidArgument}.
enum class Memory { kHost, kCuda };

struct Plane {
  const uint8_t* data = nullptr;
  ptrdiff_t stride_bytes = 0;
};

/// A colour frame, borrowed. `owner` keeps the pixels alive until the engine is done with them, which
/// may be after Pending::wait() returned for a cancelled pair; its deleter may run on any thread.
struct ImageView {
  PixelFormat format = PixelFormat::kRgb;
  int width = 0;
  int height = 0;
  Plane planes[3];
  ColorMatrix matrix = ColorMatrix::kBt601;  // YUV formats only
  bool full_range = false;                   // YUV formats only
  Memory memory = Memory::kHost;
  // kCuda: a cudaStream_t of the device's primary context, null = its default stream. The pixels are ready once it has
  // done what is in it at submit(); it need not outlive that call.
  void* cuda_stream = nullptr;
  std::shared_ptr<const void> owner;
};

/// A 16-bit depth frame in host memory, borrowed; any size, aligned with the colour frame. 0 = no depth.
struct DepthView {
  const uint8_t* data = nullptr;
  ptrdiff_t stride_bytes = 0;
  int width = 0;
  int height = 0;
  bool big_endian = false;
  double metres_per_step = 0.001;
  double min_depth_m = 0.0;   // outside [min, max] = no depth
  double max_depth_m = 25.0;
  // The largest hole that is filled, as a share of the frame's pixels; a larger one stays 0 in the output. 1 =
  // all are filled, 0 = none. A hole is a region without depth whose pixels touch at their sides.
  // Why .3: the largest hole in a dozen frames of real cameras (Azure Kinect, Kinect v1, Xtion, D435, D405, …)
  // is .22 of the frame, a corner that an Azure Kinect's depth does not cover, in simulated ones .11, and the
  // models are judged by how well they fill those. Beyond are surfaces out of the sensor's reach, or none, as
  // in the sky: nothing measured tells how far they are.
  double max_hole = 0.3;
  std::shared_ptr<const void> owner;
};

/// Where refined depth goes: 16-bit steps, 0 = no depth, out of range saturates. `owner` as in ImageView.
struct DepthOut {
  uint8_t* data = nullptr;
  ptrdiff_t stride_bytes = 0;
  int width = 0;
  int height = 0;
  bool big_endian = false;
  double metres_per_step = 0.001;
  Memory memory = Memory::kHost;
  // kCuda: nothing is written before this stream (as ImageView's) has done what is in it at submit(). When wait()
  // returns, the pixels are there for any stream. `data` and `stride_bytes` are even.
  void* cuda_stream = nullptr;
  std::shared_ptr<void> owner;
};

/// What became of one pair. On CUDA the three times after the first are by the device's clock, plus what the CPU did
/// before and after: together they are how long the pair took.
struct Result {
  double queue_ms = 0;        // submit() to start
  double preprocess_ms = 0;   // CUDA: with the wait for ImageView::cuda_stream
  double inference_ms = 0;
  double postprocess_ms = 0;
  unsigned batch = 1;         // pairs in its forward pass
  double min_inverse_depth = 0;  // of the network's map at output size, 1/m
  double max_inverse_depth = 0;
  // Between host and device, of this pair's frames. With colour in CUDA memory only the depth goes up, and where a hole
  // is left open the mask that says where; with the output in CUDA memory only the range above comes down (8 bytes per
  // row of the output; with the output in host memory it comes along).
  unsigned host_to_device_copies = 0, device_to_host_copies = 0;
  uint64_t host_to_device_bytes = 0, device_to_host_bytes = 0;
};

/// One submitted pair. Destroying it cancels it.
class Pending {
 public:
  virtual ~Pending() = default;
  /// Blocks until the pair is done; nothing = it was cancelled. Throws Error. Call once, from one thread.
  virtual std::optional<Result> wait() = 0;
  /// Any thread, any time: wait() returns at once. The output's content is undefined from then on.
  virtual void cancel() noexcept = 0;
};

/// What was loaded, after every fall-back. Texts are UTF-8; bytes of a path that are not are U+FFFD here.
struct Info {
  std::string architecture;  // "cdm" or "light"
  std::string encoder;       // vits | vitb | vitl | vitg; empty for "light"
  std::string model;         // path of the file
  std::string device;        // cpu | cuda:N | mps
  Precision precision = Precision::kFp32;
  bool optimize = true;
  unsigned input_size = 0;
  uint64_t parameters = 0;
  std::string runtime;       // "torch 2.11.0"
  std::vector<std::string> warnings;  // fall-backs, in the words to show the user
};

/// One camera's handle on a loaded model. Every method may be called from any thread.
class Refiner {
 public:
  virtual ~Refiner() = default;  // waits for the pair in the engine, if any
  virtual const Info& info() const noexcept = 0;
  /// Queues a pair. Throws Error{kInvalidArgument} on views that contradict themselves.
  virtual std::unique_ptr<Pending> submit(const ImageView& image, const DepthView& depth, const DepthOut& out) = 0;
  /// Runs the network once for frames of this size, so that the first real frame is not slower. Blocks.
  virtual void warm_up(int width, int height) = 0;
  /// Says that no pair will be submitted any more, ahead of a destruction that has to wait for the engine: from
  /// now on no batch waits for this handle, and once all handles of a shared model have retired, open() takes
  /// other options under its instance_id. Does not block.
  virtual void retire() noexcept = 0;
};

/// Steadies the refined depth of one stream over time: noise is averaged, what moves is not. One thread at a time.
class TemporalFilter {
 public:
  virtual ~TemporalFilter() = default;
  /// Takes the stream's next frame, in host memory, and changes it in place. `weight`, 0 to 1: how much of the
  /// past goes into a pixel that does not move; 0 leaves the frame as it is and forgets the past. A frame of
  /// another size or unit than the last has no past. Close to 1 it keeps the first frame's noise for long. Throws
  /// Error{kInvalidArgument, kOutOfMemory}, and then nothing has changed.
  virtual void apply(const DepthOut& frame, double weight) = 0;
  /// Forgets the past: the next frame stays as it is.
  virtual void reset() noexcept = 0;
};

/// The library, once per process.
class Runtime {
 public:
  virtual ~Runtime() = default;
  virtual const char* version() const noexcept = 0;
  virtual void set_log_sink(LogSink sink) = 0;
  /// Loads a model, or shares one already loaded (Options::instance_id). Blocks; throws Error.
  virtual std::shared_ptr<Refiner> open(const Options& options) = 0;
  /// For one stream. Takes no memory before the first frame.
  virtual std::unique_ptr<TemporalFilter> temporal_filter() = 0;
};

}  // namespace rgbd

/// The library's entry, for dlsym(). Null when `abi_version` is not the library's own. Never throws.
extern "C" RGBD_API rgbd::Runtime* rgbd_runtime(int abi_version) noexcept;

namespace rgbd {
/// For programs that link librgbd.
inline std::shared_ptr<Refiner> open(const Options& options) {
  Runtime* runtime = rgbd_runtime(kAbiVersion);
  if (!runtime) throw Error(ErrorCode::kUnsupported, "librgbd does not match the rgbd.h this program was built with");
  return runtime->open(options);
}
}  // namespace rgbd
