"""Which seconds carry a known id: correlation with all its harmonics, a moment at a time.

Where one id of a key ends another may begin: the moments of a chunk are shared out among the ids that are in it, by the
likeliest path through them (Viterbi 1967). Two ids have a moment in common only where both are strong there.
"""

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
_CLEAR = 7.0  # standard deviations
_PRESENT_ALTOGETHER = 4.5
_FEW_STEPS = 12
_BESIDE = 0.1  # of the clearest id of a chunk: as much may be left of its resemblance to another one
_WEAK = 0.5  # of the usual score: what a marked moment is taken for, since content hides much of it in some
_CHANGE = 10.0  # nats that speak for another id, or none, before it is believed
_TRUSTED = 6.0  # a step's usual score is taken for no more than this: what content does to it grows with it
_BOTH = 0.5  # of its own usual score, and of the other id's: so much for two ids at once
_MEAN_MAGNITUDE = float(np.sqrt(2 / np.pi))  # of noise of one standard deviation
_BRIDGE_SECONDS = 1.0
_MARGIN_SECONDS = 0.5  # at the ends of a chunk: encoders save on what comes before a cut


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

    steps: float64 (steps,), each by itself, around 0 where nothing is marked. noise: their standard deviation there, in
    the trace's unit. altogether: over all of the chunk.
    """

    trace: Trace
    steps: np.ndarray
    noise: float = 1.0

    @property
    def altogether(self) -> float:
        """The score over all of the chunk."""
        return float(self.steps.sum()) / float(np.sqrt(len(self.steps)))

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
        noise = max(float(np.sqrt((turned.imag**2).mean())), 1e-12)  # the quadrature has the same, and no watermark
        usual_of_chance = 0.0 if len(keyed) else _MEAN_MAGNITUDE  # where signs are not known, each step chose its own
        scored.append(ChunkScore(trace, turned.real / noise - usual_of_chance, noise))
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
    that were found. An id that stands out in chunks where others are always stronger has those; one that stands out
    nowhere was read from all chunks together, and has those in which no other one is clearer by far.
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
            whole = [one for one in apart if one.stands_out] or apart or [max(scores, key=lambda one: one.level)]
            own += [(one.begins, one.ends) for one in whole]
    return [_merged(own) for own in pieces]


def _is_apart(one: ChunkScore, clearest: Mapping[float, float]) -> bool:
    return one.level >= _BESIDE * clearest.get(one.begins, 0.0)


def shared_out(scores: Sequence[ChunkScore]) -> list[np.ndarray]:
    """Return, for each id that is in a chunk, which steps are its own: bool (steps,).

    One id has a step, or none; several have it where the fainter ones are too strong to be a resemblance. The ends of
    the chunk, mostly cuts, go with what is near.
    """
    if not scores:
        return []
    steps, usual = _in_one_unit(scores)
    for_each = _WEAK * usual * np.maximum(steps, 0.0) - (_WEAK * usual) ** 2 / 2
    gains = np.concatenate([np.zeros((len(steps), 1)), for_each], axis=1)
    winner = likeliest_path(gains, _CHANGE)
    owned = []
    for place, one in enumerate(scores):
        own = winner == place + 1
        if len(scores) > 1 and not own.all():
            alone = likeliest_path(gains[:, [0, place + 1]], _CHANGE) == 1
            own |= _beside_others(alone, winner, place, steps, float(usual[place]))
        on = np.flatnonzero(own)
        if len(on):
            first, last = int(on[0]), int(on[-1])
            if one.trace.begins[first] - one.begins <= _MARGIN_SECONDS and not winner[:first].any():
                own[:first] = True
            if one.ends - one.trace.ends[last] <= _MARGIN_SECONDS and not winner[last + 1 :].any():
                own[last + 1 :] = True
        owned.append(own)
    return owned


def _in_one_unit(scores: Sequence[ChunkScore]) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores that can be compared, float64 (steps, ids), and what is usual for each id, (ids,).

    The noise of a strong id holds the others; that of a faint one does not, since the strong one was taken off first.
    """
    noises = np.array([one.noise for one in scores])
    units = noises / noises.min()
    usual = np.array([one.step_level for one in scores]) * units
    trusted = min(1.0, _TRUSTED / max(float(usual.max()), 1e-12))
    steps = np.stack([one.steps for one in scores], axis=1) * units
    return steps * trusted, usual * trusted


def _beside_others(alone: np.ndarray, winner: np.ndarray, place: int, steps: np.ndarray, usual: float) -> np.ndarray:
    """Return the stretches that an id would have by itself, and holds although others have a second or more of them:
    bool (steps,).

    alone: bool (steps,), what it would have. winner: of `shared_out`. steps: of `_in_one_unit`. usual: the id's own.
    """
    both = np.zeros(len(alone), dtype=bool)
    contested = alone & (winner > 0) & (winner != place + 1)
    edges = np.flatnonzero(np.diff(alone, prepend=False, append=False))
    for begin, end in edges.reshape(-1, 2).tolist():
        here = np.flatnonzero(contested[begin:end]) + begin
        if len(here) >= min(_SMOOTHING_STEPS, len(alone)):
            theirs = steps[here, winner[here] - 1].mean()
            both[begin:end] = steps[here, place].mean() >= _BOTH * max(theirs, usual)
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
    for begin, end in sorted(pieces):
        if spans and begin - spans[-1][1] <= _BRIDGE_SECONDS:
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
        else:
            spans.append((begin, end))
    return tuple(spans)
