// SPDX-License-Identifier: Apache-2.0
// The choice of core/light/choice.cpp, a pixel a thread. A block keeps what its pixels look at in shared
// memory: measured and coarse depths around them, the extremes of the windows' columns, the candidates.
#include "core/cuda/light/device.cuh"

namespace rgbd::cuda::light_kernels {
namespace {

constexpr int kColumns = 32, kRows = 4, kThreads = kColumns * kRows;
constexpr int kMostShared = 48 << 10;
constexpr float kNever = -1e4f;  // logit of a candidate without depth

/// Quarter-resolution cells that `pixels` in a row may lie between, whatever pixel they begin with.
__host__ __device__ inline int quarter_cells(int pixels) {
  return (pixels + 2) / 4 + 2;
}
/// The first of them for pixels from `first` on: the cell left of its middle.
__device__ inline int first_quarter(int first) {
  return (first - 2) >> 2;
}

/// Floats of shared memory, each part a rectangle.
struct Parts {
  int raw_columns, coarse_columns, quarter_columns, extreme_columns;
  int raw, coarse, quarter, extreme;  // sizes; two of the last

  __host__ __device__ explicit Parts(const Choice& c)
      : raw_columns(kColumns + 2 * c.raw_reach),
        coarse_columns(kColumns + 2 * c.coarse_reach),
        quarter_columns(quarter_cells(coarse_columns)),
        extreme_columns(kColumns + 2 * c.keep_reach),
        raw(raw_columns * (kRows + 2 * c.raw_reach)),
        coarse(coarse_columns * (kRows + 2 * c.coarse_reach)),
        quarter(quarter_columns * quarter_cells(kRows + 2 * c.coarse_reach)),
        extreme(extreme_columns * kRows) {}
  __host__ __device__ int all(const Choice& c) const {
    return c.candidates() * kThreads + raw + coarse + quarter + 2 * extreme;
  }
};

size_t shared_bytes(const Choice& c) {
  return sizeof(float) * Parts(c).all(c);
}

__device__ float corrected(float fill, float s, float limit) {
  return fill * expf(limit * tanhf(s / limit));
}

/// What a block reads of its frame.
template <class T>
struct Evidence {
  const float *q, *fill, *fill4;  // rows x columns; the last a quarter of each
  const T* coarse;
  int coarse_channels;
};

/// Fills the parts for the block's pixels from (row0, column0) on.
template <class T>
__device__ void gather(const Evidence<T>& e, const Geometry& g, const Choice& c, const Parts& parts, int row0,
                       int column0, float* raw, float* coarse, float* quarter, float* top, float* bottom) {
  const int quarter_rows = g.rows / 4, quarter_columns = g.columns / 4;
  const int coarse_row0 = row0 - c.coarse_reach, coarse_column0 = column0 - c.coarse_reach;
  const int quarter_row0 = first_quarter(coarse_row0), quarter_column0 = first_quarter(coarse_column0);
  for (int i = threadIdx.x; i < parts.raw; i += kThreads) {
    const int row = row0 - c.raw_reach + i / parts.raw_columns;
    const int column = column0 - c.raw_reach + i % parts.raw_columns;
    const bool inside = row >= 0 && row < g.rows && column >= 0 && column < g.columns;
    raw[i] = inside ? e.q[int64_t{row} * g.columns + column] : 0.0f;
  }
  for (int i = threadIdx.x; i < parts.quarter; i += kThreads) {
    const int64_t cell =
        int64_t{clamped(quarter_row0 + i / parts.quarter_columns, quarter_rows)} * quarter_columns +
        clamped(quarter_column0 + i % parts.quarter_columns, quarter_columns);
    quarter[i] = corrected(e.fill4[cell], to_float(e.coarse[cell * e.coarse_channels]), c.correction);
  }
  __syncthreads();
  for (int i = threadIdx.x; i < parts.coarse; i += kThreads) {
    const int row = coarse_row0 + i / parts.coarse_columns,
              column = coarse_column0 + i % parts.coarse_columns;
    // Beyond the frame's edge its cells go on, so nothing is clamped here.
    auto taps_of = [](int pixel, int first) {
      const int low = first_quarter(pixel);
      const float weight = (static_cast<float>(pixel - 4 * low) - 1.5f) / 4;
      return Taps{low - first, low - first + 1, weight};
    };
    coarse[i] = between(taps_of(row, quarter_row0), taps_of(column, quarter_column0),
                        [&](int r, int k) { return quarter[r * parts.quarter_columns + k]; });
  }
  for (int i = threadIdx.x; i < parts.extreme; i += kThreads) {
    const int column = i % parts.extreme_columns + c.raw_reach - c.keep_reach;
    const int row = i / parts.extreme_columns + c.raw_reach - c.keep_reach;
    float high = 0, low = INFINITY;
    for (int k = 0; k <= 2 * c.keep_reach; ++k) {
      const float q = raw[(row + k) * parts.raw_columns + column];
      high = fmaxf(high, q);
      if (q > 0) low = fminf(low, q);
    }
    top[i] = high, bottom[i] = low;
  }
  __syncthreads();
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    choose_kernel(const float* x, const Range* ranges, const float* q, const float* fills, const float* rays,
                  const T* head, const T* coarse_correction, int coarse_channels, Geometry g, Choice c,
                  float* y) {
  const Parts parts(c);
  float* const values = reinterpret_cast<float*>(dynamic_shared());  // [candidates, threads]
  float* const raw = values + c.candidates() * kThreads;
  float* const coarse = raw + parts.raw;
  float* const quarter = coarse + parts.coarse;
  float* const top = quarter + parts.quarter;
  float* const bottom = top + parts.extreme;
  const int row0 = blockIdx.y * kRows, column0 = blockIdx.x * kColumns;
  q += blockIdx.z * g.cells();
  fills += blockIdx.z * level_start(g, g.levels + 1);
  const Evidence<T> evidence{q, fills, fills + level_start(g, 2),
                             coarse_correction + blockIdx.z * (g.cells() / 16) * coarse_channels,
                             coarse_channels};
  gather(evidence, g, c, parts, row0, column0, raw, coarse, quarter, top, bottom);

  const int in_row = threadIdx.x / kColumns, in_column = threadIdx.x % kColumns;
  const int row = row0 + in_row, column = column0 + in_column;
  if (row >= g.height || column >= g.width) return;
  const int64_t pixel = int64_t{row} * g.width + column;
  y += blockIdx.z * g.pixels() + pixel;
  const Range range = ranges[blockIdx.z];
  if (range.measured < c.enough) {
    *y = x[(4 * int64_t{blockIdx.z} + 3) * g.pixels() + pixel];
    return;
  }

  const int stride = c.stride(), free = c.candidates() - 1;
  head += ((int64_t{blockIdx.z} * (g.rows / 2) + row / 2) * (g.columns / 2) + column / 2) * (4 * stride) +
          head_channel(stride, row % 2, column % 2, 0);
  float* const mine = values + threadIdx.x;
  float* to = mine;
  auto add = [&](float value) {
    *to = value;
    to += kThreads;
  };
  for (int i = 0; i < c.raw; ++i)
    add(raw[(in_row + c.raw_reach + c.raw_offsets[i].dy) * parts.raw_columns + in_column + c.raw_reach +
            c.raw_offsets[i].dx]);
  for (int i = 0; i < c.coarse; ++i)
    add(coarse[(in_row + c.coarse_reach + c.coarse_offsets[i].dy) * parts.coarse_columns + in_column +
               c.coarse_reach + c.coarse_offsets[i].dx]);
  for (int i = 0; i < c.smooth; ++i) {
    const int level = c.smooth_levels[i], columns = g.columns >> level;
    const float* const map = fills + level_start(g, level);
    add(between(taps(row, level, g.rows >> level), taps(column, level, columns),
                [&](int r, int k) { return map[int64_t{r} * columns + k]; }));
  }
  for (int i = 0; i < c.rays; ++i)
    add(rays[(int64_t{blockIdx.z} * kRays + i) * g.cells() + int64_t{row} * g.columns + column]);
  add(corrected(fills[int64_t{row} * g.columns + column],
                to_float(head[head_channel(stride, 0, 0, free + 1)]), c.correction));

  // The likeliest candidate, and the mean of those near it by their likelihoods.
  float best = 0, most = -INFINITY;
  for (int first = 0; first <= free; first += 8) {
    float logits[8];
    load(head + head_channel(stride, 0, 0, first), logits);
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      if (first + i > free) break;
      const float value = mine[(first + i) * kThreads];
      const float logit = value > 0 ? logits[i] : kNever;
      if (logit > most) most = logit, best = value;
    }
  }
  float sum = 0, total = 0;
  for (int first = 0; first <= free; first += 8) {
    float logits[8];
    load(head + head_channel(stride, 0, 0, first), logits);
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      if (first + i > free) break;
      const float value = mine[(first + i) * kThreads];
      if (fabsf(value - best) > c.mode_tolerance * best) continue;
      const float weight = expf((value > 0 ? logits[i] : kNever) - most);
      sum += weight, total += weight * value;
    }
  }
  float depth = total / sum;

