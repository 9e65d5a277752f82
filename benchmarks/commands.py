"""Anybody's watermark or detector, whatever its environment, by command lines.

``my-embed {in} {out} {message}`` writes a marked copy of ``{in}`` to ``{out}``; ``my-read {file}`` prints the message,
or ``none``, and may add log10 of the chance that an unmarked clip looks so; ``my-detector {file}`` prints a score, or
``none``. No shell sees these lines: they are split as a shell would split them, and what stands in braces is put in
afterwards, so that no name of a file can change the command.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import selectors
import shlex
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.marks import MarkReading, Twins, bits_right, finished_twins
from benchmarks.videos import Subject
from provenance.errors import CannotRead, TookTooLong, UsageError
from provenance.keys import Key
from provenance.video import Clip, Video
from provenance.video.write import write_clip

LIMIT_SECONDS = 300.0
_OUTPUT_BYTES = 1 << 20
_HINT = "the other clips and attacks go on"
_NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.])")
_NAME = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class CommandMark:
    """A watermark by two command lines.

    Clips are handed over without loss: FFV1 in Matroska, pixel format bgr0, which is RGB of 8 bits; the marked file may
    be anything that Countermark reads, of as many frames and the same size. ``{message}`` has a hexadecimal digit for
    every four of `bits`. The key of a benchmark is not handed over: reading under another key says the same.
    Raises UsageError for a line without its placeholders.
    """

    embed_line: str
    read_line: str
    name: str = "command"
    bits: int = 64
    limit_seconds: float = LIMIT_SECONDS

    def __post_init__(self) -> None:
        if not 4 <= self.bits <= 64 or self.bits % 4:
            raise UsageError(f"{self.bits} bits are no message", hint="4 to 64 bits, in steps of 4")
        if not self.limit_seconds > 0:
            raise UsageError(f"{self.limit_seconds} s is no limit of time", hint="more than 0")
        _checked(self.embed_line, {"in", "out", "message"}, "--embed")
        _checked(self.read_line, {"file"}, "--read")

    @property
    def search(self) -> str:
        """How it is read, in words."""
        return "blind: whatever its command does with the file; the chance is its own statement"

    def embed(self, clip: Clip, message: int, key: Key) -> Clip:
        """Return what the command makes of the clip, with the clip's own times. Raises CannotRead, TookTooLong."""
        with tempfile.TemporaryDirectory(prefix="countermark-command-") as folder:
            source, target = Path(folder) / "in.mkv", Path(folder) / "out.mkv"
            write_lossless(clip, source)
            places = {"in": str(source), "out": str(target), "message": f"{message:0{self.bits // 4}x}"}
            output_of(_words(self.embed_line, places), self.limit_seconds)
            if not target.is_file():
                raise CannotRead(f"{_program(self.embed_line)}: wrote no file", hint="it should write {out}")
            marked = Video(target).read()
        if marked.frames.shape != clip.frames.shape:
            raise CannotRead(
                f"{_program(self.embed_line)}: made {marked!r} of {clip!r}", hint="frames and size must stay"
            )
        return Clip(marked.frames, clip.times)

    def read(
        self, clip: Clip, key: Key, expected: int | None = None, marked_size: tuple[int, int] | None = None
    ) -> MarkReading:
        """Return what the command prints for the clip. Raises CannotRead, TookTooLong."""
        with tempfile.TemporaryDirectory(prefix="countermark-command-") as folder:
            path = Path(folder) / "clip.mkv"
            write_lossless(clip, path)
            said = output_of(_words(self.read_line, {"file": str(path)}), self.limit_seconds)
        message, log10_p = self._parsed(said)
        return MarkReading(message, log10_p, bits_right(message, expected, self.bits))

    def twins(self, subject: Subject, message: int, key: Key, seed: int, seconds: float | None) -> Twins:
        """Mark the subject's own frames."""
        return finished_twins(self, subject, message, key, seconds)

    def _parsed(self, said: str) -> tuple[int | None, float | None]:
        """The last line that is not empty: the message or ``none``, and perhaps the logarithm of a chance."""
        words = _last_line(said).split()
        digits = re.compile(f"[0-9a-fA-F]{{1,{self.bits // 4}}}")
        try:
            if not 1 <= len(words) <= 2 or (words[0] != "none" and not digits.fullmatch(words[0])):
                raise ValueError
            message = None if words[0] == "none" else int(words[0], 16)
            log10_p = float(words[1]) if len(words) == 2 else None
            if log10_p is not None and not (math.isfinite(log10_p) and log10_p <= 0):
                raise ValueError
        except ValueError:
            raise CannotRead(
                f"{_program(self.read_line)}: printed {_last_line(said)[:80]!r}",
                hint=f"a message of {self.bits // 4} hexadecimal digits or none, and perhaps log10 of a chance",
            ) from None
        return message, log10_p


