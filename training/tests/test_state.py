# SPDX-License-Identifier: Apache-2.0
import torch

from rgbdtrain import state
from rgbdtrain.network import LightNetwork


def trained():
    """A network with an optimiser that has moments, and an average beside it."""
    torch.manual_seed(1)
    network = LightNetwork().initialise()
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)
    for p in network.parameters():
        p.grad = torch.rand_like(p)
    optimiser.step()
    return network, {k: v.detach() + 1 for k, v in network.state_dict().items()}, optimiser


def test_a_run_goes_on_from_parts_of_under_15_mib(tmp_path):
    network, average, optimiser = trained()
    state.save(tmp_path, network, average, optimiser, dict(step=7))
    files = list(tmp_path.glob("*.safetensors"))
    assert len(files) == 6 and all(f.stat().st_size < 15 << 20 for f in files)

    other, other_average, other_optimiser = trained()
    with torch.no_grad():
        for p in (*other.parameters(), *other_average.values()):
            p.zero_()
    other_optimiser.state.clear()
    assert state.load(tmp_path, other, other_average, other_optimiser, "cpu") == dict(step=7)
    for k, v in network.state_dict().items():
        assert torch.equal(other.state_dict()[k], v) and torch.equal(other_average[k], average[k])
    for p, q in zip(network.parameters(), other.parameters()):
        for key in ("exp_avg", "exp_avg_sq"):
            assert torch.equal(other_optimiser.state[q][key], optimiser.state[p][key].bfloat16().float())
        assert other_optimiser.state[q]["step"] == 7


def test_a_smaller_run_leaves_no_part_of_a_larger_one(tmp_path):
    state.write(tmp_path, "weights", {"a": torch.zeros(state.PART // 4), "b": torch.ones(2)}, torch.float32)
    state.write(tmp_path, "weights", {"a": torch.ones(3)}, torch.float32)
    assert [*state.read(tmp_path, "weights")] == ["a"] and len(list(tmp_path.iterdir())) == 1
