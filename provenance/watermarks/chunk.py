"""A few seconds of frames, seen through one lattice: what all keys share when they read the pixel watermark."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from provenance.evidence import Alignment
from provenance.watermarks.front import Projector, Spectra
from provenance.watermarks.tile import PERIODS

_LOADING = 0.1
TRACE_SECONDS = 0.15


@dataclass(frozen=True)
class Geometry:
    """How an examined frame lies on the tile: periods in its pixels, mirror images, and where its corner falls.

    Tile coordinates are u = flip_x * x / period_x + shift[0] and v likewise, in units of one period.
    """

    period_x: float
    period_y: float
    flip_x: int = 1
    flip_y: int = 1
    shift: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def identity(cls, width: int, height: int, flip_x: int = 1, flip_y: int = 1) -> Geometry:
        """The whole frame of a marked clip, whatever its size now, perhaps mirrored."""
        period = (width * height) ** 0.5 / PERIODS
        shift = (width / period if flip_x < 0 else 0.0, height / period if flip_y < 0 else 0.0)
        return cls(period, period, flip_x, flip_y, shift)

    def alignment(self, start_seconds: float | None) -> Alignment:
        """Return it in the terms of the evidence."""
        row_x = (self.flip_x / self.period_x, 0.0, self.shift[0])
        row_y = (0.0, self.flip_y / self.period_y, self.shift[1])
        return Alignment((row_x, row_y), PERIODS, self.flip_x * self.flip_y < 0, start_seconds)


@dataclass(frozen=True, eq=False)
class Chunk:
    """Normalised frames of one stretch of time.

    times: float64 (time,) seconds. frames: int8 (time, h, w) as `front.FrontEnd` leaves them.
    size: width and height of the frames before that. frame_rate: frames per second, near enough.
    """

    times: np.ndarray
    frames: np.ndarray
    size: tuple[int, int]
    frame_rate: float

    def view(self, geometry: Geometry) -> View:
        """Project the frames on the lattice of a geometry."""
        height, width = self.frames.shape[1:]
        projector = Projector(
            (height, width), geometry.period_x * width / self.size[0], geometry.period_y * height / self.size[1]
        )
        return View(self, geometry, _project(projector, self.frames))


def _project(projector: Projector, frames: np.ndarray, batch: int = 32) -> Spectra:
    parts = [projector.project(frames[i : i + batch]) for i in range(0, len(frames), batch)]
    return Spectra(np.concatenate([p.grid for p in parts]), np.concatenate([p.off for p in parts]))


@dataclass(frozen=True, eq=False)
class View:
    """A chunk's harmonics under one geometry, and the two filters in time that free them of the host."""

    chunk: Chunk
    geometry: Geometry
    spectra: Spectra

    @cached_property
    def values(self) -> np.ndarray:
        """complex64 (time, 368): the harmonics in the marked frame's own phases."""
        return self.spectra.along(self.geometry.flip_x, self.geometry.flip_y, self.geometry.shift)

    def moved(self, geometry: Geometry) -> View:
        """Return the view under a geometry with the same periods."""
        return View(self.chunk, geometry, self.spectra)

    @cached_property
    def whitening(self) -> np.ndarray:
        """float32 (time, time): (C + .1 tr(C)/n I)^-1, C the covariance between frames of the off-lattice points."""
        off = self.spectra.off
        covariance = (off @ off.conj().T).real.astype(np.float64) / off.shape[1]
        count = len(covariance)
        loading = max(_LOADING * np.trace(covariance) / count, 1e-9)
        return np.linalg.inv(covariance + loading * np.eye(count)).astype(np.float32)

    @cached_property
    def centring(self) -> np.ndarray:
        """float32 (time, time): subtracts the mean over time, and puts it all on the scale of unit noise power."""
        off = self.spectra.off
        power = float((np.abs(off - off.mean(axis=0)) ** 2).mean())
        count = len(off)
        return ((np.eye(count) - 1 / count) / max(power, 1e-9)).astype(np.float32)

    def trace(self) -> Trace:
        """Return the centred harmonics in steps of `TRACE_SECONDS`: small enough to be kept for every chunk.

        Centred, not whitened: whitening mixes frames, and a trace must tell one moment from the next.
        """
        step = np.floor(self.chunk.times / TRACE_SECONDS + 1e-6).astype(np.int64)
        steps, place = np.unique(step, return_inverse=True)
        adding = (place[None, :] == np.arange(len(steps))[:, None]).astype(np.float32)
        duration = 1 / self.chunk.frame_rate
        ends = np.array([self.chunk.times[place == number].max() + duration for number in range(len(steps))])
        begins = np.array([self.chunk.times[place == number].min() for number in range(len(steps))])
        return Trace(begins, ends, (adding @ self.centring) @ self.values)

    @cached_property
    def filtered(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Whitened, then centred: complex64 (time, 368) harmonics and (time, n) off-lattice points. For all keys."""
        on, off = self.values.astype(np.complex64), self.spectra.off.astype(np.complex64)
        return [(kernel @ on, kernel @ off) for kernel in (self.whitening, self.centring)]


@dataclass(frozen=True, eq=False)
class Trace:
    """Centred harmonics of a chunk: begins, ends float64 (steps,) seconds; values complex64 (steps, 368)."""

    begins: np.ndarray
    ends: np.ndarray
    values: np.ndarray
