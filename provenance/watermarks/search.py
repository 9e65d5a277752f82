"""Finding how a frame lies on the tile when it is not the whole frame any more: mirrored, or cropped along its axes."""

from __future__ import annotations

from provenance.watermarks.chunk import Geometry, View

FLIPS = ((-1, 1), (1, -1), (-1, -1))


def mirrored(view: View) -> list[View]:
    """Return the whole frame's three mirror images."""
    return [view.moved(Geometry.identity(*view.chunk.size, *flip)) for flip in FLIPS]
