// SPDX-License-Identifier: Apache-2.0
#include "core/cuda/cdm/head.h"

#include <ATen/cuda/CUDAContext.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "core/cuda/cdm/map_kernels.h"
#include "core/cuda/cdm/token_kernels.h"

namespace rgbd::cuda {
namespace {

const void* data(const at::Tensor& t) {
  return t.const_data_ptr();
}

// A sum at the size of `like`, [B, h, w, C].
Combination sum_at(const at::Tensor& like) {
  Combination c;
  c.batch = like.size(0), c.height = like.size(1), c.width = like.size(2), c.channels = like.size(3);
  return c;
}

void enlarge(Combination& c, const at::Tensor& small) {
  c.small = data(small), c.small_height = small.size(1), c.small_width = small.size(2);
}

}  // namespace

Head::Head(const cdm::Weights& weights, Element element, at::Device device) : element_(element) {
  const std::string head = "depth_head_rgbd.", scratch = head + "scratch.";
  auto get = [&](const std::string& key) { return weights.get(key).to(device); };
  auto conv = [&](const std::string& key, int64_t stride = 1) {
    return Conv(get(key + ".weight"), get(key + ".bias"), stride, 1, element);
  };
  auto linear = [&](const at::Tensor& weight, const at::Tensor& bias) {
    return Linear(weight.unsqueeze(0), bias.unsqueeze(0), element, Linear::To::kPlain);
  };
  // [in, out, k, k]: where kernel and stride are the same, k * k products per pixel, side by side.
  auto transposed = [&](const std::string& key) {
    const auto weight = get(key + ".weight"), bias = get(key + ".bias");
    const auto area = weight.size(2) * weight.size(3);
    return linear(weight.permute({2, 3, 1, 0}).reshape({area * weight.size(1), weight.size(0)}),
                  bias.repeat({area}));
  };
  up4_ = transposed(head + "resize_layers.0");
  up2_ = transposed(head + "resize_layers.1");
  down_ = conv(head + "resize_layers.3", 2);
  for (int i = 0; i < 4; ++i) {
    Level& level = levels_[i];
    const auto name = std::to_string(i + 1), block = scratch + "refinenet" + name + ".";
    level.lateral = Conv(get(scratch + "layer" + name + "_rn.weight"), {}, 1, 1, element);
    if (i < 3) {
      level.skip1 = conv(block + "resConfUnit1.conv1");
      level.skip2 = conv(block + "resConfUnit1.conv2");
    }
    level.path1 = conv(block + "resConfUnit2.conv1");
    level.path2 = conv(block + "resConfUnit2.conv2");
    level.out = linear(get(block + "out_conv.weight").flatten(1), get(block + "out_conv.bias"));
  }
  output1_ = conv(scratch + "output_conv1");
  output2_ = conv(scratch + "output_conv2.0");
  last_weight_ = get(scratch + "output_conv2.2.weight").flatten();
  last_bias_ = get(scratch + "output_conv2.2.bias");
}

// Plain numbers as operands.
at::Tensor Head::operand(const at::Tensor& x) const {
  if (width(element_) == 1) return x;
  auto sizes = x.sizes().vec();
  sizes.back() *= width(element_);
  auto out = at::empty(sizes, x.options());
  split(x.const_data_ptr<float>(), out.mutable_data_ptr(), x.numel() / x.size(-1), x.size(-1),
        at::cuda::getCurrentCUDAStream());
  return out;
}

// x [B, h, w, C] -> [B, factor * h, factor * w, C].
at::Tensor Head::enlarged_by_weights(const Linear& linear, const at::Tensor& x, int64_t factor) const {
  const auto pixels = x.size(0) * x.size(1) * x.size(2), channels = linear.outputs() / (factor * factor);
  const auto in = operand(x);
  auto products = at::empty({pixels, linear.outputs()}, x.options());
  linear({in.mutable_data_ptr(), in.size(-1), 0}, {products.mutable_data_ptr(), linear.outputs(), 0}, pixels,
         1);
  auto out = at::empty({x.size(0), factor * x.size(1), factor * x.size(2), channels}, x.options());
  spread(data(products), out.mutable_data_ptr(), element_, x.size(0), x.size(1), x.size(2), factor, channels,
         at::cuda::getCurrentCUDAStream());
  return out;
}

at::Tensor Head::operator()(const std::array<at::Tensor, 4>& projected, int64_t batch, int64_t rows,
                            int64_t columns) const {
  const auto stream = at::cuda::getCurrentCUDAStream();
  auto run = [&](const Combination& c) { combine(c, element_, stream); };
  auto map = [&](int i) { return projected[i].view({batch, rows, columns, -1}); };

  std::array<at::Tensor, 4> maps{enlarged_by_weights(up4_, map(0), 4), enlarged_by_weights(up2_, map(1), 2),
                                 map(2), down_(map(3))};
  auto c = sum_at(maps[3]);
  c.map = data(maps[3]), c.bias = down_.bias().const_data_ptr<float>(), c.sum = maps[3].mutable_data_ptr();
  run(c);

  at::Tensor path;  // of the level below, before it is enlarged
  for (int i = 3; i >= 0; --i) {
    const Level& level = levels_[i];
    const auto side = level.lateral(maps[i]);
    auto sum = side, bent = at::empty_like(side);
    c = sum_at(side);
    c.skip = data(side), c.bent = bent.mutable_data_ptr();
    run(c);
    if (i < 3) {
      const auto update = level.skip2(level.skip1.relu(bent));
      sum = at::empty_like(side);
      enlarge(c, path);
      c.map = data(update), c.bias = level.skip2.bias().const_data_ptr<float>();
      c.sum = sum.mutable_data_ptr();
      run(c);
    }
    const auto update = level.path2(level.path1.relu(bent));
    auto whole = at::empty({c.batch, c.height, c.width, c.channels * width(element_)}, side.options());
    c = sum_at(side);
    c.map = data(update), c.skip = data(sum), c.bias = level.path2.bias().const_data_ptr<float>();
    c.operand = whole.mutable_data_ptr();
    run(c);
    // A 1x1 convolution and a bilinear resize commute (the weights of the latter sum to one): on the small
    // map.
    path = at::empty_like(side);
    level.out({whole.mutable_data_ptr(), whole.size(-1), 0}, {path.mutable_data_ptr(), path.size(-1), 0},
              path.numel() / path.size(-1), 1);
  }

  auto enlarged = [&](const at::Tensor& small, int64_t height, int64_t width, const at::Tensor& bias) {
    auto out = at::empty({batch, height, width, small.size(3)}, small.options());
    c = sum_at(out);
    enlarge(c, small);
    if (bias.defined()) c.bias = bias.const_data_ptr<float>();  // commutes as well
    c.sum = out.mutable_data_ptr();
    run(c);
    return out;
  };
  const auto height = rows * cdm::kPatch, width = columns * cdm::kPatch;
  path = output1_(enlarged(path, 2 * path.size(1), 2 * path.size(2), {}));
  path = output2_(enlarged(path, height, width, output1_.bias()));
  auto y = at::empty({batch, height, width}, path.options().dtype(at::kFloat));
  finish(data(path), output2_.bias().const_data_ptr<float>(), last_weight_.const_data_ptr<float>(),
         last_bias_.const_data_ptr<float>(), y.mutable_data_ptr<float>(), element_, batch * height * width,
         path.size(3), stream);
  return y;
}

}  // namespace rgbd::cuda
