"""Threads for arrays: OpenCV, numpy and BLAS let go of the interpreter while they work."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import TypeVar

import cv2
from threadpoolctl import ThreadpoolController

Item = TypeVar("Item")
Result = TypeVar("Result")

_MOST = 8
"""Threads at once: each needs memory of its own."""


def in_threads(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Return `function(item)` for every item, in their order, worked out in as many threads as OpenCV may use.

    The function must be safe to run beside itself. An exception is raised at its item's place.
    """
    waiting = list(items)
    threads = min(_MOST, cv2.getNumThreads(), len(waiting))
    if threads < 2:
        return [function(item) for item in waiting]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(function, waiting))


def one_thread_in_blas() -> AbstractContextManager[object]:
    """While this context lasts, BLAS stays with the thread that calls it: its own threads would wait for each other."""
    return _pools().limit(limits=1, user_api="blas")


@functools.cache
def _pools() -> ThreadpoolController:
    return ThreadpoolController()
