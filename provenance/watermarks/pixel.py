"""The pixel watermark: marks the luma of any video, and reads it back from whatever became of that video.

`PixelWatermark` marks and reads clips under one key. `PixelWatermarkCheck` examines a stream of frames under several
keys at once: frames are normalised once, and of each 4.8 seconds some 90 KiB are kept, to tell afterwards which of them
carry an id: about 70 MB for an hour.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from provenance.evidence import Span, WatermarkEvidence
from provenance.keys import KeyStream
from provenance.threads import in_threads, one_thread_in_blas
from provenance.video import Clip, VideoInfo, Window
from provenance.watermarks import Reading, payload, statistics
from provenance.watermarks.chunk import Chunk, Geometry, Trace, View
from provenance.watermarks.examining import (
    CHUNK_SECONDS,
    SEARCHED_SECONDS,
    SEARCHES,
    SHORTEST_CHUNK_SECONDS,
    Found,
    KeyExaminer,
    Plan,
)
from provenance.watermarks.front import FrontEnd, detail_of
from provenance.watermarks.marking import Embedder, Strength
from provenance.watermarks.reading import BLIND, KeyReader
from provenance.watermarks.search import StepImages
from provenance.watermarks.shots import CutFinder, thumbnail_of
from provenance.watermarks.spans import (
    ChunkScore,
    clearest_of,
    pattern_of,
    rivals_of,
    scores_of,
    spans_of,
    strongest_of,
)
from provenance.watermarks.strength import chosen, samples_of
from provenance.watermarks.sync import SEQUENCE_SECONDS, START_SECONDS
from provenance.watermarks.tile import PURPOSE

_MAX_FRAME_RATE = 31.0
_WORTH_SEARCHING = 1.0  # seconds
_Seen = tuple[Chunk, dict[Geometry, View]]


class PixelWatermarkCheck:
    """A check of the frames: looks for pixel watermarks under the given key streams (purpose ``pixel/1``)."""

    name: Literal["pixel-watermark"] = "pixel-watermark"

    def __init__(self, streams: Sequence[KeyStream], *, searches: bool = True) -> None:
        """searches: whether crops and mirror images are looked for, too; signing knows that its output is neither."""
        self._streams = tuple(streams)
        self._searches = SEARCHES if searches else 0

    def start(self, info: VideoInfo) -> None:
        """Get ready for a video."""
        self.begin(info.width, info.height, float(info.frame_rate), info.duration_seconds)

    def begin(self, width: int, height: int, frame_rate: float, duration_seconds: float | None) -> None:
        """Get ready for frames of this size; `start` for those who have no file."""
        self._size = (width, height)
        self._front = FrontEnd(width, height)
        self._stride = max(1, math.ceil(frame_rate / _MAX_FRAME_RATE))
        self._frame_rate = frame_rate
        plan = Plan.of(duration_seconds, max(1, len(self._streams)), self._searches)
        self._chunks_per_window = plan.chunks_per_window
        self._whole = Geometry.identity(width, height)
        self._keys = [KeyExaminer(stream, plan, self._whole) for stream in self._streams]
        self._times: list[float] = []
        self._frames: list[np.ndarray] = []
        self._cuts = CutFinder()
        self._shots: list[float] = []
        self._plan, self._splits = plan, 0
        self._unsearched: _Seen | None = None
        self._searched: _Seen | None = None
        self._waited = 0.0
        self._seen = self._chunks = self._decoded = self._windows = 0
        self._next = -math.inf
        self._traces: dict[Geometry, list[Trace]] = {}
        self._examined: list[Span] = []

    def see(self, window: Window) -> bool:
        """Take in the next frames. Never says enough: other seconds may carry other ids."""
        if not self._streams:
            return True
        keep = []
        for index, seconds in enumerate(window.times.tolist(), self._seen):
            if index % self._stride == 0 and seconds >= self._next:  # some frames may be far closer than the average
                keep.append(index - self._seen)
                self._next = seconds + 0.9 / _MAX_FRAME_RATE
        self._seen += len(window)
        for index, (thumbnail, detail) in zip(keep, in_threads(self._look, window.luma[keep]), strict=True):
            seconds = float(window.times[index])
            if self._cuts.begins_shot(thumbnail):
                self._shots.append(seconds)
            self._frames.append(detail)
            self._times.append(seconds)
            while count := self._complete():
                self._take(count)
        return False

    def _look(self, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        reduced = self._front.reduced(frame)
        return thumbnail_of(reduced), detail_of(reduced)

    def _complete(self) -> int:
        """How many frames make a chunk: to the end of a shot, while splits are left for what was seen so far, or where
        there are enough of them. 0: more are to come.
        """
        if not self._times:
            return 0
        begin, last = self._times[0], self._times[-1]
        cut = next((seconds for seconds in self._shots if seconds - begin >= SHORTEST_CHUNK_SECONDS), None)
        if cut is not None and self._splits < self._plan.splits_by(last):
            self._splits += 1
            return int(np.searchsorted(self._times, cut - 1e-6))
        if last - begin >= 1.5 * CHUNK_SECONDS:
            return int(np.searchsorted(self._times, begin + CHUNK_SECONDS - 1e-6))
        return 0

    def evidence(self) -> list[WatermarkEvidence]:
        """Say what was measured: one object per id, the largest span first, or one per key without an id."""
        if not self._streams:
            return [WatermarkEvidence(self.name, reason="no key")]
        if self._times:
            self._take(len(self._times))
        self._end_window()
        for _ in range(SEARCHES):  # a short clip has searches left
            self._search()
        for examiner in self._keys:
            examiner.end_file()
        spans = self._spans()
        found = [
            row for number, examiner in enumerate(self._keys) for row in self._evidence_of(examiner, number, spans)
        ]
        return sorted(found, key=lambda row: -sum(end - begin for begin, end in row.spans))

    def _spans(self) -> dict[tuple[int, int], tuple[Span, ...]]:
        """The seconds of every id, by the number of its key and itself. In a chunk that another id of the same geometry
        fits better, that one is taken off first: strong ids look like weak ones. Ids of one key share the moments out.
        """
        scores: dict[tuple[Geometry, int], dict[int, tuple[ChunkScore, ...]]] = {}
        for geometry, traces in self._traces.items():
            seen = [
                (number, examiner, found)
                for number, examiner in enumerate(self._keys)
                for found in examiner.found.values()
                if found.geometry == geometry
            ]
            patterns = [pattern_of(examiner.reader, found) for _, examiner, found in seen]
            first = [
                scores_of(traces, examiner.reader, found, examiner.starts[found.watermark_id])
                for _, examiner, found in seen
            ]
            strongest = strongest_of(first)
            for place, (number, examiner, found) in enumerate(seen):
                starts, rivals = examiner.starts[found.watermark_id], rivals_of(place, first, patterns, strongest)
                again = scores_of(traces, examiner.reader, found, starts, rivals) if rivals else first[place]
                scores.setdefault((geometry, number), {})[found.watermark_id] = again
        clearest = clearest_of(one for of_key in scores.values() for one in of_key.values())
        return {
            (number, watermark_id): spans
            for (_, number), of_key in scores.items()
            for watermark_id, spans in zip(of_key, spans_of(list(of_key.values()), clearest), strict=True)
        }

    def _take(self, count: int) -> None:
        """Turn the first `count` frames into a chunk, add it up, and decode when a window is complete."""
        times = np.array(self._times[:count])
        chunk = Chunk(times, np.stack(self._frames[:count]), self._size, self._frame_rate)
        del self._times[:count], self._frames[:count]
        self._shots = [seconds for seconds in self._shots if self._times and seconds > self._times[0]]
        self._examined.append((float(times[0]), float(times[-1]) + self._stride / self._frame_rate))
        views = {geometry: chunk.view(geometry) for geometry in dict.fromkeys(key.geometry for key in self._keys)}
        for examiner in self._keys:
            examiner.add(views[examiner.geometry])
        for view in views.values():
            self._keep_trace(view)
        self._chunks += 1
        self._waited += chunk.seconds
        if not any(key.may_search for key in self._keys):
            self._unsearched = self._searched = None
        elif chunk.detail.any() and (self._unsearched is None or chunk.seconds >= self._unsearched[0].seconds):
            self._unsearched = chunk, views
        if self._chunks % self._chunks_per_window == 0:
            self._end_window()

    def _end_window(self) -> None:
        if self._chunks == self._decoded:
            return
        self._decoded = self._chunks
        self._windows += 1
        for examiner in self._keys:
            examiner.end_window()
        if self._unsearched is not None and (
            self._unsearched[0].seconds >= SEARCHED_SECONDS or self._waited >= CHUNK_SECONDS
        ):
            self._search()

    def _search(self) -> None:
        """Look for other geometries in the longest chunk since the last time; where there is none worth it, in the
        longest one of all again.
        """
        if self._unsearched is None or (self._searched and self._unsearched[0].seconds < _WORTH_SEARCHING):
            chosen = self._searched
        else:
            chosen = self._unsearched
        if chosen is None:
            return
        _, views = chosen
        if self._searched is None or chosen[0].seconds >= self._searched[0].seconds:
            self._searched = chosen
        self._unsearched, self._waited = None, 0.0
        images: dict[int, StepImages] = {}
        for examiner in self._keys:
            if examiner.may_search:
                view = examiner.look_elsewhere(views[self._whole], images)
                if view is not None:
                    self._keep_trace(view)

    def _examined_spans(self) -> tuple[Span, ...]:
        """The seconds in which a watermark could have been seen: where the picture is a crop or a mirror image, those
        that were looked at as such."""
        geometries = {found.geometry for examiner in self._keys for found in examiner.found.values()}
        if len(geometries) != 1 or self._whole in geometries:
            return tuple(self._examined)
        begins = {float(trace.begins[0]) for trace in self._traces.get(geometries.pop(), [])}
        return tuple(span for span in self._examined if span[0] in begins)

    def _keep_trace(self, view: View) -> None:
        self._traces.setdefault(view.geometry, []).append(view.trace())

    def _evidence_of(
        self, examiner: KeyExaminer, number: int, spans: Mapping[tuple[int, int], tuple[Span, ...]]
    ) -> list[WatermarkEvidence]:
        """spans: of every id that was found, by the number of its key and itself."""
        stream = examiner.reader.stream
        tests = sum(one.tests for one in self._keys)
        presence = statistics.presence_log10_p(examiner.best, tests)
        examined = self._examined_spans()
        if not examiner.found:
            return [
                WatermarkEvidence(self.name, stream.key_name, stream.is_public, log10_p=presence, examined=examined)
            ]
        message = statistics.message_log10_p(tests, 1, 1)  # all keys and windows are in `tests`
        return [
            WatermarkEvidence(
                self.name,
                stream.key_name,
                stream.is_public,
                watermark_id=found.watermark_id,
                origin=payload.origin_of(found.watermark_id).name.lower(),  # type: ignore[arg-type]
                log10_p=min(message, statistics.presence_log10_p(examiner.clearest[found.watermark_id], tests)),
                spans=spans.get((number, found.watermark_id)) or examined,
                examined=examined,
                alignment=found.geometry.alignment(*self._size, _start_seconds(examiner.reader, found)),
            )
            for found in examiner.found.values()
        ]


def _start_seconds(reader: KeyReader, found: Found) -> float | None:
    """Time of the examined file's first frame in the marked clip, modulo 19.2 s; of several that fit, the earliest."""
    if found.start == BLIND:
        return None
    origin = reader.tile.start_of(found.watermark_id)
    return min((start - origin) * START_SECONDS % SEQUENCE_SECONDS for start in found.alike)


