# SPDX-License-Identifier: Apache-2.0
"""One training on several GPUs of a machine: torchrun starts a process for each, and they average their gradients."""
import os

import torch
import torch.distributed as dist


class Team:
    """Without torchrun a team of one, which does nothing. `device`: cuda or cpu; `self.device`: this process's own."""

    def __init__(self, device):
        self.size, self.rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
        self.device = device
        if self.size == 1:
            return
        if device == "cuda":
            self.device = f"cuda:{os.environ['LOCAL_RANK']}"
            torch.cuda.set_device(self.device)
        dist.init_process_group("nccl" if device == "cuda" else "gloo")

    def average(self, gradients):
        """Each of the tensors becomes the team's mean of it."""
        if self.size == 1:
            return
        flat = torch.cat([g.flatten() for g in gradients])
        dist.all_reduce(flat)
        for gradient, mean in zip(gradients, (flat / self.size).split([g.numel() for g in gradients])):
            gradient.copy_(mean.view_as(gradient))

    def agree(self, number):
        """The first process's number, on all; every process has to ask at the same place."""
        if self.size == 1:
            return number
        number = torch.tensor(float(number), dtype=torch.float64, device=self.device)
        dist.broadcast(number, 0)
        return number.item()
