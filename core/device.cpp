// SPDX-License-Identifier: Apache-2.0
// See device.h.
#include "core/device.h"

#include <ATen/Context.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/conv_transpose2d.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/pixel_shuffle.h>
#include <ATen/ops/pixel_unshuffle.h>
#include <ATen/ops/replication_pad2d.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/sort.h>
#include <ATen/ops/upsample_bilinear2d.h>
#include <ATen/ops/upsample_nearest2d.h>
#include <c10/core/DeviceGuard.h>
#include <dlfcn.h>
#include <unwind.h>

#include <cctype>
#include <cstdlib>
#include <filesystem>

#include "core/cuda_module.h"
#include "core/errors.h"
#include "core/log.h"
#include "core/paths.h"

namespace rgbd {
namespace {

// What became of librgbd-cuda.so; written once.
struct CudaModule {
  std::string problem;  // why there is none
  const cuda::Module* module = nullptr;
};

/// The module and its torch must resume exceptions as librgbd.so does. Where that is bound to another library
/// than the first of the process (see gst/refine/unwinder.h), so must they be; not where it has a copy of its
/// own, which a compiler may link into it.
int flags_for_exceptions() {
#if defined RTLD_DEEPBIND && !defined __SANITIZE_ADDRESS__
  void* const process = dlopen(nullptr, RTLD_NOW);
  void* const first = process ? dlsym(process, "_Unwind_Resume") : nullptr;
  void* const own = reinterpret_cast<void*>(&_Unwind_Resume);
  Dl_info there{}, here{};
  if (first && first != own && dladdr(own, &there) &&
      dladdr(reinterpret_cast<void*>(&flags_for_exceptions), &here) && there.dli_fbase != here.dli_fbase)
    return RTLD_DEEPBIND;
#endif
  return 0;
}

CudaModule open_cuda_module() {
  namespace fs = std::filesystem;
  const char* set = std::getenv("RGBD_CUDA_LIBRARY");
  const std::string path = set && *set ? set : (fs::path(library_folder()) / "librgbd-cuda.so").string();
  CudaModule module;
  std::error_code failed;
  if (!fs::exists(path, failed)) {
    module.problem = "no CUDA module at " + path;
  } else if (void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL | flags_for_exceptions())) {
    // Never closed: torch has no way back.
    if (auto* entry = reinterpret_cast<decltype(&rgbd_cuda_module)>(dlsym(handle, "rgbd_cuda_module")))
      module.module = entry(cuda::kModuleVersion, log);
    if (!module.module) module.problem = path + " is not the CUDA module of this librgbd";
  } else {
    const char* reason = dlerror();
    module.problem = std::string("the CUDA module cannot be opened: ") + (reason ? reason : path);
  }
  log(LogLevel::kInfo, module.problem.empty() ? "opened the CUDA module " + path : module.problem);
  return module;
}

const CudaModule& opened() {
  static const CudaModule& module =
      *new CudaModule(open_cuda_module());  // threads ask while the process ends
  return module;
}

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

// N of "cuda:N"; 0 for "cuda"; -1 for anything else.
int cuda_index(const std::string& name) {
  if (name == "cuda") return 0;
  if (name.rfind("cuda:", 0) != 0 || name.size() < 6 || name.size() > 7) return -1;
  int index = 0;
  for (char c : name.substr(5)) {
    if (!std::isdigit(static_cast<unsigned char>(c))) return -1;
    index = 10 * index + (c - '0');
  }
  return index;
}

at::Device find_device(const std::string& name, const Machine& machine) {
  if (name == "cpu") return at::kCPU;
  if (name == "auto" || name.empty()) {
    if (machine.cuda_devices > 0) return {at::kCUDA, 0};
    return machine.mps ? at::Device(at::kMPS, 0) : at::Device(at::kCPU);
  }
  if (name == "mps") {
    if (!machine.mps)
      throw Error(ErrorCode::kDevice, "MPS requested but not available: this torch has no Apple GPU");
    return {at::kMPS, 0};
  }
  const int index = cuda_index(name);
  if (index < 0) {
    throw Error(ErrorCode::kInvalidArgument,
                "unknown device '" + name + "': expected auto, cpu, cuda, cuda:N or mps");
  }
  if (machine.cuda_devices == 0) {
    throw Error(ErrorCode::kDevice, "CUDA requested but not available: " + machine.why_no_cuda);
  }
  if (index >= machine.cuda_devices) {
    throw Error(ErrorCode::kDevice, "no device " + name + ": this machine has " +
                                        std::to_string(machine.cuda_devices) + " CUDA device(s)");
  }
  return {at::kCUDA, static_cast<at::DeviceIndex>(index)};
}

// Values in -1..1 that repeat nowhere.
at::Tensor waves(at::IntArrayRef shape, double step) {
  return at::arange(c10::multiply_integers(shape), at::kFloat).mul_(step).sin_().reshape(shape);
}

struct Operation {
  const char* name;
  std::function<at::Tensor(at::Device)> run;
};

std::vector<Operation> operations() {
  return {
      {"linear",
       [](at::Device d) {
         return at::linear(waves({5, 24}, 0.7).to(d), waves({16, 24}, 0.3).to(d), waves({16}, 0.9).to(d));
       }},
      {"layer_norm",
       [](at::Device d) {
         return at::layer_norm(waves({6, 64}, 0.7).to(d), {64}, waves({64}, 0.3).to(d),
                               waves({64}, 0.9).to(d), 1e-6);
       }},
      {"gelu", [](at::Device d) { return at::gelu(waves({64}, 0.37).mul(4).to(d)); }},
      {"softmax",
       [](at::Device d) {
         return at::softmax(waves({4, 27, 6}, 0.37).mul(5).to(d), 1);
       }},
      {"attention",
       [](at::Device d) {
         // As the networks call it: head dimension 64, contiguous parts of one projection.
         const at::Tensor qkv = waves({1, 50, 3, 2, 64}, 0.61).to(d).permute({2, 0, 3, 1, 4});
         return at::scaled_dot_product_attention(qkv[0].contiguous(), qkv[1].contiguous(),
                                                 qkv[2].contiguous());
       }},
      {"batched product",
       [](at::Device d) {
         return at::bmm(waves({3, 17, 64}, 0.61).to(d), waves({3, 50, 64}, 0.23).to(d).transpose(1, 2));
       }},
      {"convolution",
       [](at::Device d) {
         return at::conv2d(waves({1, 8, 13, 11}, 0.71).to(d), waves({12, 8, 3, 3}, 0.31).to(d),
                           waves({12}, 0.9).to(d), 2, 1);
       }},
      {"transposed convolution",
       [](at::Device d) {
         return at::conv_transpose2d(waves({1, 8, 5, 7}, 0.71).to(d), waves({8, 6, 4, 4}, 0.31).to(d),
                                     waves({6}, 0.9).to(d), 4);
       }},
      {"pixel_unshuffle",
       [](at::Device d) {
         return at::pixel_unshuffle(waves({1, 3, 8, 12}, 0.71).to(d), 2);
       }},
      {"pixel_shuffle",
       [](at::Device d) {
         return at::pixel_shuffle(waves({1, 12, 4, 6}, 0.71).to(d), 2);
       }},
      {"largest of a window",
       [](at::Device d) {
         return at::max_pool2d(waves({1, 1, 9, 11}, 0.71).to(d), {7, 7}, {1, 1}, {3, 3});
       }},
      {"mean of a window",
       [](at::Device d) {
         return at::avg_pool2d(waves({1, 1, 8, 12}, 0.71).to(d), {2, 2});
       }},
      {"replicated border",
       [](at::Device d) {
         return at::replication_pad2d(waves({1, 3, 5, 7}, 0.71).to(d), {0, 4, 0, 3});
       }},
      {"zero border",
       [](at::Device d) {
         return at::constant_pad_nd(waves({1, 1, 5, 7}, 0.71).to(d), {3, 3, 3, 3});
       }},
      {"sort",
       [](at::Device d) {
         return std::get<0>(at::sort(waves({2, 301}, 0.71).to(d), 1));
       }},
      {"bilinear resize, corners aligned",
       [](at::Device d) {
         return at::upsample_bilinear2d(waves({1, 4, 9, 7}, 0.71).to(d), {20, 15}, true);
       }},
      {"bilinear resize",
       [](at::Device d) {
         return at::upsample_bilinear2d(waves({1, 4, 9, 7}, 0.71).to(d), {18, 14}, false);
       }},
      {"nearest resize",
       [](at::Device d) {
         return at::upsample_nearest2d(waves({1, 4, 9, 7}, 0.71).to(d), {18, 14});
       }},
  };
}

}  // namespace

