// SPDX-License-Identifier: Apache-2.0
// What any checkpoint must be, and safetensors in particular. torch zip: torch_zip_test.cpp.
#include "core/checkpoint.h"

#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>

#include "tests/core/checkpoint_refusal.h"
#include "tests/support/seeded.h"

namespace rgbd {
namespace {

using test::bytes_refusal;
using test::open_refusal;
using test::raw_safetensors;
using test::says;
using test::temporary;

test::FileTensor floats(const std::string& key, const std::vector<float>& values) {
  return {key, "F32", {static_cast<int64_t>(values.size())}, [values] { return test::bytes_of(values); }};
}

TEST(Checkpoint, SeededFileHoldsTheSeededValues) {
  const std::string path = temporary("tiny.safetensors");
  test::write_seeded(path, "tiny", 7);
  const Checkpoint checkpoint = Checkpoint::open(path);
  EXPECT_EQ(checkpoint.path(), path);
  EXPECT_EQ(checkpoint.layout(), "safetensors");
  const auto shapes = test::seeded_shapes("tiny");
  EXPECT_EQ(checkpoint.keys().size(), shapes.size());
  for (const auto& [key, shape] : shapes) {
    const auto want = test::seeded_value(key, shape, 7);
    const at::Tensor got = checkpoint.tensor(key);
    ASSERT_EQ(checkpoint.shape(key), shape) << key;
    ASSERT_EQ(got.sizes(), at::IntArrayRef(shape)) << key;
    ASSERT_TRUE(got.is_contiguous()) << key;
    ASSERT_EQ(std::memcmp(got.const_data_ptr(), want.data(), want.size() * sizeof(float)), 0) << key;
  }
}

TEST(Checkpoint, MetadataTypesAndScalarsAreRead) {
  const std::string path = temporary("types.safetensors");
  const int64_t steps = -5;
  test::write_safetensors(path,
                          {{"steps", "I64", {}, [&] { return test::bytes_of(std::vector{steps}); }},
                           {"half", "F16", {2, 1}, [] { return std::string("\0\x3c\0\xc0", 4); }},
                           {"brain", "BF16", {1}, [] { return std::string("\xc0\x3f", 2); }},
                           {"none", "F32", {0, 3}, [] { return std::string(); }},
                           {"flag", "BOOL", {1}, [] { return std::string("\x01"); }},
                           {"tiny float", "F8_E4M3", {1}, [] { return std::string("\x01"); }}},
                          {{"rgbd.architecture", "light"}, {"note", "ä"}});
  const Checkpoint checkpoint = Checkpoint::open(path);
  EXPECT_EQ(checkpoint.metadata(),
            (std::map<std::string, std::string>{{"rgbd.architecture", "light"}, {"note", "ä"}}));
  EXPECT_EQ(*checkpoint.tensor("steps").const_data_ptr<int64_t>(), -5);
  EXPECT_EQ(checkpoint.tensor("steps").dim(), 0);
  EXPECT_EQ(checkpoint.tensor("half").scalar_type(), at::kHalf);
  EXPECT_EQ(static_cast<float>(checkpoint.tensor("half").const_data_ptr<at::Half>()[1]), -2.0f);
  EXPECT_EQ(static_cast<float>(*checkpoint.tensor("brain").const_data_ptr<at::BFloat16>()), 1.5f);
  EXPECT_EQ(checkpoint.tensor("none").numel(), 0);
  EXPECT_EQ(checkpoint.tensor("flag").scalar_type(), at::kBool);
  EXPECT_TRUE(says(test::tensor_refusal(path, "tiny float"), "F8_E4M3"));
  EXPECT_TRUE(says(test::tensor_refusal(path, "absent"), "holds no tensor 'absent'"));
}

TEST(Checkpoint, WeightsAreFiniteFloats) {
  const std::string path = temporary("weights.safetensors");
  const float nan = std::numeric_limits<float>::quiet_NaN(),
              infinity = std::numeric_limits<float>::infinity();
  test::write_safetensors(path, {{"half", "F16", {2}, [] { return std::string("\0\x3c\0\xc0", 4); }},
                                 {"bytes", "I8", {2}, [] { return std::string("\x01\x02"); }},
                                 {"flag", "BOOL", {1}, [] { return std::string("\x01"); }},
                                 {"none", "F32", {0}, [] { return std::string(); }},
                                 floats("nan", {1, nan, 2}),
                                 floats("infinite", {1, -infinity})});
  const Checkpoint checkpoint = Checkpoint::open(path);
  const at::Tensor half = checkpoint.weight("half");
  EXPECT_EQ(half.scalar_type(), at::kFloat);
  EXPECT_EQ(half.const_data_ptr<float>()[1], -2.0f);
  EXPECT_EQ(checkpoint.weight("none").numel(), 0);
  auto refusal = [&](const char* key) { return test::refusal(path, [&] { checkpoint.weight(key); }); };
  EXPECT_TRUE(says(refusal("bytes"), "'bytes' holds whole numbers (Char)"));
  EXPECT_TRUE(says(refusal("flag"), "'flag' holds whole numbers (Bool)"));
  EXPECT_TRUE(says(refusal("nan"), "'nan' holds values that are not finite"));
  EXPECT_TRUE(says(refusal("infinite"), "'infinite' holds values that are not finite"));
}

TEST(Checkpoint, ThePrefixIsWhatComesBeforeTheSentinel) {
  const std::string path = temporary("prefix.safetensors");
  const auto keys_of = [&](std::vector<std::string> keys) {
    std::vector<test::FileTensor> tensors;
    for (const auto& key : keys) tensors.push_back(floats(key, {1}));
    test::write_safetensors(path, tensors);
    return Checkpoint::open(path).keys();
  };
  using Keys = std::vector<std::string>;
  EXPECT_EQ(
      keys_of({"module.pretrained.cls_token", "module.depth_pretrained.cls_token", "module.a", "other"}),
      (Keys{"a", "depth_pretrained.cls_token", "other", "pretrained.cls_token"}));
  EXPECT_EQ(keys_of({"a.very.long.prefix.of.any.length.pretrained.cls_token",
                     "a.very.long.prefix.of.any.length.b"}),
            (Keys{"b", "pretrained.cls_token"}));
  // "depth_pretrained" ends like the sentinel, but "depth_" is no prefix.
  EXPECT_EQ(keys_of({"depth_pretrained.cls_token", "depth_a"}),
            (Keys{"depth_a", "depth_pretrained.cls_token"}));
  // The network itself, not the teacher inside the loss.
  EXPECT_EQ(keys_of({"loss.teacher.pretrained.cls_token", "net.pretrained.cls_token", "net.x"}),
            (Keys{"loss.teacher.pretrained.cls_token", "pretrained.cls_token", "x"}));
  // Another network has no sentinel: keys as they are.
  EXPECT_EQ(keys_of({"encoder.0.weight", "module.b"}), (Keys{"encoder.0.weight", "module.b"}));
}

TEST(Checkpoint, TheNetworksOwnKeyWinsOverAStranger) {
  const std::string path = temporary("twice.safetensors");
  test::write_safetensors(path,
                          {floats("m.pretrained.cls_token", {1}), floats("m.a", {1}), floats("a", {2})});
  EXPECT_EQ(*Checkpoint::open(path).tensor("a").const_data_ptr<float>(), 1.0f);
}

TEST(Checkpoint, ATensorOutlivesCheckpointAndFile) {
  const std::string path = temporary("gone.safetensors");
  test::write_safetensors(path, {floats("a", {1, 2, 3})});
  at::Tensor tensor = Checkpoint::open(path).tensor("a");
  ASSERT_EQ(::unlink(path.c_str()), 0);
  EXPECT_EQ(tensor.const_data_ptr<float>()[2], 3.0f);
}

TEST(Checkpoint, DataThatIsNotAlignedIsStillRight) {
  const std::string path = temporary("odd.safetensors");
  const std::string header = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  for (size_t spaces = 0; spaces < 8; ++spaces) {
    test::write_file(
        path, raw_safetensors(header + std::string(spaces, ' '), test::bytes_of(std::vector{1.5f, -2.5f})));
    const at::Tensor tensor = Checkpoint::open(path).tensor("a");
    EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor.const_data_ptr()) % sizeof(float), 0u);
    EXPECT_EQ(tensor.const_data_ptr<float>()[1], -2.5f);
  }
}

