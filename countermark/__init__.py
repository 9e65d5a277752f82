"""Countermark: where does a video come from, and how do we know?

>>> import countermark
>>> report = countermark.verify("clip.mp4")  # doctest: +SKIP
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from countermark.settings import Settings
    from provenance.verify import Report

__all__ = ["verify"]


def verify(path: Path | str, *, settings: Settings | None = None) -> Report:
    """Examine one file with all checks, keys and lists of this machine, as the command `countermark verify` does.

    settings: where keys, lists and manifests stand; None reads the environment. Raises CannotRead.
    """
    from countermark.settings import Settings
    from countermark.wiring import examiner

    return examiner(settings or Settings.from_environment()).one(path)
