"""Attacks by encoders, and the stream encoder with which every attacked file is written.

Files are written with square pixels, upright, 4:2:0 at 8 bits, without sound and without any metadata. One thread by
default, so that the same attack gives the same bytes on machines with different numbers of cores.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np

from benchmarks.attacks.attack import Attack, CodecSetting, Range
from provenance.errors import CannotWrite
from provenance.video import Clip, Video
from provenance.video.container import opened

TICKS_PER_SECOND = 90000  # time base of what is written; 90 kHz holds every common frame rate exactly
PIXEL_FORMAT = "yuv420p"

X264 = CodecSetting("libx264", "medium")
X265 = CodecSetting("libx265", "medium", (("x265-params", "log-level=error"),))
VP9 = CodecSetting("libvpx-vp9", None, (("b", "0"), ("deadline", "good"), ("cpu-used", "4")))
AV1 = CodecSetting("libsvtav1", "8", (("svtav1-params", "lp=1"),))

CODEC: dict[str, Attack] = {
    "strip": Attack("drop all metadata and credentials, copy the streams"),
    "x264": Attack("encode as H.264", Range("the CRF", 0, 51, default=23, whole=True), codec=X264),
    "x265": Attack("encode as HEVC", Range("the CRF", 0, 51, default=28, whole=True), codec=X265),
    "vp9": Attack("encode as VP9", Range("the CRF", 0, 63, default=31, whole=True), codec=VP9),
    "av1": Attack("encode as AV1", Range("the CRF", 1, 63, default=35, whole=True), codec=AV1),
}


def roundtrip(clip: Clip, setting: CodecSetting, crf: int) -> Clip:
    """Encode and decode a clip in memory; frames and times come back, as RGB of what the encoder left."""
    buffer = io.BytesIO()
    encode(coded_frames([clip]), buffer, setting, crf, rate=_rate(clip), container_format="matroska")
    buffer.seek(0)
    with av.open(buffer) as container:
        frames = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
    return Clip(frames, clip.times)


def coded_frames(clips: Iterable[Clip]) -> Iterator[av.VideoFrame]:
    """Yield the frames of clips as limited-range BT.709 4:2:0 with their times; odd sides lose their last line."""
    for clip in clips:
        height, width = clip.height // 2 * 2, clip.width // 2 * 2
        for pixels, seconds in zip(clip.frames, clip.times, strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels[:height, :width]), format="rgb24")
            yield _stamped(
                frame.reformat(format=PIXEL_FORMAT, dst_colorspace="ITU709", dst_color_range="MPEG"), float(seconds)
            )


def decoded_frames(path: Path) -> Iterator[av.VideoFrame]:
    """Yield the frames of a file as 4:2:0 without a detour through RGB, with times from zero on.

    Rotated files come upright, through RGB, since the rotation is metadata that an attacked file no longer has.
    """
    video = Video(path)
    if video.info.rotation_degrees or video.info.width % 2 or video.info.height % 2:
        yield from coded_frames(window.clip() for window in video.windows())
        return
    for frame, seconds in video._frames(0.0):
        yield _stamped(frame.reformat(format=PIXEL_FORMAT), seconds)


def encode(
    frames: Iterable[av.VideoFrame],
    target: Path | io.BytesIO,
    setting: CodecSetting,
    crf: int,
    *,
    rate: Fraction,
    container_format: str | None = None,
    threads: int = 1,
) -> None:
    """Encode frames as they come, which all have one size, and write them to `target`; memory does not grow.

    `rate` (frames per second) steers rate control only: frames keep their own times. CannotWrite when the container
    cannot hold the codec or the disk refuses.
    """
    name = target if isinstance(target, io.BytesIO) else str(target)
    try:
        with av.open(name, "w", format=container_format) as container:
            stream: Any = None
            for frame in frames:
                if stream is None:
                    stream = _stream(container, frame, setting, crf, rate, threads)
                container.mux(stream.encode(frame))
            if stream is not None:
                container.mux(stream.encode(None))
    except (av.error.FFmpegError, ValueError) as error:
        raise CannotWrite(
            f"{target if isinstance(target, Path) else 'clip'}: cannot be encoded with {setting.encoder} ({error})",
            hint="name an output that ends in .mp4 or .mkv, and check the disk",
        ) from error


def _stream(
    container: av.container.OutputContainer,
    frame: av.VideoFrame,
    setting: CodecSetting,
    crf: int,
    rate: Fraction,
    threads: int,
) -> Any:
    options = {"crf": str(crf), **dict(setting.options)} | ({"preset": setting.preset} if setting.preset else {})
    stream = container.add_stream(setting.encoder, rate=rate, options=options)
    stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, PIXEL_FORMAT
    stream.codec_context.time_base = Fraction(1, TICKS_PER_SECOND)
    stream.codec_context.thread_count = threads
    for tag in ("colorspace", "color_primaries", "color_trc", "color_range"):
        setattr(stream.codec_context, tag, int(getattr(frame, tag)))
    return stream


def _stamped(frame: av.VideoFrame, seconds: float) -> av.VideoFrame:
    frame.pts = round(seconds * TICKS_PER_SECOND)
    frame.time_base = Fraction(1, TICKS_PER_SECOND)
    frame.pict_type = 0  # let the encoder choose, instead of repeating the input's structure
    return frame


def _rate(clip: Clip) -> Fraction:
    return Fraction(clip.frames_per_second).limit_denominator(1001)


def remux(source: Path, target: Path) -> None:
    """Copy the streams bit for bit into a new container without metadata, chapters or C2PA boxes."""
    with opened(source) as reader, av.open(str(target), "w") as writer:
        kept = {}
        for stream in reader.streams:
            if stream.type in ("video", "audio", "subtitle"):
                kept[stream.index] = writer.add_stream_from_template(stream)
                kept[stream.index].metadata.clear()
        for packet in reader.demux(list(reader.streams.get(list(kept)))):
            if packet.dts is None:
                continue
            packet.stream = kept[packet.stream.index]
            writer.mux(packet)
