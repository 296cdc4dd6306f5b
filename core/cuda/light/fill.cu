// SPDX-License-Identifier: Apache-2.0
// Holes filled from an image pyramid, and the stem's input. A block makes the pixels of one cell of the
// coarsest level: upwards it needs nothing else, downwards one neighbour of each level (linear interpolation
// reaches no farther).
#include "core/cuda/light/device.cuh"

namespace rgbd::cuda::light_kernels {
namespace {

constexpr int kThreads = 256;
constexpr int kMostSide = 1 << kMostLevels;
static_assert(kMostSide * kMostSide == 4 * kThreads, "a thread makes at most one cell of level 1");

__global__ void __launch_bounds__(kThreads)
    push_kernel(const float* x, const Range* ranges, Geometry g, float* q, float2* pyramid) {
  __shared__ float depths[4 * kThreads], shares[4 * kThreads];
  const int side = 1 << g.levels, row0 = blockIdx.y * side, column0 = blockIdx.x * side;
  const float* depth = x + (4 * int64_t{blockIdx.z} + 3) * g.pixels();
  const float median = ranges[blockIdx.z].median;
  q += blockIdx.z * g.cells();
  pyramid += blockIdx.z * (level_start(g, g.levels + 1) - g.cells());
  for (int i = threadIdx.x; i < side * side; i += kThreads) {
    const int row = row0 + (i >> g.levels), column = column0 + i % side;
    const float value = depth[int64_t{clamped(row, g.height)} * g.width + clamped(column, g.width)] / median;
    q[int64_t{row} * g.columns + column] = value;
    depths[i] = value > 0 ? value : 0.0f;
    shares[i] = value > 0 ? 1.0f : 0.0f;
  }
  for (int level = 1; level <= g.levels; ++level) {
    const int cells = side >> level, row = threadIdx.x / cells, column = threadIdx.x % cells;
    const bool mine = row < cells;
    const int first = 2 * row * 2 * cells + 2 * column;
    float depth_mean = 0, share = 0;
    __syncthreads();
    if (mine) {
      auto mean = [&](const float* of) {
        return (of[first] + of[first + 1] + of[first + 2 * cells] + of[first + 2 * cells + 1]) / 4;
      };
      depth_mean = mean(depths), share = mean(shares);
    }
    __syncthreads();
    if (mine) {
      depths[threadIdx.x] = depth_mean, shares[threadIdx.x] = share;
      pyramid[level_start(g, level) - g.cells() + int64_t{(row0 >> level) + row} * (g.columns >> level) +
              (column0 >> level) + column] = {depth_mean, share};
    }
  }
}

/// Mean depth of a whole frame's measured pixels, to every thread.
__device__ float frame_mean(const float2* cells, int count) {
  __shared__ float depths[kThreads], shares[kThreads];
  float depth = 0, share = 0;
  for (int i = threadIdx.x; i < count; i += kThreads) depth += cells[i].x, share += cells[i].y;
  depths[threadIdx.x] = depth, shares[threadIdx.x] = share;
  for (int step = kThreads / 2; step > 0; step /= 2) {
    __syncthreads();
    if (threadIdx.x < step) {
      depths[threadIdx.x] += depths[threadIdx.x + step];
      shares[threadIdx.x] += shares[threadIdx.x + step];
    }
  }
  __syncthreads();
  const float all = static_cast<float>(count);
  return depths[0] / all / fmaxf(shares[0] / all, 1e-6f);
}

/// The part of a level that a block makes: the cells of its pixels and, where they are not the pixels
/// themselves, one more on each side.
struct Region {
  int row0, column0, border, side;  // of the first own cell; cells around the own ones, cells in a row
  int rows, columns;                // of the whole level

