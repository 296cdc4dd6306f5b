# SPDX-License-Identifier: Apache-2.0
"""What depth cameras make of clean depth: stereo, structured light, time of flight at several resolutions, clean and sparse.

Every function takes a batch [B, 1, H, W] and returns sensor depth in metres, 0 = none. Noise amplitudes follow the
residuals measured on real cameras: a few tenths of a pixel of disparity, smooth over 3 to 6 pixels; see README.md.
"""
import math

import torch
import torch.nn.functional as F

from .render import GLASS


class Draw:
    """Per-image random numbers, shaped to broadcast over [B, 1, H, W]."""

    def __init__(self, gen, count):
        self.gen, self.count = gen, count

    def __call__(self, low=0.0, high=1.0):
        return low + (high - low) * torch.rand(self.count, 1, 1, 1, generator=self.gen, device=self.gen.device)

    def log(self, low, high):
        return torch.exp(self(math.log(low), math.log(high)))

    def chance(self, p):
        return self() < p


def blur(x, sigma, radius):
    k = torch.exp(-0.5 * (torch.arange(-radius, radius + 1, device=x.device) / sigma) ** 2)
    k = (k / k.sum()).to(x.dtype)
    c = x.shape[1]
    x = F.conv2d(F.pad(x, (radius,) * 2 + (0, 0), mode="replicate"), k.view(1, 1, 1, -1).expand(c, 1, 1, -1), groups=c)
    return F.conv2d(F.pad(x, (0, 0) + (radius,) * 2, mode="replicate"), k.view(1, 1, -1, 1).expand(c, 1, -1, 1), groups=c)


def widest(x, radius):
    rows = F.max_pool2d(x, (1, 2 * radius + 1), 1, (0, radius))
    return F.max_pool2d(rows, (2 * radius + 1, 1), 1, (radius, 0))


def pixel_grid(x):
    h, w = x.shape[-2:]
    return torch.arange(h, device=x.device).view(1, 1, h, 1), torch.arange(w, device=x.device).view(1, 1, 1, w)


def look_up(x, row, column):
    """x at integer (row, column), clamped to the frame."""
    h, w = x.shape[-2:]
    at = row.clamp(0, h - 1) * w + column.clamp(0, w - 1)
    return x.flatten(2).gather(2, at.expand(x.shape).flatten(2)).view_as(x)


def edges(z, ratio=1.05):
    """Pixels beside a depth step."""
    log = z.clamp(min=1e-3).log()
    step = torch.zeros_like(z)
    dx = ((log[..., 1:] - log[..., :-1]).abs() > math.log(ratio)).to(z.dtype)
    dy = ((log[..., 1:, :] - log[..., :-1, :]).abs() > math.log(ratio)).to(z.dtype)
    step[..., 1:] += dx
    step[..., :-1] += dx
    step[..., 1:, :] += dy
    step[..., :-1, :] += dy
    return step > 0


def surface(z, grey, focal):
    """What the loss models look at: tilt (tangent), texture strength, depth edges."""
    right, down = torch.roll(z, -1, 3), torch.roll(z, -1, 2)
    tilt = torch.hypot(right - z, down - z) * focal / z.clamp(min=0.05)
    soft = blur(grey, 1.0, 2)
    curve = (torch.roll(soft, 1, 3) + torch.roll(soft, -1, 3) + torch.roll(soft, 1, 2) + torch.roll(soft, -1, 2) - 4 * soft).abs()
    return tilt, blur(curve, 3.0, 6), edges(z)


