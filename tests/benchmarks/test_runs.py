"""Runs lose nothing: killed and restarted, or with more workers, they give the same rows."""

import contextlib
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.metrics import Rate
from benchmarks.report import Report, Table, write_report
from benchmarks.runs import Task, read_rows, run_tasks, seed_of
from provenance.errors import CannotWrite, UsageError

MEASURES = """
import os, subprocess, sys, time
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
    index = task.arguments["index"]
    if index == 1:
        raise ValueError("this clip\\nis odd")
    if index == 2:
        os._exit(7)
    if index == 3:
        subprocess.run(["sleep", task.arguments.get("sleep", "611.5")])
    if index == 4:
        return [{"arm": arm, "value": float("nan")} for arm in task.arms]
    if index == 5:
        return "nonsense"
    return draws(task)

def on_a_full_disk(task):
    if task.arguments["index"] == 2 and not os.path.exists(task.arguments["room"]):
        with open("/dev/full", "w") as stream:
            stream.write("x")
    return draws(task)

def timed(task):
    return [{**row, "seconds": time.time()} for row in draws(task)]

def on_two_nodes(folder):
    from ray.cluster_utils import Cluster
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    cluster.add_node(num_cpus=1)
    run_tasks(tasks(8), fragile, folder, settings={}, ray_address=cluster.address, seconds_per_task=2)
    nodes = [node for node in __import__("ray").nodes() if node["Alive"]]
    print(len(nodes), "nodes")
    __import__("ray").shutdown()
    cluster.shutdown()

if __name__ == "__main__":
    import slow_measures
    if sys.argv[2:] == ["nodes"]:
        slow_measures.on_two_nodes(Path(sys.argv[1]))
    else:
        run_tasks(tasks(12, pause=0.3), slow_measures.timed, Path(sys.argv[1]), settings={"seed": 0}, workers=2)
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


FRAGILE = {
    "clip-1": "ValueError: this clip is odd",
    "clip-2": "the worker process died",
    "clip-3": "took longer than 2 s",
    "clip-4": "ValueError: Out of range float values are not JSON compliant",
    "clip-5": "ValueError: rows with an arm each were to be measured, and not 'nonsense'",
}


def run_fragile(measures, folder, **how):
    return run_tasks(measures.tasks(8), measures.fragile, folder, settings={}, seconds_per_task=2, **how)


def test_what_raises_dies_hangs_or_returns_nonsense_is_a_row_per_arm_and_the_others_go_on(measures, tmp_path):
    rows = run_fragile(measures, tmp_path / "2", workers=2)
    assert len(rows) == 16
    for row in rows:
        assert row.get("error", "").startswith(FRAGILE.get(row["task"], ""))
        assert ("value" in row) == (row["task"] not in FRAGILE)
    assert run_fragile(measures, tmp_path / "1") == rows


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks at /proc")
def test_a_hanging_task_leaves_no_process_behind(measures, tmp_path):
    mine = f"611.{os.getpid()}"  # other tests have sleepers, too, and may run beside this one
    tasks = [task for task in measures.tasks(4, sleep=mine) if task.name == "clip-3"]
    rows = run_tasks(tasks, measures.fragile, tmp_path, settings={}, seconds_per_task=1.5)
    assert rows[0]["error"] == "took longer than 1.5 s"
    for _ in range(50):  # a killed process is gone a moment later
        if not _sleepers(mine):
            return
        time.sleep(0.1)
    assert not _sleepers(mine)


def _sleepers(seconds):
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if path.read_bytes() == f"sleep\x00{seconds}\x00".encode():
                found.append(path.parent.name)
    return found


def test_what_failed_is_still_known_by_its_facts(measures, tmp_path):
    task = Task("one", ("none", "blur"), {"index": 1}, facts={"clip": "park.mp4", "source": "park"})
    rows = run_tasks([task], measures.fragile, tmp_path, settings={})
    assert [(row["clip"], row["source"], row["arm"]) for row in rows] == [
        ("park.mp4", "park", "none"),
        ("park.mp4", "park", "blur"),
    ]


def started(folder, tmp_path, *arguments, **how):
    return subprocess.Popen(
        [sys.executable, tmp_path / "slow_measures.py", folder, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
        start_new_session=True,
        text=True,
        **how,
    )


def wait_for_rows(folder, count):
    deadline = time.monotonic() + 60
    path = folder / "rows.jsonl"
    while not path.exists() or len(read_rows(path)) < count:
        assert time.monotonic() < deadline, "no row is written"
        time.sleep(0.02)


def untimed(path):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in read_rows(path)]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_run_goes_on_where_it_was_and_ends_the_same(measures, tmp_path, how):
    out, log = tmp_path / "stopped", tmp_path / "log"
    process = started(out, tmp_path, stderr=subprocess.DEVNULL)
    wait_for_rows(out, 8)
    os.kill(process.pid, how)
    process.wait()
    whole = (out / "rows.jsonl").read_bytes()
    assert whole.endswith(b"\n")
    finished = len(read_rows(out / "rows.jsonl")) // 2
    assert 4 <= finished < 12
    run_tasks(measures.tasks(12, log=str(log)), measures.timed, out, settings={"seed": 0}, workers=1)
    run_tasks(measures.tasks(12), measures.timed, tmp_path / "fresh", settings={"seed": 0}, workers=2)
    assert untimed(out / "rows.jsonl") == untimed(tmp_path / "fresh/rows.jsonl")
    assert len(log.read_text().split()) == 12 - finished


def test_the_report_of_a_killed_and_resumed_run_is_the_same_byte_for_byte(measures, tmp_path):
    out, fresh = tmp_path / "stopped", tmp_path / "fresh"
    process = started(out, tmp_path)
    wait_for_rows(out, 6)
    process.kill()
    process.wait()
    for folder, workers in ((out, 2), (fresh, 1)):
        rows = run_tasks(measures.tasks(12), measures.timed, folder, settings={"seed": 0}, workers=workers)
        table = Table("Draws", ("task", "value"), tuple((row["task"], str(row["value"])) for row in rows))
        above = Rate.of([row["value"] > 0 for row in rows])
        report = Report("Draws", (f"{above.hits} of {above.trials} are above zero.",), (table,), settings={"seed": 0})
        write_report(report, folder)
    for name in ("results.json", "report.md", "report.html"):
        assert (out / name).read_bytes() == (fresh / name).read_bytes()


def test_two_runs_cannot_be_at_work_in_one_folder(measures, tmp_path):
    out = tmp_path / "out"
    process = started(out, tmp_path)
    try:
        wait_for_rows(out, 2)
        with pytest.raises(UsageError, match="another run is at work"):
            run_tasks(measures.tasks(12), measures.timed, out, settings={"seed": 0})
    finally:
        process.kill()
        process.wait()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_disk_is_no_result_and_the_run_goes_on_when_there_is_room(measures, tmp_path, workers):
    out, room = tmp_path / "out", tmp_path / "room"
    tasks = measures.tasks(6, room=str(room))
    with pytest.raises(CannotWrite, match="No space left") as caught:
        run_tasks(tasks, measures.on_a_full_disk, out, settings={}, workers=workers)
    assert "start the same command again" in caught.value.hint
    kept = read_rows(out / "rows.jsonl")
    assert "clip-2" not in {row["task"] for row in kept}
    assert not any("error" in row for row in kept)
    room.touch()
    rows = run_tasks(tasks, measures.on_a_full_disk, out, settings={}, workers=workers)
    assert [row["task"] for row in rows] == [task.name for task in tasks for _ in task.arms]
    assert not any("error" in row for row in rows)


@pytest.mark.skipif(sys.platform != "linux", reason="a limit on the size of files, which Linux tells with EFBIG")
def test_rows_for_which_there_is_no_room_are_not_half_written(measures, tmp_path):
    program = (
        "import resource, signal, sys; from pathlib import Path; import slow_measures\n"
        "from benchmarks.runs import run_tasks\n"
        "from provenance.errors import CannotWrite\n"
        "if __name__ == '__main__':\n"
        "    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))\n"
        "    try:\n"
        "        run_tasks(slow_measures.tasks(12), slow_measures.draws, Path(sys.argv[1]), settings={})\n"
        "    except CannotWrite as error:\n"
        "        print(error.message, '|', error.hint)\n"
    )
    (tmp_path / "limited.py").write_text(program)
    done = subprocess.run(
        [sys.executable, tmp_path / "limited.py", tmp_path / "out"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
        capture_output=True,
        text=True,
    )
    assert "rows.jsonl: writing failed (File too large) | make room" in done.stdout, done.stderr
    written = (tmp_path / "out/rows.jsonl").read_bytes()
    assert written.endswith(b"\n")
    assert len(read_rows(tmp_path / "out/rows.jsonl")) in range(2, 24, 2)
    fresh = run_tasks(measures.tasks(12), measures.draws, tmp_path / "fresh", settings={})
    assert run_tasks(measures.tasks(12), measures.draws, tmp_path / "out", settings={}) == fresh


@pytest.mark.slow
def test_two_nodes_of_a_ray_cluster_give_the_same_rows(measures, tmp_path):
    if importlib.util.find_spec("ray") is None:
        assert "ray" not in os.environ.get("COUNTERMARK_PROMISED", ""), "Ray was promised"
        pytest.skip('Ray is not installed: pip install "countermark[ray]"')
    process = started(tmp_path / "ray", tmp_path, "nodes", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    said, complaints = process.communicate(timeout=300)
    assert "2 nodes" in said, complaints[-2000:]
    run_fragile(measures, tmp_path / "here", workers=2)
    assert (tmp_path / "ray/rows.jsonl").read_bytes() == (tmp_path / "here/rows.jsonl").read_bytes()


def test_progress_names_the_newest_task_and_the_time_left(measures, tmp_path):
    told = []
    run_tasks(
        measures.tasks(3, pause=0.2), measures.draws, tmp_path, settings={}, progress=lambda *one: told.append(one)
    )
    assert [one[:2] for one in told] == [(1, 3), (2, 3), (3, 3)]
    assert re.fullmatch(r"clip-0, about \d+ s left", told[0][2])
    assert told[-1][2] == "clip-2"


def test_a_run_may_be_taken_up_with_other_workers_and_says_what_it_ran_on(measures, tmp_path):
    rows = run_tasks(measures.tasks(2), measures.draws, tmp_path, settings={}, workers=2)
    assert run_tasks(measures.tasks(2), measures.draws, tmp_path, settings={}, seconds_per_task=60) == rows
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["run"] == {"workers": 1, "threads_per_worker": 1, "ray": False, "seconds_per_task": 60}


@pytest.mark.parametrize("how", [{"workers": 0}, {"seconds_per_task": 0}])
def test_no_workers_or_no_time_is_a_mistake(measures, tmp_path, how):
    with pytest.raises(UsageError):
        run_tasks(measures.tasks(1), measures.draws, tmp_path, settings={}, **how)


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
