// SPDX-License-Identifier: Apache-2.0
// Writes what torch.save writes, without Python: pickles in its opcodes, zip archives with libtorch's own
// writer.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "tests/support/safetensors_writer.h"

namespace rgbd::test {

/// Appends opcodes of protocol 2 in the order Python's pickler does: every value is stored in the memo, what
/// was written before (classes, the words of a storage's id) is recalled.
class PickleWriter {
 public:
  void op(char code) { bytes_ += code; }
  void raw(const std::string& bytes) { bytes_ += bytes; }
  void start() { raw("\x80\x02"); }
  const std::string& stop();

  void text(const std::string& text);  // BINUNICODE
  void word(const std::string& text);  // the same, recalled the second time
  void integer(int64_t number);        // BININT1, BININT2, BININT or LONG1
  void global(const std::string& module, const std::string& name);
  void start_dict();          // then: mark(), keys and values, set_items()
  void start_ordered_dict();  // likewise
  void mark() { op('('); }
  void set_items() { op('u'); }
  void integers(const std::vector<int64_t>& numbers);  // a tuple
  void end_tuple() { store('t'); }                     // what follows the last mark()
  void reduce() { store('R'); }

  /// A storage's persistent id; `type` is a class of torch, as FloatStorage.
  void storage(const std::string& type, const std::string& record, int64_t count);
  /// _rebuild_tensor_v2 of that storage.
  void tensor(const std::string& type, const std::string& record, int64_t count, int64_t offset,
              const std::vector<int64_t>& shape, const std::vector<int64_t>& strides);

 private:
  void put();
  void store(char code) { op(code), put(); }
  bool recall(const std::string& name);

  std::string bytes_;
  std::map<std::string, uint32_t> known_;
  uint32_t next_ = 0;
};

struct Record {
  std::string name;  // without the archive's folder: "data.pkl", "data/0"
  std::function<std::string()> bytes;
  bool compress = false;
};

/// The archive's folder takes its name from the file, as torch.save does. Adds the records "version" and the
/// like.
void write_archive(const std::string& path, const std::vector<Record>& records);

enum class KeyLayout {
  kModel,      // {"model": {"module.KEY": …}, "epoch": 3}
  kStateDict,  // {"state_dict": {"cdm.main.KEY": …}}
  kBare,       // {KEY: …}
};

/// The seeded checkpoint as torch.save writes it. `dtype`: F32, F16 or BF16, rounded to nearest even.
void write_seeded_torch(const std::string& path, const std::string& encoder, uint64_t seed = 0,
                        KeyLayout layout = KeyLayout::kModel, const std::string& dtype = "F32");

/// One tensor's bytes in another type, rounded to nearest even.
std::string converted(const std::vector<float>& values, const std::string& dtype);

}  // namespace rgbd::test
