"""The pixel watermark: marks the luma of any video, and reads it back from whatever became of that video.

`PixelWatermark` marks and reads clips under one key. `PixelWatermarkCheck` examines a stream of frames under several
keys at once: frames are normalised once, sums over time are kept, and memory does not grow with the length.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from provenance.evidence import Span, WatermarkEvidence
from provenance.keys import KeyStream
from provenance.video import Clip, VideoInfo, Window
from provenance.watermarks import Reading, payload, search, statistics
from provenance.watermarks.chunk import Chunk, Geometry, Trace, View
from provenance.watermarks.front import FrontEnd
from provenance.watermarks.marking import DEFAULT_STRENGTH_DB, Embedder
from provenance.watermarks.reading import BLIND, FRONTS, KeyReader, Sums, Trial
from provenance.watermarks.spans import spans_of
from provenance.watermarks.sync import SEQUENCE_SECONDS, START_SECONDS
from provenance.watermarks.tile import PURPOSE

log = logging.getLogger(__name__)

CHUNK_SECONDS = 4.8
MOST_WINDOWS = 100
STARTS_TRIED = 3
SEARCHES = 2
GEOMETRIES_TRIED = 4
MOST_NONCES = 12
_MAX_FRAME_RATE = 31.0


@dataclass(frozen=True)
class Plan:
    """How many tests a file may take, fixed before its first frame is seen (statistics.MAX_TESTS in all).

    chunks_per_window: chunks whose sums are decoded together. windows: of all the file, with its sum as one of them.
    nonces: how many are tested per row.
    """

    keys: int
    chunks_per_window: int
    windows: int
    nonces: int

    @classmethod
    def of(cls, duration_seconds: float | None, keys: int) -> Plan:
        """Plan for a duration; an unknown one counts as an hour."""
        chunks = max(1, math.ceil((duration_seconds or 3600.0) / CHUNK_SECONDS))
        per_window = math.ceil(chunks / MOST_WINDOWS)
        windows = math.ceil(chunks / per_window) + 1
        rows = len(FRONTS) * (windows * (STARTS_TRIED + 1) + SEARCHES * (len(search.FLIPS) + GEOMETRIES_TRIED) * 2)
        nonces = statistics.MAX_TESTS // (rows * keys)
        return cls(keys, per_window, windows, max(1, min(MOST_NONCES, nonces)))


@dataclass(frozen=True)
class Found:
    """An id, and where it was read."""

    watermark_id: int
    nonce: int
    start: int
    geometry: Geometry
    verification_log10_p: float

    @property
    def rank(self) -> tuple[bool, float]:
        """Sorts the most telling sighting first: one whose start is known, then the clearest."""
        return self.start == BLIND, self.verification_log10_p


@dataclass
class _KeyState:
    """What has been summed and tested under one key so far."""

    reader: KeyReader
    geometry: Geometry
    window: Sums | None = None
    whole: Sums | None = None
    tests: int = 0
    searches: int = 0
    best: float = 0.0
    found: dict[int, Found] = field(default_factory=dict)
    starts: dict[int, set[int]] = field(default_factory=dict)


class PixelWatermarkCheck:
    """A check of the frames: looks for pixel watermarks under the given key streams (purpose ``pixel/1``)."""

    name = "pixel-watermark"

    def __init__(self, streams: Sequence[KeyStream], *, searches: bool = True) -> None:
        """searches: whether crops and mirror images are looked for, too; signing knows that its output is neither."""
        self._streams = tuple(streams)
        self._most_searches = SEARCHES if searches else 0

    def start(self, info: VideoInfo) -> None:
        """Get ready for a video."""
        self.begin(info.width, info.height, float(info.frame_rate), info.duration_seconds)

    def begin(self, width: int, height: int, frame_rate: float, duration_seconds: float | None) -> None:
        """Get ready for frames of this size; `start` for those who have no file."""
        self._size = (width, height)
        self._front = FrontEnd(width, height)
        self._stride = max(1, math.ceil(frame_rate / _MAX_FRAME_RATE))
        self._frame_rate = frame_rate
        self._plan = Plan.of(duration_seconds, max(1, len(self._streams)))
        identity = Geometry.identity(width, height)
        self._keys = [_KeyState(KeyReader(stream), identity) for stream in self._streams]
        self._times: list[float] = []
        self._frames: list[np.ndarray] = []
        self._seen = self._chunks = self._windows = 0
        self._traces: dict[Geometry, list[Trace]] = {}
        self._examined: list[Span] = []

    def see(self, window: Window) -> bool:
        """Take in the next frames. Never says enough: other seconds may carry other ids."""
        if not self._streams:
            return True
        keep = [i for i in range(len(window)) if (self._seen + i) % self._stride == 0]
        self._seen += len(window)
        if keep:
            self._frames.extend(self._front.normalise(window.luma[keep]))
            self._times.extend(float(time) for time in window.times[keep])
        while self._times and self._times[-1] - self._times[0] >= 1.5 * CHUNK_SECONDS:
            self._take(int(np.searchsorted(self._times, self._times[0] + CHUNK_SECONDS - 1e-6)))
        return False

    def evidence(self) -> list[WatermarkEvidence]:
        """Say what was measured: one object per id, the largest span first, or one per key without an id."""
        if not self._streams:
            return [WatermarkEvidence(self.name, reason="no key")]
        if self._times:
            self._take(len(self._times))
        self._end_window()
        if self._windows > 1:
            for state in self._keys:
                if state.whole is not None:
                    self._test(state, state.whole, state.geometry, STARTS_TRIED)
        found = [row for state in self._keys for row in self._evidence_of(state)]
        return sorted(found, key=lambda row: -sum(end - begin for begin, end in row.spans))

    def _take(self, count: int) -> None:
        """Turn the first `count` frames into a chunk, add it up, and decode when a window is complete."""
        times = np.array(self._times[:count])
        chunk = Chunk(times, np.stack(self._frames[:count]), self._size, self._frame_rate)
        del self._times[:count], self._frames[:count]
        self._examined.append((float(times[0]), float(times[-1]) + self._stride / self._frame_rate))
        views: dict[Geometry, View] = {}
        for state in self._keys:
            view = views.setdefault(state.geometry, chunk.view(state.geometry))
            sums = state.reader.sums(view)
            state.window = sums if state.window is None else state.window + sums
            state.whole = sums if state.whole is None else state.whole + sums
        for geometry, view in views.items():
            self._traces.setdefault(geometry, []).append(view.trace())
        self._chunks += 1
        self._last = chunk, views
        if self._chunks % self._plan.chunks_per_window == 0:
            self._end_window()

    def _end_window(self) -> None:
        if all(state.window is None for state in self._keys):
            return
        self._windows += 1
        for state in self._keys:
            sums, state.window = state.window, None
            if sums is None or self._test(state, sums, state.geometry, STARTS_TRIED) or state.found:
                continue
            if state.searches < self._most_searches:
                self._search(state)

    def _search(self, state: _KeyState) -> None:
        """Try other geometries on the last chunk, and keep the one under which an id is read."""
        chunk, views = self._last
        whole = views[Geometry.identity(*self._size)]
        for view in self._other_views(state, chunk, whole):
            sums = state.reader.sums(view)
            if self._test(state, sums, view.geometry, 1):
                state.geometry, state.whole = view.geometry, sums
                self._traces.setdefault(view.geometry, []).append(view.trace())
                return

    def _other_views(self, state: _KeyState, chunk: Chunk, whole: View) -> Iterator[View]:
        """The frame's mirror images, then what the search proposes: by the centred frames, then by the whitened ones."""
        yield from search.mirrored(whole)
        number, state.searches = state.searches, state.searches + 1
        kernels = [whole.centring, whole.whitening]
        for kernel in kernels if self._plan.windows <= 2 else kernels[number % 2 : number % 2 + 1]:
            images = search.StepImages.of(whole, kernel)
            for proposal in search.propose(images, state.reader, GEOMETRIES_TRIED):
                yield chunk.view(proposal.geometry)

    def _test(self, state: _KeyState, sums: Sums, geometry: Geometry, starts: int) -> bool:
        """Test rows of the sums; True when an id was read."""
        success = False
        for start in state.reader.starts(sums, starts):
            for front in FRONTS:
                trials = state.reader.try_row(sums, start, front, self._plan.nonces)
                state.tests += len(trials)
                success |= self._note(state, trials, geometry)
        return success

    def _note(self, state: _KeyState, trials: list[Trial], geometry: Geometry) -> bool:
        state.best = min([state.best, *(trial.verification_log10_p for trial in trials)])
        read = [trial for trial in trials if trial.candidate is not None]
        for trial in read:
            assert trial.candidate is not None
            watermark_id = trial.candidate.watermark_id
            here = Found(watermark_id, trial.nonce, trial.start, geometry, trial.verification_log10_p)
            known = state.found.get(watermark_id)
            if known is None or here.rank < known.rank:
                state.found[watermark_id] = here
            state.starts.setdefault(watermark_id, set()).add(trial.start)
        return bool(read)

    def _evidence_of(self, state: _KeyState) -> Iterable[WatermarkEvidence]:
        stream = state.reader.stream
        tests = sum(one.tests for one in self._keys)
        presence = statistics.presence_log10_p(state.best, tests)
        examined = tuple(self._examined)
        if not state.found:
            return [
                WatermarkEvidence(self.name, stream.key_name, stream.is_public, log10_p=presence, examined=examined)
            ]
        per_window = math.ceil(tests / (len(self._keys) * max(self._windows, 1)))
        message = statistics.message_log10_p(per_window, len(self._keys), max(self._windows, 1))
        return [
            WatermarkEvidence(
                self.name,
                stream.key_name,
                stream.is_public,
                watermark_id=found.watermark_id,
                origin=payload.origin_of(found.watermark_id).name.lower(),  # type: ignore[arg-type]
                log10_p=min(message, presence),
                spans=spans_of(
                    self._traces.get(found.geometry, []), state.reader, found, state.starts[found.watermark_id]
                )
                or examined,
                examined=examined,
                alignment=found.geometry.alignment(_start_seconds(state.reader, found)),
            )
            for found in state.found.values()
        ]


