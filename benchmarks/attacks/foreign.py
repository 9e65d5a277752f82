"""Foreign material: moving pictures that belong to nobody, made on the spot from random numbers alone."""

from __future__ import annotations

import numpy as np

_WAVES = 24
_HIGHEST = 12
"""Most periods of a wave across a side."""
_CONTRAST, _TINT, _GRAIN = 45.0, 0.3, 4.0
"""Deviation of the texture in levels, how much of it differs between colours, deviation of fine grain in levels."""


class Foreign:
    """One source: waves about a colour, with fine grain, that drift without seams. `random` decides all of it."""

    def __init__(self, random: np.random.Generator) -> None:
        self._colour = random.uniform(80, 180, 3)
        self._periods = random.integers(1, _HIGHEST + 1, (_WAVES, 2)) * random.choice([-1, 1], (_WAVES, 2))
        self._phases = random.uniform(0, 2 * np.pi, _WAVES)
        weights = random.standard_normal((_WAVES, 1)) + _TINT * random.standard_normal((_WAVES, 3))
        weights /= np.hypot(*self._periods.T)[:, None]
        self._weights = weights * (_CONTRAST / np.sqrt(np.square(weights).sum(axis=0).mean() / 2))
        self._heights_per_second = random.uniform(0.1, 0.3, 2) * random.choice([-1, 1], 2)
        self._grain_seed = int(random.integers(1 << 32))
        self._painted = np.empty((0, 0, 3), np.uint8)

    def frame(self, height: int, width: int, seconds: float) -> np.ndarray:
        """Return the picture at a time: uint8 (height, width, 3)."""
        if self._painted.shape[:2] != (height, width):
            self._painted = self._paint(height, width)
        down, across = (round(speed * seconds * height) for speed in self._heights_per_second)
        return np.roll(self._painted, (down, across), (0, 1))

    def _paint(self, height: int, width: int) -> np.ndarray:
        down, across = (2 * np.pi * np.arange(side, dtype=np.float32) / side for side in (height, width))
        grain = np.random.default_rng(self._grain_seed).standard_normal((height, width, 1), dtype=np.float32)
        picture = self._colour.astype(np.float32) + _GRAIN * grain
        for (rows, columns), phase, weight in zip(self._periods, self._phases, self._weights, strict=True):
            wave = np.cos(np.float32(rows) * down[:, None] + np.float32(columns) * across + np.float32(phase))
            picture += wave[..., None] * weight.astype(np.float32)
        return np.clip(np.rint(picture), 0, 255).astype(np.uint8)
