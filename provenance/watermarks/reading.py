"""Reading the pixel watermark under one key, once geometry is given: sum over time, find the start, test, decode.

Sums over time are linear and small, so that they can be added up over a whole file. The start in the sign sequence is
chosen by the pilot or the nonce, the nonce by its own harmonics alone: verification chooses nothing, as its p-value
requires.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from provenance.keys import KeyStream
from provenance.watermarks import payload, statistics
from provenance.watermarks.chunk import Geometry, View
from provenance.watermarks.front import rings
from provenance.watermarks.sync import STARTS, SignSequence
from provenance.watermarks.tile import PILOT_POWER, SECTORS, Tile, harmonics

_RINGS = int(rings()[0].max()) + 1
_SMOOTHING_SECONDS = 0.1
FRONTS = ("whitened", "centred", "both")
BLIND = STARTS
"""The row of `Sums` whose signs over time were estimated from the pilot instead of taken from the sequence."""


@dataclass(frozen=True, eq=False)
class Sums:
    """Sums over time for every possible start, and their noise: additive over stretches of time.

    values: complex64 (2, 257, 368): by filter, start (the last row has blind signs), harmonic.
    noise: float64 (2, 257, rings): expected squared magnitude by ring of radius, measured off the lattice.
    """

    values: np.ndarray
    noise: np.ndarray

    def __add__(self, other: Sums) -> Sums:
        return Sums(self.values + other.values, self.noise + other.noise)

    def row(self, front: str, start: int) -> tuple[np.ndarray, np.ndarray]:
        """Return complex (368,) values and float (368,) noise power of one front end and start."""
        if front == "both":
            unit = np.maximum(self.noise[:, start].mean(axis=-1, keepdims=True), 1e-30)
            values = (self.values[:, start] / np.sqrt(unit)).sum(axis=0)
            return values, (self.noise[:, start] / unit).sum(axis=0)[rings()[0]]
        which = FRONTS.index(front)
        return self.values[which, start], self.noise[which, start][rings()[0]]


@dataclass(frozen=True)
class Trial:
    """One verification and what came of it.

    verification_log10_p: of this one test, before any search is counted.
    candidate: the id, when the gate opened and a tag verified.
    """

    start: int
    front: str
    nonce: int
    verification_log10_p: float
    candidate: payload.Candidate | None


def _apart(scores: np.ndarray, chosen: Sequence[int], count: int) -> list[int]:
    """Return `chosen` and the best other starts, `count` in all, no two of them neighbours."""
    found = list(chosen)
    for start in np.argsort(-scores, kind="stable"):
        if len(found) == count:
            break
        if all(min((start - other) % STARTS, (other - start) % STARTS) > 1 for other in found):
            found.append(int(start))
    return found


def _level(values: np.ndarray, noise: np.ndarray, places: np.ndarray, phases: np.ndarray) -> float:
    """Return the amplitude of harmonics of known phase."""
    weight = 1 / noise[places]
    return float(((values[places] * np.exp(-1j * phases)).real * weight).sum() / weight.sum())


def real_product(rows: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Real (n, time) @ complex64 (time, m), at the cost of real products."""
    return np.asarray((rows @ values.view(np.float32)).view(np.complex64))


@lru_cache
def _ring_means() -> np.ndarray:
    """Float32 (off-lattice points, rings): averages over the points of each ring."""
    belongs = (rings()[1][:, None] == np.arange(_RINGS)).astype(np.float32)
    return np.asarray(belongs / belongs.sum(axis=0))


