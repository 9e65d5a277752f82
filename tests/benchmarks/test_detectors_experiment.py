"""`bench detectors` on scores made up here: coverage, matched pairs, families and the table that is printed."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.experiments import detectors as experiment
from detectors.channels import CHANNELS
from detectors.corpus import CorpusClip
from detectors.folds import FUSED, OutOfFold
from detectors.table import FeatureTable
from detectors.training import CorpusFeatures


def clip(number: int) -> CorpusClip:
    """Even numbers are generated. Six families of ten; clips n and n + 1 share a group where n is a multiple of 10."""
    family = f"{'model' if number % 2 == 0 else 'camera'}{number // 20}"
    group = f"pair{number // 10}" if number % 10 < 2 else f"single{number}"
    return CorpusClip(f"{number:064x}", Path(f"{number}.mp4"), number % 2 == 0, family, family, group, number % 5)


FAMILIES = ("generator: model", "camera source: camera")


@pytest.fixture(scope="module")
def measured() -> tuple[CorpusFeatures, OutOfFold]:
    """60 clips, the last of which could not be seen; generated ones score +1 but for the matched pairs, which tie."""
    clips = tuple(clip(number) for number in range(60))
    table = FeatureTable(clips[:-1], {})
    value = np.where(table.generated, 1.0, -1.0)
    value[[i for i, c in enumerate(table.clips) if c.group.startswith("pair")]] = 0.0
    scores = {name: np.repeat(value[:, None], 5, axis=1) for name in (FUSED, *(c.name for c in CHANNELS))}
    decided = scores[FUSED] != 0
    oof = OutOfFold(table, scores, {}, decided, scores[FUSED] > 0)
    return CorpusFeatures(clips, {clips[-1].sha256: "damaged"}, table, {}, {}), oof


def test_a_clip_that_could_not_be_seen_stays_in_the_coverage(measured):
    features, scores = measured
    cross = experiment.cross_scores(features.clips, features.table, scores.scores[FUSED])
    assert len(cross.scores) == 60
    assert cross.coverage < 1
    rows = experiment.clip_rows(features, scores)
    assert rows[-1]["reason"] == "damaged"
    assert "fused" in rows[0]


def test_matched_pairs_are_compared_with_their_own_partner_only(measured):
    rows = experiment.subset_rows(*measured)
    pairs = next(row for row in rows if row["subset"] == "matched pairs" and row["score"] == FUSED)
    assert pairs["groups"] == 6
    assert pairs["auc"] == pytest.approx(0.5)


def test_the_share_that_is_decided_counts_both_classes_alike(measured):
    share = experiment.decided_share(*measured)
    assert 0.6 < share["decided"] < 0.9
    assert share["decided_wrong"] == 0


def test_every_larger_family_has_a_row_against_the_other_class(measured):
    rows = experiment.family_rows(*measured)
    assert {row["subset"] for row in rows} == {f"{kind}{k}" for k in range(3) for kind in FAMILIES}
    assert all(row["auc"] > 0.8 for row in rows)


def test_the_table_prints_interval_sizes_and_coverage(measured):
    text = experiment.as_markdown([*experiment.subset_rows(*measured), *experiment.family_rows(*measured)])
    assert "| fused | matched pairs | 0.500 [" in text
    assert "6 / 6" in text
    assert "generator: model0" in text
