"""Where something was filmed, as tags of containers and Exif blocks of pictures say it, and leaving that out."""

from __future__ import annotations

import struct

from PIL import Image

_GPS_DIRECTORY = 0x8825  # Exif 2.32, 4.6.3: the tag that points to the GPS tags
_EXIF, _XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
_MORE_XMP = b"http://ns.adobe.com/xmp/extension/\0"
_APP1, _START_OF_SCAN = 0xE1, 0xDA
_LONGEST_SEGMENT = 0xFFFF
_WORDS = ("location", "gps", "xyz", "latitude", "longitude")


_UNREADABLE = (
    SyntaxError,
    ValueError,
    LookupError,
    OSError,
    struct.error,
    TypeError,
    AttributeError,
    ArithmeticError,
)
"""What Pillow raises over an Exif block that is damaged or built to do harm."""


def names_a_place(tag: str) -> bool:
    """Whether a tag of a container says where something was filmed."""
    return any(word in tag.lower() for word in _WORDS)


def without_place(jpeg: bytes) -> bytes:
    """Return a JPEG picture whose Exif and XMP blocks no longer say where it was taken; all else stays as it is."""
    if jpeg[:2] != b"\xff\xd8":
        return jpeg
    kept, here = [jpeg[:2]], 2
    while here + 4 <= len(jpeg) and jpeg[here] == 0xFF and jpeg[here + 1] != _START_OF_SCAN:
        if jpeg[here + 1] == 0xFF:  # a fill byte (ITU-T T.81, B.1.1.2)
            kept.append(jpeg[here : here + 1])
            here += 1
            continue
        end = here + 2 + int.from_bytes(jpeg[here + 2 : here + 4], "big")
        segment = jpeg[here:end]
        kept.append(_segment_without_place(segment) if segment[1] == _APP1 else segment)
        here = end
    return b"".join([*kept, jpeg[here:]])


def _segment_without_place(segment: bytes) -> bytes:
    content = segment[4:]
    if content.startswith(_XMP):
        return b"" if b"GPS" in content else segment
    if content.startswith(_MORE_XMP):  # a part of a longer text, which may be cut within any word
        return b""
    if not content.startswith(_EXIF):
        return segment
    bare = without_place_in_exif(content)
    if bare == content:
        return segment
    if not bare or len(bare) + 2 > _LONGEST_SEGMENT:
        return b""
    return segment[:2] + (len(bare) + 2).to_bytes(2, "big") + bare


def without_place_in_exif(block: bytes) -> bytes:
    """Return an Exif block without its GPS tags; empty where it cannot be read, since it may say anything."""
    exif = Image.Exif()
    try:
        exif.load(block)
        if _GPS_DIRECTORY not in exif:
            return block
        del exif[_GPS_DIRECTORY]
        bare = exif.tobytes()
    except _UNREADABLE:
        return b""
    return bare if block.startswith(_EXIF) else bare.removeprefix(_EXIF)


__all__ = ["names_a_place", "without_place", "without_place_in_exif"]
