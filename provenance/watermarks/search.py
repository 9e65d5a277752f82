"""Finding how a frame lies on the tile when it is not the whole frame any more: cropped, mirrored, turned, squeezed or
tilted.

A crop leaves the tile where it was and makes the frame smaller, so the periods seem larger than the frame's size says,
whether it was scaled back or not; a turn or a change of aspect moves the pilot lines accordingly. The search sums the
spectrum of a chunk coherently for starts of the sign sequence, looks the ten pilot lines up under families of maps
(`families`), and refines the best: first their coherent sum over all shifts, then the map. A tilted frame is looked at
through its middle, where it is nearly a linear map, and straightened from there (`straightening`). The search uses the
pilot and nothing else.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial

import cv2
import numpy as np
import scipy.fft

from provenance.threads import in_threads
from provenance.watermarks.chunk import Chunk, Geometry, View, centring, spectra_of
from provenance.watermarks.front import LEVELS
from provenance.watermarks.reading import KeyReader, real_product
from provenance.watermarks.straightening import mapped, straightened
from provenance.watermarks.sync import START_SECONDS, STARTS
from provenance.watermarks.tile import harmonics

FLIPS = ((-1, 1), (1, -1), (-1, -1))
SIDES = tuple((x, y) for y in (1, -1) for x in (1, -1))
SCALES = (0.86, 2.15)
"""Range of true period / period of the whole frame: crops down to less than half the side, and slight padding."""

SMALLEST_SCALE = 0.45
"""The same for pictures in pictures: upright, and of the right aspect."""

ASPECTS = (16 / 9, 4 / 3, 1.0, 3 / 4, 9 / 16, 64 / 27, 1.85, 3 / 2, 2 / 3, 4 / 5, 5 / 4)
"""Width over height of frames that may have been squeezed or stretched to another aspect."""

_SCALE_STEP = 0.008
_TURN_STEP = math.radians(0.6)
_ASPECT_STEPS = 15  # to both sides: 12 % of difference between x and y
_PADDING = 2
_LINE_CAP = 14.0
_FLOOR_SIDE = 11
_START_STEP = 2  # of the sequence's starts, every second one: refinement takes the others in
_REFINED_PER_FAMILY = 4
_LEAST_SCORE, _HOPEFUL = 6.5, 5.5
"""What a proposal reaches, and what it has reached half way.

In 24 readings of six development clips none below 5.2 half way came to 6.
"""

_SHIFT_GRID = 64
_LOOKED_UP_TOGETHER = 1024


def turned(view: View) -> Iterator[View]:
    """Yield the whole frame's seven other positions: three mirror images, then four quarter turns."""
    width, height = view.chunk.size
    for flip in FLIPS:
        yield view.moved(Geometry.identity(width, height, *flip))
    quarter = view.chunk.quarter_turn
    for flip in SIDES:
        yield quarter.moved(Geometry.turned(width, height, *flip))


POSITIONS = len(FLIPS) + len(SIDES)


@dataclass(frozen=True)
class Proposal:
    """A geometry, and how far the pilot stands out there, in standard deviations, near enough."""

    geometry: Geometry
    start: int
    score: float


