// SPDX-License-Identifier: Apache-2.0
#include "tests/support/torch_writer.h"

#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>
#include <caffe2/serialize/inline_container.h>

#include <stdexcept>

#include "tests/support/seeded.h"

namespace rgbd::test {
namespace {

std::string little_endian(uint64_t number, int size) {
  std::string bytes;
  for (int i = 0; i < size; ++i) bytes += static_cast<char>(number >> (8 * i));
  return bytes;
}

std::vector<int64_t> row_major_strides(const std::vector<int64_t>& shape) {
  std::vector<int64_t> strides(shape.size(), 1);
  for (size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * shape[i];
  return strides;
}

template <class T>
std::string rounded(const std::vector<float>& values) {
  return bytes_of(std::vector<T>(values.begin(), values.end()));
}

std::string storage_class(const std::string& dtype) {
  if (dtype == "F32") return "FloatStorage";
  if (dtype == "F16") return "HalfStorage";
  if (dtype == "BF16") return "BFloat16Storage";
  throw std::invalid_argument("no storage for " + dtype);
}

}  // namespace

const std::string& PickleWriter::stop() {
  op('.');
  return bytes_;
}

void PickleWriter::put() {
  const uint32_t index = next_++;
  if (index < 256) {
    raw("q" + little_endian(index, 1));
  } else {
    raw("r" + little_endian(index, 4));
  }
}

bool PickleWriter::recall(const std::string& name) {
  const auto found = known_.find(name);
  if (found == known_.end()) {
    known_[name] = next_;
    return false;
  }
  raw(found->second < 256 ? "h" + little_endian(found->second, 1) : "j" + little_endian(found->second, 4));
  return true;
}

void PickleWriter::text(const std::string& text) {
  raw("X" + little_endian(text.size(), 4) + text);
  put();
}

void PickleWriter::word(const std::string& text) {
  if (!recall("word " + text)) this->text(text);
}

void PickleWriter::integer(int64_t number) {
  if (number >= 0 && number < 0x100) {
    raw("K" + little_endian(static_cast<uint64_t>(number), 1));
  } else if (number >= 0 && number < 0x10000) {
    raw("M" + little_endian(static_cast<uint64_t>(number), 2));
  } else if (number == static_cast<int32_t>(number)) {
    raw("J" + little_endian(static_cast<uint64_t>(number), 4));
  } else {
    raw("\x8a\x08" + little_endian(static_cast<uint64_t>(number), 8));
  }
}

void PickleWriter::global(const std::string& module, const std::string& name) {
  if (recall(module + " " + name)) return;
  raw("c" + module + "\n" + name + "\n");
  put();
}

void PickleWriter::start_dict() {
  store('}');
}

void PickleWriter::start_ordered_dict() {
  global("collections", "OrderedDict");
  op(')');
  reduce();
}

void PickleWriter::integers(const std::vector<int64_t>& numbers) {
  if (numbers.empty()) return op(')');
  if (numbers.size() > 3) mark();
  for (int64_t number : numbers) integer(number);
  constexpr char kTuple[] = {'t', '\x85', '\x86', '\x87'};
  store(numbers.size() > 3 ? 't' : kTuple[numbers.size()]);
}

void PickleWriter::storage(const std::string& type, const std::string& record, int64_t count) {
  mark();
  word("storage");
  global("torch", type);
  text(record);
  word("cpu");
  integer(count);
  end_tuple();
  op('Q');
}

void PickleWriter::tensor(const std::string& type, const std::string& record, int64_t count, int64_t offset,
                          const std::vector<int64_t>& shape, const std::vector<int64_t>& strides) {
  global("torch._utils", "_rebuild_tensor_v2");
  mark();
  storage(type, record, count);
  integer(offset);
  integers(shape);
  integers(strides);
  op('\x89');            // requires_grad
  start_ordered_dict();  // hooks
  end_tuple();
  reduce();
}

void write_archive(const std::string& path, const std::vector<Record>& records) {
  caffe2::serialize::PyTorchStreamWriter writer(path);
  for (const Record& record : records) {
    const std::string bytes = record.bytes();
    writer.writeRecord(record.name, bytes.data(), bytes.size(), record.compress);
  }
  writer.writeEndOfFile();
}

std::string converted(const std::vector<float>& values, const std::string& dtype) {
  if (dtype == "F16") return rounded<c10::Half>(values);
  if (dtype == "BF16") return rounded<c10::BFloat16>(values);
  return bytes_of(values);
}

void write_seeded_torch(const std::string& path, const std::string& encoder, uint64_t seed, KeyLayout layout,
                        const std::string& dtype) {
  const char* prefix = layout == KeyLayout::kModel       ? "module."
                       : layout == KeyLayout::kStateDict ? "cdm.main."
                                                         : "";
  PickleWriter pickle;
  pickle.start();
  pickle.start_dict();
  if (layout != KeyLayout::kBare) {
    if (layout == KeyLayout::kModel) pickle.mark();
    pickle.text(layout == KeyLayout::kModel ? "model" : "state_dict");
    pickle.start_dict();
  }
  pickle.mark();
  std::vector<Record> storages;
  for (const auto& [key, shape] : seeded_shapes(encoder)) {
    const std::string number = std::to_string(storages.size());
    pickle.text(prefix + key);
    pickle.tensor(storage_class(dtype), number, element_count(shape), 0, shape, row_major_strides(shape));
    storages.push_back({"data/" + number, [key, shape, seed, dtype] {
                          return converted(seeded_value(key, shape, seed), dtype);
                        }});
  }
  pickle.set_items();
  if (layout == KeyLayout::kModel) {
    pickle.text("epoch");
    pickle.integer(3);
    pickle.set_items();
  } else if (layout == KeyLayout::kStateDict) {
    pickle.op('s');
  }
  std::vector<Record> records = {{"data.pkl", [bytes = pickle.stop()] { return bytes; }},
                                 {"byteorder", [] { return std::string("little"); }}};
  records.insert(records.end(), storages.begin(), storages.end());
  write_archive(path, records);
}

}  // namespace rgbd::test
