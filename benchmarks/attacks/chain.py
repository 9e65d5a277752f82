"""Chains of attacks: their syntax, and how a clip in memory or a file on disk goes through them.

A chain is ``NAME[:PARAMETER][+NAME[:PARAMETER]...]``, as in ``crop:.71+brightness:.5+x264:40``, and is applied from
left to right. Some names stand for chains themselves, as ``social`` does. A chain that changes frames and ends without
an encoder of its own is written to its file with H.264 at CRF 18, preset veryfast: whoever edits a clip stores it
again. What touches the file alone, as ``soundtrack`` does, comes last, wherever it is written.
"""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.attacks.attack import Attack, FileAttack
from benchmarks.attacks.codec import CODEC, PIXEL_FORMAT, encoding, store, storing, through_codec
from benchmarks.attacks.delivery import DELIVERY
from benchmarks.attacks.edits import EDITS
from benchmarks.attacks.geometric import GEOMETRIC
from benchmarks.attacks.photometric import PHOTOMETRIC
from benchmarks.attacks.regeneration import REGENERATION
from benchmarks.attacks.temporal import TEMPORAL
from provenance.errors import UnknownName, UsageError
from provenance.files import refuse_same_file, written_beside
from provenance.sandbox.prescan import prescan
from provenance.video import Clip, Video
from provenance.video.encoding import Encoding
from provenance.video.rewrite import copy_streams, transcode

FAMILIES: dict[str, dict[str, Attack]] = {
    "codec": CODEC,
    "geometric": GEOMETRIC,
    "temporal": TEMPORAL,
    "photometric": PHOTOMETRIC,
    "edits": EDITS,
    "regeneration": REGENERATION,
    "chains": DELIVERY,
}
ATTACKS: dict[str, Attack] = {name: attack for family in FAMILIES.values() for name, attack in family.items()}
Progress = Callable[[float], None]
"""Called with the share done, 0 to 1."""


@dataclass(frozen=True)
class Step:
    """One attack with its parameter; None for the attacks that have none."""

    name: str
    value: float | None = None

    def __post_init__(self) -> None:
        parameter = ATTACKS[self.name].parameter
        if (parameter is None) != (self.value is None):
            raise ValueError(f"{self.name} takes {'no' if parameter is None else 'one'} parameter")

    @property
    def attack(self) -> Attack:
        """The attack of that name."""
        return ATTACKS[self.name]

    def __str__(self) -> str:
        return self.name if self.value is None else f"{self.name}:{self.value:g}"


@dataclass(frozen=True)
class Chain:
    """Steps, applied from left to right; `str` gives the canonical spelling, which parses to the same chain."""

    steps: tuple[Step, ...]

    def __str__(self) -> str:
        return "+".join(map(str, self.steps)) or "none"

    @property
    def spelled_out(self) -> tuple[Step, ...]:
        """The steps, with those of named chains in their places."""
        parts = (parse_chain(step.attack.steps).steps if step.attack.steps else (step,) for step in self.steps)
        return tuple(step for part in parts for step in part)

    @property
    def changes_time(self) -> bool:
        """Whether frames are lost, moved or repeated."""
        return any(step.attack.changes_time for step in self.spelled_out)


def parse_chain(text: str) -> Chain:
    """Read a chain; ``none`` is the empty one. UnknownName for an unknown attack, UsageError for a bad parameter."""
    if text.strip() == "none":
        return Chain(())
    return Chain(tuple(_parse_step(part.strip()) for part in text.split("+")))


def _parse_step(text: str) -> Step:
    name, colon, written = text.partition(":")
    if not name:
        raise UsageError("an attack has no name", hint="write for example strip+x264:28")
    if name not in ATTACKS:
        raise UnknownName("attack", name, ATTACKS)
    parameter = ATTACKS[name].parameter
    if parameter is None:
        if colon:
            raise UsageError(f"{text}: {name} takes no parameter", hint=f"write just {name}")
        return Step(name)
    if not colon:
        return Step(name, parameter.default)
    try:
        value = float(written)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UsageError(f"{text}: {parameter.meaning} is no number", hint=f"for example {name}:{parameter.default:g}")
    return Step(name, parameter.check(name, value))


def attack_clip(clip: Clip, chain: Chain | str, seed: int = 0) -> Clip:
    """Return the clip after a chain; the clip itself stays as it is. The same seed gives the same result."""
    parsed = parse_chain(chain) if isinstance(chain, str) else chain
    for position, step in enumerate(parsed.spelled_out):
        attack = step.attack
        if attack.encoder is not None:
            clip = through_codec(clip, attack.encoder, step.value or 0.0)
        elif attack.frames is not None:
            clip = _joined(attack.frames([clip], step.value or 0.0, _random(seed, position)))
    return clip


