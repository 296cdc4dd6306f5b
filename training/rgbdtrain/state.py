# SPDX-License-Identifier: Apache-2.0
"""Resume files: weights and their moving average in float32, the optimiser's moments in bfloat16, progress in JSON.
In parts small enough to be carried off a machine one by one while it may be lost."""
import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file


PART = 14 << 20     # bytes of tensors in a file


def write(folder, name, tensors, dtype):
    """folder/name-0.safetensors and so on, each of at most PART bytes or one tensor."""
    parts, room = [], 0
    for key, tensor in tensors.items():
        tensor = tensor.detach().to("cpu", dtype).contiguous()
        if tensor.nbytes > room:
            parts.append({})
            room = PART
        parts[-1][key] = tensor
        room -= tensor.nbytes
    for old in folder.glob(f"{name}-*.safetensors"):
        old.unlink()
    for i, part in enumerate(parts):
        save_file(part, folder / f"{name}-{i}.safetensors")


def read(folder, name):
    return {k: v for part in folder.glob(f"{name}-*.safetensors") for k, v in load_file(part).items()}


def save(folder, network, average, optimiser, progress):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    moments = {}
    for name, p in network.named_parameters():
        for key in ("exp_avg", "exp_avg_sq"):
            if key in optimiser.state.get(p, {}):
                moments[f"{key}.{name}"] = optimiser.state[p][key]
    write(folder, "weights", network.state_dict(), torch.float32)
    write(folder, "average", average, torch.float32)
    write(folder, "moments", moments, torch.bfloat16)
    (folder / "progress.json").write_text(json.dumps(progress, indent=1))


def load(folder, network, average, optimiser, device):
    """Fills network, average and optimiser; returns the progress."""
    folder = Path(folder)
    network.load_state_dict(read(folder, "weights"))
    for k, v in read(folder, "average").items():
        average[k].copy_(v)
    progress = json.loads((folder / "progress.json").read_text())
    moments = read(folder, "moments")
    for name, p in network.named_parameters():
        like = lambda key: torch.empty_like(p, requires_grad=False).copy_(moments[f"{key}.{name}"])   # p's memory format
        optimiser.state[p] = {"step": torch.tensor(float(progress["step"]), device=device),
                              "exp_avg": like("exp_avg"), "exp_avg_sq": like("exp_avg_sq")}
    return progress
