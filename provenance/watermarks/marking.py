"""Putting the pixel watermark into luma, one frame at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from provenance.watermarks import tile
from provenance.watermarks.sync import SignSequence

STRONGEST_DB = 42.5
"""Luma PSNR of each frame before rounding; after it, a clip stays at 42 dB or above."""

CONTRASTS = (0.5, 1.0, 1.5)
"""From an even watermark, which survives best, to one that keeps close to the picture's detail."""

_LARGEST_DEVIATION_RATIO = 5.0
_HEADROOM = 10.0  # levels from black or white within which a watermark is cut off, and would only grey a border
_LEAST_HEADROOM = 0.1


@dataclass(frozen=True)
class Strength:
    """How strong a watermark is.

    decibels: luma PSNR of each frame before rounding. contrast: the power of the local deviation that it follows; the
    larger, the less of it lies where the picture is smooth.
    """

    decibels: float = STRONGEST_DB
    contrast: float = CONTRASTS[0]

    def shared(self, layers: int) -> Strength:
        """Return the strength of each of several layers that keep to this one together."""
        return Strength(self.decibels + 10 * math.log10(max(1, layers)), self.contrast)


class Embedder:
    """Marks the frames of one video with one id. Frames may come in any order; nothing is remembered between them."""

    def __init__(
        self, layout: tile.Tile, watermark_id: int, width: int, height: int, frame_rate: float, strength: Strength
    ) -> None:
        nonce = layout.nonce_of(watermark_id)
        self._pattern = tile.render(layout.coefficients(watermark_id, nonce), width, height)
        self._sequence = SignSequence(layout.stream)
        self._start = np.array([layout.start_of(watermark_id)])
        self._frame_rate = frame_rate
        self._deviation = 255 * 10 ** (-strength.decibels / 20)
        self._contrast = strength.contrast
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
        pattern = pattern * np.float32(amplitude * self._deviation * unit / max(power, 1e-9))
        if luma.dtype == np.uint8:
            return cv2.add(luma, pattern, dtype=cv2.CV_8U)
        marked = np.rint(luma.astype(np.float32) + pattern)
        return np.clip(marked, 0, (1 << bit_depth) - 1).astype(luma.dtype)

    def _mask(self, luma: np.ndarray, unit: float) -> np.ndarray:
        """Return float32 (height, width): how much a viewer tolerates, ((sigma + 2) / 6)^contrast, little of it near
        black and white."""
        height, width = luma.shape
        size = (max(1, width // self._reduction), max(1, height // self._reduction))
        small = cv2.resize(luma, size, interpolation=cv2.INTER_AREA).astype(np.float32) / np.float32(unit)
        mean = cv2.blur(small, (5, 5))
        variance = np.maximum(cv2.sqrBoxFilter(small, cv2.CV_32F, (5, 5)) - mean * mean, 0)
        ratio = np.minimum((np.sqrt(variance) + 2) / 6, _LARGEST_DEVIATION_RATIO)
        black, white = (16, 235) if small.min() >= 15 else (0, 255)  # limited range, as most files have
        room = np.clip(np.minimum(mean - black, white - mean) / _HEADROOM, _LEAST_HEADROOM, 1)
        mask = (ratio**self._contrast * room).astype(np.float32)
        return cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR)
