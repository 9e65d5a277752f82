"""Watermarks and detectors that installed packages bring along, found by their entry points.

A package names an object in one of the two groups; it is loaded when somebody asks for that name, never before.
``countermark.watermarks``: an object, or a class or function without arguments that makes one, with `bits` (1 to 64),
`embed(clip, message, key) -> Clip` and `read(clip, key, expected) -> MarkReading`. ``countermark.detectors``: a
function of a file's path that returns a score (higher: generated) or None, which abstains.
"""

from __future__ import annotations

import importlib.metadata
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.marks import Mark, MarkReading, Twins, finished_twins
from benchmarks.videos import Subject
from provenance.errors import CannotRead, NeedsExtra, UnknownName, UsageError
from provenance.keys import Key
from provenance.video import Clip

WATERMARKS, DETECTORS = "countermark.watermarks", "countermark.detectors"
Detector = Callable[[Path], float | None]
"""A file's path -> a score, higher for generated; None abstains. It may raise anything: that becomes an error row."""


@dataclass(frozen=True)
class JoinedMark:
    """Somebody's watermark under the name of its entry point, checked: what it gives back is what was promised."""

    name: str
    mark: Any

    def __post_init__(self) -> None:
        lacking = [word for word in ("bits", "embed", "read") if not hasattr(self.mark, word)]
        if lacking:
            raise UsageError(f"watermark {self.name}: has no {', '.join(lacking)}", hint="see docs/add-your-own.md")
        if not isinstance(self.mark.bits, int) or not 1 <= self.mark.bits <= 64:
            raise UsageError(f"watermark {self.name}: {self.mark.bits!r} bits", hint="a message has 1 to 64 bits")

    @property
    def bits(self) -> int:
        """Length of the message."""
        return int(self.mark.bits)

    @property
    def search(self) -> str:
        """How it is read, in its own words."""
        return str(getattr(self.mark, "search", "its own reader"))

    def embed(self, clip: Clip, message: int, key: Key) -> Clip:
        """Return a marked copy; CannotRead where that is no clip of as many frames of the same size."""
        marked = self.mark.embed(clip, message, key)
        if not isinstance(marked, Clip) or marked.frames.shape != clip.frames.shape:
            raise CannotRead(f"watermark {self.name}: gave back {marked!r} for {clip!r}", hint=_HINT)
        return marked

    def read(
        self, clip: Clip, key: Key, expected: int | None = None, marked_size: tuple[int, int] | None = None
    ) -> MarkReading:
        """Read a clip; CannotRead where that gives no `MarkReading` of this length."""
        reading = self.mark.read(clip, key, expected)
        if not isinstance(reading, MarkReading) or (reading.message or 0) >> self.bits:
            raise CannotRead(f"watermark {self.name}: read {str(reading)[:80]!r}", hint=_HINT)
        return reading

    def twins(self, subject: Subject, message: int, key: Key, seed: int, seconds: float | None) -> Twins:
        """Mark the subject's own frames, unless the watermark makes clips itself."""
        if hasattr(self.mark, "twins"):
            return self.mark.twins(subject, message, key, seed, seconds)  # type: ignore[no-any-return]
        return finished_twins(self, subject, message, key, seconds)


@dataclass(frozen=True)
class JoinedDetector:
    """Somebody's detector under the name of its entry point, checked."""

    name: str
    function: Detector

    def __call__(self, path: Path) -> float | None:
        """Return the score, or None; CannotRead where it is no finite number."""
        score = self.function(path)
        if score is None:
            return None
        try:
            number = float(score)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise CannotRead(f"detector {self.name}: scored {str(score)[:80]!r}", hint=_HINT)
        return number


def names(group: str) -> list[str]:
    """Return the names in a group, without loading anything."""
    return sorted({point.name for point in importlib.metadata.entry_points(group=group)})


def joined_mark(name: str) -> Mark:
    """Load a watermark. Raises UnknownName, NeedsExtra where loading fails, UsageError where it is none."""
    found = _loaded(WATERMARKS, "watermark", name)
    return JoinedMark(name, _made(name, found) if isinstance(found, type) or not hasattr(found, "embed") else found)


def joined_detector(name: str) -> JoinedDetector:
    """Load a detector. Raises UnknownName, NeedsExtra where loading fails, UsageError where it is no function."""
    found = _loaded(DETECTORS, "detector", name)
    function = _made(name, found) if isinstance(found, type) else found
    if not callable(function):
        raise UsageError(f"detector {name}: is no function of a path", hint="see docs/add-your-own.md")
    return JoinedDetector(name, function)


_HINT = "the other clips and attacks go on; docs/add-your-own.md says what is expected"


def _loaded(group: str, kind: str, name: str) -> Any:
    points = [point for point in importlib.metadata.entry_points(group=group) if point.name == name]
    if not points:
        raise UnknownName(kind, name, names(group))
    try:
        return points[0].load()
    except Exception as error:  # a stranger's module may fail in any way
        raise NeedsExtra(
            f"{kind} {name}: cannot be loaded ({type(error).__name__}: {error})", hint=f"repair {points[0].value}"
        ) from error


def _made(name: str, make: Any) -> Any:
    try:
        return make()
    except Exception as error:  # as above
        raise NeedsExtra(
            f"{name}: cannot be made ({type(error).__name__}: {error})", hint="its entry point takes no arguments"
        ) from error
