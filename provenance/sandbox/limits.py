"""How much a file may ask of this machine."""

from __future__ import annotations

from dataclasses import dataclass

_MIB = 1 << 20
_GIB = 1 << 30


@dataclass(frozen=True)
class Limits:
    """What examining one file may take.

    The first four bound the worker process: resident memory, seconds without progress, seconds in all, and the pickled
    result. The others bound what the file declares, before any parser sees it: pixels of a frame, boxes at the top of
    an ISO file and in its tree, their depth, the bytes of its index, and those of its C2PA manifest store; frames of
    a picture track; what compressed texts of a PNG file or packets of a Matroska film unpack to; and what a Matroska
    track puts before every packet. Elements, chunks and directories of other containers count as boxes.
    """

    memory_bytes: int = 4 * _GIB
    seconds: float = 900.0
    longest_seconds: float = 12 * 3600.0
    result_bytes: int = 256 * _MIB
    pixels: int = 8192 * 8192
    top_level_boxes: int = 4096
    boxes: int = 16384
    depth: int = 24
    index_bytes: int = 256 * _MIB
    manifest_bytes: int = 64 * _MIB
    frames: int = 1 << 22
    unpacked_bytes: int = 32 * _MIB
    prefix_bytes: int = 4096

    def __post_init__(self) -> None:
        if min(vars(self).values()) <= 0:
            raise ValueError("every limit is positive")
