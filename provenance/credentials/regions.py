"""Bytes of a BMFF file (mp4, mov) that its signature leaves out, where something can be hidden without breaking it.

The hash of C2PA 2.2, 18.7 leaves out the boxes that hold the credentials, the file type and the index of fragments.
Many signers also leave out ``free`` and ``skip``, and a manifest may name any other box. Zero-filled padding is nothing
to mention; anything else there is told, with its size, since nobody can say whether it was there when the file was
signed.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from provenance.credentials.bmff import Region, top_level_boxes
from provenance.credentials.history import assertions_of, rows_in
from provenance.credentials.sdk import ManifestStore

_C2PA_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")  # C2PA 2.2, A.5.1
_MERKLE = b"merkle\0"
_NOTHING_TO_MENTION = {"uuid", "ftyp", "mfra"}  # every manifest leaves these out (C2PA 2.2, 18.7); uuid is looked into
_BLOCK_BYTES = 1 << 20


def unsigned_bytes(store: ManifestStore, path: Path) -> int:
    """How many bytes, not all zero, lie in regions that the manifest's hash leaves out; 0 for other containers.

    Memory does not grow with the file.
    """
    left_out = _kinds_left_out(store)
    if not left_out:
        return 0
    loose = left_out - _NOTHING_TO_MENTION - ({"mdat"} if _has_merkle(store) else set())
    total = 0
    with path.open("rb") as stream:
        for region in top_level_boxes(stream):
            if region.kind == "uuid":
                total += _loose_in_uuid(stream, region, store)
            elif region.kind in loose and _has_content(stream, region.start, region.end):
                total += region.end - region.start
    return total


def _kinds_left_out(store: ManifestStore) -> set[str]:
    rows = (row for binding in _hard_bindings(store) for row in rows_in(binding.get("exclusions")))
    return {str(row.get("xpath", "")).removeprefix("/") for row in rows}


def _hard_bindings(store: ManifestStore) -> list[Mapping[str, Any]]:
    return [data for label, data in assertions_of(store.active) if label.startswith("c2pa.hash.bmff")]


def _has_merkle(store: ManifestStore) -> bool:
    """Whether the media is hashed piece by piece, on its own."""
    return any(binding.get("merkle") for binding in _hard_bindings(store))


def _loose_in_uuid(stream: io.BufferedReader, region: Region, store: ManifestStore) -> int:
    """What a box with the identifier of C2PA holds beside the manifest store and the hashes of fragments.

    Such boxes are left out whatever they hold: the software kit calls a file with a second one intact (measured).
    """
    stream.seek(region.start)
    head = stream.read(16 + 4 + 9 + 8)  # identifier, version and flags, purpose, offset of the first fragment's hashes
    if head[:16] != _C2PA_UUID:
        return 0
    if head[20:].startswith(_MERKLE) and _has_merkle(store):
        return 0
    position, length = region.start + len(head), len(store.data)
    stream.seek(position)
    if length <= region.end - position and stream.read(length) == store.data:
        position += length
    else:
        position = region.start + 16
    return region.end - position if _has_content(stream, position, region.end) else 0


def _has_content(stream: io.BufferedReader, start: int, end: int) -> bool:
    """Whether a stretch holds anything but zeros."""
    stream.seek(start)
    while start < end:
        block = stream.read(min(_BLOCK_BYTES, end - start))
        if not block:
            return False
        if block.strip(b"\0"):
            return True
        start += len(block)
    return False
