"""The watermark benchmark: what it plans, what it counts, and one small run of the real thing."""

import json

import numpy as np
import pytest

from benchmarks.experiments.chain import chain_report, row_of
from benchmarks.experiments.watermarks import _marks, _tasks, left_over, run_watermarks
from benchmarks.marks import MARKS
from benchmarks.peers import environment
from benchmarks.suites import SUITES, planned
from benchmarks.tables import panels, watermark_report
from benchmarks.videos import SceneShape, scene_subjects
from provenance.errors import NeedsExtra, UnknownName
from provenance.video import Clip
from provenance.video.write import write_clip


def row(arm, exact, *, mark="pixel", task="pixel/a", **more):
    kind, chain = arm.split("/")
    return {"task": task, "of": 1, "arm": arm, "kind": kind, "chain": chain, "watermark": mark, "exact": exact,
            "found": exact, "wrong_id": False, **more}  # fmt: skip


class TestPlanning:
    def test_chains_are_spelled_one_way_and_once(self):
        assert planned("quick", ["crop:.9", "crop:0.90"]).chains == ("crop:0.9",)

    @pytest.mark.parametrize("suite", ["standard", "full"])
    def test_every_suite_names_the_attacks_that_are_promised(self, suite):
        names = {step.split(":")[0] for chain in planned(suite, None).chains for step in chain.split("+")}
        assert {"strip", "x264", "x265", "resize", "crop", "brightness", "drop", "flip"} <= names

    def test_the_quick_suite_has_eight_attacks_and_the_clip_as_it_is(self):
        chains = planned("quick", None).chains
        assert chains[0] == "none"
        assert len(chains) == 9

    def test_suites_grow(self):
        quick, standard, full = (set(planned(name, None).chains) for name in ("quick", "standard", "full"))
        assert quick < standard < full

    def test_peers_that_are_not_installed_are_left_out_by_name(self, tmp_path, monkeypatch):
        monkeypatch.delenv("COUNTERMARK_PEERS", raising=False)
        monkeypatch.setattr(environment, "_OWN", tmp_path / "nothing")
        marks, missing = _marks(SUITES["quick"], None)
        assert [mark.name for mark in marks] == ["pixel"]
        assert "make peers" in missing["dwtDctSvd"]

    def test_a_peer_that_was_asked_for_must_be_there(self, tmp_path, monkeypatch):
        monkeypatch.delenv("COUNTERMARK_PEERS", raising=False)
        monkeypatch.setattr(environment, "_OWN", tmp_path / "nothing")
        with pytest.raises(NeedsExtra, match="dwtDctSvd"):
            run_watermarks(out=tmp_path / "out", watermarks=["pixel", "dwtDctSvd"])

    def test_an_unknown_suite_or_watermark_is_named(self, tmp_path):
        with pytest.raises(UnknownName):
            planned("huge", None)
        with pytest.raises(UnknownName):
            run_watermarks(out=tmp_path, watermarks=["pixle"])

    def test_every_chain_gets_its_clips_and_its_negatives(self):
        plan = planned("quick", None)
        tasks = _tasks(MARKS["pixel"], scene_subjects(8, seed=0, shape=SceneShape()), plan, 0)
        for chain in plan.chains:
            assert sum(f"marked/{chain}" in task.arms for task in tasks) == 8
            for kind in ("unmarked", "wrong-key"):
                assert sum(f"{kind}/{chain}" in task.arms for task in tasks) == plan.negatives
        loads = [sum(not arm.startswith("marked") for arm in task.arms) for task in tasks]
        assert max(loads) - min(loads) <= 2 * plan.negatives

    def test_where_there_are_more_clips_every_chain_gets_as_many_as_planned(self):
        plan = planned("standard", None)
        tasks = _tasks(MARKS["pixel"], scene_subjects(40, seed=0, shape=SceneShape()), plan, 0)
        for chain in plan.chains[1:]:
            assert sum(f"marked/{chain}" in task.arms for task in tasks) == plan.per_chain
        assert all("marked/none" in task.arms for task in tasks)  # its row says what the watermark costs