def _start_seconds(reader: KeyReader, found: Found) -> float | None:
    """Time of the examined file's first frame in the marked clip, modulo 19.2 s."""
    if found.start == BLIND:
        return None
    return (found.start - reader.tile.start_of(found.watermark_id)) * START_SECONDS % SEQUENCE_SECONDS


@dataclass(frozen=True)
class PixelWatermark:
    """Marks and reads finished clips under one key.

    stream: `Key.stream(PURPOSE)`. strength_db: luma PSNR of each frame before rounding.
    """

    stream: KeyStream
    strength_db: float = DEFAULT_STRENGTH_DB
    name: str = "pixel-watermark"

    def __post_init__(self) -> None:
        if self.stream.purpose != PURPOSE:
            raise ValueError(f"the pixel watermark takes a stream for {PURPOSE!r}, not {self.stream.purpose!r}")

    def embedder(self, width: int, height: int, frame_rate: float, watermark_id: int) -> Embedder:
        """Return what marks the luma frames of one video, one at a time."""
        return Embedder(KeyReader(self.stream).tile, watermark_id, width, height, frame_rate, self.strength_db)

    def embed(self, clip: Clip, watermark_id: int) -> Clip:
        """Return a marked copy: the change of luma is added to red, green and blue alike."""
        embedder = self.embedder(clip.width, clip.height, clip.frames_per_second, watermark_id)
        frames = np.empty_like(clip.frames)
        for index, (luma, seconds) in enumerate(zip(clip.luma, clip.times - clip.times[0], strict=True)):
            change = embedder.mark(luma, float(seconds)).astype(np.int16) - luma
            frames[index] = np.clip(clip.frames[index] + change[..., None], 0, 255)
        return Clip(frames, clip.times)

    def read(self, clip: Clip) -> Reading:
        """Return the likeliest id, or None, with the chance of an unmarked clip looking so."""
        check = PixelWatermarkCheck([self.stream])
        check.begin(clip.width, clip.height, clip.frames_per_second, clip.seconds)
        for first in range(0, len(clip), 16):
            check.see(Window.of(clip.select(slice(first, first + 16)), first))
        best = check.evidence()[0]
        return Reading(best.watermark_id, best.log10_p, best.spans, best.alignment)


__all__ = ["PURPOSE", "PixelWatermark", "PixelWatermarkCheck"]
