// SPDX-License-Identifier: Apache-2.0
// Convolutions on tensor cores. The layers are small (14 GFLOP in 34 of them at 640x480), so what counts is
// that one launch does everything and that its few blocks are short: products are taken straight from the
// block's input pixels in shared memory (row addresses do the im2col), weights come packed as the tensor
// cores want them, and where there are few pixels a block's warps share the sum over the inputs.
#include <type_traits>

#include "core/cuda/light/device.cuh"

namespace rgbd::cuda::light_kernels {
namespace {

constexpr int kWarps = 4, kThreads = 32 * kWarps;
constexpr int kColumns = 16;  // of output pixels in a block: the rows of one product
constexpr int kMostShared = 48 << 10;
constexpr int kManyPixels = 8192;  // from which on blocks are large

template <int kValue>
using Constant = std::integral_constant<int, kValue>;

/// How a block is laid out: `rows` x 16 output pixels of 8 `tiles` channels; `split` warps share a sum, the
/// others share the rows.
struct Layout {
  int rows, tiles, split;
};

/// Elements from one input pixel to the next in shared memory: an odd number of 16 bytes, so that eight
/// pixels side by side lie in different banks.
__host__ __device__ inline int pixel_stride(int inputs) {
  return inputs / 8 % 2 ? inputs : inputs + 8;
}
__host__ __device__ inline int input_side(int outputs, const Convolution& c) {
  return (outputs - 1) * c.stride + c.kernel;
}

/// Entries of the table of places: one for each 8 inputs of a sum, and as many as keep 16 bytes aligned.
__host__ __device__ inline int table_size(const Convolution& c) {
  return (c.depth() / 8 + 3) / 4 * 4;
}

size_t shared_bytes(const Convolution& c, const Layout& layout) {
  const size_t pixels = input_side(layout.rows, c) * input_side(kColumns, c);
  const size_t inputs = 2 * pixels * pixel_stride(c.inputs);
  const size_t sums = sizeof(float) * layout.split * layout.rows * kColumns * (8 * layout.tiles + 4);
  return (inputs > sums ? inputs : sums) + sizeof(int) * table_size(c);
}

template <class T, int kRows, int kTiles, int kSplit>
__global__ void __launch_bounds__(kThreads)
    convolve_kernel(const T* x, const uint2* weight, const float* bias, const T* other, T* y, Convolution c,
                    bool relu) {
  constexpr int kWarpRows = kRows * kSplit / kWarps;  // products of a warp, one above the other
  constexpr int kAhead = kSplit > 1 ? 4 : 2;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int out_height = c.out_height(), out_width = c.out_width();
  const int tiles_across = (out_width + kColumns - 1) / kColumns;
  const int row0 = blockIdx.x / tiles_across * kRows, column0 = blockIdx.x % tiles_across * kColumns;
  const int tile0 = blockIdx.y * kTiles;
  const int side = input_side(kColumns, c), stride = pixel_stride(c.inputs), groups = c.inputs / 8;
  const int steps = c.depth() / 16;

  // Where each 8 inputs of the sum lie, from the first input pixel of an output pixel on.
  int* const places = reinterpret_cast<int*>(dynamic_shared());
  T* const inputs = reinterpret_cast<T*>(places + table_size(c));
  for (int i = threadIdx.x; i < 2 * steps; i += kThreads) {
    const int tap = i / groups;  // beyond the last one weights are 0
    places[i] =
        tap < c.kernel * c.kernel ? (tap / c.kernel * side + tap % c.kernel) * stride + i % groups * 8 : 0;
  }
  x += int64_t{blockIdx.z} * c.height * c.width * c.inputs;
  const int first_row = row0 * c.stride - c.kernel / 2, first_column = column0 * c.stride - c.kernel / 2;
  const int copies = input_side(kRows, c) * side * groups;
  for (int i = threadIdx.x; i < copies; i += kThreads) {
    const int pixel = i / groups, channel = i % groups * 8;
    const int row = first_row + pixel / side, column = first_column + pixel % side;
    const bool inside = row >= 0 && row < c.height && column >= 0 && column < c.width;
    copy_16(inputs + pixel * stride + channel,
            x + (inside ? (int64_t{row} * c.width + column) * c.inputs + channel : 0), inside);
  }

  // Weights are on their way some steps ahead: a warp has little else to do while it waits for them.
  const int part = warp % kSplit, warp_row = warp / kSplit * kWarpRows;
  const uint2* const weights = weight + int64_t{tile0} * steps * 32 + lane;
  uint2 b[kAhead][kTiles];
  auto fetch = [&](int step, uint2(&to)[kTiles]) {
    if (step >= steps) return;
#pragma unroll
    for (int tile = 0; tile < kTiles; ++tile) to[tile] = weights[(tile * steps + step) * 32];
  };
#pragma unroll
  for (int i = 0; i < kAhead; ++i) fetch(part + i * kSplit, b[i]);
  copies_done();
  __syncthreads();

  const T* const from = inputs + (warp_row * side + lane % 16) * c.stride * stride;
  float sums[kWarpRows][kTiles][4] = {};
  for (int first = part; first < steps; first += kAhead * kSplit) {
#pragma unroll
    for (int i = 0; i < kAhead; ++i) {
      const int step = first + i * kSplit;
      if (step >= steps) break;
      const T* const at = from + places[2 * step + lane / 16];
#pragma unroll
      for (int row = 0; row < kWarpRows; ++row) {
        uint32_t a[4];
        load_a(at + row * side * c.stride * stride, a);
#pragma unroll
        for (int tile = 0; tile < kTiles; ++tile) multiply_add<T>(a, b[i][tile], sums[row][tile]);
      }
      fetch(step + kAhead * kSplit, b[i]);
    }
  }

  // The sums of all warps meet where the inputs were.
  constexpr int kChannels = 8 * kTiles, kPitch = kChannels + 4, kPixels = kRows * kColumns;
  float* const meeting = reinterpret_cast<float*>(inputs);
  __syncthreads();
#pragma unroll
  for (int row = 0; row < kWarpRows; ++row) {
#pragma unroll
    for (int tile = 0; tile < kTiles; ++tile) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int pixel = (warp_row + row) * kColumns + lane / 4 + 8 * (i / 2);
        meeting[(part * kPixels + pixel) * kPitch + 8 * tile + 2 * (lane % 4) + i % 2] = sums[row][tile][i];
      }
    }
  }
  __syncthreads();
  for (int i = threadIdx.x; i < kPixels * kTiles; i += kThreads) {
    const int pixel = i / kTiles, channel = i % kTiles * 8;
    const int row = row0 + pixel / kColumns, column = column0 + pixel % kColumns;
    if (row >= out_height || column >= out_width) continue;
    const int64_t to =
        ((int64_t{blockIdx.z} * out_height + row) * out_width + column) * c.outputs + 8 * tile0 + channel;
    float values[8], others[8];
    load(bias + 8 * tile0 + channel, values);
    if (other) {
      load(other + to, others);
#pragma unroll
      for (int k = 0; k < 8; ++k) values[k] += others[k];
    }
#pragma unroll
    for (int p = 0; p < kSplit; ++p) {
      const float* const sum = meeting + (p * kPixels + pixel) * kPitch + channel;
#pragma unroll
      for (int k = 0; k < 8; ++k) values[k] += sum[k];
    }
    if (relu) {
#pragma unroll
      for (int k = 0; k < 8; ++k) values[k] = fmaxf(values[k], 0.0f);
    }
    store(values, y + to);
  }
}

