"""One warm, killable worker process: what touches a stranger's file runs there, never in the parent.

The worker is a fresh Python that shares nothing with its parent but one socket. It has no network, it is killed when
it takes more time or memory than its limits allow, and whatever it sends back is read by an unpickler that makes
nothing but values. The function to run and its arguments travel by pickle, so the function is a module's, not a lambda.

While it runs, a function may `ask` its parent one question by name (the claim signature, whose key never enters the
worker) and `tell` how far it is. Both work in the same way under `InProcess`, which runs functions here and now.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import io
import logging
import os
import pickle
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol, TypeVar

from provenance.errors import CannotRead, CountermarkError, TookTooLong
from provenance.sandbox.limits import Limits

Answers = Mapping[str, Callable[[bytes], bytes]]
Progress = Callable[[float], None]
Result = TypeVar("Result")

_QUESTION_BYTES = 1 << 20
_START_SECONDS = 120.0
_LOOK_EVERY_SECONDS = 0.05
_THREADS = {"OMP_WAIT_POLICY": "PASSIVE", "OPENBLAS_NUM_THREADS": "1"}
"""Unless the environment says otherwise: threads that wait for others in a busy loop cost many times their work as soon
as two files are examined at once."""
_log = logging.getLogger(__name__)


class Runner(Protocol):
    """What runs a function on a file: `Worker`, or `InProcess` for files of one's own."""

    def run(
        self,
        function: Callable[..., Result],
        *arguments: Any,
        answers: Answers | None = None,
        progress: Progress | None = None,
    ) -> Result:
        """Call `function(*arguments)` and return its result."""


class Worker:
    """A warm process that runs one function at a time; it starts at the first call, and anew after it was killed."""

    def __init__(self, limits: Limits | None = None, *, network: bool = False) -> None:
        """Prepare a worker. network: whether it may reach other machines, as a time-stamp authority needs."""
        self.limits = limits or Limits()
        self._network = network
        self._process: subprocess.Popen[bytes] | None = None
        self._link: Connection | None = None
        self._complaints: Any = None
        self._busy = False
        self._ending = threading.RLock()

    def __repr__(self) -> str:
        return f"Worker(pid={self._process.pid if self._process else None})"

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The process's number while it is alive."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def run(
        self,
        function: Callable[..., Result],
        *arguments: Any,
        answers: Answers | None = None,
        progress: Progress | None = None,
    ) -> Result:
        """Call `function(*arguments)` in the worker and return its result.

        answers: what the function may `ask`. progress: told what it `tell`s.
        Raises what the function raises when it is an error of ours; TookTooLong past the limits of time, memory or
        answer; CannotRead when the worker crashed. The first argument names the file in the message.
        """
        subject = _subject(arguments)
        try:
            link = self._ready()
            link.send_bytes(pickle.dumps((function, arguments, self.limits, os.getcwd())))
            return self._wait(link, subject, answers or {}, progress)
        except (OSError, EOFError) as error:
            raise self._crashed(subject) from error
        except BaseException as error:
            if not isinstance(error, CountermarkError) or self._busy:
                self.kill()
            raise

    def kill(self) -> None:
        """End the process at once, whatever it is doing; from any thread."""
        with self._ending:
            process, self._process = self._process, None
            if process is not None:
                process.kill()
                process.wait()
            if self._link is not None:
                self._link.close()
                self._link = None
            if self._complaints is not None:
                self._complaints.close()
                self._complaints = None

    close = kill

    def _ready(self) -> Connection:
        if self.pid is None or self._link is None:
            self.kill()
            self._start()
        assert self._link is not None
        self._busy = True
        return self._link

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115, closed in kill
        program = (
            "import sys; sys.path[:0] = sys.argv[2].split('\\n'); from provenance.sandbox.child import serve; serve()"
        )
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-I",
                "-c",
                program,
                str(theirs.fileno()),
                "\n".join(_search_path()),
                "network" if self._network else "alone",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._complaints,
            pass_fds=[theirs.fileno()],
            start_new_session=True,  # Ctrl-C reaches the parent alone, which then ends the worker
            env=_THREADS | os.environ,
        )
        theirs.close()
        self._link = Connection(ours.detach())
        if not self._link.poll(_START_SECONDS) or self._link.recv_bytes(16) != b"ready":
            self.kill()
            raise CannotRead("the worker process does not start", hint="is this machine out of memory?")

    def _wait(self, link: Connection, subject: str, answers: Answers, progress: Progress | None) -> Any:
        clock = _Deadline(self.limits)
        while True:
            if not link.poll(_LOOK_EVERY_SECONDS):
                self._refuse_excess(subject, clock)
                continue
            kind, value = self._receive(link, subject)
            if kind == "told":
                clock.moved_to(value)
                if progress is not None:
                    progress(value)
            elif kind == "asked":
                asked_at = time.monotonic()
                link.send_bytes(_answer(answers, value))
                clock.postpone(time.monotonic() - asked_at)
            else:
                self._busy = False
                return _outcome(kind, value, subject)
            self._refuse_excess(subject, clock)

    def _receive(self, link: Connection, subject: str) -> tuple[str, Any]:
        data = link.recv_bytes(self.limits.result_bytes + _QUESTION_BYTES)
        try:
            return _message(data)
        except Exception as error:  # a worker that a file took over may send what raises anything
            self.kill()
            _log.debug("unreadable answer from the worker", exc_info=error)
            raise CannotRead(
                f"{subject}: its examination gave no usable answer", hint="is the file damaged?"
            ) from error

    def _refuse_excess(self, subject: str, clock: _Deadline) -> None:
        process = self._process
        if process is None or process.poll() is not None:
            raise EOFError
        if clock.reason is not None:
            self.kill()
            raise TookTooLong(f"{subject}: stopped {clock.reason}", hint="a shorter stretch of it may work")
        if _resident_bytes(process.pid) > self.limits.memory_bytes:
            self.kill()
            raise TookTooLong(
                f"{subject}: stopped, it took more than {self.limits.memory_bytes >> 20} MiB of memory",
                hint="a smaller or shorter copy of it may work",
            )

    def _crashed(self, subject: str) -> CannotRead:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            self._complaints.seek(max(0, os.fstat(self._complaints.fileno()).st_size - 4000))
            _log.debug("the worker's last words: %s", self._complaints.read().decode(errors="replace"))
        code = None
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = self._process.wait(timeout=1) if self._process is not None else None
        self.kill()
        if code == -signal.SIGKILL:
            return CannotRead(
                f"{subject}: its worker was killed from outside", hint="is there enough memory? a smaller copy may work"
            )
        how = "it sent too much" if code is None else f"signal {-code}" if code < 0 else f"status {code}"
        return CannotRead(
            f"{subject}: examining it crashed the worker ({how})", hint="the file may be damaged or hostile"
        )


