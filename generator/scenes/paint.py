"""The brushes that all scenes share: grids, masks, gradients, layers, particles, ridges."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .texture import random_table, sample, texture

Colour = tuple[float, float, float]
"""Red, green, blue in 0..1."""


@dataclass(frozen=True)
class Canvas:
    """Where and when pixels are: the coordinates in which scenes are painted.

    One unit is the height of the picture; the middle square spans 0..1 in both directions, y grows downwards.
    """

    x: Tensor
    """(time, height, width) or broadcastable: across, after the camera's movement."""
    y: Tensor
    """(time, height, width) or broadcastable: down, after the camera's movement."""
    t: Tensor
    """(time, 1, 1) seconds."""
    pixel: float
    """Height of one pixel in units of the picture's height."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(time, height, width)."""
        time, height, width = torch.broadcast_shapes(self.x.shape, self.y.shape, self.t.shape)
        return time, height, width


def rise(value: Tensor, low: float | Tensor, high: float | Tensor) -> Tensor:
    """Smooth step: 0 where value <= low, 1 where value >= high, cubic in between."""
    part = ((value - low) / (high - low)).clamp(0, 1)
    return part * part * (3 - 2 * part)


def colour(values: Colour) -> Tensor:
    """A colour as (1, 3, 1, 1)."""
    return torch.tensor(values).view(1, 3, 1, 1)


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """The colour `share` of the way from first to second."""
    red, green, blue = (a + (b - a) * share for a, b in zip(first, second, strict=True))
    return red, green, blue


def scaled(values: Colour, by: Colour | float) -> Colour:
    """A colour times a light (a colour or a factor)."""
    light = (by, by, by) if isinstance(by, float) else by
    red, green, blue = (a * b for a, b in zip(values, light, strict=True))
    return red, green, blue


def gradient(canvas: Canvas, top: Colour, bottom: Colour, end: float = 1.0) -> Tensor:
    """A picture (time, 3, height, width) that goes from `top` at y = 0 to `bottom` at y = end."""
    share = (canvas.y / end).clamp(0, 1).expand(canvas.shape)[:, None]
    return colour(top) * (1 - share) + colour(bottom) * share


def over(picture: Tensor, mask: Tensor, layer: Tensor) -> Tensor:
    """Lay `layer` (broadcasts to (time, 3, height, width)) over the picture where mask (time, height, width) is 1."""
    return torch.lerp(picture, layer.expand_as(picture), mask[:, None])


def shaded(tint: Colour, light: Tensor) -> Tensor:
    """A tint times a light map (time, height, width) -> (time, 3, height, width)."""
    return colour(tint) * light[:, None]


def disc(canvas: Canvas, x: float | Tensor, y: float | Tensor, radius: float) -> Tensor:
    """Mask of a disc with an antialiased rim."""
    distance = torch.sqrt((canvas.x - x) ** 2 + (canvas.y - y) ** 2)
    return rise(radius - distance, -canvas.pixel, canvas.pixel)


def glow(canvas: Canvas, x: float | Tensor, y: float | Tensor, radius: float) -> Tensor:
    """A Gaussian halo, 1 at its middle."""
    return torch.exp(-((canvas.x - x) ** 2 + (canvas.y - y) ** 2) / (2 * radius**2))


def ridge(x: Tensor, phases: Sequence[float], angular: bool, roughness: float = 1.0) -> Tensor:
    """Height profile of hills (sums of sines) or of peaks (sums of triangles), about -1..1, of any x."""
    total = torch.zeros_like(x)
    for octave, phase in enumerate(phases):
        angle = 2 * math.pi * (x * 0.8 * 1.9**octave + phase)
        wave = torch.asin(torch.sin(angle)) * (2 / math.pi) if angular else torch.sin(angle)
        total = total + wave * (0.62 if angular else 0.5) ** octave * (roughness if octave else 1.0)
    return total / 1.6


def below(canvas: Canvas, line: Tensor) -> Tensor:
    """Mask of what lies below the line y = line(x)."""
    return rise(canvas.y - line, -canvas.pixel, canvas.pixel)


def surface(
    canvas: Canvas, kind: str, number: int, scale: float, *, dx: float | Tensor = 0.0, dy: float | Tensor = 0.0
) -> Tensor:
    """A texture laid over the canvas, `scale` tiles per picture height, moved by (dx, dy) heights -> (t, h, w)."""
    return sample(texture(kind, number), (canvas.x + dx) * scale, (canvas.y + dy) * scale)


def particles(
    canvas: Canvas, number: int, cells: float, radius: float, *, dx: Tensor, dy: Tensor, stretch: float = 1.0
) -> Tensor:
    """Mask of soft dots, at most one per cell of a jittered grid that moves by (dx, dy) heights.

    `cells` per picture height across, cells / stretch down; radius in parts of a cell, dots are drawn out by `stretch`
    vertically. Four fifths of the cells hold a dot; dots differ in size.
    """
    across, down = (canvas.x + dx) * cells, (canvas.y + dy) * cells / stretch
    across, down = torch.broadcast_tensors(across, down)
    column, row = across.floor(), down.floor()
    table = random_table(number).reshape(4, -1)
    dealt = table[:, ((row.long() % 64) * 64 + column.long() % 64)]
    size = radius * (0.55 + 0.45 * dealt[2])
    centre_x, centre_y = (size + dealt[0] * (1 - 2 * size), size + dealt[1] * (1 - 2 * size))
    distance = torch.sqrt((across - column - centre_x) ** 2 + (down - row - centre_y) ** 2)
    edge = max(canvas.pixel * cells, 0.3 * radius)
    return rise(size - distance, -edge / 2, edge / 2) * (dealt[3] < 0.8)
