// SPDX-License-Identifier: Apache-2.0
// librgbd as a program sees it: the shared library, its one header, a small seeded checkpoint.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "core/rgbd.h"
#include "tests/support/seeded.h"

namespace rgbd {
namespace {

// 4 blocks of 64 channels; exists only in tests.
const std::string& checkpoint() {
  static const std::string path = [] {
    const auto file =
        std::filesystem::temp_directory_path() / ("rgbd-refiner-test-" + std::to_string(getpid()));
    test::write_seeded(file.string(), "tiny");
    return file.string();
  }();
  // After the path: what is made first goes last.
  static const int removed = std::atexit([] { std::filesystem::remove(path); });
  EXPECT_EQ(removed, 0);
  return path;
}

Options tiny() {
  Options options;
  options.model = checkpoint();
  options.device = "cpu";
  options.input_size = 56;
  return options;
}

struct Frame {
  Frame() : rgb(3 * 80 * 60), raw(80 * 60), refined(80 * 60, 7) {
    for (size_t i = 0; i < rgb.size(); ++i) rgb[i] = static_cast<uint8_t>(i * 31);
    for (size_t i = 0; i < raw.size(); ++i) raw[i] = static_cast<uint16_t>(i % 9 == 0 ? 0 : 800 + i % 500);
    image.width = depth.width = out.width = 80;
    image.height = depth.height = out.height = 60;
    image.planes[0] = {rgb.data(), 240};
    depth.data = reinterpret_cast<const uint8_t*>(raw.data());
    out.data = reinterpret_cast<uint8_t*>(refined.data());
    depth.stride_bytes = out.stride_bytes = 160;
  }
  std::vector<uint8_t> rgb;
  std::vector<uint16_t> raw, refined;
  ImageView image;
  DepthView depth;
  DepthOut out;
};

std::string refusal(const Options& options, ErrorCode code) {
  try {
    open(options);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "it opened";
  return "";
}

TEST(Refiner, OpenmpsThreadsSleepWithoutAWordInTheEnvironment) {
  const auto cpus = static_cast<size_t>(std::thread::hardware_concurrency());
  for (const char* name : {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "OMP_NUM_THREADS"}) {
    if (std::getenv(name)) GTEST_SKIP() << name << " is set";
  }
  if (cpus < 2) GTEST_SKIP() << "one CPU: no team of threads";
  auto refiner = open(tiny());
  EXPECT_EQ(std::getenv("OMP_WAIT_POLICY"), nullptr) << "a thread may be reading the environment";
  // GNU's runtime: a team larger than the machine, beside this thread and the worker.
  const auto threads = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/task"), {});
  };
  while (static_cast<size_t>(threads()) < 2 + cpus + 1) std::this_thread::yield();
  // Whose threads sleep is of use only if they are the ones that work.
  std::ifstream maps("/proc/self/maps");
  std::set<std::string> runtimes;
  for (std::string line; std::getline(maps, line);) {
    const auto name = line.substr(line.rfind('/') + 1);
    if (name.rfind("libgomp", 0) == 0 || name.rfind("libomp", 0) == 0 || name.rfind("libiomp", 0) == 0)
      runtimes.insert(line.substr(line.find('/')));
  }
  EXPECT_EQ(runtimes.size(), 1u) << testing::PrintToString(runtimes);
}

TEST(Refiner, RefinesWithARealNetwork) {
  auto refiner = open(tiny());
  EXPECT_EQ(refiner->info().architecture, "cdm");
  EXPECT_EQ(refiner->info().device, "cpu");
  EXPECT_EQ(refiner->info().model, checkpoint());
  EXPECT_EQ(refiner->info().input_size, 56u);
  EXPECT_GT(refiner->info().parameters, 100'000u);
  EXPECT_EQ(refiner->info().runtime.rfind("torch 2.", 0), 0u);
  refiner->warm_up(80, 60);
  Frame first, second;
  const auto result = refiner->submit(first.image, first.depth, first.out)->wait();
  ASSERT_TRUE(result);
  EXPECT_GE(result->max_inverse_depth, result->min_inverse_depth);
  EXPECT_TRUE(refiner->submit(second.image, second.depth, second.out)->wait());
  EXPECT_EQ(first.refined, second.refined) << "the same pair gives the same depth";
  std::vector<uint16_t> sorted = first.refined;
  std::sort(sorted.begin(), sorted.end());
  EXPECT_GT(std::unique(sorted.begin(), sorted.end()) - sorted.begin(), 10) << "a map, not a constant";
}

TEST(Refiner, SharesByInstanceId) {
  Options options = tiny();
  options.instance_id = "refiner-test";
  auto first = open(options), second = open(options);
  EXPECT_NE(first, second) << "each camera has its own handle";
  EXPECT_EQ(&first->info(), &second->info()) << "on one model";
  options.input_size = 84;
  EXPECT_NE(refusal(options, ErrorCode::kInvalidArgument).find("input size"), std::string::npos);
}

TEST(Refiner, OutlivesNothingItNeeds) {
  Frame frame;
  std::unique_ptr<Pending> pending;
  {
    auto refiner = open(tiny());
    pending = refiner->submit(frame.image, frame.depth, frame.out);
  }  // waits for the pair
  EXPECT_TRUE(pending->wait());
}

TEST(Refiner, SaysWhatIsWrong) {
  Options options = tiny();
  options.model = "/nowhere/model.pth";
  EXPECT_NE(refusal(options, ErrorCode::kNotFound).find("/nowhere/model.pth"), std::string::npos);
  options = tiny();
  options.input_size = 13;
  EXPECT_NE(refusal(options, ErrorCode::kInvalidArgument).find("13"), std::string::npos);
  options = tiny();
  options.device = "abacus";
  EXPECT_NE(refusal(options, ErrorCode::kInvalidArgument).find("abacus"), std::string::npos);
  options = tiny();
  options.precision = Precision::kBf16;
  const auto refiner = open(options);
  EXPECT_EQ(refiner->info().precision, Precision::kFp32);
  EXPECT_EQ(refiner->info().warnings,
            std::vector<std::string>{"BF16 only supported on CUDA, falling back to FP32"});
}

TEST(Refiner, LooksForTheEmbeddedModelWhereItIsTold) {
  const auto folder = std::filesystem::temp_directory_path() / ("rgbd-data-" + std::to_string(getpid()));
  std::filesystem::create_directory(folder);
  const char* before = std::getenv("RGBD_DATA_DIR");
  const std::string kept = before ? before : "";
  setenv("RGBD_DATA_DIR", folder.c_str(), 1);
  Options options;
  options.device = "cpu";
  const auto file = folder / "rgbdrefine.safetensors";
  EXPECT_NE(refusal(options, ErrorCode::kNotFound).find(file.string()), std::string::npos);
  std::filesystem::copy_file(checkpoint(), file);
  options.input_size = 56;
  EXPECT_EQ(open(options)->info().model, file.string());
  unsetenv("RGBD_DATA_DIR");  // beside the library now; it need not be there in a build tree
  try {
    EXPECT_NE(open(options)->info().model, file.string());
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNotFound);
    EXPECT_NE(std::string(error.what()).find("share"), std::string::npos) << error.what();
  }
  if (before) setenv("RGBD_DATA_DIR", kept.c_str(), 1);
  std::filesystem::remove_all(folder);
}

TEST(Runtime, AnswersOnlyItsOwnAbi) {
  EXPECT_EQ(rgbd_runtime(kAbiVersion + 1), nullptr);
  Runtime* runtime = rgbd_runtime(kAbiVersion);
  ASSERT_NE(runtime, nullptr);
  EXPECT_EQ(runtime, rgbd_runtime(kAbiVersion));
  EXPECT_STREQ(runtime->version(), RGBD_EXPECTED_VERSION);
}

TEST(Runtime, LogsToTheSink) {
  std::mutex mutex;
  std::vector<std::string> lines;
  Runtime* runtime = rgbd_runtime(kAbiVersion);
  runtime->set_log_sink([&](LogLevel level, const std::string& text) {
    std::lock_guard lock(mutex);
    if (level == LogLevel::kInfo) lines.push_back(text);
  });
  open(tiny());
  runtime->set_log_sink({});
  std::lock_guard lock(mutex);
  EXPECT_TRUE(std::any_of(lines.begin(), lines.end(), [](const std::string& line) {
    return line.find(checkpoint()) != std::string::npos && line.find("fp32") != std::string::npos;
  }));
}

}  // namespace
}  // namespace rgbd
