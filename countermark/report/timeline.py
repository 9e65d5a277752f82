"""The timeline of a report: where in the video what was found, as shares of its length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from provenance.evidence import DetectorEvidence, Evidence, WatermarkEvidence

FULL_HEIGHT_RATIO = 4.0
"""The log-likelihood ratio that fills the height of a detector's row."""


@dataclass(frozen=True)
class Bar:
    """A stretch of time: where it begins and how long it is, in percent of the video; `level` from -1 to 1."""

    left: float
    width: float
    title: str
    kind: str
    level: float = 1.0


@dataclass(frozen=True)
class Row:
    """One row of the timeline."""

    label: str
    bars: tuple[Bar, ...]
    is_score: bool = False


@dataclass(frozen=True)
class Timeline:
    """All rows over one axis of `seconds`, with marks at sensible moments (percent, label)."""

    seconds: float
    rows: tuple[Row, ...]
    marks: tuple[tuple[float, str], ...]


def timeline_of(evidence: Sequence[Evidence], seconds: float | None) -> Timeline | None:
    """Return the timeline of what has a place in time, None when nothing has."""
    rows = [row for item in evidence if (row := _row(item, seconds)) is not None]
    if not rows or not seconds or seconds <= 0:
        return None
    return Timeline(seconds, tuple(rows), _marks(seconds))


def length_of(evidence: Sequence[Evidence]) -> float | None:
    """The latest moment that any evidence speaks of, in seconds."""
    ends = [end for item in evidence if isinstance(item, WatermarkEvidence) for _, end in (*item.spans, *item.examined)]
    ends += [end for item in evidence if isinstance(item, DetectorEvidence) for _, end, _ in item.timeline]
    return max(ends, default=None)


def _row(item: Evidence, seconds: float | None) -> Row | None:
    if not seconds:
        return None
    if isinstance(item, WatermarkEvidence) and item.found:
        examined = [_bar(span, seconds, "examined", "examined") for span in item.examined]
        found = [_bar(span, seconds, f"id {item.watermark_id or 0:016x}", item.check) for span in item.spans]
        return Row(item.check.replace("-", " "), (*examined, *found))
    if isinstance(item, DetectorEvidence) and item.timeline:
        bars = tuple(
            _bar((start, end), seconds, f"log-likelihood ratio {ratio:+.2f}", "score", ratio / FULL_HEIGHT_RATIO)
            for start, end, ratio in item.timeline
        )
        return Row("detectors", bars, is_score=True)
    return None


def _bar(span: tuple[float, float], seconds: float, said: str, kind: str, level: float = 1.0) -> Bar:
    left, right = (min(100.0, max(0.0, 100 * moment / seconds)) for moment in span)
    title = f"{said}, {span[0]:.1f}–{span[1]:.1f} s"
    return Bar(round(left, 2), round(max(right - left, 0.4), 2), title, kind, max(-1.0, min(1.0, level)))


def _marks(seconds: float) -> tuple[tuple[float, str], ...]:
    steps = (0.25, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)
    step = next((step for step in steps if seconds / step <= 6), steps[-1] * max(1, round(seconds / 6 / steps[-1])))
    count = int(seconds / step + 1e-9)
    return tuple((round(100 * index * step / seconds, 2), f"{index * step:g} s") for index in range(count + 1))
