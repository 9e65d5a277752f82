"""From a seed to a captioned clip: deals the attributes, sets up the camera, paints frame by frame."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from .caption import ATTRIBUTES, Caption
from .elements import balls, fire, smoke
from .landscapes import mountains, ocean, stars
from .paint import Canvas
from .weather import rain, snow
from .world import World, paper

BASE_RATE = Fraction(8)
"""Frames per second of the clips that the built-in model learns."""

PAINTERS: Mapping[str, Callable[[Canvas, World], Tensor]] = {
    "mountains": mountains,
    "ocean": ocean,
    "rain": rain,
    "snow": snow,
    "fire": fire,
    "smoke": smoke,
    "stars": stars,
    "balls": balls,
}
"""Scene name -> painter; a painter gives (time, 3, height, width) in about 0..1."""

_PIXELS_AT_ONCE = 2_000_000


def deal_caption(seed: int, scene: str | None = None) -> Caption:
    """The caption of a seed: every attribute by fair dice, the scene too unless given."""
    dice = random.Random(f"caption {seed}")
    attributes = {name: dice.choice(values) for name, values in ATTRIBUTES.items()}
    if scene is not None:
        attributes["scene"] = scene
    return Caption.of(attributes)


def _camera(size: tuple[int, int], times: Tensor, caption: Caption) -> Canvas:
    """The coordinates of every pixel at these times (seconds), seen through the caption's camera."""
    height, width = size
    t = times.view(-1, 1, 1)
    x = ((torch.arange(width) + 0.5 - width / 2) / height).view(1, 1, -1)
    y = ((torch.arange(height) + 0.5) / height - 0.5).view(1, -1, 1)
    pace = 0.5 if caption.attributes["speed"] == "slow" else 1.0
    if caption.attributes["camera"] == "zoom":
        near = 1.0 - 0.10 * pace * t.clamp(max=8.0) / 2.0
        x, y = x * near, y * near
    if caption.attributes["camera"] == "pan":
        sign = 1.0 if caption.attributes["direction"] == "right" else -1.0
        x = x - sign * 0.06 * pace * (t - 1.0)
    return Canvas(x + 0.5, y + 0.5 + 0 * t, t, 1.0 / height)


def paint(caption: Caption, seed: int, *, height: int, width: int, times: Tensor) -> np.ndarray:
    """Paint a caption's clip: uint8 (time, height, width, 3), RGB. The seed decides what the caption leaves open."""
    world = World.of(caption.attributes, random.Random(f"world {seed}"))
    painter = PAINTERS[caption.attributes["scene"]]
    parts = []
    for some in times.split(max(1, _PIXELS_AT_ONCE // (height * width))):
        canvas = _camera((height, width), some, caption)
        picture = paper(canvas, painter(canvas, world), world)
        parts.append(picture.clamp(0, 1).mul(255).round().to(torch.uint8).permute(0, 2, 3, 1))
    return torch.cat(parts).numpy()


@torch.no_grad()
def render(
    seed: int,
    scene: str | None = None,
    size: int | tuple[int, int] = 128,
    frames: int = 16,
    *,
    caption: Caption | None = None,
    frames_per_second: Fraction = BASE_RATE,
) -> tuple[np.ndarray, Caption]:
    """Render one clip and its caption; the same arguments give the same bytes.

    `size` is a side or (height, width); `caption` takes the place of the seed's own. Frames are uint8
    (frames, height, width, 3). Raises ValueError for a size below 16 or no frames.
    """
    height, width = (size, size) if isinstance(size, int) else size
    if height < 16 or width < 16 or frames < 1:
        raise ValueError(f"cannot render {frames} frames of {width} x {height}")
    caption = caption or deal_caption(seed, scene)
    times = torch.arange(frames) / float(frames_per_second)
    return np.ascontiguousarray(paint(caption, seed, height=height, width=width, times=times)), caption


def render_clips(
    count: int,
    seed: int = 0,
    height: int = 128,
    width: int = 128,
    frames: int = 16,
    *,
    frames_per_second: Fraction = Fraction(24),
) -> Iterator[tuple[np.ndarray, Caption]]:
    """Render `count` clips one by one, going round all scenes; as `render` with seeds seed, seed + 1, ..."""
    scenes = ATTRIBUTES["scene"]
    for number in range(count):
        scene = scenes[number % len(scenes)]
        yield render(seed + number, scene, (height, width), frames, frames_per_second=frames_per_second)
