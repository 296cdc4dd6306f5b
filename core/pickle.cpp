// SPDX-License-Identifier: Apache-2.0
// See pickle.h. Every size is capped here; which recorded calls mean a tensor, torch_zip.cpp says.
#include "core/pickle.h"

#include <bit>
#include <unordered_map>

namespace rgbd::pickle {

namespace {

// vitg's own pickle makes 40,000 values; one with an optimiser's state ten times that.
constexpr size_t kMostValues = 2'000'000;
constexpr size_t kMostBytes = size_t{64} << 20;

enum class Op : uint8_t {
  kMark = '(',
  kStop = '.',
  kPop = '0',
  kPopMark = '1',
  kDup = '2',
  kBinFloat = 'G',
  kBinInt = 'J',
  kBinInt1 = 'K',
  kBinInt2 = 'M',
  kNone = 'N',
  kBinPersId = 'Q',
  kReduce = 'R',
  kBinString = 'T',
  kShortBinString = 'U',
  kBinUnicode = 'X',
  kAppend = 'a',
  kBuild = 'b',
  kGlobal = 'c',
  kDict = 'd',
  kEmptyDict = '}',
  kAppends = 'e',
  kBinGet = 'h',
  kLongBinGet = 'j',
  kList = 'l',
  kEmptyList = ']',
  kBinPut = 'q',
  kLongBinPut = 'r',
  kSetItem = 's',
  kTuple = 't',
  kEmptyTuple = ')',
  kSetItems = 'u',
  kBinBytes = 'B',
  kShortBinBytes = 'C',
  kProto = 0x80,
  kNewObj = 0x81,
  kExt1 = 0x82,
  kExt2 = 0x83,
  kExt4 = 0x84,
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kNewTrue = 0x88,
  kNewFalse = 0x89,
  kLong1 = 0x8a,
  kLong4 = 0x8b,
  kShortBinUnicode = 0x8c,
  kBinUnicode8 = 0x8d,
  kBinBytes8 = 0x8e,
  kEmptySet = 0x8f,
  kAddItems = 0x90,
  kFrozenSet = 0x91,
  kNewObjEx = 0x92,
  kStackGlobal = 0x93,
  kMemoize = 0x94,
  kFrame = 0x95,
  kByteArray8 = 0x96,
  kNextBuffer = 0x97,
  kReadonlyBuffer = 0x98,
};

}  // namespace

class Machine {
 public:
  explicit Machine(std::string_view bytes) : rest_(bytes) {}

  Document run() {
    if (rest_.size() > kMostBytes) throw Malformed("is larger than 64 MiB");
    for (;;) {
      const auto op = static_cast<Op>(byte());
      if (op == Op::kStop) break;
      step(op);
    }
    document_.root_ = pop();
    return std::move(document_);
  }

 private:
  // Input.

  std::string_view take(uint64_t size) {
    if (size > rest_.size()) throw Malformed("is cut off");
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }

  uint8_t byte() { return static_cast<uint8_t>(take(1)[0]); }

  uint64_t little_endian(int size) {
    uint64_t number = 0;
    int shift = 0;
    for (char c : take(size)) {
      number |= uint64_t{static_cast<uint8_t>(c)} << shift;
      shift += 8;
    }
    return number;
  }

  std::string_view line() {
    const size_t end = rest_.find('\n');
    if (end == rest_.npos) throw Malformed("is cut off");
    const std::string_view text = take(end);
    take(1);
    return text;
  }

  // Values and the stack.

  Id make(Value value) {
    if (document_.values_.size() == kMostValues) throw Malformed("holds more than two million values");
    document_.values_.push_back(std::move(value));
    return static_cast<Id>(document_.values_.size() - 1);
  }

  void push(Id id) { stack_.push_back(id); }
  void push(Value value) { push(make(std::move(value))); }
  void push_text(Kind kind, uint64_t size) { push({.kind = kind, .text = take(size)}); }
  void push_int(int64_t integer) { push({.kind = Kind::kInt, .integer = integer}); }

