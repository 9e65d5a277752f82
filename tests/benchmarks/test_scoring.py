"""Scores of detectors against values that can be worked out by hand, and against simulations whose truth is known."""

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, roc_auc_score

from benchmarks import scoring
from benchmarks.scoring import LabelledScores, flip_rate


@pytest.fixture(autouse=True)
def _few_draws(monkeypatch):
    """A quarter of the draws: what is told apart here lies far apart."""
    monkeypatch.setattr(scoring, "DRAWS", 100)


def labelled(generated, filmed, *, ratios=True, even_prior=False):
    """Scores of clips that are all of their own source; None: no score."""
    scores = np.array([np.nan if s is None else s for s in [*generated, *filmed]], dtype=float)
    truth = np.arange(len(scores)) < len(generated)
    return LabelledScores(scores, truth, (tuple(range(len(scores))),), ratios, even_prior)


def simulated(generated, filmed, *, factor=1.0, seed=0, even_prior=False):
    """True log-likelihood ratios of two normal classes one deviation either side of 0, times a factor."""
    random = np.random.default_rng(seed)
    draws = [2 * factor * random.normal(mean, 1, n) for mean, n in ((1, generated), (-1, filmed))]
    return labelled(*draws, even_prior=even_prior)


class TestRanking:
    def test_area_is_the_usual_one_with_an_interval(self):
        sample = simulated(60, 50)
        area = sample.auc()
        assert area.value == pytest.approx(roc_auc_score(sample.generated, sample.scores))
        assert area.interval.low < area.value < area.interval.high <= 1
        assert (area.count, area.coverage) == (110, 1)

    def test_an_unscored_clip_is_a_coin_toss_for_the_area(self):
        area = labelled([5, 5, None, None], [0, 0]).auc()
        assert (area.value, area.coverage) == (0.75, pytest.approx(4 / 6))

    def test_silence_about_everything_is_chance(self):
        silent = labelled([None] * 3, [None] * 3)
        assert (silent.auc().value, silent.average_precision().value, silent.coverage) == (0.5, 0.5, 0)
        assert silent.detection_rate(0.05).value == 0

    def test_average_precision_by_hand_and_at_even_prior(self):
        # One generated clip first, then eight filmed ones, then the other generated one: (1 + 2 / 10) / 2.
        assert labelled([3, 1], [2] * 8).average_precision().value == pytest.approx(0.6)
        # With even classes half of the generated weight comes first, the rest last: (1 + 1 / 2) / 2.
        assert labelled([3, 1], [2] * 8, even_prior=True).average_precision().value == pytest.approx(0.75)

    def test_a_generated_clip_without_a_score_is_found_last(self):
        assert labelled([3, None], [2] * 8).average_precision().value == pytest.approx(0.6)


class TestDetectionRate:
    def test_known_overlap(self):
        random = np.random.default_rng(1)
        sample = labelled(random.normal(1.645, 1, 3000), random.normal(0, 1, 3000))
        rate = sample.detection_rate(0.05)
        assert rate.value == pytest.approx(0.5, abs=0.03)
        assert rate.interval.low < 0.5 < rate.interval.high
        assert sample.detection_rate(0.01).value < rate.value

    def test_no_false_alarm_is_allowed_where_one_would_be_too_many(self):
        sample = labelled([1, 3, 5, 7], range(0, 20, 4))  # one of five filmed clips is 20 %
        assert sample.detection_rate(0.19).value == 0
        assert sample.detection_rate(0.2).value == 0
        assert labelled([1, 3, 5, 7], [0, 1, 2, 3, 4]).detection_rate(0.2).value == 0.5

    def test_ties_at_the_threshold_do_not_pass_it(self):
        assert labelled([2, 2, 3], [2, 0]).detection_rate(0.4).value == pytest.approx(1 / 3)

    def test_a_clip_without_a_score_is_a_miss_if_generated_and_no_alarm_if_filmed(self):
        assert labelled([5, 5, None, None], [0, 0]).detection_rate(0.05).value == 0.5
        # The filmed clip without a score stays in the denominator of false alarms: 1 of 2.
        assert labelled([1, 2], [1.5, None]).detection_rate(0.5).value == 1
        assert labelled([1, 2], [1.5]).detection_rate(0.5).value == 0.5

    def test_the_curve_goes_from_corner_to_corner_and_upwards(self):
        passed, found = labelled([2, 3, None], [1, 2, None]).roc()
        assert (passed[0], found[0], passed[-1], found[-1]) == (0, 0, 1, 1)
        assert (np.diff(passed) >= 0).all()
        assert (np.diff(found) >= 0).all()

    def test_a_rate_out_of_range_is_refused(self):
        with pytest.raises(ValueError, match=r"1\.5"):
            labelled([1], [0]).detection_rate(1.5)


