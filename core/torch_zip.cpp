// SPDX-License-Identifier: Apache-2.0
// torch.save's zip files: ARCHIVE/data.pkl names the tensors, ARCHIVE/data/N holds their storages. The pickle
// is read as plain values (pickle.h); this file knows the few calls in it that mean a tensor or a dict.
// Nothing is executed: what any other call would have made has no value here, and is an error only for a
// tensor that is asked for. Mirrors torch/_utils.py (_rebuild_tensor_v2 and its kin) and
// torch/serialization.py (persistent ids).
#include <array>
#include <span>

#include "core/checkpoint_file.h"
#include "core/pickle.h"
#include "core/zip.h"

namespace rgbd {
namespace {

using pickle::Id;
using pickle::Kind;
using pickle::Value;

constexpr size_t kLongestName = 255;
constexpr const char* kFetchAgain = "; the file is damaged or truncated, fetch it again";

/// Why one tensor cannot be had: a clause that follows its key.
class Unusable : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct DtypeName {
  std::string_view storage;  // class of a typed storage
  std::string_view dtype;    // torch.NAME
  at::ScalarType type;
};
constexpr DtypeName kDtypes[] = {
    {"FloatStorage", "float32", at::kFloat},
    {"HalfStorage", "float16", at::kHalf},
    {"BFloat16Storage", "bfloat16", at::kBFloat16},
    {"DoubleStorage", "float64", at::kDouble},
    {"LongStorage", "int64", at::kLong},
    {"IntStorage", "int32", at::kInt},
    {"ShortStorage", "int16", at::kShort},
    {"CharStorage", "int8", at::kChar},
    {"ByteStorage", "uint8", at::kByte},
    {"BoolStorage", "bool", at::kBool},
};

struct Storage {
  std::string record;  // name in the archive
  zip::Entry entry;
  std::optional<at::ScalarType> dtype;  // nothing: an untyped one
};

struct Located {
  Storage storage;
  TensorLayout layout;
};

/// Reads values of one pickle as torch would have made them.
class Interpreter {
 public:
  using Directory = std::map<std::string, zip::Entry, std::less<>>;
  Interpreter(const pickle::Document& values, const Directory& directory, std::string archive)
      : values_(values), directory_(directory), archive_(std::move(archive)) {}

  /// Keys and values in turn, or nothing when it is no dict.
  std::optional<std::span<const Id>> pairs(const Value& value) const {
    const bool is_dict = value.kind == Kind::kDict || calls(value, "collections", "OrderedDict") ||
                         calls(value, "collections", "defaultdict");
    if (!is_dict) return {};
    return std::span<const Id>(value.items);
  }

  const Value* find(std::span<const Id> pairs, std::string_view key) const {
    for (size_t i = 0; i + 1 < pairs.size(); i += 2) {
      const Value& name = values_[pairs[i]];
      if (name.kind == Kind::kString && name.text == key) return &values_[pairs[i + 1]];
    }
    return nullptr;
  }

  /// "module.name" of what a value would be made by, for messages.
  std::string maker(const Value& value) const {
    const Value& callee = values_[value.callee];
    if (value.kind != Kind::kCall || callee.kind != Kind::kGlobal) return "an unknown object";
    return quote(std::string(callee.module) + "." + std::string(callee.text));
  }

  /// Throws Unusable.
  Located tensor(const Value& value) const {
    const Value* call = &value;
    constexpr int kMostWrappers = 16;  // a parameter of a parameter …; values may go in circles
    for (int i = 0; i < kMostWrappers; ++i) {
      const std::span<const Id> arguments = items(values_[call->arguments], Kind::kTuple);
      if (calls(*call, "torch._utils", "_rebuild_parameter") ||
          calls(*call, "torch._utils", "_rebuild_parameter_with_state")) {
        call = &argument(arguments, 0);
        if (call->kind != Kind::kCall) break;
      } else if (calls(*call, "torch._tensor", "_rebuild_from_type_v2")) {
        const Value& type = argument(arguments, 1);
        const bool plain = is_global(type, "torch", "Tensor") ||
                           is_global(type, "torch.nn.parameter", "Parameter") ||
                           is_global(type, "torch.nn.parameter", "Buffer");
        if (!plain) break;
        return rebuilt(argument(arguments, 0), items(argument(arguments, 2), Kind::kTuple), value);
      } else {
        return rebuilt(values_[call->callee], arguments, value);
      }
    }
    throw_executed(value);
  }

 private:
  static bool is_global(const Value& value, std::string_view module, std::string_view name) {
    return value.kind == Kind::kGlobal && value.module == module && value.text == name;
  }

  bool calls(const Value& value, std::string_view module, std::string_view name) const {
    return value.kind == Kind::kCall && is_global(values_[value.callee], module, name);
  }

