"""Writing files so that nothing is ever lost or half-written: beside the target, then renamed."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from provenance.errors import CannotRead, CannotWrite, CountermarkError, OutputExists


@contextlib.contextmanager
def written_beside(target: Path, *, force: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside `target`; rename it there when the block succeeds, remove it when it does not.

    The temporary name keeps the suffix of the target, since muxers and the C2PA SDK choose their format by it.
    Raises OutputExists when the target is there and `force` is false, CannotWrite when its folder refuses.
    """
    refuse_existing(target, force=force)
    part = target.with_name(f".{target.stem[:80]}.{secrets.token_hex(4)}.part{target.suffix}")
    try:
        _begin(part, target)
        yield part
        refuse_existing(target, force=force)
        os.replace(part, target)
    except CountermarkError as error:  # nobody asked for the temporary file
        error.message = _said_of(target, part, error.message)
        error.args = (error.message,)
        raise
    except OSError as error:
        raise CannotWrite(f"{target}: writing failed ({error.strerror or error})", hint="is the disk full?") from error
    finally:  # also where Ctrl-C came between the file's making and the first line of the block
        with contextlib.suppress(OSError):
            part.unlink()


def _said_of(target: Path, part: Path, message: str) -> str:
    stem = part.name.removesuffix(part.suffix)
    for name in (f"{stem}.marked{part.suffix}", part.name):  # signing makes a second one, named after the first
        message = message.replace(str(part.with_name(name)), str(target)).replace(name, target.name)
    return message


def _begin(part: Path, target: Path) -> None:
    try:
        part.touch(exist_ok=False)
    except OSError as error:
        raise CannotWrite(
            f"{target}: cannot write there ({error.strerror})", hint="choose a folder that exists and is yours to write"
        ) from error


def refuse_existing(target: Path, *, force: bool) -> None:
    """Raise OutputExists when `target` is there already (a folder or device always, a file or link unless `force`)."""
    if target.is_dir():
        raise OutputExists(f"{target}: is a folder", hint="name a file to write")
    if target.exists() and not target.is_file():
        raise OutputExists(f"{target}: is no regular file, and would be replaced by one", hint="name a file to write")
    if os.path.lexists(target) and not force:
        raise OutputExists(f"{target}: is there already", hint="choose another name, or overwrite with --force")


@contextlib.contextmanager
def unchanged(path: Path) -> Iterator[None]:
    """Raise CannotRead after the block when `path` is no longer the file that it was before, or grew or shrank.

    That the block could not read it counts for less than that.
    """
    before, failure = _state(path), None
    try:
        yield
    except CannotRead as error:
        failure = error
    if _state(path) != before:
        raise CannotRead(
            f"{path}: changed while it was read", hint="is it still being written? try again when it is complete"
        ) from failure
    if failure is not None:
        raise failure


def _state(path: Path) -> tuple[int, ...] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def refuse_same_file(source: Path, target: Path) -> None:
    """Raise OutputExists when `target` is `source` itself, under whatever name."""
    with contextlib.suppress(OSError):
        if target.exists() and os.path.samefile(source, target):
            raise OutputExists(f"{target}: output would overwrite the input", hint="choose another name for the output")


def refuse_clashes(inputs: Iterable[Path], outputs: Sequence[Path]) -> None:
    """Raise OutputExists when an output is one of the inputs, or two outputs are one file, under whatever name."""
    taken = {_identity(path): path for path in inputs}
    named: dict[object, Path] = {}
    for target in outputs:
        identity = _identity(target)
        if identity in taken:
            raise OutputExists(
                f"{target}: output would overwrite the input {taken[identity]}",
                hint="choose another name for the output",
            )
        if identity in named:
            raise OutputExists(f"{target}: two outputs would be written there", hint="give each a name of its own")
        named[identity] = target


def _identity(path: Path) -> tuple[int, int] | Path:
    """What tells a file from all others: device and number where it is there, else its place."""
    try:
        status = path.stat()
        return status.st_dev, status.st_ino
    except (OSError, ValueError):
        return Path(os.path.realpath(path))


def write_private(path: Path, data: bytes, *, replace: bool = True) -> None:
    """Write secret bytes with mode 0600, beside and renamed; parents are made with mode 0700.

    Without `replace` FileExistsError is raised when `path` is there, whoever made it and however late.
    Raises CannotWrite when its folder refuses.
    """
    part = path.with_name(f".{path.name[:80]}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_new(part, data)
        if replace:
            os.replace(part, path)
        else:
            os.link(part, path)
    except OSError as error:
        if isinstance(error, FileExistsError) and not replace and os.path.lexists(path):
            raise
        raise CannotWrite(
            f"{path}: cannot write there ({error.strerror})", hint="choose a folder that exists and is yours to write"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


def _write_new(path: Path, data: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(data)
