"""Putting the pixel watermark into luma, one frame at a time."""

from __future__ import annotations

import math

import cv2
import numpy as np

from provenance.watermarks import tile
from provenance.watermarks.sync import SignSequence

DEFAULT_STRENGTH_DB = 42.2
"""Luma PSNR of each frame before rounding; after it, a clip stays at 42 dB or above."""

_MASK_FLOOR, _MASK_CEILING = 0.5, 3.0


class Embedder:
    """Marks the frames of one video with one id. Frames may come in any order; nothing is remembered between them."""

    def __init__(
        self, layout: tile.Tile, watermark_id: int, width: int, height: int, frame_rate: float, strength_db: float
    ) -> None:
        nonce = layout.nonce_of(watermark_id)
        self._pattern = tile.render(layout.coefficients(watermark_id, nonce), width, height)
        self._sequence = SignSequence(layout.stream)
        self._start = np.array([layout.start_of(watermark_id)])
        self._frame_rate = frame_rate
        self._deviation = 255 * 10 ** (-strength_db / 20)
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
        """Return float32 (height, width): how much a viewer tolerates, clip(((sigma + 2) / 6)^.5, .5, 3)."""
        height, width = luma.shape
        size = (max(1, width // self._reduction), max(1, height // self._reduction))
        small = cv2.resize(luma, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        mean = cv2.blur(small, (5, 5))
        variance = np.maximum(cv2.sqrBoxFilter(small, cv2.CV_32F, (5, 5)) - mean * mean, 0)
        mask = np.sqrt((np.sqrt(variance) / np.float32(unit) + 2) / 6)
        return cv2.resize(np.clip(mask, _MASK_FLOOR, _MASK_CEILING), (width, height), interpolation=cv2.INTER_LINEAR)