  [[noreturn]] void throw_executed(const Value& value) const {
    throw Unusable("is made by " + maker(value) +
                   ", which would have to be executed; save the model's state_dict() as plain tensors");
  }

  static std::span<const Id> items(const Value& value, Kind kind) {
    if (value.kind != kind) throw Unusable(std::string("is described wrongly") + kFetchAgain);
    return value.items;
  }

  const Value& argument(std::span<const Id> arguments, size_t index) const {
    if (index >= arguments.size()) throw Unusable(std::string("is described wrongly") + kFetchAgain);
    return values_[arguments[index]];
  }

  int64_t integer(const Value& value) const {
    if (value.kind != Kind::kInt) throw Unusable(std::string("is described wrongly") + kFetchAgain);
    return value.integer;
  }

  /// A tuple of numbers, or torch.Size of one.
  std::vector<int64_t> integers(const Value& value) const {
    const bool is_size = calls(value, "torch", "Size");
    const Value& tuple = is_size ? argument(items(values_[value.arguments], Kind::kTuple), 0) : value;
    constexpr size_t kMostDimensions = 64;  // torch's own limit; many tensors may share one tuple
    const auto ids = items(tuple, Kind::kTuple);
    if (ids.size() > kMostDimensions) throw Unusable("has more than 64 dimensions");
    std::vector<int64_t> numbers;
    for (Id id : ids) numbers.push_back(integer(values_[id]));
    return numbers;
  }

  /// _rebuild_tensor, _v2 or _v3 with these arguments: storage, offset, size, stride, …
  Located rebuilt(const Value& function, std::span<const Id> arguments, const Value& whole) const {
    const bool v1 = is_global(function, "torch._utils", "_rebuild_tensor");
    const bool v2 = is_global(function, "torch._utils", "_rebuild_tensor_v2");
    const bool v3 = is_global(function, "torch._utils", "_rebuild_tensor_v3");
    if (!v1 && !v2 && !v3) throw_executed(whole);
    const size_t metadata = v3 ? 7 : 6;
    if (arguments.size() > metadata && !values_[arguments[metadata]].items.empty()) {
      throw Unusable("is a conjugate or negated view; save it as tensor.clone()");
    }

    Storage storage = located(argument(arguments, 0), whole);
    std::optional<at::ScalarType> dtype = storage.dtype;
    if (v3) dtype = named_dtype(argument(arguments, 6));
    if (!dtype) throw Unusable("has a type that is not supported; save it as float32, float16 or bfloat16");
    TensorLayout layout{*dtype, integer(argument(arguments, 1)), integers(argument(arguments, 2)),
                        integers(argument(arguments, 3))};
    const auto span = span_bytes(layout);
    if (!span || *span > storage.entry.size) {
      throw Unusable(std::string("reaches beyond its data in the file") + kFetchAgain);
    }
    return {std::move(storage), std::move(layout)};
  }

  static std::optional<at::ScalarType> named_dtype(const Value& value) {
    for (const DtypeName& known : kDtypes) {
      if (is_global(value, "torch", known.dtype)) return known.type;
    }
    return {};
  }

  /// A persistent id: ("storage", class, key, location, count).
  Storage located(const Value& value, const Value& whole) const {
    if (value.kind != Kind::kPersistent) throw_executed(whole);
    const std::span<const Id> id = items(values_[value.items[0]], Kind::kTuple);
    const Value& type = argument(id, 1);
    const Value& key = argument(id, 2);
    if (type.kind != Kind::kGlobal || key.kind != Kind::kString) throw_executed(whole);
    // torch counts: "0", "1", … Every tensor keeps its record's name, so a long one would be kept many times.
    if (key.text.size() > kLongestName) throw Unusable(std::string("is described wrongly") + kFetchAgain);

    Storage storage;
    for (const DtypeName& known : kDtypes) {
      const bool torch_own = type.module == "torch" || type.module == "torch.cuda";
      if (torch_own && type.text == known.storage) storage.dtype = known.type;
    }
    storage.record = archive_ + "data/" + std::string(key.text);
    const auto found = directory_.find(storage.record);
    if (found == directory_.end()) {
      throw Unusable("has no data in the file (record " + quote(storage.record) + ")" + kFetchAgain);
    }
    if (!found->second.stored) throw Unusable("is compressed; save the file again with torch.save");
    storage.entry = found->second;
    return storage;
  }

