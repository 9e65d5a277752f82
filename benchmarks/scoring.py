"""How well one list of scores tells generated clips from filmed ones, and how honest its probabilities are.

A clip without a score stays in every denominator that it can stand in, and lowers the coverage beside the number:

* area under the ROC curve: it ties with every clip of the other class, as a coin would; putting it at any place among
  the scores, even at their middle, could win pairs.
* average precision, detection rate, ROC curve: nobody raises an alarm about it, so that a generated clip is missed and
  a filmed one is no false alarm. In these the area under the drawn curve may differ from `auc`.
* Brier score: a detector that says nothing has a log-likelihood ratio of 0.
* selective error: it is never decided, so that the curve ends at the coverage.
* calibration error and slope: left out, for silence would look well calibrated; the coverage says how many.

Classes weigh as they are in the sample, or both 1/2 with `even_prior`. Brier score, calibration and selective error
need log-likelihood ratios (natural logarithms, above 0: generated); with other scores they raise ValueError. Intervals
come from a hierarchical bootstrap over the levels, each class resampled apart.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn import config_context
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, brier_score_loss, roc_curve

from benchmarks.metrics import Estimate, Interval, Rate, bootstrap_draws, percentiles, roc_area

Values = NDArray[np.float64]
Truth = NDArray[np.bool_]
Index = NDArray[np.intp]

DRAWS = 400
BINS = 10
CLIPS_PER_BIN = 5


@dataclass(frozen=True)
class ReliabilityBin:
    """Clips of about one forecast."""

    forecast: float
    """Mean probability of being generated that the scores state, 0 to 1."""
    share: float
    """Share of generated clips among them, classes weighing as in the whole."""
    interval: Interval
    """Wilson's 95 % interval of the share, clips taken as independent."""
    count: int
    """Clips in the bin."""


@dataclass(frozen=True)
class SelectiveCurve:
    """Errors among the clips that are decided, most certain first."""

    coverage: Values
    """(points,) increasing: share of all clips that is decided, at most the share with scores."""
    error: Values
    """(points,): share of the decided that is called wrongly; a ratio of exactly 0 is half an error."""

    def at(self, coverage: float) -> float:
        """The error when at least this share of all clips is decided; ValueError where fewer have scores."""
        place = int(np.searchsorted(self.coverage, coverage - 1e-9))
        if place == len(self.coverage):
            raise ValueError(f"fewer than {100 * coverage:.0f} % of the clips have scores")
        return float(self.error[place])


