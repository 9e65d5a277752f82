"""Attacks on time: lost frames, lost beginnings, another frame rate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from benchmarks.attacks.attack import Attack, Range
from provenance.errors import UsageError
from provenance.video.clip import Clip

FRAMES_PER_STRETCH = 16


def drop(clips: Iterable[Clip], share: float, random: np.random.Generator) -> Iterator[Clip]:
    """Lose each frame with probability `share`; those that stay keep their times, and the first always stays."""
    first = True
    for clip in clips:
        keep = random.random(len(clip)) >= share
        keep[0] |= first
        first = False
        if keep.any():
            yield clip.select(keep)


def trim(clips: Iterable[Clip], seconds: float, random: np.random.Generator) -> Iterator[Clip]:
    """Cut `seconds` away from the beginning; time starts at zero again. UsageError when nothing would be left."""
    origin: float | None = None
    end = 0.0
    for clip in clips:
        end = float(clip.times[-1])
        keep = clip.times >= seconds - 1e-9
        if not keep.any():
            continue
        kept = clip.select(keep)
        origin = float(kept.times[0]) if origin is None else origin
        yield Clip(kept.frames, kept.times - origin)
    if origin is None:
        raise UsageError(f"trim:{seconds:g}: nothing is left of {end:.2f} s", hint="trim less than the clip is long")


def fps(clips: Iterable[Clip], rate: float, random: np.random.Generator) -> Iterator[Clip]:
    """Show the video at `rate` frames per second: at each tick the newest frame, dropped or repeated as needed."""
    pending: list[np.ndarray] = []
    shown: np.ndarray | None = None
    previous = 0.0
    interval = 1 / rate
    count = emitted = 0
    for clip in clips:
        for frame, time in zip(clip.frames, clip.times, strict=True):
            while shown is not None and count / rate < time - 1e-6:
                pending.append(shown)
                count += 1
                if len(pending) == FRAMES_PER_STRETCH:
                    yield _ticks(pending, emitted, rate)
                    emitted, pending = count, []
            if shown is not None:
                interval = time - previous
            shown, previous = frame, float(time)
    while shown is not None and (count / rate < previous + interval - 1e-6 or count == 0):
        pending.append(shown)
        count += 1
    if pending:
        yield _ticks(pending, emitted, rate)


def _ticks(frames: list[np.ndarray], first: int, rate: float) -> Clip:
    return Clip(np.stack(frames), (first + np.arange(len(frames))) / rate)


TEMPORAL: dict[str, Attack] = {
    "drop": Attack("lose frames at random", Range("the share lost", 0.0, 0.95, default=0.2), drop, changes_time=True),
    "trim": Attack(
        "cut away the beginning", Range("the seconds cut", 0.0, 86400.0, default=1.0), trim, changes_time=True
    ),
    "fps": Attack(
        "another frame rate: drop or repeat",
        Range("frames per second", 1.0, 240.0, default=15.0),
        fps,
        changes_time=True,
    ),
}
