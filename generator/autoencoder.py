"""The autoencoder: a linear Karhunen-Loeve encoder of spacetime patches and a decoder that refines its inverse.

The encoder stays linear, so that encoding what the decoder painted gives the latents back (up to what the network
adds outside the patch basis): the noise that made a clip can be found again from its pixels.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class AutoencoderConfig:
    """Sizes of the autoencoder."""

    channels: int = 16
    """Latent channels: basis vectors per patch."""
    patch_time: int = 4
    """Frames per patch."""
    patch_side: int = 8
    """Pixels per patch, down and across."""
    width: int = 32
    """Feature channels of the decoder network (on a grid of 2 pixels)."""
    blocks: int = 3
    """Residual blocks of the decoder network."""
    closed: float = 0.5
    """How much of what the network changes inside the patch basis is taken back: 1 makes encode(decode(z)) = z."""

    def __post_init__(self) -> None:
        if self.patch_side % 2 or not 0 < self.channels <= self.patch_values:
            raise ValueError(f"no such autoencoder: {asdict(self)}")

    @property
    def patch_values(self) -> int:
        """Numbers in one patch: time x side x side x 3."""
        return self.patch_time * self.patch_side**2 * 3


def patches(clips: Tensor, config: AutoencoderConfig) -> Tensor:
    """Cut (n, 3, T, H, W) into patches: (n, T/pt, H/ps, W/ps, 3 * pt * ps * ps)."""
    n, colours, time, height, width = clips.shape
    pt, ps = config.patch_time, config.patch_side
    cut = clips.reshape(n, colours, time // pt, pt, height // ps, ps, width // ps, ps)
    return cut.permute(0, 2, 4, 6, 1, 3, 5, 7).flatten(4)


def unpatched(values: Tensor, config: AutoencoderConfig) -> Tensor:
    """Put patches back together: the inverse of `patches`."""
    n, time, height, width, _ = values.shape
    pt, ps = config.patch_time, config.patch_side
    cut = values.reshape(n, time, height, width, 3, pt, ps, ps).permute(0, 4, 1, 5, 2, 6, 3, 7)
    return cut.reshape(n, 3, time * pt, height * ps, width * ps)


class Block(nn.Module):
    """A residual block: 3 x 3 in space, then 3 in time; the last layer starts at zero."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.space = nn.Conv3d(width, width, (1, 3, 3), padding=(0, 1, 1))
        self.time = nn.Conv3d(width, width, (3, 1, 1), padding=(1, 0, 0))
        self.out = nn.Conv3d(width, width, (1, 3, 3), padding=(0, 1, 1))
        for parameter in self.out.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """(n, width, T, h, w) -> the same."""
        hidden = functional.silu(self.space(x))
        hidden = functional.silu(self.time(hidden))
        return x + self.out(hidden)


class Refiner(nn.Module):
    """Residual network on pixels: removes block edges and restores what latents suggest. Starts as zero."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.into = nn.Conv3d(12, config.width, (1, 3, 3), padding=(0, 1, 1))
        self.latent = nn.Conv3d(config.channels, config.width, (1, 1, 1))
        self.place = nn.Parameter(
            0.02 * torch.randn(1, config.width, config.patch_time, config.patch_side // 2, config.patch_side // 2)
        )
        self.blocks = nn.ModuleList([Block(config.width) for _ in range(config.blocks)])
        self.out = nn.Conv3d(config.width, 12, (1, 3, 3), padding=(0, 1, 1))
        for parameter in self.out.parameters():
            nn.init.zeros_(parameter)

    def forward(self, picture: Tensor, latents: Tensor) -> Tensor:
        """Correction of the linear reconstruction, (n, 3, T, H, W) + (n, C, t, h, w) -> (n, 3, T, H, W)."""
        n, _, time, height, width = picture.shape
        pairs = picture.reshape(n, 3, time, height // 2, 2, width // 2, 2)
        pairs = pairs.permute(0, 1, 4, 6, 2, 3, 5).reshape(n, 12, time, height // 2, width // 2)
        repeats = [there // here for there, here in zip(pairs.shape[2:], latents.shape[2:], strict=True)]
        hint = self.latent(latents)
        for axis, times in enumerate(repeats, start=2):
            hint = hint.repeat_interleave(times, dim=axis)
        place = self.place.repeat(1, 1, *latents.shape[2:])
        hidden = self.into(pairs) + hint + place  # (n, width, T, H/2, W/2)
        for block in self.blocks:
            hidden = block(hidden)
        change = self.out(hidden).reshape(n, 3, 2, 2, time, height // 2, width // 2)
        return change.permute(0, 1, 4, 5, 2, 6, 3).reshape(n, 3, time, height, width)


class Autoencoder(nn.Module):
    """Clips in -1..1 <-> latents of about unit variance per channel."""

    mean: Tensor
    basis: Tensor
    offset: Tensor
    scale: Tensor

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("mean", torch.zeros(config.patch_values))
        self.register_buffer("basis", torch.eye(config.patch_values, config.channels))
        self.register_buffer("offset", torch.zeros(config.channels))
        self.register_buffer("scale", torch.ones(config.channels))
        self.refiner = Refiner(config)

    def latent_shape(self, frames: int, height: int, width: int) -> tuple[int, int, int, int]:
        """(channels, time, height, width) of the latents of a clip of this size."""
        c = self.config
        return c.channels, frames // c.patch_time, height // c.patch_side, width // c.patch_side

    def encode(self, clips: Tensor) -> Tensor:
        """(n, 3, T, H, W) in -1..1 -> (n, C, T/4, H/8, W/8)."""
        values = (patches(clips, self.config) - self.mean) @ self.basis
        return ((values - self.offset) / self.scale).permute(0, 4, 1, 2, 3)

    def decode_linear(self, latents: Tensor) -> Tensor:
        """The transpose of the encoder: (n, C, t, h, w) -> (n, 3, 4t, 8h, 8w)."""
        values = latents.permute(0, 2, 3, 4, 1) * self.scale + self.offset
        return unpatched(values @ self.basis.T + self.mean, self.config)

    def decode(self, latents: Tensor) -> Tensor:
        """(n, C, t, h, w) -> refined clips (n, 3, 4t, 8h, 8w) in about -1..1.

        Encoding the result gives `latents` back up to the share of the refinement that `closed` leaves inside the
        basis, and up to clipping and rounding.
        """
        linear = self.decode_linear(latents)
        change = patches(self.refiner(linear, latents), self.config)
        inside = (change @ self.basis) @ self.basis.T
        return linear + unpatched(change - self.config.closed * inside, self.config)

    @torch.no_grad()
    def fit(self, covariance: Tensor, mean: Tensor) -> None:
        """Take the patch basis from the covariance (float64, values x values) and mean of scene patches."""
        strengths, vectors = torch.linalg.eigh(covariance)
        order = strengths.argsort(descending=True)[: self.config.channels]
        self.mean.copy_(mean)
        self.basis.copy_(vectors[:, order])
        self.scale.copy_(strengths[order].sqrt())


def to_signed(frames: Tensor) -> Tensor:
    """uint8 (n, T, H, W, 3) -> float (n, 3, T, H, W) in -1..1."""
    return frames.permute(0, 4, 1, 2, 3).float() / 127.5 - 1


def to_bytes(clips: Tensor) -> Tensor:
    """float (n, 3, T, H, W) in -1..1 -> uint8 (n, T, H, W, 3)."""
    return ((clips + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 4, 1)
