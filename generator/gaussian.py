"""The best Gaussian model of latents, in closed form: what the transformer need not learn.

Latents are seen in a basis in which they are nearly uncorrelated: cosines over time, rows and columns, and then, for
each scene and each frequency over time, the principal components of channels and rows together (so that horizons, and
the blocks of the autoencoder, are part of the model). With means mu and variances lambda in that basis the velocity of
the flow of a Gaussian is known (a Wiener filter), and so is the variance that it leaves unexplained. The transformer
predicts only that rest, in units of its standard deviation: the preconditioning of Karras et al., "Elucidating the
Design Space of Diffusion-Based Generative Models" (2022), table 1, for rectified flow and one variance per coefficient.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

EFFECTS = ((0,), (1,), (4,), (5,), (2,), (6,), (0, 1), (0, 4), (0, 5), (0, 2), (1, 4), (0, 1, 4))
"""Attributes, by place, whose combinations shift the means: what no earlier group has explained is left to the next."""
GAINS = ((0, 1), (0, 4), (0, 5))
"""Attributes, by place, whose combinations multiply the variances of each frequency over time."""
LOWEST = (2, 6, 6)
"""How many cosine coefficients over time, rows and columns the attributes shift."""
SHRINKAGE = 12
"""Clips of no effect that are added to each combination, so that rare ones do not follow single clips."""
Group = tuple[tuple[int, int], ...]
"""Attributes that act together: (place in the label, number of values) of each."""


def cosines(size: int) -> Tensor:
    """The orthonormal DCT-II as a matrix, (size, size): row k is the basis vector of frequency k."""
    place = (torch.arange(size, dtype=torch.float64) + 0.5) / size
    basis = torch.cos(math.pi * torch.arange(size, dtype=torch.float64)[:, None] * place) * math.sqrt(2 / size)
    basis[0] /= math.sqrt(2)
    return basis.float()


def cells(group: Group, labels: Tensor) -> Tensor:
    """Which combination of a group's values each label (n, attributes) means, (n,); one past the last if not said."""
    cell = torch.zeros(len(labels), dtype=torch.long)
    silent = torch.zeros(len(labels), dtype=torch.bool)
    for place, count in group:
        cell = cell * count + labels[:, place]
        silent |= labels[:, place] >= count
    return torch.where(silent, size_of(group), cell)


def size_of(group: Group) -> int:
    """How many combinations a group's values have."""
    return math.prod(count for _, count in group)


@dataclass(frozen=True)
class Prior:
    """What labels (n, attributes) say of latents before any pixel is seen; K = channels x rows.

    mean: cosine coefficients (n, C, t, h, w). basis: (n, t, K, K), a component per column. variance: (n, t, K, w).
    """

    mean: Tensor
    basis: Tensor
    variance: Tensor


