"""Still pictures: the luma changes, and what the format carries beside its samples stays.

JPEG keeps its quantisation tables, its chroma sampling and every segment; PNG its bit depth and every chunk; WebP, AVIF
and TIFF their Exif, XMP and colour profile. Transparency stays in all that have it.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageFile, JpegImagePlugin, TiffImagePlugin

from provenance.errors import CannotRead, CannotWrite, TooHostile
from provenance.video.clip import luma_of
from provenance.video.container import MAX_PIXELS, VideoInfo
from provenance.video.orientation import AS_CODED
from provenance.video.places import names_a_place, without_place, without_place_in_exif

LumaOfPicture = Callable[[np.ndarray], np.ndarray]
"""Upright luma of the one frame, uint8 (height, width), full range -> changed luma of the same shape."""

FORMATS = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".avif": "AVIF",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
"""Suffix -> format, as Pillow names it."""
_QUALITY = {"JPEG": 95, "WEBP": 92, "AVIF": 85}
"""Of pictures whose own quality cannot be known, on each format's scale to 100."""
_WITHOUT_ALPHA = frozenset({"JPEG"})
_DIRECTORIES = frozenset({0x8769, 0x8825, 0xA005})
"""Pointers to the directories of Exif, GPS and interoperability (Exif 2.32, 4.6.3)."""
_KEPT_TIFF = frozenset({270, 271, 272, 282, 283, 285, 296, 305, 306, 315, 316, 700, 33432, 33723, 34377})
"""Tags of TIFF 6.0 and its supplements that describe and do not structure, ImageDescription to Photoshop's block.

Orientation is none of them: Pillow turns the samples upright as it loads them."""
_XMP_TAG = 700
_BITS_PER_SAMPLE = 258
_TIFF_COMPRESSIONS = frozenset({"raw", "packbits", "tiff_lzw", "tiff_adobe_deflate", "zstd", "lzma"})
"""Those without loss that take samples of any kind."""
_KEEP_XMP = frozenset({"JPEG", "WEBP", "AVIF"})


@dataclass(frozen=True)
class Outlook:
    """What becomes of a picture that is written as another: see `foreseen`."""

    format: str
    pixel_format: str
    notes: tuple[str, ...]


def is_still_suffix(path: Path) -> bool:
    """Whether pictures of this suffix are written by this module."""
    return path.suffix.lower() in FORMATS


def is_of_format(path: Path, out: Path) -> bool:
    """Whether a picture is, by its content, of the format that the suffix of `out` names."""
    try:
        with Image.open(path) as picture:
            return _format_of(picture) == FORMATS.get(out.suffix.lower())
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return False


def foreseen(info: VideoInfo, out: Path, *, location: bool = True) -> Outlook:
    """Say what writing a picture as `out` will not keep, before it is written.

    location: whether the tags that say where it was taken are to be kept. Raises CannotRead, CannotWrite.
    """
    target = FORMATS[out.suffix.lower()]
    with _open(info.path) as picture:
        if picture.mode == "CMYK":
            raise CannotWrite(
                f"{info.path}: holds inks for print (CMYK) and not colours",
                hint="convert it to RGB first, with its profile",
            )
        if _format_of(picture) == "AVIF" and "icc_profile" not in picture.info and _has_wide_colours(info.path):
            raise CannotWrite(
                f"{info.path}: its colours are not those of sRGB, and what is written here cannot say so",
                hint="convert it to sRGB, or give it a colour profile",
            )
        if info.transparent and target in _WITHOUT_ALPHA:
            raise CannotWrite(
                f"{info.path}: something shines through it, and {target} cannot keep that",
                hint="write .png, .webp or .avif",
            )
        notes = [*_shape_notes(info, picture, target), *_tag_notes(info, picture, target)]
        if not location and _says_a_place(info, picture, target):
            notes.append("the tags that say where it was taken are left out; --keep-location keeps them")
    return Outlook(target, info.pixel_format, tuple(notes))


def _has_wide_colours(path: Path) -> bool:
    """Whether an AVIF states primaries or a transfer other than sRGB's or BT.709's (ISO/IEC 23091-2, 8.1 and 8.2)."""
    data = path.read_bytes()
    place = data.find(b"colrnclx")
    if place < 0:
        return False
    primaries, transfer = struct.unpack(">HH", data[place + 8 : place + 12].ljust(4, b"\0"))
    return primaries not in (1, 2) or transfer not in (1, 2, 6, 13)


