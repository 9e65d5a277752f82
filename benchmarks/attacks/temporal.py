"""Attacks on time: lost, foreign, moved, mixed and repeated frames, and other frame rates.

All of them stream. What some must hold is said where it is more than a few frames.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Iterator

import numpy as np

from benchmarks.attacks.attack import Attack, Frames, Range, in_time
from benchmarks.attacks.foreign import Foreign
from provenance.errors import UsageError
from provenance.video.clip import Clip

BURST_PERIOD = 13
"""Frames per lost burst: SIGMark's disturbance loses 5 groups out of 65 frames."""
REORDER_PROBABILITY = 0.7
CUT_AT_SECONDS = 0.5
_A_FRAME = 1 / 25
_STAMP = 0.0006
"""Seconds that a time may be off: Matroska counts milliseconds, and encoders amid a chain store in it."""
"""The length of a frame that has no neighbour, in seconds, as `Clip.frames_per_second` takes it."""


def drop(clips: Iterable[Clip], share: float, random: np.random.Generator) -> Iterator[Clip]:
    """Lose each frame with probability `share`; those that stay keep their times, and the first always stays."""
    first = True
    for clip in clips:
        keep = random.random(len(clip)) >= share
        keep[0] |= first
        first = False
        if keep.any():
            yield clip.select(keep)


def keep_every(frames: Frames, period: float, random: np.random.Generator) -> Frames:
    """Keep the first of every `period` frames, at its time."""
    return itertools.islice(frames, 0, None, int(period))


def drop_burst(frames: Frames, length: float, random: np.random.Generator) -> Frames:
    """Lose `length` consecutive frames of every 13, never the first of them."""
    return (pair for index, pair in enumerate(frames) if not 0 < index % BURST_PERIOD <= length)


def trim(clips: Iterable[Clip], seconds: float, random: np.random.Generator) -> Iterator[Clip]:
    """Cut `seconds` away from the beginning; time starts at zero again. UsageError when nothing would be left."""
    origin: float | None = None
    end = 0.0
    for clip in clips:
        end = float(clip.times[-1]) + 1 / clip.frames_per_second
        keep = clip.times >= seconds - 1e-9
        if not keep.any():
            continue
        kept = clip.select(keep)
        origin = float(kept.times[0]) if origin is None else origin
        yield Clip(kept.frames, kept.times - origin)
    if origin is None:
        raise _nothing_left("trim", seconds, end)


def trim_end(frames: Frames, seconds: float, random: np.random.Generator) -> Frames:
    """Cut `seconds` away from the end; holds the frames of that time. UsageError when nothing would be left."""
    held: deque[tuple[np.ndarray, float]] = deque()
    interval, newest, kept = _A_FRAME, 0.0, False
    for pair in frames:
        interval, newest = (pair[1] - newest if held or kept else interval), pair[1]
        held.append(pair)
        while held and held[0][1] <= newest - seconds + 1e-9:
            kept = True
            yield held.popleft()
    end = newest + interval
    for pair in held:
        if pair[1] < end - seconds - 1e-9:
            kept = True
            yield pair
    if not kept:
        raise _nothing_left("trim-end", seconds, end)


def trim_middle(frames: Frames, seconds: float, random: np.random.Generator) -> Frames:
    """Cut out `seconds`, half a second after the beginning; what follows moves up."""
    for frame, time in frames:
        if time < CUT_AT_SECONDS - 1e-9:
            yield frame, time
        elif time >= CUT_AT_SECONDS + seconds - 1e-9:
            yield frame, time - seconds


def _nothing_left(name: str, seconds: float, end: float) -> UsageError:
    return UsageError(f"{name}:{seconds:g}: nothing is left of {end:.2f} s", hint="trim less than the clip is long")


def single_frame(frames: Frames, index: float, random: np.random.Generator) -> Frames:
    """Keep one frame, counted from 0; the last one where there are fewer."""
    for frame, _ in deque(itertools.islice(frames, int(index) + 1), maxlen=1):
        yield frame, 0.0


def insert(frames: Frames, count: float, random: np.random.Generator) -> Frames:
    """Show `count` foreign frames, in one piece, somewhere in the first second; what follows moves back.

    Where the clip ends sooner they follow at its end.
    """
    place, foreign, delay, previous, interval = random.random(), Foreign(random), 0.0, 0.0, _A_FRAME
    shape = (0, 0)
    for frame, time in frames:
        shape = (frame.shape[0], frame.shape[1])
        interval = time - previous if time > 0 else interval
        if not delay and time >= place and time > 0:
            for number in range(int(count)):
                moment = time + number * interval
                yield foreign.frame(*shape, moment), moment
            delay = count * interval
        yield frame, time + delay
        previous = time
    if not delay and shape != (0, 0):
        for moment in (previous + number * interval for number in range(1, int(count) + 1)):
            yield foreign.frame(*shape, moment), moment


