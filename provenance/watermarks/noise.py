"""Noise that carries signs: the layout under the latent watermark.

The initial noise of a diffusion sampler, float (channels, frames, height, width), is seen through an orthonormal
2-D DCT of every frame of every channel. Its coefficients fall into groups of (channel, frame, band), bands by the
largest spatial index: 0-1, 2-3, 4-7, 8-15 and so on. Inside each group stands a keyed rotation Q; a group carries n
signs s as ``sqrt(energy / n) * Q s``, the energy drawn from chi-square with n degrees of freedom, so that the noise
has the covariance and the energies of N(0, I), while every sign has the same magnitude within its group: none is too
small to survive a codec (references: Yang et al., Gaussian Shading, 2024; T2SMark, 2025, for the tail argument).

Which carriers belong to the pilot, to verification and to the payload is a keyed permutation over all groups.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from scipy.fft import dctn, idctn

from provenance.keys import KeyStream

NONCE_BITS = 16
Shape = tuple[int, int, int, int]


@dataclass(frozen=True)
class NoiseLayout:
    """The keyed layout for one shape of noise: (channels, frames, height, width)."""

    stream: KeyStream
    shape: Shape

    def __post_init__(self) -> None:
        if len(self.shape) != 4 or min(self.shape) < 1:
            raise ValueError(f"noise has the shape (channels, frames, height, width), not {self.shape}")
        if self.size < 2048:
            raise ValueError(f"{self.size} noise values are too few to carry an id; 2048 is the least")

    @property
    def size(self) -> int:
        """How many values the noise has, and as many carriers."""
        return int(np.prod(self.shape))

    @property
    def pilot_length(self) -> int:
        """A power of two: at most a quarter of the carriers, at most 2^16."""
        return 1 << min(NONCE_BITS, (self.size // 4).bit_length() - 1)

    @cached_property
    def bands(self) -> list[np.ndarray]:
        """Flat indices (n,) into one frame's (height, width) coefficients, one array per band, low to high."""
        rows, columns = np.mgrid[: self.shape[2], : self.shape[3]]
        octave = np.floor(np.log2(np.maximum(np.maximum(rows, columns), 1))).astype(int).ravel()
        return [np.flatnonzero(octave == band) for band in range(octave.max() + 1)]

    @cached_property
    def group_of(self) -> np.ndarray:
        """int64 (size,): for each carrier, channel * bands + band: those that share a reliability."""
        channels, frames, height, width = self.shape
        band = np.empty(height * width, dtype=np.int64)
        for index, members in enumerate(self.bands):
            band[members] = index
        channel = np.arange(channels)[:, None, None] * len(self.bands)
        return np.broadcast_to(channel + band, (channels, frames, height * width)).reshape(-1).copy()

    @cached_property
    def _order(self) -> np.ndarray:
        return self.stream.permutation("carriers", self.size)

    @property
    def pilot(self) -> np.ndarray:
        """Carriers (pilot_length,) of the pilot."""
        return self._order[: self.pilot_length]

    @property
    def verification(self) -> np.ndarray:
        """Carriers (size / 8,) whose signs are known once the nonce is."""
        return self._order[self.pilot_length : self.pilot_length + self.size // 8]

    @property
    def payload(self) -> np.ndarray:
        """All other carriers."""
        return self._order[self.pilot_length + self.size // 8 :]

    def pilot_signs(self, nonce: int) -> np.ndarray:
        """Signs (pilot_length,) of one of 2^16 pilots: a Walsh function times one of a few keyed masks."""
        row, mask = nonce % self.pilot_length, nonce // self.pilot_length
        walsh = 1 - 2 * (np.bitwise_count(np.arange(self.pilot_length) & row) & 1).astype(np.int8)
        return walsh * self._pilot_mask(mask)

    def _pilot_mask(self, mask: int) -> np.ndarray:
        return self.stream.signs(f"pilot-mask/{mask}", self.pilot_length)

    def nonce_scores(self, values: np.ndarray) -> np.ndarray:
        """Correlate carriers (size,) with all 2^16 pilots by fast Hadamard transforms: float (65536,)."""
        heard = values[self.pilot]
        masks = (1 << NONCE_BITS) // self.pilot_length
        return np.concatenate([hadamard(heard * self._pilot_mask(mask)) for mask in range(masks)])

    def verification_signs(self, nonce: int) -> np.ndarray:
        """Signs (size / 8,) that every clip with this nonce carries."""
        return self.stream.derive(f"nonce/{nonce}").signs("verification", self.size // 8)

    def payload_mask(self, nonce: int) -> np.ndarray:
        """Signs over the payload carriers that hide the code word."""
        return self.stream.derive(f"nonce/{nonce}").signs("payload", len(self.payload))

    @cached_property
    def _rotations(self) -> list[list[np.ndarray]]:
        """Per channel and band a keyed orthogonal matrix (n, n), by QR with positive diagonal (Haar, Mezzadri 2007)."""
        return [
            [
                _haar(self.stream.normals(f"rotation/{channel}/{band}", len(m) ** 2).reshape(len(m), -1))
                for band, m in enumerate(self.bands)
            ]
            for channel in range(self.shape[0])
        ]

    def to_noise(self, signs: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Turn signs (size,) into noise float32 (channels, frames, height, width); `rng` draws the energies."""
        channels, frames, height, width = self.shape
        carriers = signs.reshape(channels, frames, height * width).astype(np.float64)
        spectrum = np.empty_like(carriers)
        for channel in range(channels):
            for members, rotation in zip(self.bands, self._rotations[channel], strict=True):
                energy = rng.chisquare(len(members), size=(frames, 1))
                spectrum[channel][:, members] = np.sqrt(energy / len(members)) * (
                    carriers[channel][:, members] @ rotation.T
                )
        return idctn(spectrum.reshape(self.shape), axes=(2, 3), norm="ortho").astype(np.float32)

    def to_carriers(self, noise: np.ndarray) -> np.ndarray:
        """Turn noise (channels, frames, height, width) back into carriers float64 (size,), unit energy per group."""
        if noise.shape != self.shape:
            raise ValueError(f"noise of shape {noise.shape} for a layout of {self.shape}")
        channels, frames = self.shape[:2]
        spectrum = dctn(np.nan_to_num(noise.astype(np.float64)), axes=(2, 3), norm="ortho").reshape(
            channels, frames, -1
        )
        carriers = np.empty_like(spectrum)
        for channel in range(channels):
            for members, rotation in zip(self.bands, self._rotations[channel], strict=True):
                turned = spectrum[channel][:, members] @ rotation
                scale = np.sqrt((turned**2).mean(axis=1, keepdims=True))
                carriers[channel][:, members] = turned / np.maximum(scale, 1e-9)
        return carriers.reshape(-1)


@lru_cache(maxsize=16)
def layout_for(stream: KeyStream, shape: Shape) -> NoiseLayout:
    """Return the layout of a key, kept for the next clip: its rotations cost more than a reading does."""
    return NoiseLayout(stream, shape)


def hadamard(values: np.ndarray) -> np.ndarray:
    """Return the Walsh-Hadamard transform (natural order) of float (n,), n a power of two, in n log n steps."""
    result = values.astype(np.float64)
    length = 1
    while length < len(result):
        pairs = result.reshape(-1, 2, length)
        result = np.stack([pairs[:, 0] + pairs[:, 1], pairs[:, 0] - pairs[:, 1]], axis=1).reshape(-1)
        length *= 2
    return result


def _haar(normals: np.ndarray) -> np.ndarray:
    q, r = np.linalg.qr(normals)
    return q * np.sign(np.diag(r))