@dataclass(frozen=True)
class CommandDetector:
    """A detector by a command line: the last number that it prints is the score, higher for generated."""

    line: str
    name: str = "command"
    limit_seconds: float = LIMIT_SECONDS

    def __post_init__(self) -> None:
        if not self.limit_seconds > 0:
            raise UsageError(f"{self.limit_seconds} s is no limit of time", hint="more than 0")
        _checked(self.line, {"file"}, "--command")

    def __call__(self, path: Path) -> float | None:
        """Return the score of a file; None where the last word is ``none``. Raises CannotRead, TookTooLong."""
        said = output_of(_words(self.line, {"file": str(path)}), self.limit_seconds)
        if said.split()[-1:] == ["none"]:
            return None
        numbers = [float(number) for number in _NUMBER.findall(said)]
        if not numbers or not math.isfinite(numbers[-1]):
            raise CannotRead(f"{_program(self.line)}: printed {_last_line(said)[:80]!r}", hint="a score, or none")
        return numbers[-1]


def write_lossless(clip: Clip, path: Path | str) -> None:
    """Write a clip so that the very same RGB values are read again: FFV1, pixel format bgr0, in Matroska."""
    write_clip(clip, path, codec="ffv1", crf=None, pixel_format="bgr0")


def output_of(words: Sequence[str], limit_seconds: float) -> str:
    """Run a command without a shell and return what it printed on standard output.

    Raises TookTooLong after `limit_seconds`, and CannotRead where it cannot be started, ends with another status than 0
    (quoting the first line of its standard error) or prints more than a megabyte. It and what it started are killed.
    """
    name = Path(words[0]).name
    try:
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
    except (OSError, ValueError) as error:
        raise CannotRead(f"{name}: cannot be run ({error})", hint="is it on the path, and executable?") from error
    with process:
        try:
            said, complaint = _collected(process, name, time.monotonic() + limit_seconds, limit_seconds)
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode:
        first = next((line.strip() for line in complaint.splitlines() if line.strip()), "nothing on standard error")
        raise CannotRead(f"{name}: ended with status {process.returncode} ({first[:200]})", hint=_HINT)
    return said


def _collected(process: subprocess.Popen[bytes], name: str, deadline: float, limit: float) -> tuple[str, str]:
    """Standard output and standard error, once both are closed and the process has ended."""
    kept: dict[object, bytearray] = {process.stdout: bytearray(), process.stderr: bytearray()}
    late = TookTooLong(f"{name}: took more than {limit:g} s", hint=_HINT)
    with selectors.DefaultSelector() as selector:
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                selector.register(pipe, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            if not ready or time.monotonic() > deadline:
                raise late
            for key, _ in ready:
                part = os.read(key.fd, 1 << 16)
                kept[key.fileobj] += part
                if not part:
                    selector.unregister(key.fileobj)
                elif len(kept[key.fileobj]) > _OUTPUT_BYTES:
                    raise CannotRead(f"{name}: printed more than a megabyte", hint=_HINT)
    try:
        process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise late from None
    said, complaint = (kept[pipe].decode(errors="replace") for pipe in (process.stdout, process.stderr))
    return said, complaint


def _checked(line: str, wanted: set[str], option: str) -> None:
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise UsageError(f"{option} {line!r}: {error}", hint="quote as in a shell") from error
    named = {name for word in words for name in _NAME.findall(word)}
    if not words or not wanted <= named:
        lacking = " ".join(f"{{{name}}}" for name in sorted(wanted - named)) or "its program"
        raise UsageError(f"{option} {line!r}: lacks {lacking}", hint=_EXAMPLES[option])


_EXAMPLES = {
    "--embed": "as in --embed 'my-embed {in} {out} {message}'",
    "--read": "as in --read 'my-read {file}'",
    "--command": "as in --command 'my-detector {file}'",
}


def _words(line: str, places: Mapping[str, str]) -> list[str]:
    """Split a line as a shell does, then put in what stands in braces; braces with other names stay."""
    return [_NAME.sub(lambda found: places.get(found[1], found[0]), word) for word in shlex.split(line)]


def _program(line: str) -> str:
    return Path(shlex.split(line)[0]).name


def _last_line(said: str) -> str:
    return next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "")
