# SPDX-License-Identifier: Apache-2.0
"""What follows the network's answer: a vote on holes, averaging of noise, edges moved to those of colour. No weights, no training.
`core/light/hole_vote`, `denoise` and `edge_snap` are the C++ twins. All depth is inverse depth (1/m), 0 = none.
"""
import torch
import torch.nn.functional as F

VOTE_STEPS = (1, 2, 4, 8, 16, 32)    # distances over which measured depths spread into holes, along alike colours
COLOUR_CONTRAST = 100.0    # of the squared difference of normalised colours, which makes pixels unlike
BESIDE = 1.6               # weight of pixels beside, above and below; 1 of those at the corners
LEAST_WEIGHT = 1e-3        # below this sum of weights a hole is left to the next step
FAR_SLACK = 0.25           # far from anything measured, the answer of half the size may leave the other two by this share
DENOISE_STEPS = (1, 2, 4, 8)
MOST_NOISE = 0.01          # of one pixel, relative: what is farther off is no noise
SNAP_CONTRAST = 30.0       # as COLOUR_CONTRAST
SNAP_EDGE = 0.04           # less difference of depth in a window is no edge
SNAP_MAJORITY = 1.2        # by how much the other side of an edge must have more alike colours


def halved(x):
    """x [B, 4, h, w] at half the size: mean colour, mean of what is measured. Odd sides are made even by replication."""
    x = F.pad(x.float(), (0, x.shape[3] % 2, 0, x.shape[2] % 2), mode="replicate")
    means, share = F.avg_pool2d(x, 2), F.avg_pool2d((x[:, 3:] > 0).float(), 2)
    return torch.cat([means[:, :3], torch.where(share > 0, means[:, 3:] / share.clamp(min=0.25), 0)], 1)


def doubled(y, like):
    """y [B, h, w] enlarged to twice its size, then cut to that of `like`."""
    return F.interpolate(y[:, None], scale_factor=2, mode="nearest")[:, 0, :like.shape[1], :like.shape[2]]


def guided_fill(q, colour):
    """Spreads the depths of q [B, h, w] into its holes (0) along alike colours [B, 3, h, w], in steps of growing distance. What
    lies farther than they reach stays 0."""
    h, w = q.shape[1:]
    for step in VOTE_STEPS:
        around, colours = F.pad(q, [step] * 4), F.pad(colour, [step] * 4)
        total = weight = torch.zeros_like(q)
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                rows, columns = slice(step * (1 + dy), step * (1 + dy) + h), slice(step * (1 + dx), step * (1 + dx) + w)
                unlike = (colours[..., rows, columns] - colour).square().sum(1)
                value = around[:, rows, columns]
                alike = ((BESIDE if dx * dy == 0 else 1.0) / (1 + COLOUR_CONTRAST * unlike).square()) * (value > 0)
                total, weight = total + alike * value, weight + alike
        q = torch.where((q <= 0) & (weight > LEAST_WEIGHT), total / weight, q)
    return q


def vote(x, y, coarse, far):
    """For the holes of x [B, 4, h, w], the middle one of three depths [B, h, w]: the network's answer y, its answer at half the
    size, where it sees twice as far, and the answers for measured pixels around, spread along alike colours. Each goes astray
    now and then, rarely two the same way. Where nothing spreads to, y counts near what is measured. More than `far` pixels of
    half the size from anything measured, only half the size sees enough, and is merely kept from leaving the other two by more
    than FAR_SLACK."""
    measured = x[:, 3] > 0
    window = 2 * far + 1
    near = F.max_pool2d((halved(x)[:, 3:] > 0).float(), (window, 1), 1, (far, 0))
    near = doubled(F.max_pool2d(near, (1, window), 1, (0, far))[:, 0], y)
    coarse = doubled(coarse, y)
    guided = guided_fill(torch.where(measured, y, 0), x[:, :3])
    guided = torch.where(guided > 0, guided, torch.where(near > 0, y, coarse))
    slack = torch.where(near > 0, 1.0, 1 + FAR_SLACK)
    low, high = torch.minimum(y, guided) / slack, torch.maximum(y, guided) * slack
    middle = torch.minimum(torch.maximum(coarse, low), high)
    return torch.where(measured | (y <= 0) | (coarse <= 0), y, middle)    # 0: too little measured in all


def denoised(y, measured, strength):
    """Averages each of y [B, h, w] with the pixels 1, 2, 4 and 8 away that differ by less than `strength` times the frame's
    noise, which is how much y moved what was measured [B, h, w]. Surfaces are planes in inverse depth, too, so they stay
    away from edges."""
    seen = measured > 0
    away = (measured / y - 1).abs()
    moved = torch.where(away < MOST_NOISE, away, MOST_NOISE).where(seen, 0).sum((1, 2), dtype=torch.float64)
    noise = (moved / seen.sum((1, 2)).clamp(min=1)).float().view(-1, 1, 1)
    h, w = y.shape[1:]
    for step in DENOISE_STEPS:
        for dim in (2, 1):
            scale = 1 / (strength * noise * y)
            total, weight = 2 * y, torch.full_like(y, 2)
            around = F.pad(y, [step, step, 0, 0] if dim == 2 else [0, 0, step, step])
            for start in (0, 2 * step):
                other = around.narrow(dim, start, w if dim == 2 else h)
                alike = 1 - ((other - y) * scale).square()
                is_alike = alike > 0    # not where both are 0
                total = total + torch.where(is_alike, alike.square() * other, 0)
                weight = weight + torch.where(is_alike, alike.square(), 0)
            y = total / weight
    return y


def snapped(y, colour, reach):
    """Pixels of y [B, h, w] beside an edge of depth change sides where the other side has SNAP_MAJORITY times as many pixels like
    theirs in colour [B, 3, h, w] within `reach` pixels: cameras measure edges some pixels beside where they are."""
    size = 2 * reach + 1
    high = F.max_pool2d(y[:, None], size, 1, reach)[:, 0]
    low = -F.max_pool2d(torch.where(y > 0, -y, -torch.inf)[:, None], size, 1, reach)[:, 0]
    middle = (low * high).sqrt()
    around, colours = F.pad(y, [reach] * 4), F.pad(colour, [reach] * 4)
    h, w = y.shape[1:]
    weights, totals = [0, 0], [0, 0]     # of the near side, of the far side
    for dy in range(size):
        for dx in range(size):
            value = around[:, dy:dy + h, dx:dx + w]
            unlike = (colours[..., dy:dy + h, dx:dx + w] - colour).square().sum(1)
            alike = (value > 0) / (1 + SNAP_CONTRAST * unlike).square()
            for side, there in enumerate((value >= middle, value < middle)):
                weights[side] = weights[side] + alike * there
                totals[side] = totals[side] + alike * there * value
    near = y >= middle
    more = torch.where(near, weights[1] > SNAP_MAJORITY * weights[0], weights[0] > SNAP_MAJORITY * weights[1])
    other = torch.where(near, totals[1] / weights[1], totals[0] / weights[0])
    return torch.where((y > 0) & (high > (1 + SNAP_EDGE) * low) & more, other, y)
