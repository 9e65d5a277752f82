"""What a table says about rows: rates, scores and their intervals, and how many trials stand behind them.

A trial that failed (unreadable clip, crash, time-out) stays in the denominator of a rate, as a miss, and lowers the
coverage that stands beside every number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest, kstest, poisson, rankdata

CONFIDENCE = 0.95

_Tree = np.ndarray | list  # indices of a sample, or branches that hold them


@dataclass(frozen=True)
class Interval:
    """The two ends of a confidence interval."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise ValueError(f"an interval goes upwards, not from {self.low} to {self.high}")


@dataclass(frozen=True)
class Rate:
    """A share of trials: `hits` of `trials`, of which `failed` could not be measured and count as misses."""

    hits: int
    trials: int
    failed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.hits <= self.trials - self.failed or self.failed < 0:
            raise ValueError(f"{self.hits} hits and {self.failed} failures do not fit into {self.trials} trials")

    @classmethod
    def of(cls, outcomes: Sequence[bool | None]) -> Rate:
        """Count outcomes: True a hit, False a miss, None a trial that failed."""
        return cls(sum(o is True for o in outcomes), len(outcomes), sum(o is None for o in outcomes))

    @property
    def share(self) -> float:
        """Hits over all trials, failures included; not a number when there were none."""
        return self.hits / self.trials if self.trials else float("nan")

    @property
    def coverage(self) -> float:
        """The share of trials that could be measured."""
        return 1 - self.failed / self.trials if self.trials else float("nan")

    @property
    def interval(self) -> Interval:
        """The 95 % interval of Wilson, JASA 22 (1927) 209, which keeps its level at shares near 0 and 1."""
        if not self.trials:
            return Interval(0.0, 1.0)
        bounds = binomtest(self.hits, self.trials).proportion_ci(CONFIDENCE, method="wilson")
        return Interval(float(bounds.low), float(bounds.high))

    def __str__(self) -> str:
        """Percent, interval and counts, as tables print them."""
        if not self.trials:
            return "not measured"
        interval = self.interval
        text = (
            f"{100 * self.share:.1f} % [{100 * interval.low:.1f}, {100 * interval.high:.1f}] {self.hits}/{self.trials}"
        )
        return text if not self.failed else f"{text}, coverage {_covered(self.coverage)} %"


def _covered(share: float) -> str:
    """A coverage in percent; never a round 100 where something is missing."""
    return f"{100 * share:.0f}" if share <= 0.995 else f"{math.floor(1000 * share) / 10:.1f}"


