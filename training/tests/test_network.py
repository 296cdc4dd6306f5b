# SPDX-License-Identifier: Apache-2.0
"""What the network promises whatever its weights, and the round trip through a model file."""
import pytest
import torch
import torch.nn.functional as F

import adjust
from rgbdtrain import model_file
from rgbdtrain.network import LightNetwork, Settings

SETTINGS = Settings(widths=(8, 16, 16, 24, 32), bottleneck_blocks=1, mode_tolerance=0.07, keep_window=5, hole_low=0.8)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(2)
    network = LightNetwork(SETTINGS).initialise().eval()
    with torch.no_grad():       # the head's beginning is all but constant: give it something to say
        network.head.weight.mul_(100)
        network.coarse.weight.mul_(100)
    return network


def frame(height=50, width=70, holes=0.3, seed=1):
    """x [1, 4, height, width]: noise as colour, a ramp with a step and noise as inverse depth, holes in it."""
    gen = torch.Generator().manual_seed(seed)
    q = torch.linspace(0.4, 0.6, width).expand(1, 1, height, width).clone()
    q[..., width // 2:] += 0.5
    q = q * (1 + 0.01 * torch.randn(q.shape, generator=gen)) * (torch.rand(q.shape, generator=gen) >= holes)
    return torch.cat([torch.randn(1, 3, height, width, generator=gen), q], 1)


def refine(network, x):
    with torch.no_grad():
        return network(x)


def test_everything_is_filled(network):
    x = frame()
    y = refine(network, x)
    assert y.shape == (1, 50, 70) and torch.isfinite(y).all() and (y > 0).all()


def test_no_depth_stays_none(network):
    x = frame()
    x[:, 3] = 0
    assert (refine(network, x) == 0).all()


def test_few_measured_pixels_pass_through(network):
    x = frame(holes=0.995)
    assert 0 < (x[:, 3] > 0).float().mean() < SETTINGS.min_valid
    assert torch.equal(refine(network, x), x[:, 3])


def test_output_scales_with_the_input(network):
    x = frame()
    once = refine(network, x)
    x[:, 3] *= 4
    torch.testing.assert_close(refine(network, x), 4 * once, rtol=1e-5, atol=0)


def test_measured_pixels_stay_in_the_range_of_their_window(network):
    x = frame()
    q, y = x[:, 3:], refine(network, x)[:, None]
    pad = SETTINGS.keep_window // 2
    top = F.max_pool2d(q, SETTINGS.keep_window, 1, pad) * (1 + SETTINGS.keep_tolerance)
    bottom = -F.max_pool2d(torch.where(q > 0, -q, -9.0), SETTINGS.keep_window, 1, pad) * (1 - SETTINGS.keep_tolerance)
    kept = q > 0
    assert (y[kept] <= top[kept] * 1.00001).all() and (y[kept] >= bottom[kept] * 0.99999).all()
    assert ((y - q)[kept].abs() > 1e-4).float().mean() > 0.5    # and the network does change them


def test_filled_pixels_stay_in_the_range_of_the_frame(network):
    x = frame()
    q, y = x[:, 3:], refine(network, x)[:, None]
    measured = q[q > 0].sort().values
    low, high = measured[int(0.01 * (len(measured) - 1))], measured[int(0.99 * (len(measured) - 1))]
    hole = y[q == 0]
    assert hole.min() >= 0.99999 * SETTINGS.hole_low * low and hole.max() <= 1.00001 * SETTINGS.hole_high * high


def test_model_file_brings_the_network_back(network, tmp_path):
    path = tmp_path / "model.safetensors"
    model_file.export(network, path)
    loaded = model_file.load(path)
    assert loaded.settings == network.settings
    # What float16 weights give, to the last bit: load() adds nothing of its own.
    rounded = LightNetwork(SETTINGS).eval()
    rounded.load_state_dict({k: v.half().float() for k, v in network.state_dict().items()})
    x = frame()
    assert torch.equal(refine(loaded, x), refine(rounded, x))


def test_deepening_changes_nothing_until_trained(network, tmp_path):
    path = tmp_path / "model.safetensors"
    model_file.export(network, path)
    before = model_file.load(path)
    deeper = model_file.load(path).deepen(3)
    assert deeper.settings.bottleneck_blocks == 3 and len(deeper.state_dict()) == len(before.state_dict()) + 8
    x = frame()
    assert torch.equal(refine(deeper, x), refine(before, x))


def test_scaling_the_bottleneck_changes_nothing(network, tmp_path):
    path = tmp_path / "model.safetensors"
    model_file.export(network, path)
    scaled = model_file.load(path).deepen(2)
    adjust.scale_bottleneck(scaled, 1 / 8)
    x = frame()
    torch.testing.assert_close(refine(scaled, x), refine(model_file.load(path), x), rtol=1e-6, atol=0)


def test_other_files_are_refused(network, tmp_path, monkeypatch):
    monkeypatch.setattr(model_file, "VERSION", 3)
    model_file.export(network, tmp_path / "model.safetensors")
    monkeypatch.undo()
    with pytest.raises(ValueError, match="not a light network of version 2"):
        model_file.load(tmp_path / "model.safetensors")
