"""How a file is refused before any parser sees it."""

from __future__ import annotations

from pathlib import Path

from provenance.errors import TooHostile
from provenance.sandbox.limits import Limits


def hostile(path: Path, reason: str) -> TooHostile:
    """The error about a file that asks for more than any ordinary one."""
    return TooHostile(
        f"{path}: refused, {reason}", hint="no ordinary video is built like that; was it made to do harm?"
    )


def refuse_size(path: Path, size: tuple[int, int], limits: Limits) -> None:
    """Raise TooHostile for frames of more pixels than are examined. size: width, height."""
    width, height = size
    if width * height > limits.pixels:
        raise TooHostile(
            f"{path}: refused, it declares {width}x{height} pixels",
            hint=f"frames of up to {limits.pixels / 1e6:.0f} million pixels are examined; scale it down",
        )


__all__ = ["hostile", "refuse_size"]
