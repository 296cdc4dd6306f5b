# SPDX-License-Identifier: Apache-2.0
"""The `light` network: a convolutional U-Net that chooses among raw, coarse and filled depths; then holes are voted on, noise
is averaged and edges move, as the settings say.

`core/light` is the C++ twin; what is defined here to the letter (median, fill, rays, candidates, mode, clamps) is
repeated there, so a change here is a change of `VERSION` (but for `far`, `denoise` and `snap`, additions that older
programs leave out; one that knew `far` alone, before run 7c, takes the answer at half the size there). All depth is
inverse depth (1/m), 0 = none.
"""
from dataclasses import asdict, dataclass, replace

import torch
import torch.nn.functional as F
from torch import nn

from .finishing import denoised, halved, snapped, vote

VERSION = 3
MULTIPLE = 32          # the U-Net's stride; inputs are padded to it by replication
PYRAMID_LEVELS = 5     # push-pull fill reaches this stride (2^5)
CORRECTION = 1.5       # free and coarse depths stay within e^±1.5 of the fill
DIFFERENCE_LEVELS = (2, 3, 4, 5)    # fill against its means over 2^level pixels: noise of every wavelength, at full precision
SMOOTH_LEVELS = (3, 4)              # means that are candidates themselves, for plain surfaces
RAYS = 4               # nearest measured depths to the left, right, above and below: a hole's borders (0 = none, version 2)
FEATURES = 5 + len(DIFFERENCE_LEVELS) + RAYS    # colour 3, log fill, mask, differences, rays
RAW_OFFSETS = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)] + [
    (dy, dx) for dy in (-3, 0, 3) for dx in (-3, 0, 3) if (dy, dx) != (0, 0)]
COARSE_OFFSETS = [(0, 0), (0, -4), (0, 4), (-4, 0), (4, 0)]
CANDIDATES = len(RAW_OFFSETS) + len(COARSE_OFFSETS) + len(SMOOTH_LEVELS) + RAYS + 1


@dataclass
class Settings:
    """What the metadata of a model file says; the network is built from it alone."""
    widths: tuple = (24, 48, 80, 128, 224)   # channels at 1/2, 1/4, … 1/32
    bottleneck_blocks: int = 4
    mode_tolerance: float = 0.05    # candidates this near the likeliest one are averaged
    keep_window: int = 7            # the choice keeps a measured pixel in the range of its window…
    keep_tolerance: float = 0.02    # … widened by this share
    hole_low: float = 0.7           # … and a filled one in [low * 1 %, high * 99 %] of the frame's
    hole_high: float = 1.4          # measured inverse depths
    min_valid: float = 0.01         # below this share of measured pixels the frame passes through
    far: int = 0                    # holes get the middle one of three depths (see finishing.vote), but more than so many pixels of
                                    # half the size from anything measured about that of half the size; 0: the network's own
    denoise: float = 0.0            # pixels nearer to each other than so many times the frame's noise are averaged; 0: none
    snap: int = 0                   # edges of depth move to those of colour within so many pixels; 0: none do

    dict = asdict

    def check(self):
        """Raises ValueError for what the program would refuse."""
        for name, most in {"far": 16, "denoise": 50, "snap": 7}.items():
            if not 0 <= getattr(self, name) <= most:
                raise ValueError(f"{name}={getattr(self, name)}: the program takes 0 to {most}")


