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


def cosines(size: int) -> Tensor:
    """The orthonormal DCT-II as a matrix, (size, size): row k is the basis vector of frequency k."""
    place = (torch.arange(size, dtype=torch.float64) + 0.5) / size
    basis = torch.cos(math.pi * torch.arange(size, dtype=torch.float64)[:, None] * place) * math.sqrt(2 / size)
    basis[0] /= math.sqrt(2)
    return basis.float()


class Gaussian(nn.Module):
    """A Gaussian with independent cosine coefficients over latents of one shape (channels, time, height, width)."""

    mean: Tensor
    variance: Tensor
    over_time: Tensor
    over_rows: Tensor
    over_columns: Tensor

    def __init__(self, shape: tuple[int, int, int, int]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("variance", torch.ones(shape))
        for name, size in zip(("time", "rows", "columns"), shape[1:], strict=True):
            self.register_buffer(f"over_{name}", cosines(size), persistent=False)

    def forward_transform(self, x: Tensor) -> Tensor:
        """Latents (n, C, t, h, w) -> cosine coefficients of the same shape."""
        x = self.over_rows @ x @ self.over_columns.T
        return (self.over_time @ x.flatten(3)).view_as(x)

    def backward_transform(self, x: Tensor) -> Tensor:
        """Cosine coefficients -> latents."""
        x = self.over_rows.T @ x @ self.over_columns
        return (self.over_time.T @ x.flatten(3)).view_as(x)

    @torch.no_grad()
    def fit(self, latents: Tensor) -> None:
        """Take means and variances from latents (n, C, t, h, w)."""
        total, square = torch.zeros_like(self.mean), torch.zeros_like(self.mean)
        for some in latents.split(256):
            coefficients = self.forward_transform(some.float())
            total += coefficients.sum(0)
            square += coefficients.square().sum(0)
        self.mean.copy_(total / len(latents))
        self.variance.copy_((square / len(latents) - self.mean**2).clamp(min=1e-3))

    def velocity(self, x: Tensor, time: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What is known at x(t), time (n,): velocity and guessed data, like x, and the deviation left, per coefficient.

        With r = x - (1 - t) mu and s = t^2 + (1 - t)^2 lambda: E[noise - data | x] = (t - (1 - t) lambda) r / s - mu,
        E[data | x] = mu + (1 - t) lambda r / s, Var[noise - data | x] = lambda / s.
        """
        t = time.view(-1, 1, 1, 1, 1)
        rest = self.forward_transform(x) - (1 - t) * self.mean
        total = t**2 + (1 - t) ** 2 * self.variance
        velocity = (t - (1 - t) * self.variance) * rest / total - self.mean
        data = self.mean + (1 - t) * self.variance * rest / total
        left = torch.sqrt(self.variance / total)
        return self.backward_transform(velocity), self.backward_transform(data), left
