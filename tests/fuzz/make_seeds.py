#!/usr/bin/env python3
"""Writes the fuzz targets' seeds: the project's own kinds of checkpoint in miniature, and short streams for the element.

    make_seeds.py    into seeds/TARGET beside it

Needs no torch: the few classes that torch.save names are made up here under their real names.
"""
import collections
import io
import json
import math
import pickle
import struct
import sys
import types
import zipfile
from pathlib import Path

SEEDS = Path(__file__).parent / "seeds"

torch, utils, tensor_module, parameter = (
    types.ModuleType(name) for name in ("torch", "torch._utils", "torch._tensor", "torch.nn.parameter"))
for module in (torch, utils, tensor_module, parameter):
    sys.modules[module.__name__] = module


def named(module, name):
    """A callable that pickles as module.name."""
    def made(*_):
        raise AssertionError
    made.__module__, made.__name__, made.__qualname__ = module.__name__, name, name
    setattr(module, name, made)
    return made


FLOAT, HALF, LONG, UNTYPED = (named(torch, name + "Storage") for name in ("Float", "Half", "Long", "Untyped"))
REBUILD_V2, REBUILD_V3 = named(utils, "_rebuild_tensor_v2"), named(utils, "_rebuild_tensor_v3")
REBUILD_PARAMETER = named(utils, "_rebuild_parameter")
FROM_TYPE = named(tensor_module, "_rebuild_from_type_v2")
SIZE, BFLOAT16, PARAMETER = named(torch, "Size"), named(torch, "bfloat16"), named(parameter, "Parameter")


