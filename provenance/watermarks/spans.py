"""Which seconds carry a known id: correlation with all its harmonics, a moment at a time.

A moment holds one id of a key, and where one ends another may begin: the moments of a chunk are shared out among the
ids that were found as a whole, by the likeliest path through them (Viterbi 1967).
"""

from __future__ import annotations

import itertools
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
_CLEAR = 7.0  # standard deviations
_PRESENT_ALTOGETHER = 4.5
_FEW_STEPS = 12
_BESIDE = 0.1  # of the clearest id of a chunk: as much may be left of its resemblance to another one
_WEAK = 0.5  # of the usual score: what a marked moment is taken for, since content hides much of it in some
_CHANGE = 10.0  # nats that speak for another id, or none, before it is believed
_AGAINST = 4.0  # nats: no single step says more against an id, since content hides it from time to time
_BOTH = 0.5  # of its own usual score, and of the other id's: so much for two ids at once
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

    steps: float64 (steps,), each by itself. altogether: over all of the chunk.
    """

    trace: Trace
    steps: np.ndarray
    altogether: float

    @property
    def begins(self) -> float:
        """Seconds: names the chunk."""
        return float(self.trace.begins[0])

    @property
    def ends(self) -> float:
        """Seconds."""
        return float(self.trace.ends[-1])

    @property
    def _smoothed(self) -> int:
        return min(_SMOOTHING_STEPS, len(self.steps))

    @cached_property
    def level(self) -> float:
        """The usual score of marked moments of about a second, near enough."""
        moments = np.convolve(self.steps, np.ones(self._smoothed), "same") / np.sqrt(self._smoothed)
        return 0.8 * float(moments.max())

    @property
    def step_level(self) -> float:
        """The usual score of single steps that are marked."""
        return self.level / float(np.sqrt(self._smoothed))

    @property
    def gains(self) -> np.ndarray:
        """How far each step speaks for the id, in nats: float64 (steps,)."""
        usual = _WEAK * self.step_level
        return np.maximum(usual * np.maximum(self.steps, 0.0) - usual**2 / 2, -_AGAINST)

    @property
    def stands_out(self) -> bool:
        """Whether the id is in this chunk, by all of it, or by single moments where there are enough of them."""
        clear = len(self.steps) >= _FEW_STEPS and self.level >= _CLEAR  # of few, chance alone may make one clear
        return clear or self.altogether >= _PRESENT_ALTOGETHER


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
        noise = float(np.sqrt((turned.imag**2).mean()))  # the quadrature holds the same noise, no watermark
        steps = turned.real / max(noise, 1e-12)
        scored.append(ChunkScore(trace, steps, float(steps.sum()) / float(np.sqrt(len(steps)))))
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


def spans_of(scored: Sequence[Sequence[ChunkScore]], clearest: Mapping[float, float]) -> list[tuple[Span, ...]]:
    """Return, for each id of one key, the stretches in seconds in which it stands out, in order.

    scored: for each id, its score of every chunk, the same chunks for all. clearest: of `clearest_of`, over all ids
    that were found. An id that stands out nowhere was read from all chunks together, and has those in which no other
    one is clearer by far.
    """
    pieces: list[list[Span]] = [[] for _ in scored]
    for chunk in zip(*scored, strict=True):
        here = [number for number, one in enumerate(chunk) if one.stands_out and _is_apart(one, clearest)]
        for number, is_marked in zip(here, shared_out([chunk[number] for number in here]), strict=True):
            trace = chunk[number].trace
            pieces[number] += [(float(trace.begins[i]), float(trace.ends[i])) for i in np.flatnonzero(is_marked)]
    for scores, own in zip(scored, pieces, strict=True):
        if not own and scores:
            apart = [one for one in scores if _is_apart(one, clearest)]
            own += [(one.begins, one.ends) for one in apart or [max(scores, key=lambda one: one.level)]]
    return [_merged(own) for own in pieces]


def _is_apart(one: ChunkScore, clearest: Mapping[float, float]) -> bool:
    return one.level >= _BESIDE * clearest.get(one.begins, 0.0)


def shared_out(scores: Sequence[ChunkScore]) -> list[np.ndarray]:
    """Return, for each id that is in a chunk, which steps are its own: bool (steps,).

    One id has a step, or none; two have it where the fainter is too strong to be a resemblance. The ends of the chunk,
    mostly cuts, go with what is near: an encoder saves on what comes before a cut.
    """
    if not scores:
        return []
    gains = np.stack([np.zeros(len(scores[0].steps)), *(one.gains for one in scores)], axis=1)
    winner = likeliest_path(gains, _CHANGE)
    owned = []
    for number, one in enumerate(scores, 1):
        own = winner == number
        if len(scores) > 1:
            alone = likeliest_path(gains[:, [0, number]], _CHANGE) == 1
            own |= _beside_others(alone, winner, number, scores)
        steps = np.flatnonzero(own)
        if len(steps):
            first, last = int(steps[0]), int(steps[-1])
            if one.trace.begins[first] - one.begins <= _MARGIN_SECONDS and not winner[:first].any():
                own[:first] = True
            if one.ends - one.trace.ends[last] <= _MARGIN_SECONDS and not winner[last + 1 :].any():
                own[last + 1 :] = True
        owned.append(own)
    return owned


def _beside_others(alone: np.ndarray, winner: np.ndarray, number: int, scores: Sequence[ChunkScore]) -> np.ndarray:
    """Return the steps, about a second at least, that an id would have by itself, another one has, and both hold: bool
    (steps,).
    """
    both = np.zeros(len(alone), dtype=bool)
    contested = np.where(alone & (winner != number), winner, 0)
    edges = np.flatnonzero(np.diff(contested, prepend=0, append=0))
    for begin, end in itertools.pairwise(edges.tolist()):
        other = int(contested[begin])
        if other and end - begin >= min(_SMOOTHING_STEPS, len(alone)):
            run = slice(begin, end)
            theirs, own = scores[other - 1].steps[run].mean(), scores[number - 1].steps[run].mean()
            both[run] = own >= _BOTH * max(theirs, scores[number - 1].step_level)
    return both


def likeliest_path(gains: np.ndarray, change: float) -> np.ndarray:
    """Return the states, int64 (steps,), whose gains (steps, states) sum to most when each change costs `change`."""
    total = gains[0].copy()
    states = np.arange(gains.shape[1])
    came_from = np.zeros(gains.shape, dtype=np.int64)
    for step in range(1, len(gains)):
        best = int(total.argmax())
        came_from[step] = np.where(total >= total[best] - change, states, best)
        total = np.maximum(total, total[best] - change) + gains[step]
    path = np.empty(len(gains), dtype=np.int64)
    path[-1] = total.argmax()
    for step in range(len(gains) - 1, 0, -1):
        path[step - 1] = came_from[step, path[step]]
    return path


def _merged(pieces: list[Span]) -> tuple[Span, ...]:
    spans: list[Span] = []
    for begin, end in pieces:
        if spans and begin - spans[-1][1] <= _BRIDGE_SECONDS:
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
        else:
            spans.append((begin, end))
    return tuple(spans)
