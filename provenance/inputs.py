"""What a person pointed at -> files: paths, folders, patterns, lists of names, and the corpus's split."""

from __future__ import annotations

import csv
import glob
import hashlib
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from provenance.errors import CannotRead, UsageError

_MEDIA = """.mp4 .m4v .mov .mkv .webm .avi .gif .apng .mpg .mpeg .m2v .vob .ts .mts .m2ts .3gp .3g2 .wmv .asf .flv .ogv
.y4m .mxf .dv .ivf .nut .h264 .264 .h265 .265 .hevc
.jpg .jpeg .png .webp .avif .tif .tiff .bmp"""
MEDIA_SUFFIXES = frozenset(_MEDIA.split())
"""Suffixes that a folder is searched for."""


def expand(names: Iterable[str | Path], *, files_from: Path | None = None) -> list[Path]:
    """Return the files that `names` stand for, in the order given, each once.

    A folder stands for the media files in it (and below), in alphabetical order; a name with ``*``, ``?`` or ``[``
    that is no file stands for what it matches. What stands for nothing, a missing file, a pattern without a match, a
    folder without media, is returned as it is named: saying so is the reader's task, so that one bad name does not
    spoil the others and none is lost without a word. `files_from`: a text file with one name a line (`-` is standard
    input); names in it are relative to its folder.
    Raises UsageError where folders without media are all there is, CannotRead for an unreadable list.
    """
    wanted = [str(name) for name in names]
    if files_from is not None:
        wanted += read_list(files_from)
    found: dict[Path, None] = {}
    for name in wanted:
        for path in _files_of(name):
            found.setdefault(path, None)
    if all(path.is_dir() for path in found):
        where = f" in {', '.join(map(str, found))}" if found else ""
        raise UsageError(
            f"there is no file to work on{where}", hint="name files, folders or patterns, or give --files-from"
        )
    return list(found)


def refuse_folder(path: Path) -> None:
    """Raise CannotRead for a folder: one is left by `expand` only where it holds no media."""
    if path.is_dir():
        raise CannotRead(
            f"{path}: no video or picture is in this folder", hint="is it the right one, and yours to read?"
        )


def read_list(path: Path) -> list[str]:
    """Return the names in a list, one a line; empty lines and lines that start with # count for nothing.

    A byte order mark is no part of the first name, and blanks around a name are a part of it.
    """
    is_stdin = str(path) == "-"
    try:
        text = _bytes_of(None if is_stdin else path).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CannotRead(
            f"{path}: cannot be read as a list of files ({error})", hint="one name a line, UTF-8"
        ) from error
    base = Path() if is_stdin else path.parent
    lines = (line.removesuffix("\r") for line in text.split("\n"))
    return [str(base / line) for line in lines if line.strip() and not line.startswith("#")]


def _bytes_of(path: Path | None) -> bytes:
    """A whole file, or standard input, which is empty when it is closed."""
    if path is not None:
        return path.read_bytes()
    return sys.stdin.buffer.read() if sys.stdin is not None else b""


def _files_of(name: str) -> Iterable[Path]:
    path = Path(name)
    if path.is_dir():
        inside = (Path(folder) / file for folder, _, files in os.walk(path) for file in files)
        return sorted(one for one in inside if _is_media(one)) or [path]
    if not path.exists() and glob.has_magic(name):
        return sorted(Path(one) for one in glob.glob(name, recursive=True) if not os.path.isdir(one)) or [path]
    return [path]


def _is_media(path: Path) -> bool:
    return path.suffix.lower() in MEDIA_SUFFIXES and not path.name.startswith(".")


@dataclass(frozen=True)
class SplitRow:
    """One clip of the corpus and who may use it: see `read_split`."""

    sha256: str
    file: str
    label: str
    family: str
    lineage: str
    fold: int
    watermark: str

    def __post_init__(self) -> None:
        if self.label not in ("ai", "real") or self.watermark not in ("", "development", "table"):
            raise CannotRead(
                f"{self.file}: label {self.label!r} or use {self.watermark!r} is unknown",
                hint="label is ai or real; watermark is development, table or empty",
            )


def read_split(path: Path) -> list[SplitRow]:
    """Read a split: a CSV table with the columns of `SplitRow`. Raises CannotRead."""
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            return [_split_row(row) for row in csv.DictReader(stream)]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise CannotRead(
            f"{path}: cannot be read as a split ({error})",
            hint="a table with sha256, file, label, family, lineage, fold and watermark",
        ) from error


def _split_row(row: dict[str, str]) -> SplitRow:
    text = {name: row[name] for name in ("sha256", "file", "label", "family", "lineage", "watermark")}
    return SplitRow(fold=int(row["fold"]), **text)


def chosen(rows: Sequence[SplitRow], *, watermark: str | None = None, label: str | None = None) -> list[SplitRow]:
    """Return the rows with this use and this label."""
    return [row for row in rows if (watermark is None or row.watermark == watermark) and label in (None, row.label)]


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal, read in pieces. Raises CannotRead."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            while piece := stream.read(1 << 20):
                digest.update(piece)
    except OSError as error:
        raise CannotRead(
            f"{path}: cannot be read ({error.strerror})", hint="is it there, and yours to read?"
        ) from error
    return digest.hexdigest()
