"""From a folder of labelled files to weights that a detector uses, on clips drawn here."""

import csv
import hashlib
import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from benchmarks.attacks.codec import encoding, store
from detectors.corpus import read_corpus
from detectors.detector import Detector
from detectors.extraction import kept_views, views_of
from detectors.suite import load_suite
from detectors.training import train_detectors
from provenance.errors import CannotRead
from provenance.video import Clip, Video


def drawn(seed: int, smooth: bool, frames: int = 18) -> Clip:
    """A drifting texture; a "filmed" one has fresh noise in every frame, a smooth one has none."""
    random = np.random.default_rng(seed)
    coarse = random.uniform(40, 215, (24, 32 + frames, 3))
    wide = np.kron(coarse, np.ones((10, 10, 1)))
    stack = np.stack([wide[:240, (2 + seed % 3) * t :][:, :320] for t in range(frames)])
    noise = 0 if smooth else random.normal(0, 14, stack.shape)
    return Clip.at_rate(np.clip(stack + noise, 0, 255).astype(np.uint8), 8.0)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    """Two clips per fold and class, and one file that is no video."""
    folder = tmp_path_factory.mktemp("corpus")
    rows, split = [], []
    for number in range(20):
        generated, fold = number % 2 == 0, number // 2 % 5
        path = folder / f"{number}.mp4"
        store([drawn(number, generated)], path, encoding("x264", 18), Fraction(8))
        rows.append((path, generated, fold))
    broken = folder / "broken.mp4"
    broken.write_text("no video at all")
    rows.append((broken, False, 0))
    for path, generated, fold in rows:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        label, family = ("ai", f"model{fold}") if generated else ("real", f"camera{fold}")
        about = {"label": label, "family": family, "file": path.name, "group": path.stem, "sha256": digest}
        split.append({"sha256": digest, "family": family, "lineage": family, "fold": fold, "label": label})
        rows[rows.index((path, generated, fold))] = about
    for name, table in (("manifest.csv", rows), ("split.csv", split)):
        with (folder / name).open("w", newline="") as file:
            writer = csv.DictWriter(file, list(table[0]))
            writer.writeheader()
            writer.writerows(table)
    return folder


def test_reads_what_each_clip_is_and_where_it_stands(corpus):
    clips = read_corpus(corpus, corpus / "split.csv")
    assert len(clips) == 21
    assert {clip.fold for clip in clips if clip.generated} == set(range(5))


def test_a_missing_corpus_is_said_in_one_line(tmp_path):
    with pytest.raises(CannotRead):
        read_corpus(tmp_path, tmp_path / "split.csv")


def test_views_are_made_once_and_read_back_the_same(corpus, tmp_path):
    path = corpus / "3.mp4"
    first = kept_views({"3": path}, tmp_path)["3"]
    moved = kept_views({"3": tmp_path / "gone.mp4"}, tmp_path)["3"]
    assert len(first.views) == len(moved.views) == 1
    assert np.array_equal(first.views[0].rgb, moved.views[0].rgb)


def test_a_file_that_cannot_be_read_has_no_views_and_says_why(corpus):
    seen = views_of(Video(corpus / "broken.mp4"))
    assert seen.views == ()
    assert "broken.mp4" in seen.reason


def test_a_degradation_is_applied_before_the_clip_is_seen(corpus):
    dark = views_of(Video(corpus / "2.mp4"), lambda clip: Clip(clip.frames // 2, clip.times))
    plain = views_of(Video(corpus / "2.mp4"))
    assert dark.views[0].rgb.mean() < 0.6 * plain.views[0].rgb.mean()


@pytest.mark.slow
def test_training_writes_weights_that_tell_new_clips_apart_and_a_record_of_what_it_saw(corpus, tmp_path):
    trained = train_detectors(corpus, corpus / "split.csv", tmp_path / "cache", tmp_path / "suite.safetensors")
    record = json.loads(trained.record.read_text())
    assert record["weights_sha256"] == hashlib.sha256(trained.weights.read_bytes()).hexdigest()
    assert len(record["trained_on_sha256"]) == 20
    assert len(record["not_seen"]) == 1
    suite = load_suite(trained.weights)
    ratios = []
    for seed, smooth in ((101, True), (102, False)):
        path = tmp_path / f"{seed}.mp4"
        store([drawn(seed, smooth)], path, encoding("x264", 18), Fraction(8))
        detector = Detector(suite)
        video = Video(path)
        detector.start(video.info)
        any(detector.see(window) for window in video.windows())
        ratios.append(detector.evidence()[0].log_likelihood_ratio)
    assert ratios[0] > ratios[1]
