# SPDX-License-Identifier: Apache-2.0
"""The training loss: log-L1 on what the network would put out, on its choices and on its coarse and free depths."""
import torch
import torch.nn.functional as F

from . import sensors
from .network import valid_quantiles


def log_error(value, truth):
    return (value.clamp(min=1e-4).log() - truth.clamp(min=1e-4).log()).abs()


def mean_over(value, weight):
    return (value * weight).sum() / weight.sum().clamp(min=1)


def gradient_error(value, truth, valid):
    """Differences of log depth at strides 1, 2, 4, 8 against the truth's."""
    total = 0.0
    for stride in (1, 2, 4, 8):
        a = value[..., ::stride, ::stride].clamp(min=1e-4).log()
        b = truth[..., ::stride, ::stride].clamp(min=1e-4).log()
        m = valid[..., ::stride, ::stride]
        for dim in (2, 3):
            step = lambda v: torch.diff(v, dim=dim)
            both = torch.minimum(m.narrow(dim, 1, m.shape[dim] - 1), m.narrow(dim, 0, m.shape[dim] - 1))
            total = total + mean_over((step(a) - step(b)).abs().clamp(max=1), both)
    return total / 8


def loss(network, x, truth, glass, median):
    """x [B, 4, h, w], truth [B, 1, h, w] inverse depth (0 = unknown), glass [B, 1, h, w] bool, sides multiples of 32; median
    [B, 1, 1, 1]. Returns the loss and a dict of measures, all detached."""
    q, t = x[:, 3:] / median, truth / median
    features, fills, rays = network.features(x[:, :3], q)
    coarse, head = network.unet(features)
    values, weights, small = network.candidates(q, fills, rays, coarse, head)
    soft = (weights * values).sum(1, keepdim=True)
    chosen = network.choose(values, weights)

    valid, kept = (t > 0).float(), (q > 0).float()
    edge = sensors.widest(sensors.edges(1 / t.clamp(min=1e-3)).float(), 3)
    hole = 1 - kept
    weight = valid * (1 + hole + 2 * edge + kept * (1 - edge) + 2 * hole * glass)
    e_chosen, e_soft, e_raw = log_error(chosen, t), log_error(soft, t), log_error(q, t)
    expected = (weights * log_error(values, t).clamp(max=1)).sum(1, keepdim=True)
    t4, v4 = t[..., 1::4, 1::4], valid[..., 1::4, 1::4]
    harm = F.relu(e_chosen - e_raw) * kept
    parts = dict(
        chosen=0.5 * mean_over(e_chosen, weight),
        soft=0.5 * mean_over(e_soft, weight),
        expected=0.3 * mean_over(expected, weight),
        free=0.2 * mean_over(log_error(values[:, -1:], t), weight),
        coarse=0.3 * mean_over(log_error(small, t4), v4 * weight[..., 1::4, 1::4]),
        gradient=0.5 * gradient_error(soft, t, valid),
        harm=0.5 * mean_over(harm, valid * kept * (1 + edge)),
    )
    with torch.no_grad():
        close = (e_chosen < 0.0488).float()                        # ratio below 1.05
        measures = {k: v.detach() for k, v in parts.items()}
        measures.update(k_raw=mean_over(e_raw, valid * kept), k=mean_over(e_chosen, valid * kept), h=mean_over(e_chosen, valid * hole),
                        h105=mean_over(close, valid * hole), g105=mean_over(close, valid * hole * glass), e105=mean_over(close, valid * edge), k105=mean_over(close, valid * kept),
                        ek_raw=mean_over(e_raw, valid * kept * edge), ek=mean_over(e_chosen, valid * kept * edge))
    return sum(parts.values()), measures


def jittered_median(x, gen):
    """The network's scale, of every fourth pixel, moved by up to 25 % so that it does not lean on the exact value."""
    _, (median,) = valid_quantiles(x[:, 3:, ::2, ::2], (0.5,))
    median = torch.where(median > 0, median, 1.0).view(-1, 1, 1, 1)
    return median * torch.exp((torch.rand(median.shape, generator=gen, device=x.device) - 0.5) * 0.44)