@dataclass(frozen=True)
class PixelWatermark:
    """Marks and reads finished clips under one key.

    stream: `Key.stream(PURPOSE)`. strength: None chooses it for each clip, by trying.
    """

    stream: KeyStream
    strength: Strength | None = None
    name: str = "pixel-watermark"

    def __post_init__(self) -> None:
        if self.stream.purpose != PURPOSE:
            raise ValueError(f"the pixel watermark takes a stream for {PURPOSE!r}, not {self.stream.purpose!r}")

    def embedder(
        self, width: int, height: int, frame_rate: float, watermark_id: int, *, full_range: bool = True
    ) -> Embedder:
        """Return what marks the luma frames of one video, one at a time; as strongly as any where nothing is chosen."""
        strength = self.strength or Strength()
        tile = KeyReader(self.stream).tile
        return Embedder(tile, watermark_id, width, height, frame_rate, strength, full_range=full_range)

    def embed(self, clip: Clip, watermark_id: int) -> Clip:
        """Return a marked copy: the change of luma is added to red, green and blue alike."""
        strength = self.strength or chosen(samples_of(clip), self.stream, watermark_id, clip.seconds)
        embedder = replace(self, strength=strength).embedder(
            clip.width, clip.height, clip.frames_per_second, watermark_id
        )
        frames = np.empty_like(clip.frames)
        for index, (luma, seconds) in enumerate(zip(clip.luma, clip.times - clip.times[0], strict=True)):
            change = embedder.mark(luma, float(seconds)).astype(np.int16) - luma
            frames[index] = np.clip(clip.frames[index] + change[..., None], 0, 255)
        return Clip(frames, clip.times)

    def read(self, clip: Clip) -> Reading:
        """Return the likeliest id, or None, with the chance of an unmarked clip looking so."""
        best = self.examine(clip)[0]
        return Reading(best.watermark_id, best.log10_p, best.spans, best.alignment)

    def examine(self, clip: Clip) -> list[WatermarkEvidence]:
        """Return what is measured of all ids in a clip, as the check's `evidence` does."""
        return examine(clip, [self.stream])


def examine(clip: Clip, streams: Sequence[KeyStream]) -> list[WatermarkEvidence]:
    """Return what `PixelWatermarkCheck` measures of a clip under several key streams."""
    check = PixelWatermarkCheck(streams)
    check.begin(clip.width, clip.height, clip.frames_per_second, clip.seconds)
    with one_thread_in_blas():
        for first in range(0, len(clip), 16):
            check.see(Window.of(clip.select(slice(first, first + 16)), first))
        return check.evidence()


__all__ = ["PURPOSE", "PixelWatermark", "PixelWatermarkCheck", "examine"]