  size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }

  Id top() const {
    if (stack_.size() <= floor()) throw Malformed("takes a value that is not there");
    return stack_.back();
  }

  Id pop() {
    const Id id = top();
    stack_.pop_back();
    return id;
  }

  std::vector<Id> pop_to_mark() {
    if (marks_.empty()) throw Malformed("takes a mark that is not there");
    std::vector<Id> items(stack_.begin() + static_cast<ptrdiff_t>(marks_.back()), stack_.end());
    stack_.resize(marks_.back());
    marks_.pop_back();
    return items;
  }

  void push_tuple(size_t size) {
    std::vector<Id> items(size);
    while (size-- > 0) items[size] = pop();
    push({.kind = Kind::kTuple, .items = std::move(items)});
  }

  void push_call() {
    const Id arguments = pop();
    const Id callee = pop();
    push({.kind = Kind::kCall, .callee = callee, .arguments = arguments});
  }

  std::string_view text_of(Id id) const {
    const Value& value = document_.values_[id];
    if (value.kind != Kind::kString) throw Malformed("names a class without text");
    return value.text;
  }

  /// What is added to an object that was never made is let go.
  void append(const std::vector<Id>& items) {
    Value& list = document_.values_[top()];
    if (list.kind == Kind::kCall || list.kind == Kind::kOpaque) return;
    if (list.kind != Kind::kList) throw Malformed("appends to what is no list");
    list.items.insert(list.items.end(), items.begin(), items.end());
  }

  void set(const std::vector<Id>& pairs) {
    if (pairs.size() % 2 != 0) throw Malformed("has a key without a value");
    Value& dict = document_.values_[top()];
    if (dict.kind == Kind::kOpaque) return;
    if (dict.kind != Kind::kDict && dict.kind != Kind::kCall)
      throw Malformed("sets a key of what is no dict");
    dict.items.insert(dict.items.end(), pairs.begin(), pairs.end());
  }

  void remember(uint64_t index) {
    if (memo_.size() == kMostValues) throw Malformed("stores more than two million values");
    memo_[index] = top();
  }

  void recall(uint64_t index) {
    const auto found = memo_.find(index);
    if (found == memo_.end()) throw Malformed("recalls a value that was never stored");
    push(found->second);
  }

  void push_long(uint64_t size) {
    const std::string_view digits = take(size);
    if (size > 8) return push({.kind = Kind::kOpaque});
    uint64_t number = size > 0 && static_cast<int8_t>(digits.back()) < 0 ? ~uint64_t{0} : 0;
    for (size_t i = size; i-- > 0;) number = number << 8 | static_cast<uint8_t>(digits[i]);
    push_int(static_cast<int64_t>(number));
  }

