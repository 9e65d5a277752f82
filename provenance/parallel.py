"""One map, in this process, in several, or on a Ray cluster; results in the order of the items, or as they finish."""

from __future__ import annotations

import contextlib
import multiprocessing.connection
import os
import pickle
import socket
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from provenance.errors import CountermarkError, NeedsExtra, UsageError
from provenance.processes import DIED, Reply, WorkerProcess, end_with_parent

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD = 2
"""Items handed out ahead of the one that is waited for, per process: bounds what waits in memory."""


@dataclass(frozen=True)
class Outcome(Generic[Result]):
    """What became of the item of that number: its value; the error that it raised; or why its process was `lost`."""

    index: int
    value: Result | None = None
    error: Exception | None = None
    lost: str | None = None

    def result(self) -> Result:
        """Return the value, or raise the error. Raises CountermarkError where the process was lost."""
        if self.lost is not None:
            raise CountermarkError(
                f"a working process was killed from outside ({self.lost})",
                hint="use fewer workers; is there enough memory?",
            )
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]


@dataclass(frozen=True)
class _Plan:
    """How to work: processes at once, tries of an item that kills its process, limit in seconds, items ahead."""

    workers: int
    tries: int = 1
    seconds_each: float | None = None
    ahead: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


def pmap(
    function: Callable[[Item], Result], items: Iterable[Item], *, workers: int = 1, ray_address: str | None = None
) -> Iterator[Result]:
    """Yield `function(item)` for every item, in their order, as soon as each is there.

    workers: 1 works in this process, more in that many spawned processes, for which function and items must be
    picklable. ray_address: a Ray cluster to use instead ("local" starts one on this machine).
    An exception of the function is raised at its item's place. Raises UsageError for fewer than one worker, NeedsExtra
    without Ray, CountermarkError when a process is killed or no cluster answers.
    """
    _at_least_one(workers)
    if ray_address is None and workers == 1:
        return map(function, items)
    return _in_order(_outcomes(function, items, _Plan(workers, ahead=_AHEAD * workers), ray_address))


def pmap_as_finished(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    workers: int = 1,
    ray_address: str | None = None,
    seconds_each: float | None = None,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Outcome[Result]]:
    """Yield what became of every item as soon as it is known; no item can end the others, whatever it does.

    Always in spawned processes, `workers` of them, or on a Ray cluster one per CPU; function and items as for `pmap`.
    An item whose process dies is tried once more, after all others and alone (on Ray: at once), and is `lost` when that
    one dies, too. seconds_each: an item that takes longer is `lost`, its process killed with what it started.
    environment: variables that the processes start with. Closing the iterator kills what is at work.
    Raises UsageError for fewer than one worker or no time at all, NeedsExtra without Ray, CountermarkError when no
    cluster answers or its nodes lack this package.
    """
    _at_least_one(workers)
    if seconds_each is not None and not seconds_each > 0:
        raise UsageError(f"{seconds_each:g} s are not enough for anything", hint="more than nothing")
    plan = _Plan(workers, tries=2, seconds_each=seconds_each, environment=environment)
    return _outcomes(function, items, plan, ray_address)


def _at_least_one(workers: int) -> None:
    if workers < 1:
        raise UsageError(f"{workers} workers cannot do anything", hint="one or more")


def _outcomes(
    function: Callable[[Item], Result], items: Iterable[Item], plan: _Plan, ray_address: str | None
) -> Iterator[Outcome[Result]]:
    if ray_address is None:
        return _in_processes(function, items, plan)
    try:
        import ray
    except ImportError:
        raise NeedsExtra("Ray is not installed", hint='pip install "countermark[ray]"') from None
    return _on_ray(ray, function, items, plan, ray_address)


def _in_order(outcomes: Iterator[Outcome[Result]]) -> Iterator[Result]:
    early: dict[int, Outcome[Result]] = {}
    due = 0
    with contextlib.closing(outcomes):  # type: ignore[type-var]
        for outcome in outcomes:
            early[outcome.index] = outcome
            while due in early:
                yield early.pop(due).result()
                due += 1


def _in_processes(function: Callable[[Item], Result], items: Iterable[Item], plan: _Plan) -> Iterator[Outcome[Result]]:
    idle: list[WorkerProcess] = []
    busy: dict[WorkerProcess, tuple[int, Item]] = {}
    suspects: list[tuple[int, Item]] = []
    try:
        for (index, item), reply in _replies(function, enumerate(items), plan.workers, plan, idle, busy):
            if reply.lost == DIED and plan.tries > 1:
                suspects.append((index, item))
            else:
                yield Outcome(index, reply.value, reply.error, reply.lost)
        for (index, _), reply in _replies(function, iter(suspects), 1, plan, idle, busy):
            yield Outcome(index, reply.value, reply.error, reply.lost)
    finally:
        for worker in busy:
            worker.kill()
        for worker in idle:
            worker.end()


