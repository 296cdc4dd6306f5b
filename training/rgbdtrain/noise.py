# SPDX-License-Identifier: Apache-2.0
"""Unit-variance Gaussian noise fields of several smoothness, made once and cut out at random places (they tile)."""
import torch

SIGMAS = (0.5, 0.9, 1.2, 2.0, 3.2, 6.0, 12.0, 30.0)   # pixels


def cut(bank, field, y0, x0, flip, height, width):
    """Windows [count, 1, height, width] of the fields bank [fields, size, size], which tile."""
    size = bank.shape[-1]
    y = (torch.arange(height, device=bank.device)[None, :, None] * flip + y0) % size
    x = (torch.arange(width, device=bank.device)[None, None, :] + x0) % size
    return bank.view(-1)[(field * size + y) * size + x].float()[:, None]


class NoiseBank:
    """`compiled`: cut windows in one fused kernel."""

    def __init__(self, gen, fields=24, size=1024, compiled=False):
        self.gen, self.size, self.fields = gen, size, fields
        self.cut = torch.compile(cut, dynamic=True) if compiled else cut
        frequency = torch.fft.fftfreq(size, device=gen.device)
        squared = frequency[:, None] ** 2 + frequency[None, : size // 2 + 1].abs() ** 2
        bank = []
        for sigma in SIGMAS:
            white = torch.randn(fields, size, size, generator=gen, device=gen.device)
            smooth = torch.fft.irfft2(torch.fft.rfft2(white) * torch.exp(-2 * (torch.pi * sigma) ** 2 * squared), s=(size, size))
            bank.append((smooth / smooth.std((1, 2), keepdim=True)).half())
        self.bank = torch.cat(bank)

    def __call__(self, sigma, count, height, width):
        """[count, 1, height, width]; `sigma` one of SIGMAS, or several of which each image takes one."""
        draw = lambda top: torch.randint(0, top, (count, 1, 1), generator=self.gen, device=self.gen.device)
        field = draw(self.fields)
        if isinstance(sigma, tuple):
            levels = torch.tensor([SIGMAS.index(s) for s in sigma], device=field.device)
            field = field + self.fields * levels[draw(len(sigma))]
        else:
            field = field + self.fields * SIGMAS.index(sigma)
        return self.cut(self.bank, field, draw(self.size), draw(self.size), draw(2) * 2 - 1, height, width)
