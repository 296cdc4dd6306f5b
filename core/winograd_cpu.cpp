// SPDX-License-Identifier: Apache-2.0
// Blocks of tiles, few enough that what is made of them stays near the second-level cache: their 6x6 pixels
// are transformed, multiplied by the transformed weights at each of the 36 places, and transformed to 4x4
// pixels. Eight channels lie side by side through every step. Compiled twice from one source: for AVX2 with
// FMA, and for whatever the compiler's target has.
#include "core/winograd_cpu.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <array>

#include "core/lanes.h"
#include "core/recycled.h"

namespace rgbd {
namespace {

constexpr int64_t kOut = 4, kIn = 6, kPlaces = kIn * kIn;  // pixels of a tile's side, and what it sees
constexpr int64_t kBlockFloats = 96 * 1024;  // of a block's transformed pixels, before and after the product
constexpr int64_t kAhead = 13;    // pixels from a tile to what is fetched beside it (10 % at 24 channels)
constexpr int64_t kFetched = 16;  // floats at a time
constexpr int64_t kMostWeights = 256 * 256;  // with more of them, 36 for 9 are too much to read

/// Bᵀ d: six pixels in a row to six places.
RGBD_INLINE void transform_in(const Lanes* d, int64_t stride, Lanes* out) {
  const Lanes &d0 = d[0], &d1 = d[stride], &d2 = d[2 * stride], &d3 = d[3 * stride], &d4 = d[4 * stride],
              &d5 = d[5 * stride];
  const Lanes even = d4 - 4 * d2, odd = d3 - 4 * d1, near_even = d4 - d2, near_odd = 2 * (d3 - d1);
  out[0] = 4 * d0 - 5 * d2 + d4;
  out[1] = even + odd;
  out[2] = even - odd;
  out[3] = near_even + near_odd;
  out[4] = near_even - near_odd;
  out[5] = 4 * d1 - 5 * d3 + d5;
}

/// Aᵀ m: six places to four pixels.
RGBD_INLINE void transform_out(const Lanes* m, int64_t stride, Lanes* out) {
  const Lanes &m0 = m[0], &m1 = m[stride], &m2 = m[2 * stride], &m3 = m[3 * stride], &m4 = m[4 * stride],
              &m5 = m[5 * stride];
  const Lanes sum = m1 + m2, difference = m1 - m2, sum2 = m3 + m4, difference2 = m3 - m4;
  out[0] = m0 + sum + sum2;
  out[1] = difference + 2 * difference2;
  out[2] = sum + 4 * sum2;
  out[3] = difference + 8 * difference2 + m5;
}

struct Image {
  const float *x, *add;  // [B, h, w, in], [B, h, w, out] or null
  float* y;              // [B, h, w, out]
  int64_t height, width, in, out;
  bool relu;

