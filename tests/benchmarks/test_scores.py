"""Any detectors on labelled clips: attacked once per chain, every failure a row, nothing that was trained on."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.experiments import scores
from benchmarks.experiments.scores import run_scores
from benchmarks.judges import Opinion, OwnSuite, ScoreFunction, all_judges
from benchmarks.runs import Task
from benchmarks.videos import subjects
from detectors.suite import trained_on
from provenance.errors import UnknownName, UsageError
from provenance.video import Clip, Video
from provenance.video.write import write_clip


def brightness(path: Path) -> float:
    """A detector that takes bright clips for generated."""
    return float(Video(path).read().luma.mean())


def broken(path: Path) -> float:
    raise ValueError("no such model")


@pytest.fixture
def labelled(tmp_path):
    """Four clips: bright ones generated, dark ones filmed; one more that is no video."""
    for number, level in enumerate((200, 190, 60, 50)):
        noise = np.random.default_rng(number).integers(0, 20, (6, 64, 96, 3), dtype=np.uint8)
        write_clip(Clip.at_rate(noise + np.uint8(level), 24), tmp_path / f"{number}.mp4", crf=20)
    (tmp_path / "4.mp4").write_bytes(b"no video")
    lines = ["file,label,family"] + [f"{n}.mp4,{'ai' if n < 2 else 'real'},f{n % 2}" for n in range(5)]
    (tmp_path / "manifest.csv").write_text("\n".join(lines))
    return tmp_path / "manifest.csv"


def test_every_detector_scores_every_clip_after_every_attack(labelled, tmp_path):
    judges = [ScoreFunction("bright", brightness), ScoreFunction("broken", broken)]
    rows = run_scores(tmp_path / "out", judges, videos=labelled, chains=["none", "brightness:.5"])
    assert len(rows) == 5 * 2 * 2
    scores = {
        (row["clip"], row["chain"]): row["score"] for row in rows if row.get("detector") == "bright" and "score" in row
    }
    assert scores["0.mp4", "none"] == pytest.approx(210, abs=5)
    assert scores["0.mp4", "brightness:0.5"] == pytest.approx(105, abs=8)
    assert all(
        "no such model" in row["error"] for row in rows if row.get("detector") == "broken" and row["clip"] != "4.mp4"
    )
    unread = [row for row in rows if row["task"].endswith("4.mp4")]
    assert len(unread) == 4
    assert all("error" in row for row in unread)
    assert (tmp_path / "out/report.html").is_file()


def test_an_attack_that_fails_is_tried_once_for_all_detectors(labelled, tmp_path, monkeypatch):
    tried = []

    def fails(source: Path, *_: object, **__: object) -> None:
        tried.append(source)
        raise ValueError("no such codec")

    monkeypatch.setattr(scores, "attack_file", fails)
    judges = [ScoreFunction("bright", brightness), ScoreFunction("again", brightness)]
    (subject, *_) = subjects(labelled)
    rows = scores.measure(Task("t", ("bright/none", "again/none"), {"subject": subject, "judges": judges}, 0))
    assert len(tried) == 1
    assert ["no such codec" in row["error"] for row in rows] == [True, True]


def test_a_run_without_labels_or_with_one_class_is_refused(labelled, tmp_path):
    judge = [ScoreFunction("bright", brightness)]
    with pytest.raises(UsageError, match="no label"):
        run_scores(tmp_path / "out", judge, videos=tmp_path / "0.mp4")
    labelled.write_text("file,label\n0.mp4,ai\n1.mp4,ai\n")
    with pytest.raises(UsageError, match="all clips are generated"):
        run_scores(tmp_path / "out", judge, videos=labelled)
    with pytest.raises(UnknownName):
        run_scores(tmp_path / "out", judge, videos=labelled, chains=["x265:28+smear"])


def test_our_suite_is_not_scored_on_what_it_learned_from():
    with pytest.raises(UsageError, match="trained on this clip"):
        OwnSuite().refuse_trained_on(min(trained_on()))
    OwnSuite().refuse_trained_on("0" * 64)
    OwnSuite().refuse_trained_on(None)


def test_our_suite_abstains_with_a_reason(tmp_path):
    write_clip(Clip.at_rate(np.full((4, 64, 64, 3), 90, np.uint8), 24), tmp_path / "grey.mp4", crf=20)
    said = OwnSuite().score(tmp_path / "grey.mp4")
    assert said.score is None
    assert said.decided is None
    assert said.reason


def test_names_stay_out_of_the_way_of_arms():
    with pytest.raises(UsageError):
        ScoreFunction("a/b", brightness)
    with pytest.raises(ValueError, match="finite"):
        Opinion(float("nan"))


def test_commands_join_ours():
    names = [judge.name for judge in all_judges(["my-detector {file}", "another {file}"])]
    assert names[0] == "countermark"
    assert names[-2:] == ["command", "command-2"]
