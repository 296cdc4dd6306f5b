// SPDX-License-Identifier: Apache-2.0
// cublasLt thinks in columns: a row-major [M, N] is its [N, M]. So y = x Wᵀ is asked for as yᵀ = W xᵀ, with W
// as the transposed first matrix, and the bias runs along the columns as it should.
#include "core/cuda/linear.h"

#include <ATen/TensorOperators.h>
#include <ATen/cuda/CUDAContext.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <cublasLt.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/rgbd.h"

namespace rgbd::cuda {
namespace {

constexpr size_t kWorkspace = 32 << 20;  // bytes; what Hopper's kernels ask for
// Numbers of one TF32 product: tensor cores cut off what does not fit when they add, so long sums shrink, and
// a new product adds the next numbers with whole float32 instead.
constexpr int64_t kSlice = 1024;

void check(cublasStatus_t status, const char* what) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  const auto code = status == CUBLAS_STATUS_ALLOC_FAILED       ? ErrorCode::kOutOfMemory
                    : status == CUBLAS_STATUS_EXECUTION_FAILED ? ErrorCode::kDevice
                                                               : ErrorCode::kInternal;
  throw Error(code, std::string("cublasLt: ") + what + ": " + cublasLtGetStatusString(status));
}

// One of the library's opaque objects.
template <typename T, cublasStatus_t (*destroy)(T)>
class Handle {
 public:
  Handle() = default;
  ~Handle() {
    if (value_) destroy(value_);
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  T* out() { return &value_; }
  T get() const { return value_; }

 private:
  T value_ = nullptr;
};
using Product = Handle<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>;
using Layout = Handle<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
using Preference = Handle<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>;

template <typename Value>
void set(const Product& product, cublasLtMatmulDescAttributes_t attribute, Value value) {
  check(cublasLtMatmulDescSetAttribute(product.get(), attribute, &value, sizeof value),
        "describing a product");
}

void make(Layout& layout, cudaDataType type, int64_t rows, int64_t columns, int64_t distance, int64_t groups,
          int64_t group) {
  check(cublasLtMatrixLayoutCreate(layout.out(), type, static_cast<uint64_t>(rows),
                                   static_cast<uint64_t>(columns), distance),
        "describing a matrix");
  auto put = [&](cublasLtMatrixLayoutAttribute_t attribute, auto value) {
    check(cublasLtMatrixLayoutSetAttribute(layout.get(), attribute, &value, sizeof value),
          "describing a matrix");
  };
  put(CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, static_cast<int32_t>(groups));
  put(CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, group);
}

cudaDataType data_type(Element element) {
  switch (element) {
    case Element::kFp16:
      return CUDA_R_16F;
    case Element::kBf16:
      return CUDA_R_16BF;
    case Element::kTf32x3:
      break;
  }
  return CUDA_R_32F;
}

at::Tensor to_tf32(const at::Tensor& x) {
  return x.view(at::kInt)
      .add(0x1000)
      .bitwise_and(static_cast<int64_t>(static_cast<int32_t>(0xffffe000)))
      .view(at::kFloat);
}

// Small LayerScales would leave fp16's normal range once they are folded: the power of two that brings the
// largest weight near 256.
float scale_of(const at::Tensor& weight, Element element) {
  if (element == Element::kTf32x3) return 1;
  const double largest = weight.abs().max().item<double>();
  if (!(largest > 0) || !std::isfinite(largest)) return 1;
  return std::exp2(static_cast<float>(std::ceil(std::log2(largest)) - 8));
}

}  // namespace

at::ScalarType plain_type(Element element) {
  switch (element) {
    case Element::kFp16:
      return at::kHalf;
    case Element::kBf16:
      return at::kBFloat16;
    case Element::kTf32x3:
      break;
  }
  return at::kFloat;
}

at::Tensor weight_operand(const at::Tensor& weight, Element element, int64_t segments) {
  if (element != Element::kTf32x3) return weight.to(plain_type(element)).contiguous();
  auto sizes = weight.sizes().vec();
  const auto n = sizes.back();
  sizes.back() = segments;
  sizes.push_back(n / segments);
  const auto whole = weight.to(at::kFloat).contiguous().view(sizes);
  const auto hi = to_tf32(whole), lo = to_tf32(whole - hi);
  sizes = weight.sizes().vec();
  sizes.back() = 3 * n;
  return at::cat({hi, lo, hi}, -1).reshape(sizes).contiguous();
}

// A product over some of a row's elements.
struct Linear::Part {
  int64_t first = 0;
  bool add = false;  // onto what is there
  Product product;
  Layout weight, x, y;
  cublasLtMatmulAlgo_t algorithm;

