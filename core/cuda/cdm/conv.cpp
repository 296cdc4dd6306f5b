// SPDX-License-Identifier: Apache-2.0
#include "core/cuda/cdm/conv.h"

#include <ATen/cuda/CUDAContext.h>
#include <ATen/ops/cudnn_convolution.h>
#include <ATen/ops/cudnn_convolution_relu.h>

#include "core/cuda/cdm/map_kernels.h"
#include "core/cuda/linear.h"

namespace rgbd::cuda {

Conv::Conv(const at::Tensor& weight, const at::Tensor& bias, int64_t stride, int64_t padding, Element element)
    : element_(element),
      stride_(stride),
      padding_(padding),
      channels_first_(element == Element::kTf32x3 && weight.size(0) == 64) {
  weight_ = weight.to(plain_type(element))
                .contiguous(channels_first_ ? at::MemoryFormat::Contiguous : at::MemoryFormat::ChannelsLast);
  if (!bias.defined()) return;
  bias_ = bias.to(at::kFloat).contiguous();
  plain_bias_ = bias.to(plain_type(element));
}

at::Tensor Conv::operator()(const at::Tensor& x) const {
  auto in = x.permute({0, 3, 1, 2});
  if (channels_first_) in = in.contiguous();
  const auto out = at::cudnn_convolution(in, weight_, {padding_, padding_}, {stride_, stride_}, {1, 1}, 1,
                                         /*benchmark=*/false, /*deterministic=*/false, /*allow_tf32=*/false)
                       .permute({0, 2, 3, 1});
  return channels_first_ ? out.contiguous() : out;
}

at::Tensor Conv::relu(const at::Tensor& x) const {
  if (element_ != Element::kTf32x3) {
    return at::cudnn_convolution_relu(x.permute({0, 3, 1, 2}), weight_, plain_bias_, {stride_, stride_},
                                      {padding_, padding_}, {1, 1}, 1)
        .permute({0, 2, 3, 1});
  }
  const auto y = (*this)(x);
  Combination c;
  c.map = y.const_data_ptr();
  c.bias = bias_.const_data_ptr<float>();
  c.batch = y.size(0), c.height = y.size(1), c.width = y.size(2), c.channels = y.size(3);
  c.bent = y.mutable_data_ptr();
  combine(c, element_, at::cuda::getCurrentCUDAStream());
  return y;
}

}  // namespace rgbd::cuda
