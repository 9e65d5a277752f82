"""Files that are built to do harm are refused before any parser sees them, and fast."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from provenance.errors import CannotRead, TooHostile
from provenance.sandbox.limits import Limits
from provenance.sandbox.prescan import prescan
from provenance.video import Clip
from provenance.video.write import write_clip, write_still

C2PA = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")


def box(kind: bytes, content: bytes = b"", declared: int | None = None) -> bytes:
    return struct.pack(">I4s", declared if declared is not None else 8 + len(content), kind) + content


FTYP = box(b"ftyp", b"isom\0\0\0\0isom")


def nested(depth: int) -> bytes:
    content = b""
    for _ in range(depth):
        content = box(b"moov", content)
    return content


def track(width: int, height: int) -> bytes:
    header = box(b"tkhd", bytes(76) + struct.pack(">II", width << 16, height << 16))
    return box(b"moov", box(b"trak", header))


def table(kind: bytes, entries: int) -> bytes:
    inner = box(kind, struct.pack(">II", 0, entries) + bytes(64))
    for outer in (b"stbl", b"minf", b"mdia", b"trak", b"moov"):
        inner = box(outer, inner)
    return inner


HOSTILE: dict[str, Callable[[], bytes]] = {
    "two hundred thousand boxes at its top": lambda: FTYP + box(b"free") * 200_000,
    "two hundred thousand boxes in its index": lambda: FTYP + box(b"moov", box(b"free") * 200_000),
    "boxes in boxes in boxes": lambda: FTYP + nested(2000),
    "an index of four gigabytes": lambda: FTYP + box(b"moov", b"", 0xFFFFFFF0),
    "a manifest of a gigabyte": lambda: FTYP + box(b"uuid", C2PA + bytes(37), 1 << 30),
    "a track of 65000 by 65000": lambda: FTYP + track(65000, 65000),
    "a table of a billion entries": lambda: FTYP + table(b"stts", 1 << 30),
    "a picture of 60000 by 60000": lambda: b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 60000, 60000),
    "a GIF of 65535 by 65535": lambda: b"GIF89a" + struct.pack("<HH", 65535, 65535) + bytes(32),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_at_once(name: str, tmp_path: Path) -> None:
    path = tmp_path / "file.mp4"
    path.write_bytes(HOSTILE[name]())
    start = time.process_time()
    with pytest.raises(TooHostile) as caught:
        prescan(path)
    assert time.process_time() - start < 1
    assert caught.value.hint
    assert str(path) in caught.value.message


def test_ordinary_files_pass(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (5, 64, 96, 3)).astype(np.uint8)
    for suffix, codec in ((".mp4", "libx264"), (".mov", "libx264"), (".mkv", "libx264"), (".webm", "vp9")):
        write_clip(Clip.at_rate(frames, 25), tmp_path / f"clip{suffix}", codec=codec, preset="ultrafast")
        prescan(tmp_path / f"clip{suffix}")
    for suffix in (".png", ".jpg", ".webp", ".gif", ".bmp", ".avif", ".tif"):
        write_still(frames[0], tmp_path / f"still{suffix}")
        prescan(tmp_path / f"still{suffix}")


def test_damage_is_left_to_the_parser(tmp_path: Path) -> None:
    for number, data in enumerate((FTYP + b"\0\0\0\3moov", FTYP[:9], b"hello", FTYP + box(b"mdat", b"", 5000))):
        (tmp_path / f"{number}.mp4").write_bytes(data)
        prescan(tmp_path / f"{number}.mp4")


def test_limits_can_be_narrowed(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(FTYP + track(1920, 1080))
    prescan(tmp_path / "clip.mp4")
    with pytest.raises(TooHostile, match="1920x1080"):
        prescan(tmp_path / "clip.mp4", Limits(pixels=1280 * 720))


def test_what_is_no_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    for path, reason in ((tmp_path / "none.mp4", "no such"), (tmp_path, "folder"), (tmp_path / "empty.mp4", "empty")):
        with pytest.raises(CannotRead, match=reason):
            prescan(path)


def test_a_picture_of_many_chunks_passes(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (5, 64, 96, 3)).astype(np.uint8)
    write_still(frames[0], tmp_path / "still.png")
    data = (tmp_path / "still.png").read_bytes()
    place = data.index(b"IDAT") - 4
    nothing = struct.pack(">I4sI", 0, b"IDAT", 0x35AF061E)
    (tmp_path / "still.png").write_bytes(data[:place] + nothing * 20_000 + data[place:])
    prescan(tmp_path / "still.png")


def test_chunks_that_claim_each_other_take_no_time(tmp_path: Path) -> None:
    path = tmp_path / "clip.avi"
    path.write_bytes(b"RIFF\xff\xff\xff\x7fAVI " + b"LIST\xff\xff\xff\x7f" * 10 + b"LIST\x04\0\0\0nest" * 100_000)
    start = time.process_time()
    prescan(path)
    assert time.process_time() - start < 2


def test_a_format_of_sound_is_no_size_of_pictures(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "clip.avi"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 2048), np.int16), format="s16", layout="stereo")
        frame.sample_rate = 48000
        container.mux(stream.encode(frame))
    prescan(tmp_path / "clip.avi")


def test_what_lies_behind_the_end_of_a_png_file_is_no_chunk(tmp_path: Path) -> None:
    write_still(np.zeros((64, 96, 3), np.uint8), tmp_path / "still.png")
    data = (tmp_path / "still.png").read_bytes()
    (tmp_path / "still.png").write_bytes(data + b"\xff" * 4096)
    prescan(tmp_path / "still.png")
    (tmp_path / "still.png").write_bytes(data[:33] + b"\xff" * 4096)
    with pytest.raises(TooHostile, match="chunk declares"):
        prescan(tmp_path / "still.png")


def test_the_entries_of_all_directories_are_counted(tmp_path: Path) -> None:
    size, count = 2 + 12 * 3 + 4, 10
    pages = b"".join(
        struct.pack("<H", 3) + bytes(36) + struct.pack("<I", 8 + size * (page + 1) if page + 1 < count else 0)
        for page in range(count)
    )
    (tmp_path / "still.tif").write_bytes(b"II*\0\x08\0\0\0" + pages)
    prescan(tmp_path / "still.tif", Limits(boxes=30))
    with pytest.raises(TooHostile, match="more than 29 entries"):
        prescan(tmp_path / "still.tif", Limits(boxes=29))


def test_the_first_header_of_os2_counts_in_16_bits(tmp_path: Path) -> None:
    path = tmp_path / "old.bmp"
    path.write_bytes(b"BM" + struct.pack("<IIIIHHHH", 26 + 64 * 64 * 3, 0, 26, 12, 64, 64, 1, 24) + bytes(64 * 64 * 3))
    prescan(path)
    path.write_bytes(b"BM" + struct.pack("<IIIIHHHH", 100, 0, 26, 12, 65535, 65535, 1, 24) + bytes(74))
    with pytest.raises((CannotRead, TooHostile)):
        prescan(path)
