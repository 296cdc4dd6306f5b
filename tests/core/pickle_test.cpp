// SPDX-License-Identifier: Apache-2.0
// The pickle machine alone: what each opcode makes, and what it refuses.
#include "core/pickle.h"

#include <gtest/gtest.h>

#include "tests/support/torch_writer.h"

namespace rgbd::pickle {
namespace {

using namespace std::string_literals;

/// A value as Python would print it, calls as they are written.
std::string printed(const Document& values, const Value& value) {
  const auto list = [&](const char* open, const char* close) {
    std::string text = open;
    for (size_t i = 0; i < value.items.size(); ++i)
      text += (i ? ", " : "") + printed(values, values[value.items[i]]);
    return text + close;
  };
  switch (value.kind) {
    case Kind::kNone:
      return "None";
    case Kind::kBool:
      return value.integer ? "True" : "False";
    case Kind::kInt:
      return std::to_string(value.integer);
    case Kind::kFloat:
      return std::to_string(value.number);
    case Kind::kString:
      return "'" + std::string(value.text) + "'";
    case Kind::kBytes:
      return "b'" + std::string(value.text) + "'";
    case Kind::kList:
      return list("[", "]");
    case Kind::kTuple:
      return list("(", ")");
    case Kind::kDict:
      return list("{", "}");
    case Kind::kGlobal:
      return std::string(value.module) + "." + std::string(value.text);
    case Kind::kCall:
      return printed(values, values[value.callee]) + printed(values, values[value.arguments]) +
             list("{", "}");
    case Kind::kPersistent:
      return list("<", ">");
    case Kind::kOpaque:
      return "?";
  }
  return "";
}

std::string parsed(const std::string& bytes) {
  const Document values = parse(bytes);
  return printed(values, values.root());
}

std::string refused(const std::string& bytes) {
  try {
    parse(bytes);
  } catch (const Malformed& error) {
    return error.what();
  }
  return "";
}

TEST(Pickle, PlainValues) {
  EXPECT_EQ(parsed("\x80\x02N."), "None");
  EXPECT_EQ(parsed("\x80\x05\x95\x02\0\0\0\0\0\0\0\x88."s), "True");
  EXPECT_EQ(parsed("\x89."), "False");
  EXPECT_EQ(parsed("K\xff."), "255");
  EXPECT_EQ(parsed("M\xff\xff."), "65535");
  EXPECT_EQ(parsed("J\xff\xff\xff\xff."), "-1");
  EXPECT_EQ(parsed("\x8a\0."s), "0");
  EXPECT_EQ(parsed("\x8a\x01\xff."), "-1");
  EXPECT_EQ(parsed("\x8a\x02\xff\0."s), "255");
  EXPECT_EQ(parsed("\x8b\x08\0\0\0\0\0\0\0\0\0\0\x80."s), "-9223372036854775808");
  EXPECT_EQ(parsed("\x8a\x09\0\0\0\0\0\0\0\0\x01."s), "?");
  EXPECT_EQ(parsed("G\xbf\xf8\0\0\0\0\0\0."s), "-1.500000");
  EXPECT_EQ(parsed("X\x02\0\0\0ab."s), "'ab'");
  EXPECT_EQ(parsed("\x8c\x02"
                   "ab."),
            "'ab'");
  EXPECT_EQ(parsed("\x8d\x02\0\0\0\0\0\0\0ab."s), "'ab'");
  EXPECT_EQ(parsed("U\x02"
                   "ab."),
            "'ab'");
  EXPECT_EQ(parsed("T\x02\0\0\0ab."s), "'ab'");
  EXPECT_EQ(parsed("C\x02"
                   "ab."),
            "b'ab'");
  EXPECT_EQ(parsed("B\x02\0\0\0ab."s), "b'ab'");
  EXPECT_EQ(parsed("\x8e\x02\0\0\0\0\0\0\0ab."s), "b'ab'");
}

TEST(Pickle, Containers) {
  EXPECT_EQ(parsed(")."), "()");
  EXPECT_EQ(parsed("K\1\x85."), "(1)");
  EXPECT_EQ(parsed("K\1K\2\x86."), "(1, 2)");
  EXPECT_EQ(parsed("K\1K\2K\3\x87."), "(1, 2, 3)");
  EXPECT_EQ(parsed("(K\1K\2K\3K\4t."), "(1, 2, 3, 4)");
  EXPECT_EQ(parsed("](K\1K\2e."), "[1, 2]");
  EXPECT_EQ(parsed("]K\1a."), "[1]");
  EXPECT_EQ(parsed("(K\1l."), "[1]");
  EXPECT_EQ(parsed("\x8f(K\1\x90."), "[1]");
  EXPECT_EQ(parsed("(K\1\x91."), "[1]");
  EXPECT_EQ(parsed("}(K\1K\2K\3K\4u."), "{1, 2, 3, 4}");
  EXPECT_EQ(parsed("}K\1K\2s."), "{1, 2}");
  EXPECT_EQ(parsed("(K\1K\2d."), "{1, 2}");
  EXPECT_EQ(parsed("K\1K\2"
                   "0."),
            "1");
  EXPECT_EQ(parsed("K\1(K\2K\3"
                   "1."),
            "1");
  EXPECT_EQ(parsed("K\1(0."), "1");
  EXPECT_EQ(parsed("K\1"
                   "2\x86."),
            "(1, 1)");
}

TEST(Pickle, TheMemoSharesValues) {
  EXPECT_EQ(parsed("]q\x05K\1ah\x05\x86."), "([1], [1])");
  EXPECT_EQ(parsed("]\x94h\0K\1a0."s), "[1]");  // what is added through one name shows through the other
  EXPECT_EQ(parsed("]r\0\1\0\0j\0\1\0\0\x86."s), "([], [])");
  const std::string circle = "]q\0h\0a."s;  // a list that holds itself
  const Document values = parse(circle);
  EXPECT_EQ(&values[values.root().items.at(0)], &values.root());
}

TEST(Pickle, NothingIsCalled) {
  EXPECT_EQ(parsed("cos\nsystem\nX\x02\0\0\0id\x85R."s), "os.system('id'){}");
  EXPECT_EQ(parsed("\x8c\x02os\x8c\x06system\x93)R."), "os.system(){}");
  EXPECT_EQ(parsed("ca\nb\n)\x81}K\1K\2sb."), "a.b(){}");
  EXPECT_EQ(parsed("ca\nb\n)}\x92."), "a.b(){}");
  EXPECT_EQ(parsed("ccollections\nOrderedDict\n)R(K\1K\2u."), "collections.OrderedDict(){1, 2}");
  EXPECT_EQ(parsed("ca\nb\n)RK\1a."), "a.b(){}");
  EXPECT_EQ(parsed("(K\1K\2tQ."), "<(1, 2)>");
  EXPECT_EQ(parsed("\x82\1."), "?");
  EXPECT_EQ(parsed("\x97\x98."), "?");
}

TEST(Pickle, MalformedIsRefused) {
  for (const char* text : {"", "N", "K", "M\1", "X\x05", "cos", "cos\nsystem", "\x8d\1", "(", "\x80"}) {
    EXPECT_EQ(refused(text), "is cut off") << text;
  }
  EXPECT_EQ(refused("X\xff\xff\xff\xff"
                    "ab."),
            "is cut off");
  EXPECT_EQ(refused("\x8d\xff\xff\xff\xff\xff\xff\xff\xff"
                    "ab."),
            "is cut off");
  EXPECT_EQ(refused("\x8b\xff\xff\xff\xff"
                    "ab."),
            "is cut off");
  for (const char* text : {".", "0", "2", "a", "Na", "R", "NR", "b", "Nb", "Q", "q\1", "s", "\x85", "N\x86",
                           "(s", "](a", "\x93"}) {
    EXPECT_EQ(refused(text), "takes a value that is not there") << text;
  }
  for (const char* text : {"t", "e", "u", "]Ne", "1", "d", "l"}) {
    EXPECT_EQ(refused(text), "takes a mark that is not there") << text;
  }
  EXPECT_EQ(refused("h\1."), "recalls a value that was never stored");
  EXPECT_EQ(refused("NNa."), "appends to what is no list");
  EXPECT_EQ(refused("]NNs."), "sets a key of what is no dict");
  EXPECT_EQ(refused("}(Nu."), "has a key without a value");
  EXPECT_EQ(refused("NN\x93."), "names a class without text");
  EXPECT_EQ(refused("\x80\x01N."), "has protocol 1 (2 to 5 are read)");
  EXPECT_EQ(refused("\x80\x06N."), "has protocol 6 (2 to 5 are read)");
  EXPECT_EQ(refused("I1\n."), "has opcode 73, which torch.save does not write");
  EXPECT_EQ(refused("\xff"), "has opcode 255, which torch.save does not write");
}

TEST(Pickle, SizesAreBounded) {
  EXPECT_EQ(refused(std::string((64 << 20) + 1, 'N')), "is larger than 64 MiB");
  EXPECT_EQ(refused(std::string(2'000'001, 'N') + "."), "holds more than two million values");
  EXPECT_EQ(refused("N" + std::string(2'000'001, '\x94') + "."), "stores more than two million values");
  std::string nested =
      std::string(1'000'000, ']') + std::string(999'999, 'a') + ".";  // as deep as you like: no recursion
  EXPECT_EQ(refused(nested), "");
}

TEST(Pickle, TheWritersTensorIsReadBack) {
  test::PickleWriter writer;
  writer.start();
  writer.tensor("FloatStorage", "7", 12, 3, {2, 3}, {3, 1});
  EXPECT_EQ(
      parsed(writer.stop()),
      "torch._utils._rebuild_tensor_v2(<('storage', torch.FloatStorage, '7', 'cpu', 12)>, 3, (2, 3), (3, 1), "
      "False, collections.OrderedDict(){}){}");
}

}  // namespace
}  // namespace rgbd::pickle
