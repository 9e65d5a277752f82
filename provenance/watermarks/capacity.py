"""Whether a clip has room for an id, before it is marked.

What counts is the energy that a reader collects from the 512 coded signs, over unit noise: the code reads an id in 9 of
10 cases at 200. It grows with the number of pixels and the seconds, and depends on the content and on what happens
to the clip afterwards; the rate below is that of the hardest of the development clips after x264 at CRF 28.
"""

from __future__ import annotations

from provenance.errors import CannotCarry
from provenance.watermarks.marking import STRONGEST_DB

ENOUGH_ENERGY = 200.0
_ENERGY_PER_PIXEL_SECOND = 1.2e-3
_HOPELESS = 8.0  # easy clips give this many times the energy of the hardest


def expected_energy(width: int, height: int, seconds: float, strength_db: float = STRONGEST_DB) -> float:
    """Return the energy to be expected of a hard clip; below `ENOUGH_ENERGY` a signer does well to warn."""
    return _ENERGY_PER_PIXEL_SECOND * width * height * seconds * 10 ** ((STRONGEST_DB - strength_db) / 10)


def refuse_too_short(width: int, height: int, seconds: float) -> None:
    """Raise CannotCarry when not even an easy clip of this size and length could carry an id."""
    if expected_energy(width, height, seconds) * _HOPELESS < ENOUGH_ENERGY:
        least = seconds * ENOUGH_ENERGY / max(expected_energy(width, height, seconds) * _HOPELESS, 1e-12)
        raise CannotCarry(
            f"{seconds:.2g} s of {width}x{height} pixels have no room for a watermark id",
            hint=f"it takes {least:.1f} s or more at this size, or larger pictures; or sign with --no-watermark",
        )
