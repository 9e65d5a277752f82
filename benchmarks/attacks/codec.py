"""Attacks by encoders, and the streaming encoder that stores frames which other attacks changed.

One thread each, so that an attack gives the same pictures on machines with different numbers of cores.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from benchmarks.attacks.attack import Attack, Range
from provenance.video import Clip
from provenance.video.encoding import BT709, LIMITED_RANGE, Encoding, add_video, created
from provenance.video.transform import roundtrip

TIME_BASE = Fraction(1, 90000)  # the clock of MPEG systems (ISO/IEC 13818-1, 2.4.2.1)
PIXEL_FORMAT = "yuv420p"
STORE_CRF = 18
STORE_PRESET = "veryfast"
_ONE_THREAD = {"threads": "1"}
_OPTIONS = {
    "x265": {"x265-params": "log-level=none:pools=1:frame-threads=1"},
    "av1": {"svtav1-params": "lp=1"},
    "vp9": {"deadline": "good", "cpu-used": "4"},
}
_PRESETS = {"av1": "faster"}

CODEC: dict[str, Attack] = {
    "strip": Attack("drop all metadata and credentials, copy the streams"),
    "x264": Attack("encode as H.264", Range("the CRF", 0, 51, default=23, whole=True), encoder="x264"),
    "x265": Attack("encode as HEVC", Range("the CRF", 0, 51, default=28, whole=True), encoder="x265"),
    "vp9": Attack("encode as VP9", Range("the CRF", 0, 63, default=31, whole=True), encoder="vp9"),
    "av1": Attack("encode as AV1", Range("the CRF", 1, 63, default=35, whole=True), encoder="av1"),
}


def encoding(encoder: str, crf: int, pixel_format: str | None = None, *, preset: str | None = None) -> Encoding:
    """Return the encoder's settings as all attacks use them: preset medium (AV1: faster), one thread."""
    options = {**_ONE_THREAD, **_OPTIONS.get(encoder, {})}
    return Encoding(encoder, crf, preset or _PRESETS.get(encoder, "medium"), pixel_format, options)


def storing() -> Encoding:
    """Return how frames are stored that an attack changed and no encoder of its chain stores: H.264 at CRF 18."""
    return encoding("x264", STORE_CRF, PIXEL_FORMAT, preset=STORE_PRESET)


def through_codec(clip: Clip, encoder: str, crf: int) -> Clip:
    """Encode and decode a clip in memory; frames and times come back, as RGB of what the encoder left."""
    settings = encoding(encoder, crf)
    return roundtrip(clip, settings.encoder, crf, settings.preset, options=settings.options)


def store(clips: Iterable[Clip], target: Path, settings: Encoding, rate: Fraction) -> None:
    """Encode clips as they come, all of one size, as limited-range BT.709; memory does not grow with their number.

    `rate` (frames per second) steers rate control only: frames keep their own times. CannotWrite when the container
    cannot hold the codec or the disk refuses.
    """
    stream: av.video.stream.VideoStream | None = None
    with created(target) as container:
        for frame in _coded(clips):
            if stream is None:
                stream = add_video(container, settings, frame.width, frame.height, PIXEL_FORMAT, rate, TIME_BASE)
                context = stream.codec_context
                context.thread_count = 1
                context.colorspace = context.color_primaries = context.color_trc = BT709
                context.color_range = LIMITED_RANGE
            container.mux(stream.encode(frame))
        if stream is not None:
            container.mux(stream.encode(None))


def _coded(clips: Iterable[Clip]) -> Iterator[av.VideoFrame]:
    for clip in clips:
        height, width = clip.height // 2 * 2, clip.width // 2 * 2  # 4:2:0 has no odd sides
        for pixels, seconds in zip(clip.frames, clip.times, strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels[:height, :width]), format="rgb24")
            frame = frame.reformat(format=PIXEL_FORMAT, dst_colorspace="ITU709", dst_color_range="MPEG")
            frame.pts, frame.time_base = round(float(seconds) / TIME_BASE), TIME_BASE
            yield frame
