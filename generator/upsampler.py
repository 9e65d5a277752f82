"""From base clips, 128 lines and 8 frames a second, to what is delivered: 512 lines and 24 frames a second.

In space a small network adds to bicubic interpolation what it learnt from scenes; then *back-projection* (Irani &
Peleg, "Improving Resolution by Image Registration", 1991) makes the mean of every 4 x 4 pixels equal to the base pixel
again. In time, frames between two neighbours are warped from both along a motion field that is matched block by block
halfway between. Every third delivered frame, scaled down, is a base frame: whoever inverts a delivered clip starts from
the very frames that the sampler made.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

SCALE = 4
"""Delivered lines per base line."""
RATE = 3
"""Delivered frames per base frame."""


@dataclass(frozen=True)
class UpsamplerConfig:
    """Sizes of the network."""

    width: int = 32
    """Feature channels, on the grid of the base frames."""
    blocks: int = 3
    """Residual blocks."""


class Upsampler(nn.Module):
    """Base frames in 0..1 -> four times the lines and columns. Untrained, it is bicubic interpolation."""

    def __init__(self, config: UpsamplerConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.into = nn.Conv2d(3, width, 3, padding=1)
        self.blocks = nn.ModuleList(
            [
                nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.SiLU(), nn.Conv2d(width, width, 3, padding=1))
                for _ in range(config.blocks)
            ]
        )
        self.out = nn.Conv2d(width, 3 * SCALE**2, 3, padding=1)
        for parameter in self.out.parameters():
            nn.init.zeros_(parameter)

    def forward(self, frames: Tensor) -> Tensor:
        """(n, 3, h, w) -> (n, 3, 4h, 4w)."""
        hidden = self.into(frames - 0.5)  # (n, width, h, w)
        for block in self.blocks:
            hidden = hidden + block(functional.silu(hidden))
        detail = functional.pixel_shuffle(self.out(functional.silu(hidden)), SCALE)
        return enlarged(frames) + detail


def enlarged(frames: Tensor) -> Tensor:
    """Bicubic interpolation: (n, 3, h, w) -> (n, 3, 4h, 4w)."""
    return functional.interpolate(frames, scale_factor=SCALE, mode="bicubic", align_corners=False)


def reduced(frames: Tensor) -> Tensor:
    """Mean of every 4 x 4 pixels: (n, 3, 4h, 4w) -> (n, 3, h, w)."""
    return functional.avg_pool2d(frames, SCALE)


def back_projected(frames: Tensor, base: Tensor, rounds: int = 4) -> Tensor:
    """Change `frames` (n, 3, 4h, 4w) smoothly so that `reduced(frames)` is `base` (n, 3, h, w), all within 0..1."""
    for turn in range(rounds):
        missing = base - reduced(frames)
        last = turn == rounds - 1
        change = missing.repeat_interleave(SCALE, 2).repeat_interleave(SCALE, 3) if last else enlarged(missing)
        frames = (frames + change).clamp(0, 1)
    return frames


def motion_between(first: Tensor, second: Tensor, reach: int = 5) -> Tensor:
    """Block-matched motion from first to second, both luma (n, 1, h, w): (n, 2, h, w), (x, y) pixels.

    Seen from halfway. At half the size all displacements up to `reach` are tried; the best is refined by a pixel at
    full size, and smoothed over 7 x 7 pixels. h and w are even.
    """
    coarse = _searched(functional.avg_pool2d(first, 2), functional.avg_pool2d(second, 2), reach)
    coarse = functional.interpolate(coarse, scale_factor=2, mode="bilinear", align_corners=False)
    start = _smoothed(2 * coarse, 5)
    best, found = torch.full_like(first, torch.inf), start
    for down in (-1.0, 0.0, 1.0):
        for across in (-1.0, 0.0, 1.0):
            move = start + torch.tensor([across, down]).view(1, 2, 1, 1)
            cost = _smoothed((warped(first, -move / 2) - warped(second, move / 2)).abs(), 9)
            cost = cost + 0.001 * (abs(down) + abs(across))
            found = torch.where(cost < best, move, found)
            best = torch.minimum(cost, best)
    return _smoothed(found, 7)


def _searched(first: Tensor, second: Tensor, reach: int) -> Tensor:
    """The displacement d, |d| <= reach, of least mean difference of first at p - d/2 and second at p + d/2.

    The mean is over 7 x 7 pixels; long displacements pay a little.
    """
    height, width = first.shape[2:]
    doubled = [
        functional.pad(
            functional.interpolate(each, scale_factor=2, mode="bilinear", align_corners=False),
            (reach,) * 4,
            mode="replicate",
        )
        for each in (first, second)
    ]

    def shifted(which: int, down: int, across: int) -> Tensor:
        rows = slice(reach + down, reach + down + 2 * height, 2)
        return doubled[which][:, :, rows, reach + across : reach + across + 2 * width : 2]

    best, found = torch.full_like(first, torch.inf), torch.zeros(len(first), 2, height, width)
    for down in range(-reach, reach + 1):
        for across in range(-reach, reach + 1):
            cost = _smoothed((shifted(0, -down, -across) - shifted(1, down, across)).abs(), 7)
            cost = cost + 0.0015 * (down**2 + across**2) ** 0.5
            move = torch.tensor([float(across), float(down)]).view(1, 2, 1, 1)
            found = torch.where(cost < best, move, found)
            best = torch.minimum(cost, best)
    return found


def _smoothed(x: Tensor, side: int) -> Tensor:
    """Mean over side x side pixels."""
    rows = functional.avg_pool2d(x, (side, 1), 1, (side // 2, 0), count_include_pad=False)
    return functional.avg_pool2d(rows, (1, side), 1, (0, side // 2), count_include_pad=False)


def warped(frames: Tensor, motion: Tensor) -> Tensor:
    """frames (n, 3, h, w) looked up at p + motion(p), motion (n, 2, h, w) in pixels."""
    height, width = frames.shape[2:]
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    across = (x + motion[:, 0] + 0.5) / width * 2 - 1
    down = (y + motion[:, 1] + 0.5) / height * 2 - 1
    grid = torch.stack((across, down), dim=-1)
    return functional.grid_sample(frames, grid, padding_mode="border", align_corners=False)


def luma(frames: Tensor) -> Tensor:
    """(n, 3, h, w) -> (n, 1, h, w), BT.709 weights."""
    return (frames * torch.tensor([0.2126, 0.7152, 0.0722]).view(1, 3, 1, 1)).sum(1, keepdim=True)


def between(first: Tensor, second: Tensor, motion: Tensor, share: float) -> Tensor:
    """The frame `share` of the way from first to second (n, 3, h, w) along the motion seen from halfway."""
    before = warped(first, -share * motion)
    after = warped(second, (1 - share) * motion)
    return torch.lerp(before, after, share)


@torch.no_grad()
def delivered(upsampler: Upsampler, base: Tensor) -> Tensor:
    """uint8 base frames (t, h, w, 3) -> uint8 (3 t, 4 h, 4 w, 3).

    Frames 0, 3, 6, ... reduced by `reduced` are the base frames (to rounding); the two frames after the last one go on
    along its motion.
    """
    small = base.permute(0, 3, 1, 2).float() / 255
    keys = torch.cat([back_projected(upsampler(each), each) for each in small.split(4)])
    result = torch.empty(RATE * len(base), *(SCALE * side for side in base.shape[1:3]), 3, dtype=torch.uint8)
    result[::RATE] = _bytes(keys)
    if len(base) == 1:
        result[:] = result[0]
        return result
    grey = luma(small)
    motion = SCALE * functional.interpolate(
        motion_between(grey[:-1], grey[1:]), scale_factor=SCALE, mode="bilinear", align_corners=False
    )
    for step in range(1, RATE):
        share = step / RATE
        for place in range(len(base) - 1):
            here = slice(place, place + 1)
            middle = between(keys[here], keys[place + 1 : place + 2], motion[here], share)
            result[RATE * place + step] = _bytes(middle)[0]
        result[RATE * (len(base) - 1) + step] = _bytes(warped(keys[-1:], -share * motion[-1:]))[0]
    return result


def _bytes(frames: Tensor) -> Tensor:
    """(n, 3, h, w) in 0..1 -> uint8 (n, h, w, 3)."""
    return (frames * 255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
