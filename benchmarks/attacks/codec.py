"""Attacks by encoders, and the streaming encoder that stores frames which other attacks changed.

One thread each, so that an attack gives the same pictures on machines with different numbers of cores.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType

import av
import cv2
import numpy as np

from benchmarks.attacks.attack import Attack, FrameChange, Range, each_frame, planned_once
from provenance.video import Clip
from provenance.video.encoding import (
    BT601,
    BT709,
    FULL_RANGE,
    LIMITED_RANGE,
    Encoding,
    add_video,
    created,
    open_encoder,
)
from provenance.video.pixels import Indexer
from provenance.video.transform import roundtrip

TIME_BASE = Fraction(1, 90000)  # the clock of MPEG systems (ISO/IEC 13818-1, 2.4.2.1)
PIXEL_FORMAT = "yuv420p"
STORE_CRF = 18
STORE_PRESET = "veryfast"
_MPEG4_TIME_BASE = Fraction(1, 60000)  # 16 bits at most (ISO/IEC 14496-2, vop_time_increment_resolution)
_BT601_ENCODERS = frozenset({"mpeg4", "mjpeg"})
"""Encoders whose streams do not say which matrix they use, so that players assume that of BT.601."""


@dataclass(frozen=True)
class Encoder:
    """How attacks use an encoder. `is_rate`: their parameter is a mean bitrate in kb/s, not a quality."""

    codec: str
    preset: str = "medium"
    pixel_format: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    is_rate: bool = False


_X265 = {"x265-params": "log-level=none:pools=1:frame-threads=1"}
_VP9 = {"deadline": "good", "cpu-used": "4"}

ENCODERS: Mapping[str, Encoder] = MappingProxyType(
    {
        "x264": Encoder("x264"),
        "x264-veryfast": Encoder("x264", preset="veryfast"),
        "x264-rgb": Encoder("libx264rgb", pixel_format="rgb24"),
        "x264-rate": Encoder("x264", is_rate=True),
        "x265": Encoder("x265", options=_X265),
        "x265-10bit": Encoder("x265", pixel_format="yuv420p10le", options=_X265),
        "x265-rate": Encoder("x265", options=_X265, is_rate=True),
        "vp9": Encoder("vp9", options=_VP9),
        "vp9-rate": Encoder("vp9", options=_VP9, is_rate=True),
        "av1": Encoder("av1", preset="faster", options={"svtav1-params": "lp=1"}),
        "mpeg4": Encoder("mpeg4"),
        "mjpeg": Encoder("mjpeg", pixel_format="yuvj420p"),
    }
)


def jpeg(frame: np.ndarray, quality: float, random: np.random.Generator) -> np.ndarray:
    """Encode each frame as a JPEG picture, 4:2:0, and back."""
    picture = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
    coded = cv2.imencode(".jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, int(quality)))[1]
    decoded = cv2.imdecode(coded, cv2.IMREAD_COLOR)
    assert decoded is not None  # what was just encoded
    return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)


def gif(shape: tuple[int, int], value: float, random: np.random.Generator) -> FrameChange:
    """Encode with a palette of 256 colours, dithered, and back; GIF is lossless beyond that. Times stay as they are.

    The palette stays from frame to frame while it fits, as in the GIFs that Countermark writes.
    """
    indexer = Indexer(dithered=True)
    return lambda frame, seconds: indexer.indexed(
        av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
    ).to_ndarray(format="rgb24")


_CRF = Range("the CRF", 0, 51, default=23, whole=True)
_HEVC_CRF = Range("the CRF", 0, 51, default=28, whole=True)
_VP9_CRF = Range("the CRF", 0, 63, default=31, whole=True)
_QUANTISER = Range("the quantiser scale", 2, 31, default=5, whole=True)
_RATE = Range("the bitrate in kb/s", 10, 100000, default=1000)

CODEC: dict[str, Attack] = {
    "strip": Attack("drop all metadata and credentials, copy the streams"),
    "x264": Attack("encode as H.264", _CRF, encoder="x264"),
    "x264-veryfast": Attack("encode as H.264, preset veryfast", _CRF, encoder="x264-veryfast"),
    "x264-rgb": Attack("encode as H.264 in RGB", _CRF, encoder="x264-rgb"),
    "x264-rate": Attack("encode as H.264 at a mean bitrate", _RATE, encoder="x264-rate"),
    "x265": Attack("encode as HEVC", _HEVC_CRF, encoder="x265"),
    "x265-10bit": Attack("encode as HEVC with 10 bits", _HEVC_CRF, encoder="x265-10bit"),
    "x265-rate": Attack("encode as HEVC at a mean bitrate", _RATE, encoder="x265-rate"),
    "vp9": Attack("encode as VP9", _VP9_CRF, encoder="vp9"),
    "vp9-rate": Attack("encode as VP9 at a mean bitrate", _RATE, encoder="vp9-rate"),
    "av1": Attack("encode as AV1", Range("the CRF", 1, 63, default=35, whole=True), encoder="av1"),
    "mpeg4": Attack("encode as MPEG-4 part 2", _QUANTISER, encoder="mpeg4"),
    "mjpeg": Attack("encode as motion JPEG", _QUANTISER, encoder="mjpeg"),
    "jpeg": Attack("encode each frame as JPEG", Range("the quality", 1, 100, default=60, whole=True), each_frame(jpeg)),
    "gif": Attack("a palette of 256 colours, dithered", None, planned_once(gif)),
}


def encoding(name: str, value: float, pixel_format: str | None = None, *, preset: str | None = None) -> Encoding:
    """Return the settings of an encoder in `ENCODERS` as all attacks use them, on one thread.

    value: CRF, quantiser scale or kb/s. pixel_format: where the encoder has none of its own. preset: instead of its.
    """
    encoder = ENCODERS[name]
    options = {"threads": "1", **encoder.options}
    if encoder.is_rate:
        options |= {"crf": "-1", "b": f"{round(1000 * value)}"}  # one pass, average bitrate
    return Encoding(
        encoder.codec,
        None if encoder.is_rate else value,
        preset or encoder.preset,
        encoder.pixel_format or pixel_format,
        options,
    )


def storing() -> Encoding:
    """Return how frames are stored that an attack changed and no encoder of its chain stores: H.264 at CRF 18."""
    return encoding("x264", STORE_CRF, PIXEL_FORMAT, preset=STORE_PRESET)


def through_codec(clip: Clip, name: str, value: float) -> Clip:
    """Encode and decode a clip in memory; frames and times come back, as RGB of what the encoder left.

    MPEG-4 part 2 counts time too coarsely for uneven times: its frames are encoded at an even rate.
    """
    settings = encoding(name, value, PIXEL_FORMAT)
    even = Clip.at_rate(clip.frames, max(1, round(clip.frames_per_second))) if settings.encoder == "mpeg4" else clip
    coded = roundtrip(
        even,
        settings.encoder,
        settings.crf,
        settings.preset,
        pixel_format=settings.pixel_format or PIXEL_FORMAT,
        options=settings.options,
    )
    return Clip(coded.frames, clip.times[: len(coded)])


def store(clips: Iterable[Clip], target: Path, settings: Encoding, rate: Fraction) -> None:
    """Encode clips as they come, all of one size, as limited-range BT.709; memory does not grow with their number.

    `rate` (frames per second) steers rate control only: frames keep their own times. Older codecs, which cannot say
    otherwise, get the matrix of BT.601; RGB and motion JPEG have full range. CannotWrite when the container cannot
    hold the codec or the disk refuses.
    """
    pixel_format = settings.pixel_format or PIXEL_FORMAT
    unit = _MPEG4_TIME_BASE if settings.encoder == "mpeg4" else TIME_BASE
    stream: av.video.stream.VideoStream | None = None
    with created(target) as container:
        for frame in _coded(clips, settings.encoder, pixel_format, unit):
            if stream is None:
                stream = add_video(container, settings, frame.width, frame.height, pixel_format, rate, unit)
                context = stream.codec_context
                context.thread_count = 1
                context.color_primaries = context.color_trc = BT709
                context.color_range = FULL_RANGE if _is_full_range(pixel_format) else LIMITED_RANGE
                if not pixel_format.startswith("rgb"):
                    context.colorspace = BT601 if settings.encoder in _BT601_ENCODERS else BT709
                open_encoder(stream)
            container.mux(stream.encode(frame))
        if stream is not None:
            container.mux(stream.encode(None))


def _coded(clips: Iterable[Clip], encoder: str, pixel_format: str, unit: Fraction) -> Iterator[av.VideoFrame]:
    space = "ITU601" if encoder in _BT601_ENCODERS else "ITU709"
    levels = "JPEG" if _is_full_range(pixel_format) else "MPEG"
    for clip in clips:
        height, width = clip.height // 2 * 2, clip.width // 2 * 2  # 4:2:0 has no odd sides
        for pixels, seconds in zip(clip.frames, clip.times, strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels[:height, :width]), format="rgb24")
            if pixel_format != "rgb24":
                frame = frame.reformat(format=pixel_format, dst_colorspace=space, dst_color_range=levels)
            frame.pts, frame.time_base = round(float(seconds) / unit), unit
            yield frame


def _is_full_range(pixel_format: str) -> bool:
    return pixel_format.startswith(("rgb", "yuvj"))
