"""Boxes taken apart and put together again, and bytes of MPEG-2 and of subtitles, without FFmpeg."""

from __future__ import annotations

from pathlib import Path

from benchmarks.patches import box, boxes, changed, in_two, picture_subtitle, pulled_down


def film(chunks: tuple[int, ...]) -> bytes:
    """A file of two chunks whose index stands last, as bytes."""
    offsets = b"".join(place.to_bytes(4, "big") for place in chunks)
    index = box(b"stco", bytes(4) + len(chunks).to_bytes(4, "big") + offsets)
    moov = box(b"moov", box(b"trak", box(b"mdia", box(b"minf", box(b"stbl", index)))))
    return box(b"ftyp", b"isom") + box(b"mdat", b"firstsecond") + moov


def test_boxes_come_back_as_they_were() -> None:
    data = film((20, 25))
    assert changed(data, lambda _, content: content) == data
    assert [kind for kind, _ in boxes(data)] == [b"ftyp", b"mdat", b"moov"]


def test_chunks_are_found_where_the_second_box_of_media_begins(tmp_path: Path) -> None:
    raw, path = tmp_path / "raw.mp4", tmp_path / "two.mp4"
    raw.write_bytes(film((20, 25)))
    in_two(raw, path)
    data = path.read_bytes()
    assert [content for kind, content in boxes(data) if kind == b"mdat"] == [b"first", b"second"]
    assert data.endswith((20).to_bytes(4, "big") + (33).to_bytes(4, "big"))
    assert data[33:39] == b"second"


def test_of_every_second_picture_a_field_is_repeated() -> None:
    extension = bytes([0, 0, 1, 0xB5, 0x8F, 0xFF, 0xF3, 0x40, 0x00])
    marked = pulled_down(extension * 4)
    fields = [(marked[9 * k + 7] >> 7, marked[9 * k + 7] >> 1 & 1, marked[9 * k + 8] >> 7) for k in range(4)]
    assert fields == [(1, 1, 1), (0, 0, 1), (0, 1, 1), (1, 0, 1)]


def test_a_picture_of_a_subtitle_has_its_two_moments() -> None:
    data = picture_subtitle(0.2, 0.9, 640, 360)
    stamps = {int.from_bytes(data[at + 2 : at + 6], "big") for at in range(len(data)) if data[at : at + 2] == b"PG"}
    assert stamps == {18_000, 81_000}
