"""Rectified flow: the straight path between data and noise, its loss, and its two directions side by side.

x(t) = (1 - t) data + t noise, velocity = noise - data (Liu et al., "Flow Straight and Fast", 2022; logit-normal
times after Esser et al., "Scaling Rectified Flow Transformers", 2024). t = 0 is data, t = 1 is noise.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch
from torch import Tensor

Velocity = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(x (n, C, t, h, w), time (n,), labels (n, attributes)) -> velocity like x."""


def noisy(data: Tensor, noise: Tensor, time: Tensor) -> Tensor:
    """The point at `time` (n,) on the path from data to noise."""
    t = time.view(-1, *[1] * (data.ndim - 1))
    return (1 - t) * data + t * noise


def logit_normal_times(n: int, generator: torch.Generator | None = None) -> Tensor:
    """n training times, sigmoid of a normal variable, stratified so that each batch covers all of them."""
    ranks = (torch.arange(n) + torch.rand(n, generator=generator)) / n
    return torch.sigmoid(torch.special.ndtri(ranks.clamp(1e-4, 1 - 1e-4)))[torch.randperm(n, generator=generator)]


def loss(velocity: Tensor, data: Tensor, noise: Tensor) -> Tensor:
    """Mean squared error of a predicted velocity."""
    return (velocity - (noise - data)).square().mean()


def guided(velocity: Velocity, null: Tensor, guidance: float) -> Velocity:
    """Classifier-free guidance (Ho & Salimans, 2022): null + guidance * (prompted - null); 1 means plain.

    The data that the result points at keep the deviation per channel that the prompted velocity alone gives them, as
    guidance would raise the contrast (Lin et al., "Common Diffusion Noise Schedules and Sample Steps are Flawed").
    """
    if guidance == 1.0:
        return velocity

    def both(x: Tensor, time: Tensor, labels: Tensor) -> Tensor:
        twice = velocity(torch.cat((x, x)), torch.cat((time, time)), torch.cat((labels, null.expand_as(labels))))
        prompted, unprompted = twice.chunk(2)
        t = time.view(-1, 1, 1, 1, 1)
        data = x - t * (unprompted + guidance * (prompted - unprompted))
        mean = data.mean(dim=(2, 3, 4), keepdim=True)
        calm = (x - t * prompted).std(dim=(2, 3, 4), keepdim=True) / data.std(dim=(2, 3, 4), keepdim=True)
        return (x - mean - (data - mean) * calm) / t

    return both


def sample(
    velocity: Velocity,
    noise: Tensor,
    labels: Tensor,
    *,
    steps: int = 20,
    start: float = 1.0,
    keep: Callable[[Tensor, float], Tensor] | None = None,
) -> Tensor:
    """From x(start) to data by Euler steps: (n, C, t, h, w) -> the same.

    `noise` is x(start), noise itself where start is 1. `keep(x, time)` may set known parts of x before each step.
    """
    x = noise
    times = torch.linspace(start, 0.0, steps + 1)
    for now, then in itertools.pairwise(times):
        x = x if keep is None else keep(x, float(now))
        x = x + (then - now) * velocity(x, now.expand(len(x)), labels)
    return x if keep is None else keep(x, 0.0)


def invert(velocity: Velocity, data: Tensor, labels: Tensor, *, steps: int = 10, start: float = 0.2) -> Tensor:
    """From data back to the noise it was sampled from, by Euler steps: (n, C, t, h, w) -> the same.

    Starts late, at x(start) = (1 - start) data, as the noise there has mean 0: near t = 0 the flow would amplify what a
    codec did. With start 0 it is the plain reverse of `sample`.
    """
    x = (1 - start) * data
    times = torch.linspace(start, 1.0, steps + 1)
    for now, then in itertools.pairwise(times):
        x = x + (then - now) * velocity(x, now.expand(len(x)), labels)
    return x
