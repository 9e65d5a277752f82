"""Standard input and output as files that can fail: a reader that goes away, a full disk, a clip that is piped in."""

from __future__ import annotations

import contextlib
import io
import os
import select
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from provenance.errors import CannotRead, CountermarkError, TooHostile, UsageError

STDIN = "-"
STDIN_NAME = "standard input"
STDIN_LIMIT_BYTES = 4 << 30
"""What is piped in is kept for as long as it is examined; more than this is refused."""
_BLOCK_BYTES = 1 << 20


class OutputLost(Exception):
    """Standard output takes nothing more. No OSError, so that nobody takes it for a failure of a file of his own."""

    def __init__(self, error: OSError) -> None:
        super().__init__(error.strerror)
        self.reader_is_gone = isinstance(error, BrokenPipeError)
        self.reason = error.strerror or type(error).__name__


class _RawOutput(io.RawIOBase):
    """The file descriptor of standard output."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def write(self, data: object) -> int:
        while True:
            try:
                return os.write(self._descriptor, data)  # type: ignore[arg-type]
            except BlockingIOError:
                select.select([], [self._descriptor], [])
            except OSError as error:
                raise OutputLost(error) from error


def guarded(stream: TextIO | None) -> TextIO:
    """Return standard output that raises OutputLost, and shows ``?`` for what its encoding does not have.

    A stream that is closed swallows everything; one that is no file is returned as it is.
    """
    if stream is None:
        return open(os.devnull, "w", encoding="utf-8")
    try:
        buffer = io.BufferedWriter(_RawOutput(stream.fileno()))
    except (OSError, ValueError, AttributeError):
        return stream
    stream.flush()
    return io.TextIOWrapper(buffer, encoding=stream.encoding, errors="replace", line_buffering=stream.isatty())


def silence_stdout() -> None:
    """Let nothing be written to what was lost while the interpreter shuts down."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Spool:
    """Standard input in a private temporary file, since examining reads a file more than once.

    path: where it stands. error: why it could not be taken, None where it was.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / STDIN_NAME
        self.error: CountermarkError | None = None

    def fill(self) -> None:
        """Read standard input to its end."""
        try:
            self._copy()
        except CannotRead as error:
            self.error = error
        except OSError as error:
            self.error = CannotRead(f"{STDIN_NAME}: cannot be read ({error.strerror})", hint="save it to a file first")
        if self.error is not None:
            self.path.unlink(missing_ok=True)

    def _copy(self) -> None:
        if sys.stdin is None:
            raise CannotRead(f"{STDIN_NAME}: is closed", hint="pipe the clip in, or save it to a file")
        taken = 0
        with self.path.open("xb") as target:
            while block := sys.stdin.buffer.read(_BLOCK_BYTES):
                taken += len(block)
                if taken > STDIN_LIMIT_BYTES:
                    raise TooHostile(
                        f"{STDIN_NAME}: is longer than {STDIN_LIMIT_BYTES >> 30} GiB", hint="save it to a file first"
                    )
                target.write(block)


@contextlib.contextmanager
def spool_for(names: Sequence[str], files_from: Path | None) -> Iterator[Spool | None]:
    """Yield a place for standard input where ``-`` is among the names, else None; it is gone afterwards."""
    if STDIN not in names:
        yield None
        return
    if str(files_from) == STDIN:
        raise UsageError("standard input is either a clip or a list of names", hint="leave out one of the two -")
    import tempfile

    with tempfile.TemporaryDirectory(prefix="countermark-") as folder:  # mode 0700
        yield Spool(Path(folder))


def refuse_stdin(names: Sequence[str]) -> None:
    """Raise UsageError where ``-`` is among the names of files."""
    if STDIN in names:
        raise UsageError(
            "standard input cannot be taken, since the file must be read more than once", hint="save it to a file first"
        )
