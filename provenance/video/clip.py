"""Frames in memory: `Clip`, and `Window`, the stretch of decoded frames that all checks see."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from provenance.threads import in_threads

LUMA_WEIGHTS = (0.2126, 0.7152, 0.0722)  # ITU-R BT.709-6, item 3.2
_WEIGHING = np.array([[*(round(weight * 65536) for weight in LUMA_WEIGHTS), 32768]], dtype=np.float32)


def luma_of(frames: np.ndarray) -> np.ndarray:
    """Return the luma of RGB frames: uint8 (..., height, width, 3) -> uint8 (..., height, width), full range."""
    height, width = frames.shape[-3:-1]
    flat = frames.reshape(-1, height, width, 3)
    luma = np.empty(flat.shape[:-1], dtype=np.uint8)

    def convert(index: int) -> None:
        weighed = cv2.transform(flat[index].astype(np.float32), _WEIGHING)  # integers below 2^24: exact
        np.multiply(weighed, np.float32(1 / 65536), out=luma[index], casting="unsafe")

    in_threads(convert, range(len(flat)))
    return luma.reshape(frames.shape[:-1])


@dataclass(frozen=True, eq=False)
class Clip:
    """Frames in memory.

    frames: uint8 (time, height, width, 3), RGB, as a player shows them (rotated upright).
    times: float64 (time,), seconds from the start of the video, strictly increasing.
    """

    frames: np.ndarray
    times: np.ndarray

    def __post_init__(self) -> None:
        if self.frames.dtype != np.uint8 or self.frames.ndim != 4 or self.frames.shape[-1] != 3:
            raise ValueError(
                f"frames must be uint8 (time, height, width, 3), not {self.frames.dtype} {self.frames.shape}"
            )
        if self.times.shape != self.frames.shape[:1]:
            raise ValueError(f"{self.frames.shape[0]} frames need as many times, not {self.times.shape}")
        if len(self.times) > 1 and not (np.diff(self.times) > 0).all():
            raise ValueError("times must increase strictly")

    @classmethod
    def at_rate(cls, frames: np.ndarray, frames_per_second: float, start_seconds: float = 0.0) -> Clip:
        """Make a clip whose frames are evenly spaced."""
        return cls(frames, start_seconds + np.arange(len(frames)) / float(frames_per_second))

    def __len__(self) -> int:
        return len(self.frames)

    def __repr__(self) -> str:
        time, height, width = self.frames.shape[:3]
        return f"Clip({time} frames, {width}x{height}, {self.seconds:.2f} s)"

    @property
    def height(self) -> int:
        """Lines of a frame."""
        return int(self.frames.shape[1])

    @property
    def width(self) -> int:
        """Pixels of a line."""
        return int(self.frames.shape[2])

    @property
    def frames_per_second(self) -> float:
        """The mean rate; 25 for a single frame."""
        if len(self.times) < 2:
            return 25.0
        return float((len(self.times) - 1) / (self.times[-1] - self.times[0]))

    @property
    def seconds(self) -> float:
        """The length in seconds, the last frame included."""
        return len(self.times) / self.frames_per_second

    @cached_property
    def luma(self) -> np.ndarray:
        """uint8 (time, height, width), full range."""
        return luma_of(self.frames)

    def select(self, index: slice | Sequence[int] | np.ndarray) -> Clip:
        """Return the clip of some of the frames, which keep their times."""
        return Clip(self.frames[index], self.times[index])


class Window:
    """Some consecutive frames of a video, decoded once and seen by all checks.

    `luma` and `rgb` are converted when first asked for and kept, so that a check that needs only luma pays for
    nothing else. Orientation is the player's. Windows are dropped after all checks saw them.
    """

    def __init__(
        self, times: np.ndarray, luma: Callable[[], np.ndarray], rgb: Callable[[], np.ndarray], first_index: int = 0
    ) -> None:
        self.times = times
        self.first_index = first_index
        self._make_luma = luma
        self._make_rgb = rgb

    @classmethod
    def of(cls, clip: Clip, first_index: int = 0) -> Window:
        """View a clip as one window."""
        return cls(clip.times, lambda: clip.luma, lambda: clip.frames, first_index)

    def __len__(self) -> int:
        return len(self.times)

    def __repr__(self) -> str:
        return f"Window({len(self)} frames from {self.times[0]:.3f} s)"

    @cached_property
    def luma(self) -> np.ndarray:
        """uint8 (time, height, width), full range 0 .. 255 whatever the range and depth in the file."""
        return self._make_luma()

    @cached_property
    def rgb(self) -> np.ndarray:
        """uint8 (time, height, width, 3)."""
        return self._make_rgb()

    def clip(self) -> Clip:
        """Return the window as a clip."""
        return Clip(self.rgb, self.times)
