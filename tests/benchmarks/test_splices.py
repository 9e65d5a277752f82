"""Films of three shots: drawn from three sources, joined where it is said, and judged by where ids begin and end."""

import math

import pytest

from benchmarks.experiments import splices
from benchmarks.experiments.splices import run_splices, span_error
from benchmarks.videos import SceneShape, scene_subjects
from provenance.errors import UsageError


@pytest.mark.parametrize(
    ("claimed", "seconds"),
    [
        ([(1.0, 3.0)], 0.0),
        ([(0.5, 3.0)], 0.5),
        ([(1.0, 3.25)], 0.25),
        ([(1.0, 1.5), (2.25, 3.0)], 0.75),
        ([(2.25, 3.0), (1.0, 2.0)], 0.25),
        ([], math.inf),
    ],
)
def test_the_error_is_the_largest_of_beginning_end_and_gap(claimed, seconds):
    assert span_error(claimed, (1.0, 3.0)) == pytest.approx(seconds)


def test_shots_come_from_three_sources_and_the_draw_depends_on_the_seed_alone():
    found = scene_subjects(5, seed=0, shape=SceneShape(90, 160, 1.0))
    draws = [splices._drawn(found, seed) for seed in (1, 1, 2, 3)]
    assert draws[0] == draws[1]
    assert len({tuple(draw) for draw in draws}) > 1
    assert all(len({shot.source for shot in draw}) == 3 for draw in draws)
    with pytest.raises(UsageError, match="2 sources make no film"):
        splices._drawn(found[:2], 0)


def test_a_film_is_read_and_reported(tmp_path, monkeypatch):
    small = {"CHAINS": ("none",), "SIZE": (480, 270), "SHOT_SECONDS": (2.5, 3.0), "FRAMES_PER_SECOND": 12.0}
    for name, value in small.items():
        monkeypatch.setattr(splices, name, value)
    rows = run_splices(tmp_path, videos="scenes:3", films=1)
    assert [row["arm"] for row in rows] == ["none"]
    row = rows[0]
    assert not row["wrong_id"]
    assert row["ids"] == 3
    assert row["close"]
    assert row["worst_seconds"] <= 0.1
    shots = [span for _, *span in row["shots"]]
    assert shots[0][0] == 0.0
    assert [end for _, end in shots[:-1]] == [begin for begin, _ in shots[1:]]
    report = (tmp_path / "report.md").read_text()
    assert "all three ids" in report
    assert "1/1" in report
    assert "not right" not in report


def test_films_that_are_not_right_are_named_with_what_was_read():
    right = {"task": "splices/000", "of": 2, "clip": "splices/000", "arm": "none", "ids": 3, "all_ids": True,
             "close": True, "wrong_id": False, "worst_seconds": 0.0, "shots": [["a", 0.0, 2.5], ["b", 2.5, 6.0]],
             "read": [["a", [[0.0, 2.5]]], ["b", [[2.5, 6.0]]]]}  # fmt: skip
    wrong = {**right, "arm": "x264:28", "close": False, "wrong_id": True, "worst_seconds": None,
             "read": [["b", [[2.5, 4.0], [5.5, 6.0]]], ["c", [[0.0, 1.0]]]]}  # fmt: skip
    settings = {"films": 1}
    tables = splices.splices_report([right, wrong], settings).tables
    assert tables[1].rows == (("splices/000", "x264:28", "0-2.5: not read; 2.5-6: 2.5-4, 5.5-6; no shot: 0-1"),)
    assert len(splices.splices_report([right, {**right, "arm": "x264:28"}], settings).tables) == 1
