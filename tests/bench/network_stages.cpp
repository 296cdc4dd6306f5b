// SPDX-License-Identifier: Apache-2.0
// The network and what is around it, on this thread, see main.cpp.
#include <c10/core/InferenceMode.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <array>
#include <memory>
#include <optional>

#include "core/cdm/cdm.h"
#include "tests/bench/bench.h"
#include "tests/bench/device_time.h"
#include "tests/bench/profile.h"

namespace rgbd::bench {
namespace {

// As in the engine: a stream of its own, since CUDA graphs cannot be captured on the default one.
std::optional<c10::StreamGuard> own_stream(at::Device device) {
  if (!device.is_cuda()) return {};
  return std::make_optional<c10::StreamGuard>(
      c10::impl::VirtualGuardImpl(device.type()).getStreamFromGlobalPool(device));
}

void parts_of(Bench& bench, cdm::Cdm& network, const at::Tensor& x, Size size) {
  if (!bench.wants("encoders") && !bench.wants("fusion") && !bench.wants("head")) return;
  // Bringing a result to the host waits for the device.
  cdm::Cdm::BothTaps taps = network.encode(x);
  bench.stage("encoders", [&] { taps = network.encode(x), taps.depth[3].cpu(); });
  std::array<at::Tensor, 4> projected = network.fuse(taps);
  bench.stage("fusion", [&] { projected = network.fuse(taps), projected[3].cpu(); });
  bench.stage("head",
              [&] { network.decode(projected, size.height / cdm::kPatch, size.width / cdm::kPatch).cpu(); });
}

void time_network(Bench& bench, at::Device device, const std::function<void()>& forward) {
  reset_peak(device);
  Line line = bench.line("network");
  line["repeats"] = bench.repeats();
  add_times(line, time_each(device, forward, bench.warm_up(), bench.repeats()));
  // More are of no use: nothing but their mean is told.
  const int together = device.is_cpu() ? std::max(1, bench.repeats() / 3) : std::max(10, bench.repeats() / 2);
  line["ms_together"] = rounded(time_together(device, forward, together));
  const auto peak = peak_bytes(device);
  line["peak_mib"] = peak ? Line(*peak >> 20) : Line(nullptr);
  print(line);
}

void print_profile(Bench& bench, at::Device device, const std::function<void()>& forward) {
  constexpr size_t kMostLines = 40;  // what comes after them is thousandths
  forward();
  synchronize(device);
  const std::vector<Kernel> kernels = profile(device, forward);
  if (kernels.empty()) {
    Line line = bench.line("profile");
    line["error"] = "the profiler saw no kernels";
    print(line);
  }
  double total = 0;
  for (const Kernel& kernel : kernels) total += kernel.us;
  for (size_t i = 0; i < std::min(kernels.size(), kMostLines); ++i) {
    Line line = bench.line("profile");
    line["kernel"] = kernels[i].name;
    line["calls"] = kernels[i].calls;
    line["us"] = rounded(kernels[i].us);
    line["share"] = rounded(kernels[i].us / total);
    print(line);
  }
}

}  // namespace

void network_stages(Bench& bench, const Arguments& arguments, const Checkpoint& checkpoint,
                    const NetworkOptions& options) {
  const c10::InferenceMode inference;
  const auto stream = own_stream(options.device);
  std::unique_ptr<Network> network;
  Size size;
  auto load = [&] {
    network = load_network(checkpoint, options);
    synchronize(options.device);
    size = network_size(arguments.frame, network->input(), arguments.options.input_size);
    bench.configuration["network"] = network->architecture();  // its own line tells, too
    bench.configuration["encoder"] = network->encoder();
    bench.configuration["input"] = std::to_string(size.height) + "x" + std::to_string(size.width);
  };
  bench.stage("load", load, 0, 1);
  if (!network) load();

  Pair pair(arguments.frame, 1);
  at::Tensor x;
  auto prepare = [&] { x = preprocess(pair.image, pair.view, size, network->input()).unsqueeze(0); };
  prepare();
  bench.stage("preprocess", prepare);
  x = x.to(options.device);
  if (auto* cdm = dynamic_cast<cdm::Cdm*>(network.get())) parts_of(bench, *cdm, x, size);
  at::Tensor y;
  auto forward = [&] { y = network->forward(x); };
  if (bench.wants("network")) time_network(bench, options.device, forward);
  if (arguments.profile) print_profile(bench, options.device, forward);
  if (!bench.wants("postprocess")) return;
  if (!y.defined()) forward();
  const at::Tensor map = y[0].cpu();
  bench.stage("postprocess", [&] { postprocess(map, pair.out); });
}

}  // namespace rgbd::bench
