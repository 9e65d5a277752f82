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
from provenance.watermarks.tile import period_of

if TYPE_CHECKING:
    from torch import Tensor, nn

_HALVINGS = np.array([10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000]) / 10000
"""Shares of all queries after which a square covers half as much (arXiv 1912.00049, section 4.1)."""
_FIRST_SHARE = 0.3
_BISECTIONS = 8
_STACK = 4
"""Neighbouring frames that a network sees together: the watermark keeps its sign for about seven."""
_PATTERNS = 16
_TRAINING_STEPS, _BATCH, _RATE = 300, 16, 2e-3


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
) -> tuple[Clip, int]:
    """Walk from a clip in which nothing is found back towards the marked one, asking only whether something is found.

    First along the line between them; then boxes of the difference's cosine coefficients are set to zero, those of low
    frequency first of all: the space that Triangle Attack searches (Wang et al., ECCV 2022, arXiv 2112.06569).
    start: any clip of that shape; its luma counts. Returns the nearest clip in which nothing is found, and how many
    questions were asked, at most `queries`. ValueError where something is found even at the start.
    """
    whole = start.luma.astype(np.float32) - clip.luma
    nearest = with_added(clip, whole)
    if is_found(nearest):
        raise ValueError("the walk must begin where nothing is found")
    share, asked = 1.0, 1
    for step in range(min(_BISECTIONS, queries - 1)):
        candidate = with_added(clip, whole, share - 2.0 ** -(step + 1))
        asked += 1
        if not is_found(candidate):
            share, nearest = share - 2.0 ** -(step + 1), candidate
    kept, quality = dctn(share * whole, norm="ortho"), psnr(clip.luma, nearest.luma)
    for _ in range(4 * queries):  # some boxes hold nothing, and are not asked about
        if asked >= queries:
            break
        tried = kept.copy()
        tried[_box_at(kept.shape, random)] = 0
        candidate = with_added(clip, idctn(tried, norm="ortho"))
        better = psnr(clip.luma, candidate.luma)
        if better > quality:
            asked += 1
            if not is_found(candidate):
                kept, nearest, quality = tried, candidate, better
    return nearest, asked


def _box_at(shape: tuple[int, ...], random: np.random.Generator) -> tuple[slice, ...]:
    """A box of cosine coefficients (time, height, width): a half to a sixteenth of each side, more often a low one."""
    sizes = [max(1, round(side / 2 ** random.integers(1, 5))) for side in shape]
    corner = [int((side - size + 1) * random.random() ** 2) for side, size in zip(shape, sizes, strict=True)]
    return tuple(slice(at, at + size) for at, size in zip(corner, sizes, strict=True))


def surrogate(marked: Sequence[Clip], unmarked: Sequence[Clip], seed: int) -> tuple[nn.Module, float]:
    """Train a small network to tell marked clips from unmarked ones, as attackers who may ask nobody do (Saberi et al.,
    ICLR 2024, arXiv 2310.00076). Returns it, and of what share of the stacks of frames held out it is right.

    marked, unmarked: clips of one size, four or more of each, the same number; the last quarter is held out.
    The attacker has read `provenance.watermarks.tile`, and looks at the mean tile of each stack (`_tiles`): a layer
    whose kernels are as large as a tile and stand side by side. The network says above 0 for a marked one. ValueError
    for fewer clips.
    """
    import torch
    from torch import nn

    if len(marked) != len(unmarked) or len(marked) < 4:
        raise ValueError(f"{len(marked)} marked and {len(unmarked)} unmarked clips teach nothing")
    random, held = np.random.default_rng(seed), len(marked) // 4
    tiles = torch.stack([torch.stack([_tiles(_luma(one)) for one in both]) for both in (unmarked, marked)])
    known, unknown = (part.flatten(1, 2) for part in (tiles[:, :-held], tiles[:, -held:]))  # (2, stacks, values)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = nn.Sequential(
            nn.Linear(tiles.shape[-1], _PATTERNS, bias=False), nn.Linear(_PATTERNS, 2 * _PATTERNS), nn.ReLU(),
            nn.Linear(2 * _PATTERNS, 1),
        )  # fmt: skip
    optimiser = torch.optim.Adam(net.parameters(), _RATE)
    labels = torch.tensor([0.0, 1.0]).repeat_interleave(_BATCH // 2)[:, None]
    for _ in range(_TRAINING_STEPS):
        chosen = torch.from_numpy(random.integers(known.shape[1], size=_BATCH // 2))
        loss = nn.functional.binary_cross_entropy_with_logits(net(known[:, chosen].flatten(0, 1)), labels)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    with torch.no_grad():
        right = [(net(of) > 0) == bool(label) for label, of in enumerate(unknown)]
    return net.eval().requires_grad_(False), float(torch.cat(right).float().mean())


def descend(clip: Clip, net: nn.Module, eps: float, steps: int = 20) -> Clip:
    """Projected gradient descent (Madry et al., ICLR 2018, arXiv 1706.06083): what at most eps levels can do to make a
    network of `surrogate` take every frame for unmarked.
    """
    import torch

    luma = _luma(clip)
    change = torch.zeros_like(luma, requires_grad=True)
    for _ in range(steps):
        (slope,) = torch.autograd.grad(net(_tiles(luma + change)).sum(), change)
        with torch.no_grad():
            change -= 2.5 * eps / steps * slope.sign()
            change.clamp_(-eps, eps)
    return with_added(clip, change.detach().numpy())


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

    return torch.from_numpy(clip.luma.astype(np.float32))


def _tiles(luma: Tensor) -> Tensor:
    """Luma float32 (time, height, width) -> (stacks, side * side): the mean tile of the mean of neighbouring frames,
    freed of what is coarser than a fifth of a tile, at unit mean magnitude of the frame.

    Tiles fit exactly where they are a whole number of pixels, as at 320 x 180, 640 x 360 and 1280 x 720.
    """
    from torch.nn import functional

    height, width = luma.shape[1:]
    side = round(period_of(width, height))
    around = 2 * (side // 10) + 1
    stacks = luma[: len(luma) // _STACK * _STACK].unflatten(0, (-1, _STACK)).mean(1, keepdim=True)
    detail = stacks - functional.avg_pool2d(stacks, around, 1, around // 2, count_include_pad=False)
    detail = (detail / (detail.abs().mean((1, 2, 3), keepdim=True) + 0.5)).clamp(-2, 2)
    whole = functional.pad(detail, (0, -width % side, 0, -height % side))  # zeros up to whole tiles
    return whole.unflatten(3, (-1, side)).unflatten(2, (-1, side)).mean((1, 2, 4)).flatten(1)
