# SPDX-License-Identifier: Apache-2.0
"""Resume files: weights and their moving average in float32, the optimiser's moments in bfloat16, progress in JSON."""
import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file


def cpu(tensors, dtype):
    return {k: v.detach().to("cpu", dtype).contiguous() for k, v in tensors.items()}


def save(folder, network, average, optimiser, progress):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    moments = {}
    for name, p in network.named_parameters():
        for key in ("exp_avg", "exp_avg_sq"):
            if key in optimiser.state.get(p, {}):
                moments[f"{key}.{name}"] = optimiser.state[p][key]
    save_file(cpu(network.state_dict(), torch.float32), folder / "weights.safetensors")
    save_file(cpu(average, torch.float32), folder / "average.safetensors")
    save_file(cpu(moments, torch.bfloat16), folder / "moments.safetensors")
    (folder / "progress.json").write_text(json.dumps(progress, indent=1))


def load(folder, network, average, optimiser, device):
    """Fills network, average and optimiser; returns the progress."""
    folder = Path(folder)
    network.load_state_dict(load_file(folder / "weights.safetensors"))
    for k, v in load_file(folder / "average.safetensors").items():
        average[k].copy_(v)
    progress = json.loads((folder / "progress.json").read_text())
    moments = load_file(folder / "moments.safetensors")
    for name, p in network.named_parameters():
        like = lambda key: torch.empty_like(p, requires_grad=False).copy_(moments[f"{key}.{name}"])   # p's memory format
        optimiser.state[p] = {"step": torch.tensor(float(progress["step"]), device=device),
                              "exp_avg": like("exp_avg"), "exp_avg_sq": like("exp_avg_sq")}
    return progress
