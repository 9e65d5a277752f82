"""What decoders attach to a frame beside its samples."""

from __future__ import annotations

from typing import Any

import av


def side_data_of(frame: av.VideoFrame) -> dict[str, bytes] | None:
    """Return the pieces of a decoded frame, by FFmpeg's name of their kind.

    None where a piece is of a kind that PyAV has no name for (the views of spatial video): then it gives none. Not for
    frames of picture codecs: PyAV frees what belongs to their Exif block, and the process dies of it.
    """
    try:
        pieces: Any = list(frame.side_data)
    except ValueError:
        return None
    return {piece.type.name: bytes(piece) for piece in pieces}