  int64_t tiles_across() const { return (width + kOut - 1) / kOut; }
  int64_t tiles() const { return (height + kOut - 1) / kOut * tiles_across(); }
};

struct Tile {
  int64_t frame, row, column;  // of its first pixel
};

RGBD_INLINE Tile locate(const Image& image, int64_t index) {
  const int64_t across = image.tiles_across(), inside = index % image.tiles();
  return {index / image.tiles(), inside / across * kOut, inside % across * kOut};
}

/// to[place * plane + channel]; `zeros` are as many as there are channels.
RGBD_INLINE void read_tile(const Image& image, const Tile& tile, const float* zeros, int64_t plane,
                           float* to) {
  const float* pixels[kPlaces];
  for (int64_t dy = 0; dy < kIn; ++dy) {
    const int64_t row = tile.row + dy - 1;
    for (int64_t dx = 0; dx < kIn; ++dx) {
      const int64_t column = tile.column + dx - 1;
      const bool inside = row >= 0 && row < image.height && column >= 0 && column < image.width;
      pixels[dy * kIn + dx] =
          inside ? image.x + ((tile.frame * image.height + row) * image.width + column) * image.in : zeros;
    }
  }
  for (int64_t dy = 0; dy < kIn; ++dy) {
    const int64_t row = std::clamp<int64_t>(tile.row + dy - 1, 0, image.height - 1);
    const int64_t column = std::min(tile.column + kAhead, std::max<int64_t>(image.width - kOut, 0));
    const float* const ahead =
        image.x + ((tile.frame * image.height + row) * image.width + column) * image.in;
    for (int64_t i = 0; i < kOut * image.in; i += kFetched) __builtin_prefetch(ahead + i);
  }
  for (int64_t c = 0; c < image.in; c += kLanes) {
    Lanes seen[kIn], half[kIn][kIn], done[kIn];
#pragma GCC unroll 6
    for (int64_t i = 0; i < kIn; ++i) {
#pragma GCC unroll 6
      for (int64_t j = 0; j < kIn; ++j) load(pixels[j * kIn + i] + c, seen[j]);
      transform_in(seen, 1, half[i]);
    }
#pragma GCC unroll 6
    for (int64_t i = 0; i < kIn; ++i) {
      transform_in(half[0] + i, kIn, done);
#pragma GCC unroll 6
      for (int64_t j = 0; j < kIn; ++j) store(done[j], to + (i * kIn + j) * plane + c);
    }
  }
}

RGBD_INLINE void write_tile(const Image& image, const Tile& tile, const float* bias, int64_t plane,
                            const float* from) {
  const int64_t rows = std::min(kOut, image.height - tile.row),
                columns = std::min(kOut, image.width - tile.column);
  for (int64_t c = 0; c < image.out; c += kLanes) {
    Lanes places[kIn], half[kIn][kOut], done[kOut], shift, other;
#pragma GCC unroll 6
    for (int64_t i = 0; i < kIn; ++i) {
#pragma GCC unroll 6
      for (int64_t j = 0; j < kIn; ++j) load(from + (j * kIn + i) * plane + c, places[j]);
      transform_out(places, 1, half[i]);
    }
    load(bias + c, shift);
    for (int64_t i = 0; i < rows; ++i) {
      transform_out(half[0] + i, kOut, done);
      const int64_t first =
          ((tile.frame * image.height + tile.row + i) * image.width + tile.column) * image.out + c;
      for (int64_t j = 0; j < columns; ++j) {
        Lanes y = done[j] + shift;
        if (image.add) {
          load(image.add + first + j * image.out, other);
          y += other;
        }
        if (image.relu) y = y < 0.0f ? Lanes{} : y;  // NaN stays
        store(y, image.y + first + j * image.out);
      }
    }
  }
}

/// Tiles begin..end. before and after have room for `count` tiles' places, a multiple of kProductRows;
/// `zeros` for the input's channels.
struct Block {
  int64_t begin, end, count;
  float *before, *after;
  const float* zeros;
};

RGBD_INLINE void convolve_block(const Image& image, const float* weight, const float* bias,
                                const Block& block) {
  const int64_t in = image.in, out = image.out, before = block.count * in, after = block.count * out;
  for (int64_t i = block.begin; i < block.end; ++i)
    read_tile(image, locate(image, i), block.zeros, before, block.before + (i - block.begin) * in);
  for (int64_t place = 0; place < kPlaces; ++place)
    product(block.before + place * before, block.end - block.begin, in, weight + place * out * in, out,
            block.after + place * after, out);
  for (int64_t i = block.begin; i < block.end; ++i)
    write_tile(image, locate(image, i), bias, after, block.after + (i - block.begin) * out);
}

void convolve_anywhere(const Image& image, const float* weight, const float* bias, const Block& block) {
  convolve_block(image, weight, bias, block);
}
#ifdef RGBD_AVX2
RGBD_AVX2 void convolve_avx2(const Image& image, const float* weight, const float* bias, const Block& block) {
  convolve_block(image, weight, bias, block);
}
#endif

auto* block_function() {
#ifdef RGBD_AVX2
  if (has_avx2()) return convolve_avx2;
#endif
  return convolve_anywhere;
}

/// G g Gᵀ of one 3x3 kernel, in double.
std::array<float, kPlaces> transform_weight(const float* g) {
  constexpr double kG[kIn][3] = {{1. / 4, 0, 0},
                                 {-1. / 6, -1. / 6, -1. / 6},
                                 {-1. / 6, 1. / 6, -1. / 6},
                                 {1. / 24, 1. / 12, 1. / 6},
                                 {1. / 24, -1. / 12, 1. / 6},
                                 {0, 0, 1}};
  std::array<float, kPlaces> out;
  for (int64_t i = 0; i < kIn; ++i) {
    double row[3];
    for (int64_t x = 0; x < 3; ++x) row[x] = kG[i][0] * g[x] + kG[i][1] * g[3 + x] + kG[i][2] * g[6 + x];
    for (int64_t j = 0; j < kIn; ++j)
      out[i * kIn + j] = static_cast<float>(kG[j][0] * row[0] + kG[j][1] * row[1] + kG[j][2] * row[2]);
  }
  return out;
}

}  // namespace

bool WinogradCpu::suits(const at::Tensor& weight) {
  return has_avx2() && weight.size(2) == 3 && weight.size(3) == 3 && weight.size(0) % kLanes == 0 &&
         weight.size(1) % kLanes == 0 && weight.size(0) * weight.size(1) <= kMostWeights;
}

WinogradCpu::WinogradCpu(const at::Tensor& weight, const at::Tensor& bias)
    : in_(weight.size(1)), out_(weight.size(0)), weight_(kPlaces * in_ * out_), bias_(out_) {
  const auto kernels = weight.contiguous();
  const float* const from = kernels.const_data_ptr<float>();
  at::parallel_for(0, in_, 1, [&](int64_t begin, int64_t end) {
    for_pieces(out_, [&](int64_t first, int64_t vectors) {
      const int64_t columns = vectors * kLanes;
      for (int64_t i = begin; i < end; ++i) {
        for (int64_t o = 0; o < columns; ++o) {
          const auto places = transform_weight(from + ((first + o) * in_ + i) * 9);
          for (int64_t place = 0; place < kPlaces; ++place)
            weight_[(place * out_ + first) * in_ + i * columns + o] = places[place];
        }
      }
    });
  });
  TORCH_CHECK(!bias.defined() || bias.numel() == out_);
  if (bias.defined()) std::copy_n(bias.contiguous().const_data_ptr<float>(), out_, bias_.data());
}

at::Tensor WinogradCpu::operator()(const at::Tensor& x, const at::Tensor& add, bool relu) const {
  constexpr auto kLast = at::MemoryFormat::ChannelsLast;
  const auto from = x.contiguous(kLast), also = add.defined() ? add.contiguous(kLast) : add;
  auto y = recycled({x.size(0), out_, x.size(2), x.size(3)}, kLast);
  TORCH_CHECK(x.size(1) == in_ && (!add.defined() || add.sizes() == y.sizes()));
  const Image image{from.const_data_ptr<float>(),
                    also.defined() ? also.const_data_ptr<float>() : nullptr,
                    y.mutable_data_ptr<float>(),
                    x.size(2),
                    x.size(3),
                    in_,
                    out_,
                    relu};
  const int64_t tiles = x.size(0) * image.tiles();
  const int64_t count =
      std::max<int64_t>(kBlockFloats / (kPlaces * (in_ + out_)) / kProductRows, 1) * kProductRows;
  auto* const convolve = block_function();
  // Shared in fours: a deep map has fewer tiles than a block has room for.
  at::parallel_for(0, (tiles + kProductRows - 1) / kProductRows, 1, [&](int64_t begin, int64_t end) {
    const int64_t last = std::min(end * kProductRows, tiles);
    const int64_t room = std::min(count, (end - begin) * kProductRows);
    std::vector<float> before(kPlaces * room * in_), after(kPlaces * room * out_), zeros(in_);
    for (int64_t i = begin * kProductRows; i < last; i += room)
      convolve(image, weight_.data(), bias_.data(),
               {i, std::min(i + room, last), room, before.data(), after.data(), zeros.data()});
  });
  return y;
}

}  // namespace rgbd
