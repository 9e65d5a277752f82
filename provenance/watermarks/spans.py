"""Which seconds carry a known id: correlation with all its harmonics, a moment at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np

from provenance.evidence import Span
from provenance.watermarks.chunk import Trace
from provenance.watermarks.reading import BLIND, KeyReader

_SMOOTHING_STEPS = 7  # about a second
_PRESENT = 3.5  # standard deviations
_CLEAR = 7.0
_EDGE = 0.25  # of the usual score: content makes the watermark several times weaker in some moments
_BRIDGE_SECONDS = 1.0
_MARGIN_SECONDS = 0.5  # at the ends of a chunk, where smoothing has less to go by


class _Known(Protocol):
    @property
    def watermark_id(self) -> int: ...
    @property
    def nonce(self) -> int: ...
    @property
    def start(self) -> int: ...


def spans_of(traces: Sequence[Trace], reader: KeyReader, known: _Known, starts: Iterable[int]) -> tuple[Span, ...]:
    """Return the stretches, in seconds, in which a known id stands out, in order.

    starts: those at which it was read somewhere; each chunk is scored with the one that fits it best, since pieces of
    a clip may have been moved.
    """
    expected = reader.tile.coefficients(known.watermark_id, known.nonce).conj().astype(np.complex64)
    expected[reader.tile.pilots] = 0  # every id of the key has them
    scored: list[tuple[Trace, np.ndarray]] = []
    for trace in traces:
        line = trace.values @ expected
        middle = (trace.begins + trace.ends) / 2
        signs = [reader.sequence.amplitudes(middle, np.array([start]), 0.0)[0] for start in starts if start != BLIND]
        lines = [line * sign for sign in signs] or [line * np.sign(line.real)]
        turned = max(lines, key=lambda one: float(one.real.sum()))
        smooth = np.convolve(turned, np.ones(min(_SMOOTHING_STEPS, len(line))), "same")
        noise = float(np.sqrt((smooth.imag**2).mean()))  # the quadrature holds the same noise, and no watermark
        scored.append((trace, smooth.real / max(noise, 1e-12)))
    if max((0.8 * float(score.max()) for _, score in scored), default=0.0) < _CLEAR:  # no chunk can show it alone
        return _merged([(float(trace.begins[0]), float(trace.ends[-1])) for trace, _ in scored])
    return _merged([piece for trace, score in scored for piece in _marked_steps(trace, score)])


def _marked_steps(trace: Trace, score: np.ndarray) -> list[Span]:
    """Return the steps of a chunk that stand out; all of them where single moments cannot be told apart.

    A step counts as unmarked only where a clear watermark breaks off: a weak moment is no evidence of absence.
    """
    level = 0.8 * float(score.max())
    if level < _CLEAR and level >= 0.8 * _PRESENT:
        return [(float(trace.begins[0]), float(trace.ends[-1]))]
    steps = np.flatnonzero(score >= max(_PRESENT, _EDGE * level))
    pieces = [(float(trace.begins[i]), float(trace.ends[i])) for i in steps]
    first, last = float(trace.begins[0]), float(trace.ends[-1])
    before = [(first, first)] if pieces and pieces[0][0] - first <= _MARGIN_SECONDS else []
    after = [(last, last)] if pieces and last - pieces[-1][1] <= _MARGIN_SECONDS else []
    return [*before, *pieces, *after]


def _merged(pieces: list[Span]) -> tuple[Span, ...]:
    spans: list[Span] = []
    for begin, end in pieces:
        if spans and begin - spans[-1][1] <= _BRIDGE_SECONDS:
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
        else:
            spans.append((begin, end))
    return tuple(spans)
