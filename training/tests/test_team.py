# SPDX-License-Identifier: Apache-2.0
"""Processes of one training share gradients and agree on numbers; one alone does neither."""
import os
import socket

import torch
import torch.distributed as dist

from rgbdtrain.team import Team


def member(rank, port):
    os.environ.update(WORLD_SIZE="2", RANK=str(rank), LOCAL_RANK=str(rank), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    team = Team("cpu")
    gradients = [torch.full((2, 3), float(rank)), torch.tensor([10.0 * rank, 1.0])]
    team.average(gradients)
    assert (gradients[0] == 0.5).all() and gradients[1].tolist() == [5.0, 1.0]
    assert team.agree(7 + rank) == 7
    assert team.agree(rank == 0) == 1
    dist.destroy_process_group()


def test_two_average_and_agree():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(member, (port,), nprocs=2)      # raises what a member raised


def test_one_alone_changes_nothing():
    team = Team("cpu")
    gradient = torch.tensor([3.0])
    team.average([gradient])
    assert gradient.item() == 3 and team.agree(5) == 5 and team.device == "cpu"
