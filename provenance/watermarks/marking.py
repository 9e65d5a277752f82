"""Putting the pixel watermark into luma, one frame at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from provenance.watermarks import tile
from provenance.watermarks.sync import SOFT_AFTER, SignSequence

STRONGEST_DB = 42.4
"""Luma PSNR of each frame before rounding; after it, a clip stays at 42 dB or above."""

MOST_LEVELS = 1.2
"""Standard deviation, in luma levels, of the watermark where the picture is smooth: there it would be seen first."""

_CONTRAST = 0.75
_LARGEST_DEVIATION_RATIO = 5.0
_HEADROOM = 10.0  # levels from black or white within which a watermark is cut off, and would only grey a border
_LEAST_HEADROOM = 0.1


@dataclass(frozen=True)
class Strength:
    """How strong a watermark is: luma PSNR of each frame before rounding; smooth frames stay above it.

    layers: how many watermarks keep to it together.
    """

    decibels: float = STRONGEST_DB
    layers: int = 1

    @property
    def of_one_layer(self) -> tuple[float, float]:
        """Standard deviation in luma levels of one layer: of a frame, and at most where the picture is smooth."""
        share = 1 / math.sqrt(self.layers)
        smooth = MOST_LEVELS * 10 ** ((STRONGEST_DB - self.decibels) / 20)
        return 255 * 10 ** (-self.decibels / 20) * share, smooth * share


class Embedder:
    """Marks the frames of one video with one id. Frames may come in any order; nothing is remembered between them."""

    def __init__(
        self,
        layout: tile.Tile,
        watermark_id: int,
        width: int,
        height: int,
        frame_rate: float,
        strength: Strength,
        *,
        full_range: bool = True,
    ) -> None:
        """full_range: whether luma runs from 0 to 255, or from 16 to 235 as in most files (of 8 bits)."""
        self._black, self._white = (0, 255) if full_range else (16, 235)
        nonce = layout.nonce_of(watermark_id)
        self._pattern = tile.render(layout.coefficients(watermark_id, nonce), width, height)
        self._sequence = SignSequence(layout.stream)
        self._start = np.array([layout.start_of(watermark_id)])
        self._frame_rate = frame_rate
        self._deviation, smooth = strength.of_one_layer
        self._largest_gain = smooth / (2 / 6) ** _CONTRAST
        self._reduction = max(1, round(math.sqrt(width * height) / 240))

    def mark(self, luma: np.ndarray, seconds: float, bit_depth: int = 8) -> np.ndarray:
        """Return the marked frame, of the same type: uint8 or uint16 (height, width), display orientation.

        seconds: when the frame is shown, counted from the first one. bit_depth: how many bits of a sample are in use.
        ValueError when the size differs from the one announced.
        """
        if luma.shape != self._pattern.shape:
            raise ValueError(f"a frame of {luma.shape} where {self._pattern.shape} was announced")
        unit = float(1 << (bit_depth - 8))
        pattern = cv2.multiply(self._pattern, self._mask(luma, unit))
        power = cv2.norm(pattern) / math.sqrt(pattern.size)
        amplitude = float(self._sequence.amplitudes(np.array([seconds]), self._start, self._frame_rate)[0, 0])
        if seconds < SOFT_AFTER:  # nothing was shown before that could flicker, and a lone frame needs all of it
            amplitude = math.copysign(1.0, amplitude)
        gain = min(self._deviation / max(power, 1e-9), self._largest_gain)
        pattern = pattern * np.float32(amplitude * gain * unit)
        if luma.dtype == np.uint8:
            return cv2.add(luma, pattern, dtype=cv2.CV_8U)
        marked = np.rint(luma.astype(np.float32) + pattern)
        return np.clip(marked, 0, (1 << bit_depth) - 1).astype(luma.dtype)

    def _mask(self, luma: np.ndarray, unit: float) -> np.ndarray:
        """Return float32 (height, width): how much a viewer tolerates, ((sigma + 2) / 6)^.75, little of it near
        black and white."""
        height, width = luma.shape
        size = (max(1, width // self._reduction), max(1, height // self._reduction))
        small = cv2.resize(luma, size, interpolation=cv2.INTER_AREA).astype(np.float32) / np.float32(unit)
        mean = cv2.blur(small, (5, 5))
        variance = np.maximum(cv2.sqrBoxFilter(small, cv2.CV_32F, (5, 5)) - mean * mean, 0)
        ratio = np.minimum((np.sqrt(variance) + 2) / 6, _LARGEST_DEVIATION_RATIO)
        room = np.clip(np.minimum(mean - self._black, self._white - mean) / _HEADROOM, _LEAST_HEADROOM, 1)
        mask = (ratio**_CONTRAST * room).astype(np.float32)
        return cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR)
