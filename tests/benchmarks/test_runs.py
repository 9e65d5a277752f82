"""Runs lose nothing: killed and restarted, or with more workers, they give the same rows."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from benchmarks.runs import Task, read_rows, run_tasks, seed_of
from provenance.errors import UsageError

MEASURES = """
import os, sys, time
from pathlib import Path
import numpy as np
from benchmarks.runs import Task, run_tasks

def tasks(count, **arguments):
    return [Task(f"clip-{i}", ("none", "x264:28"), {"index": i, **arguments}, seed=i) for i in range(count)]

def draws(task):
    if task.arguments.get("log"):
        with open(task.arguments["log"], "a") as stream:
            stream.write(task.name + "\\n")
    time.sleep(task.arguments.get("pause", 0))
    value = float(np.random.default_rng(task.seed).normal())
    return [{"arm": arm, "value": value, "threads": os.environ["OMP_NUM_THREADS"]} for arm in task.arms]

def fragile(task):
    if task.arguments["index"] == 1:
        raise ValueError("this clip\\nis odd")
    if task.arguments["index"] == 2:
        os._exit(7)
    return draws(task)

if __name__ == "__main__":
    import slow_measures
    run_tasks(tasks(40, pause=0.05), slow_measures.draws, Path(sys.argv[1]), settings={"seed": 0}, workers=2)
"""


@pytest.fixture
def measures(tmp_path, monkeypatch):
    (tmp_path / "slow_measures.py").write_text(MEASURES)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("slow_measures", None)
    import slow_measures

    return slow_measures


def test_rows_are_the_same_for_one_and_two_workers(measures, tmp_path):
    runs = [
        run_tasks(measures.tasks(6), measures.draws, tmp_path / str(workers), settings={}, workers=workers)
        for workers in (1, 2)
    ]
    assert runs[0] == runs[1]
    assert (tmp_path / "1/rows.jsonl").read_bytes() == (tmp_path / "2/rows.jsonl").read_bytes()
    assert {row["threads"] for row in runs[0]} == {"1"}


def test_what_fails_is_a_row_per_arm_and_the_others_go_on(measures, tmp_path):
    rows = run_tasks(measures.tasks(4), measures.fragile, tmp_path / "out", settings={}, workers=2)
    errors = {(row["task"], row["arm"]): row.get("error") for row in rows}
    assert len(rows) == 8
    assert errors["clip-1", "none"] == errors["clip-1", "x264:28"] == "ValueError: this clip is odd"
    assert errors["clip-2", "none"] == "the worker process died"
    assert errors["clip-0", "none"] is errors["clip-3", "none"] is None


def test_a_killed_run_goes_on_where_it_was_and_ends_the_same(measures, tmp_path):
    out, log = tmp_path / "killed", tmp_path / "log"
    process = subprocess.Popen(
        [sys.executable, tmp_path / "slow_measures.py", out],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and (not (out / "rows.jsonl").exists() or len(read_rows(out / "rows.jsonl")) < 8):
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    finished = len(read_rows(out / "rows.jsonl")) // 2
    assert 4 <= finished < 40
    resumed = run_tasks(measures.tasks(40, log=str(log)), measures.draws, out, settings={"seed": 0}, workers=1)
    fresh = run_tasks(measures.tasks(40), measures.draws, tmp_path / "fresh", settings={"seed": 0}, workers=1)
    assert resumed == fresh
    assert len(log.read_text().split()) == 40 - finished


def test_a_line_cut_short_by_a_crash_is_measured_again(measures, tmp_path):
    rows = run_tasks(measures.tasks(3), measures.draws, tmp_path, settings={})
    path = tmp_path / "rows.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-15])
    assert run_tasks(measures.tasks(3), measures.draws, tmp_path, settings={}) == rows
    assert path.read_bytes() == whole


def test_rows_of_other_settings_are_never_mixed_in(measures, tmp_path):
    run_tasks(measures.tasks(1), measures.draws, tmp_path, settings={"seed": 0})
    with pytest.raises(UsageError, match="other settings"):
        run_tasks(measures.tasks(1), measures.draws, tmp_path, settings={"seed": 1})
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["settings"] == {"seed": 0}
    assert {"python", "av", "numpy"} <= record["versions"].keys()


def test_two_tasks_of_one_name_are_refused(measures, tmp_path):
    with pytest.raises(UsageError):
        run_tasks([Task("a", ("x",)), Task("a", ("x",))], measures.draws, tmp_path, settings={})


def test_seeds_depend_on_the_name_and_the_seed_of_the_run():
    assert seed_of("a", 0) == seed_of("a", 0)
    assert len({seed_of("a", 0), seed_of("b", 0), seed_of("a", 1)}) == 3


def infinite(task):
    return [{"arm": arm, "value": float("inf") if task.name == "two" else 1.0} for arm in task.arms]


def test_a_number_that_json_does_not_have_fails_its_own_task_only(tmp_path):
    tasks = [Task(name, ("one arm",)) for name in ("one", "two", "three")]
    rows = run_tasks(tasks, infinite, tmp_path / "out", settings={})
    assert ["error" in row for row in rows] == [False, True, False]
    assert run_tasks(tasks, infinite, tmp_path / "out", settings={}) == rows