class Gaussian(nn.Module):
    """A Gaussian over latents of one shape (channels, time, height, width) that depends on the prompt's attributes.

    The means of the lowest cosine coefficients are those of an analysis of variance: each of `EFFECTS` has a table with
    one row per combination of values, and a last row of zeros for "not said". What an effect that was not said would
    have explained is added to the variances. Basis and variances depend on the first attribute, the scene; each of
    `GAINS` multiplies variances (at night everything is fainter).
    """

    mean: Tensor
    basis: Tensor
    variance: Tensor
    over_time: Tensor
    over_rows: Tensor
    over_columns: Tensor

    def __init__(self, shape: tuple[int, int, int, int], attributes: tuple[int, ...] = ()) -> None:
        super().__init__()
        channels, time, height, width = self.shape = shape
        components = channels * height
        self.low = (channels, *(min(size, limit) for size, limit in zip(shape[1:], LOWEST, strict=True)))
        self.scene: Group = tuple((0, count) for count in attributes[:1])
        self.groups = self._known(EFFECTS, attributes)
        self.gains = self._known(GAINS, attributes)
        scenes = size_of(self.scene) + 1
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("basis", torch.eye(components).repeat(scenes, time, 1, 1))
        self.register_buffer("variance", torch.ones(scenes, time, components, width))
        for name, size in (("time", time), ("rows", height), ("columns", width)):
            self.register_buffer(f"over_{name}", cosines(size), persistent=False)
        for number, group in enumerate(self.groups):
            self.register_buffer(f"effect_{number}", torch.zeros(size_of(group) + 1, *self.low))
            self.register_buffer(f"explained_{number}", torch.zeros(self.low))
        for number, group in enumerate(self.gains):
            self.register_buffer(f"gain_{number}", torch.ones(size_of(group) + 1, time))

    @staticmethod
    def _known(places: tuple[tuple[int, ...], ...], attributes: tuple[int, ...]) -> list[Group]:
        return [tuple((place, attributes[place]) for place in each) for each in places if max(each) < len(attributes)]

    def cosine_coefficients(self, x: Tensor) -> Tensor:
        """Latents (n, C, t, h, w) -> cosine coefficients of the same shape."""
        x = self.over_rows @ x @ self.over_columns.T
        return (self.over_time @ x.flatten(3)).view_as(x)

    def components(self, coefficients: Tensor, prior: Prior) -> Tensor:
        """Cosine coefficients (n, C, t, h, w) -> components (n, t, K, w)."""
        return prior.basis.transpose(2, 3) @ coefficients.transpose(1, 2).flatten(2, 3)

    def latents(self, components: Tensor, prior: Prior) -> Tensor:
        """Components (n, t, K, w) -> latents (n, C, t, h, w)."""
        channels, time, height, width = self.shape
        x = (prior.basis @ components).view(-1, time, channels, height, width).transpose(1, 2)
        x = self.over_rows.T @ x @ self.over_columns
        return (self.over_time.T @ x.flatten(3)).view(-1, *self.shape)

    def mean_of(self, labels: Tensor) -> Tensor:
        """Mean cosine coefficients under labels (n, attributes): (n, C, t, h, w)."""
        mean = self.mean.expand(len(labels), *self.shape).clone()
        _, t, h, w = self.low
        for number, group in enumerate(self.groups):
            mean[:, :, :t, :h, :w] += getattr(self, f"effect_{number}")[cells(group, labels)]
        return mean

    def gain_of(self, labels: Tensor) -> Tensor:
        """Factor of the variances under labels: (n, t, 1, 1)."""
        gain = torch.ones(len(labels), self.shape[1])
        for number, group in enumerate(self.gains):
            gain = gain * getattr(self, f"gain_{number}")[cells(group, labels)]
        return gain[:, :, None, None]

    def prior(self, labels: Tensor) -> Prior:
        """All that labels (n, attributes) say."""
        scene = cells(self.scene, labels)
        basis, variance = self.basis[scene], self.variance[scene] * self.gain_of(labels)
        unsaid = torch.zeros(len(labels), *self.shape)
        _, t, h, w = self.low
        for number, group in enumerate(self.groups):
            silent = (cells(group, labels) == size_of(group)).view(-1, 1, 1, 1, 1)
            unsaid[:, :, :t, :h, :w] += silent * getattr(self, f"explained_{number}")
        if unsaid.any():
            variance = variance + basis.square().transpose(2, 3) @ unsaid.transpose(1, 2).flatten(2, 3)
        return Prior(self.mean_of(labels), basis, variance)

    def velocity(self, x: Tensor, time: Tensor, prior: Prior) -> tuple[Tensor, Tensor, Tensor]:
        """What is known at x(t), time (n,): velocity and guessed data, like x, and the deviation left, per component.

        With r = x - (1 - t) mu and s = t^2 + (1 - t)^2 lambda: E[noise - data | x] = (t - (1 - t) lambda) r / s - mu,
        E[data | x] = mu + (1 - t) lambda r / s, Var[noise - data | x] = lambda / s.
        """
        t = time.view(-1, 1, 1, 1)
        mean = self.components(prior.mean, prior)
        rest = self.components(self.cosine_coefficients(x), prior) - (1 - t) * mean
        total = t**2 + (1 - t) ** 2 * prior.variance
        velocity = (t - (1 - t) * prior.variance) * rest / total - mean
        data = mean + (1 - t) * prior.variance * rest / total
        return self.latents(velocity, prior), self.latents(data, prior), torch.sqrt(prior.variance / total)

    def shaped(self, rest: Tensor, left: Tensor, prior: Prior) -> Tensor:
        """A rest (n, C, t, h, w) in units of the deviation `left` (n, t, K, w) -> latents."""
        return self.latents(left * self.components(self.cosine_coefficients(rest), prior), prior)

    @torch.no_grad()
    def likeliest(self, latents: Tensor, attributes: tuple[int, ...]) -> Tensor:
        """The label that explains latents (1, C, t, h, w) best, attribute by attribute in their order: (1, attributes).

        An attribute that makes nothing likelier than leaving it unsaid stays unsaid.
        """
        coefficients = self.cosine_coefficients(latents)
        label = torch.tensor([attributes])
        for place, count in enumerate(attributes):
            candidates = label.repeat(count + 1, 1)
            candidates[:, place] = torch.arange(count + 1)
            prior = self.prior(candidates)
            rest = self.components(coefficients - prior.mean, prior)
            surprise = (rest.square() / prior.variance + prior.variance.log()).sum(dim=(1, 2, 3))
            label = candidates[surprise.argmin()][None]
        return label

    @torch.no_grad()
    def fit(self, latents: Tensor, labels: Tensor) -> None:
        """Take everything from latents (n, C, t, h, w), n >= 1, and their complete labels (n, attributes)."""
        coefficients = torch.cat([self.cosine_coefficients(some.float()) for some in latents.split(256)])
        self.mean.copy_(coefficients.mean(0))
        rest = coefficients.sub_(self.mean)
        self._fit_effects(rest, labels)
        scene = cells(self.scene, labels)
        self._fit_gains(rest, scene, labels)
        rest /= self.gain_of(labels).sqrt()[:, None]  # (n, 1, t, 1, 1)
        pooled = []
        for number in scene.unique().tolist():
            mine = rest[scene == number].transpose(1, 2).flatten(2, 3)  # (n, t, K, w)
            weight = mine.square().mean(dim=(0, 2), keepdim=True).sqrt().clamp(min=1e-6)  # (1, t, 1, w)
            scaled = (mine / weight).permute(1, 2, 0, 3).flatten(2)  # (t, K, n w)
            pooled.append(scaled @ scaled.transpose(1, 2) / scaled.shape[2])
            self.basis[number] = torch.linalg.eigh(pooled[-1])[1]
            self.variance[number] = (self.basis[number].transpose(1, 2) @ mine).square().mean(0).clamp(min=1e-3)
        if self.scene:  # the last one, for a scene not said, is that of all clips
            self.basis[-1] = torch.linalg.eigh(torch.stack(pooled).mean(0))[1]
            strength = [
                (self.basis[-1].transpose(1, 2) @ some.transpose(1, 2).flatten(2, 3)).square().sum(0)
                for some in rest.split(256)
            ]
            self.variance[-1] = (torch.stack(strength).sum(0) / len(rest)).clamp(min=1e-3)

    def _fit_effects(self, rest: Tensor, labels: Tensor) -> None:
        """Move what each group of attributes explains from `rest` (n, C, t, h, w) into its table."""
        _, t, h, w = self.low
        low = rest[:, :, :t, :h, :w]
        for number, group in enumerate(self.groups):
            effect, cell = getattr(self, f"effect_{number}"), cells(group, labels)
            count = torch.bincount(cell, minlength=len(effect)).view(-1, 1, 1, 1, 1)
            effect.zero_().index_add_(0, cell, low.contiguous()).div_(count + SHRINKAGE)
            low -= effect[cell]
            getattr(self, f"explained_{number}").copy_(effect[cell].square().mean(0))

    def _fit_gains(self, rest: Tensor, scene: Tensor, labels: Tensor) -> None:
        """Take the gains from how much stronger than usual for its scene each combination is."""
        strength = torch.empty(len(rest), self.shape[1])
        for number in scene.unique().tolist():
            power = rest[scene == number].square()
            strength[scene == number] = (power / power.mean(0).clamp(min=1e-6)).mean(dim=(1, 3, 4))
        for number, group in enumerate(self.gains):
            gain, cell = getattr(self, f"gain_{number}"), cells(group, labels)
            count = torch.bincount(cell, minlength=len(gain)).view(-1, 1)
            total = torch.zeros_like(gain).index_add_(0, cell, strength)
            gain.copy_((total + SHRINKAGE) / (count + SHRINKAGE))
            strength = strength / gain[cell]
