"""One map for one process or several: the order of the items, whatever finishes first."""

from __future__ import annotations

import importlib.util
import os
import signal
import time
from collections.abc import Iterator

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
