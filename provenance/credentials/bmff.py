"""The boxes at the top level of an mp4 or mov file (ISO/IEC 14496-12, 4.2), walked without reading what is in them."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

BOX_LIMIT = 4096


@dataclass(frozen=True)
class Region:
    """The content of one box: its four-character kind, and where it lies in the file, in bytes."""

    kind: str
    start: int
    end: int


def top_level_boxes(stream: BinaryIO) -> Iterator[Region]:
    """The content of each box at the top level, at most `BOX_LIMIT`; ends at the first that makes no sense."""
    end = stream.seek(0, io.SEEK_END)
    offset = 0
    for _ in range(BOX_LIMIT):
        stream.seek(offset)
        header = stream.read(16)
        if len(header) < 8:
            return
        length, kind = struct.unpack_from(">I4s", header)
        start = 8
        if length == 1 and len(header) == 16:
            (length,) = struct.unpack_from(">Q", header, 8)
            start = 16
        length = end - offset if length == 0 else length
        if length < start:
            return
        yield Region(kind.decode("latin-1"), offset + start, min(offset + length, end))
        offset += length
