// SPDX-License-Identifier: Apache-2.0
#include "core/ops.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/_convolution.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/softmax.h>

#include <cmath>

#include "core/attention_cpu.h"

namespace rgbd {
namespace {

at::ScalarType scalar_type(Precision precision) {
  switch (precision) {
    case Precision::kFp16:
      return at::kHalf;
    case Precision::kBf16:
      return at::kBFloat16;
    case Precision::kFp32:
      break;
  }
  return at::kFloat;
}

// oneDNN's operators have no C++ header, and their string arguments changed type between torch 2.6 and
// 2.11: they are looked up by name and called with boxed arguments.
struct PackedLinear {
  std::optional<c10::OperatorHandle> reorder, apply;

  PackedLinear() {
    auto& dispatcher = c10::Dispatcher::singleton();
    reorder = dispatcher.findSchema({"mkldnn::_reorder_linear_weight", ""});
    apply = dispatcher.findSchema({"mkldnn::_linear_pointwise", ""});
  }
  explicit operator bool() const { return reorder && apply; }
};

const PackedLinear& packed_linear() {
  static const PackedLinear operators;
  return operators;
}

at::Tensor call(const c10::OperatorHandle& op, torch::jit::Stack stack) {
  op.callBoxed(stack);
  return stack.at(0).toTensor();
}

}  // namespace

Backend::Backend(const NetworkOptions& options)
    : device(options.device),
      dtype(scalar_type(options.precision)),
      optimize(options.optimize),
      cpu_forms(options.optimize && !options.generic_ops && options.device.is_cpu() && dtype == at::kFloat) {}

at::Tensor Backend::product(const at::Tensor& tensor) const {
  return tensor.to(device, dtype);
}

at::Tensor Backend::exact(const at::Tensor& tensor) const {
  return tensor.to(device, at::kFloat);
}

Linear::Linear(at::Tensor weight, at::Tensor bias, const Backend& backend) {
  if (bias.defined()) bias_ = backend.product(bias);
  if (backend.cpu_forms && packed_linear()) {
    weight_ = call(*packed_linear().reorder, {weight.contiguous(), c10::IValue()});
    packed_ = true;
  } else {
    weight_ = backend.product(weight);
  }
}

at::Tensor Linear::apply(const at::Tensor& x, bool gelu) const {
  if (packed_) {
    return call(*packed_linear().apply,
                {x.contiguous(), weight_, bias_.defined() ? c10::IValue(bias_) : c10::IValue(),
                 gelu ? "gelu" : "none", c10::List<std::optional<at::Scalar>>(),
                 gelu ? c10::IValue("none") : c10::IValue()});
  }
  auto y = at::linear(x.to(weight_.scalar_type()), weight_, bias_);
  return gelu ? at::gelu(y) : y;
}

LayerNorm::LayerNorm(const at::Tensor& weight, const at::Tensor& bias, const Backend& backend)
    : weight(backend.exact(weight)), bias(backend.exact(bias)) {}

at::Tensor LayerNorm::operator()(const at::Tensor& x) const {
  return at::layer_norm(x, {weight.size(0)}, weight, bias, 1e-6);
}

Conv::Conv(const at::Tensor& weight, const at::Tensor& bias, int64_t stride, int64_t padding,
           const Backend& backend)
    : stride_(stride), padding_(padding) {
  if (backend.cpu_forms && stride == 1 && padding == 1 && WinogradCpu::suits(weight)) {
    winograd_ = WinogradCpu(weight, bias);
    return;
  }
  weight_ = backend.product(weight);
  if (bias.defined()) bias_ = backend.product(bias);
  // Tokens are channels last already: with weights laid out alike no activation is ever transposed.
  if (backend.optimize) weight_ = weight_.contiguous(at::MemoryFormat::ChannelsLast);
}

at::Tensor Conv::apply(const at::Tensor& x, const at::Tensor& add, bool relu) const {
  if (winograd_) return winograd_(x.to(at::kFloat), add, relu);
  auto y = convolve(x.to(weight_.scalar_type()), weight_, bias_, stride_, padding_, false);
  if (add.defined()) y.add_(add);
  return relu ? y.relu_() : y;
}

at::Tensor convolve(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, int64_t stride,
                    int64_t padding, bool transposed) {
  return at::_convolution(x, weight, bias, {stride, stride}, {padding, padding}, {1, 1}, transposed, {0, 0},
                          1,
                          /*benchmark=*/false, /*deterministic=*/false, /*cudnn_enabled=*/true,
                          /*allow_tf32=*/false);
}

at::Tensor attention(const at::Tensor& qkv, int64_t heads, const Backend& backend) {
  const auto batch = qkv.size(0), tokens = qkv.size(1), channels = qkv.size(2) / 3;
  if (backend.cpu_forms && attention_cpu_preferred() && attention_cpu_supports(channels / heads))
    return attention_cpu(qkv, heads);
  auto parts = qkv.view({batch, tokens, 3, heads, channels / heads}).permute({2, 0, 3, 1, 4});
  auto q = parts[0], k = parts[1], v = parts[2];
  // torch's MPS attention is silently wrong on strided q, k, v (pytorch#163597, #181133).
  if (!qkv.is_cuda()) q = q.contiguous(), k = k.contiguous(), v = v.contiguous();
  return at::scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape({batch, tokens, channels});
}

at::Tensor plain_attention(const at::Tensor& qkv, int64_t heads) {
  const auto batch = qkv.size(0), tokens = qkv.size(1), channels = qkv.size(2) / 3;
  auto parts = qkv.view({batch, tokens, 3, heads, channels / heads}).permute({2, 0, 3, 1, 4});
  const double scale = 1.0 / std::sqrt(static_cast<double>(channels / heads));
  auto scores = at::matmul(parts[0] * scale, parts[1].transpose(-2, -1));
  return at::matmul(at::softmax(scores, -1), parts[2]).transpose(1, 2).reshape({batch, tokens, channels});
}

}  // namespace rgbd
