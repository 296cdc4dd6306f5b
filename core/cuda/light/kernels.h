// SPDX-License-Identifier: Apache-2.0
// The kernels of the light network (core/light/ says what they compute). All pointers are to device memory;
// calls enqueue on `stream` and return. Maps are one float a pixel; activations [B, h, w, channels], a
// multiple of 8 channels, 16-byte aligned, in one element type. Deterministic: no sum depends on the order in
// which blocks run.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

namespace rgbd::cuda::light_kernels {

enum class NumberType { kFp32, kFp16, kBf16 };  // of the convolutions

/// Frames and their padding: rows and columns are height and width up to a multiple of 2^levels at least.
struct Geometry {
  int batch, height, width;
  int rows, columns;
  int levels;  // of the fill's pyramid, at most kMostLevels

  __host__ __device__ int64_t pixels() const { return int64_t{height} * width; }
  __host__ __device__ int64_t cells() const { return int64_t{rows} * columns; }
};
inline constexpr int kMostLevels = 5;  // a block makes 32x32 pixels

// ---- range.cu

/// What a frame's measured depths say, in its own units but for the limits.
struct Range {
  int measured;     // pixels
  float median;     // 1 if none was measured
  float low, high;  // limits of filled pixels, over the median
};
size_t range_scratch_bytes(int batch);
/// x [B, 4, height, width], depth in the last channel. Limits: low_share * 1 %, high_share * 99 %.
void measured_range(const float* x, const Geometry& geometry, float low_share, float high_share,
                    void* scratch, Range* ranges, cudaStream_t stream);

// ---- rays.cu

inline constexpr int kRays = 4;  // where there are any
/// The nearest measured depths to the left, to the right, above and below, the pixel itself included, 0 where
/// there is none: q [B, rows, columns] to rays [B, 4, rows, columns].
void find_rays(const float* q, const Geometry& geometry, float* rays, cudaStream_t stream);

// ---- fill.cu

/// Where level `level` begins in a frame's maps of all levels, level 0 first.
__host__ __device__ inline int64_t level_start(const Geometry& geometry, int level) {
  int64_t start = 0;
  for (int l = 0; l < level; ++l) start += int64_t{geometry.rows >> l} * (geometry.columns >> l);
  return start;
}
/// Depths over the median, padded, and their pyramid: q [B, rows, columns], pyramid [B, cells of the levels 1
/// to levels] of mean depth and share of measured pixels.
void push(const float* x, const Range* ranges, const Geometry& geometry, float* q, float2* pyramid,
          cudaStream_t stream);

/// Levels whose means the stem sees the fill against.
struct Differences {
  int count;
  int levels[8];
};
/// The filled maps and the stem's input: fills [B, cells of the levels 0 to levels], features
/// [B, rows/2, columns/2, channels], four neighbouring pixels side by side in the channels as
/// at::pixel_unshuffle() puts them, then zeros. Null `rays`: none are among the features.
void pull(const float* x, const float* q, const float2* pyramid, const float* rays, const Geometry& geometry,
          const Differences& differences, float* fills, void* features, int channels, NumberType type,
          cudaStream_t stream);

// ---- layers.cu

/// y = relu(y + bias + other) in place over `pixels` pixels; bias float, other may be null; `relu` false:
/// not.
void finish(void* y, const float* bias, const void* other, int64_t pixels, int channels, bool relu,
            NumberType type, cudaStream_t stream);
/// skip = relu(skip + x enlarged by 2); x [B, height, width, channels], skip [B, 2 height, 2 width,
/// channels].
void enlarge_add(const void* x, void* skip, int batch, int height, int width, int channels, NumberType type,
                 cudaStream_t stream);

// ---- convolve.cu

/// A convolution of half types on tensor cores (compute capability 8.0): kernel 1 or 3, as much padding as
/// keeps the size.
struct Convolution {
  int batch, height, width;  // of the input
  int inputs, outputs;       // channels, multiples of 8
  int kernel, stride;

  __host__ __device__ int out_height() const { return (height - 1) / stride + 1; }
  __host__ __device__ int out_width() const { return (width - 1) / stride + 1; }
  /// Rows of the packed weights: kernel * kernel * inputs, up to a multiple of 16.
  __host__ __device__ int depth() const { return (kernel * kernel * inputs + 15) / 16 * 16; }
};
/// Whether one block can hold what it reads; true for any size or for none.
bool convolve_fits(const Convolution& convolution);
/// y = relu(convolution of x + bias + other), or without relu; other may be null. weight
/// [outputs/8, depth/16, 8, 4, 2, 2]: of output 8 i + r, inputs by tap and channel, 16 j + 8 h + 2 q + p at
/// [i, j, r, q, h, p].
void convolve(const void* x, const void* weight, const float* bias, const void* other, void* y,
              const Convolution& convolution, bool relu, NumberType type, cudaStream_t stream);

// ---- choice.cu

struct Choice {
  static constexpr int kMostOffsets = 64, kMostSmooth = 8;
  struct Offset {
    signed char dy, dx;
  };
  int raw, coarse, smooth, rays;  // how many of each
  Offset raw_offsets[kMostOffsets], coarse_offsets[kMostOffsets];
  int smooth_levels[kMostSmooth];
  float correction, mode_tolerance;
  float keep_down, keep_up;  // factors of the window's extremes
  int keep_reach;            // half the window
  int raw_reach;             // of the offsets and the window
  int coarse_reach;          // of the offsets
  int enough;                // a frame with fewer measured pixels comes back as it was measured

  __host__ __device__ int candidates() const { return raw + coarse + smooth + rays + 1; }
  /// Logits and log correction of one pixel, with room up to a multiple of 8.
  __host__ __device__ int stride() const { return (candidates() + 8) / 8 * 8; }
};
/// Where a pixel's c-th logit (the log correction: c = candidates()) is among the 4 stride channels of the
/// head; row and column odd or even.
__host__ __device__ inline int head_channel(int stride, int odd_row, int odd_column, int c) {
  return 2 * stride * odd_row + 16 * (c / 8) + 8 * odd_column + c % 8;
}
bool choose_fits(const Choice& choice);
/// head [B, rows/2, columns/2, 4 stride]; coarse [B, rows/4, columns/4, coarse_channels], the first one's
/// log correction of the fill; `rays` are not read where choice.rays is 0. y [B, height, width].
void choose(const float* x, const Range* ranges, const float* q, const float* fills, const float* rays,
            const void* head, const void* coarse, int coarse_channels, const Geometry& geometry,
            const Choice& choice, float* y, NumberType type, cudaStream_t stream);

// ---- hole_vote.cu

/// x [B, 4, height, width] at half the size, odd sides rounded up.
void halve(const float* x, const Geometry& whole, const Geometry& half, float* out, cudaStream_t stream);
/// Changes holes of y [B, height, width] in place. half: what halve() made; coarse: the answer for it;
/// scratch: twice as many floats as y.
void vote(const float* x, const float* half, const float* coarse, const Geometry& geometry,
          const Geometry& half_geometry, int far, float* scratch, float* y, cudaStream_t stream);

// ---- denoise.cu

size_t denoise_scratch_bytes(const Geometry& geometry);
/// Changes y [B, height, width] in place.
void denoise(const float* x, const Geometry& geometry, float strength, void* scratch, float* y,
             cudaStream_t stream);

// ---- edge_snap.cu

/// y [B, height, width] to another. Frames of fewer than `enough` measured pixels stay.
void snap(const float* x, const float* y, const Range* ranges, int enough, const Geometry& geometry,
          int reach, float* out, cudaStream_t stream);

}  // namespace rgbd::cuda::light_kernels
