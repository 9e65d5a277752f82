"""From a classifier's logit to an honest log-likelihood ratio.

Platt scaling (Platt, "Probabilistic Outputs for Support Vector Machines", 1999): a logistic curve through scores of
clips that the classifier did not see, of generators and cameras it did not see. Both classes weigh the same in the
fit, so the log odds are ln P(score | generated) / P(score | filmed), and everybody can apply a prior of their own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


@dataclass(frozen=True)
class PlattScale:
    """log-likelihood ratio = slope * logit + offset."""

    slope: float
    """At least 0: more of the score never means less."""
    offset: float

    def __post_init__(self) -> None:
        if self.slope < 0:
            raise ValueError(f"a slope is at least 0, not {self.slope}")

    def log_likelihood_ratio(self, logits: Values) -> Values:
        """Natural logarithms, same shape as `logits`."""
        return self.slope * logits + self.offset


def balanced(weights: Values, generated: NDArray[np.bool_]) -> Values:
    """Weights scaled so that either class weighs 1/2 in all."""
    return np.where(generated, weights / weights[generated].sum(), weights / weights[~generated].sum()) / 2


def logistic_fit(columns: Values, generated: NDArray[np.bool_], weights: Values, ridge: float) -> tuple[Values, float]:
    """Weights (columns,), none below 0, and bias of a logistic regression with both classes weighing the same.

    `columns` is (rows, columns); `ridge` times half the squared weights is added to the mean loss.
    """
    from scipy.optimize import minimize  # takes long to import, and only training needs it

    share, sign = balanced(weights, generated), np.where(generated, 1.0, -1.0)

    def loss(parameters: Values) -> tuple[float, Values]:
        slopes, bias = parameters[:-1], parameters[-1]
        margin = sign * (columns @ slopes + bias)
        pull = -sign * share / (1 + np.exp(np.clip(margin, -60, 60)))
        value = float(share @ np.logaddexp(0, -margin)) + ridge / 2 * float(slopes @ slopes)
        return value, np.append(columns.T @ pull + ridge * slopes, pull.sum())

    count = columns.shape[1]
    start = np.append(np.full(count, 1 / count), 0.0)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0, None)] * count + [(None, None)])
    return np.asarray(found.x[:-1]), float(found.x[-1])


def platt_scale(logits: Values, generated: NDArray[np.bool_], weights: Values) -> PlattScale:
    """The scale that fits unseen clips' logits (rows,) best."""
    slopes, offset = logistic_fit(logits[:, None], generated, weights, ridge=1e-3)
    return PlattScale(float(slopes[0]), offset)


def probability_generated(log_likelihood_ratio: Values | float) -> Values:
    """Chance that a clip was generated if half of all clips were, 0 to 1."""
    return np.asarray(1 / (1 + np.exp(-np.clip(log_likelihood_ratio, -60, 60))))


@dataclass(frozen=True)
class InconclusiveBand:
    """Between these log-likelihood ratios no verdict is drawn."""

    low: float
    """One generated clip in ten of unseen generators lies below this."""
    high: float
    """One filmed clip in twenty of unseen cameras lies above this."""

    def decides(self, log_likelihood_ratio: float) -> bool:
        """Whether a score is clear: at an edge or beyond, and on the side of that edge that its own sign names."""
        if log_likelihood_ratio > 0:
            return log_likelihood_ratio >= self.high
        return log_likelihood_ratio <= self.low


def inconclusive_band(
    scores: Values, generated: NDArray[np.bool_], weights: Values, missed: float = 0.10, false_alarms: float = 0.05
) -> InconclusiveBand:
    """The band learned from scores of unseen clips; where the two edges cross, there is no band, only a threshold."""
    high = weighted_quantile(scores[~generated], weights[~generated], 1 - false_alarms)
    low = weighted_quantile(scores[generated], weights[generated], missed)
    return InconclusiveBand(min(low, high), high)


def weighted_quantile(values: Values, weights: Values, share: float) -> float:
    """The smallest value at or below which `share` of the weight lies."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order]) / weights.sum()
    place = min(int(np.searchsorted(reached, share - 1e-12)), len(values) - 1)
    return float(values[order[place]])