def conv(cin, cout, kernel=3, stride=1):
    return nn.Conv2d(cin, cout, kernel, stride, kernel // 2)


class Block(nn.Module):
    """relu(x + conv(relu(conv(x))))"""

    def __init__(self, width):
        super().__init__()
        self.conv1, self.conv2 = conv(width, width), conv(width, width)

    def forward(self, x):
        return F.relu(x + self.conv2(F.relu(self.conv1(x))))


class Encoder(nn.Module):
    """Halves the size, then residual blocks."""

    def __init__(self, cin, cout, blocks):
        super().__init__()
        self.down = conv(cin, cout, 3, 2)
        self.blocks = nn.Sequential(*(Block(cout) for _ in range(blocks)))

    def forward(self, x):
        return self.blocks(F.relu(self.down(x)))


class Decoder(nn.Module):
    """relu(skip + bilinear_x2(conv1x1(deep))), then a residual block."""

    def __init__(self, cdeep, cskip):
        super().__init__()
        self.lateral = conv(cdeep, cskip, 1)
        self.block = Block(cskip)

    def forward(self, deep, skip):
        up = F.interpolate(self.lateral(deep), scale_factor=2, mode="bilinear", align_corners=False)
        return self.block(F.relu(skip + up))


def valid_quantiles(q, shares):
    """Order statistics of the positive values of each q[b]: the value at index floor(share * (n - 1)) of the
    ascending sort (share .5 = lower median). Returns n [B] and values [len(shares), B] (0 where n = 0)."""
    flat = q.flatten(1)
    n = (flat > 0).sum(1)
    ordered = torch.where(flat > 0, flat, torch.inf).sort(1).values
    at = torch.stack([torch.floor(s * (n - 1).clamp(min=0).double()).long() for s in shares])
    values = ordered.gather(1, at.T).T
    return n, torch.where(n > 0, values, 0.0)


def push_pull(q, mask):
    """Fills holes from an image pyramid. q, mask [B, 1, H, W], sides multiples of 2^PYRAMID_LEVELS.
    Returns the filled maps, full size first."""
    sums, weights = [q * mask], [mask]
    for _ in range(PYRAMID_LEVELS):
        sums.append(F.avg_pool2d(sums[-1], 2))
        weights.append(F.avg_pool2d(weights[-1], 2))
    total, weight = sums[-1].mean((2, 3), keepdim=True), weights[-1].mean((2, 3), keepdim=True)
    fill = (total / weight.clamp(min=1e-6)).expand_as(sums[-1])
    fills = []
    for level in range(PYRAMID_LEVELS, -1, -1):
        if level < PYRAMID_LEVELS:
            fill = F.interpolate(fill, scale_factor=2, mode="bilinear", align_corners=False)
        mean = sums[level] / weights[level].clamp(min=1e-6)
        share = (4 * weights[level]).clamp(max=1)
        fill = share * mean + (1 - share) * fill
        fills.insert(0, fill)
    return fills


def smooth(fills, level):
    """The fill's mean over 2^level pixels at full size, linear between them."""
    return F.interpolate(fills[level], scale_factor=2 ** level, mode="bilinear", align_corners=False)


def nearest_measured(q):
    """The nearest measured value in each of four directions, the pixel itself included: q [B, 1, H, W] to [B, 4, H, W]
    (left, right, above, below), 0 where there is none."""
    rays = []
    for dim in (3, 2):
        both = torch.cat([q, q.flip(dim)], 1)
        place = torch.arange(q.shape[dim], device=q.device)
        place = torch.where(both > 0, place if dim == 3 else place[:, None], 0)
        forward, backward = both.gather(dim, place.cummax(dim).values).split(1, 1)      # the first pixel is its own ray, or 0
        rays += [forward, backward.flip(dim)]
    return torch.cat(rays, 1)


def shifted(x, dy, dx):
    """x[..., y + dy, x + dx], 0 outside."""
    h, w = x.shape[-2:]
    padded = F.pad(x, (3, 3, 3, 3))
    return padded[..., 3 + dy:3 + dy + h, 3 + dx:3 + dx + w]


def corrected(fill, s):
    return fill * torch.exp(CORRECTION * torch.tanh(s.float() / CORRECTION))


class LightNetwork(nn.Module):
    def __init__(self, settings=None):
        super().__init__()
        self.settings = s = settings or Settings()
        w = s.widths
        self.stem = nn.ModuleList([conv(4 * FEATURES, w[0]), conv(w[0], w[0])])
        self.encoder = nn.ModuleList(
            Encoder(w[i], w[i + 1], s.bottleneck_blocks if i + 2 == len(w) else 1) for i in range(len(w) - 1))
        self.decoder = nn.ModuleList(Decoder(w[i + 1], w[i]) for i in range(len(w) - 1))
        self.coarse = conv(w[1], 1, 3)
        self.head = conv(w[0], 4 * (CANDIDATES + 1), 1)

    def initialise(self):
        """For training: coarse and free begin as the fill, the choice leans to the raw centre and the free depth."""
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
                nn.init.zeros_(m.bias)
            if isinstance(m, Block):
                nn.init.normal_(m.conv2.weight, std=0.3 * (m.conv2.in_channels * 9) ** -0.5)
        for m in (self.coarse, self.head):
            nn.init.normal_(m.weight, std=1e-3)
        with torch.no_grad():
            bias = self.head.bias.view(CANDIDATES + 1, 4)
            bias[RAW_OFFSETS.index((0, 0))] = 2.0
        return self

    def deepen(self, blocks):
        """Adds bottleneck blocks that change nothing yet: relu(x + 0) of an x that is already positive."""
        layers = self.encoder[-1].blocks
        for _ in range(len(layers), blocks):
            block = Block(self.settings.widths[-1])
            nn.init.kaiming_normal_(block.conv1.weight, nonlinearity="relu")
            for zero in (block.conv1.bias, block.conv2.weight, block.conv2.bias):
                nn.init.zeros_(zero)
            layers.append(block)
        self.settings = replace(self.settings, bottleneck_blocks=len(layers))
        return self

    def features(self, colour, q):
        """colour [B, 3, H, W], q [B, 1, H, W] over its median, sides multiples of MULTIPLE.
        Returns the stem's input [B, FEATURES, H, W], the fill pyramid and the rays [B, RAYS, H, W]."""
        mask = (q > 0).to(q.dtype)
        fills = push_pull(q, mask)
        log = fills[0].clamp(min=1e-4).log()
        differences = [(8 * (log - smooth(fills, level).clamp(min=1e-4).log())).clamp(-1, 1) * mask for level in DIFFERENCE_LEVELS]
        rays = nearest_measured(q)[:, :RAYS]
        borders = (2 * (rays.clamp(min=1e-4).log() - log)).clamp(-1, 1) * ((rays > 0) * (1 - mask))
        return torch.cat([colour, log.clamp(-4, 4), mask, *differences, borders], 1), fills, rays

    def unet(self, features):
        """[B, FEATURES, H, W] to (coarse correction [B, 1, H/4, W/4], head [B, CANDIDATES + 1, H, W])."""
        x = F.pixel_unshuffle(features, 2)
        for layer in self.stem:
            x = F.relu(layer(x))
        skips = [x]
        for layer in self.encoder:
            skips.append(layer(skips[-1]))
        x = skips[-1]
        coarse = None
        for i in range(len(self.decoder) - 1, -1, -1):
            x = self.decoder[i](x, skips[i])
            if i == 1:
                coarse = self.coarse(x)
        return coarse, F.pixel_shuffle(self.head(x), 2)

    def candidates(self, q, fills, rays, coarse, head):
        """The depths to choose from and how much each counts: values and weights [B, CANDIDATES, H, W] float32."""
        values = [shifted(q, dy, dx) for dy, dx in RAW_OFFSETS]
        small = corrected(fills[2], coarse)
        large = F.interpolate(F.pad(small, (1, 1, 1, 1), mode="replicate"), scale_factor=4, mode="bilinear",
                              align_corners=False)
        h, w = q.shape[-2:]
        values += [large[..., 4 + dy:4 + dy + h, 4 + dx:4 + dx + w] for dy, dx in COARSE_OFFSETS]
        values += [smooth(fills, level) for level in SMOOTH_LEVELS]
        values.append(rays)
        values.append(corrected(fills[0], head[:, CANDIDATES:]))
        values = torch.cat(values, 1)
        logits = torch.where(values > 0, head[:, :CANDIDATES].float(), -1e4)
        return values, logits.softmax(1), small

    def choose(self, values, weights):
        """Weighted mean of the candidates near the likeliest one: no depth between foreground and background."""
        best = values.gather(1, weights.argmax(1, keepdim=True))
        near = (values - best).abs() <= self.settings.mode_tolerance * best
        weights = weights * near
        return (weights * values).sum(1, keepdim=True) / weights.sum(1, keepdim=True)

    def limit(self, y, q, low, high):
        """Measured pixels stay near their neighbourhood, filled ones inside the frame's range."""
        s = self.settings
        pad = s.keep_window // 2
        top = F.max_pool2d(q, s.keep_window, 1, pad)
        bottom = -F.max_pool2d(torch.where(q > 0, -q, -torch.inf), s.keep_window, 1, pad)
        kept = torch.minimum(torch.maximum(y, bottom * (1 - s.keep_tolerance)), top * (1 + s.keep_tolerance))
        return torch.where(q > 0, kept, torch.minimum(torch.maximum(y, low), high))

    def forward(self, x, trace=None):
        """x [B, 4, h, w]: normalised colour, inverse depth 1/m. Returns [B, h, w], 1/m. `trace` collects intermediates."""
        s = self.settings
        y = self.answer(x, trace)
        if s.far and (x[:, 3] <= 0).any():
            y = vote(x.float(), y, self.answer(halved(x)), s.far)
        if s.denoise:
            y = denoised(y, x[:, 3].float(), s.denoise)
        if s.snap:
            y = torch.where(self.passes_through(x), y, snapped(y, x[:, :3].float(), s.snap))
        return y

    def passes_through(self, x):
        """[B, 1, 1]: which frames have too few measured pixels."""
        return ((x[:, 3] > 0).sum((1, 2)).double() < self.settings.min_valid * x.shape[2] * x.shape[3]).view(-1, 1, 1)

    def answer(self, x, trace=None):
        """The choice among candidates, at one size."""
        s = self.settings
        h, w = x.shape[-2:]
        measured = x[:, 3:].float()
        _, (low, median, high) = valid_quantiles(measured, (0.01, 0.5, 0.99))
        shape = (-1, 1, 1, 1)
        median = torch.where(median > 0, median, 1.0).view(shape)
        padding = (0, -w % MULTIPLE, 0, -h % MULTIPLE)
        colour = F.pad(x[:, :3].float(), padding, mode="replicate")
        q = F.pad(measured / median, padding, mode="replicate")
        features, fills, rays = self.features(colour, q)
        coarse, head = self.unet(features.to(self.head.weight.dtype))
        values, weights, small = self.candidates(q, fills, rays, coarse, head)
        chosen = self.choose(values, weights)
        y = self.limit(chosen, q, s.hole_low * low.view(shape) / median, s.hole_high * high.view(shape) / median)
        y = (y * median)[:, 0, :h, :w]
        y = torch.where(self.passes_through(x), measured[:, 0], y)
        if trace is not None:
            trace.update(median=median.flatten(), fill=fills[0], fill4=fills[2], features=features, coarse=small, head=head,
                         chosen=chosen)
        return y