TEST(Checkpoint, AFileWrittenToMeanwhileIsRefused) {
  const std::string path = temporary("rewritten.safetensors");
  auto write = [&](float value) {
    test::write_safetensors(path, {floats("a", std::vector<float>(100'000, value)), floats("b", {value})});
  };
  const auto says_so = [](const std::string& text) { return says(text, "was written to while it was read"); };
  auto refusal = [&](const Checkpoint& checkpoint, const char* key) {
    return test::refusal(path, [&] { checkpoint.weight(key); });
  };
  write(1);
  const Checkpoint emptied = Checkpoint::open(path);
  EXPECT_EQ(*emptied.weight("b").const_data_ptr<float>(), 1.0f);
  std::filesystem::resize_file(path, 0);  // a mapping's pages would be gone, and this program with them
  EXPECT_TRUE(says_so(refusal(emptied, "a")));
  write(1);
  const Checkpoint replaced = Checkpoint::open(path);
  EXPECT_EQ(*replaced.weight("b").const_data_ptr<float>(), 1.0f);
  write(2);  // as long as it was; half a model of each would give plausible depth
  std::filesystem::last_write_time(path,
                                   std::filesystem::file_time_type::clock::now() + std::chrono::hours(1));
  EXPECT_TRUE(says_so(refusal(replaced, "a")));
  EXPECT_TRUE(says_so(refusal(replaced, "b")));
}

TEST(Checkpoint, OpeningReadsNamesOnly) {
  // 16 GiB, all of it a hole in the file: more than this could hold in memory.
  const std::string path = temporary("sparse.safetensors");
  constexpr int64_t kElements = int64_t{4} << 30;
  const std::string header = R"({"big":{"dtype":"F32","shape":[)" + std::to_string(kElements) +
                             R"(],"data_offsets":[0,)" + std::to_string(kElements * 4) + "]}}";
  test::write_file(path, raw_safetensors(header + std::string(8 - header.size() % 8, ' '), ""));
  std::filesystem::resize_file(path, std::filesystem::file_size(path) + kElements * 4);
  const auto resident_pages = [] {
    std::ifstream statm("/proc/self/statm");
    int64_t total = 0, resident = 0;
    statm >> total >> resident;
    return resident;
  };
  const int64_t before = resident_pages();
  EXPECT_EQ(Checkpoint::open(path).shape("big"), (std::vector<int64_t>{kElements}));
  EXPECT_LT(resident_pages() - before, 4096);
  std::filesystem::remove(path);
}

TEST(Checkpoint, WhatIsNoCheckpointIsRefusedInOneSentence) {
  const std::string folder = temporary("folder");
  std::filesystem::create_directory(folder);
  EXPECT_TRUE(says(open_refusal(temporary("nothing"), ErrorCode::kNotFound), "no such file"));
  EXPECT_TRUE(says(open_refusal(folder + "/../nothing/here", ErrorCode::kNotFound), "no such file"));
  EXPECT_TRUE(says(open_refusal(folder), "a folder"));
  EXPECT_TRUE(says(open_refusal("/dev/null"), "not a regular file"));
  const std::string pipe = temporary("pipe");
  ::mkfifo(pipe.c_str(), 0600);
  EXPECT_TRUE(says(open_refusal(pipe), "not a regular file"));
  EXPECT_TRUE(says(bytes_refusal(""), "an empty file"));
  EXPECT_TRUE(says(bytes_refusal("x"), "not a checkpoint"));
  EXPECT_TRUE(says(bytes_refusal("\x89PNG\r\n\x1a\n and so on"), "not a checkpoint"));
  EXPECT_TRUE(
      says(bytes_refusal("version https://git-lfs.github.com/spec/v1\noid sha256:0\n"), "git lfs pull"));
  const std::string legacy(
      "\x80\x02\x8a\x0al\xfc\x9c"
      "F\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.",
      20);
  EXPECT_TRUE(says(bytes_refusal(legacy), "torch.save(torch.load("));
  EXPECT_TRUE(says(bytes_refusal(std::string("\x80\x02}q\x00.", 6)), "not a checkpoint"));
  EXPECT_TRUE(says(bytes_refusal("PK\x03\x04"), "no directory at its end; the file is damaged or truncated"));
}

// Safetensors headers.

/// Of a file with this header and 16 bytes of data.
std::string header_refusal(const std::string& header) {
  return bytes_refusal(raw_safetensors(header, std::string(16, 0)));
}

std::string described(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
}

TEST(Safetensors, AGoodHeaderIsTaken) {
  EXPECT_EQ(header_refusal(R"({"a":)" + described("F32", "[4]", "[0,16]") + "}  "), "");
  EXPECT_EQ(header_refusal(R"({"a":)" + described("F32", "[2]", "[8,16]") + R"(,"b":)" +
                           described("F32", "[2,1]", "[0,8]") + "}"),
            "");
}

TEST(Safetensors, NumbersMustFitTheFile) {
  const auto one = [](const std::string& shape, const std::string& offsets) {
    return header_refusal(R"({"a":)" + described("F32", shape, offsets) + "}");
  };
  EXPECT_TRUE(says(one("[5]", "[0,20]"), "truncated"));
  EXPECT_TRUE(says(one("[4]", "[4,20]"), "truncated"));
  EXPECT_TRUE(says(one("[4]", "[0,9223372036854775807]"), "truncated"));
  EXPECT_TRUE(says(one("[4]", "[0,9223372036854775808]"), "huge number"));
  EXPECT_TRUE(says(one("[4]", "[16,0]"), "data_offsets"));
  EXPECT_TRUE(says(one("[4]", "[0]"), "data_offsets"));
  EXPECT_TRUE(says(one("[4]", "[0,16,16]"), "data_offsets"));
  EXPECT_TRUE(says(one("[3]", "[0,16]"), "does not fit"));
  EXPECT_TRUE(says(one("[3]", "[4,16]"), "4 bytes belong to no tensor"));
  EXPECT_TRUE(says(one("[3]", "[0,12]"), "4 bytes belong to no tensor"));
  EXPECT_TRUE(says(header_refusal("{}"), "16 bytes belong to no tensor"));
  EXPECT_TRUE(says(one("[4611686018427387904,4]", "[0,16]"), "does not fit"));
  EXPECT_TRUE(says(one("[4294967296,4294967296,0]", "[0,16]"), "does not fit"));
  EXPECT_TRUE(says(one("[-4]", "[0,16]"), "negative"));
  EXPECT_TRUE(says(one("[4.0]", "[0,16]"), "fraction"));
  std::string many = "[1";
  for (int i = 0; i < 32; ++i) many += ",1";
  EXPECT_TRUE(says(one(many + "]", "[0,4]"), "32 dimensions"));
}

TEST(Safetensors, TensorsMayNotOverlap) {
  const auto two = [](const std::string& first, const std::string& second) {
    return header_refusal(R"({"a":)" + described("F32", "[2]", first) + R"(,"b":)" +
                          described("F32", "[2]", second) + "}");
  };
  EXPECT_EQ(two("[0,8]", "[8,16]"), "");
  EXPECT_TRUE(says(two("[0,8]", "[4,12]"), "overlaps"));
  EXPECT_TRUE(says(two("[4,12]", "[0,8]"), "overlaps"));
  EXPECT_TRUE(says(two("[0,8]", "[0,8]"), "overlaps"));
}

TEST(Safetensors, TheHeaderMustBeWhatTheFormatSays) {
  const std::string good = described("F32", "[4]", "[0,16]");
  EXPECT_TRUE(says(header_refusal("{\"a\":" + good), "not JSON"));
  EXPECT_TRUE(says(header_refusal("{\"a\":" + good + "}x"), "not JSON"));
  EXPECT_TRUE(says(header_refusal("{\"\xff\":" + good + "}"), "not JSON"));
  EXPECT_TRUE(says(header_refusal("{\"a\":" + good + ",\"a\":" + good + "}"), "the key 'a' twice"));
  EXPECT_TRUE(says(header_refusal(R"({"a":{"dtype":"F32","shape":[4],"shape":[4],"data_offsets":[0,16]}})"),
                   "twice"));
  EXPECT_TRUE(
      says(header_refusal(R"({"a":{"dtype":"F32","shape":[4]}})"), "without dtype, shape and data_offsets"));
  EXPECT_TRUE(
      says(header_refusal(R"({"a":{"dtype":"F32","shape":4,"data_offsets":[0,16]}})"), "none belongs"));
  EXPECT_TRUE(says(header_refusal(R"({"a":{"dtype":4,"shape":[4],"data_offsets":[0,16]}})"), "none belongs"));
  EXPECT_TRUE(
      says(header_refusal(R"({"a":{"dtype":"F32","shape":[[4]],"data_offsets":[0,16]}})"), "none belongs"));
  EXPECT_TRUE(
      says(header_refusal(R"({"a":{"dtype":"F32","x":[4],"data_offsets":[0,16]}})"), "unknown field 'x'"));
  EXPECT_TRUE(says(header_refusal(R"({"a":null})"), "null"));
  EXPECT_TRUE(says(header_refusal(R"({"a":[1]})"), "none belongs"));
  EXPECT_TRUE(says(header_refusal(R"({"a":{"dtype":{}}})"), "nested"));
  EXPECT_TRUE(says(header_refusal(R"({"__metadata__":{"a":1}})"), "none belongs"));
  EXPECT_TRUE(says(header_refusal(R"({"__metadata__":{"a":"b","a":"c"}})"), "twice"));
  EXPECT_TRUE(says(header_refusal(R"({"__metadata__":{},"__metadata__":{}})"), "twice"));
  std::string deep = "{\"a\":";
  for (int i = 0; i < 100'000; ++i) deep += "{\"dtype\":";
  EXPECT_TRUE(says(header_refusal(deep), "nested"));
  EXPECT_TRUE(says(header_refusal("{\"a\":" + std::string(100'000, '[')), "none belongs"));
}

TEST(Safetensors, TheHeadersLengthIsBounded) {
  const auto with_length = [](uint64_t length) {
    std::string bytes = raw_safetensors("{}", "");
    for (int i = 0; i < 8; ++i) bytes[static_cast<size_t>(i)] = static_cast<char>(length >> (8 * i));
    return bytes_refusal(bytes);
  };
  EXPECT_EQ(with_length(2), "");
  EXPECT_TRUE(says(with_length(3), "truncated"));
  EXPECT_TRUE(says(with_length(100'000'000), "truncated"));
  EXPECT_TRUE(says(with_length(100'000'001), "100 MB"));
  EXPECT_TRUE(says(with_length(~uint64_t{0}), "100 MB"));
}

}  // namespace
}  // namespace rgbd
