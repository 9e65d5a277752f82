"""Writing beside the target: nothing is lost, nothing is left half-written."""

from __future__ import annotations

from pathlib import Path

import pytest

from provenance.errors import CannotWrite
from provenance.files import written_beside


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