@dataclass(frozen=True)
class LabelledScores:
    """One detector's scores of labelled clips."""

    scores: Values
    """(clips,): higher means generated; not finite: none, because the detector abstained or failed."""
    generated: Truth
    """(clips,): both classes must be there."""
    levels: tuple[tuple[Hashable, ...], ...]
    """Groups for the bootstrap, outermost first, each (clips,): lineages, sources, clips."""
    log_likelihood_ratios: bool = False
    """Whether the scores are natural log-likelihood ratios."""
    even_prior: bool = False
    """Whether both classes weigh 1/2, however many clips each has."""

    def __post_init__(self) -> None:
        if self.scores.shape != self.generated.shape or any(len(v) != len(self.scores) for v in self.levels):
            raise ValueError(f"scores, labels and levels differ in length: {self.scores.shape} {self.generated.shape}")
        if not self.generated.any() or self.generated.all():
            raise ValueError("one class is missing")

    @classmethod
    def of_rows(
        cls, rows: Sequence[Mapping[str, Any]], field: str = "score", *, even_prior: bool = False
    ) -> LabelledScores:
        """Take `field` ("score" or "log_likelihood_ratio"), label, lineage, source and clip from rows of a run."""
        values = [row.get(field) for row in rows]
        return cls(
            scores=np.array([np.nan if value is None else value for value in values], dtype=float),
            generated=np.array([row["label"] == "generated" for row in rows], dtype=bool),
            levels=tuple(tuple(row[name] for row in rows) for name in ("lineage", "source", "clip")),
            log_likelihood_ratios=field == "log_likelihood_ratio",
            even_prior=even_prior,
        )

    @property
    def scored(self) -> Truth:
        """(clips,): which clips have a score."""
        return np.isfinite(self.scores)

    @property
    def coverage(self) -> float:
        """Share of clips with a score."""
        return float(self.scored.mean())

    def auc(self) -> Estimate:
        """Area under the ROC curve: 1/2 is chance."""
        return self._estimate(lambda index: roc_area(self.scores[index], self.generated[index]))

    def average_precision(self) -> Estimate:
        """Mean precision over the recall of generated clips; the share of generated clips is chance."""
        scores = self._alarms()

        def precision(index: Index) -> float:
            truth = self.generated[index]
            return float(average_precision_score(truth, scores[index], sample_weight=self._weights(truth)))

        return self._estimate(precision)

    def detection_rate(self, false_alarms: float) -> Estimate:
        """Share of generated clips above the lowest threshold that at most `false_alarms` of filmed clips pass.

        The threshold is found anew in every resample. Below 1 / (number of filmed clips) no false alarm is allowed
        at all, and the interval says little. ValueError unless `false_alarms` is at least 0 and below 1.
        """
        if not 0 <= false_alarms < 1:
            raise ValueError(f"a false-alarm rate is at least 0 and below 1, not {false_alarms}")
        scores = self._alarms()

        def rate(index: Index) -> float:
            passed, found, _ = roc_curve(self.generated[index], scores[index], drop_intermediate=False)
            return float(found[passed <= false_alarms + 1e-12].max())

        return self._estimate(rate)

    def roc(self) -> tuple[Values, Values]:
        """Return false-alarm rates and detection rates, each (points,), from (0, 0) to (1, 1)."""
        passed, found, _ = roc_curve(self.generated, self._alarms())
        return passed, found

    def brier(self) -> Estimate:
        """Mean squared error of the stated probability, 0 to 1 (Brier, Mon. Weather Rev. 78 (1950) 1)."""
        ratios = np.where(self.scored, self._ratios(), 0.0)

        def score(index: Index) -> float:
            truth = self.generated[index]
            chance = self._chance(ratios[index], truth)
            return float(brier_score_loss(truth, chance, sample_weight=self._weights(truth), pos_label=True))

        return self._estimate(score)

    def calibration_error(self, bins: int = BINS) -> Estimate:
        """Root of the mean squared gap between stated probability and share of generated clips, debiased, 0 to 1.

        Kumar, Liang and Ma, "Verified Uncertainty Calibration", NeurIPS 2019 (arXiv 1909.10155), definition 5.2: the
        plug-in estimate over bins of equal mass less the variance of the shares; 0 where that falls below 0. Clips
        count as independent in that variance, which understates it where many come from one lineage. Resampling adds
        the same variance once more, so the draws are moved to have the estimate as their mean.
        """
        few = self._only_scored()

        def squared(index: Index) -> float:
            truth = few.generated[index]
            chance, weights = few._chance(few.scores[index], truth), few._weights(truth)
            return _debiased_square(chance, truth, weights, _places(chance, weights, bins))

        value = squared(np.arange(len(few.scores)))
        draws = bootstrap_draws(squared, few.levels, strata=few.generated.tolist(), draws=DRAWS)
        ends = percentiles(draws - draws.mean() + value)
        low, root, high = np.sqrt(np.maximum([ends.low, value, ends.high], 0.0))
        return Estimate(float(root), Interval(float(low), float(high)), len(few.scores), self.coverage)

    def calibration_slope(self) -> Estimate:
        """Slope of a logistic regression of the label on the log-likelihood ratio: 1 is right, below 1 overconfident.

        Cox, Biometrika 45 (1958) 562; no penalty. ValueError where the scores separate the classes, or are all equal:
        then there is no finite slope. Resamples of that kind are drawn again.
        """
        few = self._only_scored()

        def slope(index: Index) -> float:
            truth, ratios = few.generated[index], few.scores[index]
            return _logistic_slope(ratios, truth, few._weights(truth))

        return few._estimate(slope, self.coverage)

    def selective_error(self) -> SelectiveCurve:
        """Error among the clips with the largest |log-likelihood ratio|, against their share of all clips."""
        return self._selective(self._ratios(), np.arange(len(self.scores)))

    def selective_error_at(self, coverage: float) -> Estimate:
        """The error when this share of all clips is decided; ValueError where fewer have scores."""
        ratios = self._ratios()
        return self._estimate(lambda index: self._selective(ratios, index).at(coverage))

    def reliability(self, bins: int = BINS) -> list[ReliabilityBin]:
        """Stated probability beside the share of generated clips, in the bins of `calibration_error`."""
        few = self._only_scored()
        truth, weights = few.generated, few._weights(few.generated)
        chance = few._chance(few.scores, truth)
        places = _places(chance, weights, bins)
        odds = float(weights[truth][0] / weights[~truth][0])  # of a generated clip's weight to a filmed one's

        def weighed(share: float) -> float:
            return share * odds / (share * odds + 1 - share)

        table = []
        for place in np.unique(places):
            inside = places == place
            rate = Rate(int(truth[inside].sum()), int(inside.sum()))
            ends = Interval(weighed(rate.interval.low), weighed(rate.interval.high))
            forecast = float(np.average(chance[inside], weights=weights[inside]))
            table.append(ReliabilityBin(forecast, weighed(rate.share), ends, rate.trials))
        return table

    def _estimate(self, statistic: Callable[[Index], float], coverage: float | None = None) -> Estimate:
        with config_context(assume_finite=True, skip_parameter_validation=True):
            value = statistic(np.arange(len(self.scores)))
            draws = bootstrap_draws(statistic, self.levels, strata=self.generated.tolist(), draws=DRAWS)
        return Estimate(value, percentiles(draws), len(self.scores), self.coverage if coverage is None else coverage)

    def _weights(self, truth: Truth) -> Values:
        """(clips,) above 0, all 1 unless both classes shall weigh the same."""
        if not self.even_prior:
            return np.ones(len(truth))
        return np.where(truth, 0.5 / truth.sum(), 0.5 / (~truth).sum())

    def _alarms(self) -> Values:
        """The scores, with those that are missing below all others."""
        lowest = float(self.scores[self.scored].min()) if self.scored.any() else 0.0
        return np.where(self.scored, self.scores, lowest - 1)

    def _ratios(self) -> Values:
        if not self.log_likelihood_ratios:
            raise ValueError("these scores are not log-likelihood ratios, so they state no probability")
        return self.scores

    def _only_scored(self) -> LabelledScores:
        index = np.flatnonzero(np.isfinite(self._ratios()))
        if not len(index):
            raise ValueError("nothing was measured")
        levels = tuple(tuple(level[i] for i in index) for level in self.levels)
        return LabelledScores(self.scores[index], self.generated[index], levels, True, self.even_prior)

    def _chance(self, ratios: Values, truth: Truth) -> Values:
        """Bayes: probability of being generated, at the prior that the weights of the classes stand for."""
        prior = 0.0 if self.even_prior else np.log(truth.sum() / (~truth).sum())
        return np.asarray(expit(ratios + prior))

    def _selective(self, ratios: Values, index: Index) -> SelectiveCurve:
        truth, chosen = self.generated[index], ratios[index]
        weights = self._weights(truth)
        weights = weights / weights.sum()
        order = np.argsort(-np.abs(chosen), kind="stable")[: int(np.isfinite(chosen).sum())]
        certain, side = np.abs(chosen[order]), np.sign(chosen[order])
        wrong = np.where(side == 0, 0.5, side != np.where(truth[order], 1, -1))
        last_of_tie = np.append(np.diff(certain) != 0, True)[: len(order)]
        decided, mistaken = np.cumsum(weights[order]), np.cumsum(weights[order] * wrong)
        return SelectiveCurve(decided[last_of_tie], (mistaken / decided)[last_of_tie])


