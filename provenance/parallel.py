"""One map, in this process, in several, or on a Ray cluster; results come in the order of the items."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from provenance.errors import CountermarkError, NeedsExtra, UsageError

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD = 2
"""Items handed out ahead of the one that is waited for, per process: bounds what waits in memory."""


def pmap(
    function: Callable[[Item], Result], items: Iterable[Item], *, workers: int = 1, ray_address: str | None = None
) -> Iterator[Result]:
    """Yield `function(item)` for every item, in their order, as soon as each is there.

    workers: 1 works in this process, more in that many spawned processes, for which function and items must be
    picklable. ray_address: a Ray cluster to use instead ("local" starts one on this machine).
    An exception of the function is raised at its item's place. Raises UsageError for fewer than one worker, NeedsExtra
    without Ray, CountermarkError when a process is killed.
    """
    if workers < 1:
        raise UsageError(f"{workers} workers cannot do anything", hint="one or more")
    if ray_address is not None:
        return _on_ray(function, items, ray_address)
    return map(function, items) if workers == 1 else _in_processes(function, items, workers)


def _in_processes(function: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    waiting: deque[Future[Result]] = deque()
    rest = iter(items)
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_prepare)
    try:
        for item in itertools.islice(rest, _AHEAD * workers):
            waiting.append(pool.submit(function, item))
        while waiting:
            done = waiting.popleft().result()
            for item in itertools.islice(rest, 1):
                waiting.append(pool.submit(function, item))
            yield done
    except BrokenProcessPool as error:
        raise CountermarkError(
            "a working process was killed from outside", hint="use fewer workers; is there enough memory?"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _prepare() -> None:
    """Ctrl-C reaches all processes of a terminal: this one ends without a word, the first one says what happened."""
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    end_with_parent()


def end_with_parent() -> None:
    """Let this process end within a second or two after its parent is gone: nobody waits for what it works on."""
    threading.Thread(target=_watch, args=(os.getppid(),), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


def _on_ray(function: Callable[[Item], Result], items: Iterable[Item], address: str) -> Iterator[Result]:
    try:
        import ray
    except ImportError:
        raise NeedsExtra("Ray is not installed", hint='pip install "countermark[ray]"') from None
    return _ray_results(ray, function, items, address)


def _ray_results(ray: Any, function: Callable[[Item], Result], items: Iterable[Item], address: str) -> Iterator[Result]:
    ray.init(address=None if address == "local" else address, ignore_reinit_error=True, log_to_driver=False)

    def call(item: Item) -> Result:  # Ray wants a plain function, ours may be any callable
        return function(item)

    remote = ray.remote(call)
    ahead = max(2, int(_AHEAD * ray.cluster_resources().get("CPU", 1)))
    waiting: deque[Any] = deque()
    rest = iter(items)
    for item in itertools.islice(rest, ahead):
        waiting.append(remote.remote(item))
    while waiting:
        done = ray.get(waiting.popleft())
        for item in itertools.islice(rest, 1):
            waiting.append(remote.remote(item))
        yield done
