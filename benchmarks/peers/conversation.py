"""A process that answers requests, one line of JSON each: kept warm, bounded in time, killed when it misbehaves."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import Any

from provenance.errors import CannotRead, TookTooLong

START_SECONDS = 120.0
_ANSWER_BYTES = 16 << 20
_COMPLAINT_BYTES = 2000


class Conversation:
    """A program that says one line when it is ready and then answers every line with a line, all JSON objects.

    It starts at the first request, and anew after it was killed. It is killed, and an error raised, when it takes too
    long (TookTooLong), ends, says something that is no JSON object, or answers ``{"error": ...}`` (CannotRead); the
    message names it and quotes what it said. Not to be shared between threads.
    """

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        """environment: None for this process's own."""
        self.name = name
        self._command = list(command)
        self._environment = None if environment is None else dict(environment)
        self._process: subprocess.Popen[bytes] | None = None
        self._unread = b""

    def __repr__(self) -> str:
        return f"Conversation({self.name}, pid={self._process.pid if self._process else None})"

    @property
    def pid(self) -> int | None:
        """Of the running process; None where there is none."""
        return self._process.pid if self._process else None

    def ask(self, request: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """Return the answer to a request, which must come within `seconds` (the start has time of its own)."""
        try:
            if self._process is None:
                self._start()
                self._answer(START_SECONDS)
            self._send(json.dumps(request).encode() + b"\n")
            return self._answer(seconds)
        except BaseException:  # Ctrl-C too: what is half said would be taken for the next answer
            self.close()
            raise

    def close(self) -> None:
        """Kill the process, with whatever it started."""
        process, self._process, self._unread = self._process, None, b""
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        process.wait()
        self._complaints.close()

    def __del__(self) -> None:
        with contextlib.suppress(Exception):
            self.close()

    def _start(self) -> None:
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115, closed by `close`
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            env=self._environment,
            start_new_session=True,
            bufsize=0,
        )

    def _send(self, line: bytes) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line)
        except BrokenPipeError as error:
            raise self._failure("ended") from error

    def _answer(self, seconds: float) -> dict[str, Any]:
        line = self._line(time.monotonic() + seconds, seconds)
        try:
            answer = json.loads(line)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise self._failure(f"said {line[:80].decode(errors='replace')!r}, which is no answer")
        if "error" in answer:
            raise self._failure(str(answer["error"]), quote=False)
        return answer

    def _line(self, deadline: float, seconds: float) -> bytes:
        assert self._process is not None
        assert self._process.stdout is not None
        pipe = self._process.stdout.fileno()
        while b"\n" not in self._unread:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([pipe], [], [], left)[0]:
                raise TookTooLong(f"{self.name}: no answer within {seconds:.0f} s", hint="it was stopped")
            part = os.read(pipe, 1 << 16)
            if not part:
                raise self._failure("ended")
            self._unread += part
            if len(self._unread) > _ANSWER_BYTES:
                raise self._failure("said too much", quote=False)
        line, self._unread = self._unread.split(b"\n", 1)
        return line

    def _failure(self, what: str, *, quote: bool = True) -> CannotRead:
        with contextlib.suppress(subprocess.TimeoutExpired):  # what it complains of comes before it is gone
            if self._process is not None and quote:
                self._process.wait(0.5)
        size = self._complaints.seek(0, os.SEEK_END)
        self._complaints.seek(max(0, size - _COMPLAINT_BYTES))
        lines = self._complaints.read().decode(errors="replace").strip().splitlines()
        said = f" ({lines[-1].strip()[:200]})" if quote and lines else ""
        return CannotRead(f"{self.name}: {what}{said}", hint="the other clips and attacks go on")
