"""The headers of pictures, and of films that begin like them: the size that they declare, and what unpacks to much."""

from __future__ import annotations

import contextlib
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from provenance.sandbox.limits import Limits
from provenance.sandbox.refusals import hostile, refuse_size

_PNG = b"\x89PNG\r\n\x1a\n"
_PACKED_CHUNKS = frozenset({b"zTXt", b"iTXt", b"iCCP"})  # PNG, third edition, 11.3
_PICTURE_CHUNKS = frozenset({b"IDAT", b"fdAT", b"fcTL"})
_BLOCK_BYTES = 1 << 16
_HEAD_BYTES = 64


def scan(path: Path, stream: BinaryIO, limits: Limits) -> None:
    """Raise TooHostile where the headers ask for more than `limits`."""
    stream.seek(0)
    start = stream.read(_HEAD_BYTES)
    if start[:4] == b"RIFF":
        refuse_size(path, _largest_of(_RiffScan(path, stream, limits).sizes()), limits)
        return
    if start[:4] in (b"II*\0", b"MM\0*"):
        refuse_size(path, _largest_of(_tiff_sizes(path, stream, limits)), limits)
        return
    refuse_size(path, _declared_size(start, stream), limits)
    if start[:8] == _PNG:
        _refuse_unpacking(path, stream, limits)


def _declared_size(start: bytes, stream: BinaryIO) -> tuple[int, int]:
    """Return the width and height that a header declares; (0, 0) for what is no picture."""
    with contextlib.suppress(struct.error):
        if start[:8] == _PNG and start[12:16] == b"IHDR":
            return struct.unpack(">II", start[16:24])
        if start[:6] in (b"GIF87a", b"GIF89a"):
            return struct.unpack("<HH", start[6:10])
        if start[:2] == b"BM":
            if start[14:18] == b"\x0c\0\0\0":  # OS/2's first header counts in 16 bits
                return struct.unpack("<HH", start[18:22])
            width, height = struct.unpack("<ii", start[18:26])
            return abs(width), abs(height)
        if start[:3] == b"\xff\xd8\xff":
            return _jpeg_size(stream)
        if start[:4] == b"\xff\x4f\xff\x51":  # ITU-T T.800, A.5.1
            return struct.unpack(">II", start[8:16])
        if start[:4] == b"DKIF":
            return struct.unpack("<HH", start[12:16])
        if start[:10] == b"YUV4MPEG2 ":
            return _y4m_size(start)
    return 0, 0


def _jpeg_size(stream: BinaryIO) -> tuple[int, int]:
    """Walk the segments of a JPEG file (ITU-T T.81, B.1) up to its frame header; at most 4096 of them."""
    here = 2
    for _ in range(4096):
        stream.seek(here)
        header = stream.read(9)
        if len(header) < 9 or header[0] != 0xFF:
            return 0, 0
        marker, length = header[1], struct.unpack(">H", header[2:4])[0]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", header[5:9])
            return width, height
        here += 2 + length
    return 0, 0


def _y4m_size(start: bytes) -> tuple[int, int]:
    sides = {word[:1]: word[1:] for word in start.split(b"\n")[0].split(b" ")[1:] if word[1:].isdigit()}
    return int(sides.get(b"W", 0)), int(sides.get(b"H", 0))


@dataclass
class _RiffScan:
    """The chunks of a RIFF file: WebP (RFC 9649) or AVI."""

    path: Path
    stream: BinaryIO
    limits: Limits
    chunks: int = 0

    def sizes(self) -> Iterator[tuple[int, int]]:
        """Yield the size that each chunk declares which declares one."""
        for kind, start in self._walk(12, self.stream.seek(0, os.SEEK_END), depth=1):
            self.stream.seek(start)
            head = self.stream.read(16)
            with contextlib.suppress(struct.error):
                yield _riff_size(kind, head)

    def _walk(self, start: int, end: int, depth: int) -> Iterator[tuple[bytes, int]]:
        """Yield kind and place of each chunk, those in lists as well, the pictures of a film apart."""
        if depth > self.limits.depth:
            raise hostile(self.path, f"its lists are nested more than {self.limits.depth} deep")
        while start + 8 <= end:
            self.chunks += 1
            if self.chunks > self.limits.boxes:
                return  # the pictures of a long animation: what declares its size stands before them
            self.stream.seek(start)
            header = self.stream.read(12)
            kind, size = header[:4], struct.unpack("<I", header[4:8])[0]
            after = start + 8 + size + size % 2
            if kind == b"LIST" and header[8:12] != b"movi":
                yield from self._walk(start + 12, min(after, end), depth + 1)
            else:
                yield kind, start + 8
            start = after