  cublasStatus_t run(const Linear& linear, const void* of, void* to, const at::Tensor& workspace) const {
    const auto bytes = data_type(linear.element_) == CUDA_R_32F ? 4 : 2;
    auto from_first = [&](const void* data) { return static_cast<const char*>(data) + first * bytes; };
    const float alpha = linear.scale_, beta = add ? 1.0f : 0.0f;
    return cublasLtMatmul(at::cuda::getCurrentCUDABlasLtHandle(), product.get(), &alpha,
                          from_first(linear.weight_.const_data_ptr()), weight.get(), from_first(of), x.get(),
                          &beta, to, y.get(), to, y.get(), &algorithm, workspace.mutable_data_ptr(),
                          kWorkspace, at::cuda::getCurrentCUDAStream());
  }
};

Linear::Linear(const at::Tensor& weight, const at::Tensor& bias, Element element, To to, int64_t segments)
    : element_(element), to_(to), scale_(scale_of(weight, element)) {
  weight_ = weight_operand(scale_ == 1 ? weight : weight / scale_, element, segments);
  if (bias.defined()) bias_ = bias.to(to == To::kSum ? at::kFloat : plain_type(element)).contiguous();
}

// Describes one part and takes the library's first guess at an algorithm: the best of twelve, timed, made
// vitl's frame 0.7 % faster on an H100, but then two models of one file could differ in the last bits.
std::shared_ptr<Linear::Part> Linear::part(const Rows& x, const Rows& y, int64_t rows, int64_t groups,
                                           int64_t first, int64_t past) const {
  auto part = std::make_shared<Part>();
  part->first = first;
  part->add = first > 0 || to_ == To::kSum;
  const auto n = weight_.size(1), k = weight_.size(2);
  const bool shared = weight_.size(0) == 1;
  const auto in = data_type(element_), out = to_ == To::kSum ? CUDA_R_32F : in;
  const bool tf32 = element_ == Element::kTf32x3;
  check(cublasLtMatmulDescCreate(part->product.out(),
                                 tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F, CUDA_R_32F),
        "describing a product");
  set(part->product, CUBLASLT_MATMUL_DESC_TRANSA, CUBLAS_OP_T);
  if (bias_.defined() && first == 0) {
    set(part->product, CUBLASLT_MATMUL_DESC_EPILOGUE,
        to_ == To::kGelu ? CUBLASLT_EPILOGUE_GELU_BIAS : CUBLASLT_EPILOGUE_BIAS);
    set(part->product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, static_cast<const void*>(bias_.const_data_ptr()));
    set(part->product, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, out);
    set(part->product, CUBLASLT_MATMUL_DESC_BIAS_BATCH_STRIDE, shared ? int64_t{0} : n);
  }
  make(part->weight, in, past - first, n, k, groups, shared ? 0 : n * k);
  make(part->x, in, past - first, rows, x.row, groups, x.group);
  make(part->y, out, n, rows, y.row, groups, y.group);

  Preference preference;
  check(cublasLtMatmulPreferenceCreate(preference.out()), "asking for algorithms");
  check(cublasLtMatmulPreferenceSetAttribute(preference.get(), CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                             &kWorkspace, sizeof kWorkspace),
        "asking for algorithms");
  cublasLtMatmulHeuristicResult_t found;
  int count = 0;
  check(cublasLtMatmulAlgoGetHeuristic(at::cuda::getCurrentCUDABlasLtHandle(), part->product.get(),
                                       part->weight.get(), part->x.get(), part->y.get(), part->y.get(),
                                       preference.get(), 1, &found, &count),
        "asking for algorithms");
  if (count == 0)
    throw Error(ErrorCode::kUnsupported, "cublasLt has no algorithm for a product of this network");
  part->algorithm = found.algo;
  return part;
}

const Linear::Plan& Linear::plan(const Rows& x, const Rows& y, int64_t rows, int64_t groups) const {
  auto& plan = plans_[{x.row, x.group, y.row, y.group, rows, groups}];
  if (!plan.empty()) return plan;
  const auto k = weight_.size(2);
  if (element_ != Element::kTf32x3) {
    plan.push_back(part(x, y, rows, groups, 0, k));
    return plan;
  }
  // The first two thirds of a row's products are small, and the first slice of the last goes with them.
  Plan parts;
  for (int64_t first = 0, past = 2 * k / 3; first < k; first = past) {
    past = std::min(past + kSlice, k);
    parts.push_back(part(x, y, rows, groups, first, past));
  }
  return plan = std::move(parts);
}

void Linear::operator()(const Rows& x, const Rows& y, int64_t rows, int64_t groups) const {
  // From torch's allocator, which gives the same block again and again in the order of the stream.
  const auto workspace = at::empty({static_cast<int64_t>(kWorkspace)},
                                   at::TensorOptions().dtype(at::kByte).device(weight_.device()));
  for (const auto& part : plan(x, y, rows, groups))
    check(part->run(*this, x.data, y.data, workspace), "multiplying");
}

}  // namespace rgbd::cuda
