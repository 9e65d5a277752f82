"""What moved between two runs, and failures that nobody listed."""

import json

import pytest

from benchmarks.comparison import compare_runs, known_failures_of
from provenance.errors import CannotRead, UsageError
from tests.benchmarks.made_rows import CODECS, made_rows

CLIPS = 24
MANY = ("none", *CODECS, "crop:0.9", "flip", "blur:1")


def run(folder, exact, *, mark="pixel", chain="x264:28", broken=(), found=()):
    """A run of one chain over 24 clips of 24 sources: which are read, which fail, which unmarked ones are found."""
    folder.mkdir(exist_ok=True)
    rows = []
    for n in range(CLIPS):
        common = {"task": f"{mark}/{n}", "of": 2, "watermark": mark, "clip": str(n), "source": str(n), "chain": chain}
        row = {**common, "arm": f"marked/{chain}", "kind": "marked", "exact": n in exact, "found": n in exact}
        rows.append({**common, "arm": row["arm"], "kind": "marked", "error": "OSError: x"} if n in broken else row)
        rows.append({**common, "arm": f"unmarked/{chain}", "kind": "unmarked", "exact": False, "found": n in found})
    with (folder / "rows.jsonl").open("a") as stream:
        stream.write("".join(json.dumps(row) + "\n" for row in rows))
    return folder


class TestComparing:
    def test_the_same_run_has_not_moved(self, tmp_path):
        old = run(tmp_path / "old", range(20))
        same = compare_runs(old, old)
        assert (same.moved, same.gone, same.added, same.failing, same.regressions) == ((), (), (), (), ())
        assert same.compared == 2
        assert "Nothing moved" in same.markdown()

    def test_what_is_lost_beyond_noise_is_a_regression(self, tmp_path):
        worse = compare_runs(run(tmp_path / "old", range(24)), run(tmp_path / "new", range(10)))
        assert any("pixel marked/x264:28" in one for one in worse.regressions)
        assert any("codec: exact id" in one for one in worse.regressions)

    def test_one_clip_more_or_less_is_noise(self, tmp_path):
        assert not compare_runs(run(tmp_path / "old", range(20)), run(tmp_path / "new", range(1, 20))).regressions

    def test_what_got_better_is_said_and_is_no_regression(self, tmp_path):
        better = compare_runs(run(tmp_path / "old", range(6)), run(tmp_path / "new", range(24)))
        assert better.moved
        assert all(one.better for one in better.moved)
        assert not better.regressions
        assert "better" in better.markdown()

    def test_finding_what_is_not_there_is_worse(self, tmp_path):
        alarms = compare_runs(run(tmp_path / "old", range(24)), run(tmp_path / "new", range(24), found=range(12)))
        assert any("unmarked" in one for one in alarms.regressions)

    def test_cells_that_are_gone_or_fail_count_as_worse_and_new_ones_do_not(self, tmp_path):
        old = run(run(tmp_path / "old", range(24)), range(24), chain="flip", mark="latent")
        new = run(run(tmp_path / "new", range(24), broken={3}), range(24), chain="crop:0.9")
        told = compare_runs(old, new)
        assert "latent marked/flip" in told.gone
        assert "pixel marked/crop:0.9" in told.added
        assert told.failing == ("pixel marked/x264:28: 1 trials fail that did not (3)",)
        assert len(told.regressions) >= 3
        assert json.dumps(told.json())

    def test_clips_that_are_no_longer_measured_are_gone(self, tmp_path):
        old, new = run(tmp_path / "old", range(24)), run(tmp_path / "new", range(24))
        rows = (new / "rows.jsonl").read_text().splitlines(keepends=True)
        (new / "rows.jsonl").write_text("".join(row for row in rows if '"clip": "7"' not in row))
        assert "pixel marked/x264:28 on 1 clips (7)" in compare_runs(old, new / "results.json").gone

    def test_a_watermark_that_got_louder_is_worse(self, tmp_path):
        for name, loss in (("old", 0.0), ("new", 0.5)):
            rows = made_rows(12, ("none",), ("pixel",))
            for row in rows:
                row |= {"psnr_db": row["psnr_db"] - loss} if "psnr_db" in row else {}
            (tmp_path / name).mkdir()
            (tmp_path / name / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (told,) = compare_runs(tmp_path / "old", tmp_path / "new").regressions
        assert told.startswith("pixel: luma PSNR, dB")

    def test_runs_that_differ_by_chance_alone_rarely_move(self, tmp_path):
        moved = 0
        for seed in range(6):
            for name, offset in (("old", 100), ("new", 200)):
                (tmp_path / name).mkdir(exist_ok=True)
                rows = made_rows(16, MANY, ("pixel",), seed=1, chance=offset + seed)
                (tmp_path / name / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
            moved += bool(compare_runs(tmp_path / "old", tmp_path / "new").moved)
        assert moved <= 1

    def test_a_detector_is_compared_by_its_area(self, tmp_path):
        for name, gap in (("old", 3.0), ("new", 0.0)):
            (tmp_path / name).mkdir()
            rows = [
                {"task": f"detectors/{n}", "of": 1, "detector": "d", "arm": "d/none", "chain": "none", "clip": str(n),
                 "source": str(n), "label": ("generated", "filmed")[n % 2], "score": (n * 7 % 5) + gap * (n % 2 == 0)}
                for n in range(40)
            ]  # fmt: skip
            (tmp_path / name / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        told = compare_runs(tmp_path / "old", tmp_path / "new")
        assert any("AUC" in one for one in told.regressions)
        assert not compare_runs(tmp_path / "old", tmp_path / "old").regressions

    def test_a_folder_without_rows_is_named(self, tmp_path):
        with pytest.raises(CannotRead, match="nowhere"):
            compare_runs(tmp_path / "nowhere", tmp_path)
        (tmp_path / "rows.jsonl").write_text("")
        with pytest.raises(CannotRead, match="no rows"):
            compare_runs(tmp_path, tmp_path)


class TestKnownFailures:
    def test_what_fails_and_is_not_listed_is_named(self, tmp_path):
        folder = run(tmp_path / "run", range(22))
        listed = tmp_path / "known.txt"
        listed.write_text("# two clips are lost\npixel x264:28 22\n")
        assert known_failures_of(listed, folder).unexpected == ("pixel x264:28 23",)
        listed.write_text("pixel x264:28  # a whole cell\n")
        assert known_failures_of(listed, folder).unexpected == ()

    def test_a_line_that_passes_now_can_be_struck_off(self, tmp_path):
        listed = tmp_path / "known.txt"
        listed.write_text("pixel x264:28\npixel crop:.5\n")
        told = known_failures_of(listed, run(tmp_path / "run", range(24)))
        assert told.passing == ("pixel x264:28",)  # the other one was not measured
        assert "passes now" in told.markdown()

    def test_no_line_excuses_a_false_alarm(self, tmp_path):
        listed = tmp_path / "known.txt"
        listed.write_text("pixel x264:28\n")
        assert known_failures_of(listed, run(tmp_path / "run", range(24), found={4})).unexpected == (
            "pixel unmarked/x264:28 4",
        )

    def test_another_form_is_refused_with_its_line(self, tmp_path):
        listed = tmp_path / "known.txt"
        listed.write_text("pixel\n")
        with pytest.raises(UsageError, match="line 1"):
            known_failures_of(listed, run(tmp_path / "run", range(24)))
