"""Finding how a frame lies on the tile when it is not the whole frame any more: mirrored, or cropped along its axes.

A crop leaves the tile where it was and makes the frame smaller, so the periods seem larger than the frame's size says,
whether it was scaled back or not; scaled back with another aspect ratio they differ a little between x and y. The
search sums the spectrum of a chunk coherently for each of the 256 starts of the sign sequence, looks the ten pilot
lines up under some thousands of maps, and refines the best: first their coherent sum over all shifts, then the periods.
It uses the pilot and nothing else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import cv2
import numpy as np
import scipy.fft

from provenance.watermarks.chunk import Chunk, Geometry, View
from provenance.watermarks.front import LEVELS
from provenance.watermarks.reading import KeyReader
from provenance.watermarks.sync import START_SECONDS, STARTS
from provenance.watermarks.tile import harmonics

FLIPS = ((-1, 1), (1, -1), (-1, -1))
SCALES = (0.86, 1.95)
"""Range of true period / period of the whole frame: crops down to about half the side, and slight padding."""

_SCALE_STEP = 0.008
_ASPECT_STEPS = 15  # to both sides: 12 % of difference between x and y
_PADDING = 2
_LINE_CAP = 14.0
_FLOOR_SIDE = 11
_PROPOSALS_REFINED = 8
_LEAST_SCORE = 6.5
_SHIFT_GRID = 64


def mirrored(view: View) -> list[View]:
    """Return the whole frame's three mirror images."""
    return [view.moved(Geometry.identity(*view.chunk.size, *flip)) for flip in FLIPS]


@dataclass(frozen=True)
class Proposal:
    """A geometry, and how far the pilot stands out there, in standard deviations, near enough."""

    geometry: Geometry
    start: int
    score: float


