"""What an attack is: a name, the range of its one parameter, and what it does to frames or to the file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from provenance.errors import UsageError
from provenance.video.clip import Clip

FrameAttack = Callable[[Iterable[Clip], float, np.random.Generator], Iterator[Clip]]
"""(consecutive stretches of a video, parameter, random numbers) -> the attacked stretches; never changes its input.

The result does not depend on where the video is cut into stretches, so files of any length stream through.
"""


@dataclass(frozen=True)
class Range:
    """The values that a parameter may take, ends included; `meaning` says what it is, with its unit."""

    meaning: str
    low: float
    high: float
    default: float
    whole: bool = False

    def __post_init__(self) -> None:
        if not self.low <= self.default <= self.high:
            raise ValueError(f"the default {self.default} lies outside {self.low} .. {self.high}")

    def check(self, name: str, value: float) -> float:
        """Return `value`, or raise UsageError when it lies outside the range or should be whole and is not."""
        if not self.low <= value <= self.high or (self.whole and value != int(value)):
            kind = "a whole number" if self.whole else "a number"
            raise UsageError(
                f"{name}:{value:g}: {self.meaning} must be {kind} from {self.low:g} to {self.high:g}",
                hint=f"for example {name}:{self.default:g}",
            )
        return value


@dataclass(frozen=True)
class Attack:
    """One attack. It changes `frames`, or passes them through an `encoder`; `strip` touches metadata only."""

    summary: str
    parameter: Range | None = None
    frames: FrameAttack | None = None
    encoder: str | None = None
    changes_time: bool = False

    def __post_init__(self) -> None:
        if self.frames is not None and self.encoder is not None:
            raise ValueError("an attack changes frames or encodes them, not both")


def each_frame(change: Callable[[np.ndarray, float, np.random.Generator], np.ndarray]) -> FrameAttack:
    """Turn a change of one frame (uint8 (height, width, 3) -> the same kind) into an attack on a stream."""

    def attack(clips: Iterable[Clip], value: float, random: np.random.Generator) -> Iterator[Clip]:
        for clip in clips:
            yield Clip(np.stack([change(frame, value, random) for frame in clip.frames]), clip.times)

    return attack