def flip_rate(before: Sequence[Hashable | None], after: Sequence[Hashable | None]) -> Rate:
    """Share of clips whose decision is another one after an attack, or a run, than before it.

    A decision on one side and none (None) on the other is a flip, for a user sees another answer. A clip without a
    decision on both sides cannot flip; it counts as failed and lowers the coverage.
    """
    return Rate.of([None if a is b is None else a != b for a, b in zip(before, after, strict=True)])


def _places(chance: Values, weights: Values, bins: int) -> Index:
    """The bin of each clip, 0 upwards: of about equal mass, ties together, at least five clips to a bin on average."""
    count = max(1, min(bins, len(chance) // CLIPS_PER_BIN))
    _, tie = np.unique(chance, return_inverse=True)
    mass = np.bincount(tie, weights)
    middle = (np.cumsum(mass) - mass / 2) / mass.sum()
    return np.minimum((middle * count).astype(np.intp), count - 1)[tie]


def _debiased_square(chance: Values, truth: Truth, weights: Values, places: Index) -> float:
    """Mean squared calibration gap less what chance adds to it.

    A share y of weighted classes comes from a plain share q by a change of odds, so that its variance is
    (y (1 - y))^2 / (q (1 - q) (n - 1)); with equal weights that is the y (1 - y) / (n - 1) of the paper.
    """
    clips, mass = np.bincount(places), np.bincount(places, weights)
    there = clips > 0
    clips, mass = clips[there], mass[there]
    share = np.bincount(places, weights * truth)[there] / mass
    stated = np.bincount(places, weights * chance)[there] / mass
    plain = np.bincount(places, truth)[there] / clips
    spread = plain * (1 - plain)
    mixed = spread > 0
    variance = np.zeros(len(clips))
    variance[mixed] = (share * (1 - share))[mixed] ** 2 / (spread * (clips - 1))[mixed]
    return float(mass @ ((stated - share) ** 2 - variance) / mass.sum())


def _logistic_slope(ratios: Values, truth: Truth, weights: Values) -> float:
    generated, filmed = ratios[truth], ratios[~truth]
    if generated.min() >= filmed.max() or generated.max() <= filmed.min():
        raise ValueError("the scores separate the classes, so no slope is finite")
    model = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-8)
    model.fit(ratios[:, None], truth, sample_weight=weights * len(weights) / weights.sum())
    return float(model.coef_[0, 0])
