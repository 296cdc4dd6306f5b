// SPDX-License-Identifier: Apache-2.0
#include "tests/support/safetensors_writer.h"

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace rgbd::test {
namespace {

int64_t item_size(const std::string& dtype) {
  if (dtype == "F64" || dtype == "I64" || dtype == "U64") return 8;
  if (dtype == "F32" || dtype == "I32" || dtype == "U32") return 4;
  if (dtype == "F16" || dtype == "BF16" || dtype == "I16" || dtype == "U16") return 2;
  return 1;
}

std::string length_field(uint64_t length) {
  std::string field;
  for (int shift = 0; shift < 64; shift += 8) field += static_cast<char>(length >> shift);
  return field;
}

}  // namespace

void write_safetensors(const std::string& path, const std::vector<FileTensor>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  int64_t offset = 0;
  for (const FileTensor& tensor : tensors) {
    int64_t size = item_size(tensor.dtype);
    for (int64_t side : tensor.shape) size *= side;
    header[tensor.key] = {
        {"dtype", tensor.dtype}, {"shape", tensor.shape}, {"data_offsets", {offset, offset + size}}};
    offset += size;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // data starts on a multiple of 8

  std::ofstream file(path, std::ios::binary);
  file << length_field(text.size()) << text;
  for (const FileTensor& tensor : tensors) {
    const std::string bytes = tensor.bytes();
    const auto& offsets = header[tensor.key]["data_offsets"];
    if (bytes.size() != offsets[1].get<size_t>() - offsets[0].get<size_t>()) {
      throw std::runtime_error(tensor.key + ": bytes do not match the shape");
    }
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }
  file.close();
  if (!file) throw std::runtime_error("cannot write " + path);
}

std::string raw_safetensors(const std::string& header, const std::string& data) {
  return length_field(header.size()) + header + data;
}

void write_file(const std::string& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary);
  file << bytes;
  file.close();
  if (!file) throw std::runtime_error("cannot write " + path);
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace rgbd::test
