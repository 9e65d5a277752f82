"""Measuring many clips so that nothing is lost: rows on disk, resumable, the same for any number of workers.

A run has *tasks* (usually one clip and one watermark), each of which gives one row per *arm* (usually one attack). Rows
are JSON objects, one a line, in ``rows.jsonl``; all rows of a task reach the file in one write, so that a run that was
killed takes up with the first task whose rows are not all there. What fails is a row too, with its ``error``. Worker
processes, here or on a Ray cluster, have one thread each. Rows depend on the task and the seed alone, save the fields
``seconds``, ``read_seconds`` and ``embed_seconds``.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import importlib.metadata
import json
import logging
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from io import FileIO
from pathlib import Path
from typing import Any

import cv2

from provenance.errors import CannotWrite, CountermarkError, UsageError
from provenance.files import written_beside
from provenance.parallel import Outcome, pmap_as_finished

Row = dict[str, Any]
Progress = Callable[[int, int, str], None]
"""Called with tasks done, tasks in all, and the name of the newest one done with the time that the others will take."""

_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_PACKAGES = (
    "countermark", "av", "numpy", "scipy", "opencv-python-headless", "torch", "c2pa-python", "imageio-ffmpeg",
)  # fmt: skip
_FULL = tuple(os.strerror(code) for code in (errno.ENOSPC, errno.EDQUOT))
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Task:
    """A unit of work: a stable name of its own, its arms, and what `measure` needs to know (picklable).

    facts: what its rows say besides when it fails (the clip, its source), so that they are counted where they belong.
    """

    name: str
    arms: tuple[str, ...]
    arguments: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    facts: Row = field(default_factory=dict)

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
    ray_address: str | None = None,
    seconds_per_task: float | None = None,
    progress: Progress | None = None,
) -> list[Row]:
    """Measure all tasks, or those that an earlier run in `folder` left over, and return all rows in order of the tasks.

    settings: whatever else the rows depend on (suite, seed, digests of weights); with the versions of the packages it
        is kept in ``run.json``. ray_address: a Ray cluster to work on, one task per CPU, instead of `workers` processes
        here ("local": this machine alone); its nodes see the same files at the same places. seconds_per_task: what
        takes longer is killed and becomes failed rows. None of these three need be the same when a run is taken up.
    Raises UsageError when the folder holds rows of other settings, another run is at work there, or two tasks share a
    name; CannotWrite where the disk is full: what is finished by then is kept, and the same call goes on with the rest.
    """
    if len({task.name for task in tasks}) != len(tasks):
        raise UsageError("two tasks of the run have the same name", hint="is a clip listed twice?")
    path = folder / "rows.jsonl"
    facts = {
        "workers": workers,
        "threads_per_worker": 1,
        "ray": bool(ray_address),
        "seconds_per_task": seconds_per_task,
    }
    with _claimed(folder), _resumable():
        _record(folder, settings, facts)
        done = _complete(read_rows(path)) if path.exists() else {}
        _write(path, [row for task in tasks for row in done.get(task.name, [])])
        left = [task for task in tasks if task.name not in done]
        outcomes = pmap_as_finished(
            partial(_guarded, measure),
            left,
            workers=workers,
            ray_address=ray_address,
            seconds_each=seconds_per_task,
            environment=dict.fromkeys(_ONE_THREAD, "1"),
        )
        began = time.monotonic()
        with path.open("ab", buffering=0) as stream, contextlib.closing(outcomes):  # type: ignore[type-var]
            for count, outcome in enumerate(outcomes, 1):
                task = left[outcome.index]
                done[task.name] = _numbered(task, _rows_of(task, outcome))
                _append(stream, b"".join(_line(row) for row in done[task.name]))
                if progress is not None:
                    seconds = (time.monotonic() - began) / count * (len(left) - count)
                    progress(len(tasks) - len(left) + count, len(tasks), task.name + _time_left(seconds))
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
    """Return the rows of a task that failed: one per arm, with the task's facts and the reason in one line."""
    return [{**task.facts, "arm": arm, "error": reason_of(error)} for arm in task.arms]