def _shape_notes(info: VideoInfo, picture: Image.Image, target: str) -> Iterator[str]:
    source = _format_of(picture)
    if info.bit_depth > 8 and not source == target == "PNG":
        yield f"samples of {info.bit_depth} bits are converted to 8 bits"
    if picture.mode in ("P", "PA"):
        yield "pictures converted from a palette to single colours"
    if picture.mode in ("LA", "La"):
        yield "grey with transparency is converted to colours with transparency"
    bits = getattr(picture, "tag_v2", {}).get(_BITS_PER_SAMPLE, (8,))[0]
    if picture.mode == "L" and bits < 8:
        yield f"samples of {bits} bits are converted to 8 bits"
    if picture.mode == "1":
        yield "converted from black and white to grey"
    if source == "JPEG" and getattr(picture, "n_frames", 1) > 1:
        yield "only the first picture of the file is kept (no depth or brightness map, no further views)"
    elif source == "JPEG" and _after_end(info.path.read_bytes()).strip(b"\0\r\n"):
        yield "what follows the picture in the file is left out"
    if source == target == "JPEG" and _has_odd_sampling(picture):
        yield "chroma is sampled anew"
    if source != target:
        yield f"the picture is converted from {source} to {target}"


def _tag_notes(info: VideoInfo, picture: Image.Image, target: str) -> Iterator[str]:
    source, has_exif, has_xmp = _format_of(picture), bool(picture.info.get("exif")), bool(picture.info.get("xmp"))
    if source in ("PNG", "JPEG") and source != target:
        kept = {"TIFF": "the colour profile is", "PNG": "Exif and the colour profile are"}
        kept_here = kept.get(target, "Exif, XMP and the colour profile are")
        yield f"only {kept_here} kept of what the picture says about itself"
    if source in ("WEBP", "AVIF") and target == "PNG" and has_xmp:
        yield "XMP is not kept in PNG"
    if source != "TIFF" and target == "TIFF" and (has_exif or has_xmp):
        yield "Exif and XMP are not kept in TIFF"
    tags = set(getattr(picture, "tag_v2", ()))
    if source == "TIFF" and target != "TIFF" and tags & (_KEPT_TIFF | _DIRECTORIES):
        yield "the tags are left out, apart from the colour profile"
    if source == target == "TIFF" and tags & _DIRECTORIES:
        yield "the Exif directory is left out; the other tags are kept"
    if source == target == "PNG" and "icc_profile" in picture.info and _becomes_colour(info.path.read_bytes()):
        yield "the colour profile is left out: it is one for grey, and the picture becomes one of colours"


def _says_a_place(info: VideoInfo, picture: Image.Image, target: str) -> bool:
    """Whether something that would be kept of a picture says where it was taken."""
    source = _format_of(picture)
    if source == target == "PNG":
        original = info.path.read_bytes()
        return _kept_chunks(original, True) != _kept_chunks(original, False)
    if source == target == "JPEG":
        original = info.path.read_bytes()
        return without_place(original) != original
    return _described(picture, target, True) != _described(picture, target, False)


def rewrite_still(
    info: VideoInfo, out: Path, change: LumaOfPicture, *, metadata: bool = True, location: bool = True
) -> None:
    """Write a picture to `out` with its luma changed.

    metadata: whether tags and colour profile are kept; location: those, too, that say where it was taken.
    Raises CannotRead, CannotWrite.
    """
    target = FORMATS[out.suffix.lower()]
    with _open(info.path) as picture:
        source = _format_of(picture)
        if source == target == "PNG":
            data = _png(info, change, metadata, location)
        elif source == target == "JPEG":
            data = _jpeg(info, picture, change, metadata, location)
        else:
            data = _by_pillow(info, picture, target, change, metadata, location)
    try:
        out.write_bytes(data)
    except OSError as error:
        raise CannotWrite(f"{out}: cannot be written ({error.strerror})", hint="is the disk full?") from error


