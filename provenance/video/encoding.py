"""Encoders: which one writes a codec, what its quality scale is called, and how a container is opened for writing."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

import av
import av.error
import cv2
from av.codec.context import Flags

from provenance.errors import CannotWrite, UnknownName, UsageError
from provenance.video.hdr import Mastering

os.environ.setdefault("SVT_LOG", "1")  # SVT-AV1 reads its log level from here alone; 1 is errors

_OPENCV_AVX512 = 256
"""OpenCV's number for AVX-512 as server processors have it (`CPU_AVX512_SKX` in its interface.h)."""
X264_SAFE = "asm=avx2" if cv2.checkHardwareSupport(_OPENCV_AVX512) else ""
"""Parameter of x264 for the same stream from the same frames, on x86 processors new and old.

Its AVX-512 code gives another stream than its older code does, and now and then two for the same frames; its code for
SSSE3 to AVX2 agrees with itself.
"""

BT709 = 1  # the code point of BT.709 in ITU-T H.273, tables 2, 3 and 4
BT601 = 6  # SMPTE 170M, which has the matrix of BT.601
LIMITED_RANGE = 1
FULL_RANGE = 2

ENCODER_OF = MappingProxyType(
    {
        "h264": "libx264",
        "hevc": "libx265",
        "av1": "libsvtav1",
        "libdav1d": "libsvtav1",
        "vp8": "libvpx",
        "libvpx": "libvpx",
        "vp9": "libvpx-vp9",
        "libvpx-vp9": "libvpx-vp9",
        "mpeg4": "mpeg4",
        "mpeg2video": "mpeg2video",
        "mjpeg": "mjpeg",
        "prores": "prores_ks",
        "ffv1": "ffv1",
        "huffyuv": "huffyuv",
        "utvideo": "utvideo",
        "png": "png",
        "gif": "gif",
        "webp": "libwebp",
        "tiff": "tiff",
        "rawvideo": "rawvideo",
        "dnxhd": "dnxhd",
        "bmp": "bmp",
    }
)
"""Codec as a container names it -> the encoder that writes it."""

_SHORT_NAMES = {"x264": "libx264", "x265": "libx265", "av1": "libsvtav1", "vp8": "libvpx", "vp9": "libvpx-vp9"}
_SPEED = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")
_SVT_PRESET = (12, 11, 10, 9, 8, 7, 5, 4, 3)
_VPX_SPEED = (8, 8, 7, 6, 5, 4, 2, 1, 0)
_NEAR_INPUT = MappingProxyType(
    {"libx264": 17, "libx265": 19, "libsvtav1": 22, "libvpx": 8, "libvpx-vp9": 20, "mpeg4": 2, "mpeg2video": 2}
)
"""Quality that keeps a re-encode near its input, on each encoder's own scale."""
SCALED = frozenset({*_NEAR_INPUT, "libx264rgb", "mjpeg", "libwebp"})
"""Encoders whose quality can be chosen by one number."""


@dataclass(frozen=True)
class Encoding:
    """How frames are encoded.

    codec: an encoder (`libx264`, `libx265`, `libsvtav1`, `libvpx-vp9`, …) or a codec (`h264`, `x265`, `av1`, …); None
        is the input's own, which a rewrite settles when it has seen the input.
    crf: constant quality on the encoder's own scale, lower is better; None takes one that keeps quality near the input.
    preset: speed as x264 names it, `ultrafast` to `veryslow`; translated for the other encoders.
    pixel_format: None keeps the source's, or the nearest that the encoder takes.
    options: further private options of the encoder, as FFmpeg names them.
    """

    codec: str | None = "libx264"
    crf: float | None = None
    preset: str = "medium"
    pixel_format: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.codec is not None and self.encoder not in av.codecs_available:
            raise UnknownName("encoder", self.codec, [*sorted(set(ENCODER_OF.values())), *_SHORT_NAMES])
        if self.preset not in _SPEED:
            raise UnknownName("preset", self.preset, _SPEED)
        if self.crf is not None and not 0 <= self.crf <= 63:
            raise UsageError(
                f"a quality of {self.crf:g} is out of range", hint="crf runs from 0 (best) to 51 or 63 (worst)"
            )
        if self.crf is not None and self.codec is not None and self.encoder not in SCALED:
            raise UsageError(f"{self.encoder} has no such scale of quality", hint="leave --crf out")

    @property
    def encoder(self) -> str:
        """The name of the encoder. ValueError where the codec is the input's own."""
        if self.codec is None:
            raise ValueError("the codec of the input is not known yet")
        return _SHORT_NAMES.get(self.codec, ENCODER_OF.get(self.codec, self.codec))

    @property
    def quality(self) -> float | None:
        """The quality asked for, or the one that stays near the input; None for encoders without such a scale."""
        return self.crf if self.crf is not None else _NEAR_INPUT.get(self.encoder)

    def encoder_options(self) -> dict[str, str]:
        """Return FFmpeg's options for the encoder."""
        return {**_quality_options(self.encoder, self.quality, _SPEED.index(self.preset)), **self.options}


