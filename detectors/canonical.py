"""The canonical view: every clip shown to the detectors at one size, one pace and through one codec.

Files tell their origin by accident: generators and camera collections differ in frame rate, size, container and bit
rate. A detector that sees native pixels learns those. So each clip is brought to sixteen frames at about eight a
second (an integer stride, never uneven or duplicated frames), black bars trimmed, a tenth cropped on every side
(logos, subtitles), the centre square averaged down to 192 pixels, and encoded once more with one setting of x264.
From these pixels the native height can hardly be read any more (AUC .52 where native tiles give .59).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

import av
import cv2
import numpy as np
from av.video.codeccontext import VideoCodecContext
from numpy.typing import NDArray

from provenance.video.encoding import X264_SAFE

FRAMES = 16
"""Frames in a canonical view."""
SIDE = 192
"""Height and width of a canonical view, pixels."""
PACE_HZ = 8
"""Frame rate that the integer stride aims at."""
CROP = 0.1
"""Share of height and width cut from each side, after black bars."""
BAR_LUMA = 24
"""A row or column whose 98th percentile stays below this 8-bit luma in every frame is a black bar."""
RATE_DOUBT = 1.5
"""A stated frame rate that is wrong by more than this factor is not used."""
SMALLEST_SQUARE = 112
"""Native side of the centre square, pixels, under which a clip is too small to be shown at all."""
FULL_SQUARE = 160
"""Native side of the centre square, pixels, under which enlarging it leaves too little to decide on."""


class SeenFrames(Protocol):
    """What a canonical view needs of a window of frames (`provenance.video.Window` satisfies it)."""

    @property
    def times(self) -> NDArray[np.float64]:
        """(time,) seconds."""
        ...

    @property
    def luma(self) -> NDArray[np.uint8]:
        """(time, height, width) 8-bit luma."""
        ...

    @property
    def rgb(self) -> NDArray[np.uint8]:
        """(time, height, width, 3) 8-bit RGB."""
        ...


@dataclass(frozen=True)
class CanonicalFrames:
    """Sixteen frames of one clip as every feature sees them."""

    rgb: NDArray[np.uint8]
    """(16, 192, 192, 3) RGB after the canonical encoding."""
    stream: bytes
    """The same frames as the H.264 stream they were decoded from (about 50 kB)."""
    start_seconds: float
    """Time of the first frame in the clip."""
    end_seconds: float
    """Time of the last frame in the clip."""
    square_pixels: int
    """Native side of the centre square that was averaged down (below 192 it was enlarged)."""

    def __post_init__(self) -> None:
        if self.rgb.shape != (FRAMES, SIDE, SIDE, 3) or self.rgb.dtype != np.uint8:
            raise ValueError(f"canonical frames are uint8 {(FRAMES, SIDE, SIDE, 3)}, not {self.rgb.shape}")

    @classmethod
    def of(cls, stream: bytes, start_seconds: float, end_seconds: float, square_pixels: int) -> CanonicalFrames:
        """The view that a stream made by `coded` holds."""
        return cls(decoded(stream), stream, start_seconds, end_seconds, square_pixels)

    @property
    def luma(self) -> NDArray[np.float32]:
        """(16, 192, 192) BT.601 luma, 0 to 255."""
        return self.rgb.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True)
class Box:
    """A square of a native frame, in pixels."""

    top: int
    left: int
    side: int

    def of(self, image: NDArray[Any]) -> NDArray[Any]:
        """That part of an image (height, width, …)."""
        return image[self.top : self.top + self.side, self.left : self.left + self.side]


def lit_span(profile: NDArray[np.floating[Any]]) -> tuple[int, int]:
    """First and one past the last line of a brightness profile that is not a black bar; (0, 0) if all is black."""
    lit = np.flatnonzero(profile >= BAR_LUMA)
    return (int(lit[0]), int(lit[-1]) + 1) if len(lit) else (0, 0)


def centre_box(luma: NDArray[np.uint8]) -> Box | None:
    """The square that is kept of frames (time, height, width): bars and a tenth per side off; None if all black."""
    brightest = luma.max(axis=0)
    top, bottom = lit_span(np.percentile(brightest, 98, axis=1))
    if bottom == top:
        return None
    left, right = lit_span(np.percentile(brightest[top:bottom], 98, axis=0))
    if right == left:
        return None
    height, width = bottom - top, right - left
    side = int(min(height, width) - 2 * round(CROP * min(height, width)))
    return Box(top + (height - side) // 2, left + (width - side) // 2, side) if side > 0 else None


def scaled_square(image: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    """The box of one RGB frame as (192, 192, 3): averaged down, or enlarged where the clip is smaller."""
    method = cv2.INTER_AREA if box.side >= SIDE else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(np.ascontiguousarray(box.of(image)), (SIDE, SIDE), interpolation=method), np.uint8)


def coded(frames: NDArray[np.uint8]) -> bytes:
    """Frames (time, height, width, 3) as an H.264 stream: x264 preset medium, CRF 23, closed groups of 16."""
    _, height, width, _ = frames.shape
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, PACE_HZ), Fraction(PACE_HZ)
    encoder.thread_count = 1
    encoder.options = {
        "preset": "medium",
        "crf": "23",
        "g": "16",
        "x264-params": f"scenecut=0:threads=1:{X264_SAFE}".rstrip(":"),
    }
    packets = []
    for number, image in enumerate(frames):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        frame.pts, frame.time_base = number, Fraction(1, PACE_HZ)
        packets += encoder.encode(frame)
    return b"".join(bytes(packet) for packet in [*packets, *encoder.encode(None)])


def decoded(stream: bytes) -> NDArray[np.uint8]:
    """The frames (time, height, width, 3) of a stream that `coded` made."""
    decoder = av.CodecContext.create("h264", "r")
    assert isinstance(decoder, VideoCodecContext)
    decoder.thread_count = 1
    packets = [*decoder.parse(stream), *decoder.parse(b"")]
    frames = [frame for packet in packets for frame in decoder.decode(packet)] + decoder.decode(None)
    return np.stack([frame.to_ndarray(format="rgb24") for frame in frames])


class CanonicalView:
    """Collects the canonical views of a clip while its windows stream by.

    At most `views` stretches of sixteen frames are kept (two seconds each at the usual rates), already scaled, so
    memory stays below 30 MB for any clip. A view starts with the first window that is not wholly black.
    """

    def __init__(self, frame_rate: float, frame_count: int | None = None, views: int = 2) -> None:
        """`frame_rate` in Hz and `frame_count` as the container states them (None where it does not)."""
        self._views = views
        self._frame_rate = frame_rate
        self._pace(frame_rate, frame_count)
        self._box: Box | None = None
        self._seen = 0
        self._squares: list[NDArray[np.uint8]] = []
        self._times: list[float] = []

    def _pace(self, frame_rate: float, frame_count: int | None) -> None:
        """Choose the stride; where it is not sure that there are frames enough, keep four times as many, or all."""
        self._stride = max(1, round(frame_rate / PACE_HZ))
        enough = frame_count is not None and frame_count > (FRAMES - 1) * self._stride
        self._every = self._stride if enough else max(1, self._stride // 4)
        self._wanted = self._views * FRAMES * (self._stride // self._every)

    def _distrust(self, times: NDArray[np.float64]) -> None:
        """Where the container's rate is far from the frames' own times, go by these."""
        if len(times) > 3:
            measured = 1 / max(float(np.median(np.diff(times))), 1e-3)
            if not 1 / RATE_DOUBT < self._frame_rate / measured < RATE_DOUBT:
                self._pace(measured, None)

    @property
    def frames_seen(self) -> int:
        """Frames of the clip that passed since its first lit window."""
        return self._seen

    @property
    def square_pixels(self) -> int:
        """Native side of the kept square; 0 while nothing but black was seen."""
        return self._box.side if self._box else 0

    def see(self, window: SeenFrames) -> bool:
        """Take what is needed of the next window; True when no further window is needed."""
        if self._box is None:
            self._box = centre_box(window.luma)
            self._distrust(window.times)
        if self._box is None:
            return False
        if self._box.side < SMALLEST_SQUARE:
            return True
        first = -self._seen % self._every
        for index in range(first, len(window.times), self._every):
            if len(self._squares) < self._wanted:
                self._squares.append(scaled_square(window.rgb[index], self._box))
                self._times.append(float(window.times[index]))
        self._seen += len(window.times)
        return len(self._squares) >= self._wanted

    def views(self) -> list[CanonicalFrames]:
        """The complete views collected so far, in order of time; a clip of fewer than sixteen frames has none."""
        stride = min(self._stride // self._every, (len(self._squares) - 1) // (FRAMES - 1))
        if stride < 1:
            return []
        squares, times = self._squares[::stride], self._times[::stride]
        starts = range(0, len(squares) - FRAMES + 1, FRAMES)
        return [self._view(squares[s : s + FRAMES], times[s : s + FRAMES]) for s in starts]

    def _view(self, squares: Sequence[NDArray[np.uint8]], times: Sequence[float]) -> CanonicalFrames:
        return CanonicalFrames.of(coded(np.stack(squares)), times[0], times[-1], self.square_pixels)
