"""The weights that ship: small, as their record says, and trained on clips that the split knows."""

import csv
import hashlib
import json
from pathlib import Path

import numpy as np

from benchmarks.experiments.detectors import SPLIT
from detectors.channels import CHANNELS
from detectors.suite import RECORD, WEIGHTS, shipped_suite


def record() -> dict:
    return json.loads(Path(RECORD).read_text())


def test_are_the_ones_that_the_record_describes():
    assert hashlib.sha256(WEIGHTS.read_bytes()).hexdigest() == record()["weights_sha256"]
    assert WEIGHTS.stat().st_size < 3_000_000


def test_belong_to_the_channels_of_this_version():
    suite = shipped_suite()
    assert list(suite.head.scales) == [channel.name for channel in CHANNELS]
    assert set(suite.classifiers) == set(suite.head.scales)
    for channel in CHANNELS:
        rows = np.zeros((1, len(channel.names())), np.float32)
        assert np.isfinite(suite.classifiers[channel.name].logits(rows)).all()


def test_abstain_in_a_band_around_even_odds():
    band = shipped_suite().head.band
    assert band.low < 0 < band.high


def test_were_trained_on_clips_that_the_split_names_and_on_no_side_track():
    with SPLIT.open(newline="") as file:
        families = {row["sha256"]: row["family"] for row in csv.DictReader(file)}
    trained = record()["trained_on_sha256"]
    assert len(set(trained)) == len(trained) > 500
    assert set(trained) <= set(families)
    assert not {families[digest] for digest in trained} & {"lumiere_edit", "wan_vace", "floor33", "phenaki"}
