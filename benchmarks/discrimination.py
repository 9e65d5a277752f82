"""How well out-of-fold scores tell two classes apart when every pair of clips has its own model.

A generated clip and a filmed clip are compared under the one model that saw neither of their folds, so the area under
the ROC curve is a weighted share of pairs. Figures that need one list of scores (precision, rates at a threshold,
calibration) take every clip once per model that did not see it, weighted down accordingly, and both classes weigh
the same.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.metrics import Estimate, bootstrap

Values = NDArray[np.float64]


@dataclass(frozen=True)
class CrossScores:
    """Scores of clips by models of five times five folds."""

    scores: Values
    """(clips, 5): of a generated clip by camera fold held out with its own, of a filmed clip by AI fold; NaN: none."""
    generated: NDArray[np.bool_]
    """(clips,)."""
    fold: NDArray[np.intp]
    """(clips,) 0 to 4."""
    weights: Values
    """(clips,) above 0."""
    levels: tuple[tuple[Hashable, ...], ...]
    """Groups for the bootstrap, outermost first, each (clips,)."""

    def subset(self, chosen: NDArray[np.bool_]) -> CrossScores:
        """Only some of the clips."""
        index = np.flatnonzero(chosen)
        levels = tuple(tuple(level[i] for i in index) for level in self.levels)
        return CrossScores(self.scores[index], self.generated[index], self.fold[index], self.weights[index], levels)

    @property
    def coverage(self) -> float:
        """Share of the weight of clips that have scores."""
        known = np.isfinite(self.scores).any(axis=1)
        return float(self.weights[known].sum() / self.weights.sum())


@dataclass(frozen=True)
class Pairs:
    """Which clip of each pair (generated, filmed) has the higher score."""

    won: Values
    """(generated, filmed): 1 the generated one, 0 the filmed one, 1/2 a tie; NaN where one of them has no score."""
    generated: NDArray[np.intp]
    """Index of the rows in the sample."""
    filmed: NDArray[np.intp]
    """Index of the columns in the sample."""


def pairs_of(cross: CrossScores) -> Pairs:
    """Every generated clip against every filmed one, under the model that saw neither."""
    generated, filmed = np.flatnonzero(cross.generated), np.flatnonzero(~cross.generated)
    a = cross.scores[generated][:, cross.fold[filmed]]
    b = cross.scores[filmed][:, cross.fold[generated]].T
    won = np.where(a > b, 1.0, np.where(a == b, 0.5, 0.0))
    return Pairs(np.where(np.isfinite(a) & np.isfinite(b), won, np.nan), generated, filmed)


def pair_area(cross: CrossScores, only: NDArray[np.bool_] | None = None, draws: int = 400) -> Estimate:
    """Weighted area under the ROC curve over pairs, with its hierarchical bootstrap interval.

    `only` (generated, filmed) restricts the pairs that count, to matched ones for instance.
    """
    area, everything = _area_of(cross, only), np.arange(len(cross.generated))
    interval = bootstrap(area, cross.levels, strata=cross.generated.tolist(), draws=draws)
    return Estimate(area(everything), interval, len(everything), cross.coverage)


def pair_area_value(cross: CrossScores) -> float:
    """The same area without its interval."""
    return _area_of(cross, None)(np.arange(len(cross.generated)))


def _area_of(cross: CrossScores, only: NDArray[np.bool_] | None) -> Callable[[NDArray[np.intp]], float]:
    """Index array into the sample, with repetitions -> weighted share of pairs in the right order."""
    pairs = pairs_of(cross)
    counts = np.isfinite(pairs.won) & (only if only is not None else True)
    won, valid = np.where(counts, pairs.won, 0.0), counts.astype(float)

    def area(index: NDArray[np.intp]) -> float:
        weights = cross.weights * np.bincount(index, minlength=len(cross.generated))
        a, b = weights[pairs.generated], weights[pairs.filmed]
        total = a @ valid @ b
        return float(a @ won @ b / total) if total > 0 else float("nan")

    return area


@dataclass(frozen=True)
class PooledScores:
    """All scores of all clips as one list, both classes weighing 1/2."""

    scores: Values
    generated: NDArray[np.bool_]
    weights: Values

    @classmethod
    def of(cls, cross: CrossScores) -> PooledScores:
        """Each clip as often as there are models that did not see it."""
        known = np.isfinite(cross.scores)
        share = np.where(known, cross.weights[:, None] / np.maximum(known.sum(axis=1, keepdims=True), 1), 0.0)
        truth = np.broadcast_to(cross.generated[:, None], known.shape)[known]
        weights = share[known]
        weights = np.where(truth, weights / weights[truth].sum(), weights / weights[~truth].sum()) / 2
        return cls(cross.scores[known], truth, weights)

    def average_precision(self) -> float:
        """Mean precision over the recall of generated clips, at even prior."""
        order = np.argsort(-self.scores, kind="stable")
        found = np.cumsum(np.where(self.generated[order], self.weights[order], 0.0))
        last_of_tie = np.append(np.diff(self.scores[order]) != 0, True)
        found, named = found[last_of_tie], np.cumsum(self.weights[order])[last_of_tie]
        return float((np.diff(found, prepend=0.0) * found / named).sum() / found[-1])

    def detection_rate(self, false_alarms: float) -> float:
        """Share of generated clips above the threshold that so many filmed clips pass."""
        filmed = self.scores[~self.generated]
        order = np.argsort(-filmed)
        passed = np.cumsum(self.weights[~self.generated][order]) * 2
        threshold = filmed[order][min(int(np.searchsorted(passed, false_alarms, side="right")), len(filmed) - 1)]
        return float(2 * self.weights[self.generated & (self.scores > threshold)].sum())

    def calibration_error(self, bins: int = 10) -> float:
        """Expected calibration error of log-likelihood ratios at even prior (Naeini et al., AAAI 2015)."""
        chance = 1 / (1 + np.exp(-np.clip(self.scores, -60, 60)))
        place = np.minimum((chance * bins).astype(int), bins - 1)
        truth = np.where(self.generated, self.weights, 0.0)
        gaps = [abs(float((truth - chance * self.weights)[place == k].sum())) for k in range(bins)]
        return float(sum(gaps))
