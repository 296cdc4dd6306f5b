# SPDX-License-Identifier: Apache-2.0
"""Model files: safetensors whose metadata say everything needed to build and feed the network."""
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from .network import (CANDIDATES, COARSE_OFFSETS, CORRECTION, DIFFERENCE_LEVELS, FEATURES, MULTIPLE, PYRAMID_LEVELS,
                      RAW_OFFSETS, RAYS, SMOOTH_LEVELS, VERSION, LightNetwork, Settings)

MEAN, STD, INPUT_SIZE = 0.5, 0.25, 720
NEW_LOGIT = -3.0    # of candidates that a file of version 2 lacks: it fills holes with logits whose sum of e^logit is some e^1.3


def offsets_text(offsets):
    return ";".join(f"{dy},{dx}" for dy, dx in offsets)


def metadata(settings):
    return {
        "rgbd.architecture": "light",
        "rgbd.version": str(VERSION),
        "rgbd.widths": ",".join(map(str, settings.widths)),
        "rgbd.bottleneck_blocks": str(settings.bottleneck_blocks),
        "rgbd.features": str(FEATURES),
        "rgbd.difference_levels": ",".join(map(str, DIFFERENCE_LEVELS)),
        "rgbd.head": "choice",
        "rgbd.candidates": str(CANDIDATES),
        "rgbd.raw_offsets": offsets_text(RAW_OFFSETS),
        "rgbd.coarse_offsets": offsets_text(COARSE_OFFSETS),
        "rgbd.smooth_levels": ",".join(map(str, SMOOTH_LEVELS)),
        "rgbd.rays": str(RAYS),
        "rgbd.correction": repr(CORRECTION),
        "rgbd.pyramid_levels": str(PYRAMID_LEVELS),
        "rgbd.mode_tolerance": repr(settings.mode_tolerance),
        "rgbd.keep_window": str(settings.keep_window),
        "rgbd.keep_tolerance": repr(settings.keep_tolerance),
        "rgbd.hole_low": repr(settings.hole_low),
        "rgbd.hole_high": repr(settings.hole_high),
        "rgbd.min_valid": repr(settings.min_valid),
        "rgbd.far": str(settings.far),
        "rgbd.denoise": repr(settings.denoise),
        "rgbd.snap": str(settings.snap),
        "rgbd.input_size": str(INPUT_SIZE),
        "rgbd.multiple": "1",
        "rgbd.upscale": "false",
        "rgbd.padding": str(MULTIPLE),
        "rgbd.mean": ",".join([repr(MEAN)] * 3),
        "rgbd.std": ",".join([repr(STD)] * 3),
        "rgbd.channel_order": "rgb",
        "rgbd.depth_norm": "median",
        "rgbd.license": "Apache-2.0",
    }


def export(network, path, dtype=torch.float16):
    """Writes the weights (rounded to `dtype`) and the metadata."""
    network.settings.check()
    tensors = {k: v.detach().cpu().to(dtype).contiguous() for k, v in network.state_dict().items()}
    save_file(tensors, str(path), metadata=metadata(network.settings))


def upgrade(state):
    """Weights of version 2 with zeros for the features that rays are, and with logits for the candidates that they are
    which change the answers little and can be trained. Both come last among four channels each (pixel (un)shuffle), but for
    the head's free candidate and its correction."""
    stem, weight, bias = state["stem.0.weight"], state["head.weight"], state["head.bias"]
    at = weight.shape[0] - 2 * 4
    state["stem.0.weight"] = torch.cat([stem, stem.new_zeros(stem.shape[0], 4 * RAYS, *stem.shape[2:])], 1)
    state["head.weight"] = torch.cat([weight[:at], weight.new_zeros(4 * RAYS, *weight.shape[1:]), weight[at:]])
    state["head.bias"] = torch.cat([bias[:at], bias.new_full((4 * RAYS,), NEW_LOGIT), bias[at:]])


def load(path, device="cpu"):
    """The network of a model file of this version or the one before, in float32, ready for inference."""
    with safe_open(str(path), "pt") as f:
        meta = f.metadata()
        state = {k: f.get_tensor(k).float() for k in f.keys()}
    version = meta.get("rgbd.version")
    if meta.get("rgbd.architecture") != "light" or version not in ("2", str(VERSION)):
        raise ValueError(f"{path}: not a light network of version 2 or {VERSION}")
    if version == "2":
        upgrade(state)
    number = {k: float(meta[f"rgbd.{k}"]) for k in
              ("mode_tolerance", "keep_tolerance", "hole_low", "hole_high", "min_valid")}
    settings = Settings(widths=tuple(map(int, meta["rgbd.widths"].split(","))),
                        bottleneck_blocks=int(meta["rgbd.bottleneck_blocks"]),
                        keep_window=int(meta["rgbd.keep_window"]), far=int(meta.get("rgbd.far", 0)),
                        denoise=float(meta.get("rgbd.denoise", 0)), snap=int(meta.get("rgbd.snap", 0)), **number)
    network = LightNetwork(settings)
    network.load_state_dict(state)
    return network.eval().to(device)