def triangulation(noise, draw, z, grey, focal, structured):
    """Disparity cameras. `structured`: projector and one camera (Kinect 1 class), else active stereo.
    z [B, 1, H, W] metres without zeros; focal [B, 1, 1, 1] pixels."""
    b, _, h, w = z.shape
    field = lambda sigma: noise(sigma, b, h, w)
    row, column = pixel_grid(z)
    tilt, texture, edge = surface(z, grey, focal)
    baseline = draw.log(0.06, 0.09) if structured else draw.log(0.018, 0.12)
    fb = focal * baseline
    jitter = draw(0.3, 1.2) if structured else draw(0.2, 0.8)
    wave = field(1.2), field(1.2)
    d = look_up(fb / z, (row + jitter * wave[0]).round().long(), (column + jitter * wave[1]).round().long())
    if not structured:
        # Matching windows let the foreground grow over its background, here more, there less.
        pick = draw()
        fat = torch.where(pick < .35, widest(d, 1), torch.where(pick < .65, widest(d, 2), widest(d, 4)))
        d = torch.where(field(6.0) > draw(-0.6, 1.5), fat, d)
        amount = draw.log(0.02, 0.16) * (0.6 + 0.9 * torch.exp(-texture / 0.03))
        share = draw(0.2, 1.0), draw(0.1, 0.5), draw(0.0, 0.25), draw(0.0, 0.8)
        error = share[0] * field(3.2) + share[1] * field(1.2) + share[2] * field(0.5) + share[3] * field(6.0)
    else:
        amount = draw.log(0.03, 0.10)
        share = draw(0.3, 0.9), draw(0.2, 0.6), draw(0.1, 0.4)
        error = share[0] * field(2.0) + share[1] * field(0.9) + share[2] * field(0.5)
    d = d + amount * error
    # The other eye (or the projector) on either side does not see some of it.
    side = torch.where(draw.chance(0.75), 1, -1)
    place = (column - side * d).round().long()
    buffer = torch.zeros(b, h * w, device=z.device)
    at = (row * w + place.clamp(0, w - 1)).flatten(1)
    buffer.scatter_reduce_(1, at, d.flatten(1), "amax", include_self=True)
    shadow = buffer.gather(1, at).view_as(d) > d + 1
    outside = (place < 0) | (place >= w)
    smear = draw.chance(0.15)                                       # some cameras guess there
    drop = (shadow & ~smear) | (outside & draw.chance(0.6))
    d = torch.where(field(6.0) > draw(2.7, 4.0), d * (1 + 0.35 * field(12.0)), d)   # false matches
    steps = torch.where(draw.chance(0.5), 8.0, 32.0) if structured else torch.exp2((3 + 3 * draw()).floor())
    d = (d * steps).round() / steps
    if not structured:
        drop |= (texture < draw(0, 0.012)) & (field(6.0) > draw(0.4, 2.5))
    drop |= edge & (field(2.0) > draw(0.0, 2.0))
    drop |= (tilt > draw(3, 8)) & (field(2.0) > 0)
    near, far = (draw(0.3, 0.6), draw(4, 9)) if structured else (draw(0.1, 0.35), draw(4, 20))
    out = fb / d.clamp(min=1e-3)
    return torch.where(drop | (d < 0.3) | (out < near) | (out > far), 0, out)


def time_of_flight(noise, draw, z, grey, focal):
    """Radial noise, multipath, wiggle and flying pixels at the resolution of `z`."""
    b, _, h, w = z.shape
    field = lambda sigma: noise(sigma, b, h, w)
    tilt, _, edge = surface(z, grey, focal)
    pick = draw()
    mixed = torch.where(pick < .5, blur(z, 1.0, 3), torch.where(pick < .8, blur(z, 1.4, 4), blur(z, 2.0, 5)))
    reach = draw()
    zone = edge | ((reach > .4) & (widest(edge.float(), 1) > 0)) | ((reach > .75) & (widest(edge.float(), 2) > 0))
    some = torch.where(draw.chance(0.35), -9.0, draw(-2.5, 2.0))         # every edge pixel mixed, or some of them
    out = torch.where(zone & (field(1.2) > some), mixed, z)
    out = out + draw(0, 0.3) * (blur(out, 8.0, 16) - out).clamp(-0.08, 0.08)
    out = out + draw(0, 0.005) * torch.sin(2 * math.pi * out / 0.75 + 6 * draw())
    level = draw.log(0.0003, 0.002) + draw.log(0.0002, 0.001) * out * out / (grey + 0.05).sqrt()
    share = draw(0.0, 0.6)
    out = out + level * ((1 - share) * field(0.9) + share * field(2.0))
    drop = (grey < draw(0, 0.10)) & (field(3.2) > draw(-1, 1))
    drop |= edge & (field(1.2) > draw(0.0, 3.0))
    drop |= (tilt > draw(4, 10)) & (field(2.0) > 0)
    return torch.where(drop | (out < draw(0.1, 0.3)) | (out > draw(3.5, 9)), 0, out)


def reduced(z, factor, smooth):
    """Clean depth at 1/factor of the size: nearest, or averaged over the pixel's footprint where `smooth` says."""
    h, w = z.shape[-2:]
    size = (round(h / factor), round(w / factor))
    average = F.interpolate(z, size=size, mode="area")
    return torch.where(smooth, average, F.interpolate(z, size=size, mode="nearest-exact"))


