"""Steps of Python that finish an odd video: bytes of its container changed where FFmpeg's command line cannot be told.

MP4 and MOV files are taken apart into boxes (ISO/IEC 14496-12, 4.2) and put together again; the index stands last in
what FFmpeg writes, so that it may grow without moving the pictures.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path

Finish = Callable[[Path, Path], None]
"""(what FFmpeg wrote, where the finished file goes)"""
Edit = tuple[float | None, float]
"""Where an edit begins in the media, in seconds, None for one that shows nothing; and how long it is."""

_HOLDERS = frozenset({b"moov", b"trak", b"edts", b"mdia", b"minf", b"stbl"})
_DURATION_AT = {b"mvhd": 16, b"tkhd": 20, b"mdhd": 16}
"""Where the headers of a film, a track and its media state a duration, in version 0 (8.2.2, 8.3.2, 8.4.2)."""
_SPHERICAL = bytes.fromhex("ffcc8263f8554a938814587a02521fdd")  # Spherical Video V1 RFC, "uuid"
_SPHERE = b"""<?xml version="1.0"?><rdf:SphericalVideo xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
xmlns:GSpherical="http://ns.google.com/videos/1.0/spherical/"><GSpherical:Spherical>true</GSpherical:Spherical>
<GSpherical:Stitched>true</GSpherical:Stitched><GSpherical:ProjectionType>equirectangular</GSpherical:ProjectionType>
<GSpherical:StitchingSoftware>none</GSpherical:StitchingSoftware></rdf:SphericalVideo>"""


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield type and content of each box."""
    here = 0
    while here + 8 <= len(data):
        size, header = int.from_bytes(data[here : here + 4], "big"), 8
        if size == 1:
            size, header = int.from_bytes(data[here + 8 : here + 16], "big"), 16
        yield data[here + 4 : here + 8], data[here + header : here + (size or len(data) - here)]
        here += size or len(data) - here


def box(kind: bytes, content: bytes) -> bytes:
    """A box of this type."""
    return struct.pack(">I4s", len(content) + 8, kind) + content


def changed(data: bytes, change: Callable[[bytes, bytes], bytes]) -> bytes:
    """Put boxes together again, each with the content that `change` makes of its type and content."""
    parts = []
    for kind, content in boxes(data):
        inner = change(kind, content)
        parts.append(box(kind, changed(inner, change) if kind in _HOLDERS else inner))
    return b"".join(parts)


def edited(*edits: Edit, sound: bool = True) -> Finish:
    """State an edit list (8.6.6): of the pictures, and of sound as well, or only of the pictures."""

    def of_track(kind: bytes, content: bytes) -> bytes:
        if kind != b"trak" or not (sound or b"vide" in content):
            return content
        header = content[content.index(b"mdhd") :]
        scale = int.from_bytes(header[16:20], "big")
        old = content.find(b"elst")
        origin = int.from_bytes(content[old + 16 : old + 20], "big") if old >= 0 else 0
        entries = [
            struct.pack(">IiI", round(1000 * length), -1 if start is None else origin + round(start * scale), 1 << 16)
            for start, length in edits
        ]
        listed = box(b"edts", box(b"elst", struct.pack(">II", 0, len(edits)) + b"".join(entries)))
        others = [box(name, inner) for name, inner in boxes(content) if name != b"edts"]
        return b"".join([others[0], listed, *others[1:]])

    return _rewritten(lambda data: changed(data, of_track))


def lasting(factor: int) -> Finish:
    """State durations that are wrong by a factor: 0 leaves them out."""

    def of_header(kind: bytes, content: bytes) -> bytes:
        place = _DURATION_AT.get(kind)
        if place is None:
            return content
        duration = int.from_bytes(content[place : place + 4], "big") * factor
        return content[:place] + struct.pack(">I", duration) + content[place + 4 :]

    return _rewritten(lambda data: changed(data, of_header))


def shown_by(matrix: tuple[int, int, int, int]) -> Finish:
    """State a display matrix in the header of each track that has pictures: a, b, c, d of 8.3.2."""
    a, b, c, d = (value << 16 for value in matrix)

    def of_track(kind: bytes, content: bytes) -> bytes:
        if kind != b"tkhd" or content[76:80] == bytes(4):  # no width: a track of sound
            return content
        return content[:40] + struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30) + content[76:]

    return _rewritten(lambda data: changed(data, of_track))