class TestProbabilities:
    def test_brier_by_hand(self):
        # Ratios of ln 3 and -ln 3 state 3/4 and 1/4: errors of 1/16, 1/16, 9/16, 1/16; silence states the prior, 1/2.
        right = np.log(3)
        assert labelled([right, right], [right, -right]).brier().value == pytest.approx(12 / 64)
        silent = labelled([right, right, None], [right, -right, None]).brier()
        assert (silent.value, silent.coverage) == (pytest.approx((12 / 16 + 2 / 4) / 6), pytest.approx(4 / 6))

    def test_classes_weigh_as_they_are_unless_told_otherwise(self):
        sample, even = labelled([0.0] * 3, [0.0]), labelled([0.0] * 3, [0.0], even_prior=True)
        assert sample.brier().value == pytest.approx(brier_score_loss([1, 1, 1, 0], [0.75] * 4))
        assert even.brier().value == pytest.approx(0.25)

    @pytest.mark.parametrize(("filmed", "even_prior"), [(100, False), (25, False), (25, True)])
    def test_calibrated_scores_have_no_error_on_average(self, filmed, even_prior):
        runs = [simulated(100, filmed, seed=s, even_prior=even_prior).calibration_error() for s in range(8)]
        assert np.mean([run.value for run in runs]) < 0.05
        assert sum(run.interval.low == 0 for run in runs) >= 7

    def test_overconfident_scores_have_one(self):
        error = simulated(400, 400, factor=4).calibration_error()
        assert 0.1 < error.interval.low < error.value < error.interval.high < 0.2  # 0.142 in a million clips

    def test_the_plain_estimate_would_find_an_error_where_there_is_none(self):
        sample = simulated(100, 100, seed=3)
        bins = sample.reliability()
        plain = np.sqrt(sum(b.count * (b.forecast - b.share) ** 2 for b in bins) / 200)
        assert plain > 0.05 > sample.calibration_error().value

    def test_slope_recovers_the_factor_of_overconfidence(self):
        for factor in (0.5, 1.0, 2.0):
            slope = simulated(900, 300, factor=factor).calibration_slope()
            assert slope.value == pytest.approx(1 / factor, rel=0.12)
            assert slope.interval.low < 1 / factor < slope.interval.high

    def test_slope_of_scores_that_separate_the_classes_is_refused(self):
        with pytest.raises(ValueError, match="separate"):
            labelled([2, 3], [0, 1]).calibration_slope()

    def test_bins_hold_every_clip_once_and_ties_together(self):
        sample = labelled([1.0] * 30 + [2.0] * 30, [-1.0] * 40 + [1.0] * 10)
        bins = sample.reliability()
        assert [b.count for b in bins] == [40, 40, 30]
        assert [b.share for b in bins] == [0, pytest.approx(0.75), pytest.approx(1)]
        assert all(b.interval.low <= b.share <= b.interval.high for b in bins)
        assert [b.forecast for b in bins] == sorted(b.forecast for b in bins)

    def test_bins_at_even_prior_show_the_share_among_even_classes(self):
        (only,) = labelled([0.0] * 2, [0.0] * 2 + [None] * 6, even_prior=True).reliability()
        assert only.share == pytest.approx(0.5)
        (only,) = labelled([0.0] * 1, [0.0] * 3, even_prior=True).reliability()
        assert (only.share, only.forecast) == (pytest.approx(0.5), pytest.approx(0.5))

    @pytest.mark.parametrize(
        "ask",
        ["brier", "calibration_error", "calibration_slope", "selective_error", "reliability"],
    )
    def test_scores_that_are_no_ratios_state_no_probability(self, ask):
        with pytest.raises(ValueError, match="not log-likelihood ratios"):
            getattr(labelled([1, 2], [0, 1.5], ratios=False), ask)()