  float high = range.high, low = range.low;
  if (raw[(in_row + c.raw_reach) * parts.raw_columns + in_column + c.raw_reach] > 0) {
    high = 0, low = INFINITY;
    for (int k = 0; k <= 2 * c.keep_reach; ++k) {
      const int at = in_row * parts.extreme_columns + in_column + k;
      high = fmaxf(high, top[at]), low = fminf(low, bottom[at]);
    }
    high *= c.keep_up, low *= c.keep_down;
  }
  depth = fminf(fmaxf(depth, low), high);
  *y = depth * range.median;
}

}  // namespace

bool choose_fits(const Choice& choice) {
  return shared_bytes(choice) <= kMostShared;
}

void choose(const float* x, const Range* ranges, const float* q, const float* fills, const float* rays,
            const void* head, const void* coarse, int coarse_channels, const Geometry& g,
            const Choice& choice, float* y, NumberType type, cudaStream_t stream) {
  const dim3 blocks(blocks_for(g.width, kColumns), blocks_for(g.height, kRows), g.batch);
  for_type(type, [&](auto zero) {
    using T = decltype(zero);
    launch(choose_kernel<T>, blocks, kThreads, shared_bytes(choice), stream, x, ranges, q, fills, rays,
           static_cast<const T*>(head), static_cast<const T*>(coarse), coarse_channels, g, choice, y);
  });
}

}  // namespace rgbd::cuda::light_kernels
