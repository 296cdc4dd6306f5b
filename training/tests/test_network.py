# SPDX-License-Identifier: Apache-2.0
"""What the network promises whatever its weights, and the round trip through a model file."""
import copy
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

import adjust
from rgbdtrain import losses, model_file, network as definition
from rgbdtrain.finishing import denoised, halved, snapped, vote
from rgbdtrain.network import LightNetwork, Settings, nearest_measured

SETTINGS = Settings(widths=(8, 16, 16, 24, 32), bottleneck_blocks=1, mode_tolerance=0.07, keep_window=5, hole_low=0.8)


def made_network():
    torch.manual_seed(2)
    network = LightNetwork(SETTINGS).initialise().eval()
    with torch.no_grad():       # the head's beginning is all but constant: give it something to say
        network.head.weight.mul_(100)
        network.coarse.weight.mul_(100)
    return network


@pytest.fixture(scope="module")
def network():
    return made_network()


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
    adjust.scale_level(scaled, len(scaled.encoder) - 1, 1 / 8)
    x = frame()
    torch.testing.assert_close(refine(scaled, x), refine(model_file.load(path), x), rtol=1e-6, atol=0)


def test_scaling_the_level_above_changes_nothing_but_its_activations(network, tmp_path):
    path = tmp_path / "model.safetensors"
    model_file.export(network, path)
    before, scaled, largest = model_file.load(path), model_file.load(path), []
    adjust.scale_level(scaled, len(scaled.encoder) - 2, 1 / 8)
    for each in (before, scaled):
        each.decoder[-1].register_forward_hook(lambda layer, inputs, out: largest.append(out.abs().max()))
    x = frame()
    torch.testing.assert_close(refine(scaled, x), refine(before, x), rtol=1e-6, atol=0)
    torch.testing.assert_close(largest[0] * 8, largest[1])    # scaled, before


def test_the_middle_of_three_depths_counts_in_holes():
    x = torch.zeros(1, 4, 24, 24)
    x[:, 3] = 1
    x[:, 3, 8:16, 8:16] = 0     # of half the size rows and columns 4 to 7: 5 and 6 are more than 1 from anything measured
    y = torch.where(x[:, 3] > 0, 1.0, 2.0)
    for coarse, near, far in ((3, 2, 2.5), (2.2, 2, 2.2), (1.5, 1.5, 1.5), (0.9, 1, 0.9), (0.5, 1, 0.8)):
        out = vote(x, y, torch.full((1, 12, 12), float(coarse)), 1)
        assert (out[x[:, 3] > 0] == 1).all()
        torch.testing.assert_close(out[0, 9, 12].item(), float(near))
        torch.testing.assert_close(out[0, 12, 12].item(), float(far))


def test_noise_is_averaged_and_what_has_none_stays():
    torch.manual_seed(0)
    truth = torch.ones(1, 60, 80)
    truth[..., 40:] = 1.1
    y = truth * (1 + 0.002 * torch.randn_like(truth))
    out = denoised(y, y * (1 + 0.002 * torch.randn_like(truth)), 6)
    assert (out / truth - 1).square().mean() < 0.16 * (y / truth - 1).square().mean()
    assert (out / truth - 1).abs().max() < 0.008
    assert torch.equal(denoised(y, y, 6), y)


def test_edges_move_to_those_of_colour():
    colour, y, truth = torch.zeros(1, 3, 30, 40), torch.ones(1, 30, 40), torch.ones(1, 30, 40)
    colour[..., 20:], truth[..., 20:], y[..., 21:] = 2, 1.5, 1.5
    assert torch.equal(snapped(y, colour, 3), truth)
    assert torch.equal(snapped(y, torch.zeros_like(colour), 3), y)


