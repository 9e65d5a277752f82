"""What every reader of the pixel watermark does before a key comes in: normalise frames, project them on a lattice.

A frame is scaled to about 147,000 pixels, freed of what varies slowly, divided by its local deviation and clipped: the
host's edges then weigh little more than its flat parts. In a second version it is first freed of what stands still over
some seconds, so that texture that does not move counts for nothing. Projections take the harmonics of an axis-aligned
lattice of any two periods, and the points half way between its nodes, which hold the same host but no watermark: these
*off-lattice* values measure the noise in time (its covariance between frames) and in frequency.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import cv2
import numpy as np

from provenance.threads import in_threads
from provenance.watermarks.tile import PERIODS, harmonics

WORKING_SIDE = 384
"""Frames are scaled down to this square root of width * height; smaller ones are left as they are."""

CELLS = 120
CLIP_AT = 3.0
LEVELS = 42
"""Normalised values are kept as int8 in units of 1/42: 3 deviations fit, and memory is a quarter."""

DETAIL_LEVELS = 16
"""What is left of luma levels is kept as int16 in units of 1/16."""

_HIGH_PASS_CELLS = 1.3
_DEVIATION_CELLS = 4.0
_DEVIATION_FLOOR = 0.7


@dataclass(frozen=True)
class FrontEnd:
    """Takes luma frames of one size in."""

    width: int
    height: int

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of normalised frames."""
        scale = min(1.0, WORKING_SIDE / math.sqrt(self.width * self.height))
        return max(8, round(self.width * scale)), max(8, round(self.height * scale))

    def detail(self, luma: np.ndarray) -> np.ndarray:
        """Return int16 (time, h, w), in units of 1 / DETAIL_LEVELS, for uint8 (time, height, width)."""
        return np.stack(in_threads(lambda frame: detail_of(self.reduced(frame)), luma))

    def reduced(self, frame: np.ndarray) -> np.ndarray:
        """Return uint8 (h, w) for a frame (height, width). Halves first: that is a tenth of the work."""
        width, height = self.size
        while frame.shape[0] >= 2 * height and frame.shape[1] >= 2 * width and not any(n % 2 for n in frame.shape):
            half = frame.shape[1] // 2, frame.shape[0] // 2
            frame = cv2.resize(frame, half, interpolation=cv2.INTER_AREA)
        if (width, height) == frame.shape[::-1]:
            return frame
        return cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)


