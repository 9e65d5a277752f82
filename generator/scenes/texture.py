"""Tileable fractal textures, made once from a fixed seed."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

TILE = 512
"""Side of a texture tile, in texels."""
SLOPES = {"rough": 1.15, "cloudy": 1.6, "smooth": 2.2}
"""Kind of texture -> exponent of its amplitude spectrum, |frequency|^-slope."""
COUNT = 6
"""Textures of each kind."""


@cache
def texture(kind: str, number: int) -> Tensor:
    """One tile of Gaussian fractal noise, float32 (TILE, TILE), mean 0, variance 1, wrapping at all sides.

    `kind` is a name of `SLOPES`; `number` is taken modulo `COUNT`.
    """
    number %= COUNT
    random = torch.Generator().manual_seed(7919 * list(SLOPES).index(kind) + number)
    white = torch.randn(TILE, TILE, generator=random)
    vertical = torch.fft.fftfreq(TILE)[:, None] * TILE
    horizontal = torch.fft.rfftfreq(TILE)[None, :] * TILE
    frequency = torch.sqrt(vertical**2 + horizontal**2)
    gain = torch.where(frequency > 0, frequency.clamp(min=1.5) ** -SLOPES[kind], 0.0)
    tile = torch.fft.irfft2(torch.fft.rfft2(white) * gain, s=(TILE, TILE))
    return tile / tile.std()


def sample(tile: Tensor, across: Tensor, down: Tensor) -> Tensor:
    """Look a tile up bilinearly at positions in units of whole tiles; wraps around.

    `across` and `down` broadcast to (time, height, width), which is the shape of the result.
    """
    across, down = torch.broadcast_tensors(across, down)
    closed = functional.pad(tile[None, None], (0, 1, 0, 1), mode="circular")  # (1, 1, side + 1, side + 1)
    time, height, width = across.shape
    grid = torch.stack((across - across.floor(), down - down.floor()), dim=-1) * 2 - 1
    found = functional.grid_sample(closed, grid.reshape(1, time * height, width, 2), align_corners=True)
    return found.reshape(time, height, width)


@cache
def random_table(number: int) -> Tensor:
    """Uniform numbers in [0, 1), float32 (4, 64, 64): what a particle's cell is dealt (see `paint.particles`)."""
    return torch.rand(4, 64, 64, generator=torch.Generator().manual_seed(104729 + number))