class _Deadline:
    """When a call has taken too long: in all, or since the share done last grew by a thousandth."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._began = self._moved = time.monotonic()
        self._share = 0.0

    def moved_to(self, share: object) -> None:
        """Take note of progress; a worker that a file took over may tell anything."""
        if isinstance(share, float | int) and self._share + 1e-3 <= share <= 1.0:
            self._share, self._moved = float(share), time.monotonic()

    def postpone(self, seconds: float) -> None:
        """The parent itself took this long to answer."""
        self._began, self._moved = self._began + seconds, self._moved + seconds

    @property
    def reason(self) -> str | None:
        """Why the call is to be stopped now, or None."""
        now = time.monotonic()
        if now - self._moved > self._limits.seconds:
            since = " without progress" if self._share else ""
            return f"after {self._limits.seconds:g} s{since}"
        if now - self._began > self._limits.longest_seconds:
            return f"after {self._limits.longest_seconds:g} s"
        return None


class InProcess:
    """Runs functions here and now, without limits: for files of one's own, and for tests."""

    def run(
        self,
        function: Callable[..., Result],
        *arguments: Any,
        answers: Answers | None = None,
        progress: Progress | None = None,
    ) -> Result:
        """Call `function(*arguments)`."""
        with _parent(_Here(answers or {}, progress)):
            return function(*arguments)


def ask(name: str, question: bytes) -> bytes:
    """From inside a function that a runner runs: let the parent answer."""
    return _current.ask(name, question)


def tell(share: float) -> None:
    """From inside a function that a runner runs: report the share done, 0 .. 1. Without a parent nobody hears it."""
    _current.tell(share)


_warm: Worker | None = None


def warm_worker(limits: Limits | None = None) -> Worker:
    """Return this process's one warm worker, which ends with it; `limits` hold from its next run on."""
    global _warm
    if _warm is None:
        _warm = Worker()
        atexit.register(_warm.close)
    _warm.limits = limits or Limits()
    return _warm