  __device__ Region(const Geometry& g, int level)
      : row0(blockIdx.y << (g.levels - level)),
        column0(blockIdx.x << (g.levels - level)),
        border(level > 0),
        side((1 << (g.levels - level)) + 2 * border),
        rows(g.rows >> level),
        columns(g.columns >> level) {}
  __device__ int row(int i) const { return row0 - border + i / side; }
  __device__ int column(int i) const { return column0 - border + i % side; }
  __device__ int at(int row, int column) const {
    return (row - row0 + border) * side + column - column0 + border;
  }
  __device__ bool inside(int row, int column) const {
    return row >= 0 && row < rows && column >= 0 && column < columns;
  }
  __device__ bool own(int row, int column) const {
    const int cells = side - 2 * border;
    return row >= row0 && row < row0 + cells && column >= column0 && column < column0 + cells;
  }
};

constexpr int square(int x) {
  return x * x;
}
constexpr int kMostCells =
    square(32) + square(16 + 2) + square(8 + 2) + square(4 + 2) + square(2 + 2) + square(1 + 2);
static_assert(kMostLevels == 5, "kMostCells counts the levels");

template <class T>
__global__ void __launch_bounds__(kThreads)
    pull_kernel(const float* x, const float* q, const float2* pyramid, const float* rays, Geometry g,
                Differences differences, float* fills, T* features, int channels) {
  __shared__ float cells[kMostCells];      // filled, the coarsest level first
  __shared__ int starts[kMostLevels + 1];  // of the levels in it
  q += blockIdx.z * g.cells();
  pyramid += blockIdx.z * (level_start(g, g.levels + 1) - g.cells());
  fills += blockIdx.z * level_start(g, g.levels + 1);

  const float mean = frame_mean(pyramid + level_start(g, g.levels) - g.cells(),
                                (g.rows >> g.levels) * (g.columns >> g.levels));
  int start = 0;
  const float* from = nullptr;  // the coarser level's cells
  for (int level = g.levels; level >= 0; --level) {
    const Region region(g, level), coarser(g, min(level + 1, g.levels));
    if (threadIdx.x == 0) starts[level] = start;
    for (int i = threadIdx.x; i < region.side * region.side; i += kThreads) {
      const int row = region.row(i), column = region.column(i);
      if (!region.inside(row, column)) continue;
      const int64_t cell = int64_t{row} * region.columns + column;
      float2 measured;  // mean and share
      if (level == 0) {
        const float depth = q[cell];
        measured = {depth > 0 ? depth : 0.0f, depth > 0 ? 1.0f : 0.0f};
      } else {
        measured = pyramid[level_start(g, level) - g.cells() + cell];
      }
      const float below = level == g.levels
                              ? mean
                              : between(taps(row, 1, coarser.rows), taps(column, 1, coarser.columns),
                                        [&](int r, int c) { return from[coarser.at(r, c)]; });
      const float share = fminf(4 * measured.y, 1.0f);
      const float fill = share * (measured.x / fmaxf(measured.y, 1e-6f)) + (1 - share) * below;
      cells[start + i] = fill;
      if (region.own(row, column)) fills[level_start(g, level) + cell] = fill;
    }
    from = cells + start;
    start += region.side * region.side;
    __syncthreads();
  }

  // A thread makes the channels of 2x2 pixels.
  const Region fine(g, 0);
  const float* const filled = cells + starts[0];
  const int half_side = fine.side / 2;
  const int row0 = fine.row0 + 2 * (threadIdx.x / half_side),
            column0 = fine.column0 + 2 * (threadIdx.x % half_side);
  if (threadIdx.x >= half_side * half_side) return;
  T* to =
      features + ((int64_t{blockIdx.z} * (g.rows / 2) + row0 / 2) * (g.columns / 2) + column0 / 2) * channels;
  auto four = [&](const auto& of) {
    float values[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) values[i] = of(row0 + i / 2, column0 + i % 2, i);
    store(values, to);
    to += 4;
  };
  for (int colour = 0; colour < 3; ++colour) {
    const float* map = x + (4 * int64_t{blockIdx.z} + colour) * g.pixels();
    four([&](int row, int column, int) {
      return map[int64_t{clamped(row, g.height)} * g.width + clamped(column, g.width)];
    });
  }
  float logs[4], masks[4];
  four([&](int row, int column, int i) {
    logs[i] = logf(fmaxf(filled[fine.at(row, column)], 1e-4f));
    return fminf(fmaxf(logs[i], -4.0f), 4.0f);
  });
  four([&](int row, int column, int i) {
    return masks[i] = q[int64_t{row} * g.columns + column] > 0 ? 1.0f : 0.0f;
  });
  for (int d = 0; d < differences.count; ++d) {
    const int level = differences.levels[d];
    const Region region(g, level);
    const float* const map = cells + starts[level];
    four([&](int row, int column, int i) {
      const float smooth = between(taps(row, level, region.rows), taps(column, level, region.columns),
                                   [&](int r, int c) { return map[region.at(r, c)]; });
      const float difference = 8 * (logs[i] - logf(fmaxf(smooth, 1e-4f)));
      return fminf(fmaxf(difference, -1.0f), 1.0f) * masks[i];
    });
  }
  int done = 4 * (5 + differences.count);
  if (rays) {
    rays += blockIdx.z * kRays * g.cells();
    for (int ray = 0; ray < kRays; ++ray, rays += g.cells(), done += 4) {
      four([&](int row, int column, int i) {
        const float depth = rays[int64_t{row} * g.columns + column];
        const float border = 2 * (logf(fmaxf(depth, 1e-4f)) - logs[i]);
        return depth > 0 && masks[i] == 0 ? fminf(fmaxf(border, -1.0f), 1.0f) : 0.0f;
      });
    }
  }
  for (; done < channels; done += 4) four([](int, int, int) { return 0.0f; });
}

}  // namespace

void push(const float* x, const Range* ranges, const Geometry& g, float* q, float2* pyramid,
          cudaStream_t stream) {
  const dim3 blocks(g.columns >> g.levels, g.rows >> g.levels, g.batch);
  launch(push_kernel, blocks, kThreads, 0, stream, x, ranges, g, q, pyramid);
}

void pull(const float* x, const float* q, const float2* pyramid, const float* rays, const Geometry& g,
          const Differences& differences, float* fills, void* features, int channels, NumberType type,
          cudaStream_t stream) {
  const dim3 blocks(g.columns >> g.levels, g.rows >> g.levels, g.batch);
  for_type(type, [&](auto zero) {
    using T = decltype(zero);
    launch(pull_kernel<T>, blocks, kThreads, 0, stream, x, q, pyramid, rays, g, differences, fills,
           static_cast<T*>(features), channels);
  });
}

}  // namespace rgbd::cuda::light_kernels
