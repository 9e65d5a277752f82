"""What a person pointed at becomes a list of files."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from provenance.errors import CannotRead, UsageError
from provenance.inputs import chosen, expand, read_list, read_split, refuse_folder, sha256_of


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    folder = tmp_path / "clips"
    (folder / "below").mkdir(parents=True)
    for name in ("b.mp4", "a.MOV", "notes.txt", ".hidden.mp4", "below/c.webm"):
        (folder / name).touch()
    return folder


def test_a_folder_stands_for_its_media_in_alphabetical_order(clips: Path) -> None:
    assert expand([clips]) == [clips / "a.MOV", clips / "b.mp4", clips / "below" / "c.webm"]


def test_patterns_names_and_doubles(clips: Path) -> None:
    assert expand([clips / "b.mp4", f"{clips}/*.mp4", clips / "gone.mp4"]) == [clips / "b.mp4", clips / "gone.mp4"]


def test_brackets_in_a_name_that_exists_are_no_pattern(clips: Path) -> None:
    (clips / "take[1].mp4").touch()
    assert expand([clips / "take[1].mp4"]) == [clips / "take[1].mp4"]


def test_a_list_is_relative_to_its_folder(clips: Path) -> None:
    (clips / "list.txt").write_text("# mine\n\nb.mp4\nbelow/c.webm\n")
    assert expand([], files_from=clips / "list.txt") == [clips / "b.mp4", clips / "below" / "c.webm"]


def test_a_name_that_stands_for_nothing_is_not_lost(clips: Path) -> None:
    (clips / "empty").mkdir()
    names = [clips / "miss[1].mp4", clips / "b.mp4", clips / "no*.mp4", clips / "empty"]
    assert expand(names) == names
    with pytest.raises(CannotRead, match="no video or picture"):
        refuse_folder(clips / "empty")
    refuse_folder(clips / "gone.mp4")


def test_a_list_may_begin_with_a_byte_order_mark_and_hold_names_with_blanks(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes("\ufeffa.mp4\r\n b .mp4\r\n \r\nc\u2028d.mp4".encode())
    assert read_list(tmp_path / "list.txt") == [str(tmp_path / name) for name in ("a.mp4", " b .mp4", "c\u2028d.mp4")]


def test_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no file"):
        expand([tmp_path])
    with pytest.raises(CannotRead, match="list of files"):
        read_list(tmp_path / "none.txt")


HEADER = "sha256,file,label,family,lineage,fold,watermark\n"


def test_a_split_is_read_and_chosen_from(tmp_path: Path) -> None:
    path = tmp_path / "split.csv"
    path.write_text(HEADER + "aa,ai/1.mp4,ai,wan,wan,4,\nbb,real/2.mp4,real,phone,phone,2,table\n")
    rows = read_split(path)
    assert [row.fold for row in rows] == [4, 2]
    assert chosen(rows, watermark="table") == chosen(rows, label="real") == [rows[1]]


@pytest.mark.parametrize("line", ["aa,1.mp4,unknown,f,l,1,", "aa,1.mp4,ai,f,l,x,", "aa,1.mp4,ai,f,l,1,training"])
def test_a_split_that_says_something_else_is_refused(line: str, tmp_path: Path) -> None:
    (tmp_path / "split.csv").write_text(f"{HEADER}{line}\n")
    with pytest.raises(CannotRead):
        read_split(tmp_path / "split.csv")


def test_digests(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc" * 1000)
    assert sha256_of(tmp_path / "file") == hashlib.sha256(b"abc" * 1000).hexdigest()
    with pytest.raises(CannotRead):
        sha256_of(tmp_path / "none")