@dataclass(frozen=True, eq=False)
class StepImages:
    """A chunk, filtered in time and added up in steps of the sign sequence: what all keys' searches share.

    images: float32 (steps, h, w), area-reduced. middles: float64 (steps,) seconds. size: of the examined frame.
    """

    images: np.ndarray
    middles: np.ndarray
    size: tuple[int, int]

    @classmethod
    def of(cls, view: View, kernel: np.ndarray) -> StepImages:
        """Prepare a chunk, filtered in time by one of its identity view's filters."""
        chunk = view.chunk
        height, width = chunk.frames.shape[1:]
        factor = 2 if math.sqrt(width * height) >= 300 else 1
        small = np.stack([_reduced(frame, factor) for frame in chunk.frames])
        step = np.floor(chunk.times / START_SECONDS + 1e-6).astype(np.int64)
        steps, place = np.unique(step, return_inverse=True)
        adding = (place[None, :] == np.arange(len(steps))[:, None]).astype(np.float32)
        mixing = adding @ kernel
        images = (mixing @ small.reshape(len(small), -1)).reshape(len(steps), *small.shape[1:])
        return cls(images, (steps + 0.5) * START_SECONDS, chunk.size)

    @cached_property
    def spectrum(self) -> tuple[np.ndarray, int]:
        """Complex64 (steps, 2 n + 1, m): fy from -n to n, fx from 0, in half cycles per frame; and n."""
        height, width = self.images.shape[1:]
        shape = (_PADDING * height, _PADDING * width)
        full = scipy.fft.rfft2(self.images, s=shape, axes=(1, 2))
        rows, columns = (_PADDING * math.ceil(reach) + 1 for reach in self._reach())
        rows, columns = min(rows, shape[0] // 2 - 1), min(columns, shape[1] // 2)
        return np.concatenate([full[:, -rows:, :columns], full[:, : rows + 1, :columns]], axis=1), rows

    def _reach(self) -> tuple[float, float]:
        """Most cycles per frame, in y and x, at which a pilot line may lie."""
        width, height = self.size
        period = Geometry.identity(width, height).period_x * SCALES[0]
        return 13.5 * height / period, 13.5 * width / period


def _reduced(frame: np.ndarray, factor: int) -> np.ndarray:
    values = frame.astype(np.float32) / LEVELS
    if factor == 1:
        return values
    size = (frame.shape[1] // factor, frame.shape[0] // factor)
    return cv2.resize(values, size, interpolation=cv2.INTER_AREA)


_AROUND = np.stack(np.meshgrid([-1.0, 0.0, 1.0], [-1.0, 0.0, 1.0], indexing="ij"), axis=-1).reshape(-1, 2)
"""(9, 2): a place and its neighbours."""


@lru_cache
def _maps() -> np.ndarray:
    """Return float64 (n, 2): the scales in x and y that are tried, isotropic ones first."""
    count = math.ceil(math.log(SCALES[1] / SCALES[0]) / _SCALE_STEP)
    scale = SCALES[0] * np.exp(_SCALE_STEP * np.arange(count + 1))
    ratio = np.exp(_SCALE_STEP * np.arange(1, _ASPECT_STEPS + 1) / 2)
    ratio = np.concatenate([[1.0], ratio, 1 / ratio])
    return np.stack([np.outer(ratio, scale).ravel(), np.outer(1 / ratio, scale).ravel()], axis=1)


def propose(images: StepImages, reader: KeyReader, count: int) -> list[Proposal]:
    """Return the likeliest geometries for one key, best first; none where no pilot stands out."""
    spectrum, middle = images.spectrum
    signs = reader.sequence.amplitudes(images.middles, np.arange(STARTS), 0.0)
    steps, rows, columns = spectrum.shape
    sums = signs.astype(np.complex64) @ spectrum.reshape(steps, -1)
    power = (sums.real**2 + sums.imag**2).reshape(STARTS, rows, columns)
    logs = np.log(power.mean(axis=0) + np.float32(1e-20))
    floor = np.exp(cv2.blur(logs, (_FLOOR_SIDE, _FLOOR_SIDE)) + np.float32(np.euler_gamma))  # lines hardly raise it
    lines = _limit(power / floor).reshape(STARTS, -1).T.copy()
    found = []
    for mirror in (1, -1):
        scores = _look_up(lines, _line_places(images, reader, mirror, middle, columns))
        for index, start in _peaks(scores):
            found.append(_refined(images, reader, signs[start], start, _maps()[index], mirror, floor, middle))
    kept: list[Proposal] = []
    for proposal in sorted(found, key=lambda one: -one.score):
        if proposal.score >= _LEAST_SCORE and not any(_alike(proposal.geometry, one.geometry) for one in kept):
            kept.append(proposal)
    return kept[:count]


def _alike(one: Geometry, other: Geometry) -> bool:
    far = max(abs(math.log(one.period_x / other.period_x)), abs(math.log(one.period_y / other.period_y)))
    return (one.flip_x, one.flip_y) == (other.flip_x, other.flip_y) and far < 2 * _SCALE_STEP


def _limit(ratio: np.ndarray) -> np.ndarray:
    """Let no single line decide: beyond the cap only the logarithm counts. Works in place."""
    over = ratio > _LINE_CAP
    ratio[over] = _LINE_CAP * (1 + np.log(ratio[over] / _LINE_CAP))
    return ratio


def _line_places(images: StepImages, reader: KeyReader, mirror: int, middle: int, columns: int) -> np.ndarray:
    """Return int64 (maps, 10): where each pilot line lies in the flattened spectrum under each map."""
    k = harmonics()[reader.tile.pilots] * (mirror, 1)
    width, height = images.size
    period = Geometry.identity(width, height).period_x
    fx = _PADDING * k[:, 0] * width / period / _maps()[:, :1]
    fy = _PADDING * k[:, 1] * height / period / _maps()[:, 1:]
    turn = np.where(fx < 0, -1, 1)
    column = np.clip(np.rint(fx * turn).astype(np.int64), 0, columns - 1)
    row = np.clip(np.rint(fy * turn).astype(np.int64), -middle, middle) + middle
    return row * columns + column


def _look_up(lines: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return float32 (maps, starts): the summed power of the ten lines."""
    scores = np.zeros((len(places), lines.shape[1]), dtype=np.float32)
    for line in range(places.shape[1]):
        scores += lines[places[:, line]]
    return scores


def _peaks(scores: np.ndarray) -> list[tuple[int, int]]:
    """Return the best (map, start) pairs; an isotropic map is worth the logarithm of how few they are."""
    isotropic = len(_maps()) // (2 * _ASPECT_STEPS + 1)
    adjusted = scores.copy()
    adjusted[isotropic:] -= math.log(len(scores) / isotropic)
    chosen: list[tuple[int, int]] = []
    logs = np.log(_maps())
    top = np.argpartition(adjusted, -2000, axis=None)[-2000:]
    for flat in top[np.argsort(-adjusted.ravel()[top], kind="stable")]:
        index, start = divmod(int(flat), scores.shape[1])
        near = [
            np.abs(logs[index] - logs[other]).max() < 1.5 * _SCALE_STEP
            and min((start - s) % STARTS, (s - start) % STARTS) < 3
            for other, s in chosen
        ]
        if not any(near):
            chosen.append((index, start))
        if len(chosen) == _PROPOSALS_REFINED // 2:
            break
    return chosen


def _refined(
    images: StepImages,
    reader: KeyReader,
    signs: np.ndarray,
    start: int,
    scale: np.ndarray,
    mirror: int,
    floor: np.ndarray,
    middle: int,
) -> Proposal:
    """Sharpen periods and shift by the coherent sum of the pilot lines."""
    image = (signs @ images.images.reshape(len(signs), -1)).reshape(images.images.shape[1:])
    best = (-math.inf, scale, (0.0, 0.0), 1)
    for spread in (_SCALE_STEP / 2, _SCALE_STEP / 5, _SCALE_STEP / 12):
        tried = best[1] * np.exp(_AROUND * spread)
        scores, shifts, turns = _coherent(image, images.size, reader, tried, mirror, floor, middle)
        first = int(scores.argmax())
        if scores[first] > best[0]:
            best = (float(scores[first]), tried[first], tuple(shifts[first].tolist()), int(turns[first]))
    score, scale, shift, turn = best
    period = Geometry.identity(*images.size).period_x
    geometry = Geometry(float(period * scale[0]), float(period * scale[1]), mirror * turn, turn, shift)
    return Proposal(geometry, start, score)


def _coherent(
    image: np.ndarray,
    size: tuple[int, int],
    reader: KeyReader,
    scales: np.ndarray,
    mirror: int,
    floor: np.ndarray,
    middle: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the best score of each scale (n, 2) over all shifts and half turns, the shift, and the half turn (1, -1).

    Shapes: (n,), (n, 2), (n,).
    """
    height, width = image.shape
    k = harmonics()[reader.tile.pilots]
    cycles = Geometry.identity(*size)
    fx = mirror * k[:, 0] * size[0] / (cycles.period_x * scales[:, :1])  # (n, 10), cycles per frame
    fy = k[:, 1] * size[1] / (cycles.period_y * scales[:, 1:])
    across = 2 * np.pi * np.outer((np.arange(width) + 0.5) / width, fx).astype(np.float32)
    down = 2 * np.pi * np.outer((np.arange(height) + 0.5) / height, fy).astype(np.float32)
    even, odd = np.split(image @ np.concatenate([np.cos(across), np.sin(across)], axis=1), 2, axis=1)
    summed = ((even - 1j * odd) * (np.cos(down) - 1j * np.sin(down))).sum(axis=0).reshape(fx.shape)
    turn = np.where(fx < 0, -1, 1)
    row = np.clip(np.rint(_PADDING * fy * turn).astype(int), -middle, middle) + middle
    column = np.clip(np.rint(_PADDING * fx * turn).astype(int), 0, floor.shape[1] - 1)
    lines = summed / np.sqrt(floor[row, column])
    phases = np.exp(-1j * reader.tile.pilot_phases)
    scores, shifts = _best_shifts(np.concatenate([lines * phases, lines.conj() * phases]), k)
    plain, turned = np.split(scores, 2)
    better = turned > plain
    return np.maximum(plain, turned), np.where(better[:, None], *np.split(shifts, 2)[::-1]), np.where(better, -1, 1)


@lru_cache
def _shift_waves(places: tuple[tuple[int, int], ...]) -> np.ndarray:
    k = np.array(places)
    u = np.arange(_SHIFT_GRID) / _SHIFT_GRID
    grid = np.stack(np.meshgrid(u, u, indexing="ij"), axis=-1).reshape(-1, 2)
    return np.exp(-2j * np.pi * grid @ k.T).astype(np.complex64)


def _best_shifts(values: np.ndarray, k: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the best coherent sum (n,) of lines (n, 10) over shifts, in standard deviations, and the shifts (n, 2) in
    periods."""
    coarse = (_shift_waves(tuple(map(tuple, k.tolist()))) @ values.T.astype(np.complex64)).real
    shifts = np.stack(np.divmod(coarse.argmax(axis=0), _SHIFT_GRID), axis=1) / _SHIFT_GRID
    which = np.arange(len(values))
    for step in (1 / 256, 1 / 1024):
        around = shifts[:, None] + step * _AROUND  # (n, 9, 2)
        sums = np.einsum("nal,nl->na", np.exp(-2j * np.pi * around @ k.T), values).real
        best = sums.argmax(axis=1)
        shifts = around[which, best]
    return sums[which, best] / math.sqrt(len(k) / 2), shifts


__all__ = ["Chunk", "Proposal", "StepImages", "mirrored", "propose"]
