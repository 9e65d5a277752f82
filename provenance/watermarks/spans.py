"""Which seconds carry a known id: correlation with all its harmonics, a moment at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from provenance.evidence import Span
from provenance.watermarks.chunk import Trace
from provenance.watermarks.front import rings
from provenance.watermarks.reading import BLIND, KeyReader

_SMOOTHING_STEPS = 7  # about a second
_PRESENT = 3.5  # standard deviations
_CLEAR = 7.0
_PRESENT_ALTOGETHER = 4.5
_FEW_STEPS = 12
_BESIDE = 0.1  # of the clearest id of a chunk: as much may be left of its resemblance to another one
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


@dataclass(frozen=True, eq=False)
class ChunkScore:
    """How well a known id fits a chunk, moment by moment, in standard deviations.

    moments: float64 (steps,), over about a second each. altogether: over all of the chunk.
    """

    trace: Trace
    moments: np.ndarray
    altogether: float

    @property
    def begins(self) -> float:
        """Seconds: names the chunk."""
        return float(self.trace.begins[0])

    @property
    def ends(self) -> float:
        """Seconds."""
        return float(self.trace.ends[-1])

    @cached_property
    def level(self) -> float:
        """The usual score of moments that are marked, near enough."""
        return 0.8 * float(self.moments.max())


def scores_of(
    traces: Sequence[Trace],
    reader: KeyReader,
    known: _Known,
    starts: Iterable[int],
    rivals: Mapping[float, np.ndarray] | None = None,
) -> tuple[ChunkScore, ...]:
    """Return how well a known id fits each chunk.

    starts: those at which it was read somewhere; each chunk is scored with the one that fits it best, since pieces of
    a clip may have been moved. rivals: patterns that are taken off chunks first, by the second at which those begin.
    """
    expected = pattern_of(reader, known).conj()
    keyed = np.array(sorted(start for start in starts if start != BLIND), dtype=np.int64)
    scored = []
    for trace in traces:
        line = _without(trace.values, (rivals or {}).get(float(trace.begins[0]))) @ expected
        middle = (trace.begins + trace.ends) / 2
        if len(keyed):
            signs = reader.sequence.amplitudes(middle, keyed, 0.0)
            turned = line * signs[int((signs @ line.real).argmax())]
        else:
            turned = line * np.sign(line.real)
        window = min(_SMOOTHING_STEPS, len(line))
        smooth = np.convolve(turned, np.ones(window), "same")
        noise = float(np.sqrt(window * (turned.imag**2).mean()))  # the quadrature holds the same noise, no watermark
        altogether = float(turned.real.sum()) / max(float(np.sqrt((turned.imag**2).sum())), 1e-12)
        scored.append(ChunkScore(trace, smooth.real / max(noise, 1e-12), altogether))
    return tuple(scored)


def pattern_of(reader: KeyReader, known: _Known) -> np.ndarray:
    """Return complex64 (368,): the harmonics of an id, without the pilot: every id of the key has that."""
    pattern = reader.tile.coefficients(known.watermark_id, known.nonce).astype(np.complex64)
    pattern[reader.tile.pilots] = 0
    return pattern


def rivals_of(
    number: int,
    scored: Sequence[Sequence[ChunkScore]],
    patterns: Sequence[np.ndarray],
    strongest: Sequence[int],
) -> dict[float, np.ndarray]:
    """Return, for the chunks that another id than `number` fits best, that one's pattern.

    strongest: of `strongest_of`.
    """
    own = scored[number]
    return {own[place].begins: patterns[best] for place, best in enumerate(strongest) if best != number}


def strongest_of(scored: Sequence[Sequence[ChunkScore]]) -> list[int]:
    """Return, for each chunk, the number of the id that fits it best."""
    levels = np.array([[one.level for one in scores] for scores in scored])
    return [int(best) for best in levels.argmax(axis=0)] if levels.size else []


def _without(values: np.ndarray, pattern: np.ndarray | None) -> np.ndarray:
    """Take a pattern off each moment (steps, 368), ring by ring of radius: fine detail may have become weaker."""
    if pattern is None:
        return values
    ring = rings()[0]
    belongs = (ring[:, None] == np.arange(ring.max() + 1)).astype(np.float32)
    power = np.maximum((np.abs(pattern) ** 2) @ belongs, 1e-30)
    shares = (values * pattern.conj()) @ belongs / power
    return np.asarray(values - (shares @ belongs.T) * pattern)


def clearest_of(scored: Iterable[Sequence[ChunkScore]]) -> dict[float, float]:
    """Return, for each chunk that begins at some second, the level of the id that fits it best."""
    clearest: dict[float, float] = {}
    for scores in scored:
        for one in scores:
            clearest[one.begins] = max(clearest.get(one.begins, 0.0), one.level)
    return clearest


def spans_of(scores: Sequence[ChunkScore], clearest: Mapping[float, float]) -> tuple[Span, ...]:
    """Return the stretches, in seconds, in which a known id stands out, in order.

    clearest: of `clearest_of`, over all ids that were found.
    """
    apart = [one for one in scores if one.level >= _BESIDE * clearest.get(one.begins, 0.0)]
    if not apart:
        apart = [max(scores, key=lambda one: one.level)] if scores else []
    if max((one.level for one in apart), default=0.0) < _CLEAR:  # no chunk can show it moment by moment
        alone = [one for one in apart if one.altogether >= _PRESENT_ALTOGETHER]
        return _merged([(one.begins, one.ends) for one in alone or apart])
    return _merged([piece for one in apart for piece in _marked_steps(one)])


def _marked_steps(one: ChunkScore) -> list[Span]:
    """Return the steps of a chunk that stand out; where single moments cannot be told apart, all of them or none.

    A step counts as unmarked only where a clear watermark breaks off: a weak moment is no evidence of absence.
    """
    is_short = len(one.moments) < _FEW_STEPS  # chance alone may look clear there
    if is_short and one.altogether < _PRESENT_ALTOGETHER:
        return []
    if 0.8 * _PRESENT <= one.level < _CLEAR:
        return [(one.begins, one.ends)] if one.altogether >= _PRESENT_ALTOGETHER else []
    steps = np.flatnonzero(one.moments >= max(_PRESENT, _EDGE * one.level))
    pieces = [(float(one.trace.begins[i]), float(one.trace.ends[i])) for i in steps]
    before = [(one.begins, one.begins)] if pieces and pieces[0][0] - one.begins <= _MARGIN_SECONDS else []
    after = [(one.ends, one.ends)] if pieces and one.ends - pieces[-1][1] <= _MARGIN_SECONDS else []
    return [*before, *pieces, *after]


def _merged(pieces: list[Span]) -> tuple[Span, ...]:
    spans: list[Span] = []
    for begin, end in pieces:
        if spans and begin - spans[-1][1] <= _BRIDGE_SECONDS:
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
        else:
            spans.append((begin, end))
    return tuple(spans)