def replace(frames: Frames, count: float, random: np.random.Generator) -> Frames:
    """Show foreign frames in the place of `count` frames, in one piece; the first frame stays.

    The piece begins in the first second, or earlier where the clip ends too soon. Holds that second and `count` frames.
    """
    place, foreign, length = random.random(), Foreign(random), int(count)
    held: list[tuple[np.ndarray, float]] = []
    begin: int | None = None
    for pair in frames:
        if begin is None and held and pair[1] >= place:
            begin = len(held)
        held.append(pair)
        if begin is not None and len(held) >= begin + length:
            break
    begin = max(1, min(len(held) if begin is None else begin, len(held) - length))
    for number, (frame, time) in enumerate(held):
        foreign_now = begin <= number < begin + length
        yield (foreign.frame(frame.shape[0], frame.shape[1], time) if foreign_now else frame), time
    yield from frames


def splice(frames: Frames, parts: float, random: np.random.Generator) -> Frames:
    """Let other sources follow, each as long as the clip, so that there are `parts` in all: A + B, or A + B + C."""
    shape, count, last = (0, 0), 0, 0.0
    for frame, time in frames:
        shape, count, last = (frame.shape[0], frame.shape[1]), count + 1, time
        yield frame, time
    interval = last / (count - 1) if count > 1 else _A_FRAME
    for part in range(1, int(parts)):
        foreign = Foreign(random)
        for number in range(count):
            moment = (part * count + number) * interval
            yield foreign.frame(*shape, moment), moment


def swap(frames: Frames, probability: float, random: np.random.Generator) -> Frames:
    """Let each frame change places with the next with this probability; the times stay in order."""
    return _chunks_swapped(frames, 1, probability, random)


def reorder(frames: Frames, length: float, random: np.random.Generator) -> Frames:
    """Let each chunk of `length` frames change places with the next, at probability .7; holds two chunks."""
    return _chunks_swapped(frames, int(length), REORDER_PROBABILITY, random)


def _chunks_swapped(frames: Frames, length: int, probability: float, random: np.random.Generator) -> Frames:
    pictures, clock = itertools.tee(frames)
    moments = (time for _, time in clock)
    waiting: list[np.ndarray] = []
    while chunk := [frame for frame, _ in itertools.islice(pictures, length)]:
        if waiting and random.random() < probability:
            waiting, chunk = chunk, waiting
        yield from zip(waiting, moments, strict=False)
        waiting = chunk
    yield from zip(waiting, moments, strict=False)


def reverse(frames: Frames, value: float, random: np.random.Generator) -> Frames:
    """Play backwards; holds the whole clip."""
    held = list(frames)
    for frame, time in reversed(held):
        yield frame, held[-1][1] - time


def fps(frames: Frames, rate: float, random: np.random.Generator) -> Frames:
    """Show the video at `rate` frames per second: at each tick the newest frame, dropped or repeated as needed."""
    shown: np.ndarray | None = None
    previous, interval, count = 0.0, 1 / rate, 0
    for frame, time in frames:
        while shown is not None and count / rate < time - _STAMP:
            yield shown, count / rate
            count += 1
        if shown is not None:
            interval = time - previous
        shown, previous = frame, time
    while shown is not None and (count / rate < previous + interval - _STAMP or count == 0):
        yield shown, count / rate
        count += 1


def fps_blend(frames: Frames, rate: float, random: np.random.Generator) -> Frames:
    """Show the video at `rate` frames per second: at each tick a blend of the two frames about it, by distance."""
    before: np.ndarray | None = None
    previous, interval, count = 0.0, 1 / rate, 0
    for frame, time in frames:
        while before is not None and count / rate < time - _STAMP:
            share = max(0.0, (count / rate - previous) / (time - previous))
            yield _mean([before, frame], [1 - share, share]), count / rate
            count += 1
        if before is not None:
            interval = time - previous
        before, previous = frame, time
    while before is not None and (count / rate < previous + interval - _STAMP or count == 0):
        yield before, count / rate
        count += 1


def fps_cap(frames: Frames, rate: float, random: np.random.Generator) -> Frames:
    """Lose frames so that no more than `rate` stay in a second, at their own times; slower videos pass unchanged."""
    newest = -1
    for frame, time in frames:
        tick = int((time + _STAMP) * rate)
        if tick > newest:
            newest = tick
            yield frame, time


def speed(frames: Frames, factor: float, random: np.random.Generator) -> Frames:
    """Play faster by `factor`, below 1 slower: all frames stay, their times change."""
    return ((frame, time / factor) for frame, time in frames)


