"""A bounded look at a file's headers before any parser sees it.

Only box and chunk headers are read, a few kilobytes however long the file is, and the count of them is bounded: parsers
that need quadratic time for many boxes, or allocate what a header declares, never meet such a file. What is merely
damaged passes: saying so is the parser's task.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from provenance.errors import TooHostile
from provenance.sandbox import matroska, pictures
from provenance.sandbox.limits import Limits
from provenance.sandbox.refusals import hostile, refuse_size
from provenance.video.container import refuse_unreadable

_ISO_FIRST = frozenset(
    {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"uuid", b"styp", b"pnot", b"meta", b"jumb"}
)
_CONTAINERS = frozenset(
    {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"dinf", b"edts", b"udta", b"mvex", b"moof", b"traf", b"mfra"}
    | {b"iprp", b"ipco", b"jumb", b"sinf", b"schi", b"ilst", b"meco", b"stsd", b"meta"}
)
_INDEX = frozenset({b"moov", b"moof", b"meta", b"sidx", b"mfra"})
_PICTURE_TABLES = frozenset({b"stts", b"ctts", b"stsc", b"stsz", b"stco", b"co64", b"stss"})
_C2PA_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")  # C2PA 2.2, A.5: the box that holds a manifest store
_UUID_HEADER = 16 + 4 + 9 + 8  # uuid, version and flags, "manifest\0", offset


def prescan(path: Path, limits: Limits | None = None) -> None:
    """Read the headers of a file; TooHostile when they ask for more than `limits`, CannotRead when there is no file."""
    refuse_unreadable(path)
    with path.open("rb") as stream:
        start = stream.read(32)
        size = path.stat().st_size
        if start[4:8] in _ISO_FIRST:
            _IsoScan(path, stream, limits or Limits()).run(size)
        elif start[:4] == matroska.FIRST:
            matroska.scan(path, stream, size, limits or Limits())
        else:
            pictures.scan(path, stream, limits or Limits())


@dataclass
class _IsoScan:
    """The boxes of an ISO base media file (ISO/IEC 14496-12, 4.2)."""

    path: Path
    stream: BinaryIO
    limits: Limits
    boxes: int = 0
    handler: bytes = b""
    samples: int = 0

    def run(self, size: int) -> None:
        self._walk(0, size, depth=0)

    def _walk(self, start: int, end: int, depth: int, parent: bytes = b"") -> None:
        if depth > self.limits.depth:
            raise self._too(f"its boxes are nested more than {self.limits.depth} deep")
        here, count = start, 0
        while here + 8 <= end:
            self.stream.seek(here)
            header = self.stream.read(36)
            if len(header) < 8:
                return
            length, kind = struct.unpack(">I4s", header[:8])
            skip = 8
            if length == 1 and len(header) >= 16:
                length, skip = struct.unpack(">Q", header[8:16])[0], 16
            elif length == 0:
                length = end - here
            if length < skip:
                return  # damaged: the parser will say so
            count += 1
            self._count(count, depth)
            self._inside(kind, header, here + skip, here + length, end, depth, parent)
            here += length

    def _count(self, siblings: int, depth: int) -> None:
        self.boxes += 1
        if depth == 0 and siblings > self.limits.top_level_boxes:
            raise self._too(f"it has more than {self.limits.top_level_boxes} boxes at its top")
        if self.boxes > self.limits.boxes:
            raise self._too(f"it has more than {self.limits.boxes} boxes")

    def _inside(
        self, kind: bytes, header: bytes, start: int, end: int, outer_end: int, depth: int, parent: bytes
    ) -> None:
        size = end - start
        if kind in _INDEX and size > self.limits.index_bytes:
            raise self._too(f"its {kind.decode()} box declares {size >> 20} MiB")
        if kind in (b"stsd", b"meta"):
            start += 8 if kind == b"stsd" else self._full_box(header)
        end = min(end, outer_end)
        if kind == b"uuid" and header[8:24] == _C2PA_UUID:
            if size > self.limits.manifest_bytes:
                raise self._too(f"its C2PA box declares {size >> 20} MiB")
            self._walk(start + _UUID_HEADER, end, depth + 1)
        elif kind == b"trak":
            self.handler, self.samples = b"", 0
            self._walk(start, end, depth + 1, kind)
            self._refuse_frames()
        elif kind in _CONTAINERS:
            self._walk(start, end, depth + 1, kind)
        elif kind == b"hdlr":
            self.handler = header[16:20]
        elif kind == b"tkhd":
            self._track_size(start, end)
        elif kind == b"ispe":
            self._picture_size(start)
        elif kind in _PICTURE_TABLES:
            self._table_size(kind, start, size)
        elif parent == b"stsd" and size >= 78:
            self._entry_size(start)

    def _full_box(self, header: bytes) -> int:
        """`meta` is a full box in ISO files and a plain one in QuickTime's: its first child tells."""
        return 0 if header[12:16] == b"hdlr" else 4

    def _track_size(self, start: int, end: int) -> None:
        self.stream.seek(max(start, end - 8))
        data = self.stream.read(8)
        if len(data) == 8:
            width, height = (value >> 16 for value in struct.unpack(">II", data))  # 16.16 fixed point, 8.3.2
            refuse_size(self.path, (width, height), self.limits)

    def _picture_size(self, start: int) -> None:
        self.stream.seek(start + 4)  # 23008-12, 6.5.3: a full box with width and height
        data = self.stream.read(8)
        if len(data) == 8:
            refuse_size(self.path, struct.unpack(">II", data), self.limits)

    def _refuse_frames(self) -> None:
        """Players make an entry for every sample that is declared, whether it is there or not."""
        if self.handler == b"vide" and self.samples > self.limits.frames:
            raise self._too(f"it declares {self.samples} frames")

    def _entry_size(self, start: int) -> None:
        self.stream.seek(start + 24)  # 8 bytes of a sample entry, 16 reserved ones, then width and height: 12.1.3
        data = self.stream.read(4)
        if len(data) == 4:
            refuse_size(self.path, struct.unpack(">HH", data), self.limits)

    def _table_size(self, kind: bytes, start: int, size: int) -> None:
        """A table may not declare more entries than its box can hold: parsers allocate what it declares."""
        self.stream.seek(start + 4)
        data = self.stream.read(8)
        if len(data) < 8:
            return
        fixed, later = struct.unpack(">II", data)
        entries = later if kind == b"stsz" else fixed
        if kind == b"stsz":
            self.samples = max(self.samples, later)
        if kind == b"stsz" and fixed:
            return  # all samples have one size: there is no table
        if entries > max(0, size - 8):
            raise self._too(f"its {kind.decode()} table declares {entries} entries in {size} bytes")

    def _too(self, reason: str) -> TooHostile:
        return hostile(self.path, reason)


__all__ = ["prescan"]
