"""S1: the spectrum of what remains when smooth content is taken away, in time above all.

A camera's noise is new in every frame; a generator's fine detail is drawn by a decoder from a latent that changes
more slowly, often in steps of four frames. After the canonical encoding little of the spatial trace is left, so the
values describe mostly *how fast* the residual of each spatial band changes, in luma and in both colour differences.
All values are ratios (logarithms of shares), so neither contrast nor motion amount enters directly.
(Frequency traces in time and space: Corvi et al., "Seeing What Matters", NeurIPS 2025, section 3.)
"""

from __future__ import annotations

import itertools

import cv2
import numpy as np
from numpy.typing import NDArray

from detectors.canonical import FRAMES, SIDE, CanonicalFrames

TILE = 112
"""Side of the centre tile that is transformed, pixels: the tile has no border effects of scaling."""
BAND_EDGES = (0.06, 0.125, 0.25, 0.5)
"""Edges of the spatial bands, cycles per pixel."""
RADIAL_BINS = 10
"""Bins of the spatial spectrum between the lowest edge and the Nyquist frequency."""
ANGULAR_BINS = 4
"""Bins of direction (0, 45, 90, 135 degrees, each 45 wide) in the highest band."""
LAGS = (1, 2, 4, 8)
"""Frame distances at which the residual is compared with itself."""
_TINY = 1e-9


def residual_spectrum_names() -> tuple[str, ...]:
    """Names of the values of `residual_spectrum_features`, in their order."""
    bands = [f"luma.band{b}" for b in range(len(BAND_EDGES) - 1)]
    tempo = [f"{band}.tempo{k}" for band in [*bands, "cb", "cr"] for k in range(FRAMES // 2)]
    lags = [f"{plane}.lag{lag}" for plane in ("luma", "cb", "cr") for lag in LAGS]
    chroma = ["cb.share", "cr.share"]
    radial = [f"radial{k}" for k in range(RADIAL_BINS)] + [f"angle{k}" for k in range(ANGULAR_BINS)]
    return tuple(tempo + lags + chroma + radial)


def residual_spectrum_features(view: CanonicalFrames) -> NDArray[np.float32]:
    """(68,) log shares of the residual's energy over time, space and direction; lag correlations."""
    planes = _planes(view)  # luma, cb, cr: (16, 112, 112)
    power = {name: _power(plane) for name, plane in planes.items()}  # (9, 112, 57)
    radius = _radius()
    values: list[float] = []
    for low, high in itertools.pairwise(BAND_EDGES):
        values += _tempo(power["luma"][:, (radius >= low) & (radius < high)])
    detail = (radius >= BAND_EDGES[0]) & (radius < BAND_EDGES[-1])
    values += _tempo(power["cb"][:, detail]) + _tempo(power["cr"][:, detail])
    for plane in planes.values():
        values += _lag_correlations(plane)
    energy = {name: float(p[1:, detail].sum()) for name, p in power.items()}
    values += [float(np.log((energy[name] + _TINY) / (energy["luma"] + _TINY))) for name in ("cb", "cr")]
    values += _radial(power["luma"][1:].sum(axis=0), radius) + _angular(power["luma"][1:].sum(axis=0), radius)
    return np.asarray(values, np.float32)


def _planes(view: CanonicalFrames) -> dict[str, NDArray[np.float32]]:
    """Luma, Cb and Cr of the centre tile less their own local mean, (16, 112, 112) each."""
    first = (SIDE - TILE) // 2
    tile = view.rgb[:, first : first + TILE, first : first + TILE].astype(np.float32)
    luma = tile @ np.array([0.299, 0.587, 0.114], np.float32)
    whole = {"luma": luma, "cb": (tile[..., 2] - luma) * 0.564, "cr": (tile[..., 0] - luma) * 0.713}
    return {name: np.stack([f - cv2.GaussianBlur(f, (0, 0), 2.0) for f in plane]) for name, plane in whole.items()}


def _power(plane: NDArray[np.float32]) -> NDArray[np.float64]:
    """(9, 112, 57) power over (time, vertical, horizontal) frequency under Hann windows, time mean taken off."""
    window = np.hanning(FRAMES + 2)[1:-1, None, None] * np.hanning(TILE)[:, None] * np.hanning(TILE)
    spectrum = np.fft.rfftn(plane * window, axes=(1, 2))
    return np.asarray(np.abs(np.fft.fft(spectrum, axis=0)[: FRAMES // 2 + 1]) ** 2)


def _radius() -> NDArray[np.float64]:
    """(112, 57) spatial frequency of each coefficient, cycles per pixel."""
    return np.hypot(np.fft.fftfreq(TILE)[:, None], np.fft.rfftfreq(TILE)[None])


def _log_shares(energies: NDArray[np.float64]) -> list[float]:
    return [float(v) for v in np.log(energies + _TINY) - np.log(energies.sum() + _TINY)]


def _tempo(power: NDArray[np.float64]) -> list[float]:
    """Eight log shares of energy over time frequency 1/16 … 1/2 per frame; the still part is left out."""
    return _log_shares(power.sum(axis=1)[1:])


def _lag_correlations(plane: NDArray[np.float32]) -> list[float]:
    """Correlation of the residual with itself `LAGS` frames later, over all pixels."""
    moving = plane - plane.mean(axis=0)
    scale = float((moving**2).mean()) + _TINY
    return [float((moving[lag:] * moving[:-lag]).mean()) / scale for lag in LAGS]


def _radial(power: NDArray[np.float64], radius: NDArray[np.float64]) -> list[float]:
    edges = np.linspace(BAND_EDGES[0], BAND_EDGES[-1], RADIAL_BINS + 1)
    bins = np.digitize(radius, edges) - 1
    return _log_shares(np.array([power[bins == k].sum() for k in range(RADIAL_BINS)]))


def _angular(power: NDArray[np.float64], radius: NDArray[np.float64]) -> list[float]:
    vertical, horizontal = np.fft.fftfreq(TILE)[:, None], np.fft.rfftfreq(TILE)[None]
    angle = np.mod(np.degrees(np.arctan2(vertical, horizontal + 0 * vertical)) + 22.5, 180)
    high = (radius >= BAND_EDGES[-2]) & (radius < BAND_EDGES[-1])
    sectors = [high & (angle // 45 == k) for k in range(ANGULAR_BINS)]
    return _log_shares(np.array([power[s].sum() for s in sectors]))
