"""The search by resemblance: all fingerprints of a repository in memory, compared bit by bit."""

from __future__ import annotations

import numpy as np

from provenance.repository.fingerprint import BITS, CELLS, MINIMUM_BITS, Fingerprint, best_shift

_ROUGH_FRAMES = 5
_EXAMINED_PER_RESULT = 8


class Shelf:
    """Fingerprints in memory: a few frames of the query are compared with all frames of all clips, bit by bit; the
    clips that come near are then compared in full.
    """

    def __init__(self) -> None:
        self.last_number = 0
        self._clips: list[tuple[str, bytes]] = []
        self._rows: list[np.ndarray] = []  # uint64 (frames, 2, 5) per clip
        self._packed: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self._clips)

    def add(self, number: int, name: str, content: bytes) -> None:
        """Put a serialised fingerprint on the shelf under its row number in the repository."""
        fingerprint = Fingerprint.from_bytes(content)
        self._clips.append((name, content))
        self._rows.append(_packed(fingerprint.signs, fingerprint.reliable))
        self._packed = None
        self.last_number = max(self.last_number, number)

    def nearest(self, query: Fingerprint, limit: int) -> list[tuple[str, int]]:
        """Return (name, distance) of the nearest fingerprints, the mirror image of the query tried as well."""
        if not self._clips:
            return []
        variants = (query.chips, mirrored(query.chips))
        rough = np.minimum(*(self._rough(chips) for chips in variants))
        rows = []
        for index in np.argsort(rough, kind="stable")[: _EXAMINED_PER_RESULT * limit]:
            name, content = self._clips[index]
            found = [_distance_of_chips(Fingerprint.from_bytes(content), query, chips) for chips in variants]
            known = [distance for distance in found if distance is not None]
            if known:
                rows.append((min(known), name))
        return [(name, distance) for distance, name in sorted(rows)[:limit]]

    def _rough(self, chips: np.ndarray) -> np.ndarray:
        """float64 (clips,): share of bits that differ in the nearest frame, mean over a few frames of the query."""
        if self._packed is None:
            self._packed = np.concatenate(self._rows)
        starts = np.cumsum([0, *(len(rows) for rows in self._rows[:-1])])
        picked = chips[np.unique(np.linspace(0, len(chips) - 1, _ROUGH_FRAMES).round().astype(int))]
        shares = []
        for frame in _packed(picked > 0, picked != 0):
            both = self._packed[:, 1] & frame[1]
            bits = np.bitwise_count(both).sum(axis=1)
            wrong = np.bitwise_count((self._packed[:, 0] ^ frame[0]) & both).sum(axis=1)
            share = np.where(bits < MINIMUM_BITS, 0.5, wrong / np.maximum(bits, 1))
            shares.append(np.minimum.reduceat(share, starts))
        return np.asarray(np.mean(shares, axis=0))


def _packed(signs: np.ndarray, reliable: np.ndarray) -> np.ndarray:
    """Pack bool (n, 264) twice into uint64 (n, 2, 5): the signs, and which of them are reliable."""
    both = np.stack([signs, reliable], axis=1)
    padded = np.pad(both, ((0, 0), (0, 0), (0, -BITS % 64)))
    return np.packbits(padded, axis=2).view(np.uint64)


def _distance_of_chips(reference: Fingerprint, query: Fingerprint, chips: np.ndarray) -> int | None:
    times = query.interval_seconds * np.arange(len(chips))
    return best_shift(reference, times, chips, query.interval_seconds, 1.0).distance


def mirrored(chips: np.ndarray) -> np.ndarray:
    """Mirror frames left to right: differences change their order, horizontal ones their sign too."""
    across = chips[:, : BITS // 2].reshape(-1, CELLS, CELLS - 1)[:, :, ::-1]
    down = chips[:, BITS // 2 :].reshape(-1, CELLS - 1, CELLS)[:, :, ::-1]
    return np.concatenate([-across.reshape(len(chips), -1), down.reshape(len(chips), -1)], axis=1)
