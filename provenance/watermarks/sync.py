"""The pixel watermark in time: a keyed sequence of signs, its soft edges, and its 256 possible starts.

The tile keeps its sign for 0.3 s (8 frames or so), then takes the next of 64 keyed signs; after 19.2 s the sequence
starts again. It is balanced over every couple of seconds, so that removing what stands still in a clip does not remove
the watermark. Each clip starts somewhere else in the sequence, so that frames of equal number in different clips do
not agree in sign.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from provenance.keys import KeyStream

GROUP_SECONDS = 0.3
GROUPS = 64
STARTS = 256
START_SECONDS = GROUPS * GROUP_SECONDS / STARTS
"""Readers try starts in steps of this; embedders use multiples of it."""

SEQUENCE_SECONDS = GROUPS * GROUP_SECONDS
SOFT_AMPLITUDE = 0.4
SOFT_BEFORE, SOFT_AFTER = 0.0375, 0.0292
"""Seconds around a change of sign: two frames at 30 per second."""

_SOFT_FROM_RATE = 20.0
_IMBALANCE = 2
_DRAWS = 64


@dataclass(frozen=True)
class SignSequence:
    """The keyed sequence of 64 signs, and the amplitude that a frame gets at a time."""

    stream: KeyStream

    @cached_property
    def signs(self) -> np.ndarray:
        """int64 (64,): sums to zero, no running sum beyond +-2; of 64 draws the one that least resembles its shifts."""
        wishes = self.stream.signs("sign sequences", _DRAWS * GROUPS).reshape(_DRAWS, GROUPS).astype(np.int64)
        draws, total = np.zeros_like(wishes), np.zeros(_DRAWS, dtype=np.int64)
        for index in range(GROUPS):
            wish = wishes[:, index]
            allowed = np.abs(total + wish) <= min(_IMBALANCE, GROUPS - 1 - index)
            draws[:, index] = np.where(allowed, wish, -wish)
            total += draws[:, index]
        return min((draw for draw in draws if draw.sum() == 0), key=_resemblance)

    def amplitudes(self, seconds: np.ndarray, starts: np.ndarray, frame_rate: float) -> np.ndarray:
        """Return float32 (starts, time) in [-1, 1]: the signed amplitude of frames shown at `seconds`.

        starts: where in the sequence second 0 lies, in units of `START_SECONDS`. At 20 frames/s and more, the two
        frames around a change of sign are softened against flicker.
        """
        at = (
            np.asarray(seconds, dtype=np.float64)[None, :]
            + np.asarray(starts, dtype=np.float64)[:, None] * START_SECONDS
        )
        position = (at + 1e-6) / GROUP_SECONDS
        group = np.floor(position).astype(np.int64)
        here = self.signs[group % GROUPS].astype(np.float32)
        if frame_rate < _SOFT_FROM_RATE:
            return here
        since = (position - group) * GROUP_SECONDS
        after_change = (since < SOFT_AFTER) & (self.signs[(group - 1) % GROUPS] != here)
        before_change = (GROUP_SECONDS - since <= SOFT_BEFORE) & (self.signs[(group + 1) % GROUPS] != here)
        return np.where(after_change | before_change, np.float32(SOFT_AMPLITUDE) * here, here)


def _resemblance(signs: np.ndarray) -> tuple[int, int]:
    """Largest and summed squared correlation with the sequence's own cyclic shifts."""
    shifted = signs[(np.arange(GROUPS)[:, None] + np.arange(1, GROUPS)) % GROUPS]
    correlations = signs @ shifted
    return int(np.abs(correlations).max()), int((correlations**2).sum())
