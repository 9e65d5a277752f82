"""Rates, intervals and areas against values that can be checked by hand or by simulation."""

import numpy as np
import pytest
from scipy.stats import poisson

from benchmarks.metrics import Rate, auc_estimate, bootstrap, mean_estimate, poisson_band


class TestRate:
    def test_wilson_interval_of_a_textbook_case(self):
        # Wilson's formula by hand for 8 of 10: centre (p + z^2/2n) / (1 + z^2/n)
        z, p, n = 1.959964, 0.8, 10
        centre, width = (
            (p + z * z / 2 / n) / (1 + z * z / n),
            z * np.sqrt(p * (1 - p) / n + z * z / 4 / n / n) / (1 + z * z / n),
        )
        interval = Rate(8, 10).interval
        assert (interval.low, interval.high) == pytest.approx((centre - width, centre + width), abs=1e-6)

    def test_perfect_and_empty_rates_have_honest_intervals(self):
        assert Rate(68, 68).interval.low == pytest.approx(0.947, abs=0.001)
        assert Rate(68, 68).interval.high == pytest.approx(1)
        assert Rate(0, 0).interval.low == 0
        assert str(Rate(0, 0)) == "not measured"

    def test_failures_stay_in_the_denominator_and_show_as_coverage(self):
        rate = Rate.of([True, False, None, True])
        assert (rate.share, rate.coverage) == (0.5, 0.75)
        assert "coverage 75 %" in str(rate)

    def test_counts_that_do_not_fit_are_refused(self):
        with pytest.raises(ValueError):
            Rate(3, 3, failed=1)

    def test_covers_the_truth_about_as_often_as_it_says(self):
        hits = np.random.default_rng(0).binomial(40, 0.9, 400)
        covered = [Rate(int(h), 40).interval.low <= 0.9 <= Rate(int(h), 40).interval.high for h in hits]
        assert 0.91 < np.mean(covered) < 0.99


class TestBootstrap:
    def test_clips_of_one_source_do_not_count_as_independent(self):
        random = np.random.default_rng(1)
        sources = np.repeat(np.arange(10), 20)
        values = random.normal(0, 1, 10)[sources] + random.normal(0, 0.1, 200)
        alone, grouped = mean_estimate(list(values)), mean_estimate(list(values), list(sources))
        assert grouped.interval.high - grouped.interval.low > 2.5 * (alone.interval.high - alone.interval.low)

    def test_agrees_with_the_standard_error_of_a_mean(self):
        values = np.random.default_rng(2).normal(0, 1, 400)
        interval = bootstrap(lambda index: values[index].mean(), [range(400)])
        assert interval.high - interval.low == pytest.approx(2 * 1.96 / np.sqrt(400), rel=0.15)

    def test_is_the_same_every_time(self):
        values = [1.0, 2.0, 4.0]
        assert mean_estimate(values) == mean_estimate(values)

    def test_unmeasured_values_lower_the_coverage(self):
        assert mean_estimate([1.0, None, 3.0, float("nan")]).coverage == 0.5


class TestAuc:
    def test_perfect_scores_and_chance(self):
        truth = [True] * 30 + [False] * 30
        groups = [i // 3 for i in range(60)]
        assert auc_estimate([2.0] * 30 + [1.0] * 30, truth, groups).value == 1
        chance = auc_estimate(list(np.random.default_rng(4).normal(size=60)), truth, groups)
        assert chance.interval.low < 0.5 < chance.interval.high

    def test_unscored_clips_cost_area_and_coverage(self):
        truth = [True] * 10 + [False] * 10
        scores = [None] * 5 + [3.0] * 5 + [1.0] * 10
        estimate = auc_estimate(scores, truth, range(20))
        assert estimate.value < 1
        assert estimate.coverage == 0.75


@pytest.mark.parametrize("expected", [0.1, 1.0, 10.0, 100.0])
def test_poisson_band_holds_the_counts_it_says(expected):
    low, high = poisson_band(expected)
    assert poisson.cdf(low - 1, expected) <= 0.005 < poisson.cdf(low, expected)
    assert poisson.sf(high, expected) <= 0.005 < poisson.sf(high - 1, expected)