class Made:
    """Pickles as a call."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


class Storage:
    def __init__(self, kind, record, count):
        self.id = ("storage", kind, record, "cpu", count)


class Pickler(pickle.Pickler):
    def persistent_id(self, value):
        return value.id if isinstance(value, Storage) else None


def pickled(value, protocol=2):
    out = io.BytesIO()
    Pickler(out, protocol).dump(value)
    return out.getvalue()


def tensor(shape, strides, offset=0, storage=None):
    return Made(REBUILD_V2, storage or Storage(FLOAT, "0", 6), offset, shape, strides, False, collections.OrderedDict())


def archive(path, data, records=None, zip64=False, method=zipfile.ZIP_STORED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as file:
        for name, content in {"data.pkl": data, "byteorder": b"little", **(records or {"data/0": bytes(24)}),
                              "version": b"3\n"}.items():
            with file.open(zipfile.ZipInfo("a/" + name), "w", force_zip64=zip64) as entry:
                entry.write(content)
    path.write_bytes(out.getvalue())


def pickles():
    plain = tensor((2, 3), (3, 1))
    yield "bare", pickled({"pretrained.cls_token": plain, "head.bias": tensor((), (), 5)})
    yield "state-dict", pickled({"state_dict": collections.OrderedDict({"cdm.main.pretrained.cls_token": plain}), "epoch": 3})
    yield "model", pickled({"model": {"module.pretrained.cls_token": plain, "module.n": tensor((3, 2), (1, 3))}})
    yield "kinds", pickled({"half": tensor((4, 8), (8, 1), 0, Storage(HALF, "1", 32)),
                            "long": tensor((2,), (2,), 1, Storage(LONG, "1", 8)),
                            "v3": Made(REBUILD_V3, Storage(UNTYPED, "1", 64), 0, (2, 2), (0, 1), False,
                                       collections.OrderedDict(), BFLOAT16),
                            "parameter": Made(REBUILD_PARAMETER, plain, True, collections.OrderedDict()),
                            "typed": Made(FROM_TYPE, REBUILD_V2, PARAMETER,
                                          (Storage(FLOAT, "0", 6), 0, Made(SIZE, (6,)), (1,), False, None), {})})
    yield "values", pickled({"f": 0.5, "n": None, "t": True, "i": -1, "l": [1, 2**40, 2**80], "s": "é", "b": b"bytes",
                             "set": {1}, "frozen": frozenset({1}), "tuple": (1, 2, 3, 4), "x": plain}, 4)
    yield "protocol-5", pickled({"x": plain, "bytes": bytearray(3)}, 5)
    circle = []
    circle.append(circle)
    yield "circle", pickled({"x": circle, "y": Made(REBUILD_PARAMETER, circle)})


LIGHT = {
    "architecture": "light", "version": "2", "widths": "1,1,1", "bottleneck_blocks": "0", "features": "6",
    "difference_levels": "2", "smooth_levels": "1", "head": "choice", "candidates": "4", "raw_offsets": "0,0",
    "coarse_offsets": "0,-4", "correction": "1.5", "pyramid_levels": "2", "mode_tolerance": "0.05",
    "keep_window": "3", "keep_tolerance": "0.02", "hole_low": "0.7", "hole_high": "1.4", "min_valid": "0.01", "input_size": "480", "multiple": "1", "upscale": "false", "padding": "8",
    "mean": "0.5,0.5,0.5", "std": "0.25,0.25,0.25", "channel_order": "rgb", "depth_norm": "median",
}
# All that a network of these settings has.
TENSORS = {
    "stem.0": (1, 24, 3, 3), "stem.1": (1, 1, 3, 3), "coarse": (1, 1, 3, 3), "head": (20, 1, 1, 1),
    **{f"encoder.{i}.down": (1, 1, 3, 3) for i in (0, 1)},
    **{f"encoder.0.blocks.0.conv{i}": (1, 1, 3, 3) for i in (1, 2)},
    **{f"decoder.{i}.lateral": (1, 1, 1, 1) for i in (0, 1)},
    **{f"decoder.{i}.block.conv{j}": (1, 1, 3, 3) for i in (0, 1) for j in (1, 2)},
}


def safetensors(path, tensors, metadata=None, data=None, pad=True):
    header = {"__metadata__": metadata} if metadata else {}
    end = 0
    for name, (dtype, size, shape) in tensors.items():
        begin = end
        end += size * math.prod(shape)
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8 if pad else 0)
    path.write_bytes(struct.pack("<Q", len(text)) + text + (bytes(end) if data is None else data))


# The element's input, as element.cpp takes it apart.
RGB, DEPTH = 0, 1


def properties(downstream=0, skip=0, sync=0, unit=0, interval=0):
    return bytes([downstream, skip, sync, unit, interval, 0, 0])


def frame(pad, value=0, size=4, time=5, pieces=0, layout=b"\0", flags=b"\0\0"):
    memory = bytes([value, 0, 0])
    cut = bytes([1, pieces - 1]) + memory * pieces if pieces else b"\0" + memory
    return bytes([pad, size]) + cut + layout + bytes([time]) + flags


def caps(pad, kind=0, width=0, height=0, rate=0, more=0):
    return bytes([6 + pad, 0, kind, width, height, rate, more])


def pair(value=0, **how):
    return frame(RGB, value, **how) + frame(DEPTH, value, **how)


def element_inputs():
    yield "pairs", properties() + pair(1) + pair(2) + pair(3)
    yield "policies", b"".join([properties(skip=1, interval=1)] + [pair(n) for n in range(4)])
    yield "repeat", properties(skip=2, interval=2) + pair(1) + pair(2) + caps(DEPTH, more=1) + pair(3) + pair(4)
    yield "order", properties(sync=1, unit=2) + pair(1, time=0) + frame(RGB, 2) + pair(3)
    yield "formats", properties() + b"".join(caps(RGB, kind, 2, 2) + pair(kind) for kind in range(13))
    yield "depths", properties(1) + b"".join(caps(DEPTH, kind, side, 6) + pair(1) for kind, side in ((0, 2), (1, 9), (0, 6)))
    yield "sizes", properties(2) + b"".join(caps(RGB, 0, 4, side) + pair(side) for side in (0, 2, 3, 4))
    yield "rates", properties() + b"".join(caps(RGB, 0, 0, 0, rate) + pair(rate) for rate in range(6))
    yield "units", properties(6) + b"".join(caps(DEPTH, 0, 0, 0, 0, more) + pair(more) for more in (1, 4, 5, 7))
    yield "layouts", properties() + b"".join(
        pair(kind, layout=bytes([1, 0, kind, 3, 4])) for kind in range(9))
    yield "pieces", properties() + pair(1, pieces=2) + pair(2, pieces=4) + pair(3, pieces=3, layout=b"\1\0\0")
    yield "broken", properties() + b"".join(frame(RGB, 1, size) + frame(DEPTH, 1) for size in (1, 2, 3)) + pair(4)
    yield "times", properties() + b"".join(pair(time, time=time) for time in range(5)) + pair(9, flags=b"\1\1")
    for downstream in (3, 4, 5, 7, 8):
        yield f"downstream-{downstream}", properties(downstream) + pair(1)


def main():
    for folder in ("torch_zip", "pickle", "safetensors", "element"):
        (SEEDS / folder).mkdir(parents=True, exist_ok=True)
    by_name = dict(pickles())
    for name, data in by_name.items():
        (SEEDS / "pickle" / name).write_bytes(data)
    zips = SEEDS / "torch_zip"
    archive(zips / "bare", by_name["bare"])
    archive(zips / "kinds", by_name["kinds"], {"data/0": bytes(24), "data/1": bytes(64)})
    archive(zips / "zip64", by_name["model"], zip64=True)
    archive(zips / "compressed", by_name["bare"], method=zipfile.ZIP_DEFLATED)
    archive(zips / "script", by_name["bare"], {"data/0": bytes(24), "constants.pkl": pickled(())})

    for name, data in element_inputs():
        (SEEDS / "element" / name).write_bytes(data)

    folder = SEEDS / "safetensors"
    light = {}
    for name, shape in TENSORS.items():
        light[name + ".weight"], light[name + ".bias"] = ("F16", 2, shape), ("F16", 2, shape[:1])
    safetensors(folder / "light", light, {"rgbd." + key: value for key, value in LIGHT.items()})
    safetensors(folder / "types", {name.lower(): (name, size, (2, 1)) for name, size in
                                   {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "U8": 1, "BOOL": 1, "F8_E4M3": 1}.items()})
    safetensors(folder / "scalar", {"pretrained.cls_token": ("F32", 4, ()), "empty": ("F32", 4, (0, 7))}, pad=False)
    safetensors(folder / "settings", {}, {"rgbd." + key: value for key, value in LIGHT.items()})


if __name__ == "__main__":
    main()
