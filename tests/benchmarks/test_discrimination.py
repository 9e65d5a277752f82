"""Areas over pairs of clips that each have their own model, and figures of pooled scores at even prior."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from benchmarks.discrimination import CrossScores, PooledScores, pair_area, pairs_of


def cross(generated: list[float], filmed: list[float], weights: list[float] | None = None) -> CrossScores:
    """Scores that do not depend on the held-out fold; clip i stands in fold i modulo 5."""
    scores = np.array([*generated, *filmed])
    count = len(scores)
    return CrossScores(
        scores=np.repeat(scores[:, None], 5, axis=1),
        generated=np.arange(count) < len(generated),
        fold=np.arange(count) % 5,
        weights=np.ones(count) if weights is None else np.array(weights),
        levels=(tuple(range(count)),),
    )


def test_is_the_usual_area_where_all_models_agree():
    random = np.random.default_rng(0)
    generated, filmed = random.normal(0.7, 1, 60), random.normal(0, 1, 50)
    expected = roc_auc_score(np.arange(110) < 60, np.concatenate([generated, filmed]))
    area = pair_area(cross(list(generated), list(filmed)), draws=100)
    assert area.value == pytest.approx(expected)
    assert area.interval.low < area.value < area.interval.high


def test_a_pair_is_judged_by_the_model_that_saw_neither():
    sample = cross([0.0], [0.0])  # the generated clip in fold 0, the filmed one in fold 1
    sample.scores[0, 1], sample.scores[1, 0] = 2.0, 1.0
    sample.scores[0, 0], sample.scores[1, 1] = -9.0, 9.0
    assert pairs_of(sample).won.tolist() == [[1.0]]


def test_weights_count_and_ties_are_half():
    assert pair_area(cross([1.0, -1.0], [0.0], [3.0, 1.0, 1.0]), draws=10).value == pytest.approx(0.75)
    assert pair_area(cross([0.0, 0.0], [0.0, 0.0]), draws=10).value == pytest.approx(0.5)


def test_only_chosen_pairs_count():
    sample = cross([1.0, -1.0], [0.0, 0.0])
    only = np.array([[True, False], [False, False]])
    assert pair_area(sample, only, draws=20).value == 1.0


def test_clips_without_a_score_lower_the_coverage_and_nothing_else():
    whole, partly = cross([2.0, 1.0], [0.0, 1.5]), cross([2.0, 1.0, 9.0], [0.0, 1.5])
    partly.scores[2] = np.nan
    assert pair_area(partly, draws=20).value == pair_area(whole, draws=20).value
    assert pair_area(partly, draws=20).coverage == pytest.approx(0.8)


def test_a_rate_at_five_percent_false_alarms_lets_at_most_that_share_pass():
    random = np.random.default_rng(1)
    filmed, generated = random.normal(0, 1, 4000), random.normal(1.645, 1, 4000)
    pooled = PooledScores.of(cross(list(generated), list(filmed)))
    assert pooled.detection_rate(0.05) == pytest.approx(0.5, abs=0.03)


def test_true_ratios_are_calibrated_and_doubled_ones_are_not():
    random = np.random.default_rng(2)
    filmed, generated = 2 * random.normal(-1, 1, 4000), 2 * random.normal(1, 1, 4000)  # the ratio is 2 x
    assert PooledScores.of(cross(list(generated), list(filmed))).calibration_error() < 0.015
    assert PooledScores.of(cross(list(4 * generated), list(4 * filmed))).calibration_error() > 0.05


def test_precision_is_that_of_even_classes_however_many_clips_each_has():
    sample = cross([3.0, 1.0], [2.0] * 8)
    # Half of the generated weight comes first, then all filmed weight, then the rest: (1 + 1 / 2) / 2.
    assert PooledScores.of(sample).average_precision() == pytest.approx(0.75)
