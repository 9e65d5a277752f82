"""A small content fingerprint: twice a second, which of two neighbouring parts of the picture is the brighter one.

A frame becomes 12 x 12 cells; a bit says for each pair of neighbouring cells which one is brighter (the order of local
means survives what codecs, gamma and scaling do; compare the difference hash of Zauner 2010, section 3.2, and PDQ),
a second bit whether the difference is large enough to be relied upon. A clip that is examined keeps small grey
pictures instead, a `Sketch`, so that it can be mapped back through a crop or a mirror before it is compared.

A fingerprint finds candidates and decides whether a recovered manifest belongs to this content. It proves nothing.
"""

from __future__ import annotations

import itertools
import math
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import cv2
import numpy as np

from provenance.evidence import Alignment, Evidence, FingerprintEvidence, Span
from provenance.video import VideoInfo, Window

CELLS = 12
BITS = 2 * CELLS * (CELLS - 1)
REFERENCE_INTERVAL_SECONDS = 0.5
REFERENCE_FRAMES = 240  # a longer clip is sampled more thinly
SKETCH_INTERVAL_SECONDS = 0.03125  # nearly every frame, so that motion looks the same after any trim
SKETCH_FRAMES = 960
THUMBNAIL_SIDE = 64
MINIMUM_BITS = 24  # pairs of cells a frame, for a comparison to say anything
RELIABLE_LEVELS = 1.5  # difference of two cell means, in 8-bit luma levels, that a codec rarely turns round

FLAT_LEVELS = 0.1  # smaller differences in an examined clip are no differences

