"""Attacks that learn: from a reader's answers, from clips with and without a mark, or by holding the key.

All work on luma: what they change is added to red, green and blue alike. They draw from the generator that is given,
and never change their input. Scores are the log10 p that a reader states: the higher, the less is seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np
from scipy.fft import dctn, idctn

from benchmarks.attacks.forgery import with_added
from provenance.quality import psnr
from provenance.video.clip import Clip

if TYPE_CHECKING:
    from torch import Tensor, nn

_HALVINGS = np.array([10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000]) / 10000
"""Shares of all queries after which a square covers half as much (arXiv 1912.00049, section 4.1)."""
_FIRST_SHARE = 0.3
_BISECTIONS = 8
_TRAINING_STEPS, _BATCH = 150, 16


def square(
    clip: Clip,
    score: Callable[[Clip], float],
    eps: float,
    queries: int,
    random: np.random.Generator,
    enough: float,
) -> tuple[Clip, int]:
    """Square attack (Andriushchenko et al., ECCV 2020, arXiv 1912.00049), L-infinity, with a stretch of frames besides.

    Squares of +-eps levels are tried, smaller and smaller, and kept where the score does not fall, until it exceeds
    `enough`. Returns the clip and how many questions were asked, at most `queries`.
    """
    shape: tuple[int, ...] = clip.frames.shape[:3]
    change = np.zeros(shape, dtype=np.float32)
    best, asked, reached = score(clip), 1, clip
    while asked < queries and best <= enough:
        halvings = int((asked / queries >= _HALVINGS).sum())
        share = math.sqrt(_FIRST_SHARE / 2**halvings)
        sizes = [max(1, round(side * share)) for side in shape[1:]]
        sizes.insert(0, max(1, round(len(clip) / 2 ** random.integers(0, 5))))
        corner = [int(random.integers(whole - size + 1)) for whole, size in zip(shape, sizes, strict=True)]
        tried = change.copy()
        tried[tuple(slice(at, at + size) for at, size in zip(corner, sizes, strict=True))] = eps * random.choice(
            [-1, 1]
        )
        candidate = with_added(clip, tried)
        value = score(candidate)
        asked += 1
        if value >= best:
            change, best, reached = tried, value, candidate
    return reached, asked


def decisions(
    clip: Clip, start: Clip, is_found: Callable[[Clip], bool], queries: int, random: np.random.Generator
) -> Clip:
    """Walk from a clip in which nothing is found back towards the marked one, asking only whether something is found.

    First along the line between them; then blocks of the difference's cosine coefficients are set to zero, those of
    low frequency first of all: the space that Triangle Attack searches (Wang et al., ECCV 2022, arXiv 2112.06569).
    Returns the nearest clip in which nothing is found; `start` itself where something is found even there.
    """
    whole = start.luma.astype(np.float32) - clip.luma
    if is_found(start):
        return start
    low, high = 0.0, 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if is_found(with_added(clip, whole, middle)) else (low, middle)
    nearest = with_added(clip, whole, high)
    kept = dctn(high * whole, norm="ortho").astype(np.float32)
    for _ in range(max(0, queries - _BISECTIONS - 1)):
        sizes = [max(1, round(side / 2 ** random.integers(1, 4))) for side in kept.shape]
        corner = [int((side - size + 1) * random.random() ** 2) for side, size in zip(kept.shape, sizes, strict=True)]
        tried = kept.copy()
        tried[tuple(slice(at, at + size) for at, size in zip(corner, sizes, strict=True))] = 0
        candidate = with_added(clip, idctn(tried, norm="ortho"))
        if psnr(clip.luma, candidate.luma) > psnr(clip.luma, nearest.luma) and not is_found(candidate):
            kept, nearest = tried, candidate
    return nearest


def surrogate(marked: Sequence[Clip], unmarked: Sequence[Clip], seed: int) -> tuple[nn.Module, float]:
    """Train a small network to tell frames of marked clips from others; returns it and how often it is right.

    marked, unmarked: clips of one size; the last quarter of each is held out, and tells how often. It takes the
    luma's detail, float32 (frames, 1, height, width), and says how surely a frame is marked. ValueError for fewer than
    two clips of a kind.
    """
    if min(len(marked), len(unmarked)) < 2:
        raise ValueError("nothing would be left to learn from, or to be asked about")
    import torch
    from torch import nn

    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(1, 8, 7, 4, 3), nn.ReLU(), nn.Conv2d(8, 16, 5, 2, 2), nn.ReLU(), nn.Conv2d(16, 32, 5, 2, 2),
        nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 1),
    )  # fmt: skip
    held = max(1, len(marked) // 4)
    frames = torch.cat([_detail(_luma(one)) for one in (*marked[:-held], *unmarked[:-held])])
    labels = torch.cat(
        [torch.full((len(one), 1), float(of is marked)) for of in (marked, unmarked) for one in of[:-held]]
    )
    optimiser = torch.optim.Adam(net.parameters(), 2e-3)
    draws = torch.Generator().manual_seed(seed)
    for _ in range(_TRAINING_STEPS):
        chosen = torch.randint(len(frames), (_BATCH,), generator=draws)
        loss = nn.functional.binary_cross_entropy_with_logits(net(frames[chosen]), labels[chosen])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    with torch.no_grad():
        right = [
            ((net(_detail(_luma(one))) > 0) == (of is marked)).float().mean().item()
            for of in (marked, unmarked)
            for one in of[-held:]
        ]
    return net.eval(), float(np.mean(right))


def descend(clip: Clip, net: nn.Module, eps: float, steps: int = 10) -> Clip:
    """Projected gradient descent (Madry et al., ICLR 2018, arXiv 1706.06083): what at most eps levels can do to make a
    network of `surrogate` take every frame for unmarked.
    """
    import torch

    luma = _luma(clip)
    change = torch.zeros_like(luma, requires_grad=True)
    for _ in range(steps):
        (slope,) = torch.autograd.grad(net(_detail(luma + change)).sum(), change)
        with torch.no_grad():
            change -= 2 * eps / steps * slope.sign()
            change.clamp_(-eps, eps)
    return with_added(clip, change.detach()[:, 0].numpy())


def with_key(clip: Clip, embed: Callable[[Clip], Clip], eps: float) -> Clip:
    """Take off, at most eps levels of it, what marking the clip once more with its own id adds: who holds the key and
    has read the id makes the same pattern again.
    """
    again = embed(clip).luma.astype(np.float32) - clip.luma
    return with_added(clip, np.clip(again, -eps, eps), -1.0)


def degraded(clip: Clip, random: np.random.Generator) -> Clip:
    """Return a clip in which little is left to be found, whatever it looks like: coarse, blurred and noisy."""
    height, width = clip.frames.shape[1:3]
    frames = np.empty_like(clip.frames)
    for index, frame in enumerate(clip.frames):
        small = cv2.resize(frame, (max(1, width // 16), max(1, height // 16)), interpolation=cv2.INTER_AREA)
        coarse = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
        grain = random.normal(0, 12, (height, width, 1))
        frames[index] = np.clip(np.rint(coarse + grain), 0, 255).astype(np.uint8)
    return Clip(frames, clip.times)


def _luma(clip: Clip) -> Tensor:
    import torch

    return torch.from_numpy(clip.luma.astype(np.float32))[:, None]


def _detail(luma: Tensor) -> Tensor:
    """What is finer than about 9 pixels, in eighths of a level or so that a network likes."""
    from torch.nn import functional

    around = functional.avg_pool2d(functional.pad(luma, (8, 8, 8, 8), mode="reflect"), 17, 1)
    return ((luma - around) / 8).clamp(-2, 2)