class _Parent(Protocol):
    def ask(self, name: str, question: bytes) -> bytes: ...

    def tell(self, share: float) -> None: ...


class _Here:
    """The parent when there is no other process, or none at all."""

    def __init__(self, answers: Answers, progress: Progress | None) -> None:
        self._answers, self._progress = answers, progress

    def ask(self, name: str, question: bytes) -> bytes:
        return self._answers[name](question)

    def tell(self, share: float) -> None:
        if self._progress is not None:
            self._progress(share)


_current: _Parent = _Here({}, None)


@contextlib.contextmanager
def _parent(parent: _Parent) -> Iterator[None]:
    global _current
    before, _current = _current, parent
    try:
        yield
    finally:
        _current = before


def _answer(answers: Answers, question: tuple[str, bytes]) -> bytes:
    """Answer a question as ("answer", bytes) or ("error", an error of ours); what is not on offer is refused."""
    name, data = question
    try:
        if name not in answers or len(data) > _QUESTION_BYTES:
            raise CannotRead(f"the worker asked for {name[:40]!r}", hint="nothing of that kind is on offer")
        return pickle.dumps(("answer", answers[name](data)))
    except CountermarkError as error:
        return pickle.dumps(("error", error))


def _outcome(kind: str, value: Any, subject: str) -> Any:
    if kind == "result":
        return value
    if kind == "error" and isinstance(value, CountermarkError):
        raise value
    _log.debug("in the worker: %s", value)
    last = str(value).strip().splitlines()[-1:] or ["for no stated reason"]
    raise CannotRead(
        f"{subject}: examining it failed ({last[0][:200]})", hint="--debug shows where; is the file damaged?"
    )


class _Values(pickle.Unpickler):
    """Makes values only: dataclasses and errors of our packages, a few types of libraries, and nothing that would act
    when it is made (a repository would reach for its database).
    """

    _OURS = ("provenance.", "detectors.", "generator.", "benchmarks.", "countermark.")
    _OTHERS = frozenset(
        {("builtins", name) for name in ("set", "frozenset", "complex", "slice", "range", "bytearray")}
        | {("numpy", "ndarray"), ("numpy", "dtype"), ("numpy._core.multiarray", "_reconstruct")}
        | {("numpy._core.multiarray", "scalar"), ("numpy._core.numeric", "_frombuffer")}
        | {("pathlib", "PosixPath"), ("pathlib", "PurePosixPath"), ("fractions", "Fraction")}
        | {
            ("pathlib._local", "PosixPath"),
            ("datetime", "datetime"),
            ("datetime", "timezone"),
            ("datetime", "timedelta"),
        }
        | {("collections", "OrderedDict"), ("types", "MappingProxyType"), ("provenance.errors", "_rebuild")}
    )

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in self._OTHERS:
            return super().find_class(module, name)
        if module.startswith(self._OURS) and "." not in name:
            found = super().find_class(module, name)
            is_value = dataclasses.is_dataclass(found) or issubclass(found, CountermarkError)
            if is_value and found.__module__.startswith(self._OURS):
                return found
        raise pickle.UnpicklingError(f"the worker may not send {module}.{name}")


def _message(data: bytes) -> tuple[str, Any]:
    """What the worker sent, by its kind: "told" a number, "asked" a name and bytes, or how the function ended."""
    kind, value = _Values(io.BytesIO(data)).load()
    if kind == "told":
        return kind, float(value)
    if kind == "asked":
        name, question = value
        if not isinstance(question, bytes):
            raise pickle.UnpicklingError("a question is bytes")
        return kind, (str(name), question)
    return str(kind), value


def _subject(arguments: tuple[Any, ...]) -> str:
    first = arguments[0] if arguments else None
    path = getattr(first, "path", getattr(first, "source", first))
    return str(path) if isinstance(path, Path) else "the file"


def _search_path() -> list[str]:
    return [str(Path(entry).resolve()) if entry else os.getcwd() for entry in sys.path]


def _resident_bytes(pid: int) -> int:
    """Return the memory that a process holds; 0 where the system does not tell."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        pass
    if sys.platform == "darwin":
        shown = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
        return int(shown.strip() or 0) * 1024
    return 0


__all__ = ["Answers", "InProcess", "Progress", "Runner", "Worker", "ask", "tell", "warm_worker"]
