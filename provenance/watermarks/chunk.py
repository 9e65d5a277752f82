"""A few seconds of frames, seen through one lattice: what all keys share when they read the pixel watermark."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np

from provenance.evidence import Alignment
from provenance.threads import in_threads
from provenance.watermarks.front import Projector, Spectra, normalised
from provenance.watermarks.tile import PERIODS

_LOADING = 0.1
TRACE_SECONDS = 0.15
_LARGEST_CANVAS, _LARGEST_AREA = 3.0, 6.0  # sides, and areas, of the frame


@dataclass(frozen=True)
class Canvas:
    """An upright picture that frames are laid out on before they are read, where they were turned or tilted.

    to_frame: row-major 3 x 3 homography from the canvas's pixels to shares of the frame's width and height; in both,
    the origin is the outer corner at the top left. width, height: of the canvas in pixels.
    """

    to_frame: tuple[float, ...]
    width: int
    height: int

    @classmethod
    def turned(cls, width: int, height: int) -> Canvas:
        """The transposed frame: width and height are the frame's own."""
        return cls((0.0, 1 / width, 0.0, 1 / height, 0.0, 0.0, 0.0, 0.0, 1.0), height, width)

    @classmethod
    def of(cls, tile_from_frame: np.ndarray, width: int, height: int) -> tuple[Canvas, float, tuple[float, float]]:
        """Lay a frame out so that the tile's axes are upright.

        tile_from_frame: (3, 3) homography from the frame's pixels to tile coordinates. Returns the canvas, the tile's
        period in its pixels, and the tile coordinates of its corner. ValueError where the frame crosses the horizon.
        """
        corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], dtype=np.float64)
        weights = corners @ tile_from_frame[2, :2] + tile_from_frame[2, 2]
        if weights.min() <= 0.2 * weights.max():
            raise ValueError("the frame is tilted beyond what a canvas can show")
        places = (corners @ tile_from_frame[:2, :2].T + tile_from_frame[:2, 2]) / weights[:, None]
        area = abs(float(cv2.contourArea(places.astype(np.float32))))
        period = math.sqrt(width * height / max(area, 1e-6))
        low = places.min(axis=0)
        size = np.ceil((places.max(axis=0) - low) * period)
        if size.max() > _LARGEST_CANVAS * max(width, height) or size.prod() > _LARGEST_AREA * width * height:
            raise ValueError("the frame is stretched beyond what a canvas can show")
        tile_from_canvas = np.array([[1 / period, 0, low[0]], [0, 1 / period, low[1]], [0, 0, 1]])
        shares = np.diag([1 / width, 1 / height, 1.0])
        to_frame = shares @ np.linalg.inv(tile_from_frame) @ tile_from_canvas
        to_frame /= to_frame[2, 2]
        return cls(tuple(to_frame.ravel().tolist()), int(size[0]), int(size[1])), period, (float(low[0]), float(low[1]))

    def lay_out(self, frames: np.ndarray, reduction: float) -> np.ndarray:
        """Return (time, h, w), zero outside the frame, for int8 or float32 (time, height, width), of the same type.

        reduction: pixels of the canvas, per side, that become one.
        """
        if self == Canvas.turned(self.height, self.width):
            return np.ascontiguousarray(frames.transpose(0, 2, 1))
        height, width = frames.shape[1:]
        size = max(1, round(self.width / reduction)), max(1, round(self.height / reduction))
        middle = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])  # OpenCV counts from the middle of the first pixel
        enlarged = np.diag([self.width / size[0], self.height / size[1], 1.0])
        matrix = np.linalg.inv(middle) @ np.diag([width, height, 1.0]) @ np.reshape(self.to_frame, (3, 3)) @ enlarged
        laid = np.empty((len(frames), size[1], size[0]), dtype=frames.dtype)

        def lay(index: int) -> None:
            frame = frames[index].astype(np.float32)
            warped = cv2.warpPerspective(frame, matrix @ middle, size, flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)
            laid[index] = np.rint(np.clip(warped, -127, 127)) if frames.dtype == np.int8 else warped

        in_threads(lay, range(len(frames)))
        return laid


@dataclass(frozen=True)
class Geometry:
    """How an examined frame lies on the tile: periods in its pixels, mirror images, and where its corner falls.

    Tile coordinates are u = flip_x * x / period_x + shift[0] and v likewise, in units of one period. Where the frame
    was turned or tilted, x and y are those of the `canvas` on which it is upright.
    """

    period_x: float
    period_y: float
    flip_x: int = 1
    flip_y: int = 1
    shift: tuple[float, float] = (0.0, 0.0)
    canvas: Canvas | None = None

    @classmethod
    def identity(cls, width: int, height: int, flip_x: int = 1, flip_y: int = 1) -> Geometry:
        """The whole frame of a marked clip, whatever its size now, perhaps mirrored."""
        period = (width * height) ** 0.5 / PERIODS
        shift = (width / period if flip_x < 0 else 0.0, height / period if flip_y < 0 else 0.0)
        return cls(period, period, flip_x, flip_y, shift)

    @classmethod
    def turned(cls, width: int, height: int, flip_x: int = 1, flip_y: int = 1) -> Geometry:
        """The whole frame of a marked clip, turned by a quarter, perhaps mirrored."""
        return replace(cls.identity(height, width, flip_x, flip_y), canvas=Canvas.turned(width, height))

    @classmethod
    def laid_out(cls, tile_from_frame: np.ndarray, width: int, height: int) -> Geometry:
        """Any frame, by its homography (3, 3) to tile coordinates. ValueError as for `Canvas.of`."""
        canvas, period, shift = Canvas.of(tile_from_frame, width, height)
        return cls(period, period, 1, 1, shift, canvas)

    def tile_from_frame(self, width: int, height: int) -> np.ndarray:
        """Return float64 (3, 3): the homography from the frame's pixels to tile coordinates."""
        upright = np.array(
            [
                [self.flip_x / self.period_x, 0, self.shift[0]],
                [0, self.flip_y / self.period_y, self.shift[1]],
                [0, 0, 1],
            ]
        )
        if self.canvas is None:
            return upright
        matrix = upright @ np.linalg.inv(np.reshape(self.canvas.to_frame, (3, 3))) @ np.diag([1 / width, 1 / height, 1])
        return np.asarray(matrix / matrix[2, 2])

    def alignment(self, width: int, height: int, start_seconds: float | None) -> Alignment:
        """Return it in the terms of the evidence, for a frame of this size."""
        matrix = self.tile_from_frame(width, height)
        across, down, weight = (tuple(row) for row in matrix.tolist())
        return Alignment((across, down, weight), PERIODS, bool(np.linalg.det(matrix) < 0), start_seconds)