def test_what_is_done_to_the_answer_is_in_the_file(network, tmp_path):
    path = tmp_path / "model.safetensors"
    finishing = made_network()
    finishing.settings = replace(network.settings, far=2, denoise=6.0, snap=3)
    model_file.export(finishing, path)
    loaded, x = model_file.load(path), frame(64, 96)
    assert loaded.settings == finishing.settings
    y = vote(x, loaded.answer(x), loaded.answer(halved(x)), 2)
    expected = snapped(denoised(y, x[:, 3], 6.0), x[:, :3], 3)
    torch.testing.assert_close(refine(loaded, x), expected, rtol=1e-6, atol=0)
    few = x.clone()
    few[:, 3, 2:] = 0
    few[:, 3, :, 20:] = 0
    assert torch.equal(refine(loaded, few), few[:, 3])


@pytest.mark.parametrize("name, value", [("far", 17), ("denoise", -1.0), ("snap", 8)])
def test_what_the_program_refuses_is_not_written(tmp_path, name, value):
    network = made_network()
    network.settings = replace(SETTINGS, **{name: value})
    with pytest.raises(ValueError, match=name):
        model_file.export(network, tmp_path / "m.safetensors")
    assert not list(tmp_path.iterdir())


def test_nearest_measured_depths():
    q = torch.tensor([[0, 0, 3, 0, 5],
                      [0, 0, 0, 0, 0],
                      [1, 0, 0, 2, 0]], dtype=torch.float32)[None, None]
    left, right, above, below = nearest_measured(q)[0].tolist()
    assert left == [[0, 0, 3, 3, 5], [0, 0, 0, 0, 0], [1, 1, 1, 2, 2]]
    assert right == [[3, 3, 3, 5, 5], [0, 0, 0, 0, 0], [1, 2, 2, 2, 0]]
    assert above == [[0, 0, 3, 0, 5], [0, 0, 3, 0, 5], [1, 0, 3, 2, 5]]
    assert below == [[1, 0, 3, 2, 5], [1, 0, 0, 2, 0], [1, 0, 0, 2, 0]]


def test_nearest_measured_depths_of_each_frame_of_a_batch():
    x = torch.cat([frame(seed=1), frame(seed=2, holes=0.9)])[:, 3:]
    rays = nearest_measured(x)
    for b, y, x0 in ((0, 0, 0), (0, 49, 69), (1, 7, 30), (1, 25, 11), (1, 40, 69)):
        row, column = x[b, 0, y], x[b, 0, :, x0]
        lines = row[:x0 + 1].flip(0), row[x0:], column[:y + 1].flip(0), column[y:]
        first = [next((float(v) for v in line if v > 0), 0.0) for line in lines]
        assert rays[b, :, y, x0].tolist() == first


def test_features_of_rays_are_of_holes(network):
    q = frame(64, 96)[:, 3:]
    features, fills, rays = network.features(torch.zeros(1, 3, 64, 96), q)
    borders = features[:, -definition.RAYS:]
    hole, found = q == 0, rays > 0
    assert (borders[(~hole | ~found).expand_as(borders)] == 0).all()
    seen = hole & found
    expected = 2 * torch.log(rays / fills[0])
    torch.testing.assert_close(borders[seen], expected[seen].clamp(-1, 1), rtol=0, atol=1e-5)
    assert (expected[seen].abs() > 1).any() and (borders[seen] != 0).float().mean() > 0.9


def test_rays_fill_a_hole_where_they_are_likeliest(network):
    chosen = LightNetwork(SETTINGS).eval()
    chosen.load_state_dict(network.state_dict())
    with torch.no_grad():
        chosen.head.weight.zero_()
        chosen.head.bias.zero_()
        chosen.head.bias.view(-1, 4)[-definition.RAYS - 2] = 9.0          # to the left
    x = frame(holes=0)
    q = x[0, 3]
    q[20:30, 20:60] = 0
    y = refine(chosen, x)[0]
    left = q[20:30, 19:20]
    assert (y[20:30, 20:60] / left - 1).abs().max() < 0.05      # what is as likely and within mode_tolerance is averaged in
    assert (y[20:30, 40:60] < 0.6).all() and (y[20:30, 61:] > 0.9).all()