def _quality_options(encoder: str, quality: float | None, speed: int) -> dict[str, str]:
    crf = f"{quality:g}" if quality is not None else "0"
    if encoder in ("libx264", "libx264rgb"):
        return {"crf": crf, "preset": _SPEED[speed], **({"x264-params": X264_SAFE} if X264_SAFE else {})}
    if encoder == "libx265":
        return {"crf": crf, "preset": _SPEED[speed], "x265-params": "log-level=none"}
    if encoder == "libsvtav1":
        return {"crf": crf, "preset": str(_SVT_PRESET[speed])}
    if encoder in ("libvpx", "libvpx-vp9"):
        rate = {"b": "0"} if encoder == "libvpx-vp9" else {"b": "20M"}
        return {"crf": crf, "deadline": "good", "cpu-used": str(min(_VPX_SPEED[speed], 5)), **rate}
    if encoder in ("mpeg4", "mpeg2video", "mjpeg"):
        step = str(max(2, min(31, round(quality if quality is not None else 2))))
        return (
            {"qmin": step, "qmax": step, "b": "200M", "maxrate": "0"}
            if encoder != "mjpeg"
            else {"qmin": step, "qmax": step}
        )
    if encoder == "libwebp":
        return {"lossless": "0", "quality": "95"} if quality is None else {"quality": f"{max(0.0, 100 - quality):g}"}
    return {}


_H264 = {"Baseline": "baseline", "Constrained Baseline": "baseline", "Main": "main"}
"""Profiles that older players are content with; the others follow from the samples (ITU-T H.264, annex A)."""
_PRORES = {"Proxy": "proxy", "LT": "lt", "Standard": "standard", "HQ": "hq", "4444": "4444", "XQ": "4444xq"}


def same_profile(encoder: str, profile: str | None) -> dict[str, str]:
    """Options that make an encoder write the input's profile, where the samples do not settle it."""
    if encoder == "libx264" and profile in _H264:
        return {"profile": _H264[profile]}
    if encoder == "prores_ks" and profile in _PRORES:
        return {"profile": _PRORES[profile]}
    if encoder == "mpeg4" and profile == "Advanced Simple Profile":
        return {"bf": "2"}  # what makes it one
    if encoder == "dnxhd" and profile is not None and profile.startswith("DNXHR "):
        return {"profile": profile.lower().replace(" ", "_")}
    return {}


def stating(encoding: Encoding, mastering: Mastering | None) -> Encoding:
    """The same encoding, which states what HDR films state, where its encoder can."""
    more = mastering.options(encoding.encoder) if mastering is not None else ""
    if not more:
        return encoding
    name = {"libx264": "x264-params", "libx265": "x265-params"}.get(encoding.encoder, "svtav1-params")
    stated = [part for part in (encoding.encoder_options().get(name), more) if part]
    return replace(encoding, options={**encoding.options, name: ":".join(stated)})


@contextlib.contextmanager
def created(path: Path | BinaryIO, **options: Any) -> Iterator[av.container.OutputContainer]:
    """Open a container for writing; whatever FFmpeg says against it becomes CannotWrite with one clear line."""
    name = path if isinstance(path, Path) else "the clip in memory"
    try:
        container = av.open(str(path) if isinstance(path, Path) else path, "w", **options)
    except ValueError as error:
        raise CannotWrite(f"{name}: no container has this suffix", hint="use .mp4, .mov, .mkv or .webm") from error
    except av.error.FFmpegError as error:
        raise _unwritable(name, error) from error
    try:
        with container:
            yield container
    except av.error.FFmpegError as error:
        raise _unwritable(name, error) from error


def _unwritable(name: object, error: av.error.FFmpegError) -> CannotWrite:
    reason = (error.strerror or str(error)).lower()
    return CannotWrite(
        f"{name}: cannot be written ({reason})", hint="is the folder yours to write, and the disk not full?"
    )


