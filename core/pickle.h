// SPDX-License-Identifier: Apache-2.0
// A pickle machine that calls nothing: it turns the bytes into plain values, and every call, object or class
// in them into a record of its name and arguments. What such a record means is for the reader of the values
// to decide. Free of torch, so that it can be fuzzed alone. Opcodes: CPython's Lib/pickletools.py.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace rgbd::pickle {

/// Malformed, too large, or an opcode torch.save never writes. what() is a clause: "is cut off", …
class Malformed : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

enum class Kind {
  kNone,
  kBool,        // integer
  kInt,         // integer
  kFloat,       // number
  kString,      // text, UTF-8 as in the file, not checked
  kBytes,       // text
  kList,        // items; sets too
  kTuple,       // items
  kDict,        // items: key, value, key, value, …
  kGlobal,      // module, text: a class or function, not looked up
  kCall,        // callee(arguments), never made; items: pairs that were set on the result
  kPersistent,  // items[0]: the id that torch.save gives a storage
  kOpaque,      // a number beyond 64 bits, an extension, a buffer outside the file
};

using Id = uint32_t;

struct Value {
  Kind kind = Kind::kNone;
  int64_t integer = 0;
  double number = 0;
  std::string_view text{};    // into the parsed bytes
  std::string_view module{};  // likewise
  std::vector<Id> items{};
  Id callee = 0;
  Id arguments = 0;
};

/// The values of one pickle. They may refer to each other in circles: walk with a bound.
class Document {
 public:
  const Value& root() const { return values_[root_]; }
  const Value& operator[](Id id) const { return values_[id]; }

 private:
  friend class Machine;
  std::vector<Value> values_;
  Id root_ = 0;
};

/// Protocols 2 to 5. The result points into `bytes`, which must outlive it. Throws Malformed. Memory is
/// bounded by a small multiple of the size of `bytes` and by fixed caps; no recursion.
Document parse(std::string_view bytes);

}  // namespace rgbd::pickle