def version_2(monkeypatch):
    """The definition of files of version 2: no rays."""
    for name, value in dict(RAYS=0, FEATURES=definition.FEATURES - 4, CANDIDATES=definition.CANDIDATES - 4, VERSION=2).items():
        monkeypatch.setattr(definition, name, value)
        monkeypatch.setattr(model_file, name, value)


def test_file_of_version_2_becomes_version_3(tmp_path, monkeypatch):
    path, x = tmp_path / "model.safetensors", frame(64, 96)
    x[..., 10:40, 10:60] = 0
    with monkeypatch.context() as before:
        version_2(before)
        old = made_network()
        model_file.export(old, path)
        old, trace = model_file.load(path), {}
        with torch.no_grad():
            result = old(x, trace)
    new, upgraded = model_file.load(path), {}
    with torch.no_grad():
        once = new(x, upgraded)
    keep = old.head.out_channels // 4 - 2                               # raw, coarse and smooth; then rays, free, correction
    kept = torch.cat([upgraded["head"][:, :keep], upgraded["head"][:, keep + definition.RAYS:]], 1)
    torch.testing.assert_close(kept, trace["head"], rtol=1e-5, atol=1e-5)
    assert (upgraded["head"][:, keep:keep + definition.RAYS] == model_file.NEW_LOGIT).all()
    assert ((once / result - 1).abs() < 0.02).float().mean() > 0.97
    model_file.export(new, path)
    assert torch.equal(refine(model_file.load(path), x), once)


def test_what_version_2_lacks_can_be_trained(tmp_path, monkeypatch):
    with monkeypatch.context() as before:
        version_2(before)
        model_file.export(made_network(), tmp_path / "model.safetensors")
    network = model_file.load(tmp_path / "model.safetensors").train()
    x = frame(64, 96)
    truth, x[..., 20:50, 20:60] = x[:, 3:].clone(), 0
    value, _ = losses.loss(network, x, truth, truth < 0, torch.ones(1, 1, 1, 1))
    value.backward()
    old = 4 * (definition.FEATURES - definition.RAYS)
    rays = slice(-definition.RAYS - 2, -2)
    weight = network.head.weight.grad.view(definition.CANDIDATES + 1, -1)[rays]
    assert all((g != 0).any() for g in weight) and (network.head.bias.grad.view(-1, 4)[rays] != 0).all()
    assert (network.stem[0].weight.grad[:, old:] != 0).any()


def test_blending_goes_from_one_model_to_the_other(network):
    other = LightNetwork(SETTINGS).initialise().eval()
    x = frame()
    for share, same in ((1.0, network), (0.0, other)):
        mixed = copy.deepcopy(network)
        adjust.blend(mixed, other, share)
        assert torch.equal(refine(mixed, x), refine(same, x))
    mixed = copy.deepcopy(network)
    adjust.blend(mixed, other, 0.75)
    torch.testing.assert_close(mixed.coarse.weight, 0.75 * network.coarse.weight + 0.25 * other.coarse.weight)


def test_leaning_to_rays_moves_their_logits_only(network):
    leaning, x = copy.deepcopy(network), frame(64, 96)
    adjust.lean_to_rays(leaning, 2.5)
    before, after = {}, {}
    with torch.no_grad():
        network(x, before)
        leaning(x, after)
    moved = (after["head"] - before["head"]).mean((0, 2, 3))
    first = len(definition.RAW_OFFSETS) + len(definition.COARSE_OFFSETS) + len(definition.SMOOTH_LEVELS)
    expected = torch.zeros_like(moved)
    expected[first:first + definition.RAYS] = 2.5
    torch.testing.assert_close(moved, expected, rtol=0, atol=1e-5)


def test_other_files_are_refused(network, tmp_path, monkeypatch):
    monkeypatch.setattr(model_file, "VERSION", 4)
    model_file.export(network, tmp_path / "model.safetensors")
    monkeypatch.undo()
    with pytest.raises(ValueError, match="not a light network of version 2 or 3"):
        model_file.load(tmp_path / "model.safetensors")