@dataclass(frozen=True)
class KeyReader:
    """Reads under one key."""

    stream: KeyStream

    @cached_property
    def tile(self) -> Tile:
        """The keyed layout of the harmonics."""
        return Tile(self.stream)

    @cached_property
    def sequence(self) -> SignSequence:
        """The keyed signs over time."""
        return SignSequence(self.stream)

    @cached_property
    def _pilot_turn(self) -> np.ndarray:
        return np.exp(-1j * self.tile.pilot_phases).astype(np.complex64)

    @cached_property
    def _nonce_turns(self) -> np.ndarray:
        return np.exp(-1j * self.tile.nonce_phases).astype(np.complex64)

    def sums(self, view: View) -> Sums:
        """Return the sums of one chunk under one geometry for all starts."""
        signs = self.sequence.amplitudes(view.chunk.times, np.arange(STARTS), view.chunk.frame_rate)
        values, noise = [], []
        for on, off in view.filtered:
            rows = np.vstack([signs, self._blind_signs(view, on)])
            values.append(real_product(rows, on))
            noise.append(np.abs(real_product(rows, off)) ** 2 @ _ring_means())
        return Sums(np.stack(values), np.stack(noise).astype(np.float64))

    def _blind_signs(self, view: View, filtered: np.ndarray) -> np.ndarray:
        """Estimate the signed amplitude of each frame, float32 (time,) in [-1, 1], from the pilot lines."""
        lines = (filtered[:, self.tile.pilots] * self._pilot_turn).real.sum(axis=1)
        lags = (view.chunk.times[:, None] - view.chunk.times[None, :]) / _SMOOTHING_SECONDS
        smooth = np.exp(-(lags**2) / 2) @ lines
        return np.tanh(1.5 * smooth / max(float(np.sqrt((smooth**2).mean())), 1e-12)).astype(np.float32)

    def pilot_scores(self, sums: Sums) -> np.ndarray:
        """Return float64 (2, 257): by filter and start, the pilot's correlation in standard deviations, near enough.

        All starts share one noise level: each one's own would hold leakage of the watermark and level out the scores.
        """
        pilots = self.tile.pilots
        noise = np.median(sums.noise, axis=1, keepdims=True)[..., rings()[0][pilots]]
        lines = (sums.values[..., pilots] * self._pilot_turn).real
        weight = 1 / np.maximum(noise, 1e-30)
        return np.asarray((lines * weight).sum(axis=-1) / np.sqrt(weight.sum(axis=-1) / 2))

    def starts(self, sums: Sums, count: int) -> list[int]:
        """Return the most likely starts, best first, no two of them neighbours, and then the blind row.

        The last of several is the likeliest by the nonce: every clip of a key has the same pilot, so that an attacker
        with many clips can take the pilot out, and nothing else.
        """
        by_pilot = self.pilot_scores(sums)[:, :STARTS].sum(axis=0)
        chosen = _apart(by_pilot, [], max(1, count - 1))
        return [*(chosen if count == 1 else _apart(self._nonce_scores(sums), chosen, count)), BLIND]

    def _nonce_scores(self, sums: Sums) -> np.ndarray:
        """Return float64 (256,): by start, how well the nonce that fits best does so, in standard deviations."""
        places = self.tile.nonce_places
        noise = np.median(sums.noise, axis=1, keepdims=True)[..., rings()[0][places]]
        lines = (sums.values[:, :STARTS, places] / np.maximum(noise, 1e-30)).sum(axis=0).astype(np.complex64)
        return np.asarray((lines @ self._nonce_turns.T).real.max(axis=1), dtype=np.float64)

    def nonces(self, values: np.ndarray, noise: np.ndarray, count: int) -> np.ndarray:
        """Return int64 (count,): the nonces whose sequences fit best, by their own harmonics alone."""
        places = self.tile.nonce_places
        scores = (self._nonce_turns @ (values[places] / noise[places]).astype(np.complex64)).real
        return np.argsort(-scores, kind="stable")[:count]

    def verify(self, values: np.ndarray, noise: np.ndarray, nonces: np.ndarray) -> np.ndarray:
        """Return float64 (nonces,): log10 of the chance that known phases fit this well."""
        places = self.tile.verification_places
        return statistics.log10_phase_sum_tail(values[places] / noise[places], self.tile.verification_phases(nonces))

    def passes_gate(self, values: np.ndarray, off: np.ndarray, nonces: int) -> bool:
        """Whether any of the likeliest nonces verifies on one row of harmonics (368,), given off-lattice points."""
        noise = (np.abs(off) ** 2 @ _ring_means())[rings()[0]]
        noise = np.maximum(noise, max(float(noise.max()) * 1e-6, 1e-30))
        chances = self.verify(values, noise, self.nonces(values, noise, nonces))
        return bool(chances.min() <= math.log10(statistics.GATE))

    def soft_signs(self, values: np.ndarray, noise: np.ndarray, nonce: int) -> np.ndarray:
        """Return float64 (512,): log-likelihood ratios of the coded signs, the nonce's mask taken off.

        A complex value a (s1 + i s2) / sqrt(2) in noise of power n gives 2 sqrt(2) a Re(y) / n for s1. The amplitude a
        is what the pilot shows, or verification where the pilot was taken out.
        """
        places = self.tile.payload_places
        others = len(harmonics()) - SECTORS
        by_pilot = _level(values, noise, self.tile.pilots, self.tile.pilot_phases)
        by_pilot *= math.sqrt((1 - PILOT_POWER) / others / (PILOT_POWER / SECTORS))
        known = self.tile.verification_places, self.tile.verification_phases(nonce)
        amplitude = max(by_pilot, _level(values, noise, *known), 0.0)
        scaled = 2 * math.sqrt(2) * amplitude * values[places] / noise[places]
        soft = np.stack([scaled.real, scaled.imag], axis=1).ravel()
        return np.asarray(soft * self.tile.payload_signs(nonce), dtype=np.float64)

    def fits(self, sums: Sums, watermark_id: int, nonce: int) -> np.ndarray:
        """Return float64 (257,): how well each start (and the blind row) fits a known id, by all its harmonics."""
        noise = np.median(sums.noise, axis=1, keepdims=True)[..., rings()[0]]
        expected = self.tile.coefficients(watermark_id, nonce).conj()
        fit = sums.values[0] / np.maximum(noise[0], 1e-30) @ expected  # whitened: no few frames decide
        return np.asarray(fit.real, dtype=np.float64)

    def try_row(self, sums: Sums, start: int, front: str, nonces: int, known: frozenset[int]) -> list[Trial]:
        """Test the likeliest nonces on one row of the sums; behind the gate, decode all but those that are known."""
        values, noise = sums.row(front, start)
        noise = np.maximum(noise, max(float(noise.max()) * 1e-6, 1e-30))
        likely = self.nonces(values, noise, nonces)
        chances = self.verify(values, noise, likely)
        trials = []
        for nonce, chance in zip(likely.tolist(), chances.tolist(), strict=True):
            is_open = chance <= math.log10(statistics.GATE) and nonce not in known
            candidate = self._decode(values, noise, nonce) if is_open else None
            trials.append(Trial(start, front, nonce, chance, candidate))
        return trials

    def _decode(self, values: np.ndarray, noise: np.ndarray, nonce: int) -> payload.Candidate | None:
        found = payload.decode(self.soft_signs(values, noise, nonce), self.stream)
        return found[0] if found else None


__all__ = ["BLIND", "FRONTS", "Geometry", "KeyReader", "Sums", "Trial", "real_product"]
