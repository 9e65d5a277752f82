"""Numbers over many trials of few clips: trials of one source are not independent, and intervals must say so."""

from __future__ import annotations

import functools
import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.metrics import CONFIDENCE, Estimate, Interval, Rate

NORMAL_QUANTILE = 1.959963984540054  # of (1 + CONFIDENCE) / 2
DRAWS = 2000


@dataclass(frozen=True)
class PooledRate(Rate):
    """A rate over several cells: `effective` is the number of independent trials that its interval rests on."""

    effective: float = 0.0

    @classmethod
    def pool(cls, outcomes: Sequence[bool | None], sources: Sequence[Hashable]) -> PooledRate:
        """Count outcomes (None: failed, a miss) whose trials hang together within each source.

        The effective number of trials is that of Kish, Survey Sampling (1965), section 8.2: all trials over the design
        effect, the variance of the share between sources over that of independent trials, at least 1. Where all
        trials agree there is no variance to compare and the number stays, as Parker et al., NCHS Vital and Health
        Statistics 2(175), 2017, have it.
        """
        plain = Rate.of(outcomes)
        effect = _design_effect(np.array([o is True for o in outcomes], dtype=float), sources)
        return cls(plain.hits, plain.trials, plain.failed, plain.trials / max(1.0, effect))

    @property
    def interval(self) -> Interval:
        """Wilson's 95 % interval at the effective number of trials (Dean and Pagano, J. Surv. Stat. Meth. 3, 2015)."""
        if not self.trials:
            return Interval(0.0, 1.0)
        square = NORMAL_QUANTILE**2 / self.effective
        middle = (self.share + square / 2) / (1 + square)
        half = math.sqrt(self.share * (1 - self.share) * square + square**2 / 4) / (1 + square)
        return Interval(max(0.0, middle - half), min(1.0, middle + half))


def _design_effect(hits: NDArray[np.float64], sources: Sequence[Hashable]) -> float:
    """Variance of the mean of `hits` (trials,) with whole sources drawn, over that with single trials drawn."""
    place, count = _places(sources)
    share = hits.mean() if len(hits) else 0.0
    if count < 2 or share in (0.0, 1.0):
        return 1.0
    residuals = np.bincount(place, weights=hits - share, minlength=count)
    return float(count / (count - 1) * np.square(residuals).sum() / (len(hits) * share * (1 - share)))


def pooled_mean(values: Sequence[float | None], sources: Sequence[Hashable]) -> Estimate:
    """Return the mean of what was measured, with its interval from drawing whole sources again.

    Values that are None or not finite lower the coverage. ValueError where nothing was measured.
    """
    filled = np.array([math.nan if value is None else value for value in values], dtype=float)
    known = np.isfinite(filled)
    if not known.any():
        raise ValueError("nothing was measured")
    place, count = _places([source for source, ok in zip(sources, known, strict=True) if ok])
    sums = np.bincount(place, weights=filled[known], minlength=count)
    sizes = np.bincount(place, minlength=count)
    drawn = _drawn(count)
    low, high = np.quantile((drawn @ sums) / (drawn @ sizes), [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Estimate(
        float(filled[known].mean()), Interval(float(low), float(high)), int(known.sum()), float(known.mean())
    )


def _places(sources: Sequence[Hashable]) -> tuple[NDArray[np.intp], int]:
    numbers: dict[Hashable, int] = {}
    place = np.array([numbers.setdefault(source, len(numbers)) for source in sources], dtype=np.intp)
    return place, len(numbers)


@functools.cache
def _drawn(count: int) -> NDArray[np.float64]:
    """How often each of `count` sources is drawn, (DRAWS, count); always the same draws."""
    return np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), DRAWS).astype(float)