_MUXERS = MappingProxyType(
    {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm", ".avi": "avi", ".gif": "gif"}
)


@contextlib.contextmanager
def rehearsed(
    path: Path, target: BinaryIO | None = None, options: Mapping[str, str] | None = None
) -> Iterator[av.container.OutputContainer | None]:
    """Open a container in memory, of the kind that the suffix names, to try what it holds; None for other kinds.

    target: where it is written, if anybody wants to read it. options: of the muxer.
    """
    muxer = _MUXERS.get(path.suffix.lower())
    if muxer is None:
        yield None
        return
    with av.open(target or io.BytesIO(), "w", format=muxer, container_options=dict(options or {})) as container:
        yield container


def holds(path: Path, encoder: str) -> bool:
    """Whether a container, named by its suffix, holds what an encoder writes; True where that is not known."""
    with rehearsed(path) as container:
        if container is None:
            return True
        try:
            container.add_mux_stream(encoder)
        except ValueError:
            return False
        return True


def usual_encoder(path: Path) -> str:
    """The encoder that players of a container expect."""
    return {".webm": "libvpx-vp9", ".gif": "gif", ".avi": "mpeg4"}.get(path.suffix.lower(), "libx264")


def add_video(
    container: av.container.OutputContainer,
    encoding: Encoding,
    width: int,
    height: int,
    pixel_format: str,
    frame_rate: Fraction,
    time_base: Fraction,
) -> av.video.stream.VideoStream:
    """Add a video stream whose frames bring their own timestamps in units of `time_base`.

    Raises CannotWrite where the container does not hold the codec, or the encoder not this size.
    """
    if pixel_format_subsampled(pixel_format) and (width % 2 or height % 2) and encoding.encoder in EVEN_ONLY:
        raise CannotWrite(
            f"{encoding.encoder} cannot write {width}x{height} in {pixel_format}: it needs even sides",
            hint="crop one line or column, or choose --codec libvpx-vp9",
        )
    if encoding.encoder == "libx265" and max(width, height) < 64:  # below one coding tree unit it corrupts its memory
        raise CannotWrite(
            f"libx265 cannot write pictures as small as {width}x{height}", hint="one side must have at least 64 pixels"
        )
    stream: Any
    try:
        stream = container.add_stream(encoding.encoder, rate=frame_rate, options=encoding.encoder_options())
    except ValueError as error:
        raise CannotWrite(
            f"{container.name}: a {container.format.name} file cannot hold {encoding.encoder} video",
            hint="choose another suffix (.mkv holds nearly everything) or another --codec",
        ) from error
    stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
    context = stream.codec_context
    context.time_base = time_base
    context.flags |= Flags.frame_duration
    stream.time_base = time_base
    context.thread_count, context.thread_type = 0, "AUTO"  # slices, which are PyAV's default, cost a tenth of the bits
    return stream


def open_encoder(stream: av.video.stream.VideoStream) -> None:
    """Open a stream's encoder once all is set, and leave the process scheduled as it was.

    Run by an administrator, SVT-AV1 makes the thread that opens it, and its own, real-time threads of the highest
    priority: all else on the machine would wait for them, and whatever this process does afterwards.
    """
    if not hasattr(os, "sched_getscheduler") or stream.codec_context.name != "libsvtav1":
        stream.codec_context.open()
        return
    before, priority = os.sched_getscheduler(0), os.sched_getparam(0)
    stream.codec_context.open()
    for thread in Path("/proc/self/task").glob("*"):
        with contextlib.suppress(OSError):  # it may have ended meanwhile
            if os.sched_getscheduler(int(thread.name)) in (os.SCHED_FIFO, os.SCHED_RR):
                os.sched_setscheduler(int(thread.name), before, priority)


EVEN_ONLY = frozenset({"libx264", "libx265", "libsvtav1"})
"""Encoders that need even sides where chroma is subsampled."""


def pixel_format_subsampled(name: str) -> bool:
    """Whether chroma of a pixel format has fewer samples than luma across a line."""
    kind = av.VideoFormat(name, 2, 2)
    return any(kind.chroma_width(2) < 2 for component in kind.components if not component.is_luma)


def encoder_time_base(encoder: str, time_base: Fraction, frame_rate: Fraction) -> Fraction:
    """Return the units of time that an encoder takes: the container's own, where it can.

    MPEG-4 part 2 counts time in 16 bits (ISO/IEC 14496-2, vop_time_increment_resolution), MPEG-1 and -2 in frames.
    """
    if encoder in ("mpeg2video", "mpeg1video") or (encoder == "mpeg4" and time_base.denominator > 65535):
        return 1 / frame_rate
    return time_base
