"""The tile of the pixel watermark: where its harmonics lie, who they serve, and how a frame is filled with them.

The pattern repeats with the period T = 32 sqrt(width * height) / 120 pixels in both directions (256 at 720 lines),
counted from the frame's top left corner, so that it follows every uniform change of size. Its energy lies on the
harmonics (kx, ky) of that period whose radius is 5 to 16: wavelengths of 51 to 16 pixels at 720 lines. They serve four
purposes, by a keyed draw:

* 10 *pilot* lines, one in each sector of 18 degrees, of keyed phase: strong, so that geometry and time can be found;
* 32 carry the *nonce* of the clip, one of 1024 keyed sequences of phases;
* 256 carry the *payload*, two signs each; 70 are for *verification* and carry known phases. Both are masked by the
  nonce, so that averaging clips of one key adds up to nothing.

This is form ``pixel/1``, final: a later form takes another purpose of the key.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from provenance.keys import KeyStream
from provenance.watermarks import payload
from provenance.watermarks.sync import STARTS

PURPOSE = "pixel/1"
PERIODS = 120 / 32
"""The tile's periods in sqrt(width * height)."""

NONCES = 1024
SECTORS = 10
NONCE_HARMONICS = 32
PAYLOAD_HARMONICS = payload.CODE_LENGTH // 2
PILOT_POWER = 0.30
"""Share of the pattern's power that the pilot lines carry; all other harmonics are equally strong."""

_SQUARED_RADII = (25, 259)


@lru_cache
def harmonics() -> np.ndarray:
    """Return int64 (368, 2): all (kx, ky) of the half plane ky > 0, or ky = 0 < kx, by radius."""
    limit = math.isqrt(_SQUARED_RADII[1])
    ky, kx = np.mgrid[0 : limit + 1, -limit : limit + 1]
    squared = kx**2 + ky**2
    inside = (squared >= _SQUARED_RADII[0]) & (squared <= _SQUARED_RADII[1]) & ((ky > 0) | (kx > 0))
    order = np.lexsort((kx[inside], ky[inside], squared[inside]))
    found = np.stack([kx[inside], ky[inside]], axis=1)[order]
    found.setflags(write=False)
    return found


def period_of(width: float, height: float) -> float:
    """Return the tile's period in pixels for a frame of this size."""
    return math.sqrt(width * height) / PERIODS


@dataclass(frozen=True)
class Tile:
    """The keyed layout of the harmonics for one key. All index arrays point into `harmonics()`."""

    stream: KeyStream

    @cached_property
    def pilots(self) -> np.ndarray:
        """int64 (10,): one harmonic per sector of angle, radius 7 to 13.5, neither coordinate below 2."""
        k = harmonics()
        radius = np.hypot(k[:, 0], k[:, 1])
        fit = (radius >= 7) & (radius <= 13.5) & (np.abs(k).min(axis=1) >= 2)
        sector = np.floor(np.arctan2(k[:, 1], k[:, 0]) / np.pi * SECTORS).astype(int)
        draws = self.stream.words("pilot places", SECTORS)
        members = [np.flatnonzero(fit & (sector == number)) for number in range(SECTORS)]
        return np.array([m[int(draw) % len(m)] for m, draw in zip(members, draws, strict=True)])

    @cached_property
    def pilot_phases(self) -> np.ndarray:
        """float64 (10,), radians."""
        return self.stream.phases("pilot phases", SECTORS)

    @cached_property
    def _others(self) -> np.ndarray:
        rest = np.setdiff1d(np.arange(len(harmonics())), self.pilots)
        return rest[self.stream.permutation("places", len(rest))]

    @property
    def nonce_places(self) -> np.ndarray:
        """int64 (32,): the harmonics that carry the nonce."""
        return self._others[:NONCE_HARMONICS]

    @property
    def payload_places(self) -> np.ndarray:
        """int64 (256,): the harmonics that carry the payload."""
        return self._others[NONCE_HARMONICS : NONCE_HARMONICS + PAYLOAD_HARMONICS]

    @property
    def verification_places(self) -> np.ndarray:
        """int64 (70,): the harmonics that carry verification."""
        return self._others[NONCE_HARMONICS + PAYLOAD_HARMONICS :]

    @cached_property
    def nonce_phases(self) -> np.ndarray:
        """float64 (1024, 32), radians: the sequence of every nonce."""
        return self.stream.phases("nonce phases", NONCES * NONCE_HARMONICS).reshape(NONCES, NONCE_HARMONICS)

    def verification_phases(self, nonce: int | np.ndarray) -> np.ndarray:
        """Return float64 (70,), radians, for one nonce, or (nonces, 70) for several."""
        return np.asarray(self._verification[nonce])

    def payload_signs(self, nonce: int) -> np.ndarray:
        """Return int8 (512,): the mask over the coded signs for one nonce."""
        return np.asarray(self._payload_masks[nonce])

    def nonce_of(self, watermark_id: int) -> int:
        """Return the nonce that the embedder gives an id; readers never rely on this rule."""
        return self.stream.mac("nonce of id", watermark_id.to_bytes(8, "big"), 64) % NONCES

    def start_of(self, watermark_id: int) -> int:
        """Return where in the sign sequence the embedder starts a clip with this id, in steps of 0.075 s."""
        return self.stream.mac("start of id", watermark_id.to_bytes(8, "big"), 64) % STARTS

    def coefficients(self, watermark_id: int, nonce: int) -> np.ndarray:
        """Return complex128 (368,): amplitude and phase of every harmonic, for a pattern of unit variance."""
        phasors = np.zeros(len(harmonics()), dtype=np.complex128)
        phasors[self.nonce_places] = np.exp(1j * self.nonce_phases[nonce])
        phasors[self.verification_places] = np.exp(1j * self.verification_phases(nonce))
        signs = payload.encode(watermark_id, self.stream) * self.payload_signs(nonce)
        phasors[self.payload_places] = (signs[0::2] + 1j * signs[1::2]) / math.sqrt(2)
        phasors *= math.sqrt(2 * (1 - PILOT_POWER) / (len(phasors) - SECTORS))
        phasors[self.pilots] = np.exp(1j * self.pilot_phases) * math.sqrt(2 * PILOT_POWER / SECTORS)
        return phasors

    @cached_property
    def _verification(self) -> np.ndarray:
        count = len(self.verification_places)
        return self.stream.phases("verification phases", NONCES * count).reshape(NONCES, count)

    @cached_property
    def _payload_masks(self) -> np.ndarray:
        return self.stream.signs("payload masks", NONCES * payload.CODE_LENGTH).reshape(NONCES, payload.CODE_LENGTH)


def render(coefficients: np.ndarray, width: int, height: int) -> np.ndarray:
    """Return float32 (height, width): sum of |c| cos(2 pi (kx x + ky y) / T + arg c) at the pixels' centres."""
    k = harmonics()
    period = period_of(width, height)
    limit = int(np.abs(k).max())
    grid = np.zeros((limit + 1, 2 * limit + 1), dtype=np.complex64)
    grid[k[:, 1], k[:, 0] + limit] = coefficients
    x = np.exp(2j * np.pi / period * np.outer(np.arange(-limit, limit + 1), np.arange(width) + 0.5)).astype(
        np.complex64
    )
    y = np.exp(2j * np.pi / period * np.outer(np.arange(height) + 0.5, np.arange(limit + 1))).astype(np.complex64)
    rows = grid @ x
    return y.real @ rows.real - y.imag @ rows.imag
