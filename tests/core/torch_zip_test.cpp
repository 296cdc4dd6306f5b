// SPDX-License-Identifier: Apache-2.0
// torch.save's files: the layouts and types that are met, and what is refused without being executed.
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>

#include "tests/core/checkpoint_refusal.h"
#include "tests/support/seeded.h"
#include "tests/support/torch_writer.h"

namespace rgbd {
namespace {

using test::KeyLayout;
using test::PickleWriter;
using test::says;
using test::temporary;

const std::vector<float> kSix = {1, 2, 3, 4, 5, 6};

test::Record floats(const std::string& name, const std::vector<float>& values) {
  return {name, [values] { return test::bytes_of(values); }};
}

/// A file whose dict has what `fill` writes between mark and SETITEMS, over the storage "0" of six floats.
std::string file_with(const std::function<void(PickleWriter&)>& fill,
                      std::vector<test::Record> storages = {floats("data/0", kSix)}) {
  PickleWriter pickle;
  pickle.start();
  pickle.start_dict();
  pickle.mark();
  fill(pickle);
  pickle.set_items();
  const std::string path = temporary("file.pth");
  std::vector<test::Record> records = {{"data.pkl", [bytes = pickle.stop()] { return bytes; }}};
  records.insert(records.end(), storages.begin(), storages.end());
  test::write_archive(path, records);
  return path;
}

std::vector<float> values(const at::Tensor& tensor) {
  const auto flat = tensor.contiguous();
  return {flat.const_data_ptr<float>(), flat.const_data_ptr<float>() + flat.numel()};
}

struct Saved {
  KeyLayout layout;
  const char* dtype;
  const char* name;
};

class Layouts : public testing::TestWithParam<Saved> {};

TEST_P(Layouts, HoldTheSeededValuesUnderTheNetworksOwnKeys) {
  const auto& [layout, dtype, name] = GetParam();
  const std::string path =
      testing::TempDir() + "rgbd-layout-" + std::to_string(static_cast<int>(layout)) + dtype;
  test::write_seeded_torch(path, "tiny", 3, layout, dtype);
  const Checkpoint checkpoint = Checkpoint::open(path);
  EXPECT_EQ(checkpoint.layout(), name);
  for (const auto& [key, shape] : test::seeded_shapes("tiny")) {
    ASSERT_TRUE(checkpoint.contains(key)) << key;
    const at::Tensor tensor = checkpoint.tensor(key);
    ASSERT_EQ(tensor.sizes(), at::IntArrayRef(shape)) << key;
    const std::string bytes = test::converted(test::seeded_value(key, shape, 3), dtype);
    ASSERT_EQ(tensor.nbytes(), bytes.size()) << key;
    ASSERT_EQ(std::memcmp(tensor.const_data_ptr(), bytes.data(), bytes.size()), 0) << key;
  }
  std::filesystem::remove(path);
}
INSTANTIATE_TEST_SUITE_P(
    TorchZip, Layouts,
    testing::Values(Saved{KeyLayout::kModel, "F32", "torch zip, key 'model', prefix 'module.'"},
                    Saved{KeyLayout::kModel, "F16", "torch zip, key 'model', prefix 'module.'"},
                    Saved{KeyLayout::kStateDict, "F32", "torch zip, key 'state_dict', prefix 'cdm.main.'"},
                    Saved{KeyLayout::kStateDict, "BF16", "torch zip, key 'state_dict', prefix 'cdm.main.'"},
                    Saved{KeyLayout::kBare, "F32", "torch zip"}));

TEST(TorchZip, ViewsKeepOffsetAndStrides) {
  const auto checkpoint = Checkpoint::open(file_with([](PickleWriter& pickle) {
    pickle.text("transposed");
    pickle.tensor("FloatStorage", "0", 6, 0, {3, 2}, {1, 3});
    pickle.text("tail");
    pickle.tensor("FloatStorage", "0", 6, 4, {2}, {1});
    pickle.text("repeated");
    pickle.tensor("FloatStorage", "0", 6, 5, {3}, {0});
  }));
  EXPECT_EQ(values(checkpoint.tensor("transposed")), (std::vector<float>{1, 4, 2, 5, 3, 6}));
  EXPECT_EQ(values(checkpoint.tensor("tail")), (std::vector<float>{5, 6}));
  EXPECT_EQ(values(checkpoint.tensor("repeated")), (std::vector<float>{6, 6, 6}));
}

TEST(TorchZip, ParametersAreTensors) {
  const auto checkpoint = Checkpoint::open(file_with([](PickleWriter& pickle) {
    pickle.text("weight");
    pickle.global("torch._utils", "_rebuild_parameter");
    pickle.mark();
    pickle.tensor("FloatStorage", "0", 6, 0, {6}, {1});
    pickle.op('\x88');
    pickle.start_ordered_dict();
    pickle.end_tuple();
    pickle.reduce();
  }));
  EXPECT_EQ(values(checkpoint.tensor("weight")), kSix);
}

TEST(TorchZip, NothingIsExecutedAndOnlyTheTensorThatNeedsItIsLost) {
  const std::string witness = temporary("witness");
  std::filesystem::remove(witness);
  const std::string path = file_with([&](PickleWriter& pickle) {
    pickle.text("good");
    pickle.tensor("FloatStorage", "0", 6, 0, {6}, {1});
    pickle.text("bad");
    pickle.global("os", "system");
    pickle.mark();
    pickle.text("touch " + witness);
    pickle.end_tuple();
    pickle.reduce();
  });
  EXPECT_EQ(values(Checkpoint::open(path).tensor("good")), kSix);
  const std::string text = test::tensor_refusal(path, "bad");
  EXPECT_TRUE(says(text, "'os.system', which would have to be executed"));
  EXPECT_TRUE(says(text, "state_dict()"));
  EXPECT_FALSE(std::filesystem::exists(witness));
}

TEST(TorchZip, TensorsMustLieInTheirStorage) {
  struct {
    std::vector<int64_t> shape, strides;
    int64_t offset;
  } wrong[] = {{{7}, {1}, 0},
               {{6}, {1}, 1},
               {{2}, {6}, 0},
               {{6}, {1}, -1},
               {{-1}, {1}, 0},
               {{2}, {-1}, 1},
               {{int64_t{1} << 62, int64_t{1} << 62}, {1, 1}, 0},
               {{2, 3}, {3}, 0}};
  for (const auto& [shape, strides, offset] : wrong) {
    const auto path = file_with([&, s = shape, t = strides, o = offset](PickleWriter& pickle) {
      pickle.text("w");
      pickle.tensor("FloatStorage", "0", 6, o, s, t);
    });
    EXPECT_TRUE(says(test::tensor_refusal(path, "w"), "reaches beyond its data")) << at::IntArrayRef(shape);
  }
}

TEST(TorchZip, AThousandDimensionsAreNotCopiedForEveryKey) {
  const std::vector<int64_t> many(1000, 1);
  const auto path = file_with([&](PickleWriter& pickle) {
    pickle.text("w");
    pickle.tensor("FloatStorage", "0", 6, 0, many, many);
  });
  EXPECT_TRUE(says(test::tensor_refusal(path, "w"), "more than 64 dimensions"));
}

TEST(TorchZip, RecordsThatAreMissingCompressedOrNamedWithoutEnd) {
  const auto tensor_of = [](const std::string& record) {
    return [record](PickleWriter& pickle) {
      pickle.text("w");
      pickle.tensor("FloatStorage", record, 6, 0, {6}, {1});
    };
  };
  EXPECT_TRUE(says(test::tensor_refusal(file_with(tensor_of("1")), "w"), "has no data in the file"));
  EXPECT_TRUE(
      says(test::tensor_refusal(file_with(tensor_of(std::string(5000, '1'))), "w"), "described wrongly"));
  auto compressed = floats("data/0", std::vector<float>(6, 0));
  compressed.compress = true;
  EXPECT_TRUE(says(test::tensor_refusal(file_with(tensor_of("0"), {compressed}), "w"), "is compressed"));
}

TEST(TorchZip, UnknownTypesAreNamed) {
  const auto path = file_with([](PickleWriter& pickle) {
    pickle.text("w");
    pickle.tensor("ComplexFloatStorage", "0", 6, 0, {3}, {1});
  });
  EXPECT_TRUE(says(test::tensor_refusal(path, "w"), "a type that is not supported"));
}

TEST(TorchZip, ATruncatedFileIsRefusedWhereverItEnds) {
  const std::string path = file_with([](PickleWriter& pickle) {
    pickle.text("w");
    pickle.tensor("FloatStorage", "0", 6, 0, {6}, {1});
  });
  const std::string whole = test::read_file(path);
  for (size_t length = 4; length < whole.size(); length += 7)
    EXPECT_NE(test::bytes_refusal(whole.substr(0, length)), "") << length;
}

TEST(TorchZip, OtherZipFilesAreNamed) {
  const std::string path = temporary("other.zip");
  test::write_archive(path, {floats("data/0", kSix)});
  EXPECT_TRUE(says(test::open_refusal(path), "without data.pkl"));
  test::write_archive(path,
                      {{"data.pkl", [] { return std::string("\x80\x02}."); }}, floats("constants.pkl", {1})});
  EXPECT_TRUE(says(test::open_refusal(path), "TorchScript"));
  test::write_archive(path, {{"data.pkl", [] { return std::string("\x80\x02}."); }},
                             {"byteorder", [] { return std::string("big"); }}});
  EXPECT_TRUE(says(test::open_refusal(path), "big-endian"));
  test::write_archive(path, {{"data.pkl", [] { return std::string("\x80\x02]."); }}});
  EXPECT_TRUE(says(test::open_refusal(path), "state_dict()"));
}

}  // namespace
}  // namespace rgbd
