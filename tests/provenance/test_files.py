"""Writing beside the target: nothing is lost, nothing is left half-written."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from provenance.errors import CannotRead, CannotWrite, OutputExists
from provenance.files import refuse_clashes, refuse_existing, unchanged, write_private, written_beside


def test_an_interruption_as_soon_as_the_file_is_there_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch = Path.touch

    def touch_and_be_interrupted(path: Path, *, exist_ok: bool = True) -> None:
        touch(path, exist_ok=exist_ok)
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "touch", touch_and_be_interrupted)
    with pytest.raises(KeyboardInterrupt), written_beside(tmp_path / "out.mp4"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CannotWrite, match="cannot write there"), written_beside(tmp_path / "file" / "out.mp4"):
        pass


def test_an_output_is_no_input_and_no_other_output_under_whatever_name(tmp_path: Path) -> None:
    clip, link = tmp_path / "clip.mp4", tmp_path / "link.mp4"
    clip.write_bytes(b"clip")
    link.symlink_to(clip)
    new, again = tmp_path / "new.html", tmp_path / "below" / ".." / "new.html"
    refuse_clashes([clip, link, clip], [new, tmp_path / "other.html"])
    for outputs in ([new, clip], [link]):
        with pytest.raises(OutputExists, match="overwrite the input"):
            refuse_clashes([clip], outputs)
    with pytest.raises(OutputExists, match="two outputs"):
        refuse_clashes([clip], [new, again])


def test_secrets_are_private_and_a_folder_that_refuses_them_is_named(tmp_path: Path) -> None:
    secret = tmp_path / "folder" / "a.key"
    write_private(secret, b"first", replace=False)
    assert secret.stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        write_private(secret, b"second", replace=False)
    write_private(secret, b"third")
    assert secret.read_bytes() == b"third"
    for path in (Path("/proc/nowhere/a.key"), secret / "below.key"):
        for replace in (True, False):
            with pytest.raises(CannotWrite, match=f"{path}: cannot write there"):
                write_private(path, b"secret", replace=replace)
    assert [one.name for one in secret.parent.iterdir()] == ["a.key"]


def _fail_beside(target: Path, variant: str) -> None:
    with written_beside(target) as part:
        name = part.with_name(f"{part.stem}{variant}{part.suffix}")
        raise CannotWrite(f"{name}: no container has this suffix ({name.name})", hint="use .mp4")


@pytest.mark.parametrize("variant", ["", ".marked"])
def test_errors_name_the_file_that_was_asked_for(variant: str, tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    with pytest.raises(CannotWrite) as caught:
        _fail_beside(target, variant)
    assert str(caught.value) == caught.value.message == f"{target}: no container has this suffix (out.mp4)"


def _read_while(path: Path, act: Callable[[], object]) -> None:
    with unchanged(path):
        act()
        raise CannotRead("it is damaged", hint="none")


@pytest.mark.parametrize("change", ["grows", "vanishes", "is replaced"])
def test_a_file_that_changes_while_it_is_read_is_not_read(change: str, tmp_path: Path) -> None:
    path, other = tmp_path / "clip.mp4", tmp_path / "other.mp4"
    path.write_bytes(b"clip")
    other.write_bytes(b"clip")
    with unchanged(path):
        path.read_bytes()
    act = {
        "grows": lambda: path.write_bytes(b"longer"),
        "vanishes": path.unlink,
        "is replaced": lambda: other.replace(path),
    }
    with pytest.raises(CannotRead, match=f"{path}: changed while it was read") as caught:
        _read_while(path, act[change])
    assert caught.value.__cause__ is not None


def test_what_is_no_file_is_not_replaced_by_one(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("nowhere")
    for force in (False, True):
        with pytest.raises(OutputExists, match="no regular file"):
            refuse_existing(tmp_path / "pipe", force=force)
    with pytest.raises(OutputExists, match="there already"):
        refuse_existing(tmp_path / "link", force=False)
    refuse_existing(tmp_path / "link", force=True)
