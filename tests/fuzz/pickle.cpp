// SPDX-License-Identifier: Apache-2.0
// Any pickle in a torch checkpoint whose archive is sound: what torch_zip.cpp, which changes the archive too,
// seldom gets to. Two storages, "0" of 24 bytes and "1" of 64.
#include <string>

#include "tests/fuzz/checkpoint_input.h"

namespace {

std::string number(uint64_t value, int size) {
  std::string bytes;
  for (int i = 0; i < size; ++i) bytes += static_cast<char>(value >> (8 * i));
  return bytes;
}

/// Stored entries only; nobody checks the sums.
class Archive {
 public:
  void add(const std::string& name, const std::string& data) {
    const std::string facts = std::string(12, '\0') + number(data.size(), 4) + number(data.size(), 4) +
                              number(name.size(), 2) + number(0, 2);  // flags to date and sum; extra field
    directory_ += "PK\x01\x02" + number(20, 2) + number(20, 2) + facts + std::string(10, '\0') +
                  number(bytes_.size(), 4) + name;
    bytes_ += "PK\x03\x04" + number(20, 2) + facts + name + data;
    ++entries_;
  }
  std::string finish() {
    return bytes_ + directory_ + "PK\x05\x06" + number(0, 4) + number(entries_, 2) + number(entries_, 2) +
           number(directory_.size(), 4) + number(bytes_.size(), 4) + number(0, 2);
  }

 private:
  std::string bytes_, directory_;
  uint64_t entries_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Archive archive;
  archive.add("a/data.pkl", {reinterpret_cast<const char*>(data), size});
  archive.add("a/data/0", std::string(24, 'x'));
  archive.add("a/data/1", std::string(64, '\0'));
  const std::string bytes = archive.finish();
  const rgbd::fuzz::FileInput input(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  rgbd::fuzz::read_all(rgbd::open_torch_zip, input);
  return 0;
}
