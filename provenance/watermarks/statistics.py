"""Exact tail chances of what watermark readers measure, as decimal logarithms, and the one formula for p.

A reader tests *known* keyed signs or phases against what it received. Under the null hypothesis (no watermark under
this key, whatever else the clip holds) the keyed draw is independent of everything received, so the distribution is
exact once magnitudes are given; no assumption about noise is made, and energy alone proves nothing.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import gammaln, log_ndtr, logsumexp

from provenance.watermarks.payload import LIST_SIZE, TAG_BITS

GATE = 1e-3
"""Verification must be at least this unlikely before any tag is tested. Fixed beforehand, for both watermarks."""

DETECTION_LIMIT = 1e-9
_LOG10_E = math.log10(math.e)
_LEAST_DEVIATIONS = 2.0
_ROUTES = 2  # an id is found by its tag, presence by verification: two chances to be wrong
MAX_TESTS = int(DETECTION_LIMIT / (GATE * 2.0**-TAG_BITS * LIST_SIZE * _ROUTES))
"""How many gates one file may try in all (candidates x keys x windows) so that an id still has p <= 1e-9: 17,179."""


def log10_binomial_tail(successes: int, trials: int) -> float:
    """Return log10 P(X >= successes) for X ~ Binomial(trials, 1/2): hard decisions against keyed signs."""
    if not trials >= 0:
        raise ValueError("trials cannot be negative")
    if successes <= 0:
        return 0.0
    if successes > trials:
        return -math.inf
    k = np.arange(successes, trials + 1)
    terms = gammaln(trials + 1) - gammaln(k + 1) - gammaln(trials - k + 1) - trials * math.log(2)
    return min(0.0, float(logsumexp(terms)) * _LOG10_E)


def log10_normal_tail(z: float) -> float:
    """Return log10 P(Z >= z) for a standard normal Z, without underflow."""
    return float(log_ndtr(-z)) * _LOG10_E


def log10_sign_sum_tail(total: np.ndarray | float, magnitudes: np.ndarray) -> np.ndarray:
    """Return an upper bound on log10 P(sum of +-magnitude >= total) over independent fair signs.

    magnitudes: (..., n), total: (...). Chernoff's bound with the exact moment function, prod cosh(t m): tighter than
    Hoeffding's (J. Am. Stat. Assoc. 58 (1963), theorem 2), never below the true chance. 0 where total <= 0.
    """
    weights = np.abs(np.asarray(magnitudes, dtype=np.float64))
    return _chernoff(np.asarray(total, dtype=np.float64), np.stack([weights, weights]))


def log10_phase_sum_tail(values: np.ndarray, phases: np.ndarray) -> np.ndarray:
    """Return an upper bound on the chance that keyed phases fit received values as well as these, as log10.

    values: complex (..., n); phases: radians, broadcast against values, each drawn uniformly from four that are a
    quarter turn apart. The statistic is Re sum(values * exp(-i phase)). Given the values, every term takes one of
    +-a, +-b with equal chance, so that its moment function is (cosh(t a) + cosh(t b)) / 2. 0, a bound that
    says nothing, where the sum is below two standard deviations.
    """
    turned = np.asarray(values) * np.exp(-1j * np.asarray(phases))
    total, power = turned.real.sum(axis=-1), (np.abs(turned) ** 2).sum(axis=-1)
    worth = total > _LEAST_DEVIATIONS * np.sqrt(power / 2)
    bound = np.zeros(total.shape)
    bound[worth] = _chernoff(total[worth], np.abs(np.stack([turned.real[worth], turned.imag[worth]])))
    return bound


def _chernoff(total: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """log10 of min over t of mean(prod cosh(t steps)) exp(-t total); steps (2, ..., n). Any t gives a valid bound."""
    largest = steps.max(axis=(0, -1), initial=0.0)
    safe = np.where(largest > 0, largest, 1.0)
    steps = steps / safe[..., None]
    goal = np.asarray(total / safe)
    t = np.maximum(goal, 0) / np.maximum((steps**2).mean(axis=0).sum(axis=-1), 1e-12)
    for _ in range(12):
        slope, curve, _ = _cumulant(t, steps)
        t = np.clip(t + (goal - slope) / np.maximum(curve, 1e-9), 0, np.minimum(2 * t + 0.1, 300))
    _, _, value = _cumulant(t, steps)
    bound = np.minimum(value - t * goal, 0) * _LOG10_E
    return np.asarray(np.where((goal > 0) & (largest > 0), bound, 0.0))


def _cumulant(t: np.ndarray, steps: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """First and second derivative, and value, of sum ln((cosh(t a) + cosh(t b)) / 2)."""
    x = t[None, ..., None] * steps
    log_cosh = np.logaddexp(x, -x) - math.log(2)
    log_mean = np.logaddexp(log_cosh[0], log_cosh[1]) - math.log(2)
    weight = np.exp(log_cosh - log_mean) / 2
    mean = (weight * steps * np.tanh(x)).sum(axis=0)
    square = (weight * steps**2).sum(axis=0)
    return mean.sum(axis=-1), (square - mean**2).sum(axis=-1), log_mean.sum(axis=-1)


def log10_after_search(log10_p: float, tests: int) -> float:
    """Return log10 of the union bound: p times the number of tests, at most 1."""
    return min(0.0, log10_p + math.log10(max(tests, 1)))


def presence_log10_p(verification_log10_p: float, tests: int) -> float:
    """Return log10 p of a watermark's presence from its best verification among `tests` (of all keys and windows)."""
    return log10_after_search(verification_log10_p, tests * _ROUTES)


def message_log10_p(candidates: int, keys: int, windows: int, list_size: int = LIST_SIZE) -> float:
    """Return log10 p of an id whose tag verified behind the gate (DESIGN 8, the one formula).

    p = gate x 2^-40 x candidates x list x keys x windows x 2. A candidate is one verification that was tried in one
    window under one key: one geometry, time offset, polarity, front end and nonce.
    """
    if min(candidates, keys, windows, list_size) < 1:
        raise ValueError("candidates, keys, windows and list size are at least 1")
    return log10_after_search(
        math.log10(GATE) - TAG_BITS * math.log10(2), candidates * list_size * keys * windows * _ROUTES
    )