def super_uniform(log10_p: Sequence[float]) -> float:
    """Return how likely p-values that are no smaller than chance allows look as small: Kolmogorov and Smirnov's
    one-sided test of P(p <= x) <= x. A small one is a warning. ValueError without any.
    """
    if not log10_p:
        raise ValueError("there is no p-value to test")
    return float(kstest(np.power(10.0, log10_p), "uniform", alternative="greater").pvalue)


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval and what stands behind it."""

    value: float
    interval: Interval
    count: int
    coverage: float = 1.0

    def __str__(self) -> str:
        """Value, interval and sample size, as tables print them."""
        text = f"{self.value:.3g} [{self.interval.low:.3g}, {self.interval.high:.3g}] n={self.count}"
        return text if self.coverage == 1.0 else f"{text}, coverage {_covered(self.coverage)} %"


def bootstrap(
    statistic: Callable[[np.ndarray], float],
    groups: Sequence[Sequence[Hashable]],
    *,
    strata: Sequence[Hashable] | None = None,
    draws: int = 1000,
    seed: int = 0,
) -> Interval:
    """Return the 95 % percentile interval of a statistic under a hierarchical bootstrap; see `bootstrap_draws`."""
    return percentiles(bootstrap_draws(statistic, groups, strata=strata, draws=draws, seed=seed))


def percentiles(values: np.ndarray) -> Interval:
    """Return the interval that holds the central 95 % of a statistic's draws."""
    low, high = np.quantile(values, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Interval(float(low), float(high))


def bootstrap_draws(
    statistic: Callable[[np.ndarray], float],
    groups: Sequence[Sequence[Hashable]],
    *,
    strata: Sequence[Hashable] | None = None,
    draws: int = 1000,
    seed: int = 0,
) -> np.ndarray:
    """Return a statistic of resamples of a hierarchical bootstrap: float64 (draws,), fewer where draws fail.

    statistic: index array into the sample, with repetitions -> a number; draws where it raises ValueError or is not
        a number (a resample without one class) are drawn again, at most as many times over.
    groups: one row per level, outermost first, each as long as the sample: for instance (sources, recordings, clips).
        Every level is resampled with replacement inside its parent (Davison and Hinkley 1997, section 3.8).
    strata: parts of the sample that are resampled apart, such as the two classes of a ROC curve.
    """
    names = [[str(name) for name in level] for level in groups]
    parts: dict[Hashable, list[int]] = {}
    for member in range(len(names[0])):
        parts.setdefault(strata[member] if strata is not None else None, []).append(member)
    trees = [_tree(names, members) for members in parts.values()]
    random = np.random.default_rng(seed)
    values: list[float] = []
    for _ in range(2 * draws):
        index = np.concatenate([_resample(tree, random) for tree in trees])
        try:
            value = statistic(index)
        except ValueError:
            continue
        if np.isfinite(value):
            values.append(value)
        if len(values) == draws:
            break
    if not values:
        raise ValueError("the statistic could not be computed on any resample")
    return np.array(values)


def _tree(levels: list[list[str]], members: list[int]) -> _Tree:
    if not levels:
        return np.array(members)
    branches: dict[str, list[int]] = {}
    for member in members:
        branches.setdefault(levels[0][member], []).append(member)
    if len(branches) == len(members):
        return np.array(members)
    return [_tree(levels[1:], branch) for branch in branches.values()]


def _resample(tree: _Tree, random: np.random.Generator) -> np.ndarray:
    picks = random.integers(0, len(tree), len(tree))
    if isinstance(tree, np.ndarray):
        return tree[picks]
    return np.concatenate([_resample(tree[pick], random) for pick in picks])


def mean_estimate(
    values: Sequence[float | None],
    groups: Sequence[Hashable] | None = None,
    *,
    levels: Sequence[Sequence[Hashable]] | None = None,
) -> Estimate:
    """Return the mean of what could be measured, with its bootstrap interval.

    groups: one level of groups, as long as `values`; None: each value its own.
    levels: several levels instead, outermost first, for instance (lineages, sources, clips).
    """
    known = [i for i, value in enumerate(values) if value is not None and np.isfinite(value)]
    sample = np.array([values[i] for i in known], dtype=float)
    if not len(sample):
        raise ValueError("nothing was measured")
    if levels is None:
        levels = [groups if groups is not None else range(len(values))]
    names = [[level[i] for i in known] for level in levels]
    interval = bootstrap(lambda index: float(sample[index].mean()), names)
    return Estimate(float(sample.mean()), interval, len(sample), len(known) / len(values))


def paired_difference(
    a: Sequence[float | None], b: Sequence[float | None], groups: Sequence[Sequence[Hashable]]
) -> Estimate:
    """Return the mean of a - b over the same trials, under a hierarchical bootstrap of the pairs.

    a, b: values of the same trials, in the same order, of two watermarks, detectors or runs. A pair without both
        values lowers the coverage; where a failure has a worth (a miss, guessing), put that worth there instead.
    groups: levels, outermost first, each as long as `a`: for instance (lineages, sources, clips).
    """
    pairs = zip(a, b, strict=True)
    return mean_estimate([x - y if x is not None and y is not None else None for x, y in pairs], levels=groups)


def mcnemar(a: Sequence[bool | None], b: Sequence[bool | None]) -> float:
    """Return the exact two-sided p-value that two yes/no outcomes of the same trials are equally likely.

    McNemar, Psychometrika 12 (1947) 153, as a binomial test of the pairs that differ; 1 where none does. A trial that
    failed (None) is a miss, as in `Rate`. It takes trials as independent: where several come from one source, the
    interval of `paired_difference` is the honest one.
    """
    pairs = [(x is True, y is True) for x, y in zip(a, b, strict=True)]
    only_a, only_b = pairs.count((True, False)), pairs.count((False, True))
    if not only_a + only_b:
        return 1.0
    return float(binomtest(only_a, only_a + only_b).pvalue)


def bit_accuracy(bits_right: int | None, bits: int) -> float:
    """Return the share of message bits read right, 0 to 1; a reader that read none (None) counts as guessing, 1/2."""
    if bits_right is None:
        return 0.5
    if not 0 <= bits_right <= bits:
        raise ValueError(f"{bits_right} right bits do not fit into a message of {bits}")
    return bits_right / bits


def auc_estimate(
    scores: Sequence[float | None], positive: Sequence[bool], groups: Sequence[Hashable], *, draws: int = 1000
) -> Estimate:
    """Return the area under the ROC curve with its interval over groups (a generator's or camera's clips together).

    A clip without a score helps nobody: it ties with every clip of the other class. It lowers the coverage.
    """
    values = np.array([s if s is not None else np.nan for s in scores], dtype=float)
    truth = np.asarray(positive, dtype=bool)
    if not np.isfinite(values).any():
        raise ValueError("nothing was measured")
    if truth.all() or not truth.any():
        raise ValueError("one class is missing")

    def area(index: np.ndarray) -> float:
        return roc_area(values[index], truth[index])

    interval = bootstrap(area, [list(groups)], strata=truth.tolist(), draws=draws)
    return Estimate(area(np.arange(len(values))), interval, len(values), float(np.isfinite(values).mean()))


def roc_area(scores: np.ndarray, positive: np.ndarray) -> float:
    """Return the share of pairs (positive, negative) in the right order; ties, and pairs without a score, by half.

    Mann and Whitney, Ann. Math. Stat. 18 (1947) 50, from ranks. scores (n,) with NaN for none, positive (n,) bool.
    """
    known = np.isfinite(scores)
    both = int(positive.sum()) * int((~positive).sum())
    ranks, truth = rankdata(scores[known]), positive[known]
    count = int(truth.sum())
    pairs = count * (len(truth) - count)
    won = float(ranks[truth].sum()) - count * (count + 1) / 2
    return (won + (both - pairs) / 2) / both if both else float("nan")


def poisson_band(expected: float, confidence: float = 0.99) -> tuple[int, int]:
    """Return the smallest and largest count that a Poisson variable of this mean shows with central `confidence`.

    Garwood, Biometrika 28 (1936) 437, turned around: counts whose exact interval covers the mean.
    """
    tail = (1 - confidence) / 2
    return int(poisson.ppf(tail, expected)), int(poisson.isf(tail, expected))
