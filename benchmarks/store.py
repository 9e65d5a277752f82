"""Attacked clips, made once for all detectors, within a budget of disk space; safe for any number of processes."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from provenance.errors import CannotWrite
from provenance.files import written_beside


@dataclass(frozen=True)
class AttackedStore:
    """Files by key in a folder, together at most `budget_bytes` of those that nobody uses at the moment.

    A file is written beside its place and renamed. Beside each lies a lock: shared by those who use the file, held
    alone by who makes or removes it; it ends with its process, however that ends.
    """

    folder: Path
    budget_bytes: int

    def __post_init__(self) -> None:
        if self.budget_bytes < 0:
            raise ValueError(f"a budget of {self.budget_bytes} bytes")

    @contextlib.contextmanager
    def get(self, key: str, make: Callable[[Path], object], suffix: str = ".mp4") -> Iterator[Path]:
        """Yield the file of that key, which stays until the block ends; `make` writes it to a path if it is not there.

        key: all that the file depends on (digest of the clip, chain, seed). What `make` raises passes through, and
        nothing is kept. Afterwards those least recently used make room. Raises CannotWrite.
        """
        name = hashlib.sha256(key.encode()).hexdigest()[:32]
        path = self.folder / f"{name}{suffix}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CannotWrite(f"{self.folder}: cannot write there ({error.strerror})", hint="choose another") from error
        while (lock := self._held(name, path, make)) is None:
            pass
        try:
            now = time.time_ns()  # finer than what the file system would take by itself
            os.utime(path, ns=(now, now))
            self._make_room()
            yield path
        finally:
            os.close(lock)
        self._make_room()

    def _held(self, name: str, path: Path, make: Callable[[Path], object]) -> int | None:
        """Return the lock, shared, of a file that is there; None where another process removed it in between."""
        place = self.folder / f"{name}.lock"
        lock = os.open(place, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_SH)
            if not path.exists():
                fcntl.flock(lock, fcntl.LOCK_EX)
                if _is_at(lock, place) and not path.exists():
                    self._remove(name)
                    with written_beside(path) as part:
                        make(part)
                fcntl.flock(lock, fcntl.LOCK_SH)
            if _is_at(lock, place) and path.exists():
                held, lock = lock, -1
                return held
            return None
        finally:
            if lock >= 0:
                os.close(lock)

    def _make_room(self) -> None:
        """Remove the least recently used files that nobody holds until the others fit the budget."""
        ages: dict[str, int] = {}
        sizes: dict[str, int] = {}
        for entry in self.folder.iterdir():
            if entry.suffix == ".lock":
                continue
            with contextlib.suppress(FileNotFoundError):
                name, status = entry.name.lstrip(".").split(".")[0], entry.stat()
                sizes[name] = sizes.get(name, 0) + status.st_size
                ages[name] = max(ages.get(name, 0), status.st_mtime_ns)
        total = sum(sizes.values())
        for name in sorted(ages, key=lambda one: ages[one]):
            if total <= self.budget_bytes:
                return
            total -= sizes[name] if self._evicted(name) else 0

    def _evicted(self, name: str) -> bool:
        place = self.folder / f"{name}.lock"
        lock = os.open(place, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not _is_at(lock, place):
                return False
            self._remove(name)
            place.unlink(missing_ok=True)
        except BlockingIOError:  # in use
            return False
        finally:
            os.close(lock)
        return True

    def _remove(self, name: str) -> None:
        """Remove the file, and what a process that was killed left of it; the lock is held alone."""
        for pattern in (f"{name}.*", f".{name}.*"):
            for path in self.folder.glob(pattern):
                if path.suffix != ".lock":
                    path.unlink(missing_ok=True)


def _is_at(lock: int, place: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(lock), place.stat())
    except FileNotFoundError:
        return False
