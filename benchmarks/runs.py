"""Measuring many clips so that nothing is lost: rows on disk, resumable, the same for any number of workers.

A run has *tasks* (usually one clip and one watermark), each of which gives one row per *arm* (usually one attack). Rows
are JSON objects, one a line, in ``rows.jsonl``; all rows of a task reach the file in one write, so that a run that was
killed takes up with the first task whose rows are not all there. What fails is a row too, with its ``error``. Worker
processes have one thread each. Rows depend on the task and the seed alone, save the field ``seconds``.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import logging
import multiprocessing
import os
import platform
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2

from provenance.errors import CannotWrite, CountermarkError, UsageError
from provenance.files import written_beside
from provenance.parallel import end_with_parent

Row = dict[str, Any]
Progress = Callable[[int, int, str], None]
"""Called with tasks done, tasks in all, and the name of the newest one done."""

_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_PACKAGES = ("countermark", "av", "numpy", "scipy", "opencv-python-headless", "torch", "c2pa-python")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Task:
    """A unit of work: a stable name of its own, its arms, and what `measure` needs to know (picklable)."""

    name: str
    arms: tuple[str, ...]
    arguments: dict[str, Any] = field(default_factory=dict)
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.arms:
            raise ValueError(f"task {self.name!r} has no arms")


Measure = Callable[[Task], list[Row]]
"""A function at the top level of a module: task -> one row per arm, each naming its ``arm``."""


def seed_of(name: str, seed: int) -> int:
    """Return a 63-bit seed that depends on a task's name and the seed of the run, and on nothing else."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:8], "big") >> 1


def run_tasks(
    tasks: Sequence[Task],
    measure: Measure,
    folder: Path,
    *,
    settings: Row,
    workers: int = 1,
    progress: Progress | None = None,
) -> list[Row]:
    """Measure all tasks, or those that an earlier run in `folder` left over, and return all rows in order of the tasks.

    settings: whatever else the rows depend on (suite, seed, digests of weights); with the versions of the packages it
        is kept in ``run.json``. UsageError when the folder holds rows of other settings, or two tasks share a name.
    """
    if len({task.name for task in tasks}) != len(tasks):
        raise UsageError("two tasks of the run have the same name", hint="is a clip listed twice?")
    path = folder / "rows.jsonl"
    _claim(folder, settings)
    done = _complete(read_rows(path)) if path.exists() else {}
    _write(path, [row for task in tasks for row in done.get(task.name, [])])
    left = [task for task in tasks if task.name not in done]
    count = len(tasks) - len(left)
    with path.open("ab", buffering=0) as stream:
        for task, rows in _measured(left, measure, workers):
            done[task.name] = _numbered(task, rows)
            stream.write(b"".join(_line(row) for row in done[task.name]))
            count += 1
            if progress is not None:
                progress(count, len(tasks), task.name)
    ordered = [row for task in tasks for row in done[task.name]]
    _write(path, ordered)
    return ordered


def read_rows(path: Path) -> list[Row]:
    """Return the rows of a file; a last line that a crash cut short is left out."""
    rows = []
    for line in path.read_bytes().splitlines():
        with contextlib.suppress(json.JSONDecodeError, UnicodeDecodeError):
            rows.append(json.loads(line))
    return rows


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that rows depend on."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def digest(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def failure(task: Task, error: BaseException | str) -> list[Row]:
    """Return the rows of a task that failed: one per arm, with the reason in one line."""
    reason = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
    return [{"arm": arm, "error": " ".join(reason.split())[:300]} for arm in task.arms]


def _claim(folder: Path, settings: Row) -> None:
    record = {"settings": settings, "versions": versions()}
    path = folder / "run.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotWrite(f"{folder}: cannot write there ({error.strerror})", hint="choose another --out") from error
    if path.exists() and json.loads(path.read_bytes()) != json.loads(json.dumps(record)):
        raise UsageError(
            f"{folder}: holds a run with other settings or versions", hint="choose another --out, or remove the folder"
        )
    with written_beside(path, force=True) as part:
        part.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _complete(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Group rows by task and keep the tasks whose rows are all there."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row["task"], []).append(row)
    return {name: group for name, group in groups.items() if len(group) == group[0]["of"]}


def _numbered(task: Task, rows: list[Row]) -> list[Row]:
    return [{"task": task.name, "of": len(rows), **row} for row in rows]


def _line(row: Row) -> bytes:
    return (json.dumps(row, sort_keys=True, allow_nan=False) + "\n").encode()


def _write(path: Path, rows: Sequence[Row]) -> None:
    with written_beside(path, force=True) as part:
        part.write_bytes(b"".join(_line(row) for row in rows))


def _measured(tasks: Sequence[Task], measure: Measure, workers: int) -> Iterator[tuple[Task, list[Row]]]:
    """Yield tasks with their rows as they finish. A task that kills its worker is tried once more alone."""
    waiting = list(reversed(tasks))
    while waiting:
        suspects: list[Task] = []
        broken = False
        with _pool(workers) as pool:
            running: dict[Future[list[Row]], Task] = {}
            while running or (waiting and not broken):
                while waiting and not broken and len(running) < workers:
                    try:
                        running[pool.submit(_guarded, measure, waiting[-1])] = waiting[-1]
                        waiting.pop()
                    except BrokenProcessPool:
                        broken = True
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    task = running.pop(future)
                    try:
                        rows = future.result()
                    except BrokenProcessPool:
                        broken = True
                        suspects.append(task)
                    else:
                        yield task, rows
        for task in suspects:
            yield task, _alone(task, measure)


def _alone(task: Task, measure: Measure) -> list[Row]:
    try:
        with _pool(1) as pool:
            return pool.submit(_guarded, measure, task).result()
    except BrokenProcessPool:
        return failure(task, "the worker process died")


def _guarded(measure: Measure, task: Task) -> list[Row]:
    try:
        rows = measure(task)
        for row in rows:
            _line(row)  # a number that JSON does not have fails here, and not when the rows are written
        return rows
    except CountermarkError as error:
        return failure(task, error)
    except Exception as error:  # whatever breaks on one clip is a row, and the other clips go on
        _log.warning("%s failed", task.name, exc_info=True)
        return failure(task, error)


@contextlib.contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))  # inherited by the workers, which read it at their start
    pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"), initializer=_prepare)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _prepare() -> None:
    cv2.setNumThreads(1)
    end_with_parent()