@dataclass(frozen=True, eq=False)
class Chunk:
    """Frames of one stretch of time.

    times: float64 (time,) seconds. detail: int16 (time, h, w) as `front.FrontEnd` leaves it.
    size: width and height of the frames before that. frame_rate: frames per second, near enough.
    """

    times: np.ndarray
    detail: np.ndarray
    size: tuple[int, int]
    frame_rate: float

    @property
    def seconds(self) -> float:
        """How long it is, the last frame left out."""
        return float(self.times[-1] - self.times[0])

    @cached_property
    def frames(self) -> np.ndarray:
        """int8 (time, h, w): normalised."""
        return normalised(self.detail)

    @cached_property
    def moving(self) -> np.ndarray:
        """int8 (time, h, w): freed of what stands still, then normalised."""
        return normalised(self.detail, self.detail.mean(axis=0, dtype=np.float32))

    @cached_property
    def quarter_turn(self) -> View:
        """Seen as turned by a quarter: what all keys look at when they search."""
        return self.view(Geometry.turned(*self.size))

    def view(self, geometry: Geometry) -> View:
        """Project the frames on the lattice of a geometry."""
        return View(self, geometry, *(spectra_of(frames, self.size, geometry) for frames in (self.frames, self.moving)))


def spectra_of(frames: np.ndarray, size: tuple[int, int], geometry: Geometry) -> Spectra:
    """Project int8 or float32 (time, h, w), which show frames of `size`, on the lattice of a geometry."""
    if geometry.canvas is not None:
        reduction = math.sqrt(size[0] * size[1] / (frames.shape[1] * frames.shape[2]))
        frames, size = geometry.canvas.lay_out(frames, reduction), (geometry.canvas.width, geometry.canvas.height)
    height, width = frames.shape[1:]
    projector = Projector((height, width), geometry.period_x * width / size[0], geometry.period_y * height / size[1])
    return _project(projector, frames)


def centring(spectra: Spectra) -> np.ndarray:
    """Return float32 (time, time): subtracts the mean over time, and puts it all on the scale of unit noise power."""
    count = len(spectra.off)
    power = float((np.abs(spectra.off - spectra.off.mean(axis=0)) ** 2).mean())
    return ((np.eye(count) - 1 / count) / max(power, 1e-9)).astype(np.float32)


def _project(projector: Projector, frames: np.ndarray, batch: int = 32) -> Spectra:
    parts = in_threads(projector.project, [frames[i : i + batch] for i in range(0, len(frames), batch)])
    return Spectra(np.concatenate([p.grid for p in parts]), np.concatenate([p.off for p in parts]))


@dataclass(frozen=True, eq=False)
class View:
    """A chunk's harmonics under one geometry, and the two filters in time that free them of the host.

    spectra: of the chunk's frames. moving: of what moves in them.
    """

    chunk: Chunk
    geometry: Geometry
    spectra: Spectra
    moving: Spectra

    def _along(self, spectra: Spectra) -> np.ndarray:
        """complex64 (time, 368): the harmonics in the marked frame's own phases."""
        return spectra.along(self.geometry.flip_x, self.geometry.flip_y, self.geometry.shift)

    def moved(self, geometry: Geometry) -> View:
        """Return the view under a geometry with the same periods."""
        return View(self.chunk, geometry, self.spectra, self.moving)

    @cached_property
    def whitening(self) -> np.ndarray:
        """float32 (time, time): (C + .1 tr(C)/n I)^-1, C the covariance between frames of the off-lattice points."""
        off = self.spectra.off
        covariance = (off @ off.conj().T).real.astype(np.float64) / off.shape[1]
        count = len(covariance)
        loading = max(_LOADING * np.trace(covariance) / count, 1e-9)
        return np.linalg.inv(covariance + loading * np.eye(count)).astype(np.float32)

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
        return Trace(begins, ends, (adding @ centring(self.moving)) @ self._along(self.moving))

    @cached_property
    def filtered(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Whitened, then centred: complex64 (time, 368) harmonics and (time, n) off-lattice points. For all keys."""
        pairs = (self.whitening, self.spectra), (centring(self.moving), self.moving)
        return [
            (kernel @ self._along(spectra).astype(np.complex64), kernel @ spectra.off.astype(np.complex64))
            for kernel, spectra in pairs
        ]


@dataclass(frozen=True, eq=False)
class Trace:
    """Centred harmonics of a chunk: begins, ends float64 (steps,) seconds; values complex64 (steps, 368)."""

    begins: np.ndarray
    ends: np.ndarray
    values: np.ndarray