_SAMPLES = 8  # per cell and direction
_COVERED_SHARE = 0.9  # of a cell's samples inside the examined frame, for the cell to be compared
_PLACEMENT_SHARE = 0.6  # of the largest coverage, for a placement to be tried
_OVERLAP_SHARE = 0.6  # of the shorter clip, for a shift in time to be tried
_HEADER = struct.Struct("<4sIIIH")
_MAGIC = b"CMF1"
_MOST_PLACEMENTS = 64
_MOST_FRAMES = 4 * REFERENCE_FRAMES
_MOST_SHIFTS = 100_000  # over all placements: a hostile manifest cannot make the comparison slow
_ROW_BYTES = 2 * (BITS // 8)


@dataclass(frozen=True, eq=False)
class Sketch:
    """What an examined clip keeps of its frames.

    times_seconds: float64 (n,), increasing. thumbnails: uint8 (n, h, w), luma. width, height: of the frames, in pixels.
    interval_seconds: the spacing that was kept to, or more.
    """

    times_seconds: np.ndarray
    thumbnails: np.ndarray = field(repr=False)
    width: int
    height: int
    interval_seconds: float = SKETCH_INTERVAL_SECONDS

    def __post_init__(self) -> None:
        if self.thumbnails.ndim != 3 or len(self.thumbnails) != len(self.times_seconds) or not len(self.times_seconds):
            raise ValueError(f"thumbnails {self.thumbnails.shape} and times {self.times_seconds.shape} do not match")
        if self.width < 1 or self.height < 1:
            raise ValueError(f"a frame of {self.width} x {self.height} pixels has no sketch")

    def within(self, spans: Sequence[Span]) -> Sketch | None:
        """Return the sketch of these stretches of time only (of all when empty), None when no frame lies in them."""
        if not spans:
            return self
        slack = self.interval_seconds / 2
        inside = [any(start - slack <= t <= end + slack for start, end in spans) for t in self.times_seconds]
        if not any(inside):
            return None
        return Sketch(
            self.times_seconds[inside], self.thumbnails[inside], self.width, self.height, self.interval_seconds
        )


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """The fingerprint that a manifest carries.

    signs, reliable: bool (n, 264): for each frame and pair of neighbours, whether the right or lower cell is the
    brighter one, and whether that can be relied upon. The n frames are `interval_seconds` apart. width, height: theirs.
    """

    signs: np.ndarray = field(repr=False)
    reliable: np.ndarray = field(repr=False)
    width: int
    height: int
    interval_seconds: float

    def __post_init__(self) -> None:
        if self.signs.shape != self.reliable.shape or self.signs.ndim != 2 or self.signs.shape[1] != BITS:
            raise ValueError(f"signs {self.signs.shape} and reliable {self.reliable.shape} must be (frames, {BITS})")
        if not 1 <= len(self.signs) <= _MOST_FRAMES:
            raise ValueError(f"a fingerprint has 1 to {_MOST_FRAMES} frames, not {len(self.signs)}")
        if self.interval_seconds <= 0 or not 1 / 64 <= self.width / max(self.height, 1) <= 64:
            raise ValueError("a fingerprint needs a positive interval and a frame of sensible shape")

    @classmethod
    def of(cls, sketch: Sketch) -> Fingerprint:
        """Take the fingerprint of a clip that is about to be signed."""
        length = sketch.times_seconds[-1] - sketch.times_seconds[0]
        interval = max(REFERENCE_INTERVAL_SECONDS, sketch.interval_seconds)
        while length / interval >= REFERENCE_FRAMES:
            interval *= 2
        wanted = sketch.times_seconds[0] + interval * np.arange(math.floor(length / interval + 1e-6) + 1)
        picked = np.abs(sketch.times_seconds[None, :] - wanted[:, None]).argmin(axis=1)
        differences, _ = _differences(sketch.thumbnails[picked], _identity(sketch.thumbnails.shape[1:]))
        return cls(
            differences > 0, np.abs(differences) >= RELIABLE_LEVELS, sketch.width, sketch.height, float(interval)
        )

    @property
    def aspect(self) -> float:
        """Width over height of the frames."""
        return self.width / self.height

    @property
    def marks_seconds(self) -> np.ndarray:
        """float64 (n,): when the frames stand in the clip, the first one at 0."""
        return self.interval_seconds * np.arange(len(self.signs))

    @cached_property
    def chips(self) -> np.ndarray:
        """float32 (n, 264): +1 and -1 where reliable, 0 elsewhere."""
        return np.where(self.reliable, np.where(self.signs, 1.0, -1.0), 0.0).astype(np.float32)

    def to_bytes(self) -> bytes:
        """Serialise: a header of 18 bytes and 66 bytes a frame."""
        milliseconds = round(1000 * self.interval_seconds)
        header = _HEADER.pack(_MAGIC, self.width, self.height, milliseconds, len(self.signs))
        rows = np.concatenate([np.packbits(self.signs, axis=1), np.packbits(self.reliable, axis=1)], axis=1)
        return header + rows.tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Fingerprint:
        """Parse what `to_bytes` wrote; ValueError for anything else, however hostile."""
        if len(data) < _HEADER.size:
            raise ValueError("no fingerprint: too short")
        magic, width, height, milliseconds, count = _HEADER.unpack_from(data)
        if magic != _MAGIC or len(data) != _HEADER.size + count * _ROW_BYTES or not height:
            raise ValueError("no fingerprint of form 1")
        rows = np.frombuffer(data, np.uint8, offset=_HEADER.size).reshape(count, 2, BITS // 8)
        bits = np.unpackbits(rows, axis=2).astype(bool)
        return cls(bits[:, 0], bits[:, 1], width, height, milliseconds / 1000)


@dataclass(frozen=True)
class Resemblance:
    """How a clip resembles a fingerprint at the best placement and shift in time.

    distance: differing bits per 256 compared, weighted by how clear the difference is in the examined clip; 0 is equal,
    128 chance; None when there was too little to compare. bits: pairs of cells compared in a frame, on average.
    frames: frames compared. start_seconds: time of the examined clip's beginning in the original.
    """

    distance: int | None
    bits: int = 0
    frames: int = 0
    start_seconds: float | None = None


class FingerprintCheck:
    """A frame check that keeps the sketch of a clip; its memory is bounded whatever the clip's length."""

    name = "fingerprint"

    def __init__(self) -> None:
        self._times: list[float] = []
        self._thumbnails: list[np.ndarray] = []
        self._interval = SKETCH_INTERVAL_SECONDS
        self._size = (0, 0)

    def start(self, info: VideoInfo) -> None:
        """Forget what was seen before."""
        self.__init__()  # type: ignore[misc]

    def see(self, window: Window) -> bool:
        """Keep a small grey picture of up to 32 frames a second; never enough."""
        for index, seconds in enumerate(window.times):
            if not self._times or seconds >= self._times[-1] + self._interval * 0.999:
                self._keep(window.luma[index], float(seconds))
        return False

    def evidence(self) -> list[Evidence]:
        """Hand the sketch to the parent; nothing when no frame was seen."""
        sketch = self.sketch()
        return [] if sketch is None else [FingerprintEvidence(sketch=sketch)]

    def sketch(self) -> Sketch | None:
        """Return what was kept, None when no frame was seen."""
        if not self._times:
            return None
        width, height = self._size
        return Sketch(np.array(self._times), np.stack(self._thumbnails), width, height, self._interval)

    def _keep(self, luma: np.ndarray, seconds: float) -> None:
        height, width = luma.shape
        self._size = self._size if self._times else (width, height)
        scale = THUMBNAIL_SIDE / max(width, height)
        small = max(2, round(width * scale)), max(2, round(height * scale))
        if self._thumbnails:
            small = self._thumbnails[0].shape[1], self._thumbnails[0].shape[0]
        self._times.append(seconds)
        self._thumbnails.append(cv2.resize(luma, small, interpolation=cv2.INTER_AREA))
        if len(self._times) > SKETCH_FRAMES:
            self._times, self._thumbnails = self._times[::2], self._thumbnails[::2]
            self._interval *= 2


def sketch_of(windows: Iterable[Window]) -> Sketch:
    """Return the sketch of some windows; ValueError when there are none."""
    check = FingerprintCheck()
    for window in windows:
        check.see(window)
    sketch = check.sketch()
    if sketch is None:
        raise ValueError("no frames to take a fingerprint of")
    return sketch


def compare(
    reference: Fingerprint, sketch: Sketch, alignment: Alignment | None, spans: Sequence[Span] = ()
) -> Resemblance:
    """Compare a manifest's fingerprint with an examined clip, mapped back by what the watermark reader found.

    Only cells that the examined frame covers are compared, at every shift in time and every placement of the frame in
    the original that the tile (known modulo whole periods) leaves open. Without an alignment the whole frame is taken,
    as it is and mirrored. spans: stretches of the examined clip to look at; all of it when empty.
    """
    part = sketch.within(spans)
    if part is None:
        return Resemblance(None)
    speed = alignment.speed if alignment else 1.0
    best = Resemblance(None)
    placements = _placements(reference, part, alignment)
    if len(placements) * _shifts(reference, part.times_seconds * speed, part.interval_seconds * speed) > _MOST_SHIFTS:
        return best
    for to_thumbnail in placements:
        found = _compare_placed(reference, part, to_thumbnail, speed)
        if found.distance is not None and (best.distance is None or found.distance < best.distance):
            best = found
    return best


def _compare_placed(reference: Fingerprint, sketch: Sketch, to_thumbnail: np.ndarray, speed: float) -> Resemblance:
    differences, known = _differences(sketch.thumbnails, to_thumbnail)
    scale = np.maximum(np.median(np.abs(differences[:, known]), axis=1, keepdims=True), 0.5) if known.any() else 1.0
    clear = known & (np.abs(differences) >= FLAT_LEVELS)
    chips = np.where(clear, np.clip(differences / scale, -1.0, 1.0), 0.0).astype(np.float32)
    return best_shift(reference, sketch.times_seconds * speed, chips, sketch.interval_seconds * speed, speed)


def _shifts(reference: Fingerprint, times: np.ndarray, spacing: float) -> float:
    """How many shifts `best_shift` tries."""
    length = reference.marks_seconds[-1] + times[-1] - times[0]
    return float(length / min(spacing, reference.interval_seconds)) + 1


def best_shift(
    reference: Fingerprint, times: np.ndarray, chips: np.ndarray, spacing: float, speed: float
) -> Resemblance:
    """Try every shift in time; `chips` float (m, 264) in [-1, 1] at `times` seconds, `spacing` apart or more."""
    agreement = reference.chips @ chips.T  # (n, m)
    weight = np.abs(reference.chips) @ np.abs(chips).T
    count = np.abs(reference.chips) @ (chips != 0).astype(np.float32).T
    marks = reference.marks_seconds
    step = min(spacing, reference.interval_seconds)
    apart = max(spacing, float(np.median(np.diff(times)))) if len(times) > 1 else spacing
    shortest = min(marks[-1], times[-1] - times[0])
    fewest = max(1, math.floor(_OVERLAP_SHARE * shortest / reference.interval_seconds))
    best = Resemblance(None)
    lowest = 1.0
    for shift in np.arange(-times[-1], marks[-1] - times[0] + step / 2, step):
        rows, columns = _pairs(marks, times + shift, 0.6 * apart)
        if len(rows) < fewest:
            continue
        bits = count[rows, columns].mean()
        total = weight[rows, columns].sum()
        if bits < MINIMUM_BITS or total <= 0:
            continue
        error = 0.5 - 0.5 * agreement[rows, columns].sum() / total
        if error < lowest:
            lowest = error
            best = Resemblance(round(256 * error), round(bits), len(rows), round(float(shift) / speed, 3))
    return best


def _pairs(marks: np.ndarray, times: np.ndarray, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    """Pair each mark with the nearest time, when it is at most `tolerance` seconds away."""
    right = np.clip(np.searchsorted(times, marks), 1, max(len(times) - 1, 1)) if len(times) > 1 else None
    if right is None:
        columns = np.zeros(len(marks), int)
    else:
        columns = np.where(marks - times[right - 1] <= times[right] - marks, right - 1, right)
    near = np.abs(times[columns] - marks) <= tolerance
    return np.flatnonzero(near), columns[near]


def _identity(shape: tuple[int, ...]) -> np.ndarray:
    """The map from the unit square of the original to thumbnail pixels when the frame is the whole original."""
    height, width = shape
    return np.array([[width, 0.0, 0.0], [0.0, height, 0.0], [0.0, 0.0, 1.0]])


_MIRROR = np.array([[-1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])


def _placements(reference: Fingerprint, sketch: Sketch, alignment: Alignment | None) -> list[np.ndarray]:
    """Return homographies (3, 3) from the unit square of the original frame to pixels of the thumbnails."""
    height, width = sketch.thumbnails.shape[1:]
    if alignment is None:
        return [_identity((height, width)), _identity((height, width)) @ _MIRROR]
    across = alignment.tiles_across * math.sqrt(reference.aspect)
    down = alignment.tiles_across / math.sqrt(reference.aspect)
    to_tiles = np.array(alignment.matrix, dtype=np.float64)
    if not np.isfinite(to_tiles).all() or abs(np.linalg.det(to_tiles)) < 1e-12:
        return []
    from_tiles = np.linalg.inv(to_tiles)
    corners = to_tiles @ np.array([[0, sketch.width, 0, sketch.width], [0, 0, sketch.height, sketch.height], [1] * 4])
    if corners[2].min() <= 0:
        return []
    corners = corners[:2] / corners[2]
    to_small = np.diag([width / sketch.width, height / sketch.height, 1.0])
    moves = [*itertools.product(_whole_tiles(corners[0], across), _whole_tiles(corners[1], down))]
    if len(moves) > _MOST_PLACEMENTS:  # no crop that anybody would look at
        return []
    found: list[tuple[int, np.ndarray]] = []
    for right, below in moves:
        from_unit = np.array([[across, 0.0, -right], [0.0, down, -below], [0.0, 0.0, 1.0]])
        to_thumbnail = to_small @ from_tiles @ from_unit
        found.append((int(_coverage(to_thumbnail, (height, width)).sum()), to_thumbnail))
    most = max((cells for cells, _ in found), default=0)
    return [placement for cells, placement in found if cells and cells >= _PLACEMENT_SHARE * most]


def _whole_tiles(corners: np.ndarray, extent: float) -> range:
    """Whole tiles by which the examined frame may be moved and still overlap the original by half."""
    low, high = float(corners.min()), float(corners.max())
    slack = 0.5 * min(high - low, extent)
    first, last = math.ceil(slack - high), math.floor(extent - slack - low)
    return range(first, min(last, first + _MOST_PLACEMENTS) + 1)


def _sample_points(to_thumbnail: np.ndarray) -> np.ndarray:
    """float (2, 96 * 96): where the cells' sample points lie in the thumbnail, in pixels from its corner."""
    centres = (np.arange(CELLS * _SAMPLES) + 0.5) / (CELLS * _SAMPLES)
    down, across = np.meshgrid(centres, centres, indexing="ij")
    x, y, weight = to_thumbnail @ np.stack([across.ravel(), down.ravel(), np.ones(across.size)])
    beyond = np.where(weight > 0, weight, np.nan)  # what lies behind the horizon is nowhere
    return np.nan_to_num(np.stack([x, y]) / beyond, nan=-1e6, posinf=-1e6, neginf=-1e6)


def _coverage(to_thumbnail: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """bool (12, 12): the cells that the examined frame covers."""
    x, y = _sample_points(to_thumbnail)
    inside = (x >= 0) & (x <= shape[1]) & (y >= 0) & (y <= shape[0])
    share = inside.reshape(CELLS, _SAMPLES, CELLS, _SAMPLES).mean(axis=(1, 3))
    return share >= _COVERED_SHARE


def _differences(thumbnails: np.ndarray, to_thumbnail: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return float32 (n, 264) differences of neighbouring cell means, right minus left, then lower minus upper, and
    bool (264,): whether both cells are covered.
    """
    shape = thumbnails.shape[1], thumbnails.shape[2]
    weights = _sampling(shape, tuple(map(tuple, to_thumbnail)))
    means = (thumbnails.reshape(len(thumbnails), -1).astype(np.float32) @ weights).reshape(-1, CELLS, CELLS)
    covered = _coverage(to_thumbnail, shape)
    across, down = np.diff(means, axis=2), np.diff(means, axis=1)
    known_across, known_down = covered[:, 1:] & covered[:, :-1], covered[1:] & covered[:-1]
    count = len(thumbnails)
    return (
        np.concatenate([across.reshape(count, -1), down.reshape(count, -1)], axis=1),
        np.concatenate([known_across.ravel(), known_down.ravel()]),
    )


@lru_cache(maxsize=8)
def _sampling(shape: tuple[int, int], to_thumbnail: tuple[tuple[float, ...], ...]) -> np.ndarray:
    """float32 (h * w, 144): bilinear weights that take cell means from a flattened thumbnail."""
    height, width = shape
    x, y = _sample_points(np.array(to_thumbnail)) - 0.5
    x, y = np.clip(x, 0, width - 1), np.clip(y, 0, height - 1)
    left, top = np.minimum(x.astype(int), width - 2), np.minimum(y.astype(int), height - 2)
    rows, columns = np.divmod(np.arange(x.size), CELLS * _SAMPLES)
    cell = rows // _SAMPLES * CELLS + columns // _SAMPLES
    weights = np.zeros((height * width, CELLS * CELLS), dtype=np.float32)
    for dx, dy in itertools.product((0, 1), (0, 1)):
        share = np.abs(1 - dx - (x - left)) * np.abs(1 - dy - (y - top))
        np.add.at(weights, ((top + dy) * width + left + dx, cell), share / _SAMPLES**2)
    return weights
