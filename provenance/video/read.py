"""Videos on disk, opened lazily: frames come as a stream of windows, and memory does not grow with length."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from provenance.errors import CannotRead
from provenance.video.clip import Clip, Window, luma_of
from provenance.video.clock import FrameClock
from provenance.video.container import (
    VideoInfo,
    decoded,
    describe,
    frame_rate_of,
    is_full_range,
    main_video,
    opened,
    skip_others,
)

UNSPECIFIED = 2  # ITU-T H.273, table 4
WINDOW_PIXELS = 16 * 1920 * 1080  # a window holds at most this many pixels, and at least one frame


class Video:
    """A file on disk. Opening it reads the container; frames are decoded when `windows` or `read` ask for them."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    def __repr__(self) -> str:
        return f"Video({str(self.path)!r})"

    @cached_property
    def info(self) -> VideoInfo:
        """What the container says; CannotRead when it is no video."""
        with opened(self.path) as container:
            return describe(self.path, container)

    def windows(self, frames_per_window: int = 16, start_seconds: float = 0.0) -> Iterator[Window]:
        """Decode from `start_seconds` on and yield windows of consecutive frames; large frames make shorter windows.

        A file that breaks off is read up to the break. CannotRead when not even one frame can be decoded.
        """
        info = self.info
        size = max(1, min(frames_per_window, WINDOW_PIXELS // (info.width * info.height)))
        batch: list[av.VideoFrame] = []
        times: list[float] = []
        index = 0
        for frame, seconds in self._frames(start_seconds):
            batch.append(frame)
            times.append(seconds)
            if len(batch) == size:
                yield _window(batch, times, index, info)
                index += len(batch)
                batch, times = [], []
        if batch:
            yield _window(batch, times, index, info)
        elif index == 0:
            raise CannotRead(f"{self.path}: no frame of it can be decoded", hint="is the file complete?")

    def read(self, start_seconds: float = 0.0, seconds: float | None = None) -> Clip:
        """Return a stretch of the video in memory."""
        parts: list[Clip] = []
        for window in self.windows(start_seconds=start_seconds):
            keep = window.times < start_seconds + seconds if seconds is not None else np.ones(len(window), bool)
            if keep.any():
                parts.append(window.clip().select(keep))
            if not keep.all():
                break
        if not parts:
            raise CannotRead(f"{self.path}: ends before {start_seconds:.2f} s", hint="name an earlier start")
        return Clip(np.concatenate([part.frames for part in parts]), np.concatenate([part.times for part in parts]))

    def _frames(self, start_seconds: float) -> Iterator[tuple[av.VideoFrame, float]]:
        """Yield decoded frames with their time in seconds from the first frame, strictly increasing."""
        with opened(self.path) as container:
            stream = main_video(container)
            skip_others(container, stream)
            stream.thread_type = "AUTO"
            clock = FrameClock(frame_rate_of(stream))
            last = -1.0
            for frame in decoded(container, stream):
                clock.moment(frame)
                last = max(float(clock.seconds), last + 1e-6) if last >= 0 else 0.0
                if last >= start_seconds - 1e-9:
                    yield frame, last


def _window(batch: list[av.VideoFrame], times: list[float], index: int, info: VideoInfo) -> Window:
    def luma() -> np.ndarray:
        return np.stack([info.orientation.shown(_fitted(plane_luma(frame), info)) for frame in batch])

    def rgb() -> np.ndarray:
        frames = (plane_rgb(frame) for frame in batch)
        return np.stack([info.orientation.shown(_fitted(frame, info)) for frame in frames])

    return Window(np.array(times), luma, rgb, index)


def plane_luma(frame: av.VideoFrame) -> np.ndarray:
    """Return the luma of a decoded frame: uint8 (height, width), full range, coded orientation."""
    name = frame.format.name
    if name.startswith("yuv") and not name.startswith("yuyv"):
        depth = frame.format.components[0].bits
        samples = luma_plane(frame)
        return cv2.LUT(
            np.ascontiguousarray(samples >> (depth - 8)).astype(np.uint8, copy=False),
            _range_table(is_full_range(frame)),
        )
    return luma_of(frame.to_ndarray(format="rgb24"))


def luma_plane(frame: av.VideoFrame) -> np.ndarray:
    """View the Y plane of a frame: uint8 or uint16 (height, width), coded orientation, writable if the frame is."""
    deep = frame.format.components[0].bits > 8
    kind = np.dtype(np.uint8) if not deep else np.dtype(">u2" if frame.format.name.endswith("be") else "<u2")
    plane: Any = frame.planes[0]
    row = plane.line_size // kind.itemsize
    return np.frombuffer(plane, kind)[: row * plane.height].reshape(plane.height, row)[:, : frame.width]


def plane_rgb(frame: av.VideoFrame) -> np.ndarray:
    """Return a decoded frame as uint8 (height, width, 3) RGB, coded orientation.

    Where the file does not say which matrix it uses, that of BT.709 is taken from 720 lines on, else that of BT.601, as
    players do.
    """
    untagged = int(frame.colorspace) == UNSPECIFIED and frame.format.name.startswith(("yuv", "nv", "p0"))
    if untagged and min(frame.width, frame.height) >= 720:
        return frame.to_ndarray(format="rgb24", src_colorspace="ITU709")
    return frame.to_ndarray(format="rgb24")


def _range_table(full_range: bool) -> np.ndarray:
    level = np.arange(256)
    stretched = level if full_range else np.clip(np.round((level - 16) * 255 / 219), 0, 255)  # BT.709-6, item 4.6
    return stretched.astype(np.uint8)


def _fitted(frame: np.ndarray, info: VideoInfo) -> np.ndarray:
    """Scale a frame whose size changed in mid-stream to the size that the first frame had."""
    width, height = info.orientation.coded_size(info.width, info.height)
    if frame.shape[:2] == (height, width):
        return frame
    return cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
