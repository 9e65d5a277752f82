"""One spawned process that works on one thing at a time, and can be killed with all that it started."""

from __future__ import annotations

import contextlib
import multiprocessing.connection
import os
import pickle
import signal
import sys
import threading
import time
import traceback
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from types import MappingProxyType
from typing import Any

DIED = "the worker process died"
_NONE: Mapping[str, str] = MappingProxyType({})
_START_SECONDS = 120.0
"""What a process may take until it has found the function, which imports the modules, before its time counts."""
_END_SECONDS = 5.0
_BEGUN = b""


@dataclass(frozen=True)
class Reply:
    """What became of a piece of work: its value; the error that it raised; or why its process was `lost`."""

    value: Any = None
    error: Exception | None = None
    lost: str | None = None


class WorkerProcess:
    """A spawned process, in a process group of its own.

    environment: variables that it starts with, over this process's. path: folders that it looks for modules in, first.
    """

    def __init__(self, environment: Mapping[str, str] = _NONE, path: Sequence[str] = ()) -> None:
        context = multiprocessing.get_context("spawn")
        self._link, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, tuple(path)))
        with _variables(environment):
            self._process.start()
        theirs.close()  # so that the link ends when the process does
        self._kill = weakref.finalize(self, _kill, self._process, self._link)
        self._seconds: float | None = None
        self._deadline: float | None = None

    def begin(self, work: bytes, seconds: float | None = None) -> None:
        """Let it call a pickled ``(function, item)``. seconds: how long that may take before the process is killed."""
        self._seconds = seconds
        self._deadline = None if seconds is None else time.monotonic() + _START_SECONDS + seconds
        with contextlib.suppress(OSError):  # it died while it was idle: `reply` says so
            self._link.send_bytes(work)

    @property
    def waitables(self) -> tuple[Any, ...]:
        """What `multiprocessing.connection.wait` may wait for: one is ready when there is something to hear."""
        return self._link, self._process.sentinel

    @property
    def seconds_left(self) -> float | None:
        """How long until it is killed; None: never."""
        return None if self._deadline is None else max(0.0, self._deadline - time.monotonic())

    def reply(self) -> Reply | None:
        """Return what became of the work, None while it goes on. After a `lost` one the process is gone."""
        try:
            while self._link.poll():
                data = self._link.recv_bytes()
                if data != _BEGUN:
                    return Reply(*pickle.loads(data))
                if self._seconds is not None:
                    self._deadline = time.monotonic() + self._seconds
            if self._process.is_alive() and self.seconds_left != 0.0:
                return None
        except (OSError, EOFError):
            self.kill()
            return Reply(lost=DIED)
        late = self._process.is_alive()
        self.kill()
        return Reply(lost=f"took longer than {self._seconds:g} s" if late else DIED)

    def wait(self) -> Reply:
        """Return what became of the work, as soon as it is known."""
        while (reply := self.reply()) is None:
            multiprocessing.connection.wait(self.waitables, self.seconds_left)
        return reply

    def kill(self) -> None:
        """End it at once, and every process that it started and that is still in its group."""
        self._kill()

    def end(self) -> None:
        """Let an idle process finish as programs do; kill it when that takes longer than seconds."""
        self._link.close()
        self._process.join(_END_SECONDS)
        self._kill()


def _kill(process: BaseProcess, link: Connection) -> None:
    with contextlib.suppress(OSError, TypeError):  # it has no group of its own in its first moments
        os.killpg(process.pid, signal.SIGKILL)  # type: ignore[arg-type]
    process.kill()
    process.join()
    link.close()


@contextlib.contextmanager
def _variables(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


def _serve(link: Connection, path: Sequence[str]) -> None:
    """Work until the parent hangs up. Ctrl-C is the parent's affair: it ends this process."""
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    end_with_parent()
    sys.path[:0] = [folder for folder in path if folder not in sys.path]
    while True:
        try:
            link.send_bytes(_answer(link, link.recv_bytes()))
        except (EOFError, OSError):
            return


def _answer(link: Connection, work: bytes) -> bytes:
    try:
        function, item = pickle.loads(work)
        link.send_bytes(_BEGUN)
        return pickle.dumps((function(item),))
    except Exception as error:  # whatever it is, it is raised where the work was asked for
        told = "".join(traceback.format_exception(error))
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:  # an error that does not survive the way is told in words
            error = RuntimeError(f"{type(error).__name__}: {error}")
        error.add_note(f"in a worker process:\n{told}")
        return pickle.dumps((None, error))


def end_with_parent() -> None:
    """Let this process end within a second or two after its parent is gone: nobody waits for what it works on.

    A process that leads a group takes the group along.
    """
    threading.Thread(target=_watch, args=(os.getppid(),), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(1)
