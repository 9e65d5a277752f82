"""Whole-file transformations: re-encode with scaling and cropping, strip, and round trips through a codec in memory."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from provenance.errors import UsageError
from provenance.files import refuse_same_file, written_beside
from provenance.video.clip import Clip
from provenance.video.encoding import Encoding
from provenance.video.orientation import AS_CODED
from provenance.video.read import Video
from provenance.video.rewrite import RewriteReport, copy_streams, states_rotation, transcode
from provenance.video.write import encoded


def reencode(
    path_in: Path | str,
    path_out: Path | str,
    codec: str = "libx264",
    crf: float | None = None,
    preset: str = "medium",
    *,
    scale: float | tuple[int, int] | None = None,
    crop: tuple[int, int, int, int] | None = None,
    pixel_format: str | None = None,
    options: Mapping[str, str] | None = None,
    metadata: bool = True,
    progress: Callable[[float], None] | None = None,
    force: bool = False,
) -> RewriteReport:
    """Decode and encode again; timestamps, rotation, colour tags and sound pass through, C2PA boxes stay behind.

    crop: (left, top, width, height) in pixels as a player shows them, applied first; chroma is cut at whole samples.
    scale: a factor, or (width, height) as shown; sides are rounded to even numbers.
    """
    path_in, path_out = Path(path_in), Path(path_out)
    refuse_same_file(path_in, path_out)
    video = Video(path_in)
    info = video.info
    orientation = info.orientation if states_rotation(path_out) else AS_CODED
    box = orientation.coded_box(_even_box(crop, info.width, info.height), info.width, info.height) if crop else None
    shown = (crop[2] // 2 * 2, crop[3] // 2 * 2) if crop else (info.width, info.height)
    size = _scaled(shown, scale)
    coded = orientation.coded_size(*size)
    encoding = Encoding(codec, crf, preset, pixel_format, options or {})
    change = _cropper_and_scaler(box, coded) if crop or scale else None
    with written_beside(path_out, force=force) as part:
        return transcode(
            video, part, encoding, change=change, size=coded if change else None, progress=progress, metadata=metadata
        )


def strip(path_in: Path | str, path_out: Path | str, *, force: bool = False) -> RewriteReport:
    """Copy the streams and nothing else: tags and the C2PA box are gone, pictures and sound stay bit for bit."""
    path_in, path_out = Path(path_in), Path(path_out)
    refuse_same_file(path_in, path_out)
    with written_beside(path_out, force=force) as part:
        return copy_streams(Video(path_in), part, metadata=False)


def roundtrip(
    clip: Clip,
    codec: str = "libx264",
    crf: float | None = 23,
    preset: str = "medium",
    *,
    pixel_format: str = "yuv420p",
    options: Mapping[str, str] | None = None,
) -> Clip:
    """Encode and decode a clip in memory; it keeps its times. Odd sides are padded for the encoder."""
    height, width = clip.height, clip.width
    padded = np.pad(clip.frames, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    encoding = Encoding(codec, crf, preset, pixel_format, options or {})
    container = "matroska" if encoding.encoder.startswith(("libvpx", "ffv1", "huffyuv", "utvideo")) else "mp4"
    data = encoded(Clip(padded, clip.times), container, encoding, pixel_format)
    source: Any
    with av.open(io.BytesIO(data)) as source:
        frames = [frame.to_ndarray(format="rgb24") for frame in source.decode(video=0)]
    frames = frames[: len(clip)]
    return Clip(np.stack(frames)[:, :height, :width], clip.times[: len(frames)])


def _scaled(shown: tuple[int, int], scale: float | tuple[int, int] | None) -> tuple[int, int]:
    if scale is None:
        return shown
    wanted = scale if isinstance(scale, tuple) else (shown[0] * scale, shown[1] * scale)
    width, height = (max(2, round(side / 2) * 2) for side in wanted)
    return width, height


def _even_box(crop: tuple[int, int, int, int], width: int, height: int) -> tuple[int, int, int, int]:
    """A box at even corners. Raises UsageError where it does not lie inside the picture."""
    left, top, wide, high = (value // 2 * 2 for value in crop)
    if left < 0 or top < 0 or wide < 2 or high < 2 or left + wide > width or top + high > height:
        raise UsageError(f"a crop of {crop} does not lie inside {width}x{height}", hint="left, top, width, height")
    return left, top, wide, high


def _cropper_and_scaler(
    box: tuple[int, int, int, int] | None, size: tuple[int, int]
) -> Callable[[av.VideoFrame, float], av.VideoFrame]:
    def changed(frame: av.VideoFrame, seconds: float) -> av.VideoFrame:
        cut = _cropped(_planar(frame), box) if box else frame
        if (cut.width, cut.height) == size:
            return cut
        return cut.reformat(width=size[0], height=size[1], interpolation="BICUBIC" if size[0] > cut.width else "AREA")

    return changed


def _planar(frame: av.VideoFrame) -> av.VideoFrame:
    name = frame.format.name
    if name.startswith(("yuv4", "yuvj", "gray", "gbr")):
        return frame
    return frame.reformat(format="yuv420p" if name.startswith("nv") else "gbrp")


def _cropped(frame: av.VideoFrame, box: tuple[int, int, int, int]) -> av.VideoFrame:
    """Cut a box out of a planar frame, plane by plane, so that nothing is converted."""
    left, top, width, height = box
    cut = av.VideoFrame(width, height, frame.format.name)
    source: Any
    target: Any
    for source, target in zip(frame.planes, cut.planes, strict=True):
        across, down = frame.width // source.width or 1, frame.height // source.height or 1
        row = source.line_size
        step = _sample_bytes(frame)
        lines = np.frombuffer(source, np.uint8).reshape(-1, row)
        kept = lines[top // down : top // down + target.height, left // across * step :][:, : target.width * step]
        into = np.frombuffer(target, np.uint8).reshape(-1, target.line_size)
        into[: target.height, : target.width * step] = kept
    for name in ("colorspace", "color_range", "color_trc", "color_primaries"):
        setattr(cut, name, getattr(frame, name))
    return cut


def _sample_bytes(frame: av.VideoFrame) -> int:
    return 2 if frame.format.components[0].bits > 8 else 1


def resized(clip: Clip, width: int, height: int) -> Clip:
    """Scale a clip in memory: area averaging down, bicubic up."""
    method = cv2.INTER_AREA if width < clip.width else cv2.INTER_CUBIC
    return Clip(
        np.stack([cv2.resize(frame, (width, height), interpolation=method) for frame in clip.frames]), clip.times
    )


__all__ = ["reencode", "resized", "roundtrip", "strip"]
