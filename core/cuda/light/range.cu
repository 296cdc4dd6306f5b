// SPDX-License-Identifier: Apache-2.0
// The order statistics of a frame's measured depths, without a sort: the bits of positive floats are in the
// order of their values, so three histograms of 11, 10 and 10 bits find them exactly. Each pass counts what
// agrees with the bits found so far; that is looked up by every block of the next pass for itself.
#include "core/cuda/light/device.cuh"

namespace rgbd::cuda::light_kernels {
namespace {

constexpr int kRanks = 3;    // 1 %, 50 %, 99 %
constexpr int kGroup = 256;  // threads that look one rank up
constexpr int kThreads = kRanks * kGroup;
constexpr int kPixels = 4 * kThreads;  // that a block counts
constexpr int kFirstBins = 2048, kBins = 1024;

/// Zeros to begin with.
struct Scratch {
  int first[kFirstBins];      // by bits 30 to 20
  int second[kRanks][kBins];  // by bits 19 to 10 of what has the rank's bits above, …
  int third[kRanks][kBins];   // … by the last ones
};

/// The element of a rank, as far as it is known: its leading bits, its rank among those that share them.
struct Place {
  unsigned bits;
  int rank;
};

/// Looks a rank up in a histogram: the bin it falls in, its rank there. Each of the block's groups does so
/// for its own; `rank` is told how many elements there are. Without any, place 0.
template <class Rank>
__device__ Place place_in(const int* histogram, int bins, const Rank& rank, int& total) {
  __shared__ int sums[kThreads];
  __shared__ Place found[kRanks];
  const int group = threadIdx.x / kGroup, t = threadIdx.x % kGroup, each = bins / kGroup;
  int* const group_sums = sums + group * kGroup;
  int mine = 0;
  for (int i = 0; i < each; ++i) mine += histogram[t * each + i];
  group_sums[t] = mine;
  if (t == 0) found[group] = {0, 0};
  __syncthreads();
  for (int step = 1; step < kGroup; step *= 2) {
    const int before = t >= step ? group_sums[t - step] : 0;
    __syncthreads();
    group_sums[t] += before;
    __syncthreads();
  }
  total = group_sums[kGroup - 1];
  int left = rank(total) - (group_sums[t] - mine);
  if (left >= 0 && left < mine) {
    int bin = t * each;
    while (left >= histogram[bin]) left -= histogram[bin++];
    found[group] = {static_cast<unsigned>(bin), left};
  }
  __syncthreads();
  const Place place = found[group];
  __syncthreads();  // before the next call's found
  return place;
}

__device__ Place after_first(const Scratch& scratch, int& measured) {
  const int percent = threadIdx.x / kGroup == 0 ? 1 : threadIdx.x / kGroup == 1 ? 50 : 99;
  return place_in(
      scratch.first, kFirstBins,
      [percent](int total) { return static_cast<int>(int64_t{max(total - 1, 0)} * percent / 100); },
      measured);
}

__device__ Place after_second(const Scratch& scratch, int& measured) {
  const Place before = after_first(scratch, measured);
  int total;
  const Place place = place_in(
      scratch.second[threadIdx.x / kGroup], kBins, [&](int) { return before.rank; }, total);
  return {before.bits << 10 | place.bits, place.rank};
}

/// Bits of a measured depth; 0 stands for one that was not measured.
__device__ unsigned bits_of(float depth) {
  return depth > 0 ? __float_as_uint(depth) : 0;
}

template <int kPass>
__global__ void count(const float* x, Geometry geometry, Scratch* all) {
  constexpr int kCounts = kPass == 0 ? kFirstBins : kRanks * kBins;
  __shared__ int counts[kCounts];
  __shared__ unsigned leading[kRanks];
  const int64_t pixels = geometry.pixels();
  const float* depth = x + (4 * int64_t{blockIdx.y} + 3) * pixels;
  Scratch& scratch = all[blockIdx.y];
  for (int i = threadIdx.x; i < kCounts; i += kThreads) counts[i] = 0;
  if (kPass > 0) {
    int measured;
    const Place place = kPass == 1 ? after_first(scratch, measured) : after_second(scratch, measured);
    if (threadIdx.x % kGroup == 0) leading[threadIdx.x / kGroup] = place.bits;
  }
  __syncthreads();
  const int64_t begin = int64_t{blockIdx.x} * kPixels;
  for (int i = threadIdx.x; i < kPixels && begin + i < pixels; i += kThreads) {
    const unsigned bits = bits_of(depth[begin + i]);
    if (bits == 0) continue;
    if (kPass == 0) {
      atomicAdd(&counts[bits >> 20], 1);
    } else {
      constexpr int kShift = kPass == 1 ? 10 : 0;
      for (int rank = 0; rank < kRanks; ++rank)
        if (bits >> (kShift + 10) == leading[rank])
          atomicAdd(&counts[rank * kBins + (bits >> kShift) % kBins], 1);
    }
  }
  __syncthreads();
  int* const sums = kPass == 0 ? scratch.first : kPass == 1 ? scratch.second[0] : scratch.third[0];
  for (int i = threadIdx.x; i < kCounts; i += kThreads)
    if (counts[i]) atomicAdd(&sums[i], counts[i]);
}

__global__ void conclude(const Scratch* all, float low_share, float high_share, Range* ranges) {
  __shared__ float values[kRanks];
  const Scratch& scratch = all[blockIdx.x];
  const int group = threadIdx.x / kGroup;
  int measured, total;
  const Place before = after_second(scratch, measured);
  const Place last = place_in(
      scratch.third[group], kBins, [&](int) { return before.rank; }, total);
  if (threadIdx.x % kGroup == 0) values[group] = __uint_as_float(before.bits << 10 | last.bits);
  __syncthreads();
  if (threadIdx.x == 0) {
    const float median = values[1] > 0 ? values[1] : 1.0f;
    ranges[blockIdx.x] = {measured, median, low_share * values[0] / median, high_share * values[2] / median};
  }
}

}  // namespace

size_t range_scratch_bytes(int batch) {
  return static_cast<size_t>(batch) * sizeof(Scratch);
}

void measured_range(const float* x, const Geometry& geometry, float low_share, float high_share,
                    void* scratch, Range* ranges, cudaStream_t stream) {
  auto* const all = static_cast<Scratch*>(scratch);
  cudaMemsetAsync(all, 0, range_scratch_bytes(geometry.batch), stream);
  const dim3 blocks(blocks_for(geometry.pixels(), kPixels), geometry.batch);
  launch(count<0>, blocks, kThreads, 0, stream, x, geometry, all);
  launch(count<1>, blocks, kThreads, 0, stream, x, geometry, all);
  launch(count<2>, blocks, kThreads, 0, stream, x, geometry, all);
  launch(conclude, dim3(geometry.batch), kThreads, 0, stream, all, low_share, high_share, ranges);
}

}  // namespace rgbd::cuda::light_kernels
