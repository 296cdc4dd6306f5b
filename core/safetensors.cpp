// SPDX-License-Identifier: Apache-2.0
// safetensors: eight bytes of header length, a JSON header, then the data. The header is read event by event,
// so that what does not belong there ends the reading at once instead of becoming a tree in memory.
#include <array>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/checkpoint_file.h"

namespace rgbd {
namespace {

constexpr uint64_t kMostHeaderBytes = 100'000'000;  // the format's own limit
constexpr size_t kMostDimensions = 32;

struct Described {
  std::string dtype;
  std::vector<int64_t> shape;
  std::vector<int64_t> offsets;
};

/// The header's grammar: {NAME: {dtype, shape, data_offsets}, "__metadata__": {NAME: TEXT}}.
class Header {
 public:
  std::map<std::string, Described> tensors;
  std::map<std::string, std::string> metadata;
  std::string problem;  // set when an event returned false

  // The SAX interface of nlohmann::json.
  bool null() { return fail("holds null"); }
  bool boolean(bool) { return fail("holds a boolean"); }
  bool number_float(double, const std::string&) { return fail("holds a fraction"); }
  bool binary(std::vector<uint8_t>&) { return fail("holds binary data"); }
  bool number_integer(int64_t) { return fail("holds a negative number"); }
  bool number_unsigned(uint64_t number) {
    if (place_ != Place::kNumbers) return fail("has a number where none belongs");
    if (number > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
      return fail("holds a huge number");
    if (numbers_->size() == kMostDimensions) return fail("has a tensor of more than 32 dimensions");
    numbers_->push_back(static_cast<int64_t>(number));
    return true;
  }
  bool string(std::string& text) {
    if (place_ == Place::kMetadata) {
      if (!metadata.emplace(key_, text).second) return fail("has the metadata key " + quote(key_) + " twice");
      return true;
    }
    if (place_ != Place::kTensor || key_ != "dtype") return fail("has text where none belongs");
    tensor_->dtype = text;
    return true;
  }
  bool key(std::string& name) {
    key_ = name;
    if (place_ != Place::kTensor) return true;
    bool& seen = name == "dtype" ? seen_[0] : name == "shape" ? seen_[1] : seen_[2];
    if (name != "dtype" && name != "shape" && name != "data_offsets")
      return fail("has the unknown field " + quote(name));
    if (std::exchange(seen, true)) return fail("has the field " + quote(name) + " twice");
    return true;
  }
  bool start_object(size_t) {
    if (place_ == Place::kOutside) {
      place_ = Place::kTop;
    } else if (place_ == Place::kTop && key_ == "__metadata__") {
      if (std::exchange(has_metadata_, true)) return fail("has __metadata__ twice");
      place_ = Place::kMetadata;
    } else if (place_ == Place::kTop) {
      const auto [at, is_new] = tensors.emplace(key_, Described{});
      if (!is_new) return fail("has the key " + quote(key_) + " twice");
      tensor_ = &at->second;
      seen_ = {};
      place_ = Place::kTensor;
    } else {
      return fail("is nested too deeply");
    }
    return true;
  }
  bool end_object() {
    if (place_ == Place::kTensor && seen_ != std::array{true, true, true}) {
      return fail("describes a tensor without dtype, shape and data_offsets");
    }
    place_ = place_ == Place::kTop ? Place::kOutside : Place::kTop;
    return true;
  }
  bool start_array(size_t) {
    if (place_ != Place::kTensor || key_ == "dtype") return fail("has a list where none belongs");
    numbers_ = key_ == "shape" ? &tensor_->shape : &tensor_->offsets;
    place_ = Place::kNumbers;
    return true;
  }
  bool end_array() {
    place_ = Place::kTensor;
    return true;
  }
  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception&) {
    return fail("is not JSON at byte " + std::to_string(position));
  }

 private:
  enum class Place { kOutside, kTop, kTensor, kNumbers, kMetadata };

  bool fail(const std::string& text) {
    problem = text;
    return false;
  }

