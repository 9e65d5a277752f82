"""The part of signing that touches the file: embed, look at the result, and seal it. Runs in the sandbox's worker.

What enters is a job: paths and derived key streams, never a master key, never a repository. The signature over the
claim is asked of the parent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from provenance.credentials.manifest import Manifest
from provenance.credentials.signing import SignedManifest, sign_file
from provenance.errors import CannotCarry
from provenance.evidence import WatermarkEvidence
from provenance.keys import KeyStream
from provenance.quality import psnr_of_error
from provenance.repository.fingerprint import Fingerprint, FingerprintCheck
from provenance.sandbox import worker
from provenance.sandbox.limits import Limits
from provenance.sandbox.prescan import prescan
from provenance.video import Video, VideoInfo, Window
from provenance.video.encoding import Encoding
from provenance.video.pixels import is_rgb
from provenance.video.rewrite import LumaChange, RewriteReport, foreseen, rewrite
from provenance.watermarks.marking import Strength
from provenance.watermarks.pixel import PixelWatermark, PixelWatermarkCheck
from provenance.watermarks.strength import Sampler, chosen

SELF_CHECK_SECONDS = 4.8
"""Signing reads its own output back in stretches of this length, until one of them gives the id."""
SMALLEST_SIDE = 64
"""Pixels on the shorter side below which no watermark is tried."""


@dataclass(frozen=True)
class MarkingJob:
    """What to do to one file.

    streams: one layer of the watermark under each; none leaves the pictures alone. strength_db: luma PSNR of all layers
    together; None chooses it by trying on sampled seconds. encoding: None stays near the input, or copies the streams
    where there is no layer.
    """

    source: Path
    target: Path
    watermark_id: int
    streams: tuple[KeyStream, ...]
    strength_db: float | None
    encoding: Encoding | None = None
    keep_location: bool = False
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True)
class MarkedFile:
    """A file that was rewritten, and what its own reader says of it.

    strength: of all layers together. psnr_db: luma of the marked frames against the input's, before encoding. Both are
    None where nothing was embedded.
    readings: one per layer, of the first seconds. fingerprint: of the frames as written.
    """

    rewritten: RewriteReport
    info: VideoInfo
    strength: Strength | None
    psnr_db: float | None
    readings: tuple[WatermarkEvidence, ...]
    fingerprint: bytes = field(repr=False)


@dataclass(frozen=True)
class Look:
    """What is known before anything is written.

    losses: what the output will not keep, or keeps in another form, one plain phrase each.
    """

    info: VideoInfo
    losses: tuple[str, ...]


def look(job: MarkingJob) -> Look:
    """Pre-scan the file, read its description, and foresee what its new form cannot keep. Writes nothing."""
    prescan(job.source, job.limits)
    video = Video(job.source)
    if job.streams:
        refuse_too_small(video.info)
    losses = foreseen(video, job.target, changes=bool(job.streams), encoding=job.encoding, location=job.keep_location)
    return Look(video.info, losses)


def refuse_too_small(info: VideoInfo) -> None:
    """Raise CannotCarry for what has no room for an id: frames on which the finest lines would be thinner than a pixel,
    and clips that are too short for their size."""
    if min(info.width, info.height) < SMALLEST_SIDE:
        raise CannotCarry(
            f"{info.path}: {info.width}x{info.height} pixels are too few for a watermark",
            hint=f"it needs {SMALLEST_SIDE} on the shorter side; sign without watermark (--no-watermark)",
        )


def mark(job: MarkingJob) -> MarkedFile:
    """Embed the layers while the file streams by, then read the output back.

    Raises CannotRead, CannotWrite, and CannotCarry when a layer cannot be read back from the output.
    """
    video = Video(job.source)
    meter = _Meter()
    strength = _strength(job, video) if job.streams else None
    change = _embedding(job, video.info, strength, meter) if strength is not None else None
    share = 0.8 if job.streams else 0.5
    rewritten = rewrite(
        video,
        job.target,
        change,
        encoding=job.encoding,
        progress=lambda done: worker.tell(share * done),
        location=job.keep_location,
    )
    readings, fingerprint = _read_back(job, lambda done: worker.tell(share + (0.95 - share) * done))
    _refuse_unreadable(job, readings, rewritten)
    return MarkedFile(rewritten, Video(job.target).info, strength, meter.psnr_db, readings, fingerprint)


def seal(
    source: Path, target: Path, manifest: Manifest, signer: AskedSigner, sidecar: bool, tsa_url: str | None
) -> SignedManifest:
    """Sign a finished file; whoever runs this answers `AskedSigner.QUESTION`."""
    return sign_file(source, target, manifest, signer, sidecar=sidecar, tsa_url=tsa_url, force=True)


@dataclass(frozen=True)
class AskedSigner:
    """Stands in the worker for a signer whose key stays with the parent."""

    QUESTION = "claim signature"
    name: str
    algorithm: str
    certificates_pem: str = field(repr=False)

    def sign(self, to_be_signed: bytes) -> bytes:
        """Ask the parent for the signature over these bytes."""
        return worker.ask(self.QUESTION, to_be_signed)


class _Meter:
    """The PSNR of marked luma, frame by frame."""

    def __init__(self) -> None:
        self._squares = 0.0
        self._samples = 0

    def see(self, before: np.ndarray, after: np.ndarray, bit_depth: int) -> None:
        difference = cv2.norm(np.ascontiguousarray(before), np.ascontiguousarray(after), cv2.NORM_L2)
        self._squares += (difference / (1 << (bit_depth - 8))) ** 2
        self._samples += before.size

    @property
    def psnr_db(self) -> float | None:
        if not self._samples:
            return None
        level = psnr_of_error(self._squares / self._samples)
        return None if math.isinf(level) else round(level, 2)


def _strength(job: MarkingJob, video: Video) -> Strength:
    """What the job says, or what samples of the video call for."""
    info = video.info
    layers = len(job.streams)
    if job.strength_db is not None:
        return Strength(job.strength_db, layers)
    if info.is_still:
        return Strength(layers=layers)
    sampler = Sampler(info.duration_seconds, float(info.frame_rate), full_range=_marks_full_range(info))
    for window in video.windows():
        worker.tell(0.0)  # it is at work
        if sampler.see(window.luma, window.times.tolist()):
            break
    return chosen(sampler.samples(), job.streams[0], job.watermark_id, info.duration_seconds, layers)


def _marks_full_range(info: VideoInfo) -> bool:
    """Whether the luma that is marked runs from 0 to 255: that of RGB does, whatever the file says."""
    return info.full_range or is_rgb(info.pixel_format)


def _embedding(job: MarkingJob, info: VideoInfo, strength: Strength, meter: _Meter) -> LumaChange:
    """All layers, one after another; each gets its share of the strength, so that together they keep to it."""
    rate = float(info.frame_rate)
    layers = [
        PixelWatermark(stream, strength).embedder(
            info.width, info.height, rate, job.watermark_id, full_range=_marks_full_range(info)
        )
        for stream in job.streams
    ]

    def change(luma: np.ndarray, seconds: float, bit_depth: int) -> np.ndarray:
        marked = luma
        for layer in layers:
            marked = layer.mark(marked, seconds, bit_depth)
        meter.see(luma, marked, bit_depth)
        return marked

    return change


def _read_back(job: MarkingJob, progress: Callable[[float], None]) -> tuple[tuple[WatermarkEvidence, ...], bytes]:
    video = Video(job.target)
    info = video.info
    reader, prints = _SelfCheck(job, info), FingerprintCheck()
    prints.start(info)
    for window in video.windows():
        reader.see(window)
        prints.see(window)
        progress(min(1.0, float(window.times[-1]) / max(info.duration_seconds or 1.0, 1e-3)))
    sketch = prints.sketch()
    assert sketch is not None  # windows() yields at least one frame
    return reader.readings(), Fingerprint.of(sketch).to_bytes()


class _SelfCheck:
    """Reads stretch after stretch until all layers were read in one; if none will do, the whole file at once."""

    def __init__(self, job: MarkingJob, info: VideoInfo) -> None:
        self._job, self._info = job, info
        self._readings: tuple[WatermarkEvidence, ...] = ()
        self._done = not job.streams
        self._stretches = 0
        self._begin()

    def _begin(self) -> None:
        self._reader = PixelWatermarkCheck(self._job.streams, searches=False)
        self._reader.start(self._info)
        self._from: float | None = None

    def see(self, window: Window) -> None:
        """Take in the next frames."""
        if self._done:
            return
        self._from = float(window.times[0]) if self._from is None else self._from
        self._reader.see(window)
        if window.times[-1] - self._from >= SELF_CHECK_SECONDS:
            self._conclude()

    def readings(self) -> tuple[WatermarkEvidence, ...]:
        """Return one reading per layer, of the stretch that was read best."""
        if not self._done and self._from is not None:
            self._conclude()
        if not self._done and self._stretches > 1:
            for window in Video(self._job.target).windows():
                self._reader.see(window)
            self._conclude()
        return self._readings

    def _conclude(self) -> None:
        found = [row for row in self._reader.evidence() if row.watermark_id in (None, self._job.watermark_id)]
        self._readings = tuple(found) if len(_read(found)) >= len(_read(self._readings)) else self._readings
        self._done = len(_read(found)) == len(self._job.streams)
        self._stretches += 1
        self._begin()


def _read(readings: Sequence[WatermarkEvidence]) -> set[str | None]:
    return {row.key for row in readings if row.watermark_id is not None}


def _refuse_unreadable(job: MarkingJob, readings: tuple[WatermarkEvidence, ...], rewritten: RewriteReport) -> None:
    missing = {stream.key_name for stream in job.streams} - _read(readings)
    if missing:
        raise CannotCarry(
            f"{job.source}: {rewritten.frames} frames of it do not carry an id that can be read back",
            hint="it is too short, too small or too flat; sign a longer stretch, or without watermark (--no-watermark)",
        )


__all__ = ["AskedSigner", "Look", "MarkedFile", "MarkingJob", "look", "mark", "refuse_too_small", "seal"]