@contextmanager
def _open(path: Path) -> Iterator[Image.Image]:
    """Open a picture; whatever Pillow says against it becomes one clear line."""
    try:
        with Image.open(path) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise TooHostile(
                    f"{path}: refused, it declares {picture.width}x{picture.height} pixels", hint="scale it down"
                )
            if getattr(picture, "is_animated", False) and picture.format == "TIFF":
                raise CannotRead(f"{path}: has several pages", hint="save each page as a picture of its own")
            if getattr(picture, "is_animated", False) and _format_of(picture) != "JPEG":
                raise CannotRead(f"{path}: is an animation in a format for pictures", hint="convert it to GIF or MP4")
            yield picture
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise CannotRead(f"{path}: cannot be read as a picture ({error})", hint="does it open in a viewer?") from error


def _format_of(picture: Image.Image) -> str:
    return "JPEG" if picture.format == "MPO" else str(picture.format)


def _with_luma(samples: np.ndarray, info: VideoInfo, change: LumaOfPicture) -> np.ndarray:
    """Change the luma of grey (h, w) or RGB(A) (h, w, 3 or 4) samples: red, green and blue gain what luma gains."""
    peak = np.iinfo(samples.dtype).max
    unit = peak // 255
    colours = samples if samples.ndim == 2 else samples[..., :3]
    luma = (colours // unit).astype(np.uint8) if samples.ndim == 2 else luma_of((colours // unit).astype(np.uint8))
    gain = _gain(luma, info, change)
    gain = (gain if samples.ndim == 2 else gain[..., None]) * unit
    changed = np.clip(colours.astype(np.int32) + gain, 0, peak).astype(samples.dtype)
    return changed if samples.ndim == 2 or samples.shape[2] == 3 else np.dstack([changed, samples[..., 3]])


def _gain(luma: np.ndarray, info: VideoInfo, change: LumaOfPicture) -> np.ndarray:
    upright = np.ascontiguousarray(info.orientation.shown(luma))
    return info.orientation.coded(change(upright)).astype(np.int32) - luma


def _png(info: VideoInfo, change: LumaOfPicture, metadata: bool, location: bool) -> bytes:
    """OpenCV keeps 16 bits, and the chunks of the input take the place of its own."""
    original = info.path.read_bytes()
    samples = cv2.imdecode(np.frombuffer(original, np.uint8), cv2.IMREAD_UNCHANGED)
    if samples is None:
        raise CannotRead(f"{info.path}: cannot be read as a picture", hint="does it open in a viewer?")
    if samples.ndim == 2:
        samples = _with_clear_grey(samples, original)
    order = [2, 1, 0, 3][: samples.shape[2]] if samples.ndim == 3 else None
    changed = _with_luma(samples if order is None else samples[..., order], info, change)
    done, data = cv2.imencode(".png", changed if order is None else np.ascontiguousarray(changed[..., order]))
    assert done
    kept = _kept_chunks(original, location) if metadata else []
    if changed.ndim == 3 and _is_grey(original):
        kept = [chunk for chunk in kept if chunk[0] != b"iCCP"]  # a profile of grey fits no colours
    written = [chunk for chunk in _chunks(data.tobytes()) if chunk[0] in (b"IHDR", b"IDAT", b"IEND")]
    before = [chunk for chunk in kept if chunk[0] in _BEFORE_DATA]
    after = [chunk for chunk in kept if chunk[0] not in _BEFORE_DATA]
    ordered = [written[0], *before, *written[1:-1], *after, written[-1]]
    return _PNG_SIGNATURE + b"".join(_chunk(kind, content) for kind, content in ordered)


def _is_grey(png: bytes) -> bool:
    """Whether a PNG file is coded as grey, with or without transparency (colour types 0 and 4)."""
    header = next((content for kind, content in _chunks(png) if kind == b"IHDR"), b"")
    return header[9:10] in (b"\0", b"\4")


def _becomes_colour(png: bytes) -> bool:
    """Whether a PNG file is grey and something shines through it, which OpenCV writes in colours only."""
    chunks = dict(_chunks(png))
    return _is_grey(png) and (b"tRNS" in chunks or chunks[b"IHDR"][9] == 4)


def _with_clear_grey(samples: np.ndarray, png: bytes) -> np.ndarray:
    """Grey samples as colours with transparency where tRNS makes one grey clear, which OpenCV passes over."""
    chunks = dict(_chunks(png))
    if b"tRNS" not in chunks:
        return samples
    depth, peak = chunks[b"IHDR"][8], np.iinfo(samples.dtype).max
    clear = int.from_bytes(chunks[b"tRNS"][:2], "big") * (255 // (2**depth - 1) if depth < 8 else 1)
    opacity = np.where(samples == clear, 0, peak).astype(samples.dtype)
    return np.dstack([samples, samples, samples, opacity])


_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_BEFORE_DATA = frozenset({b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"cICP", b"mDCV", b"cLLI", b"pHYs", b"eXIf"})
_NOT_KEPT = frozenset(
    {
        b"IHDR",
        b"IDAT",
        b"IEND",
        b"PLTE",
        b"tRNS",
        b"hIST",
        b"sPLT",
        b"bKGD",
        b"sBIT",
        b"caBX",
        b"acTL",
        b"fcTL",
        b"fdAT",
    }
)
"""What belongs to the samples as they were coded, and credentials, which are written anew."""
_UNSAFE_BUT_KEPT = _BEFORE_DATA | {b"tIME"}
_UNPACKED_BYTES = 32 << 20
_PROFILES = frozenset({"raw profile type exif", "raw profile type app1", "raw profile type xmp"})
"""Keywords of texts in which ImageMagick and ExifTool keep blocks, in hexadecimal digits."""


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The chunks of a PNG file (third edition, 5.3) up to its end, as far as they are whole: kind and content."""
    here = len(_PNG_SIGNATURE)
    while here + 12 <= len(data):
        length, kind = struct.unpack(">I4s", data[here : here + 8])
        if here + 12 + length > len(data):
            return
        yield kind, data[here + 8 : here + 8 + length]
        if kind == b"IEND":
            return
        here += 12 + length


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _kept_chunks(original: bytes, location: bool) -> list[tuple[bytes, bytes]]:
    kept = []
    for kind, content in _chunks(original):
        if kind in _NOT_KEPT or not (_is_safe_to_copy(kind) or kind in _UNSAFE_BUT_KEPT):
            continue
        if not location and kind == b"eXIf":
            content = without_place_in_exif(content)
        if not location and kind in (b"tEXt", b"iTXt", b"zTXt") and _is_text_of_place(kind, content):
            continue
        if content or kind != b"eXIf":
            kept.append((kind, content))
    return kept


def _is_safe_to_copy(kind: bytes) -> bool:
    """Whether a chunk still holds where the samples have changed (PNG, third edition, 5.4)."""
    return bool(kind[3] & 0x20)


def _is_text_of_place(kind: bytes, content: bytes) -> bool:
    """Whether a text chunk says where a picture was taken, or may say it and cannot be read."""
    keyword = content.partition(b"\0")[0].decode("latin-1")
    if names_a_place(keyword) or keyword.lower() in _PROFILES or b"GPS" in content:
        return True
    packed = _packed_text(kind, content)
    if not packed:
        return False
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(packed, _UNPACKED_BYTES)
    except zlib.error:
        return True
    return b"GPS" in text or bool(unpacker.unconsumed_tail)


def _packed_text(kind: bytes, content: bytes) -> bytes:
    """The text of a chunk where it is compressed (PNG, third edition, 11.3.3), else nothing."""
    rest = content.partition(b"\0")[2]
    if kind == b"zTXt":
        return rest[1:]
    is_packed = kind == b"iTXt" and rest[:1] == b"\1"
    return rest[2:].partition(b"\0")[2].partition(b"\0")[2] if is_packed else b""


def _jpeg(info: VideoInfo, picture: Any, change: LumaOfPicture, metadata: bool, location: bool) -> bytes:
    """Luma is changed as it is coded, the tables are the input's, and so are all segments that describe."""
    progressive = bool(picture.info.get("progressive"))
    options = {"qtables": picture.quantization, "progressive": progressive, "optimize": progressive}
    if _is_coded_as_rgb(picture):
        changed, mode = _with_luma(np.array(picture), info, change), "RGB"
        options |= {"keep_rgb": True, "subsampling": 0}
    else:
        sampling = JpegImagePlugin.get_sampling(picture)
        options |= {"subsampling": sampling} if sampling >= 0 else {}
        options |= _resolution(picture) if metadata else {}
        changed, mode = _with_coded_luma(picture, info, change)
    written = _as_jpeg(Image.fromarray(changed, mode), options)
    if not metadata:
        return written
    original = info.path.read_bytes()
    return _with_segments(written, original if location else without_place(original))


def _with_coded_luma(picture: Any, info: VideoInfo, change: LumaOfPicture) -> tuple[np.ndarray, str]:
    """The samples of a JPEG picture as they are coded, with their luma changed, and Pillow's mode of them."""
    if picture.mode == "RGB":
        picture.draft("YCbCr", picture.size)
    samples = np.array(picture)
    luma = samples if samples.ndim == 2 else np.ascontiguousarray(samples[..., 0])
    changed = np.clip(luma + _gain(luma, info, change), 0, 255).astype(np.uint8)
    return (changed, "L") if samples.ndim == 2 else (np.dstack([changed, samples[..., 1:]]), picture.mode)


def _is_coded_as_rgb(picture: Any) -> bool:
    """Whether a JPEG picture holds red, green and blue, as libjpeg tells it: by Adobe's segment, else by the names of
    the components; JFIF's head always means luma and chroma."""
    if picture.mode != "RGB" or "jfif" in picture.info:
        return False
    if "adobe_transform" in picture.info:
        return bool(picture.info["adobe_transform"] == 0)
    return [part[0] for part in picture.layer] == [*b"RGB"]


def _has_odd_sampling(picture: Any) -> bool:
    """Whether chroma of a JPEG picture is sampled in a way that Pillow cannot write, as 4:4:0."""
    return picture.layers == 3 and JpegImagePlugin.get_sampling(picture) < 0


def _resolution(picture: Any) -> dict[str, Any]:
    """The resolution as Pillow writes it, into JFIF's head: never where red, green and blue are coded."""
    dpi = picture.info.get("dpi")
    return {"dpi": dpi} if dpi and all(1 <= value <= 0xFFFF for value in dpi) else {}


def _as_jpeg(picture: Image.Image, options: dict[str, Any]) -> bytes:
    """Pillow codes progressive pictures in one piece and takes too little room for noisy ones: more is lent."""
    written, usual = BytesIO(), ImageFile.MAXBLOCK
    if options["progressive"]:
        ImageFile.MAXBLOCK = max(usual, _JPEG_BYTES_PER_PIXEL * picture.width * picture.height)
    try:
        picture.save(written, "JPEG", **options)
    finally:
        ImageFile.MAXBLOCK = usual
    return written.getvalue()


_JPEG_BYTES_PER_PIXEL = 8
_MARKER = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")
"""Of JPEG, those apart that stand within a scan: stuffed bytes and restarts (ITU-T T.81, B.1.1)."""
_END_OF_IMAGE = 0xD9
_APP0, _APP2, _APP11, _APP14, _COMMENT = 0xE0, 0xE2, 0xEB, 0xEE, 0xFE


def _with_segments(written: bytes, original: bytes) -> bytes:
    """Put the describing segments of one JPEG picture (ITU-T T.81, B.2.4.6) into another."""
    kept = [segment for segment in _segments(original) if _describes(segment)]
    own = [segment for segment in _segments(written) if not _describes(segment)]
    head = sum(len(segment) for segment in _segments(written)) + 2
    first = [segment for segment in own if segment[1] in (_APP0, _APP14)]
    others = [segment for segment in own if segment[1] not in (_APP0, _APP14)]
    return b"".join([written[:2], *first, *kept, *others, written[head:]])


def _describes(segment: bytes) -> bool:
    """Whether a segment says something about the picture that still holds: not JFIF's head, lists of further pictures
    (their places have moved) and credentials."""
    marker = segment[1]
    if marker == _COMMENT:
        return True
    is_list = marker == _APP2 and segment[4:8] == b"MPF\0"
    return 0xE1 <= marker <= 0xEF and marker not in (_APP11, _APP14) and not is_list


def _segments(data: bytes) -> Iterator[bytes]:
    """The segments of a JPEG picture before its scan."""
    here = 2
    while here + 4 <= len(data) and data[here] == 0xFF and data[here + 1] != 0xDA:
        if data[here + 1] == 0xFF:  # a fill byte (ITU-T T.81, B.1.1.2)
            here += 1
            continue
        length = 2 + struct.unpack(">H", data[here + 2 : here + 4])[0]
        yield data[here : here + length]
        here += length


def _after_end(jpeg: bytes) -> bytes:
    """What stands behind the end of a JPEG picture: a film, further pictures."""
    here = 2
    while found := _MARKER.search(jpeg, here):
        if found[0][-1] == _END_OF_IMAGE:
            return jpeg[found.end() :]
        here = found.end() + max(2, int.from_bytes(jpeg[found.end() : found.end() + 2], "big"))
    return b""


def _by_pillow(
    info: VideoInfo, picture: Any, target: str, change: LumaOfPicture, metadata: bool, location: bool
) -> bytes:
    kept = _described(picture, target, location) if metadata else {}
    source, options = _format_of(picture), _coding(info, picture, target)
    if source == "TIFF":
        picture.load()
        info = replace(info, orientation=AS_CODED)
    transparent = info.transparent and picture.has_transparency_data  # FFmpeg misreads TIFFs of the other fill order
    samples = _with_luma(np.array(_of_plain_mode(picture, transparent)), info, change)
    if target == "TIFF":
        samples = np.ascontiguousarray(info.orientation.shown(samples))
    written = BytesIO()
    try:
        Image.fromarray(samples).save(written, target, **options, **kept)
    except (OSError, ValueError, RuntimeError) as error:
        raise CannotWrite(
            f"{info.path}: the {source} picture cannot be written as {target} ({error})", hint="write another suffix"
        ) from error
    return written.getvalue()


def _of_plain_mode(picture: Image.Image, transparent: bool) -> Image.Image:
    """A picture as grey, RGB or RGBA samples of 8 bits."""
    if picture.mode.startswith(("I", "F")):
        return _as_grey(picture)
    if "A" in picture.mode or transparent:
        return picture if picture.mode == "RGBA" else picture.convert("RGBA")
    if picture.mode in ("L", "RGB"):
        return picture
    return picture.convert("L" if picture.mode == "1" else "RGB")


def _as_grey(picture: Image.Image) -> Image.Image:
    """Samples of 16 bits as 8 bits."""
    return Image.fromarray((np.array(picture).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))


def _coding(info: VideoInfo, picture: Any, target: str) -> dict[str, Any]:
    """How a format codes: losslessly where the input was, else at a quality near it."""
    if target == "WEBP":
        lossless = _is_lossless(info.path.read_bytes()) if picture.format == "WEBP" else picture.format == "PNG"
        return {"lossless": True, "exact": True} if lossless else {"quality": _QUALITY[target], "method": 5}
    if target == "AVIF":
        whole = "444" in info.pixel_format or picture.format != "AVIF"
        return {"quality": _QUALITY[target], "subsampling": "4:4:4" if whole else "4:2:0"}
    if target == "TIFF":
        compression = picture.info.get("compression")
        return {"compression": compression if compression in _TIFF_COMPRESSIONS else "tiff_lzw"}
    return {"quality": _QUALITY[target]} if target in _QUALITY else {}


def _is_lossless(webp: bytes) -> bool:
    """Whether a chunk of a WebP file (RFC 9649, 2.3) holds samples coded without loss."""
    here = 12
    while here + 8 <= len(webp):
        kind, size = struct.unpack("<4sI", webp[here : here + 8])
        if kind == b"VP8L":
            return True
        here += 8 + size + size % 2
    return False


def _described(picture: Any, target: str, location: bool) -> dict[str, Any]:
    """Exif, XMP and colour profile as Pillow takes them."""
    kept: dict[str, Any] = {}
    profile, exif, xmp = (picture.info.get(name) for name in ("icc_profile", "exif", "xmp"))
    if profile:
        kept["icc_profile"] = profile
    if picture.format == "TIFF":
        if target == "TIFF":
            kept["tiffinfo"] = _tiff_tags(picture, location)
        return kept
    if exif and not location:
        exif = without_place_in_exif(exif)
    if exif and target != "TIFF":
        kept["exif"] = exif
    if xmp and target in _KEEP_XMP and (location or b"GPS" not in bytes(xmp)):
        kept["xmp"] = xmp
    return kept


def _tiff_tags(picture: Any, location: bool) -> TiffImagePlugin.ImageFileDirectory_v2:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    for tag in _KEPT_TIFF & set(picture.tag_v2):
        value = picture.tag_v2[tag]
        if location or tag != _XMP_TAG or (isinstance(value, bytes) and b"GPS" not in value):
            tags.tagtype[tag] = picture.tag_v2.tagtype[tag]
            tags[tag] = value
    return tags


__all__ = ["FORMATS", "LumaOfPicture", "Outlook", "foreseen", "is_of_format", "is_still_suffix", "rewrite_still"]
