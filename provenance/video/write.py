"""Write clips from memory: videos and still pictures."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np
from PIL import Image

from provenance.errors import CannotWrite
from provenance.files import written_beside
from provenance.video.clip import Clip
from provenance.video.container import opened
from provenance.video.encoding import (
    BT601,
    BT709,
    FULL_RANGE,
    LIMITED_RANGE,
    Encoding,
    add_video,
    created,
    encoder_time_base,
    open_encoder,
)

_FINE_TIME_BASE = Fraction(1, 90000)  # the clock of MPEG systems (ISO/IEC 13818-1, 2.4.2.1)
_UNTAGGED = frozenset({"libvpx", "mpeg4", "mjpeg", "mpeg2video"})
"""Encoders whose streams do not say which matrix they use, so that players assume that of BT.601."""
_PICTURE_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    ".jpg": {"quality": 95, "subsampling": 0},
    ".jpeg": {"quality": 95, "subsampling": 0},
    ".webp": {"quality": 95},
    ".avif": {"quality": 90},
}


def write_clip(
    clip: Clip,
    path: Path | str,
    *,
    codec: str = "libx264",
    crf: float | None = 18,
    preset: str = "medium",
    frame_rate: Fraction | float | None = None,
    pixel_format: str = "yuv420p",
    options: Mapping[str, str] | None = None,
    audio_from: Path | None = None,
    force: bool = False,
) -> None:
    """Encode a clip into a file whose suffix names the container; colour is BT.709, limited range, and says so
    (the matrix is that of BT.601 in the older formats that cannot say so).

    frame_rate: frames per second; None keeps the clip's own times, rounded to 1/90000 s where they are uneven.
    audio_from: a file whose sound is copied packet for packet.
    Raises CannotWrite (folder, codec and container, odd sides), OutputExists without `force`.
    """
    path = Path(path)
    encoding = Encoding(codec, crf, preset, pixel_format, options or {})
    with written_beside(path, force=force) as part:
        _encode(clip, part, encoding, pixel_format, frame_rate, audio_from)


def encoded(
    clip: Clip, container: str = "mp4", encoding: Encoding | None = None, pixel_format: str = "yuv420p"
) -> bytes:
    """Return the bytes of a clip encoded in memory."""
    buffer = io.BytesIO()
    _encode(clip, buffer, encoding or Encoding(crf=18), pixel_format, None, None, container)
    return buffer.getvalue()


def write_still(picture: np.ndarray, path: Path | str, *, force: bool = False, **options: Any) -> None:
    """Write one picture, uint8 (height, width, 3) RGB, in the format that the suffix names."""
    path = Path(path)
    with written_beside(path, force=force) as part:
        try:
            Image.fromarray(picture).save(part, **{**_PICTURE_OPTIONS.get(path.suffix.lower(), {}), **options})
        except (ValueError, KeyError) as error:
            raise CannotWrite(
                f"{path}: no picture format has this suffix", hint="use .png, .jpg, .webp, .tif or .avif"
            ) from error


def _encode(
    clip: Clip,
    target: Path | BinaryIO,
    encoding: Encoding,
    pixel_format: str,
    frame_rate: Fraction | float | None,
    audio_from: Path | None,
    container_format: str | None = None,
) -> None:
    rate, time_base, stamps = _timing(clip, frame_rate)
    unit = encoder_time_base(encoding.encoder, time_base, rate)
    with created(target, format=container_format) as container:
        stream = add_video(container, encoding, clip.width, clip.height, pixel_format, rate, unit)
        full = pixel_format.startswith(("yuvj", "rgb", "bgr", "gbr"))
        matrix = BT601 if encoding.encoder in _UNTAGGED else BT709
        context = stream.codec_context
        context.color_primaries = context.color_trc = BT709
        context.color_range = FULL_RANGE if full else LIMITED_RANGE
        if not pixel_format.startswith(("rgb", "bgr", "gbr")):
            context.colorspace = matrix
        open_encoder(stream)
        audio = _Audio(container, audio_from) if audio_from is not None else None
        for frame, stamp in zip(_coloured(clip, pixel_format, matrix, full), stamps, strict=True):
            frame.pts, frame.time_base = round(stamp * time_base / unit), unit
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if audio is not None:
            audio.copy()


def _coloured(clip: Clip, pixel_format: str, matrix: int, full: bool) -> Iterator[av.VideoFrame]:
    space, levels = ("ITU709" if matrix == BT709 else "ITU601"), ("JPEG" if full else "MPEG")
    for picture in clip.frames:
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        if pixel_format.startswith(("rgb", "bgr", "gbr")):
            yield frame.reformat(format=pixel_format)
        else:
            yield frame.reformat(format=pixel_format, dst_colorspace=space, dst_color_range=levels)


def _timing(clip: Clip, frame_rate: Fraction | float | None) -> tuple[Fraction, Fraction, list[int]]:
    """Return rate, time base, and one timestamp per frame: counted frames where they are evenly spaced."""
    if frame_rate is not None:
        rate = Fraction(frame_rate).limit_denominator(1001)
        return rate, 1 / rate, list(range(len(clip)))
    rate = Fraction(clip.frames_per_second).limit_denominator(1001)
    from_start = clip.times - clip.times[0]
    if np.abs(from_start - np.arange(len(clip)) / float(rate)).max() < 0.05 / float(rate):
        return rate, 1 / rate, list(range(len(clip)))
    stamps = np.round(from_start * _FINE_TIME_BASE.denominator).astype(np.int64)
    return rate, _FINE_TIME_BASE, [int(stamp) for stamp in stamps]


class _Audio:
    """The sound of a file, on its way into another one, packet for packet."""

    def __init__(self, target: av.container.OutputContainer, source: Path) -> None:
        self._target = target
        self._source = source
        with opened(source) as container:
            self._streams = {
                stream.index: target.add_stream_from_template(stream) for stream in container.streams.audio
            }

    def copy(self) -> None:
        """Copy all packets; the muxer interleaves them."""
        with opened(self._source) as container:
            for packet in container.demux(*container.streams.audio):
                if packet.dts is not None:
                    packet.stream = self._streams[packet.stream.index]
                    self._target.mux(packet)


__all__ = ["encoded", "write_clip", "write_still"]
