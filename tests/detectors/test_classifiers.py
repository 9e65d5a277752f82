"""Classifiers, calibration and fusion: plain arrays that equal scikit-learn's models, and honest ratios."""

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesClassifier

from detectors.calibration import (
    InconclusiveBand,
    PlattScale,
    inconclusive_band,
    platt_scale,
    probability_generated,
    weighted_quantile,
)
from detectors.classifier import classifier_from
from detectors.fitting import as_arrays, linear_fit, tree_fit
from detectors.fusion import fusion_of
from provenance.errors import WeightsError

RANDOM = np.random.default_rng(3)
ROWS = RANDOM.normal(size=(400, 12)).astype(np.float32)
GENERATED = (ROWS[:, 0] + 0.5 * ROWS[:, 1] * ROWS[:, 2] + RANDOM.normal(size=400)) > 0
EVEN = np.ones(400)


def test_trees_as_arrays_equal_scikit_learn_on_new_rows():
    model = ExtraTreesClassifier(40, min_samples_leaf=2, random_state=1).fit(ROWS, GENERATED)
    fresh = RANDOM.normal(size=(1000, 12)).astype(np.float32)
    assert np.allclose(as_arrays(model).shares(fresh), model.predict_proba(fresh)[:, 1], atol=1e-6)


def test_trees_decide_a_value_equal_to_a_threshold_as_scikit_learn_does():
    rows = np.round(ROWS * 4) / np.float32(10)
    model = ExtraTreesClassifier(20, random_state=1).fit(rows, GENERATED)
    assert np.allclose(as_arrays(model).shares(rows), model.predict_proba(rows)[:, 1], atol=1e-6)


@pytest.mark.parametrize("fit", [linear_fit(0.01), tree_fit(30, 4)])
def test_a_classifier_survives_being_stored(fit):
    classifier = fit(ROWS, GENERATED, EVEN)
    again = classifier_from(classifier.arrays())
    assert np.allclose(classifier.logits(ROWS), again.logits(ROWS), atol=1e-4)


@pytest.mark.parametrize("fit", [linear_fit(0.01), tree_fit(30, 4)])
def test_a_classifier_learns(fit):
    logits = fit(ROWS[:300], GENERATED[:300], EVEN[:300]).logits(ROWS[300:])
    assert ((logits > 0) == GENERATED[300:]).mean() > 0.65


def test_damaged_weights_are_named_as_such():
    with pytest.raises(WeightsError):
        classifier_from({"centre": np.zeros(3)})


def test_a_class_with_many_clips_does_not_shift_the_calibrated_ratio():
    scores = np.concatenate([RANDOM.normal(1, 1, 4000), RANDOM.normal(-1, 1, 400)])
    truth = np.arange(4400) < 4000
    scale = platt_scale(scores, truth, np.ones(4400))
    # For unit normals at +1 and -1 the true log-likelihood ratio is 2 x.
    assert scale.slope == pytest.approx(2, abs=0.25)
    assert scale.offset == pytest.approx(0, abs=0.25)


def test_a_score_that_points_the_wrong_way_is_switched_off_not_believed_in_reverse():
    scale = platt_scale(-np.where(GENERATED, 1.0, -1.0), GENERATED, EVEN)
    assert scale.slope == pytest.approx(0, abs=1e-6)
    with pytest.raises(ValueError):
        PlattScale(-1.0, 0.0)


def test_even_odds_are_one_half():
    assert probability_generated(0.0) == pytest.approx(0.5)
    assert probability_generated(np.log(9)) == pytest.approx(0.9)


def test_fusion_ignores_noise_and_never_weighs_below_zero():
    truth = RANDOM.random(3000) < 0.5
    good = np.where(truth, 1.0, -1.0) + RANDOM.normal(size=3000)
    columns = np.stack([2 * good, RANDOM.normal(size=3000), -good], axis=1)
    fusion = fusion_of(("good", "noise", "reversed"), columns, truth, np.ones(3000))
    assert fusion.weights[0] > 0.6
    assert fusion.weights[1] < 0.1
    assert fusion.weights[2] == 0.0


def test_the_band_leaves_one_generated_in_ten_below_and_one_filmed_in_twenty_above():
    generated, filmed = RANDOM.normal(1, 1, 5000), RANDOM.normal(-1, 1, 5000)
    truth = np.arange(10000) < 5000
    band = inconclusive_band(np.concatenate([generated, filmed]), truth, np.ones(10000))
    assert (generated < band.low).mean() == pytest.approx(0.10, abs=0.005)
    assert (filmed > band.high).mean() == pytest.approx(0.05, abs=0.005)
    assert not band.decides((band.low + band.high) / 2)
    assert band.decides(band.high)
    assert band.decides(band.low)


def test_a_score_that_its_band_and_its_sign_call_differently_decides_nothing():
    assert not InconclusiveBand(0.3, 1.2).decides(0.2)
    assert not InconclusiveBand(-1.2, -0.3).decides(-0.2)


def test_where_classes_part_well_there_is_a_threshold_and_no_band():
    scores = np.concatenate([np.full(50, 5.0), np.full(50, -5.0)])
    band = inconclusive_band(scores, np.arange(100) < 50, np.ones(100))
    assert band == InconclusiveBand(-5.0, -5.0)


def test_a_weighted_quantile_counts_weight_not_rows():
    assert weighted_quantile(np.array([1.0, 2.0, 3.0]), np.array([1.0, 1.0, 8.0]), 0.5) == 3.0
    assert weighted_quantile(np.array([3.0, 1.0, 2.0]), np.array([1.0, 1.0, 1.0]), 0.34) == 2.0