  void step(Op op) {
    switch (op) {
      case Op::kProto:
        if (const uint8_t protocol = byte(); protocol < 2 || protocol > 5) {
          throw Malformed("has protocol " + std::to_string(protocol) + " (2 to 5 are read)");
        }
        return;
      case Op::kFrame:  // a hint for readers of streams
        take(8);
        return;

      case Op::kNone:
        return push({.kind = Kind::kNone});
      case Op::kNewTrue:
        return push({.kind = Kind::kBool, .integer = 1});
      case Op::kNewFalse:
        return push({.kind = Kind::kBool, .integer = 0});
      case Op::kBinInt:
        return push_int(static_cast<int32_t>(little_endian(4)));
      case Op::kBinInt1:
        return push_int(byte());
      case Op::kBinInt2:
        return push_int(static_cast<int64_t>(little_endian(2)));
      case Op::kLong1:
        return push_long(byte());
      case Op::kLong4:
        return push_long(little_endian(4));
      case Op::kBinFloat: {
        uint64_t bits = 0;  // big-endian, the only such number in the format
        for (char c : take(8)) bits = bits << 8 | static_cast<uint8_t>(c);
        return push({.kind = Kind::kFloat, .number = std::bit_cast<double>(bits)});
      }

      case Op::kShortBinString:
      case Op::kShortBinUnicode:
        return push_text(Kind::kString, byte());
      case Op::kBinString:
      case Op::kBinUnicode:
        return push_text(Kind::kString, little_endian(4));
      case Op::kBinUnicode8:
        return push_text(Kind::kString, little_endian(8));
      case Op::kShortBinBytes:
        return push_text(Kind::kBytes, byte());
      case Op::kBinBytes:
        return push_text(Kind::kBytes, little_endian(4));
      case Op::kBinBytes8:
      case Op::kByteArray8:
        return push_text(Kind::kBytes, little_endian(8));

      case Op::kEmptyTuple:
        return push({.kind = Kind::kTuple});
      case Op::kTuple1:
        return push_tuple(1);
      case Op::kTuple2:
        return push_tuple(2);
      case Op::kTuple3:
        return push_tuple(3);
      case Op::kTuple:
        return push({.kind = Kind::kTuple, .items = pop_to_mark()});
      case Op::kEmptyList:
      case Op::kEmptySet:
        return push({.kind = Kind::kList});
      case Op::kList:
      case Op::kFrozenSet:
        return push({.kind = Kind::kList, .items = pop_to_mark()});
      case Op::kEmptyDict:
        return push({.kind = Kind::kDict});
      case Op::kDict: {
        const std::vector<Id> pairs = pop_to_mark();
        push({.kind = Kind::kDict});
        return set(pairs);
      }
      case Op::kAppend:
        return append({pop()});
      case Op::kAppends:
      case Op::kAddItems:
        return append(pop_to_mark());
      case Op::kSetItem: {
        const Id value = pop();
        const Id key = pop();
        return set({key, value});
      }
      case Op::kSetItems:
        return set(pop_to_mark());

      case Op::kMark:
        return marks_.push_back(stack_.size());
      case Op::kPop:
        if (stack_.size() == floor() && !marks_.empty()) return marks_.pop_back();
        pop();
        return;
      case Op::kPopMark:
        pop_to_mark();
        return;
      case Op::kDup:
        return push(top());
      case Op::kMemoize:
        return remember(memo_.size());
      case Op::kBinPut:
        return remember(byte());
      case Op::kLongBinPut:
        return remember(little_endian(4));
      case Op::kBinGet:
        return recall(byte());
      case Op::kLongBinGet:
        return recall(little_endian(4));

      case Op::kGlobal: {
        const std::string_view module = line();
        return push({.kind = Kind::kGlobal, .text = line(), .module = module});
      }
      case Op::kStackGlobal: {
        const std::string_view name = text_of(pop());
        return push({.kind = Kind::kGlobal, .text = name, .module = text_of(pop())});
      }
      case Op::kReduce:
      case Op::kNewObj:
        return push_call();
      case Op::kNewObjEx:
        pop();  // keyword arguments: no object we know takes any
        return push_call();
      case Op::kBuild:  // the state of an object that was never made
        pop();
        top();
        return;
      case Op::kBinPersId:
        return push({.kind = Kind::kPersistent, .items = {pop()}});

      case Op::kExt1:
        take(1);
        return push({.kind = Kind::kOpaque});
      case Op::kExt2:
        take(2);
        return push({.kind = Kind::kOpaque});
      case Op::kExt4:
        take(4);
        return push({.kind = Kind::kOpaque});
      case Op::kNextBuffer:
        return push({.kind = Kind::kOpaque});
      case Op::kReadonlyBuffer:
        return;

      case Op::kStop:  // run() has seen it
        break;
    }
    throw Malformed("has opcode " + std::to_string(static_cast<int>(op)) +
                    ", which torch.save does not write");
  }

  std::string_view rest_;
  Document document_;
  std::vector<Id> stack_;
  std::vector<size_t> marks_;
  std::unordered_map<uint64_t, Id> memo_;
};

Document parse(std::string_view bytes) {
  return Machine(bytes).run();
}

}  // namespace rgbd::pickle