def _in_two(data: bytes) -> bytes:
    """Split the box of media data at the chunk in its middle (8.1.1, 8.7.5)."""
    kinds = [kind for kind, _ in boxes(data)]
    begin = sum(len(content) + 8 for _, content in list(boxes(data))[: kinds.index(b"mdat")]) + 8
    offsets: list[int] = []

    def collected(kind: bytes, content: bytes) -> bytes:
        if kind == b"stco":
            offsets.extend(struct.unpack(f">{len(content) // 4 - 2}I", content[8:]))
        return content

    changed(data, collected)
    middle = sorted(offsets)[len(offsets) // 2]

    def moved(kind: bytes, content: bytes) -> bytes:
        if kind != b"stco":
            return content
        values = struct.unpack(f">{len(content) // 4 - 2}I", content[8:])
        return content[:8] + struct.pack(f">{len(values)}I", *(at + 8 * (at >= middle) for at in values))

    parts = []
    for kind, content in boxes(changed(data, moved)):
        if kind == b"mdat":
            parts += [box(kind, content[: middle - begin]), box(kind, content[middle - begin :])]
        else:
            parts.append(box(kind, content))
    return b"".join(parts)


def _spherical(data: bytes) -> bytes:
    def of_track(kind: bytes, content: bytes) -> bytes:
        return content + box(b"uuid", _SPHERICAL + _SPHERE) if kind == b"trak" and b"vide" in content else content

    return changed(data, of_track)


def _rewritten(change: Callable[[bytes], bytes]) -> Finish:
    def finish(raw: Path, path: Path) -> None:
        path.write_bytes(change(raw.read_bytes()))

    return finish


in_two: Finish = _rewritten(_in_two)
"""Media data in two boxes."""
spherical: Finish = _rewritten(_spherical)
"""Pictures that are to be seen from inside a sphere."""


def pulled_down(stream: bytes) -> bytes:
    """Pictures of an MPEG-2 stream in the pattern of film on 30 frames a second: three fields, two, three, two.

    ISO/IEC 13818-2, 6.2.2.3 and 6.2.3.1: no progressive sequence, and of every second picture a field is repeated.
    """
    data, number, here = bytearray(stream), 0, stream.find(b"\0\0\1\xb5")
    while here >= 0:
        extension = data[here + 4] >> 4
        if extension == 1:
            data[here + 5] &= ~0x08
        elif extension == 8:
            first, repeated = ((1, 1), (0, 0), (0, 1), (1, 0))[number % 4]
            data[here + 7] = data[here + 7] & ~0x83 | first << 7 | repeated << 1 | 1
            data[here + 8] |= 0x80
            number += 1
        here = stream.find(b"\0\0\1\xb5", here + 4)
    return bytes(data)


def picture_subtitle(begin: float, end: float, width: int, height: int) -> bytes:
    """One subtitle of the picture kind that Blu-ray discs have: a light bar, from `begin` to `end` in seconds."""
    wide, high = 160, 24

    def composition(number: int, objects: bytes) -> bytes:
        count = len(objects) // 8
        return struct.pack(">HHBHBBBB", width, height, 0x10, number, 0x80 if count else 0, 0, 0, count) + objects

    line = bytes([0, 0x80 | wide >> 8 | 0x40, wide & 0xFF, 1, 0, 0])
    picture = line * high
    window = struct.pack(">BBHHHH", 1, 0, 100, height - 60, wide, high)
    first = (
        (0x16, composition(0, struct.pack(">HBBHH", 0, 0, 0, 100, height - 60))),
        (0x17, window),
        (0x14, bytes([0, 0, 1, 235, 128, 128, 255])),
        (
            0x15,
            struct.pack(">HBB", 0, 0, 0xC0)
            + (len(picture) + 4).to_bytes(3, "big")
            + struct.pack(">HH", wide, high)
            + picture,
        ),
        (0x80, b""),
    )
    last = ((0x16, composition(1, b"")), (0x17, window), (0x80, b""))
    return b"".join(
        struct.pack(">2sIIBH", b"PG", round(90_000 * seconds), 0, kind, len(content)) + content
        for seconds, segments in ((begin, first), (end, last))
        for kind, content in segments
    )