def average(frames: Frames, length: float, random: np.random.Generator) -> Frames:
    """Make each frame the mean of `length` frames about it; fewer at both ends."""
    back, ahead = (int(length) - 1) // 2, int(length) // 2
    held: deque[tuple[np.ndarray, float]] = deque()
    at = 0  # the place in `held` of the frame that is written next
    for pair in itertools.chain(frames, [None] * ahead):
        if pair is not None:
            held.append(pair)
        if at < len(held) and (pair is None or len(held) - at > ahead):
            yield _mean([frame for frame, _ in held]), held[at][1]
            if at == back:
                held.popleft()
            else:
                at += 1


def _mean(frames: list[np.ndarray], weights: list[float] | None = None) -> np.ndarray:
    total = np.zeros(frames[0].shape, np.float32)
    for frame, weight in zip(frames, weights or [1 / len(frames)] * len(frames), strict=True):
        total += np.float32(weight) * frame
    return np.rint(total).astype(np.uint8)


def freeze(frames: Frames, share: float, random: np.random.Generator) -> Frames:
    """Let the picture stand still for that share of every second."""
    second, still = -1, np.empty(0, np.uint8)
    for frame, time in frames:
        if int(time + 1e-9) != second:
            second, still = int(time + 1e-9), frame
        yield (still if time - second < share - 1e-9 else frame), time


def _to(before: float, rate: float) -> float:
    return rate


_RATE = Range("frames per second", 1.0, 240.0, default=15.0)
_SECONDS = Range("the seconds cut", 0.0, 86400.0, default=1.0)

TEMPORAL: dict[str, Attack] = {
    "drop": Attack("lose frames at random", Range("the share lost", 0.0, 0.95, default=0.2), drop, changes_time=True),
    "keep-every": Attack(
        "keep one frame of several",
        Range("the frames of which one stays", 1, 100, default=4, whole=True),
        in_time(keep_every),
        changes_time=True,
        rate=lambda before, period: before / period,
    ),
    "drop-burst": Attack(
        "lose frames in groups, one in every 13",
        Range("the frames lost of every 13", 0, 12, default=6, whole=True),
        in_time(drop_burst),
        changes_time=True,
    ),
    "trim": Attack("cut away the beginning", _SECONDS, trim, changes_time=True),
    "trim-end": Attack("cut away the end", _SECONDS, in_time(trim_end), changes_time=True),
    "trim-middle": Attack("cut out a piece after half a second", _SECONDS, in_time(trim_middle), changes_time=True),
    "single-frame": Attack(
        "keep one frame alone",
        Range("its number, counted from 0,", 0, 1e7, default=0, whole=True),
        in_time(single_frame),
        changes_time=True,
    ),
    "insert": Attack(
        "insert foreign frames in the first second",
        Range("the frames inserted", 1, 10000, default=13, whole=True),
        in_time(insert),
        changes_time=True,
    ),
    "replace": Attack(
        "foreign frames in the place of others",
        Range("the frames replaced", 1, 10000, default=15, whole=True),
        in_time(replace),
        changes_time=True,
    ),
    "splice": Attack(
        "let other sources of the same length follow",
        Range("the sources in all", 2, 3, default=2, whole=True),
        in_time(splice),
        changes_time=True,
    ),
    "swap": Attack(
        "swap frames with the next at random",
        Range("the probability", 0.0, 1.0, default=0.1),
        in_time(swap),
        changes_time=True,
    ),
    "reorder": Attack(
        "swap chunks with the next, 7 of 10",
        Range("the frames of a chunk", 1, 10000, default=4, whole=True),
        in_time(reorder),
        changes_time=True,
    ),
    "reverse": Attack("play backwards (holds the clip)", None, in_time(reverse), changes_time=True),
    "fps": Attack("another frame rate: drop or repeat", _RATE, in_time(fps), changes_time=True, rate=_to),
    "fps-blend": Attack("another frame rate: blend neighbours", _RATE, in_time(fps_blend), changes_time=True, rate=_to),
    "fps-cap": Attack(
        "lose frames above a frame rate",
        Range("the most frames per second", 1.0, 240.0, default=30.0),
        in_time(fps_cap),
        changes_time=True,
        rate=min,
    ),
    "speed": Attack(
        "play faster or slower, all frames",
        Range("the factor", 0.1, 10.0, default=1.25),
        in_time(speed),
        changes_time=True,
        rate=lambda before, factor: before * factor,
    ),
    "average": Attack(
        "mean of neighbouring frames",
        Range("the frames averaged", 1, 31, default=3, whole=True),
        in_time(average),
    ),
    "freeze": Attack(
        "stand still for a part of every second",
        Range("the share of every second", 0.0, 1.0, default=0.5),
        in_time(freeze),
        changes_time=True,
    ),
}
