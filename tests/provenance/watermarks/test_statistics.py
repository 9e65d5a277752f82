"""Chances are exact, or bounds that are never too small."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from provenance.watermarks import statistics


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (6, 10), (51, 64), (176, 256), (72, 72)])
def test_the_binomial_tail_is_exact(successes: int, trials: int) -> None:
    exact = sum(math.comb(trials, k) for k in range(successes, trials + 1))
    assert statistics.log10_binomial_tail(successes, trials) == pytest.approx(math.log10(exact / 2**trials), abs=1e-9)


def test_the_binomial_tail_has_edges() -> None:
    assert statistics.log10_binomial_tail(65, 64) == -math.inf
    assert statistics.log10_binomial_tail(-1, 64) == 0
    with pytest.raises(ValueError, match="negative"):
        statistics.log10_binomial_tail(1, -1)


@pytest.mark.parametrize("z", [-2.0, 0.0, 3.0, 6.0])
def test_the_normal_tail_is_exact(z: float) -> None:
    assert statistics.log10_normal_tail(z) == pytest.approx(math.log10(stats.norm.sf(z)), rel=1e-9)


def test_the_normal_tail_does_not_underflow() -> None:
    assert -350 < statistics.log10_normal_tail(40.0) < -340


def test_the_sign_bound_is_never_below_the_true_chance() -> None:
    magnitudes = np.array([0.3, 1.0, 1.7, 0.9, 2.2, 0.1, 1.3, 0.8, 1.1, 0.6])
    sums = np.array([np.dot(signs, magnitudes) for signs in itertools.product([-1, 1], repeat=10)])
    totals = np.quantile(sums, [0.6, 0.9, 0.99, 1.0])
    true = np.log10([(sums >= total - 1e-9).mean() for total in totals])
    bound = statistics.log10_sign_sum_tail(totals, np.tile(magnitudes, (4, 1)))
    assert (bound >= true - 1e-9).all()
    assert (bound - true < 1.0).all()
    assert bound[-1] == pytest.approx(-10 * math.log10(2), abs=0.05)


def test_the_phase_bound_is_never_below_the_true_chance() -> None:
    rng = np.random.default_rng(5)
    values = rng.normal(size=6) + 1j * rng.normal(size=6)
    phases = np.array(list(itertools.product(np.pi / 4 * np.array([1, 3, 5, 7]), repeat=6)))
    sums = (values * np.exp(-1j * phases)).real.sum(axis=1)
    bounds = statistics.log10_phase_sum_tail(values, phases[np.argsort(-sums)][[0, 3, 10, 40]])
    true = np.log10(np.array([(sums >= total - 1e-9).mean() for total in np.sort(sums)[::-1][[0, 3, 10, 40]]]))
    assert (bounds >= true - 1e-9).all()
    assert (bounds - true < 1.0).all()


def test_a_perfect_fit_has_the_chance_of_guessing_every_phase() -> None:
    phases = np.pi / 4 * (1 + 2 * np.random.default_rng(1).integers(0, 4, 72))
    assert statistics.log10_phase_sum_tail(np.exp(1j * phases), phases) == pytest.approx(72 * math.log10(0.25), abs=0.1)


def test_energy_alone_proves_nothing() -> None:
    """Whatever is received, however strong: over the draw of the key the gate opens with a chance of 1e-3 at most."""
    rng = np.random.default_rng(7)
    values = rng.standard_cauchy(size=72) * 1e6 + 1j * rng.standard_cauchy(size=72)
    phases = np.pi / 4 * (1 + 2 * rng.integers(0, 4, (20_000, 72)))
    opened = int((statistics.log10_phase_sum_tail(values, phases) <= math.log10(statistics.GATE)).sum())
    assert opened <= stats.poisson.ppf(0.995, 20_000 * statistics.GATE)


def test_nothing_received_is_no_evidence() -> None:
    assert statistics.log10_phase_sum_tail(np.zeros(72, complex), np.zeros(72)) == 0
    assert statistics.log10_sign_sum_tail(0.0, np.zeros(5)) == 0


def test_the_one_formula() -> None:
    assert statistics.message_log10_p(1, 1, 1) == pytest.approx(math.log10(1e-3 * 2**-40 * 32 * 2))
    assert statistics.message_log10_p(10, 2, 5) == pytest.approx(math.log10(1e-3 * 2**-40 * 10 * 32 * 2 * 5 * 2))
    assert statistics.message_log10_p(statistics.MAX_TESTS, 1, 1) <= -9
    assert statistics.message_log10_p(statistics.MAX_TESTS + 1, 1, 1) > -9
    with pytest.raises(ValueError, match="at least 1"):
        statistics.message_log10_p(0, 1, 1)


def test_search_multiplies_and_never_exceeds_one() -> None:
    assert statistics.log10_after_search(-9.0, 1000) == pytest.approx(-6)
    assert statistics.presence_log10_p(-1.0, 1000) == 0
