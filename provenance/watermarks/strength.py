"""Choosing how strong a clip's pixel watermark is: sampled seconds are marked, encoded as the world does, and read.

The strongest mark goes in first. Where a reader collects more from it than reading takes, or where it costs too many
bytes or too much structure, it is made weaker. The encoder is x264 at qualities that no benchmark measures.
"""

from __future__ import annotations

import io
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import av
import cv2
import numpy as np

from provenance.keys import KeyStream
from provenance.quality import ssim
from provenance.video import Clip
from provenance.video.encoding import created
from provenance.watermarks import payload
from provenance.watermarks.chunk import Chunk, Geometry
from provenance.watermarks.front import FrontEnd
from provenance.watermarks.marking import Embedder, Strength
from provenance.watermarks.reading import KeyReader
from provenance.watermarks.sync import START_SECONDS, STARTS

WEAKEST_DB, WEAKEST_FOR_COST_DB = 46.0, 43.8
"""How weak it may become where a reader has more than enough, and where it only costs too much."""

SAMPLES_AT = ((0.1, 5.0), (0.55, 20.0))
"""Where in a clip its samples begin, as shares of its length, and in seconds at the latest: all before is decoded."""

SAMPLE_SECONDS = 1.0
LEAST_SECONDS = 0.5
LEAST_SIDE, MOST_SIDE = 16, 4096
MOST_RATE, MOST_FRAMES = 60.0, 120
MOST_PIXELS = 1920 * 1080
"""Larger frames are sampled at this size."""

PROBE_CRF = 37
SIZE_CRF = 25
LEAST_ENERGY, ENOUGH_ENERGY = 300.0, 1200.0
"""What a reader should collect after PROBE_CRF from four seconds, or a shorter clip: below the first nothing is saved,
above the second the watermark becomes weaker. x265 at CRF 40 leaves a quarter of it, and reading takes 200."""

MOST_GROWTH = 1.5
LEAST_SIMILARITY = 0.982
_COUNTED_SECONDS = 4.0
_STEP_DB = 0.7


@dataclass(frozen=True, eq=False)
class Sample:
    """Consecutive frames as they will be marked: luma uint8 (time, height, width), seconds float64 (time,) since the
    clip's first frame. full_range: as of `Embedder`.
    """

    luma: np.ndarray
    seconds: np.ndarray
    frame_rate: float
    full_range: bool = True


