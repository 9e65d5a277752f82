"""What an attack is: a name, the range of its one parameter, and what it does to frames or to the file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from provenance.errors import UsageError
from provenance.video.clip import Clip

FrameAttack = Callable[[Iterable[Clip], float, np.random.Generator], Iterator[Clip]]
"""(consecutive stretches of a video, parameter, random numbers) -> the attacked stretches; never changes its input.

The result does not depend on where the video is cut into stretches, so files of any length stream through.
"""
FileAttack = Callable[[Path, Path], None]
"""(source, target): writes `target`, whose suffix names the container; the pictures pass unchanged."""
Frames = Iterator[tuple[np.ndarray, float]]
"""Frames in order, uint8 (height, width, 3), each with its time in seconds."""
FrameChange = Callable[[np.ndarray, float], np.ndarray]
"""(frame, its time in seconds) -> the changed frame, a new array; called once for each frame, in order."""

FRAMES_PER_STRETCH = 16


@dataclass(frozen=True)
class Range:
    """The values that a parameter may take, ends included; `meaning` says what it is, with its unit.

    whole: only whole numbers. odd: only odd ones, as kernels have for their sides.
    """

    meaning: str
    low: float
    high: float
    default: float
    whole: bool = False
    odd: bool = False

    def __post_init__(self) -> None:
        if not self._holds(self.default):
            raise ValueError(f"the default {self.default} lies outside {self.low} .. {self.high}")

    def _holds(self, value: float) -> bool:
        fits = value % 2 == 1 if self.odd else value == int(value) if self.whole else True
        return self.low <= value <= self.high and fits

    def check(self, name: str, value: float) -> float:
        """Return `value`, or raise UsageError when it lies outside the range or should be whole or odd and is not."""
        if not self._holds(value):
            kind = "an odd number" if self.odd else "a whole number" if self.whole else "a number"
            raise UsageError(
                f"{name}:{value:g}: {self.meaning} must be {kind} from {self.low:g} to {self.high:g}",
                hint=f"for example {name}:{self.default:g}",
            )
        return value


@dataclass(frozen=True)
class Attack:
    """One attack: it changes `frames`, or passes them through an `encoder`, or touches the `file` around them alone.

    encoder: a name in `codec.ENCODERS`. file: what is done to a file; clips in memory stay as they are.
    steps: the chain that the name stands for, as `parse_chain` reads it. An attack with none of these (`strip`)
    touches metadata only.
    changes_time: whether frames are lost, moved or repeated.
    rate: (frames per second before, parameter) -> frames per second after; None where they stay.
    """

    summary: str
    parameter: Range | None = None
    frames: FrameAttack | None = None
    encoder: str | None = None
    changes_time: bool = False
    file: FileAttack | None = None
    steps: str | None = None
    rate: Callable[[float, float], float] | None = None

    def __post_init__(self) -> None:
        if sum(way is not None for way in (self.frames, self.encoder, self.file, self.steps)) > 1:
            raise ValueError("an attack changes frames, encodes them, changes the file, or stands for a chain: not two")


def each_frame(change: Callable[[np.ndarray, float, np.random.Generator], np.ndarray]) -> FrameAttack:
    """Turn a change of one frame (uint8 (height, width, 3) -> the same kind) into an attack on a stream."""

    def attack(clips: Iterable[Clip], value: float, random: np.random.Generator) -> Iterator[Clip]:
        for clip in clips:
            yield Clip(np.stack([change(frame, value, random) for frame in clip.frames]), clip.times)

    return attack


def planned_once(plan: Callable[[tuple[int, int], float, np.random.Generator], FrameChange]) -> FrameAttack:
    """Turn a plan into an attack: ((height, width), parameter, random numbers) -> the change of every frame.

    The plan is made at the first frame, so that what it draws holds for the whole video.
    """

    def attack(clips: Iterable[Clip], value: float, random: np.random.Generator) -> Iterator[Clip]:
        change: FrameChange | None = None
        for clip in clips:
            change = change or plan((clip.height, clip.width), value, random)
            pairs = zip(clip.frames, clip.times, strict=True)
            yield Clip(np.stack([change(frame, float(time)) for frame, time in pairs]), clip.times)

    return attack


def in_time(change: Callable[[Frames, float, np.random.Generator], Frames]) -> FrameAttack:
    """Turn a change of a sequence of frames into an attack on a stream."""

    def attack(clips: Iterable[Clip], value: float, random: np.random.Generator) -> Iterator[Clip]:
        return stretches(change(frames_of(clips), value, random))

    return attack


def frames_of(clips: Iterable[Clip]) -> Frames:
    """Yield the frames of a stream one by one."""
    for clip in clips:
        for frame, time in zip(clip.frames, clip.times, strict=True):
            yield frame, float(time)


def stretches(frames: Frames) -> Iterator[Clip]:
    """Gather frames, all of one size, into stretches."""
    held: list[tuple[np.ndarray, float]] = []
    for pair in frames:
        held.append(pair)
        if len(held) == FRAMES_PER_STRETCH:
            yield _stretch(held)
            held = []
    if held:
        yield _stretch(held)


def _stretch(pairs: list[tuple[np.ndarray, float]]) -> Clip:
    return Clip(np.stack([frame for frame, _ in pairs]), np.array([time for _, time in pairs]))
