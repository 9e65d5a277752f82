"""Arithmetic of stretches of time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from provenance.evidence import Span


def merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Return the union of spans, in order and without overlap."""
    union: list[Span] = []
    for start, end in sorted(spans):
        if union and start <= union[-1][1]:
            union[-1] = (union[-1][0], max(union[-1][1], end))
        else:
            union.append((start, end))
    return tuple(union)


def common(first: Sequence[Span], second: Sequence[Span]) -> tuple[Span, ...]:
    """Return what lies in spans of both; each side is in order and without overlap."""
    pairs = ((max(a, c), min(b, d)) for a, b in first for c, d in second)
    return tuple((start, end) for start, end in pairs if end > start)


def seconds_of(spans: Iterable[Span]) -> float:
    """Return the length of spans together."""
    return sum(end - start for start, end in spans)
