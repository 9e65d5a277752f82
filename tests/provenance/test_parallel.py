"""One map for one process or several: the order of the items, whatever finishes first."""

from __future__ import annotations

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
from provenance.parallel import pmap


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
