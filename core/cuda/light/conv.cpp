// SPDX-License-Identifier: Apache-2.0
#include "core/cuda/light/conv.h"

#include <ATen/ops/_convolution.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAStream.h>

namespace rgbd::cuda {
namespace {

int up_to_8(int64_t channels) {
  return static_cast<int>((channels + 7) / 8 * 8);
}

bool has_tensor_cores(at::Device device) {
  int major = 0;
  const int index = device.has_index() ? device.index() : c10::cuda::current_device();
  C10_CUDA_CHECK(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, index));
  return major >= 8;
}

/// [out, in, k, k] to convolve()'s order.
at::Tensor packed(const at::Tensor& weight, int64_t depth) {
  const auto rows = weight.permute({0, 2, 3, 1}).reshape({weight.size(0), -1});
  return at::constant_pad_nd(rows, {0, depth - rows.size(1)})
      .view({weight.size(0) / 8, 8, depth / 16, 2, 4, 2})
      .permute({0, 2, 1, 4, 3, 5});
}

}  // namespace

light_kernels::NumberType number_type(at::ScalarType type) {
  using light_kernels::NumberType;
  return type == at::kHalf       ? NumberType::kFp16
         : type == at::kBFloat16 ? NumberType::kBf16
                                 : NumberType::kFp32;
}

at::Tensor activations(int64_t batch, int64_t channels, int64_t height, int64_t width,
                       const at::TensorOptions& options) {
  return at::empty({batch, channels, height, width}, options.memory_format(at::MemoryFormat::ChannelsLast));
}

LightConv::LightConv(const at::Tensor& weight, const at::Tensor& bias, int stride, at::Device device,
                     at::ScalarType type) {
  shape_.inputs = up_to_8(weight.size(1)), shape_.outputs = up_to_8(weight.size(0));
  shape_.kernel = static_cast<int>(weight.size(2)), shape_.stride = stride;
  own_ = type != at::kFloat && has_tensor_cores(device) && light_kernels::convolve_fits(shape_);
  const auto more = shape_.outputs - weight.size(0);
  const auto all = at::constant_pad_nd(weight, {0, 0, 0, 0, 0, shape_.inputs - weight.size(1), 0, more});
  bias_ = at::constant_pad_nd(bias, {0, more}).to(device);
  weight_ = own_ ? packed(all, shape_.depth()).to(type).contiguous().to(device)
                 : all.to(type).to(device).contiguous(at::MemoryFormat::ChannelsLast);
}

at::Tensor LightConv::operator()(const at::Tensor& x, const at::Tensor& other, bool relu) const {
  const auto stream = c10::cuda::getCurrentCUDAStream(x.device().index());
  const auto type = number_type(x.scalar_type());
  const void* added = other.defined() ? other.const_data_ptr() : nullptr;
  auto c = shape_;
  c.batch = static_cast<int>(x.size(0));
  c.height = static_cast<int>(x.size(2)), c.width = static_cast<int>(x.size(3));
  if (own_) {
    auto y = activations(c.batch, c.outputs, c.out_height(), c.out_width(), x.options());
    light_kernels::convolve(x.const_data_ptr(), weight_.const_data_ptr(), bias_.const_data_ptr<float>(),
                            added, y.mutable_data_ptr(), c, relu, type, stream);
    return y;
  }
  const int64_t stride = c.stride, padding = c.kernel / 2;
  // TF32 as little as in core/ops.cpp; cuDNN tries its algorithms out when it first sees a size.
  const auto y = at::_convolution(x, weight_, {}, {stride, stride}, {padding, padding}, {1, 1},
                                  /*transposed=*/false, {0, 0}, 1, /*benchmark=*/true, /*deterministic=*/true,
                                  /*cudnn_enabled=*/true, /*allow_tf32=*/false)
                     .contiguous(at::MemoryFormat::ChannelsLast);
  light_kernels::finish(y.mutable_data_ptr(), bias_.const_data_ptr<float>(), added,
                        y.size(0) * y.size(2) * y.size(3), c.outputs, relu, type, stream);
  return y;
}

}  // namespace rgbd::cuda