@dataclass(frozen=True, eq=False)
class StepImages:
    """A chunk, filtered in time and added up in steps of the sign sequence: what all keys' searches share.

    images: float32 (steps, h, w), area-reduced. middles: float64 (steps,) seconds. size: of the examined frame.
    """

    images: np.ndarray
    middles: np.ndarray
    size: tuple[int, int]

    @classmethod
    def of(cls, view: View, *, whitened: bool) -> StepImages:
        """Prepare a chunk, seen as a whole frame: freed in time of its mean, or of what its covariance foretells."""
        chunk = view.chunk
        frames = chunk.frames
        kernel = view.whitening if whitened else centring(view.spectra)
        height, width = frames.shape[1:]
        factor = 2 if math.sqrt(width * height) >= 300 else 1
        small = np.stack([_reduced(frame, factor) for frame in frames])
        step = np.floor(chunk.times / START_SECONDS + 1e-6).astype(np.int64)
        steps, place = np.unique(step, return_inverse=True)
        adding = (place[None, :] == np.arange(len(steps))[:, None]).astype(np.float32)
        mixing = adding @ kernel
        images = (mixing @ small.reshape(len(small), -1)).reshape(len(steps), *small.shape[1:])
        return cls(images, (steps + 0.5) * START_SECONDS, chunk.size)

    @cached_property
    def whole(self) -> Spectrum:
        """The spectrum of all the frame."""
        return Spectrum.of(self.images, self.size, self.images.shape[:0:-1], (0, 0))

    def summed(self, signs: np.ndarray) -> np.ndarray:
        """Return float32 (h, w): the images added up with these signs (steps,)."""
        return np.asarray(np.tensordot(signs, self.images, axes=1))

    def straightened(self, reader: KeyReader, signs: np.ndarray, matrix: np.ndarray) -> tuple[np.ndarray, float]:
        """Return the homography of a tilted frame, and its score, from the map of its middle."""
        summed = self.summed(signs)
        extent = self.whole.extent
        return straightened(summed, (extent[0] / summed.shape[1], extent[1] / summed.shape[0]), reader, matrix)

    @cached_property
    def middle(self) -> Spectrum:
        """The spectrum of the frame's middle, half as wide and half as high."""
        height, width = self.images.shape[1:]
        top, left = height // 4, width // 4
        part = self.images[:, top : top + height // 2, left : left + width // 2]
        tapers = [np.sqrt(np.hanning(side + 2)[1:-1]).astype(np.float32) for side in part.shape[1:]]
        return Spectrum.of(part * np.outer(*tapers), self.size, (width, height), (left, top))


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Images of all a frame, or of a part of it, and their spectrum. Lengths are in periods of the whole frame.

    values: complex64 (steps, 2 middle + 1, m): fy from -middle to middle, fx from 0, in half cycles per extent.
    images: float32 (steps, h, w). extent, corner: width and height of the part, and where it begins.
    """

    values: np.ndarray
    middle: int
    images: np.ndarray
    extent: tuple[float, float]
    corner: tuple[float, float]

    @classmethod
    def of(
        cls, images: np.ndarray, size: tuple[int, int], raster: tuple[int, ...], corner: tuple[int, int]
    ) -> Spectrum:
        """Transform what may be part of larger images of `raster` (width, height) that show frames of `size`."""
        shape = (_PADDING * images.shape[1], _PADDING * images.shape[2])
        full = scipy.fft.rfft2(images, s=shape, axes=(1, 2))
        period = Geometry.identity(*size).period_x
        scale = size[0] / raster[0] / period, size[1] / raster[1] / period
        extent = scale[0] * images.shape[2], scale[1] * images.shape[1]
        reach = [_PADDING * math.ceil(13.5 * side / SMALLEST_SCALE) + 1 for side in extent]
        rows, columns = min(reach[1], shape[0] // 2 - 1), min(reach[0], shape[1] // 2)
        values = np.concatenate([full[:, -rows:, :columns], full[:, : rows + 1, :columns]], axis=1)
        return cls(values, rows, images, extent, (scale[0] * corner[0], scale[1] * corner[1]))

    def floor_and_lines(self, signs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the noise floor (rows, columns), and by frequency and start the power over it (rows * columns, n)."""
        steps, rows, columns = self.values.shape
        sums = real_product(signs, self.values.reshape(steps, -1))
        power = (sums.real**2 + sums.imag**2).reshape(len(signs), rows, columns)
        logs = np.log(power.mean(axis=0) + np.float32(1e-20))
        floor = np.exp(cv2.blur(logs, (_FLOOR_SIDE, _FLOOR_SIDE)) + np.float32(np.euler_gamma))  # lines hardly raise it
        return floor, np.ascontiguousarray(_limit(power / floor).reshape(len(signs), -1).T)

    def places(self, lines: np.ndarray) -> np.ndarray:
        """Return int64 (...): where waves (..., 2), in cycles per period of the whole frame, lie among the values."""
        fx, fy = _PADDING * self.extent[0] * lines[..., 0], _PADDING * self.extent[1] * lines[..., 1]
        turn = np.where(fx < 0, -1, 1)
        columns = self.values.shape[2]
        column = np.clip(np.rint(fx * turn).astype(np.int64), 0, columns - 1)
        row = np.clip(np.rint(fy * turn).astype(np.int64), -self.middle, self.middle) + self.middle
        return row * columns + column


def _reduced(frame: np.ndarray, factor: int) -> np.ndarray:
    values = frame.astype(np.float32) / LEVELS
    if factor == 1:
        return values
    size = (frame.shape[1] // factor, frame.shape[0] // factor)
    return cv2.resize(values, size, interpolation=cv2.INTER_AREA)


@dataclass(frozen=True, eq=False)
class Family:
    """Maps that are tried together: float64 (n, 2, 2), from the frame, in whole-frame periods, to tile coordinates.

    freedom: float64 (m, 2, 2): the small changes, each times a map, that stay within the family. step: how far apart
    its maps lie. through_the_middle: whether the frame's middle alone is looked at.
    """

    maps: np.ndarray
    freedom: np.ndarray
    step: float = _SCALE_STEP
    through_the_middle: bool = False

    @property
    def is_upright(self) -> bool:
        """Whether its maps keep the axes."""
        return not self.maps[:, [0, 1], [1, 0]].any()


_SCALING, _SQUEEZING = np.eye(2), np.diag([1.0, -1.0])
_TURNING, _SHEARING = np.array([[0.0, -1.0], [1.0, 0.0]]), np.array([[0.0, 1.0], [1.0, 0.0]])
_ANY = np.array([_SCALING, _SQUEEZING, _TURNING, _SHEARING])
_MIRRORS = np.array([np.eye(2), np.diag([-1.0, 1.0])])


def _scales(low: float, high: float, step: float) -> np.ndarray:
    return low * np.exp(step * np.arange(math.ceil(math.log(high / low) / step) + 1))


def _upright(ratios: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """Return (mirrors * ratios * scales, 2, 2): the map of a frame whose periods are scale * ratio^+-1 as large."""
    x, y = np.outer(1 / ratios, 1 / scales).ravel(), np.outer(ratios, 1 / scales).ravel()
    plain = np.zeros((len(x), 2, 2))
    plain[:, 0, 0], plain[:, 1, 1] = x, y
    return np.asarray((_MIRRORS[:, None] @ plain).reshape(-1, 2, 2))


def _turns(angles: np.ndarray) -> np.ndarray:
    return np.asarray(np.cos(angles)[:, None, None] * np.eye(2) + np.sin(angles)[:, None, None] * _TURNING)


@lru_cache(maxsize=4)
def families(width: int, height: int) -> tuple[Family, ...]:
    """Return what is tried on frames of this size, simple maps first: about 144,000 maps, 5 MB."""
    ratios = np.exp(_SCALE_STEP * np.arange(1, _ASPECT_STEPS + 1) / 2)
    squeezed = np.sqrt([aspect * height / width for aspect in ASPECTS])
    squeezed = squeezed[np.abs(np.log(squeezed)) > _SCALE_STEP]
    upright = Family(_upright(np.ones(1), _scales(SMALLEST_SCALE, SCALES[1], _SCALE_STEP)), np.array([_SCALING]))
    other_aspect = Family(_upright(1 / squeezed, np.ones(1)), np.array([_SCALING, _SQUEEZING]))
    uneven = Family(
        _upright(np.concatenate([ratios, 1 / ratios]), _scales(*SCALES, _SCALE_STEP)),
        np.array([_SCALING, _SQUEEZING]),
    )
    angles = np.arange(-math.pi / 2, math.pi / 2, _TURN_STEP)
    angles = angles[np.abs(angles) > _TURN_STEP / 4]
    isotropic = _upright(np.ones(1), _scales(*SCALES, _TURN_STEP))
    turned_maps = (_turns(angles)[:, None] @ isotropic).reshape(-1, 2, 2)
    rotated = Family(turned_maps, np.array([_SCALING, _TURNING]), _TURN_STEP)
    step = 2 * _SCALE_STEP
    few, many = step * np.arange(-7, 8), step * np.arange(-6, 7)
    grown = _scales(0.66, 1.1, step)
    tilted = np.stack(np.meshgrid(1 / grown, few, many, many, indexing="ij"), axis=-1).reshape(-1, 4)
    maps = tilted[:, :1, None] * (
        np.eye(2)
        + tilted[:, 1:2, None] * _SQUEEZING
        + tilted[:, 2:3, None] * _TURNING
        + tilted[:, 3:4, None] * _SHEARING
    )
    affine = Family(maps, _ANY, step, through_the_middle=True)
    return upright, other_aspect, uneven, rotated, affine


def propose(images: StepImages, reader: KeyReader, count: int) -> list[Proposal]:
    """Return the likeliest geometries for one key, best first; none where no pilot stands out."""
    signs = reader.sequence.amplitudes(images.middles, np.arange(STARTS), 0.0)
    pilots = harmonics()[reader.tile.pilots].astype(np.float64)
    found: list[Proposal] = []
    for spectrum, several in itertools.groupby(
        families(*images.size), lambda family: images.middle if family.through_the_middle else images.whole
    ):
        floor, lines = spectrum.floor_and_lines(signs[::_START_STEP])
        for family in several:
            peaks = _peaks(family, _best_starts(spectrum, lines, family.maps, pilots))
            refinements = [
                (family.maps[index], _Refinement(spectrum, floor, reader, signs, _START_STEP * start))
                for index, start in peaks
            ]
            refined = in_threads(partial(_proposal, images, family), refinements)
            found.extend(one for one in refined if one is not None and one.score >= _LEAST_SCORE)
    kept: list[Proposal] = []
    for proposal in sorted(found, key=lambda one: -one.score):
        if not any(_alike(proposal, one, images.size) for one in kept):
            kept.append(proposal)
    return kept[:count]


def _proposal(images: StepImages, family: Family, begin: tuple[np.ndarray, _Refinement]) -> Proposal | None:
    """What becomes of one map of a family; None where no frame can lie so."""
    linear, refinement = begin
    matrix, score = refinement.sharpened(family, linear)
    if family.through_the_middle:
        matrix, score = images.straightened(refinement.reader, refinement.signs[refinement.start], matrix)
    geometry = _geometry(matrix, images.size)
    return None if geometry is None else Proposal(geometry, refinement.start, score)


def looks_marked(images: StepImages, reader: KeyReader, proposal: Proposal, nonces: int) -> bool:
    """Whether the sum of a chunk's images, at the proposal's own start, passes the gate; far cheaper than a view."""
    signs = reader.sequence.amplitudes(images.middles, np.array([proposal.start]), 0.0)[0]
    spectra = spectra_of(images.summed(signs)[None], images.size, proposal.geometry)
    geometry = proposal.geometry
    values = spectra.along(geometry.flip_x, geometry.flip_y, geometry.shift)[0]
    return reader.passes_gate(values, spectra.off[0], nonces)


def _alike(one: Proposal, other: Proposal, size: tuple[int, int]) -> bool:
    """Whether two geometries scale, turn and tilt the frame alike, near enough."""
    width, height = size
    shapes = []
    for geometry in (one.geometry, other.geometry):
        middle, right, below = (
            mapped(geometry.tile_from_frame(width, height), np.array(place))
            for place in ((width / 2, height / 2), (width, height / 2), (width / 2, height))
        )
        shapes.append(np.stack([(right - middle) / width, (below - middle) / height]))
    return bool(np.abs(shapes[0] - shapes[1]).max() < 2 * _SCALE_STEP * np.abs(shapes[0]).max())


def _limit(ratio: np.ndarray) -> np.ndarray:
    """Let no single line decide: beyond the cap only the logarithm counts. Works in place."""
    over = ratio > _LINE_CAP
    ratio[over] = _LINE_CAP * (1 + np.log(ratio[over] / _LINE_CAP))
    return ratio


_AROUND = np.stack(np.meshgrid([-1.0, 0.0, 1.0], [-1.0, 0.0, 1.0], indexing="ij"), axis=-1).reshape(-1, 2)
"""(9, 2): a place and its neighbours."""


def _waves(maps: np.ndarray, lines: np.ndarray) -> np.ndarray:
    """Return float64 (maps, lines, 2): waves per whole-frame period that become the tile's lines (lines, 2)."""
    return maps[:, None, 0] * lines[:, 0, None] + maps[:, None, 1] * lines[:, 1, None]


def _best_starts(
    spectrum: Spectrum, lines: np.ndarray, maps: np.ndarray, pilots: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return, for each map, the largest summed power of the ten lines over all starts, and that start."""
    scores, starts = np.empty(len(maps), np.float32), np.empty(len(maps), np.int64)

    def look_up(first: int) -> None:
        part = slice(first, first + _LOOKED_UP_TOGETHER)
        places = spectrum.places(_waves(maps[part], pilots))
        total = lines[places[:, 0]]
        for line in range(1, places.shape[1]):
            total += lines[places[:, line]]
        starts[part] = total.argmax(axis=1)
        scores[part] = total[np.arange(len(total)), starts[part]]

    in_threads(look_up, range(0, len(maps), _LOOKED_UP_TOGETHER))
    return scores, starts


def _peaks(family: Family, best: tuple[np.ndarray, np.ndarray]) -> list[tuple[int, int]]:
    """Return the best (map, start) pairs of a family, no two of them neighbours."""
    scores, starts = best
    chosen: list[tuple[int, int]] = []
    count = min(len(scores), 500)
    top = np.argpartition(scores, -count)[-count:]
    period = STARTS // _START_STEP
    for index in top[np.argsort(-scores[top], kind="stable")]:
        start = int(starts[index])
        size = math.sqrt(abs(np.linalg.det(family.maps[index])))
        near = [
            np.abs(family.maps[index] - family.maps[other]).max() < 1.5 * family.step * size
            and min((start - s) % period, (s - start) % period) < 3
            for other, s in chosen
        ]
        if not any(near):
            chosen.append((int(index), start))
        if len(chosen) == _REFINED_PER_FAMILY:
            break
    return chosen


@dataclass(eq=False)
class _Refinement:
    """Sharpens maps by the coherent sum of the pilot lines over all shifts.

    signs: float32 (256, steps), of all starts of the sequence. start: the one in use, found as the map gets clear.
    """

    spectrum: Spectrum
    floor: np.ndarray
    reader: KeyReader
    signs: np.ndarray
    start: int

    def sharpened(self, family: Family, linear: np.ndarray) -> tuple[np.ndarray, float]:
        """Return the (3, 3) map from whole-frame periods to tile coordinates, and its score."""
        self.start = self._best_start(linear)
        score, best, shift = self._around(linear, family.freedom, (1 / 2, 1 / 5, 1 / 12), family.step)
        if score >= _HOPEFUL or family.through_the_middle:
            self.start = self._best_start(best)
            freedom = family.freedom if family.is_upright else _ANY
            score, best, shift = self._around(best, freedom, (1 / 4, 1 / 8, 1 / 12), family.step)
        matrix = np.eye(3)
        matrix[:2, :2], matrix[:2, 2] = best, shift - best @ self.spectrum.corner
        return matrix, score

    def _best_start(self, linear: np.ndarray) -> int:
        """Return the start whose lines are in phase: power alone cannot tell one from its opposite."""
        phases = np.exp(-1j * self.reader.tile.pilot_phases)
        lines = self.signs @ self._lines(self.spectrum.images, linear[None])[:, 0]
        rows = np.concatenate([lines * phases, lines.conj() * phases])
        best = _over_shifts(rows, harmonics()[self.reader.tile.pilots]).max(axis=1)
        return int(best.argmax()) % STARTS

    def _around(
        self, linear: np.ndarray, freedom: np.ndarray, spreads: tuple[float, ...], step: float
    ) -> tuple[float, np.ndarray, np.ndarray]:
        moves = np.stack(np.meshgrid(*[(-1.0, 0.0, 1.0)] * len(freedom), indexing="ij"), axis=-1)
        changes = np.tensordot(moves.reshape(-1, len(freedom)), freedom, axes=1)
        image = np.tensordot(self.signs[self.start], self.spectrum.images, axes=1)[None]
        found = (-math.inf, linear, np.zeros(2))
        for spread in spreads:
            tried = found[1] @ (np.eye(2) + spread * step * changes)
            scores, shifts, turns = self._phased(self._lines(image, tried)[0])
            first = int(scores.argmax())
            if scores[first] > found[0]:
                found = (float(scores[first]), turns[first] * tried[first], shifts[first])
        return found

    def _lines(self, images: np.ndarray, maps: np.ndarray) -> np.ndarray:
        """Return complex (images, maps, 10): the pilot lines of images (n, h, w) under each map, over the floor."""
        height, width = images.shape[1:]
        waves = _waves(maps, harmonics()[self.reader.tile.pilots])
        flat = waves.reshape(-1, 2) * self.spectrum.extent
        across = 2 * np.pi * np.outer((np.arange(width) + 0.5) / width, flat[:, 0]).astype(np.float32)
        down = 2 * np.pi * np.outer((np.arange(height) + 0.5) / height, flat[:, 1]).astype(np.float32)
        even, odd = np.split(images @ np.concatenate([np.cos(across), np.sin(across)], axis=1), 2, axis=2)
        cosines, sines = np.cos(down), np.sin(down)
        summed = np.empty((len(images), len(flat)), np.complex64)
        summed.real = np.einsum("nhl,hl->nl", even, cosines) - np.einsum("nhl,hl->nl", odd, sines)
        summed.imag = -np.einsum("nhl,hl->nl", even, sines) - np.einsum("nhl,hl->nl", odd, cosines)
        floor = self.floor.ravel()[self.spectrum.places(waves)]
        return np.asarray(summed.reshape(len(images), *waves.shape[:2]) / np.sqrt(floor))

    def _phased(self, lines: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the best score (n,) of each row of lines (n, 10) over all shifts and half turns, the shift (n, 2), and
        the half turn (n,), 1 or -1.
        """
        phases = np.exp(-1j * self.reader.tile.pilot_phases)
        rows = np.concatenate([lines * phases, lines.conj() * phases])
        scores, shifts = _best_shifts(rows, harmonics()[self.reader.tile.pilots])
        plain, turned = np.split(scores, 2)
        better = turned > plain
        moved = np.where(better[:, None], *np.split(shifts, 2)[::-1])
        return np.maximum(plain, turned), moved, np.where(better, -1, 1)


def _geometry(matrix: np.ndarray, size: tuple[int, int]) -> Geometry | None:
    """Return the geometry of a map from whole-frame periods; None for one that no frame can have."""
    period = Geometry.identity(*size).period_x
    if np.abs(matrix[[0, 1, 2, 2], [1, 0, 0, 1]]).max() < 1e-9:
        (x, y), shift = np.diag(matrix)[:2].tolist(), matrix[:2, 2].tolist()
        return Geometry(period / abs(x), period / abs(y), 1 if x > 0 else -1, 1 if y > 0 else -1, (shift[0], shift[1]))
    try:
        return Geometry.laid_out(matrix @ np.diag([1 / period, 1 / period, 1.0]), *size)
    except (ValueError, np.linalg.LinAlgError):
        return None


@lru_cache
def _shift_waves(places: tuple[tuple[int, int], ...]) -> np.ndarray:
    """Float32 (20, 4096): cosines, then sines, whose product with real and imaginary parts is Re(v exp(-i phase))."""
    k = np.array(places)
    u = np.arange(_SHIFT_GRID) / _SHIFT_GRID
    phases = 2 * np.pi * k @ np.stack(np.meshgrid(u, u, indexing="ij"), axis=-1).reshape(-1, 2).T
    return np.concatenate([np.cos(phases), np.sin(phases)]).astype(np.float32)


def _over_shifts(values: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Return float32 (n, 4096): the sums of lines (n, 10) over a grid of shifts."""
    parts = np.concatenate([values.real, values.imag], axis=1).astype(np.float32)
    return np.asarray(parts @ _shift_waves(tuple(map(tuple, k.tolist()))))


def _best_shifts(values: np.ndarray, k: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the best coherent sum (n,) of lines (n, 10) over shifts, in standard deviations, and the shifts (n, 2) in
    periods."""
    shifts = np.stack(np.divmod(_over_shifts(values, k).argmax(axis=1), _SHIFT_GRID), axis=1) / _SHIFT_GRID
    which = np.arange(len(values))
    for step in (1 / 256, 1 / 1024):
        around = shifts[:, None] + step * _AROUND  # (n, 9, 2)
        sums = np.einsum("nal,nl->na", np.exp(-2j * np.pi * around @ k.T), values).real
        best = sums.argmax(axis=1)
        shifts = around[which, best]
    return sums[which, best] / math.sqrt(len(k) / 2), shifts


__all__ = ["POSITIONS", "Chunk", "Proposal", "StepImages", "looks_marked", "propose", "turned"]