def reason_of(error: BaseException | str) -> str:
    """Return what a row says of an error: one line, at most 300 characters."""
    reason = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
    return " ".join(reason.split())[:300]


def tried(row: Row, measured: Callable[[], Row]) -> Row:
    """Return a row with what is measured, or the reason why nothing was, and the seconds that it took."""
    started = time.perf_counter()
    try:
        row = {**row, **measured()}
    except Exception as error:  # one arm that breaks is a row, and the others go on
        row = {**row, "error": reason_of(error)}
    return {**row, "seconds": round(time.perf_counter() - started, 2)}


def _time_left(seconds: float) -> str:
    """How long a run will take, from its pace so far, in words; nothing where it is over."""
    if seconds <= 0:
        return ""
    minutes = round(seconds / 60)
    if minutes < 2:
        return f", about {max(1, round(seconds))} s left"
    return f", about {minutes} min left" if minutes < 120 else f", about {minutes // 60} h {minutes % 60:02d} min left"


@contextlib.contextmanager
def _claimed(folder: Path) -> Iterator[None]:
    """Make the folder, and keep others out of it until the block or this process ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise CannotWrite(f"{folder}: cannot write there ({error.strerror})", hint="choose another --out") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise UsageError(
            f"{folder}: another run is at work there", hint="wait for it, or choose another --out"
        ) from None
    except OSError:
        pass  # a file system without locks
    try:
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def _resumable() -> Iterator[None]:
    try:
        yield
    except CannotWrite as error:
        error.hint = "make room, then start the same command again: it goes on with what is not yet measured"
        raise


def _append(stream: FileIO, data: bytes) -> None:
    """Write all of it, or leave the file as it was. Raises CannotWrite."""
    start, written = stream.seek(0, os.SEEK_END), 0
    try:
        while written < len(data):
            written += stream.write(data[written:])
    except BaseException as error:
        stream.truncate(start)
        if isinstance(error, OSError):
            raise CannotWrite(f"{stream.name}: writing failed ({error.strerror})", hint="make room") from error
        raise


def _record(folder: Path, settings: Row, facts: Row) -> None:
    """Write run.json; `facts` are for the reader alone, the others must be those of the rows that are there."""
    record = {"settings": settings, "versions": versions()}
    path = folder / "run.json"
    if path.exists():
        there = json.loads(path.read_bytes())
        if {name: there.get(name) for name in record} != json.loads(json.dumps(record)):
            raise UsageError(
                f"{folder}: holds a run with other settings or versions",
                hint="choose another --out, or remove the folder",
            )
    with written_beside(path, force=True) as part:
        part.write_text(json.dumps({**record, "run": facts}, indent=1, sort_keys=True) + "\n", encoding="utf-8")


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


def _rows_of(task: Task, outcome: Outcome[list[Row]]) -> list[Row]:
    """What became of a task as rows. Raises CannotWrite where it failed for want of room: that is no result."""
    rows = outcome.value
    if rows is None:
        rows = failure(task, outcome.lost or outcome.error or "nothing was returned")
    for row in rows:
        if any(reason in str(row.get("error", "")) for reason in _FULL):
            raise CannotWrite(f"{task.name}: {row['error']}", hint="make room")
    return rows


def _guarded(measure: Measure, task: Task) -> list[Row]:
    cv2.setNumThreads(1)
    try:
        rows = measure(task)
        if not rows or not all(isinstance(row, dict) and "arm" in row for row in rows):
            raise ValueError(f"rows with an arm each were to be measured, and not {rows!r}")
        # as they are read again: what JSON does not have fails here, and not when the rows are written
        return [json.loads(_line(row)) for row in rows]
    except CountermarkError as error:
        return failure(task, error)
    except Exception as error:  # whatever breaks on one clip is a row, and the other clips go on
        _log.warning("%s failed", task.name, exc_info=True)
        return failure(task, error)