  const pickle::Document& values_;
  const Directory& directory_;
  std::string archive_;
};

/// "NAME/" of the one folder that holds data.pkl.
std::string archive_folder(const Interpreter::Directory& directory, const std::string& path) {
  constexpr std::string_view kPickle = "/data.pkl";
  std::string folder;
  for (const auto& [name, entry] : directory) {
    if (!name.ends_with(kPickle) || name.find('/') != name.size() - kPickle.size()) continue;
    if (!folder.empty())
      throw_bad(path, "a zip file with more than one data.pkl; expected one written by torch.save");
    folder = name.substr(0, name.size() - kPickle.size() + 1);
  }
  if (folder.empty()) throw_bad(path, "a zip file without data.pkl; expected one written by torch.save");
  if (folder.size() > kLongestName + 1)
    throw_bad(path, "a zip file with a folder name of " + std::to_string(folder.size()) + " bytes");
  if (directory.count(folder + "constants.pkl") != 0) {
    throw_bad(path,
              "a TorchScript archive, which is a program; save the model's state_dict() with torch.save");
  }
  return folder;
}

std::string record(const zip::Archive& archive, const Interpreter::Directory& directory,
                   const std::string& name, const std::string& path) {
  const zip::Entry& entry = directory.at(name);
  if (!entry.stored) throw_bad(path, "a compressed zip file; save it again with torch.save");
  if (entry.size > kMostDescription) {
    throw_bad(path, "its record " + quote(name) + " has " + std::to_string(entry.size) +
                        " bytes, which no checkpoint's has" + kFetchAgain);
  }
  return archive.read(zip::data_offset(archive, name, entry), entry.size);
}

zip::Archive archive_in(const CheckpointFile& file) {
  return {file.size(), [&file](uint64_t offset, uint64_t size) { return file.read(offset, size); }};
}

struct State {
  std::span<const Id> pairs;
  std::string layout;
};

/// Where the tensors are: under "model", under "state_dict", or at the top.
State find_state(const Interpreter& interpreter, const Value& root, const std::string& path) {
  const auto refuse = [&](const std::string& what, const Value& object) {
    throw_bad(path, what + " is an object made by " + interpreter.maker(object) +
                        ", which would have to be executed; save the model's state_dict() with torch.save");
  };
  const auto top = interpreter.pairs(root);
  if (!top && root.kind == Kind::kCall) refuse("it", root);
  if (!top)
    throw_bad(path, "a torch file without named tensors; save the model's state_dict() with torch.save");
  for (const char* key : {"model", "state_dict"}) {
    const Value* inner = interpreter.find(*top, key);
    if (!inner) continue;
    if (const auto pairs = interpreter.pairs(*inner)) return {*pairs, "torch zip, key " + quote(key)};
    if (inner->kind == Kind::kCall) refuse(quote(key) + " in it", *inner);
  }
  return {*top, "torch zip"};
}

void add_tensors(CheckpointBuilder& builder, const Interpreter& interpreter, const pickle::Document& values,
                 std::span<const Id> pairs, const std::shared_ptr<const CheckpointFile>& file) {
  for (size_t i = 0; i + 1 < pairs.size(); i += 2) {
    const Value& key = values[pairs[i]];
    const Value& value = values[pairs[i + 1]];
    if (key.kind != Kind::kString || value.kind != Kind::kCall || interpreter.pairs(value)) continue;
    const std::string name(key.text);
    try {
      const Located located = interpreter.tensor(value);
      builder.add(name, located.layout.shape, [file, located, name] {
        try {
          const uint64_t begin =
              zip::data_offset(archive_in(*file), located.storage.record, located.storage.entry);
          return read_tensor(*file, begin, located.layout);
        } catch (const zip::Malformed& error) {
          throw_bad(file->path(), "the zip archive " + std::string(error.what()) + " (data of " +
                                      quote(name) + ")" + kFetchAgain);
        }
      });
    } catch (const Unusable& error) {
      builder.add_problem(name, error.what());
    }
  }
}

}  // namespace

Checkpoint open_torch_zip(const std::shared_ptr<const CheckpointFile>& file) {
  const std::string& path = file->path();
  const zip::Archive archive = archive_in(*file);
  try {
    const auto directory = zip::read_directory(archive);
    const std::string folder = archive_folder(directory, path);
    const std::string byte_order = folder + "byteorder";
    if (directory.count(byte_order) != 0 && record(archive, directory, byte_order, path) != "little") {
      throw_bad(path, "its numbers are big-endian; save it again on a little-endian machine");
    }
    const std::string pickled = record(archive, directory, folder + "data.pkl", path);
    const pickle::Document values = pickle::parse(pickled);  // views of it
    const Interpreter interpreter(values, directory, folder);
    const State state = find_state(interpreter, values.root(), path);
    CheckpointBuilder builder(path);
    add_tensors(builder, interpreter, values, state.pairs, file);
    return builder.finish(state.layout);
  } catch (const zip::Malformed& error) {
    throw_bad(path, "the zip archive " + std::string(error.what()) + kFetchAgain);
  } catch (const pickle::Malformed& error) {
    throw_bad(path, "its data.pkl " + std::string(error.what()) + kFetchAgain);
  }
}

}  // namespace rgbd