class TestWhatAnAttackLeaves:
    clip = Clip.at_rate(np.random.default_rng(0).integers(0, 256, (4, 32, 48, 3), dtype=np.uint8), 24)

    def test_is_measured_where_frames_correspond(self):
        darker = Clip(self.clip.frames // 2, self.clip.times)
        left = left_over(self.clip, darker)
        assert left is not None
        assert 5 < left["psnr_db"] < 20
        assert left_over(self.clip, self.clip) == {"psnr_db": 100.0, "ssim": 1.0}

    def test_is_left_open_where_they_do_not(self):
        assert left_over(self.clip, self.clip.select(slice(0, 3))) is None
        assert left_over(self.clip, Clip(self.clip.frames, self.clip.times + 0.5)) is None


class TestCounting:
    settings = {"suite": "quick", "videos": "x", "chains": ["x264:23", "x264:40"], "watermarks": ["pixel"]}  # noqa: RUF012

    def rows(self):
        hits = [row("marked/x264:23", True, task=f"pixel/{n}") for n in range(4)]
        misses = [row("marked/x264:40", n == 0, task=f"pixel/{n}") for n in range(3)]
        broken = {"task": "pixel/3", "of": 1, "arm": "marked/x264:40", "error": "OSError: gone"}
        return [*hits, *misses, broken, row("unmarked/x264:23", False)]

    def test_broken_trials_are_misses_and_lower_the_coverage(self):
        report = watermark_report(self.rows(), self.settings)
        arm = report.results["arms"][1]
        assert (arm["chain"], arm["exact"]["hits"], arm["exact"]["trials"], arm["exact"]["failed"]) == (
            "x264:40",
            1,
            4,
            1,
        )
        assert "coverage 75 %" in report.tables[0].rows[1][1]

    def test_the_curve_goes_through_the_shares(self):
        (panel,) = panels(self.rows(), ["pixel"])
        assert panel.title == "x264"
        assert [point[:2] for point in panel.curves[0].points] == [(23, 1.0), (40, 0.25)]


class TestChainRows:
    report = {  # noqa: RUF012
        "evidence": [
            {"check": "credentials", "status": "recovered", "manifest": "urn:a", "origin": "captured"},
            {
                "check": "pixel-watermark",
                "found": True,
                "key": "public",
                "watermark_id": "8" * 16,
                "log10_p": -30,
                "content": "fits",
            },
        ],
        "verdict": {"finding": "captured", "grade": "recovered"},
    }

    def test_the_way_back_needs_the_id_and_the_signed_manifest(self):
        kept = row_of(self.report, "8" * 16, "urn:a", "other")
        assert kept["exact"]
        assert kept["manifest"]
        assert kept["origin"]
        assert kept["content"] == "fits"
        assert not kept["wrong_key"]

    def test_another_id_is_a_wrong_one_and_another_manifest_none(self):
        kept = row_of(self.report, "9" * 16, "urn:b", "other")
        assert (kept["exact"], kept["wrong_id"], kept["manifest"], kept["content"]) == (False, True, False, None)

    def test_a_changed_credential_is_no_way_back(self):
        changed = json.loads(json.dumps(self.report))
        changed["evidence"][0]["status"] = "changed"
        assert not row_of(changed, "8" * 16, "urn:a", "other")["manifest"]

    def test_the_table_counts_every_arm(self):
        kept = {**row_of(self.report, "8" * 16, "urn:a", "other"), "psnr_db": 42.3}
        rows = [
            {"task": "chain/a", "of": 1, "arm": "intact", **kept},
            {"task": "chain/b", "of": 1, "arm": "intact", "error": "x"},
        ]
        report = chain_report(rows, {"clips": 2, "videos": "v", "use": None, "seconds": 6.0})
        assert report.results["arms"]["intact"]["exact"]["hits"] == 1
        assert report.results["arms"]["intact"]["exact"]["failed"] == 1


@pytest.mark.slow
def test_a_small_run_reads_the_pixel_watermark_and_goes_on_where_it_stopped(tmp_path):
    grain = np.random.default_rng(1).normal(0, 12, (180, 320, 1))
    x, y = np.meshgrid(np.arange(320), np.arange(180))
    frames = [128 + 50 * np.sin((x + 2 * t) / 17)[..., None] * np.cos(y / 13)[..., None] + grain for t in range(48)]
    clip = Clip.at_rate(np.clip(np.repeat(np.stack(frames), 3, axis=-1), 0, 255).astype(np.uint8), 24)
    write_clip(clip, tmp_path / "clip.mp4", crf=12)
    options = {
        "videos": tmp_path / "clip.mp4",
        "out": tmp_path / "out",
        "watermarks": ["pixel"],
        "chains": ["none", "x264:23"],
    }
    rows = run_watermarks(**options)
    kinds = {(one["kind"], one["chain"]): one for one in rows}
    assert kinds["marked", "none"]["exact"]
    assert kinds["marked", "x264:23"]["exact"]
    assert not any(one["found"] for one in rows if one["kind"] != "marked")
    assert kinds["marked", "none"]["psnr_db"] >= 42
    assert kinds["marked", "none"]["bit_accuracy"] == 1.0
    assert 1 < kinds["marked", "none"]["size_ratio"] < 5
    assert kinds["marked", "x264:23"]["attacked"]["psnr_db"] > 25
    assert (tmp_path / "out/report.html").is_file()
    assert run_watermarks(**options) == rows