class TestSelectiveError:
    def test_by_hand(self):
        curve = labelled([4, -3, 1], [-2, 0, None]).selective_error()
        np.testing.assert_allclose(curve.coverage, np.array([1, 2, 3, 4, 5]) / 6)
        np.testing.assert_allclose(curve.error, [0, 1 / 2, 1 / 3, 1 / 4, 1.5 / 5])

    def test_clips_of_one_certainty_are_decided_together(self):
        curve = labelled([1, 1], [1, -1]).selective_error()
        assert (curve.coverage.tolist(), curve.error.tolist()) == ([1.0], [0.25])

    def test_the_certain_half_errs_less_than_the_whole(self):
        sample = simulated(200, 200)
        half, whole = sample.selective_error_at(0.5), sample.selective_error_at(1.0)
        assert half.interval.high < whole.interval.low
        assert whole.value == pytest.approx(0.159, abs=0.04)  # the tail of a normal distribution beyond 1

    def test_more_than_the_scored_clips_cannot_be_decided(self):
        with pytest.raises(ValueError, match="fewer than 90 %"):
            labelled([4, None], [-2, -1]).selective_error().at(0.9)
        empty = labelled([None], [None]).selective_error()
        assert (len(empty.coverage), len(empty.error)) == (0, 0)


class TestFlipRate:
    def test_counts_decisions_that_changed(self):
        before = ["generated", "generated", "inconclusive", "generated"]
        after = ["generated", "inconclusive", "inconclusive", None]
        rate = flip_rate(before, after)
        assert (rate.hits, rate.trials, rate.failed) == (2, 4, 0)

    def test_a_clip_never_decided_lowers_the_coverage_and_stays_in_the_denominator(self):
        rate = flip_rate([None, "generated"], [None, "inconclusive"])
        assert (rate.share, rate.coverage) == (0.5, 0.5)


class TestWhatIsScored:
    def test_rows_of_a_run(self):
        row = {
            "label": "generated",
            "lineage": "a",
            "source": "b",
            "clip": "c",
            "score": 2.5,
            "log_likelihood_ratio": 1.0,
        }
        failed = {"label": "filmed", "lineage": "d", "source": "e", "clip": "f", "error": "unreadable"}
        sample = LabelledScores.of_rows([row, failed])
        assert (sample.generated.tolist(), sample.scored.tolist()) == ([True, False], [True, False])
        assert sample.levels == (("a", "d"), ("b", "e"), ("c", "f"))
        assert not sample.log_likelihood_ratios
        assert LabelledScores.of_rows([row, failed], "log_likelihood_ratio").brier().coverage == 0.5

    def test_clips_of_one_lineage_do_not_count_as_independent(self):
        random = np.random.default_rng(8)
        lineage = np.arange(400) // 40
        truth = lineage < 5
        scores = truth + random.normal(0, 1, 10)[lineage] + random.normal(0, 0.3, 400)
        clips = tuple(range(400))
        alone = LabelledScores(scores, truth, (clips,)).auc().interval
        grouped = LabelledScores(scores, truth, (tuple(lineage), clips)).auc().interval
        assert grouped.high - grouped.low > 2 * (alone.high - alone.low)

    def test_one_class_alone_and_unequal_lengths_are_refused(self):
        with pytest.raises(ValueError, match="one class"):
            labelled([1, 2], [])
        with pytest.raises(ValueError, match="length"):
            LabelledScores(np.zeros(2), np.array([True, False]), ((1,),))