def attack_file(
    source: Path,
    target: Path,
    chain: Chain | str,
    seed: int = 0,
    *,
    force: bool = False,
    progress: Progress | None = None,
) -> None:
    """Write `source` after a chain to `target`, whose suffix names the container; any length streams through.

    Raises UsageError for a bad chain, OutputExists when `target` is there (unless `force`) or is the source,
    CannotRead and CannotWrite for the files. Sound stays where only `strip` and encoders touch the file.
    """
    parsed = parse_chain(chain) if isinstance(chain, str) else chain
    refuse_same_file(source, target)
    passes = _passes(parsed, seed)
    prescan(source)
    with written_beside(target, force=force) as part, tempfile.TemporaryDirectory() as folder:
        for number, run in enumerate(passes):
            result = part if number == len(passes) - 1 else Path(folder) / f"pass-{number}.mkv"
            run(source, result, _part(progress, number, len(passes)))
            source = result
    if progress is not None:
        progress(1.0)


_Pass = Callable[[Path, Path, Progress], None]
"""One reading and writing of the whole file: (source, target, where progress is told)."""


def _passes(chain: Chain, seed: int) -> list[_Pass]:
    passes: list[_Pass] = [partial(_run_stage, stage=stage, seed=seed) for stage in _stages(chain)]
    passes += [partial(_change_file, change=step.attack.file) for step in chain.spelled_out if step.attack.file]
    return passes or [_strip_file if chain.steps else _copy_file]


def _change_file(source: Path, target: Path, report: Progress, *, change: FileAttack) -> None:
    change(source, target)


def _strip_file(source: Path, target: Path, report: Progress) -> None:
    copy_streams(Video(source), target, metadata=False)


def _copy_file(source: Path, target: Path, report: Progress) -> None:
    shutil.copyfile(source, target)


@dataclass(frozen=True)
class _Stage:
    """Frame attacks, each with its place in the chain, and the one encoding that stores their result."""

    frames: tuple[tuple[int, Step], ...]
    encoder: Step | None


def _stages(chain: Chain) -> Iterator[_Stage]:
    pending: list[tuple[int, Step]] = []
    for position, step in enumerate(chain.spelled_out):
        if step.attack.encoder is not None:
            yield _Stage(tuple(pending), step)
            pending = []
        elif step.attack.frames is not None:
            pending.append((position, step))
    if pending:
        yield _Stage(tuple(pending), None)


def _run_stage(source: Path, target: Path, report: Progress, *, stage: _Stage, seed: int) -> None:
    video = Video(source)
    if stage.encoder is not None and not stage.frames:
        transcode(video, target, _encoding(stage.encoder), progress=report, metadata=False)
        return
    settings = storing() if stage.encoder is None else _encoding(stage.encoder, PIXEL_FORMAT)
    store(_attacked(_reported(video, report), stage, seed), target, settings, _rate_after(stage, video.info.frame_rate))


def _encoding(step: Step, pixel_format: str | None = None) -> Encoding:
    return encoding(step.attack.encoder or "", step.value or 0.0, pixel_format)


def _rate_after(stage: _Stage, rate: Fraction) -> Fraction:
    """Frames per second after a stage, from those before."""
    for _, step in stage.frames:
        if step.attack.rate is not None:
            rate = Fraction(step.attack.rate(float(rate), step.value or 0.0))
    return rate.limit_denominator(1001)


def _attacked(clips: Iterator[Clip], stage: _Stage, seed: int) -> Iterator[Clip]:
    for position, step in stage.frames:
        if step.attack.frames is not None:
            clips = step.attack.frames(clips, step.value or 0.0, _random(seed, position))
    return clips


def _reported(video: Video, report: Progress) -> Iterator[Clip]:
    duration = video.info.duration_seconds
    for window in video.windows():
        if duration:
            report(min(1.0, float(window.times[-1]) / duration))
        yield window.clip()


def _part(progress: Progress | None, number: int, count: int) -> Progress:
    def report(share: float) -> None:
        if progress is not None:
            progress((number + share) / count)

    return report


def _random(seed: int, position: int) -> np.random.Generator:
    return np.random.default_rng([seed, position])


def _joined(clips: Iterator[Clip]) -> Clip:
    parts = list(clips)
    if len(parts) == 1:
        return parts[0]
    return Clip(np.concatenate([part.frames for part in parts]), np.concatenate([part.times for part in parts]))
