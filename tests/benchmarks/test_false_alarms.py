"""The false-alarm experiment counts what it says, and would notice a test that lies."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.experiments import false_alarms, latent_false_alarms
from benchmarks.experiments.false_alarms import KINDS, PARTS, Trials, false_alarm_report, run_false_alarms
from benchmarks.experiments.latent_false_alarms import LatentTrials, run_latent_false_alarms
from provenance.errors import UnknownName
from provenance.video import Clip
from provenance.video.write import write_clip
from provenance.watermarks import statistics


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(4)
    frames = rng.integers(60, 190, (16, 96, 128, 3), dtype=np.uint8)
    clips = tmp_path / "clips"
    clips.mkdir()
    write_clip(Clip.at_rate(frames, 24.0), clips / "noise.mp4", crf=20)
    return clips


def test_every_kind_and_part_is_tried_and_nothing_is_found(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(false_alarms, "CHAINS", ("none",))
    report = run_false_alarms(tmp_path / "out", videos=folder, trials=Trials(3, 3, 6000), clips=1)
    rows = report.results["rows"]
    assert {(row["arm"], row["kind"]) for row in rows} == {(part, kind) for part in PARTS for kind in KINDS}
    assert [row["trials"] for row in rows if row["arm"] == "statistic"] == [2000] * 3
    assert (report.results["ids"], report.results["failed"], report.results["excess"]) == (0, 0, 0)
    said = (tmp_path / "out" / "report.md").read_text()
    assert "Kolmogorov-Smirnov, one-sided): unmarked 1, n=1; another key 1, n=1" in said


def test_a_part_may_be_tried_alone(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(false_alarms, "CHAINS", ("none",))
    trials = Trials(statistic=60)
    report = run_false_alarms(tmp_path / "out", videos=folder, trials=trials, clips=1, parts=["statistic"])
    assert [(row["arm"], row["trials"]) for row in report.results["rows"]] == [("statistic", 20)] * 3
    with pytest.raises(UnknownName):
        run_false_alarms(tmp_path / "other", videos=folder, parts=["guess"])


def test_a_lying_statistic_is_noticed() -> None:
    rows = [
        {"arm": part, "kind": kind, "trials": 10_000, "below 1e-3": 40, "below 1e-4": 0, "below 1e-5": 0, "ids": 0}
        for part in PARTS
        for kind in KINDS
    ]
    assert false_alarm_report(rows, {}).results["excess"] == len(rows)


def test_draws_of_the_statistic_are_as_rare_as_they_claim() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=70) * 5 + 1j * rng.normal(size=70)
    phases = (2 * rng.integers(0, 4, (20_000, 70)) + 1) * (np.pi / 4)
    assert (statistics.log10_phase_sum_tail(values, phases) <= -2).sum() <= 240


def test_the_latent_watermark_is_not_found_under_keys_that_marked_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latent_false_alarms, "CHAINS", ("none",))
    report = run_latent_false_alarms(tmp_path / "out", trials=LatentTrials(6, 30_000), clips=1)
    rows = report.results["rows"]
    assert [(row["arm"], row["trials"]) for row in rows] == 3 * [("reading", 2), ("statistic", 10_000)]
    assert (report.results["ids"], report.results["failed"], report.results["excess"]) == (0, 0, 0)


def test_signs_that_the_latent_statistic_leaves_out_could_not_have_come_near() -> None:
    magnitudes = np.abs(np.random.default_rng(2).normal(size=(1, 2048)))
    total = latent_false_alarms._WORTH * np.sqrt((magnitudes**2).sum(axis=1))
    assert statistics.log10_sign_sum_tail(total, magnitudes) > -2
