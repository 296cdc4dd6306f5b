// SPDX-License-Identifier: Apache-2.0
#include "core/checkpoint.h"

#include <ATen/ops/aminmax.h>
#include <ATen/ops/empty_strided.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "core/checkpoint_file.h"
#include "core/in_torch.h"
#include "core/rgbd.h"

namespace rgbd {
namespace {

// Present in every file of the published family, and in no other key's place: "depth_pretrained.cls_token"
// ends the same way, so what is before the sentinel must be nothing or end in a dot.
constexpr std::string_view kSentinel = "pretrained.cls_token";

// torch before 1.6 wrote one pickle after another; the first is this long integer.
constexpr std::string_view kLegacyMagic("\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 10);

bool is_safetensors(std::string_view bytes) {
  return bytes.size() > 8 && bytes[8] == '{';
}

[[noreturn]] void throw_unknown(const std::string& path, std::string_view bytes) {
  if (bytes.substr(0, 32).find(kLegacyMagic) != bytes.npos) {
    throw_bad(path,
              "a legacy torch file (before torch 1.6); save it again with: python3 -c \"import sys, torch; "
              "torch.save(torch.load(sys.argv[1], map_location='cpu'), sys.argv[2])\" OLD.pth NEW.pth");
  }
  if (bytes.starts_with("version https://git-lfs")) {
    throw_bad(path, "a Git LFS pointer, not the file itself; run git lfs pull in its repository");
  }
  throw_bad(
      path,
      "not a checkpoint; expected a file written by torch.save (.pt .pth .ckpt) or a .safetensors file");
}

}  // namespace

void throw_bad(const std::string& path, const std::string& reason) {
  throw Error(ErrorCode::kBadCheckpoint, path + ": " + reason);
}

std::string quote(std::string_view text) {
  constexpr size_t kMost = 80;
  std::string out = "'";
  for (char c : text.substr(0, kMost)) out += (c >= 0x20 && c < 0x7f) ? c : '?';
  return out + (text.size() > kMost ? "…'" : "'");
}

std::shared_ptr<const CheckpointFile> CheckpointFile::open(const std::string& path) {
  const auto no_file = [&](const std::string& reason) -> Error {
    return {ErrorCode::kNotFound, path + ": " + reason};
  };
  // O_NONBLOCK: a named pipe would wait for a writer.
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) {
    if (errno == ENOENT || errno == ENOTDIR) throw no_file("no such file; give the path of a checkpoint");
    throw no_file(std::string("cannot be opened: ") + std::strerror(errno));
  }
  const std::shared_ptr<CheckpointFile> file(new CheckpointFile(path, descriptor));
  struct stat facts {};
  if (::fstat(descriptor, &facts) != 0) throw no_file(std::string("cannot be read: ") + std::strerror(errno));
  if (S_ISDIR(facts.st_mode)) throw_bad(path, "a folder; give the path of the checkpoint file in it");
  if (!S_ISREG(facts.st_mode)) throw_bad(path, "not a regular file; give the path of a checkpoint");
  if (facts.st_size == 0) throw_bad(path, "an empty file; fetch the checkpoint again");
  file->size_ = static_cast<uint64_t>(facts.st_size);
  file->written_ = facts.st_mtim;
  return file;
}

CheckpointFile::~CheckpointFile() {
  ::close(descriptor_);
}

void CheckpointFile::read(uint64_t offset, void* to, uint64_t size) const {
  const auto changed = [&] {
    throw_bad(
        path_,
        "was written to while it was read; write a new model to another file and rename it to this one");
  };
  throw_if_ending();  // loading takes many of these
  auto* at = static_cast<char*>(to);
  while (size > 0) {
    const ssize_t count = ::pread(descriptor_, at, size, static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw_bad(path_, std::string("cannot be read: ") + std::strerror(errno));
    if (count == 0) changed();
    at += count;
    offset += static_cast<uint64_t>(count);
    size -= static_cast<uint64_t>(count);
  }
  struct stat now {};
  if (::fstat(descriptor_, &now) != 0 || static_cast<uint64_t>(now.st_size) != size_ ||
      now.st_mtim.tv_sec != written_.tv_sec || now.st_mtim.tv_nsec != written_.tv_nsec) {
    changed();
  }
}

std::string CheckpointFile::read(uint64_t offset, uint64_t size) const {
  std::string bytes(size, '\0');
  read(offset, bytes.data(), size);
  return bytes;
}

std::vector<int64_t> row_major(const std::vector<int64_t>& shape) {
  std::vector<int64_t> strides(shape.size());
  int64_t step = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    strides[i] = step;
    if (__builtin_mul_overflow(step, std::max<int64_t>(shape[i], 1), &step)) {
      step = std::numeric_limits<int64_t>::max();
    }
  }
  return strides;
}

std::optional<uint64_t> span_bytes(const TensorLayout& layout) {
  constexpr size_t kMostDimensions = 32;
  const auto item = static_cast<int64_t>(c10::elementSize(layout.dtype));
  if (layout.offset < 0 || layout.shape.size() > kMostDimensions ||
      layout.shape.size() != layout.strides.size()) {
    return {};
  }
  int64_t elements =
      item;  // in bytes; zero strides make more elements than storage, they must be countable too
  int64_t last = layout.offset;
  bool empty = false;
  for (size_t i = 0; i < layout.shape.size(); ++i) {
    const int64_t side = layout.shape[i];
    if (side < 0 || layout.strides[i] < 0) return {};
    if (side == 0) empty = true;
    int64_t reach = 0;
    if (__builtin_mul_overflow(elements, std::max<int64_t>(side, 1), &elements) ||
        __builtin_mul_overflow(std::max<int64_t>(side - 1, 0), layout.strides[i], &reach) ||
        __builtin_add_overflow(last, reach, &last)) {
      return {};
    }
  }
  int64_t bytes = 0;
  if (__builtin_add_overflow(last, 1, &last) || __builtin_mul_overflow(last, item, &bytes)) return {};
  return empty ? 0 : static_cast<uint64_t>(bytes);
}

at::Tensor read_tensor(const CheckpointFile& file, uint64_t begin, const TensorLayout& layout) {
  const auto options = at::TensorOptions().dtype(layout.dtype).device(at::kCPU);
  at::Tensor tensor = at::empty_strided(layout.shape, layout.strides, options);
  if (tensor.numel() == 0) return tensor;
  const uint64_t item = c10::elementSize(layout.dtype);
  // As far as the strides reach, whatever the order in there.
  file.read(begin + static_cast<uint64_t>(layout.offset) * item, tensor.mutable_data_ptr(),
            tensor.storage().nbytes());
  return tensor;
}

void CheckpointBuilder::insert(const std::string& key, Checkpoint::Entry entry) {
  if (!checkpoint_.entries_.emplace(key, std::move(entry)).second) {
    throw_bad(checkpoint_.path_, "the key " + quote(key) + " occurs twice; the file is damaged");
  }
}

void CheckpointBuilder::add(const std::string& key, std::vector<int64_t> shape,
                            std::function<at::Tensor()> read) {
  insert(key, {std::move(shape), std::move(read), {}});
}

void CheckpointBuilder::add_problem(const std::string& key, const std::string& problem) {
  insert(key, {{}, {}, problem});
}

void CheckpointBuilder::add_metadata(const std::string& key, const std::string& value) {
  if (!checkpoint_.metadata_.emplace(key, value).second) {
    throw_bad(checkpoint_.path_, "the metadata key " + quote(key) + " occurs twice; the file is damaged");
  }
}

Checkpoint CheckpointBuilder::finish(const std::string& layout) {
  checkpoint_.layout_ = layout;
  std::optional<std::string> prefix;  // the shortest: the network itself, not a copy inside something else
  for (const auto& [key, entry] : checkpoint_.entries_) {
    if (!key.ends_with(kSentinel)) continue;
    const std::string before = key.substr(0, key.size() - kSentinel.size());
    if ((before.empty() || before.back() == '.') && (!prefix || before.size() < prefix->size()))
      prefix = before;
  }
  if (!prefix || prefix->empty()) return std::move(checkpoint_);

  checkpoint_.layout_ += ", prefix " + quote(*prefix);
  // Other keys stay as they are, unless the network has one of that name.
  auto others = std::exchange(checkpoint_.entries_, {});
  for (auto at = others.lower_bound(*prefix); at != others.end() && at->first.starts_with(*prefix);) {
    auto node = others.extract(at++);
    node.key().erase(0, prefix->size());
    checkpoint_.entries_.insert(std::move(node));
  }
  checkpoint_.entries_.merge(others);
  return std::move(checkpoint_);
}

Checkpoint Checkpoint::open(const std::string& path) {
  const auto file = CheckpointFile::open(path);
  const std::string bytes = file->read(0, std::min<uint64_t>(file->size(), 64));
  if (bytes.starts_with("PK\x03\x04")) return open_torch_zip(file);
  if (is_safetensors(bytes)) return open_safetensors(file);
  throw_unknown(path, bytes);
}

const Checkpoint::Entry& Checkpoint::entry(const std::string& key) const {
  const auto found = entries_.find(key);
  if (found == entries_.end()) throw_bad(path_, "holds no tensor " + quote(key));
  if (!found->second.problem.empty()) throw_bad(path_, quote(key) + " " + found->second.problem);
  return found->second;
}

bool Checkpoint::contains(const std::string& key) const {
  return entries_.count(key) != 0;
}

std::vector<int64_t> Checkpoint::shape(const std::string& key) const {
  return entry(key).shape;
}

at::Tensor Checkpoint::tensor(const std::string& key) const {
  return entry(key).read();
}

at::Tensor Checkpoint::weight(const std::string& key) const {
  auto values = tensor(key);
  if (!values.is_floating_point()) {
    throw_bad(path_, quote(key) + " holds whole numbers (" + c10::toString(values.scalar_type()) +
                         "), not weights; save it as float32, float16 or bfloat16");
  }
  values = values.to(at::kFloat).contiguous();  // float32 stays where it was read to
  if (values.numel() == 0) return values;
  const auto [least, most] = at::aminmax(values);
  if (!std::isfinite(least.item<float>()) || !std::isfinite(most.item<float>()))
    throw_bad(path_,
              quote(key) + " holds values that are not finite; its training failed, or the file is damaged");
  return values;
}

std::vector<std::string> Checkpoint::keys() const {
  std::vector<std::string> names;
  names.reserve(entries_.size());
  for (const auto& [key, entry] : entries_) names.push_back(key);
  return names;
}

}  // namespace rgbd
