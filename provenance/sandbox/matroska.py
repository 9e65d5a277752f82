"""The headers of a Matroska file (RFC 9559): what its tracks declare, and what their compressed packets unpack to."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from provenance.sandbox.limits import Limits
from provenance.sandbox.refusals import hostile, refuse_size

FIRST = b"\x1a\x45\xdf\xa3"
_SEGMENT = 0x18538067
_TRACKS = 0x1654AE6B
_TRACK, _VIDEO = 0xAE, 0xE0
_ENCODINGS, _ENCODING, _COMPRESSION = 0x6D80, 0x6240, 0x5034
_NUMBER, _WIDTH, _HEIGHT, _ALGORITHM, _SETTINGS = 0xD7, 0xB0, 0xBA, 0x4254, 0x4255
_CLUSTER, _GROUP, _BLOCK, _SIMPLE_BLOCK = 0x1F43B675, 0xA0, 0xA1, 0xA3
_ZLIB, _PREFIX = 0, 3
_PARENTS = frozenset({_VIDEO, _ENCODINGS, _ENCODING, _COMPRESSION})
_INDEX = {
    0x114D9B74: "SeekHead",
    0x1549A966: "Info",
    _TRACKS: "Tracks",
    0x1C53BB6B: "Cues",
    0x1043A770: "Chapters",
    0x1254C367: "Tags",
    0x1941A469: "Attachments",
}
_HEADER_BYTES = 12
_LACED = 0x06  # RFC 9559, 10.2: several packets in one block
_ORDINARY_RATIO = 64
_LARGEST_RATIO = 1032  # of DEFLATE (zlib.net, technical details)


def scan(path: Path, stream: BinaryIO, size: int, limits: Limits) -> None:
    """Raise TooHostile where the headers ask for more than `limits`."""
    _Scan(path, stream, limits).run(size)


@dataclass
class _Scan:
    path: Path
    stream: BinaryIO
    limits: Limits
    elements: int = 0
    number: int = 0
    algorithm: int | None = None
    packed_tracks: dict[int, int] = field(default_factory=dict)
    packed_bytes: int = 0
    unpacked_bytes: int = 0

    def run(self, size: int) -> None:
        for number, (kind, start, end) in enumerate(self._children(0, size)):
            if number == self.limits.top_level_boxes:
                return
            if kind == _SEGMENT:
                self._segment(start, min(end, size))

    def _segment(self, start: int, end: int) -> None:
        for number, (kind, begin, finish) in enumerate(self._children(start, end)):
            if kind == _CLUSTER and self.packed_tracks:
                self._packets(begin, end)  # and those of all that follow
                return
            if number == self.limits.top_level_boxes:
                return  # clusters of a long film: what matters stands before them
            if kind in _INDEX and finish - begin > self.limits.index_bytes:
                raise hostile(self.path, f"its {_INDEX[kind]} element declares {(finish - begin) >> 20} MiB")
            if kind == _TRACKS:
                self._walk(begin, min(finish, end), depth=1)

    def _walk(self, start: int, end: int, depth: int) -> None:
        if depth > self.limits.depth:
            raise hostile(self.path, f"its elements are nested more than {self.limits.depth} deep")
        sides = {}
        for kind, begin, finish in self._children(start, end):
            self.elements += 1
            if self.elements > self.limits.boxes:
                raise hostile(self.path, f"its tracks have more than {self.limits.boxes} elements")
            if kind == _TRACK:
                self._track(begin, min(finish, end), depth + 1)
            elif kind in _PARENTS:
                if kind == _ENCODING:
                    self.algorithm = _ZLIB  # unless it says otherwise: 5.1.4.1.31.6
                self._walk(begin, min(finish, end), depth + 1)
            elif kind == _NUMBER:
                self.number = self._value(begin, finish)
            elif kind in (_WIDTH, _HEIGHT):
                sides[kind] = self._value(begin, finish)
            elif kind == _ALGORITHM:
                self.algorithm = self._value(begin, finish)
            elif kind == _SETTINGS and finish - begin > self.limits.prefix_bytes:
                raise hostile(self.path, f"it puts {finish - begin} bytes before every packet of a track")
        refuse_size(self.path, (sides.get(_WIDTH, 0), sides.get(_HEIGHT, 0)), self.limits)

    def _track(self, start: int, end: int, depth: int) -> None:
        self.number, self.algorithm = 0, None
        self._walk(start, end, depth)
        if self.algorithm is not None and self.algorithm != _PREFIX:
            self.packed_tracks[self.number] = self.algorithm

    def _value(self, begin: int, finish: int) -> int:
        self.stream.seek(begin)
        return int.from_bytes(self.stream.read(min(8, finish - begin)))

    def _packets(self, start: int, end: int) -> None:
        """Unpack the packets of compressed tracks: in ordinary films they are a few times what they are packed."""
        for kind, begin, finish in self._children(start, end, inside=frozenset({_CLUSTER, _GROUP})):
            if kind not in (_BLOCK, _SIMPLE_BLOCK):
                continue
            self.stream.seek(begin)
            head = self.stream.read(_HEADER_BYTES)
            width = _width(head, 0)
            track = int.from_bytes(head[:width]) & ((1 << 7 * width) - 1)
            if len(head) > width + 3 and track in self.packed_tracks:
                is_plain = self.packed_tracks[track] == _ZLIB and not head[width + 2] & _LACED
                self._unpack(begin + width + 3, finish, is_plain)

    def _unpack(self, begin: int, finish: int, is_plain: bool) -> None:
        """Count a packet; of one that is not plain zlib the worst is assumed."""
        self.packed_bytes += finish - begin
        most = max(self.limits.unpacked_bytes, _ORDINARY_RATIO * self.packed_bytes)
        if is_plain:
            self.stream.seek(begin)
            unpacker = zlib.decompressobj()
            with contextlib.suppress(zlib.error):
                data = self.stream.read(min(finish - begin, most))
                self.unpacked_bytes += len(unpacker.decompress(data, most - self.unpacked_bytes + 1))
        else:
            self.unpacked_bytes += _LARGEST_RATIO * (finish - begin)
        if self.unpacked_bytes > most:
            raise hostile(
                self.path, f"its tracks unpack to more than {most >> 20} MiB from {max(1, self.packed_bytes >> 10)} KiB"
            )

    def _children(self, start: int, end: int, inside: frozenset[int] = frozenset()) -> Iterator[tuple[int, int, int]]:
        """Yield identifier, begin and end of each element's data, of those in the elements `inside` as well.

        It stops at damage, which is left to the parser.
        """
        while start < end:
            self.stream.seek(start)
            header = self.stream.read(_HEADER_BYTES)
            width = _width(header, 0)
            length = _width(header, width)
            if not 1 <= width <= 4 or not 1 <= length <= 8 or len(header) < width + length:
                return
            kind = int.from_bytes(header[:width])
            value = int.from_bytes(header[width : width + length]) & ((1 << 7 * length) - 1)
            begin = start + width + length
            is_unknown = value == (1 << 7 * length) - 1  # RFC 8794, 6.2: it ends where its parent does
            finish = end if is_unknown else begin + value
            yield kind, begin, finish
            start = begin if kind in inside else finish


def _width(data: bytes, place: int) -> int:
    """How many bytes a variable-size integer takes (RFC 8794, 4); 9 for none."""
    return 9 - data[place].bit_length() if place < len(data) else 9


__all__ = ["FIRST", "scan"]
