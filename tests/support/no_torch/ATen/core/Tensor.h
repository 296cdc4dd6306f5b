// SPDX-License-Identifier: Apache-2.0
// As much of at::Tensor as the engine touches, over plain memory: float32 on the CPU. For ThreadSanitizer,
// which torch is not built for: with the real one, it would see half of every synchronisation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace c10 {
enum class DeviceType { CPU, CUDA, MPS };
}  // namespace c10

namespace at {

inline constexpr auto kCPU = c10::DeviceType::CPU;
enum ScalarType { kFloat };

class Device {
 public:
  Device(c10::DeviceType) {}
  bool is_cpu() const { return true; }
  bool is_mps() const { return false; }
  std::string str() const { return "cpu"; }
};

struct Shape : std::vector<int64_t> {
  using std::vector<int64_t>::vector;
  std::vector<int64_t> vec() const { return *this; }
};

/// Row-major; a view shares the memory of what it was taken from.
class Tensor {
 public:
  Tensor() = default;
  explicit Tensor(Shape sizes) : sizes_(std::move(sizes)) {
    strides_.resize(sizes_.size());
    int64_t stride = 1;
    for (size_t i = sizes_.size(); i-- > 0; stride *= sizes_[i]) strides_[i] = stride;
    memory_ = std::make_shared<std::vector<float>>(static_cast<size_t>(stride));
  }

  bool defined() const { return memory_ != nullptr; }
  int64_t dim() const { return static_cast<int64_t>(sizes_.size()); }
  int64_t size(int64_t i) const { return sizes_[static_cast<size_t>(i)]; }
  const Shape& sizes() const { return sizes_; }
  int64_t numel() const {
    int64_t n = 1;
    for (int64_t size : sizes_) n *= size;
    return n;
  }
  size_t nbytes() const { return sizeof(float) * static_cast<size_t>(numel()); }

  Tensor select(size_t dim, int64_t index) const {
    Tensor view = *this;
    view.offset_ += index * strides_[dim];
    view.sizes_.erase(view.sizes_.begin() + static_cast<ptrdiff_t>(dim));
    view.strides_.erase(view.strides_.begin() + static_cast<ptrdiff_t>(dim));
    return view;
  }
  Tensor operator[](int64_t index) const { return select(0, index); }
  Tensor unsqueeze(int) const {
    Tensor view = *this;
    view.sizes_.insert(view.sizes_.begin(), 1);
    view.strides_.insert(view.strides_.begin(), 0);
    return view;
  }
  Tensor to(Device) const { return *this; }
  Tensor clone() const {
    Tensor copy(sizes_);
    copy.copy_from(*this);
    return copy;
  }
  Tensor contiguous() const { return clone(); }
  Tensor max() const {
    const Tensor all = clone();
    Tensor most{Shape{}};
    (*most.memory_)[0] = all.memory_->at(0);
    for (float value : *all.memory_)
      (*most.memory_)[0] = value > (*most.memory_)[0] ? value : (*most.memory_)[0];
    return most;
  }
  void fill_(double value) const {
    if (dim() == 0) {
      *at_offset() = static_cast<float>(value);
      return;
    }
    for (int64_t i = 0; i < size(0); ++i) select(0, i).fill_(value);
  }
  void copy_from(const Tensor& other) const {
    if (dim() == 0) {
      *at_offset() = *other.at_offset();
      return;
    }
    for (int64_t i = 0; i < size(0); ++i) select(0, i).copy_from(other.select(0, i));
  }
  template <typename T>
  T item() const {
    return static_cast<T>(*at_offset());
  }
  /// Of a contiguous tensor.
  template <typename T>
  T* mutable_data_ptr() const {
    return at_offset();
  }
  template <typename T>
  const T* const_data_ptr() const {
    return at_offset();
  }

 private:
  float* at_offset() const { return memory_->data() + offset_; }

  std::shared_ptr<std::vector<float>> memory_;
  int64_t offset_ = 0;
  Shape sizes_, strides_;
};

}  // namespace at