def _replies(
    function: Callable[[Item], Result],
    entries: Iterator[tuple[int, Item]],
    workers: int,
    plan: _Plan,
    idle: list[WorkerProcess],
    busy: dict[WorkerProcess, tuple[int, Item]],
) -> Iterator[tuple[tuple[int, Item], Reply]]:
    """Hand the entries out to at most so many processes, kept in `idle` and `busy`; yield replies as they come."""
    entry = next(entries, None)
    while entry is not None or busy:
        while entry is not None and len(busy) < workers and _may_begin(entry[0], (n for n, _ in busy.values()), plan):
            try:
                work = pickle.dumps((function, entry[1]))
            except Exception as error:  # raised at its item's place, as everything else
                yield entry, Reply(error=error)
            else:
                worker = idle.pop() if idle else WorkerProcess(plan.environment)
                busy[worker] = entry
                worker.begin(work, plan.seconds_each)
            entry = next(entries, None)
        if not busy:  # nothing that is left can be handed over: there is no reply to wait for
            continue
        limits = [left for worker in busy if (left := worker.seconds_left) is not None]
        multiprocessing.connection.wait([one for worker in busy for one in worker.waitables], min(limits, default=None))
        for worker in list(busy):
            reply = worker.reply()
            if reply is not None:
                done = busy.pop(worker)
                if reply.lost is None:
                    idle.append(worker)
                yield done, reply


def _may_begin(index: int, running: Iterable[int], plan: _Plan) -> bool:
    return plan.ahead is None or index < min(running, default=index) + plan.ahead


def _on_ray(
    ray: Any, function: Callable[[Item], Result], items: Iterable[Item], plan: _Plan, address: str
) -> Iterator[Outcome[Result]]:
    """One task of one CPU per item. On the node it runs in a process of its own, as here: with the same limit of time,
    the same variables, and a death that ends nothing else."""
    _join(ray, address)
    remote = ray.remote(num_cpus=1, max_retries=plan.tries - 1)(_hosted)
    path = tuple(os.path.abspath(folder) for folder in sys.path if not folder.startswith((sys.prefix, sys.base_prefix)))
    running: dict[Any, int] = {}
    entries = enumerate(items)
    entry = next(entries, None)
    try:
        while entry is not None or running:
            room = max(2, int(_AHEAD * ray.cluster_resources().get("CPU", 1)))
            order = replace(plan, ahead=None if plan.ahead is None else room)
            while entry is not None and len(running) < room and _may_begin(entry[0], running.values(), order):
                work = ray.cloudpickle.dumps((function, entry[1]))
                running[remote.remote(work, plan.seconds_each, plan.tries, dict(plan.environment), path)] = entry[0]
                entry = next(entries, None)
            for reference in ray.wait(list(running))[0]:
                index = running.pop(reference)
                reply = _fetched(ray, reference)
                yield Outcome(index, reply.value, reply.error, reply.lost)
    finally:
        for reference in running:
            ray.cancel(reference, force=True)


def _join(ray: Any, address: str) -> None:
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        if host and port.isdigit():  # Ray itself tries for minutes
            socket.create_connection((host, int(port)), timeout=5.0).close()
        ray.init(address=None if address == "local" else address, ignore_reinit_error=True, log_to_driver=False)
    except (OSError, RuntimeError, ValueError) as error:
        raise CountermarkError(
            f"{address}: no Ray cluster answers ({error})", hint='ray start --head; or "local" for this machine alone'
        ) from error


def _fetched(ray: Any, reference: Any) -> Reply:
    try:
        return Reply(*pickle.loads(ray.get(reference)))
    except ray.exceptions.RayTaskError as error:
        raise CountermarkError(
            f"a node of the Ray cluster cannot do the work ({error.cause})",
            hint="every node needs the same version of this package and of Python",
        ) from error
    except ray.exceptions.RayError:  # its process or its whole node is gone
        return Reply(lost=DIED)


_host: WorkerProcess | None = None
"""In a process of Ray's: the process that does the work, kept from one item to the next."""


def _hosted(
    work: bytes, seconds: float | None, tries: int, environment: Mapping[str, str], path: tuple[str, ...]
) -> bytes:
    global _host
    reply = Reply(lost=DIED)
    for _ in range(tries):
        worker, _host = _host or WorkerProcess(environment, path), None
        worker.begin(work, seconds)
        reply = worker.wait()
        if reply.lost is None:
            _host = worker
        if reply.lost != DIED:
            break
    return pickle.dumps((reply.value, reply.error, reply.lost))


__all__ = ["Outcome", "end_with_parent", "pmap", "pmap_as_finished"]
