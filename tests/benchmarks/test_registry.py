"""Packages with other decoders' test media: the table is complete, and nothing but media leaves an archive."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from benchmarks.registry import CLIENTS, Package, fetch, packages, unpack
from provenance.errors import CannotRead
from provenance.inputs import sha256_of


def packed(path: Path, **files: bytes) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def test_the_table_names_each_package_once_with_licence_and_digest() -> None:
    listed = packages()
    assert len({one.package for one in listed}) == len(listed) > 20
    assert all(one.licence and len(bytes.fromhex(one.sha256)) == 32 for one in listed)
    assert {one.client for one in listed} == set(CLIENTS)


def test_only_media_leave_an_archive(tmp_path: Path) -> None:
    files = {
        "a/clip.mp4": b"x",
        "a/code.ts": b"import",
        "a/stream.ts": b"G" * 188,
        "a/setup.py": b"1",
        "a/none.gif": b"",
    }
    assert unpack(packed(tmp_path / "one.tar.gz", **files), tmp_path / "out") == 2
    found = {path.name for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert found == {"clip.mp4", "stream.ts"}


def test_an_archive_that_reaches_outside_is_refused(tmp_path: Path) -> None:
    with pytest.raises(tarfile.FilterError):
        unpack(packed(tmp_path / "one.tar.gz", **{"../../out.mp4": b"x"}), tmp_path / "in" / "out")
    assert not list(tmp_path.glob("*.mp4"))


def test_what_is_there_is_not_fetched_again(tmp_path: Path) -> None:
    (tmp_path / "archives").mkdir()
    archive = packed(tmp_path / "archives" / "own-1.tar.gz", **{"own-1/clip.mp4": b"x"})
    package = Package("npm", "own", "1", "MIT", sha256_of(archive))
    assert (fetch(tmp_path, (package,)) / "own-1" / "own-1" / "clip.mp4").read_bytes() == b"x"


def test_another_archive_than_the_one_listed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def brought(package: Package, archives: Path) -> None:
        packed(archives / "own-1.tar.gz", **{"own-1/clip.mp4": b"y"})

    monkeypatch.setattr("benchmarks.registry.CLIENTS", {"npm": brought})
    with pytest.raises(CannotRead, match="is not the archive that is listed"):
        fetch(tmp_path, (Package("npm", "own", "1", "MIT", "0" * 64),))
