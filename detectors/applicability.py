"""To what the detectors apply: pictures that move and were not drawn by a test generator."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detectors.canonical import CanonicalFrames

STILL_CHANGE = 0.1
"""Mean change of canonical luma between neighbouring frames (8-bit levels) under which nothing moves."""
FLAT_SHARE = 0.8
"""Share of 8 x 8 blocks of one level (spread under half a level) above which a picture was drawn."""


def not_natural(views: Sequence[CanonicalFrames]) -> str:
    """Why detectors have nothing to say of such frames; empty if they have."""
    if max(change_per_frame(view) for view in views) < STILL_CHANGE:
        return "nothing moves: detectors need moving pictures"
    if min(flat_share(view) for view in views) > FLAT_SHARE:
        return "flat areas as in a test pattern, a screen or a drawing"
    return ""


def change_per_frame(view: CanonicalFrames) -> float:
    """Mean absolute difference of luma between neighbouring frames, 8-bit levels."""
    return float(np.abs(np.diff(view.luma, axis=0)).mean())


def flat_share(view: CanonicalFrames) -> float:
    """Share of 8 x 8 blocks of every fourth frame whose luma spreads by less than half a level."""
    luma = view.luma[::4]
    frames, height, width = luma.shape
    blocks = luma.reshape(frames, height // 8, 8, width // 8, 8)
    return float((blocks.std(axis=(2, 4)) < 0.5).mean())
