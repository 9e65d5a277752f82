"""The forgery experiment says whose ids stand in a forged clip, and would notice one that belongs to nobody."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmarks.experiments import forgery
from benchmarks.experiments.forgery import Forged, _Case, _judged, _message, _of_clip, measure, run_forgery
from benchmarks.experiments.forgery_claims import CLAIMS
from benchmarks.experiments.forgery_report import forgery_report
from benchmarks.marks import PixelMark, bench_key
from benchmarks.videos import SceneShape, scene_subjects
from countermark.benches import BENCHES, BenchOptions
from countermark.settings import Settings
from provenance.errors import UnknownName
from provenance.video import Clip

MARK, KEY = PixelMark(), bench_key(0)
SETTINGS = {"clips": 1, "videos": "scenes:2", "watermark": "pixel", "sources": 1, "counts": [10]}


@pytest.fixture(scope="module")
def plain():
    grain = np.random.default_rng(4).normal(120, 12, (48, 180, 320, 1)) + np.zeros(3)
    return Clip.at_rate(np.clip(grain, 0, 255).astype(np.uint8), 24.0)


@pytest.fixture
def tasks():
    subject, other = scene_subjects(2, seed=1, shape=SceneShape(90, 160, 2.0))
    return {task.name.split("/")[0]: task for task in _of_clip(subject, other, [], 2, {"mark": MARK, "seed": 0})}


class TestJudging:
    def test_an_id_is_the_victims_a_participants_or_nobodys(self, plain):
        marked = MARK.embed(plain, 7, KEY)
        victim, shared, nobody = (
            _judged(MARK, KEY, Forged(marked, plain, who, others))
            for who, others in ((7, frozenset()), (None, frozenset({7, 8})), (9, frozenset({8})))
        )
        assert [row["exact"] for row in (victim, shared, nobody)] == [True, False, False]
        assert [row["taking_part"] for row in (victim, shared, nobody)] == [0, 1, 0]
        assert [row["nobody"] for row in (victim, shared, nobody)] == [False, False, True]
        assert victim["found"]
        assert 42.0 <= victim["psnr_db"] <= 46.5

    def test_nothing_is_found_where_nothing_is(self, plain):
        row = _judged(MARK, KEY, Forged(plain, plain, 7))
        assert [row[name] for name in ("found", "exact", "nobody", "psnr_db")] == [False, False, False, None]


def test_both_ids_are_read_from_a_clip_that_was_marked_twice(plain):
    mirrored = Clip(plain.frames[:, :, ::-1].copy(), plain.times)
    case = _Case(MARK, KEY, plain, mirrored, seed=3)
    rows = [case.row(arm) for arm in ("remark/other-key", "remark/same-key", "copy/whole/true")]
    assert all(row["exact"] and not row["nobody"] for row in rows)
    assert [row.get("second") for row in rows] == [True, True, None]


def test_keys_that_marked_nothing_fit_nothing(tasks, monkeypatch):
    monkeypatch.setattr(forgery, "SIZE", (320, 180))
    rows = measure(tasks["claim"])
    assert [row["arm"] for row in rows] == list(CLAIMS)
    assert [(row["tries"], row["detected"], row["ids"]) for row in rows] == [(2, 0, 0)] * 2


def test_messages_of_those_who_take_part_differ():
    assert len({_message(MARK, 3, number) for number in range(-5, 100)}) == 105


class TestReport:
    def test_counts_what_should_not_be(self):
        good = {"watermark": "pixel", "found": True, "exact": False, "taking_part": 1, "nobody": True, "psnr_db": 42.0}
        arm = "average-add/by-frame/true/10/x1 on a clip"
        report = forgery_report([{"arm": arm, **good}, {"arm": arm, "error": "broken"}], SETTINGS)
        assert "1 of 2 detected" in " ".join(report.summary)
        assert report.results["arms"]["average-add/by-frame/true/10/x1"]["nobody"]["hits"] == 1
        assert report.results["arms"]["average-add/by-frame/true/10/x1"]["failed"] == 1

    def test_states_alpha_times_tries(self):
        row = {"arm": "claim/unmarked", "tries": 1000, "least_log10_p": -2.5, "detected": 0, "ids": 0}
        report = forgery_report([row], SETTINGS)
        assert "alpha x tries = 1.0e-06" in " ".join(report.summary)
        assert report.tables[0].rows == (("unmarked", "1,000", "1e-2.50", "1e0.00", "0", "0"),)

    def test_says_who_learnt_what(self):
        row = {"found": False, "exact": False, "nobody": False, "psnr_db": 40.0, "queries": 0}
        rows = [
            {**row, "arm": "learn/square/eps4", "exact": True, "queries": 100},
            {**row, "arm": "learn/surrogate/eps4", "surrogate_right": 0.75},
            {"arm": "learn/key/eps4", "error": "broken"},
            {**row, "arm": "latent/own", "exact": True},
            {**row, "arm": "latent/transplant", "exact": True},
        ]
        report = forgery_report(rows, SETTINGS)
        said = " ".join(report.summary)
        assert "number in 1 of 1, clips alone in 0 of 1, the key in 0 of 1; networks are right about 75 %" in said
        assert "latent id is read in 1 of 1" in said
        learning, carried = report.tables
        assert [line[:3] for line in learning.rows] == [
            ("square", "4", "100"),
            ("surrogate", "4", "0"),
            ("key", "4", "0"),
        ]
        assert [line[0] for line in carried.rows] == ["own", "transplant"]


@pytest.mark.slow
def test_a_run_is_resumed_and_no_copy_takes_verify_in(tmp_path, monkeypatch):
    monkeypatch.setattr(forgery, "PATTERNS", ("still",))
    told = []
    wanted: dict[str, Any] = {"videos": "scenes:4", "clips": 1, "counts": (2,), "tries": 2, "queries": 12}
    rows = run_forgery(tmp_path, **wanted, progress=lambda done, of, name: told.append(done))
    assert not [row for row in rows if "error" in row]
    assert not any(row.get("nobody") or row.get("deceived") for row in rows)
    assert told == [1, 2, 3, 4, 5, 6]
    assert run_forgery(tmp_path, **wanted, progress=lambda done, of, name: told.append(done)) == rows
    assert told == [1, 2, 3, 4, 5, 6]
    report = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert all(title in report for title in ("Collusion", "Attacks that learn", "carried to other content"))


def test_only_the_kinds_that_are_named_are_done(tmp_path):
    with pytest.raises(UnknownName, match="kind of forgery"):
        run_forgery(tmp_path, kinds=["learning"])


def test_kinds_are_taken_from_both_options_once_and_in_one_order(tmp_path, monkeypatch):
    done = []

    def record(tasks, *_, settings, **__):
        done.append((settings["kinds"], {task.name.split("/")[0] for task in tasks}))
        return []

    monkeypatch.setattr(forgery, "run_tasks", record)
    options = BenchOptions(Settings.from_environment({}), tmp_path, videos="scenes:3", clips=1)
    for only, attacks in ((("learn", "claim"), ()), (("learn",), ("claim", "learn")), ((), ("claim", "learn"))):
        BENCHES["forgery"].run(replace(options, only=only, attacks=attacks))
    assert done == [(["claim", "learn"], {"claim", "learn"})] * 3
