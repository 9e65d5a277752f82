"""One map for one process or several: the order of the items, whatever finishes first."""

from __future__ import annotations

import ast
import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from provenance.errors import CountermarkError, NeedsExtra, UsageError
from provenance.parallel import Outcome, pmap, pmap_as_finished


def slow_square(number: int) -> tuple[int, int]:
    time.sleep(0.05 * (number % 3 == 0))
    return number * number, os.getpid()


def refuse_two(number: int) -> int:
    if number == 2:
        raise ValueError("two")
    return number


def test_results_come_in_the_order_of_the_items() -> None:
    results = list(pmap(slow_square, range(7), workers=2))
    assert [square for square, _ in results] == [0, 1, 4, 9, 16, 25, 36]
    assert os.getpid() not in {process for _, process in results}


def test_one_worker_is_this_process_and_works_lazily() -> None:
    seen = []

    def items() -> Iterator[int]:
        for number in range(3):
            seen.append(number)
            yield number

    results = pmap(slow_square, items())
    assert next(iter(results)) == (0, os.getpid())
    assert seen == [0]


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_is_raised_at_its_place(workers: int) -> None:
    results = iter(pmap(refuse_two, range(4), workers=workers))
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="two"):
        next(results)


def die(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_a_killed_process_is_one_line_with_a_hint() -> None:
    with pytest.raises(CountermarkError, match="killed") as caught:
        list(pmap(die, [1], workers=2))
    assert "fewer workers" in caught.value.hint


def rarely_well(number: int) -> int:
    if number == 0:
        time.sleep(600)
    if number == 1:
        die(number)
    return refuse_two(number)


def summary(outcome: Outcome[int]) -> object:
    return outcome.lost or (repr(outcome.error) if outcome.error else outcome.value)


RARELY_WELL = {0: "took longer than 1 s", 1: "the worker process died", 2: "ValueError('two')", 3: 3, 4: 4}


@pytest.mark.parametrize("workers", [1, 3])
def test_as_they_finish_no_item_ends_the_others(workers: int) -> None:
    outcomes = list(pmap_as_finished(rarely_well, range(5), workers=workers, seconds_each=1))
    assert {outcome.index: summary(outcome) for outcome in outcomes} == RARELY_WELL
    if workers == 3:
        assert outcomes[-1].index == 1, "what died is tried again after all others"


def dies_once(marker: Path) -> str:
    if not marker.exists():
        marker.touch()
        die(0)
    return "at the second try"


def test_what_dies_once_is_tried_again(tmp_path: Path) -> None:
    (outcome,) = pmap_as_finished(dies_once, [tmp_path / "marker"])
    assert outcome.result() == "at the second try"


def variable(name: str) -> str | None:
    return os.environ.get(name)


def test_processes_start_with_the_variables_they_are_given() -> None:
    (outcome,) = pmap_as_finished(variable, ["OF_A_TEST"], environment={"OF_A_TEST": "one"})
    assert outcome.result() == "one"
    assert "OF_A_TEST" not in os.environ


class Odd(Exception):
    def __init__(self, first: int, second: int) -> None:
        super().__init__(f"{first} and {second}")


def raise_odd(number: int) -> int:
    raise Odd(number, number)


def test_an_error_that_does_not_pickle_is_told_in_words() -> None:
    (outcome,) = pmap_as_finished(raise_odd, [1])
    with pytest.raises(RuntimeError, match="Odd: 1 and 1"):
        outcome.result()


def test_an_item_that_does_not_pickle_fails_alone() -> None:
    outcomes = list(pmap_as_finished(repr, [lambda: None, 2]))
    assert [outcome.error is None for outcome in outcomes] == [False, True]
    assert outcomes[1].value == "2"


def test_a_function_that_does_not_pickle_fails_every_item_and_waits_for_none() -> None:
    assert [outcome.error is None for outcome in pmap_as_finished(lambda number: number, [1, 2])] == [False, False]


def test_a_closed_map_kills_what_is_at_work() -> None:
    began = time.monotonic()
    outcomes = pmap_as_finished(rarely_well, [4, 0], workers=2)
    assert next(outcomes).index == 0
    outcomes.close()  # type: ignore[attr-defined]
    assert time.monotonic() - began < 60


@pytest.mark.slow
def test_a_ray_cluster_gives_the_same_outcomes_and_the_same_order() -> None:
    if importlib.util.find_spec("ray") is None:
        assert "ray" not in os.environ.get("COUNTERMARK_PROMISED", ""), "Ray was promised"
        pytest.skip('Ray is not installed: pip install "countermark[ray]"')
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from test_parallel import pmap, pmap_as_finished, rarely_well, slow_square, summary\n"
        "if __name__ == '__main__':\n"
        "    outcomes = pmap_as_finished(rarely_well, range(5), ray_address='local', seconds_each=1)\n"
        "    print({outcome.index: summary(outcome) for outcome in outcomes} | {})\n"
        "    print([square for square, _ in pmap(slow_square, range(7), ray_address='local')])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(Path(__file__).parent)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found, squares = done.stdout.splitlines()
    assert ast.literal_eval(found) == RARELY_WELL
    assert ast.literal_eval(squares) == [0, 1, 4, 9, 16, 25, 36]


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")
def test_a_cluster_that_does_not_answer_is_one_line_with_a_hint() -> None:
    with pytest.raises(CountermarkError, match="no Ray cluster answers") as caught:
        list(pmap(refuse_two, [1], ray_address="127.0.0.1:9"))
    assert "ray start" in caught.value.hint


def test_no_worker_at_all_is_a_mistake() -> None:
    with pytest.raises(UsageError):
        pmap(refuse_two, [1], workers=0)


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="Ray is installed")
def test_without_ray_the_hint_says_how_to_get_it() -> None:
    with pytest.raises(NeedsExtra) as caught:
        pmap(refuse_two, [1], ray_address="local")
    assert "countermark[ray]" in caught.value.hint


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks at /proc")
def test_its_processes_do_not_outlive_a_killed_parent() -> None:
    program = "import time; from provenance.parallel import pmap; list(pmap(time.sleep, [60.0] * 4, workers=2))"
    parent = subprocess.Popen([sys.executable, "-c", program])
    children = _children_of(parent.pid, at_least=2)
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 60
    while any(_is_alive(child) for child in children):
        assert time.monotonic() < deadline, "processes of a dead parent go on"
        time.sleep(0.1)


def _children_of(pid: int, *, at_least: int) -> set[int]:
    deadline = time.monotonic() + 60
    while True:
        found = {int(path.parent.name) for path in Path("/proc").glob("[0-9]*/stat") if _parent_of(path) == pid}
        working = {child for child in found if b"spawn_main" in _command_of(child)}
        if len(working) >= at_least:
            time.sleep(2.0)  # until they have imported what watches the parent
            return working
        assert time.monotonic() < deadline, "the processes do not start"
        time.sleep(0.1)


def _parent_of(stat: Path) -> int | None:
    try:
        return int(stat.read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return None


def _command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _is_alive(pid: int) -> bool:
    return b"spawn_main" in _command_of(pid)
