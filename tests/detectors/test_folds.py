"""Scores come from models that saw neither generator nor camera, at any step."""

from pathlib import Path

import numpy as np
import pytest

from detectors.corpus import CorpusClip, capped_weights, few_per_family
from detectors.fitting import linear_fit
from detectors.folds import FUSED, cell_logits, cells, head_of, out_of_fold, trained_classifier, unseen_scores
from detectors.table import ChannelRows, FeatureTable

RANDOM = np.random.default_rng(11)
FITS = {"signal": linear_fit(0.01), "source": linear_fit(0.01)}


def clip(number: int, generated: bool, fold: int, family: str = "", group: str = "") -> CorpusClip:
    family = family or f"{'ai' if generated else 'camera'}{fold}"
    return CorpusClip(f"{number:064x}", Path(f"{number}.mp4"), generated, family, family, group or str(number), fold)


@pytest.fixture(scope="module")
def table() -> FeatureTable:
    """200 clips; "signal" tells the classes apart anywhere, "source" only tells folds apart."""
    clips = tuple(clip(n, n % 2 == 0, n // 2 % 5) for n in range(200))
    truth = np.array([c.generated for c in clips])
    fold = np.array([c.fold for c in clips])
    signal = np.where(truth, 1.0, -1.0)[:, None] + RANDOM.normal(size=(200, 3))
    source = RANDOM.normal(size=(10, 8))[fold + 5 * truth] + 0.1 * RANDOM.normal(size=(200, 8))
    every = np.arange(200)
    rows = {
        name: ChannelRows(values.astype(np.float32), every, np.ones(200, bool))
        for name, values in (("signal", signal), ("source", source))
    }
    return FeatureTable(clips, rows)


@pytest.fixture(scope="module")
def logits(table):
    return cell_logits(table, FITS, {"again": table})


def test_there_are_25_cells_and_100_inner_ones():
    sizes = [len(generators) for generators, _ in cells()]
    assert sizes.count(1) == 25
    assert sizes.count(2) == 100


def test_a_held_out_fold_does_not_touch_the_model(table):
    cell = (frozenset({1}), frozenset({2}))
    values = table.rows["signal"].values.copy()
    hidden = np.array([c.fold == (1 if c.generated else 2) for c in table.clips])
    values[hidden] += 100
    changed = FeatureTable(table.clips, {"signal": ChannelRows(values, np.arange(200), np.ones(200, bool))})
    fit = FITS["signal"]
    before, after = (trained_classifier(t, "signal", fit, cell).weights for t in (table, changed))
    assert np.array_equal(before, after)
    assert not np.array_equal(trained_classifier(changed, "signal", fit).weights, before)


def test_inside_a_cell_calibration_uses_no_clip_of_the_held_out_folds(table, logits):
    unseen = unseen_scores(table, logits, (1, 2))
    for index in unseen.clip:
        assert table.clips[index].fold != (1 if table.clips[index].generated else 2)


def test_every_clip_is_scored_by_five_cells_and_a_true_signal_is_found(table, logits):
    scores = out_of_fold(table, list(FITS), logits, ["again"])
    assert np.isfinite(scores.scores[FUSED]).all()
    assert ((scores.scores[FUSED] > 0) == table.generated[:, None]).mean() > 0.9
    assert np.array_equal(scores.degraded["again"][FUSED], scores.scores[FUSED])


def test_a_fingerprint_of_sources_convinces_in_training_and_is_not_believed_by_the_fusion(table, logits):
    seen = trained_classifier(table, "source", FITS["source"]).logits(table.rows["source"].values)
    assert ((seen > 0) == table.generated).mean() > 0.9
    head = head_of(table, list(FITS), unseen_scores(table, logits, None))
    signal, source = head.fusion.weights
    assert signal > 0.5
    assert source * head.scales["source"].slope < 0.2 * signal * head.scales["signal"].slope


def test_decisions_follow_the_band(table, logits):
    scores = out_of_fold(table, list(FITS), logits)
    right = scores.called_generated == table.generated[:, None]
    assert right[scores.decided].mean() > 0.9
    assert not scores.called_generated[~scores.decided].any()


def test_clips_of_one_recording_weigh_at_most_three_and_of_one_family_at_most_eight():
    many = [clip(n, False, 0, "big", str(n)) for n in range(40)]
    many += [clip(100 + n, False, 0, "takes", "one") for n in range(6)]
    weights = capped_weights(many)
    assert weights[:40].sum() == pytest.approx(8)
    assert weights[40:].sum() == pytest.approx(3)


def test_a_balanced_choice_takes_the_first_of_each_family_by_digest():
    clips = [clip(n, n < 6, 0, "a" if n < 6 else "b") for n in reversed(range(12))]
    assert [int(c.sha256, 16) for c in few_per_family(clips, 2)] == [0, 1, 6, 7]
