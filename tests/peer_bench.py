#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Times the network of the Python program (rgbd-depth, package rgbddepth), as published and as fast as torch makes it,
with the statistics of `bench`: JSON lines, each call alone between two CUDA events, then a row of calls.

    peer_bench.py REPO [--encoder E] [--input HxW] [--device D] [--only VARIANT,VARIANT] [--warm-up N] [--repeats N]

REPO: the folder that holds rgbddepth/. Weights are random: the time does not depend on them.
  plain-fp32 plain-fp16 plain-bf16           what `infer.py --no-optimize` runs; autocast for the half types
  sdpa-fp32 sdpa-fp16 sdpa-bf16              attention in torch's fused operator, weights in the type itself
  compiled-fp32 compiled-fp16 compiled-bf16  the same through torch.compile(mode="reduce-overhead"), which uses CUDA graphs
float32 is whole float32: TF32 is off, in convolutions too, where torch has it on by default.
"""
import argparse
import importlib.machinery
import json
import math
import platform
import sys
import time
import types

import torch
from torch.nn import functional

# Of the published configurations: the head's width, and its four levels.
HEADS = {"vits": (64, [48, 96, 192, 384]), "vitb": (128, [96, 192, 384, 768]), "vitl": (256, [256, 512, 1024, 1024]),
         "vitg": (384, [1536] * 4)}
TYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
HOWS = ("plain", "sdpa", "compiled")


class NotHere(types.ModuleType):
    """For what the program needs of an image library at import alone: the network runs without it."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *arguments, **named: None


def stand_in_for(name):
    """Where the module is missing."""
    try:
        __import__(name)
    except ImportError:
        sys.modules[name] = NotHere(name)
        sys.modules[name].__spec__ = importlib.machinery.ModuleSpec(name, None)


def fused_attention(self, tokens, attn_bias=None):
    batch, count, width = tokens.shape
    heads = self.num_heads
    query, key, value = (part.unflatten(-1, (heads, width // heads)).transpose(1, 2)
                         for part in self.qkv(tokens).chunk(3, dim=-1))
    mixed = functional.scaled_dot_product_attention(query, key, value)
    return self.proj(mixed.transpose(1, 2).reshape(batch, count, width))


def percentile(values, share):
    """Nearest rank, as in bench."""
    return sorted(values)[max(1, math.ceil(share * len(values))) - 1]


class Clock:
    """Milliseconds of calls: by the GPU's events, or by the clock where there is no GPU."""

    def __init__(self, device):
        self.cuda = device.type == "cuda"

    def wait(self):
        if self.cuda:
            torch.cuda.synchronize()

    def each(self, call, repeats):
        times = []
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2)) if self.cuda else (None, None)
        for _ in range(repeats):
            if self.cuda:
                begin.record()
                call()
                end.record()
                end.synchronize()
                times.append(begin.elapsed_time(end))
            else:
                start = time.perf_counter()
                call()
                times.append((time.perf_counter() - start) * 1e3)
        return times

    def together(self, call, repeats):
        self.wait()
        start = time.perf_counter()
        for _ in range(repeats):
            call()
        self.wait()
        return (time.perf_counter() - start) * 1e3 / repeats


def processor():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next(line.split(": ")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown"


def measure(variant, options, device, attention, model_class):
    how, precision = variant.split("-")
    dtype = TYPES[precision]
    attention.forward = options.published_forward if how == "plain" else fused_attention
    features, levels = HEADS[options.encoder]
    torch.manual_seed(0)
    model = model_class(encoder=options.encoder, features=features, out_channels=levels).eval().to(device)
    height, width = map(int, options.input.split("x"))
    frame = torch.rand(1, 4, height, width, device=device)
    autocast = torch.autocast(device.type, dtype=dtype, enabled=how == "plain" and dtype != torch.float32)
    if how != "plain":
        model, frame = model.to(dtype), frame.to(dtype)
    network = torch.compile(model, mode="reduce-overhead") if how == "compiled" else model
    clock = Clock(device)
    if clock.cuda:
        torch.cuda.reset_peak_memory_stats()

    # no_grad is what the program itself has; inference_mode would not let all of it compile.
    with torch.no_grad(), autocast:
        start = time.perf_counter()
        network(frame)
        clock.wait()
        first_s = time.perf_counter() - start
        for _ in range(options.warm_up):
            network(frame)
        clock.wait()
        times = clock.each(lambda: network(frame), options.repeats)
        together = clock.together(lambda: network(frame), max(1, options.repeats // 2))
    print(json.dumps({
        "stage": "peer", "variant": variant,
        "hardware": torch.cuda.get_device_name(device) if clock.cuda else processor(),
        "device": str(device), "precision": precision, "encoder": options.encoder, "input": options.input,
        "threads": torch.get_num_threads(), "torch": torch.__version__, "repeats": options.repeats,
        "ms_p50": round(percentile(times, .5), 4), "ms_p95": round(percentile(times, .95), 4),
        "ms_p99": round(percentile(times, .99), 4), "ms_mean": round(sum(times) / len(times), 4),
        "ms_together": round(together, 4), "first_s": round(first_s, 2),
        "peak_mib": torch.cuda.max_memory_allocated() >> 20 if clock.cuda else None}), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repo", metavar="REPO")
    parser.add_argument("--encoder", default="vitl", choices=HEADS)
    parser.add_argument("--input", default="518x686", metavar="HxW", help="multiples of 14 (default: %(default)s)")
    parser.add_argument("--device", default="cuda", help="cuda or cpu (default: %(default)s)")
    parser.add_argument("--only", default=",".join(f"{how}-{precision}" for how in HOWS for precision in TYPES),
                        metavar="VARIANTS", help="default: all")
    parser.add_argument("--warm-up", type=int, help="default: 20, on the CPU 1")
    parser.add_argument("--repeats", type=int, help="default: 200, on the CPU 10")
    options = parser.parse_args()
    device = torch.device(options.device)
    cuda = device.type == "cuda"
    options.warm_up = (20 if cuda else 1) if options.warm_up is None else options.warm_up
    options.repeats = options.repeats or (200 if cuda else 10)
    variants = options.only.split(",")
    for variant in variants:
        if variant.split("-")[0] not in HOWS or variant.split("-")[-1] not in TYPES:
            parser.error(f"unknown variant {variant}")

    sys.path.insert(0, options.repo)
    for module in ("cv2", "torchvision", "torchvision.transforms"):
        stand_in_for(module)
    from rgbddepth.dinov2_layers.attention import MemEffAttention
    from rgbddepth.dpt import RGBDDepth
    options.published_forward = MemEffAttention.forward
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False

    for variant in variants:
        try:
            measure(variant, options, device, MemEffAttention, RGBDDepth)
        except Exception as error:  # one variant that does not run leaves the others  # pylint: disable=broad-except
            print(json.dumps({"stage": "peer", "variant": variant, "encoder": options.encoder,
                              "error": str(error).splitlines()[0] if str(error) else type(error).__name__}), flush=True)
        if cuda:
            torch.compiler.reset()
            torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