def _riff_size(kind: bytes, head: bytes) -> tuple[int, int]:
    if kind == b"VP8X":
        return 1 + int.from_bytes(head[4:7], "little"), 1 + int.from_bytes(head[7:10], "little")
    if kind == b"VP8L" and head[:1] == b"\x2f":
        bits = struct.unpack("<I", head[1:5])[0]
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", head[6:10])
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"strf":
        size, width, height = struct.unpack("<Iii", head[:12])
        return (abs(width), abs(height)) if 40 <= size < 1 << 16 else (0, 0)  # else a format of sound
    return 0, 0


def _tiff_sizes(path: Path, stream: BinaryIO, limits: Limits) -> Iterator[tuple[int, int]]:
    """The sizes in the chain of directories (TIFF 6.0, section 2)."""
    stream.seek(0)
    order = "<" if stream.read(4)[:2] == b"II" else ">"
    seen: set[int] = set()
    left = limits.boxes
    with contextlib.suppress(struct.error):
        (place,) = struct.unpack(order + "I", stream.read(4))
        while place:
            if place in seen or len(seen) == limits.top_level_boxes:
                raise hostile(path, "its chain of directories has no end")
            seen.add(place)
            stream.seek(place)
            (count,) = struct.unpack(order + "H", stream.read(2))
            left -= count
            if left < 0:
                raise hostile(path, f"its directories have more than {limits.boxes} entries")
            entries = stream.read(12 * count)
            yield _tiff_side(entries, order, 256), _tiff_side(entries, order, 257)
            (place,) = struct.unpack(order + "I", stream.read(4))


def _tiff_side(entries: bytes, order: str, wanted: int) -> int:
    for tag, kind, _, data in struct.iter_unpack(order + "HHI4s", entries[: len(entries) // 12 * 12]):
        if tag == wanted:
            return int(struct.unpack(order + "H", data[:2])[0] if kind == 3 else struct.unpack(order + "I", data)[0])
    return 0


def _refuse_unpacking(path: Path, stream: BinaryIO, limits: Limits) -> None:
    """Raise TooHostile where the compressed texts and colour profiles of a PNG file unpack to more than is sensible."""
    here, left, others = len(_PNG), limits.unpacked_bytes, 0
    while others <= limits.boxes:
        stream.seek(here)
        header = stream.read(8)
        if len(header) < 8:
            return
        size, kind = struct.unpack(">I4s", header)
        others += kind not in _PICTURE_CHUNKS
        if size > limits.index_bytes:
            raise hostile(path, f"its {kind.decode('ascii', 'replace')} chunk declares {size >> 20} MiB")
        if kind in _PACKED_CHUNKS:
            left -= _unpacked_bytes(stream, kind, size, left)
        if left <= 0:
            raise hostile(path, f"its texts unpack to more than {limits.unpacked_bytes >> 20} MiB")
        if kind == b"IEND":
            return  # what lies behind, as in cropped screenshots, is no chunk
        here += 12 + size
    raise hostile(path, f"it has more than {limits.boxes} chunks")


def _unpacked_bytes(stream: BinaryIO, kind: bytes, size: int, most: int) -> int:
    """Unpack the text of a chunk, a block at a time and no further than `most`; 0 for what is damaged."""
    block = stream.read(min(size, _BLOCK_BYTES))
    unpacker, read, got = zlib.decompressobj(), len(block), 0
    block = _after_keyword(kind, block)
    with contextlib.suppress(zlib.error):
        while block and got < most:
            got += len(unpacker.decompress(block, _BLOCK_BYTES))
            block = unpacker.unconsumed_tail
            if not block and read < size:
                block = stream.read(min(size - read, _BLOCK_BYTES))
                read += len(block)
    return got


def _after_keyword(kind: bytes, data: bytes) -> bytes:
    """What is packed in a chunk: it stands after a keyword and the method, in iTXt after language and translation."""
    rest = data.partition(b"\0")[2]
    if kind != b"iTXt":
        return rest[1:]
    is_packed = rest[:1] == b"\1"
    return rest[2:].partition(b"\0")[2].partition(b"\0")[2] if is_packed else b""


def _largest_of(sizes: Iterator[tuple[int, int]]) -> tuple[int, int]:
    return max(sizes, key=lambda size: size[0] * size[1], default=(0, 0))


__all__ = ["scan"]