/// Most channels a block, of the numbers there are kernels for, that leave none idle.
int tiles_of(int outputs) {
  for (const int tiles : {6, 5, 4, 3, 2})
    if (outputs / 8 % tiles == 0) return tiles;
  return 1;
}

constexpr int kLargeRows = 8, kSmallRows = 2;

/// Large blocks share out the rows, small ones the sum.
Layout layout_of(const Convolution& c) {
  const int tiles = tiles_of(c.outputs);
  const Layout large{kLargeRows, tiles, 1}, small{kSmallRows, tiles, kWarps};
  const bool many = int64_t{c.batch} * c.out_height() * c.out_width() >= kManyPixels;
  return many && shared_bytes(c, large) <= kMostShared ? large : small;
}

}  // namespace

bool convolve_fits(const Convolution& c) {
  return shared_bytes(c, {kSmallRows, tiles_of(c.outputs), kWarps}) <= kMostShared;
}

void convolve(const void* x, const void* weight, const float* bias, const void* other, void* y,
              const Convolution& c, bool relu, NumberType type, cudaStream_t stream) {
  const Layout layout = layout_of(c);
  const dim3 blocks(blocks_for(c.out_height(), layout.rows) * blocks_for(c.out_width(), kColumns),
                    c.outputs / 8 / layout.tiles, c.batch);
  auto run = [&](auto zero, auto tiles) {
    using T = decltype(zero);
    constexpr int kTiles = decltype(tiles)::value;
    const auto kernel = layout.split == 1 ? convolve_kernel<T, kLargeRows, kTiles, 1>
                                          : convolve_kernel<T, kSmallRows, kTiles, kWarps>;
    launch(kernel, blocks, kThreads, shared_bytes(c, layout), stream, static_cast<const T*>(x),
           static_cast<const uint2*>(weight), bias, static_cast<const T*>(other), static_cast<T*>(y), c,
           relu);
  };
  auto run_type = [&](auto zero) {
    switch (layout.tiles) {
      case 6:
        return run(zero, Constant<6>{});
      case 5:
        return run(zero, Constant<5>{});
      case 4:
        return run(zero, Constant<4>{});
      case 3:
        return run(zero, Constant<3>{});
      case 2:
        return run(zero, Constant<2>{});
      default:
        return run(zero, Constant<1>{});
    }
  };
  type == NumberType::kFp16 ? run_type(__half{}) : run_type(__nv_bfloat16{});
}

}  // namespace rgbd::cuda::light_kernels