def low_resolution(noise, draw, z, grey, focal, factor):
    """A time-of-flight or LiDAR camera with 1/factor of the colour's pixels, enlarged as the frames code does (nearest),
    or smoothly as phones do."""
    h, w = z.shape[-2:]
    small = reduced(z, factor, draw.chance(0.7))
    grey_small = F.interpolate(grey, size=small.shape[-2:], mode="area")
    out = time_of_flight(noise, draw, small, grey_small, focal / factor)
    smoothed = blur(out, 0.8, 2)
    full = blur((out > 0).float(), 0.8, 2) > 0.999
    out = torch.where(draw.chance(0.35) & full, smoothed, out)
    nearest = F.interpolate(out, size=(h, w), mode="nearest")
    hole = F.interpolate((out <= 0).float(), size=(h, w), mode="bilinear", align_corners=False) > 0
    bilinear = torch.where(hole, nearest, F.interpolate(out, size=(h, w), mode="bilinear", align_corners=False))
    return torch.where(draw.chance(0.4), bilinear, nearest)


def clean_or_sparse(noise, draw, z):
    """Good depth, whole or thinned: random points, scan lines, or as it is."""
    b, _, h, w = z.shape
    row, column = pixel_grid(z)
    out = z * (1 + draw.log(0.0002, 0.004) * noise(3.2, b, h, w))
    kind = draw()
    points = torch.rand(z.shape, generator=draw.gen, device=z.device) < draw.log(0.03, 0.4)
    lines = (row % (2 + (10 * draw()).long()) == 0).expand_as(z)
    return torch.where((kind < .2) & ~points | (kind > .9) & ~lines, 0, out)


def seen_through(noise, draw, depth, through, objects):
    """[B, 1, H, W] bool: where a camera measures what is behind glass; rather where that is close behind, as at a bottle's foot."""
    b, _, h, w = depth.shape
    gap = (through / depth.clamp(min=1e-3) - 1).clamp(0, 0.3)
    return (objects > GLASS) & draw.chance(0.6) & (noise((6.0, 12.0, 12.0), b, h, w) > draw(-1.5, 1.5) + draw(-2, 12) * gap)


def losses(noise, draw, depth, objects):
    """Holes all cameras share: frame borders, range gates, speckle, lost regions, blocks, whole objects."""
    b, _, h, w = depth.shape
    field = lambda sigma: noise(sigma, b, h, w)
    row, column = pixel_grid(depth)
    y, x = row / h, column / w
    drop = field(1.2) > draw(2.2, 5)
    drop |= field(3.2) > draw(2.0, 4.5)
    drop |= field(12.0) > draw(1.2, 4.5)
    drop |= field(30.0) > draw(1.0, 5.0)
    band = draw.chance(0.35)
    drop |= band & (x < draw(0, 0.12))
    drop |= band & draw.chance(0.4) & (x > 1 - draw(0, 0.12))
    drop |= band & draw.chance(0.4) & ((y < draw(0, 0.1)) | (y > 1 - draw(0, 0.1)))
    radius, stretch = draw(0.42, 0.75), draw(0.8, 1.25)                # round or hexagonal field of view
    u, v = (x - 0.5 + draw(-.05, .05)).abs() * stretch, (y - 0.5 + draw(-.05, .05)).abs()
    hexagon = torch.maximum(v, 0.87 * u + 0.5 * v)
    drop |= draw.chance(0.12) & (torch.where(draw.chance(0.5), (u * u + v * v).sqrt(), hexagon) > radius)
    for _ in range(3):
        drop |= draw.chance(0.2) & ((x - draw()).abs() < draw(.02, .16)) & ((y - draw()).abs() < draw(.02, .16))
    far = depth.flatten(1).amax(1).view(-1, 1, 1, 1)
    drop |= draw.chance(0.12) & (depth > far * draw(0.5, 1.0))
    # Whole objects are lost (dark, shining, glass): speckled or but for compact patches, within their outline or
    # with a margin around it.
    def lost(chosen, sparse):
        patches = field((3.2, 6.0, 6.0, 12.0))
        reach = draw()
        wide = widest(chosen.float(), 3) > 0
        area = torch.where(reach < .5, chosen, torch.where(reach < .8, wide, widest(wide.float(), 4) > 0))
        return area & (patches > sparse)
    glass = objects > GLASS
    drop |= draw.chance(0.85) & lost(glass, draw(-2.5, 0.7))
    for _ in range(3):
        drop |= lost(objects == (draw() * 90).long(), draw(-2.5, 1.0))
    # So is what is seen at some pixel, however large.
    at = lambda: objects.flatten(1).gather(1, (draw() * (h * w - 1)).long().view(b, 1)).view(b, 1, 1, 1)
    for chance in (0.25, 0.25):
        drop |= draw.chance(chance) & lost(objects == at(), draw(-2.0, 1.5))
    return torch.where(drop, 0, depth)
