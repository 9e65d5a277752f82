"""Rates, intervals and areas against values that can be checked by hand or by simulation."""

import numpy as np
import pytest
from scipy.stats import poisson
from sklearn.metrics import roc_auc_score

from benchmarks.metrics import (
    Rate,
    auc_estimate,
    bit_accuracy,
    bootstrap,
    mcnemar,
    mean_estimate,
    paired_difference,
    poisson_band,
    roc_area,
    super_uniform,
)


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
        assert str(Rate.of([True] * 4508 + [None] * 4)).endswith("coverage 99.9 %")

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

    def test_groups_within_groups_widen_the_interval_as_far_as_their_outermost_level_asks(self):
        random = np.random.default_rng(5)
        clips = np.arange(120)
        sources, lineages = clips // 4, clips // 20
        values = list(
            random.normal(0, 1, 6)[lineages] + random.normal(0, 0.1, 30)[sources] + random.normal(0, 0.1, 120)
        )
        flat, deep = mean_estimate(values, sources), mean_estimate(values, levels=[lineages, sources, clips])
        assert deep.interval.high - deep.interval.low > 2 * (flat.interval.high - flat.interval.low)
        assert mean_estimate(values, levels=[sources]) == flat


class TestPairs:
    def test_what_all_marks_suffer_alike_does_not_blur_their_difference(self):
        random = np.random.default_rng(6)
        clips = np.arange(60)
        hardness = random.normal(0, 5, 60)
        a, b = hardness + 0.5 + random.normal(0, 0.2, 60), hardness + random.normal(0, 0.2, 60)
        difference = paired_difference(list(a), list(b), [clips // 6, clips])
        assert difference.value == pytest.approx(np.mean(a - b))
        assert 0.3 < difference.interval.low < 0.5 < difference.interval.high < 0.7
        assert mean_estimate(list(a)).interval.low < mean_estimate(list(b)).interval.high

    def test_half_a_pair_lowers_the_coverage(self):
        difference = paired_difference([1.0, None, 3.0, 4.0], [0.0, 1.0, None, 2.0], [range(4)])
        assert (difference.value, difference.count, difference.coverage) == (1.5, 2, 0.5)

    def test_mcnemar_by_hand(self):
        # One pair against eight that differ: 2 (C(9, 0) + C(9, 1)) / 2^9; pairs that agree say nothing.
        a = [True] + [False] * 8 + [True] * 50
        b = [False] + [True] * 8 + [True] * 50
        assert mcnemar(a, b) == pytest.approx(20 / 512) == mcnemar(b, a)
        assert mcnemar(a, a) == 1

    def test_a_failed_trial_is_a_miss_in_mcnemar_too(self):
        assert mcnemar([True] * 6, [None] * 6) == pytest.approx(2 / 64)
        assert mcnemar([False, None], [None, False]) == 1

    def test_pairs_of_unequal_length_are_refused(self):
        with pytest.raises(ValueError):
            mcnemar([True], [True, False])


def test_a_reader_that_reads_nothing_counts_as_guessing():
    assert (bit_accuracy(None, 32), bit_accuracy(32, 32), bit_accuracy(8, 32)) == (0.5, 1, 0.25)
    with pytest.raises(ValueError, match="33"):
        bit_accuracy(33, 32)


class TestAuc:
    def test_agrees_with_scikit_learn_on_scores_with_ties(self):
        random = np.random.default_rng(7)
        truth, scores = random.random(300) < 0.3, random.integers(0, 12, 300).astype(float)
        assert roc_area(scores, truth) == pytest.approx(roc_auc_score(truth, scores))

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
        assert estimate.value == 0.75  # half of the pairs are won, half undecided
        assert estimate.coverage == 0.75

    def test_silence_wins_no_pair_even_where_the_middle_of_the_scores_would(self):
        truth = [True] * 4 + [False] * 4
        scores = [None, None, 3.0, 3.0, 1.0, 1.0, None, None]
        assert auc_estimate(scores, truth, range(8)).value == (4 + 12 / 2) / 16


@pytest.mark.parametrize("expected", [0.1, 1.0, 10.0, 100.0])
def test_poisson_band_holds_the_counts_it_says(expected):
    low, high = poisson_band(expected)
    assert poisson.cdf(low - 1, expected) <= 0.005 < poisson.cdf(low, expected)
    assert poisson.sf(high, expected) <= 0.005 < poisson.sf(high - 1, expected)


class TestSuperUniform:
    def test_p_values_no_smaller_than_chance_raise_no_warning(self):
        even = np.log10(np.linspace(0.005, 1, 200))
        assert super_uniform(even.tolist()) > 0.5
        assert super_uniform([0.0] * 50) == pytest.approx(1.0)

    def test_too_many_small_ones_do(self):
        assert super_uniform(np.log10(np.linspace(0.005, 1, 200) ** 2).tolist()) < 1e-3
        with pytest.raises(ValueError, match="no p-value"):
            super_uniform([])