  Place place_ = Place::kOutside;
  std::string key_;
  Described* tensor_ = nullptr;
  std::vector<int64_t>* numbers_ = nullptr;
  std::array<bool, 3> seen_{};
  bool has_metadata_ = false;
};

std::optional<at::ScalarType> scalar_type(const std::string& dtype) {
  static const std::map<std::string, at::ScalarType> kTypes = {
      {"F64", at::kDouble}, {"F32", at::kFloat}, {"F16", at::kHalf},  {"BF16", at::kBFloat16},
      {"I64", at::kLong},   {"I32", at::kInt},   {"I16", at::kShort}, {"I8", at::kChar},
      {"U8", at::kByte},    {"BOOL", at::kBool},
  };
  const auto found = kTypes.find(dtype);
  if (found == kTypes.end()) return {};
  return found->second;
}

uint64_t header_length(std::string_view bytes) {
  uint64_t length = 0;
  for (int i = 7; i >= 0; --i) length = length << 8 | static_cast<unsigned char>(bytes[i]);
  return length;
}

}  // namespace

Checkpoint open_safetensors(const std::shared_ptr<const CheckpointFile>& file) {
  const std::string& path = file->path();
  if (file->size() < 8) throw_bad(path, "a truncated safetensors file; fetch it again");
  const uint64_t length = header_length(file->read(0, 8));
  if (length > kMostHeaderBytes) {
    throw_bad(path, "a safetensors header of " + std::to_string(length) +
                        " bytes (100 MB is the limit); the file is damaged");
  }
  if (length > file->size() - 8)
    throw_bad(path, "a truncated safetensors file: its header is cut off; fetch it again");

  Header header;
  const std::string json = file->read(8, length);
  if (!nlohmann::json::sax_parse(json.begin(), json.end(), &header)) {
    throw_bad(path, "a damaged safetensors file: its header " + header.problem);
  }

  const uint64_t data_begin = 8 + length;
  const uint64_t data_size = file->size() - data_begin;
  std::map<uint64_t, uint64_t> taken;  // begin to end of what tensors occupy
  CheckpointBuilder builder(path);
  for (auto& [key, tensor] : header.tensors) {
    if (tensor.offsets.size() != 2 || tensor.offsets[0] > tensor.offsets[1]) {
      throw_bad(path, "a damaged safetensors file: wrong data_offsets of " + quote(key));
    }
    const auto begin = static_cast<uint64_t>(tensor.offsets[0]);
    const auto end = static_cast<uint64_t>(tensor.offsets[1]);
    if (end > data_size) {
      throw_bad(path, "a truncated safetensors file: " + quote(key) + " ends at byte " +
                          std::to_string(data_begin + end) + " of " + std::to_string(file->size()) +
                          "; fetch it again");
    }
    if (begin != end) {
      const auto [at, is_new] = taken.emplace(begin, end);
      const bool before = at != taken.begin() && std::prev(at)->second > begin;
      const bool after = std::next(at) != taken.end() && std::next(at)->first < end;
      if (!is_new || before || after) {
        throw_bad(path, "a damaged safetensors file: " + quote(key) + " overlaps another tensor");
      }
    }
    const auto dtype = scalar_type(tensor.dtype);
    if (!dtype) {
      builder.add_problem(key, "has the type " + quote(tensor.dtype) +
                                   ", which is not supported; save it as F32, F16 or BF16");
      continue;
    }
    TensorLayout layout{*dtype, 0, tensor.shape, row_major(tensor.shape)};
    if (span_bytes(layout) != end - begin) {
      throw_bad(path,
                "a damaged safetensors file: the shape of " + quote(key) + " does not fit its data_offsets");
    }
    builder.add(key, tensor.shape,
                [file, at = data_begin + begin, layout] { return read_tensor(*file, at, layout); });
  }
  uint64_t used = 0;
  for (const auto& [begin, end] : taken) used += end - begin;
  if (used < data_size)
    throw_bad(path, "a damaged safetensors file: " + std::to_string(data_size - used) +
                        " bytes belong to no tensor; fetch it again");
  for (const auto& [key, value] : header.metadata) builder.add_metadata(key, value);
  return builder.finish("safetensors");
}

}  // namespace rgbd
