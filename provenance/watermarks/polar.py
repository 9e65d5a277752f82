"""The polar code of length 512 that carries a watermark message, and its list decoder.

Encoding: Arikan, "Channel Polarization", IEEE Trans. Inf. Theory 55 (2009), equation 70 without the bit reversal.
Information set: polarization weight (He et al., "Beta-Expansion: A Theoretical Framework for Fast and Recursive
Construction of Polar Codes", GLOBECOM 2017): a rule without a design point, as good here as Gaussian approximation.
Decoding: successive cancellation with a list (Tal and Vardy, "List Decoding of Polar Codes", IEEE Trans. Inf. Theory
61 (2015)) on log-likelihood ratios (Balatsoukas-Stimming et al., IEEE Trans. Signal Process. 63 (2015), equation 10),
all paths of the list at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

CODE_LENGTH = 512


@lru_cache
def information_set(bits: int) -> np.ndarray:
    """Return int64 (bits,): the positions, rising, of the most reliable input bits.

    The weight of position i is the value of its binary digits read to the base 2^(1/4).
    """
    digits = np.arange(CODE_LENGTH)[:, None] >> np.arange(CODE_LENGTH.bit_length() - 1) & 1
    weights = digits @ 2.0 ** (np.arange(digits.shape[1]) / 4)
    chosen = np.sort(np.argsort(np.round(weights, 9), kind="stable")[-bits:])
    chosen.setflags(write=False)
    return chosen


def transform(bits: np.ndarray) -> np.ndarray:
    """Return uint8 (..., 512): the polar transform of (..., 512) bits modulo 2, which is its own inverse."""
    out = np.array(bits, dtype=np.uint8)
    step = 1
    while step < out.shape[-1]:
        view = out.reshape(*out.shape[:-1], -1, 2, step)
        view[..., 0, :] ^= view[..., 1, :]
        step *= 2
    return out


def encode(message: np.ndarray) -> np.ndarray:
    """Return uint8 (512,): the codeword of a message of 0 and 1."""
    inputs = np.zeros(CODE_LENGTH, dtype=np.uint8)
    inputs[information_set(len(message))] = message
    return transform(inputs)


@dataclass(frozen=True)
class _Paths:
    """The partial codewords of one subtree: bits (paths, length), metrics (paths,), and each path's parent path."""

    bits: np.ndarray
    metrics: np.ndarray
    parents: np.ndarray


def _surprise(soft: np.ndarray) -> np.ndarray:
    """-ln P(bit = 0) of each log-likelihood ratio."""
    return np.logaddexp(np.float32(0), -soft)


def _fork(zero: np.ndarray, one: np.ndarray, length: int, list_size: int) -> _Paths:
    """Keep the best of twice as many paths, whose subtree is all zeros or all ones."""
    metrics = np.concatenate([zero, one])
    keep = np.arange(len(metrics))
    if len(metrics) > list_size:
        keep = np.argpartition(metrics, list_size)[:list_size]
    paths = len(zero)
    values = (keep >= paths).astype(np.uint8)
    return _Paths(np.repeat(values[:, None], length, axis=1), metrics[keep], keep % paths)


def _descend(soft: np.ndarray, metrics: np.ndarray, is_free: np.ndarray, list_size: int) -> _Paths:
    """Decode one subtree: soft (paths, length), metrics (paths,), is_free bool (length,)."""
    paths, length = soft.shape
    free = int(np.count_nonzero(is_free))
    if free == 0:
        zeros = np.zeros((paths, length), dtype=np.uint8)
        return _Paths(zeros, metrics + _surprise(soft).sum(axis=1), np.arange(paths))
    if free == 1 and is_free[-1]:
        zero, one = _surprise(soft).sum(axis=1), _surprise(-soft).sum(axis=1)
        return _fork(metrics + zero, metrics + one, length, list_size)
    half = length // 2
    first, second = soft[:, :half], soft[:, half:]
    magnitude = np.minimum(np.abs(first), np.abs(second)) * np.sign(first) * np.sign(second)
    check = magnitude + np.log1p(np.exp(-np.abs(first + second))) - np.log1p(np.exp(-np.abs(first - second)))
    left = _descend(check, metrics, is_free[:half], list_size)
    first, second = first[left.parents], second[left.parents]
    right = _descend(second + first * (1 - 2 * left.bits.astype(np.float32)), left.metrics, is_free[half:], list_size)
    upper = left.bits[right.parents] ^ right.bits
    return _Paths(np.hstack([upper, right.bits]), right.metrics, left.parents[right.parents])


def decode_list(soft: np.ndarray, message_bits: int, list_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the most likely messages, best first, and how surprising each is.

    soft: float (512,), ln P(received | bit 0) - ln P(received | bit 1).
    Returns uint8 (paths, message_bits) and float32 (paths,) metrics: -ln of the probability, up to rounding.
    """
    if soft.shape != (CODE_LENGTH,) or not np.all(np.isfinite(soft)):
        raise ValueError(f"expected {CODE_LENGTH} finite log-likelihood ratios")
    chosen = information_set(message_bits)
    is_free = np.zeros(CODE_LENGTH, dtype=bool)
    is_free[chosen] = True
    start = np.clip(np.asarray(soft, dtype=np.float32), -40, 40)[None, :]
    paths = _descend(start, np.zeros(1, dtype=np.float32), is_free, list_size)
    order = np.argsort(paths.metrics, kind="stable")
    return transform(paths.bits[order])[:, chosen], paths.metrics[order]
