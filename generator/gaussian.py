"""The best Gaussian model of latents: what the transformer need not learn.

In an orthonormal cosine basis over time, rows and columns the coefficients of latents are nearly uncorrelated. With
their means mu and variances lambda, the velocity of the flow of a Gaussian is known in closed form (a Wiener filter),
and so is the variance that it leaves unexplained. The transformer predicts only that rest, in units of its standard
deviation: the preconditioning of Karras et al., "Elucidating the Design Space of Diffusion-Based Generative Models"
(2022), table 1, for rectified flow and one variance per coefficient instead of a single one.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

EFFECTS = ((0,), (1,), (4,), (5,), (2,), (6,), (0, 1), (0, 4), (0, 5), (0, 2), (1, 4), (0, 1, 4))
"""Attributes, by place, whose combinations shift the means: what no later group has explained is left to the next."""
GAINS = ((0, 1), (0, 4), (0, 5))
"""Attributes, by place, whose combinations multiply the variances of each channel."""
LOWEST = (2, 6, 6)
"""How many coefficients over time, rows and columns the attributes shift."""
SHRINKAGE = 12
"""Clips of effect 0 that are added to each combination, so that rare ones do not follow single clips."""


def cosines(size: int) -> Tensor:
    """The orthonormal DCT-II as a matrix, (size, size): row k is the basis vector of frequency k."""
    place = (torch.arange(size, dtype=torch.float64) + 0.5) / size
    basis = torch.cos(math.pi * torch.arange(size, dtype=torch.float64)[:, None] * place) * math.sqrt(2 / size)
    basis[0] /= math.sqrt(2)
    return basis.float()


class Gaussian(nn.Module):
    """A Gaussian with independent cosine coefficients over latents of one shape (channels, time, height, width).

    The means of the lowest coefficients depend on the prompt's attributes: each of `EFFECTS` has a table with one row
    per combination of values, as in an analysis of variance, and a last row of zeros for "not said". What an effect
    that was not said would have explained is added to the variances. The variances depend on the first attribute, the
    scene (snow has more detail than a clear sky), and each of `GAINS` multiplies those of a channel (at night all is
    fainter).
    """

    mean: Tensor
    variance: Tensor
    over_time: Tensor
    over_rows: Tensor
    over_columns: Tensor

    def __init__(self, shape: tuple[int, int, int, int], attributes: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.low = (shape[0], *(min(size, limit) for size, limit in zip(shape[1:], LOWEST, strict=True)))
        self.register_buffer("mean", torch.zeros(shape))
        self.scene = [(0, attributes[0])] if attributes else []
        self.register_buffer("variance", torch.ones(attributes[0] + 1 if attributes else 1, *shape))
        for name, size in zip(("time", "rows", "columns"), shape[1:], strict=True):
            self.register_buffer(f"over_{name}", cosines(size), persistent=False)
        self.groups = [
            [(place, attributes[place]) for place in places] for places in EFFECTS if max(places) < len(attributes)
        ]
        self.gains = [
            [(place, attributes[place]) for place in places] for places in GAINS if max(places) < len(attributes)
        ]
        for number, group in enumerate(self.gains):
            self.register_buffer(f"gain_{number}", torch.ones(math.prod(count for _, count in group) + 1, shape[0]))
        for number, group in enumerate(self.groups):
            cells = math.prod(count for _, count in group)
            self.register_buffer(f"effect_{number}", torch.zeros(cells + 1, *self.low))
            self.register_buffer(f"explained_{number}", torch.zeros(self.low))

    def forward_transform(self, x: Tensor) -> Tensor:
        """Latents (n, C, t, h, w) -> cosine coefficients of the same shape."""
        x = self.over_rows @ x @ self.over_columns.T
        return (self.over_time @ x.flatten(3)).view_as(x)

    def backward_transform(self, x: Tensor) -> Tensor:
        """Cosine coefficients -> latents."""
        x = self.over_rows.T @ x @ self.over_columns
        return (self.over_time.T @ x.flatten(3)).view_as(x)

    def _cells(self, group: list[tuple[int, int]], labels: Tensor) -> Tensor:
        """Which row of a group's table each label (n, attributes) means, (n,); the last where something is not said."""
        cell = torch.zeros(len(labels), dtype=torch.long)
        silent = torch.zeros(len(labels), dtype=torch.bool)
        for place, count in group:
            cell = cell * count + labels[:, place]
            silent |= labels[:, place] >= count
        return torch.where(silent, math.prod(count for _, count in group), cell)

    def moments(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of every coefficient under each label (n, attributes): 2 x (n, C, t, h, w)."""
        mean = self.mean.expand(len(labels), *self.mean.shape).clone()
        variance = self.variance[self._cells(self.scene, labels)] if self.scene else self.variance.expand_as(mean)
        variance = variance.clone()
        for number, group in enumerate(self.gains):
            variance *= getattr(self, f"gain_{number}")[self._cells(group, labels)].view(*variance.shape[:2], 1, 1, 1)
        _, t, h, w = self.low
        for number, group in enumerate(self.groups):
            effect, explained = getattr(self, f"effect_{number}"), getattr(self, f"explained_{number}")
            cells = self._cells(group, labels)
            mean[:, :, :t, :h, :w] += effect[cells]
            variance[:, :, :t, :h, :w] += explained * (cells == len(effect) - 1).view(-1, 1, 1, 1, 1)
        return mean, variance

    @torch.no_grad()
    def fit(self, latents: Tensor, labels: Tensor) -> None:
        """Take means, effects and variances from latents (n, C, t, h, w) and their complete labels (n, attributes)."""
        _, t, h, w = self.low
        for number in range(len(self.gains)):
            getattr(self, f"gain_{number}").fill_(1.0)
        scene = self._cells(self.scene, labels)
        total, square, lows = torch.zeros_like(self.variance), torch.zeros_like(self.variance), []
        for some, cells in zip(latents.split(256), scene.split(256), strict=True):
            coefficients = self.forward_transform(some.float())
            total.index_add_(0, cells, coefficients)
            square.index_add_(0, cells, coefficients.square())
            lows.append(coefficients[:, :, :t, :h, :w])
        self.mean.copy_(total.sum(0) / len(latents))
        rest = torch.cat(lows) - self.mean[:, :t, :h, :w]
        for number, group in enumerate(self.groups):
            effect, cells = getattr(self, f"effect_{number}"), self._cells(group, labels)
            count = torch.bincount(cells, minlength=len(effect)).view(-1, 1, 1, 1, 1)
            effect.zero_().index_add_(0, cells, rest).div_(count + SHRINKAGE)
            rest = rest - effect[cells]
            getattr(self, f"explained_{number}").copy_(effect[cells].square().mean(0))
        low = torch.zeros_like(self.variance[:, :, :t, :h, :w]).index_add_(0, scene, rest.square())
        count = torch.bincount(scene, minlength=len(self.variance)).view(-1, 1, 1, 1, 1)
        square = square - 2 * total * self.mean + count * self.mean**2
        square[:, :, :t, :h, :w] = low
        if self.scene:  # the last row, for a scene not said, is that of all clips
            square[-1], count[-1] = square[:-1].sum(0), count.sum()
        self.variance.copy_((square / count.clamp(min=1)).clamp(min=1e-3))
        self._fit_gains(latents, labels)

    def _fit_gains(self, latents: Tensor, labels: Tensor) -> None:
        """Take the gains from how much stronger each combination's channels are than the variances so far say."""
        parts = []
        for some, label in zip(latents.split(256), labels.split(256), strict=True):
            mean, variance = self.moments(label)
            parts.append(((self.forward_transform(some.float()) - mean).square() / variance).mean(dim=(2, 3, 4)))
        strength = torch.cat(parts)  # (n, C), about 1
        for number, group in enumerate(self.gains):
            gain, cells = getattr(self, f"gain_{number}"), self._cells(group, labels)
            count = torch.bincount(cells, minlength=len(gain)).view(-1, 1)
            total = torch.zeros_like(gain).index_add_(0, cells, strength)
            gain.copy_((total + SHRINKAGE) / (count + SHRINKAGE))
            strength = strength / gain[cells]

    def velocity(self, x: Tensor, time: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What is known at x(t), time (n,): velocity and guessed data, like x, and the deviation left, per coefficient.

        With r = x - (1 - t) mu and s = t^2 + (1 - t)^2 lambda: E[noise - data | x] = (t - (1 - t) lambda) r / s - mu,
        E[data | x] = mu + (1 - t) lambda r / s, Var[noise - data | x] = lambda / s.
        """
        t = time.view(-1, 1, 1, 1, 1)
        mean, variance = self.moments(labels)
        rest = self.forward_transform(x) - (1 - t) * mean
        total = t**2 + (1 - t) ** 2 * variance
        velocity = (t - (1 - t) * variance) * rest / total - mean
        data = mean + (1 - t) * variance * rest / total
        left = torch.sqrt(variance / total)
        return self.backward_transform(velocity), self.backward_transform(data), left