class Sampler:
    """Takes a clip's frames in, from its beginning, and keeps what is sampled of them, at most `MOST_PIXELS` large."""

    def __init__(self, duration_seconds: float | None, frame_rate: float, *, full_range: bool = True) -> None:
        """full_range: whether the clip's file is; what is seen here is, and is compressed again where that is not."""
        self._times = sample_times(duration_seconds)
        self._stride = max(1, math.ceil(frame_rate / MOST_RATE))
        self._rate, self._full_range = frame_rate / self._stride, full_range
        self._kept: list[list[tuple[np.ndarray, float]]] = [[] for _ in self._times]
        self._seen = 0

    def see(self, luma: Iterable[np.ndarray], seconds: Iterable[float]) -> bool:
        """Take in the next frames, full range; True when no more are wanted."""
        last = 0.0
        for frame, last in zip(luma, seconds, strict=True):
            for kept, (begin, end) in zip(self._kept, self._times, strict=True):
                if begin <= last < end and self._seen % self._stride == 0 and len(kept) < MOST_FRAMES:
                    kept.append((self._fitted(frame), last))
            self._seen += 1
        return last >= self._times[-1][1]

    def samples(self) -> list[Sample]:
        """Return what was kept; nothing of stretches that have no frames."""
        return [
            Sample(np.stack([one[0] for one in kept]), np.array([one[1] for one in kept]), self._rate, self._full_range)
            for kept in self._kept
            if kept
        ]

    def _fitted(self, luma: np.ndarray) -> np.ndarray:
        height, width = luma.shape
        scale = min(1.0, math.sqrt(MOST_PIXELS / (width * height)), MOST_SIDE / max(width, height))
        size = max(2, int(width * scale) // 2 * 2), max(2, int(height * scale) // 2 * 2)
        small = cv2.resize(luma, size, interpolation=cv2.INTER_AREA) if scale < 1 else luma[: size[1], : size[0]]
        if self._full_range:
            return np.array(small)
        return np.rint(16 + small * np.float32(219 / 255)).astype(np.uint8)


def sample_times(duration_seconds: float | None) -> tuple[tuple[float, float], ...]:
    """Return begin and end of the stretches to sample, in seconds; one where the clip is short or of unknown length."""
    if duration_seconds is None or duration_seconds < 2 * SAMPLE_SECONDS:
        return ((0.0, 2 * SAMPLE_SECONDS),)
    begins = [min(share * duration_seconds, latest) for share, latest in SAMPLES_AT]
    return tuple((begin, begin + SAMPLE_SECONDS) for begin in begins)


def samples_of(clip: Clip) -> list[Sample]:
    """Return the samples of a clip in memory."""
    sampler = Sampler(clip.seconds, clip.frames_per_second)
    sampler.see(clip.luma, (clip.times - clip.times[0]).tolist())
    return sampler.samples()


def chosen(
    samples: Sequence[Sample], stream: KeyStream, watermark_id: int, seconds: float | None, layers: int = 1
) -> Strength:
    """Return the strength of all layers together for a clip of this length with these samples; the strongest where
    they are too short or too small to try."""
    samples = [
        sample
        for sample in samples
        if len(sample.luma) >= LEAST_SECONDS * sample.frame_rate and min(sample.luma.shape[1:]) >= LEAST_SIDE
    ]
    if not samples:
        return Strength(layers=layers)
    return replace(_chosen(samples, stream, watermark_id, seconds, layers), layers=layers)


def _chosen(
    samples: Sequence[Sample], stream: KeyStream, watermark_id: int, seconds: float | None, layers: int
) -> Strength:
    reader = KeyReader(stream)
    trials = [_Trial(sample, reader, watermark_id) for sample in samples]
    counted = min(_COUNTED_SECONDS, seconds or _COUNTED_SECONDS) / layers
    strength = Strength()
    energy = counted * statistics.fmean(trial.energy_per_second(strength) for trial in trials)
    if energy >= LEAST_ENERGY:  # else it is all needed
        strength = _affordable(trials)
        if strength != Strength():
            energy = counted * statistics.fmean(trial.energy_per_second(strength) for trial in trials)
    spare = max(0.0, 10 * math.log10(max(energy, 1e-9) / ENOUGH_ENERGY))
    return Strength(round(min(WEAKEST_DB, strength.decibels + spare), 1))


def _affordable(trials: Sequence[_Trial]) -> Strength:
    """The strongest that costs little enough, or nearly so."""
    strength = Strength()
    while _too_costly(trials, strength) and strength.decibels + _STEP_DB <= WEAKEST_FOR_COST_DB + 1e-9:
        strength = Strength(strength.decibels + _STEP_DB)
    return strength


def _too_costly(trials: Sequence[_Trial], strength: Strength) -> bool:
    growth = sum(trial.size(strength) for trial in trials) / max(sum(trial.size(None) for trial in trials), 1)
    return growth > MOST_GROWTH or min(trial.similarity(strength) for trial in trials) < LEAST_SIMILARITY


class _Trial:
    """One sample, marked and encoded as often as asked."""

    def __init__(self, sample: Sample, reader: KeyReader, watermark_id: int) -> None:
        self._sample, self._reader, self._id = sample, reader, watermark_id
        self._seconds = _balanced(sample, reader, reader.tile.start_of(watermark_id))
        self._plain: int | None = None
        self._marked: tuple[Strength, np.ndarray] | None = None

    def size(self, strength: Strength | None) -> int:
        """Bytes at SIZE_CRF; of the unmarked sample where no strength is given."""
        if strength is None:
            self._plain = self._plain or len(_encoded(self._sample.luma, self._sample.frame_rate, SIZE_CRF))
            return self._plain
        return len(_encoded(self._mark(strength), self._sample.frame_rate, SIZE_CRF))

    def similarity(self, strength: Strength) -> float:
        """SSIM of a few frames."""
        every = slice(None, None, max(1, len(self._sample.luma) // 2))
        return ssim(self._sample.luma[every], self._mark(strength)[every])

    def energy_per_second(self, strength: Strength) -> float:
        """Energy of the coded signs over unit noise that a reader collects from a second after PROBE_CRF."""
        sample, tile = self._sample, self._reader.tile
        luma = _decoded(_encoded(self._mark(strength), sample.frame_rate, PROBE_CRF))
        height, width = luma.shape[1:]
        count = min(len(luma), len(sample.seconds))
        detail = FrontEnd(width, height).detail(luma[:count])
        chunk = Chunk(self._seconds[:count], detail, (width, height), sample.frame_rate)
        sums = self._reader.sums(chunk.view(Geometry.identity(width, height)))
        values, noise = sums.row("both", tile.start_of(self._id))
        nonce = tile.nonce_of(self._id)
        soft = self._reader.soft_signs(values, np.maximum(noise, 1e-30), nonce)
        agreement = float(np.corrcoef(soft, payload.encode(self._id, self._reader.stream))[0, 1]) if soft.any() else 0.0
        squared = min(max(agreement, 0.0), 0.999) ** 2
        seconds = max(count / sample.frame_rate, 1e-3)
        return payload.CODE_LENGTH * squared / (1 - squared) / seconds

    def _mark(self, strength: Strength) -> np.ndarray:
        if self._marked is None or self._marked[0] != strength:
            height, width = self._sample.luma.shape[1:]
            rate, full_range = self._sample.frame_rate, self._sample.full_range
            embedder = Embedder(self._reader.tile, self._id, width, height, rate, strength, full_range=full_range)
            pairs = zip(self._sample.luma, self._seconds, strict=True)
            self._marked = strength, np.stack([embedder.mark(luma, float(seconds)) for luma, seconds in pairs])
        return self._marked[1]


def _balanced(sample: Sample, reader: KeyReader, start: int) -> np.ndarray:
    """Return the sample's seconds, moved to where the sign sequence has as much of either sign: some seconds of it are
    no measure of a clip when they have one sign only."""
    since = sample.seconds - sample.seconds[0]
    signs = reader.sequence.amplitudes(since, np.arange(STARTS), sample.frame_rate)
    changes = np.abs(np.diff(np.sign(signs), axis=1)).sum(axis=1)
    best = int(np.lexsort((np.abs(changes - np.median(changes)), np.abs(signs.mean(axis=1)).round(1)))[0])
    return since + (best - start) % STARTS * START_SECONDS


def _encoded(luma: np.ndarray, frame_rate: float, crf: int) -> bytes:
    buffer = io.BytesIO()
    with created(buffer, format="matroska") as container:
        stream = container.add_stream("libx264", rate=Fraction(frame_rate).limit_denominator(1001))
        stream.height, stream.width = luma.shape[1:]
        stream.pix_fmt = "gray"
        stream.options = {"crf": str(crf), "preset": "veryfast", "threads": "1"}  # more would change the bits
        for frame in luma:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="gray")))
        container.mux(stream.encode())
    return buffer.getvalue()


def _decoded(data: bytes) -> np.ndarray:
    with av.open(io.BytesIO(data), "r") as container:
        return np.stack([frame.to_ndarray(format="gray") for frame in container.decode(video=0)])


__all__ = ["Sample", "Sampler", "chosen", "sample_times", "samples_of"]