void load_cuda_module() {
  opened();
}

const cuda::Module* cuda_module() {
  return opened().module;
}

std::unique_ptr<DeviceFrames> device_frames(at::Device device) {
  return device.is_cuda() && cuda_module() ? cuda_module()->frames(device) : nullptr;
}

Machine this_machine() {
  Machine machine;
  const CudaModule& module = opened();
  const int devices = module.module ? module.module->device_count() : 0;
  if (at::hasCUDA()) {
    machine.cuda_devices = at::detail::getCUDAHooks().getNumGPUs();
  } else if (devices > 0) {
    machine.cuda_came_too_late = true;
    machine.why_no_cuda = "this process used torch before, without CUDA";
  } else {
    machine.why_no_cuda = module.module ? module.module->why_no_device() : module.problem;
  }
  // cuDNN's bfloat16 convolutions need compute capability 8.0, as bfloat16 in general does.
  machine.has_bf16 = [](at::Device device) {
    c10::DeviceGuard guard(device);
    return at::detail::getCUDAHooks().supportsBFloat16ConvolutionWithCuDNNv8();
  };
  machine.mps = at::hasMPS();
  return machine;
}

DeviceChoice choose_device(const std::string& name, Precision precision) {
  return choose_device(name, precision, this_machine());
}

DeviceChoice choose_device(const std::string& name, Precision precision, const Machine& machine) {
  DeviceChoice choice{find_device(lower(name), machine), precision, {}};
  auto fall_back = [&choice](const char* warning) {
    choice.warnings.emplace_back(warning);
    choice.precision = Precision::kFp32;
  };
  if (machine.cuda_came_too_late && choice.device.is_cpu() && lower(name) != "cpu") {
    choice.warnings.push_back("using the CPU: " + machine.why_no_cuda);
  }
  if (precision == Precision::kBf16 && !choice.device.is_cuda()) {
    fall_back("BF16 only supported on CUDA, falling back to FP32");
  } else if (precision == Precision::kBf16 && !machine.has_bf16(choice.device)) {
    fall_back("BF16 needs compute capability 8.0, falling back to FP32");
  } else if (precision == Precision::kFp16 && choice.device.is_cpu()) {
    fall_back("FP16 not recommended on CPU, falling back to FP32");
  }
  return choice;
}

void self_test(at::Device device, const SelfTestFault& fault) {
  for (const Operation& operation : operations()) {
    at::Tensor expected, result;
    guarded(std::string("the self-test of ") + operation.name + " on " + device.str(), [&] {
      expected = operation.run(at::kCPU);
      result = operation.run(device).to(at::kCPU);
    });
    if (fault) result = fault(operation.name, result);
    // Far above rounding, TF32's included; what is wrong is wrong by the size of the values.
    const double difference = result.sub(expected).abs().max().item<double>();
    const double limit = 2e-3 * (1 + expected.abs().max().item<double>());
    if (!(difference <= limit)) {
      throw Error(ErrorCode::kDevice,
                  "the device " + device.str() + " computes " + operation.name + " wrongly (off by " +
                      std::to_string(difference) +
                      " on the self-test): use the device cpu or another version of torch");
    }
  }
}

}  // namespace rgbd