def detail_of(reduced: np.ndarray) -> np.ndarray:
    """Free a reduced frame (h, w) of what varies slowly, which is blurred at half the size. Returns int16 (h, w) in
    units of 1 / DETAIL_LEVELS.
    """
    x = reduced.astype(np.float32)
    height, width = x.shape
    half = cv2.resize(x, (-(-width // 2), -(-height // 2)), interpolation=cv2.INTER_AREA)
    slow = cv2.GaussianBlur(half, (0, 0), _HIGH_PASS_CELLS * _cell(x.shape) / 2)
    x -= cv2.resize(slow, (width, height), interpolation=cv2.INTER_LINEAR)
    x *= DETAIL_LEVELS
    return np.rint(x, out=x).astype(np.int16)


def normalised(detail: np.ndarray, without: np.ndarray | float = 0.0) -> np.ndarray:
    """Divide detail, less what it should be freed of, by its local deviation in each frame, and clip it.

    detail: (time, h, w) as `FrontEnd.detail` returns it; without: (h, w), in its units. Returns int8 in units of
    1 / LEVELS.
    """
    result = np.empty(detail.shape, dtype=np.int8)
    side = 2 * round(_DEVIATION_CELLS * _cell(detail.shape[1:]) / 2) + 1

    def normalise(index: int) -> None:
        x = detail[index].astype(np.float32)
        x -= without
        x /= np.float32(DETAIL_LEVELS)
        deviation = cv2.boxFilter(x * x, -1, (side, side))
        np.sqrt(np.maximum(deviation, 0, out=deviation), out=deviation)  # running sums may end below zero
        deviation += np.float32(_DEVIATION_FLOOR)
        x *= np.float32(LEVELS)
        x /= deviation
        np.clip(x, -CLIP_AT * LEVELS, CLIP_AT * LEVELS, out=x)
        result[index] = np.rint(x, out=x)

    in_threads(normalise, range(len(detail)))
    return result


def _cell(shape: tuple[int, ...]) -> float:
    return math.sqrt(shape[0] * shape[1]) / CELLS


@lru_cache
def _middles() -> np.ndarray:
    """Return float64 (n, 2): the points half way between harmonics, in both directions, at the same radii."""
    k = harmonics()
    radius = np.hypot(k[:, 0], k[:, 1])
    limit = math.ceil(radius.max())
    ky, kx = np.mgrid[0:limit, -limit:limit] + 0.5
    r = np.hypot(kx, ky)
    inside = (r >= radius.min()) & (r <= radius.max())
    return np.stack([kx[inside], ky[inside]], axis=1)


RING_EDGES = np.array([0, 7, 9, 11, 13, 15, 99])


@lru_cache
def rings() -> tuple[np.ndarray, np.ndarray]:
    """Return the ring number of each harmonic, and of each off-lattice point."""
    return tuple(np.digitize(np.hypot(k[:, 0], k[:, 1]), RING_EDGES) - 1 for k in (harmonics(), _middles()))


@dataclass(frozen=True, eq=False)
class Spectra:
    """What is left of frames for one pair of periods.

    grid: complex64 (time, 17, 33): harmonics ky 0..16 by kx -16..16, phases counted from the frame's top left corner.
    off: complex64 (time, n): the off-lattice points.
    """

    grid: np.ndarray
    off: np.ndarray

    def along(self, flip_x: int, flip_y: int, shift: tuple[float, float]) -> np.ndarray:
        """Return complex64 (time, 368): the harmonics in tile coordinates u = flip_x x / T + shift."""
        return _pick(self.grid, flip_x, flip_y) * _ramp(shift)


def _pick(grid: np.ndarray, flip_x: int, flip_y: int) -> np.ndarray:
    k = harmonics()
    limit = grid.shape[1] - 1
    kx, ky = flip_x * k[:, 0], flip_y * k[:, 1]
    turned = ky < 0
    values = grid[:, np.abs(ky), np.where(turned, -kx, kx) + limit]
    return np.where(turned, values.conj(), values)


def _ramp(shift: tuple[float, float]) -> np.ndarray:
    return np.exp(-2j * np.pi * (harmonics() @ np.array(shift))).astype(np.complex64)


def _turning(length: int, period: float) -> np.ndarray:
    cycles = np.arange(0, 2 * math.isqrt(int((harmonics() ** 2).sum(axis=1).max())) + 2) / 2
    return np.exp(-2j * np.pi / period * np.outer(np.arange(length) + 0.5, cycles)).astype(np.complex64)


@dataclass(frozen=True)
class Projector:
    """Projects normalised frames (h, w) on the lattice with periods in normalised pixels."""

    shape: tuple[int, int]
    period_x: float
    period_y: float

    @classmethod
    def identity(cls, shape: tuple[int, int]) -> Projector:
        """The lattice of an embedder that saw the whole frame."""
        period = math.sqrt(shape[0] * shape[1]) / PERIODS
        return cls(shape, period, period)

    @cached_property
    def _waves(self) -> tuple[np.ndarray, np.ndarray]:
        """Complex64 (w, 34) and (h, 34): 0, .5, 1 .. 16.5 cycles per period."""
        return _turning(self.shape[1], self.period_x), _turning(self.shape[0], self.period_y)

    def project(self, frames: np.ndarray) -> Spectra:
        """Return the spectra of int8 (time, h, w)."""
        x, y = self._waves
        time, height, width = frames.shape
        flat = frames.reshape(time * height, width).astype(np.float32)
        across = (flat @ x.view(np.float32)).view(np.complex64).reshape(time, height, -1)  # kx >= 0
        on, off = (self._rows(across[..., part::2], y[:, part::2]) for part in (0, 1))
        scale = np.float32(1 / (LEVELS * math.sqrt(height * width)))
        grid = np.concatenate([on[1][..., :0:-1], on[0]], axis=2) * scale
        k = _middles()
        row, column = (k[:, 1] - 0.5).astype(int), (np.abs(k[:, 0]) - 0.5).astype(int)
        middles = np.where(k[:, 0] > 0, off[0][:, row, column], off[1][:, row, column])
        return Spectra(grid, middles * scale)

    @staticmethod
    def _rows(across: np.ndarray, waves: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return complex (time, ky, kx) for +kx and for -kx, as one product each: many small ones are far slower."""
        time, height, count = across.shape
        turned = np.ascontiguousarray(waves.T)  # (ky, h)
        flat = np.ascontiguousarray(across.transpose(1, 0, 2)).reshape(height, time * count)
        plus, minus = (
            np.ascontiguousarray((turned @ side).reshape(-1, time, count).transpose(1, 0, 2))
            for side in (flat, flat.conj())
        )
        return plus, minus
