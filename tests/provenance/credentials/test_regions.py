"""Bytes that a signature leaves out are told, whatever box they hide in."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from provenance.credentials.regions import unsigned_bytes
from provenance.credentials.sdk import ManifestStore


def store(*left_out: str, **binding: object) -> ManifestStore:
    data = {"exclusions": [{"xpath": f"/{kind}"} for kind in left_out], **binding}
    manifest = {"assertions": [{"label": "c2pa.hash.bmff.v3", "data": data}]}
    return ManifestStore("urn:c2pa:one", {"urn:c2pa:one": manifest}, ())


def movie(folder: Path, **boxes: bytes) -> Path:
    path = folder / "clip.mp4"
    path.write_bytes(b"".join(struct.pack(">I4s", 8 + len(data), kind.encode()) + data for kind, data in boxes.items()))
    return path


@pytest.mark.parametrize("kind", ["free", "skip", "mdat", "moov", "abcd"])
def test_content_in_a_box_that_the_manifest_leaves_out_is_told(tmp_path: Path, kind: str) -> None:
    path = movie(tmp_path, ftyp=b"isom", **{kind: b"hidden"})
    assert unsigned_bytes(store("uuid", "ftyp", "mfra", kind), path) == 6
    assert unsigned_bytes(store("uuid", "ftyp", "mfra"), path) == 0


def test_padding_is_not(tmp_path: Path) -> None:
    assert unsigned_bytes(store("free"), movie(tmp_path, ftyp=b"isom", free=bytes(3 << 20))) == 0


def test_media_hashed_piece_by_piece_is_not(tmp_path: Path) -> None:
    path = movie(tmp_path, ftyp=b"isom", mdat=b"pictures")
    assert unsigned_bytes(store("mdat", merkle=[{"hashes": []}]), path) == 0
