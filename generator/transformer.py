"""The denoiser: a transformer on spacetime patches of latents, told the time and the prompt's attributes.

After Peebles & Xie, "Scalable Diffusion Models with Transformers" (2023); one modulation for all blocks plus a table
per block after Chen et al., "PixArt-alpha" (2023); normalised queries and keys after Dehghani et al., "ViT-22B" (2023).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from .gaussian import Gaussian


@dataclass(frozen=True)
class TransformerConfig:
    """Sizes of the transformer."""

    channels: int = 16
    """Latent channels."""
    frames: int = 4
    """Latent frames of a base clip."""
    side: int = 16
    """Latent rows and columns."""
    patch_time: int = 4
    """Latent frames per token."""
    patch: int = 2
    """Latent rows and columns per token."""
    width: int = 256
    """Numbers per token."""
    depth: int = 8
    """Blocks."""
    heads: int = 4
    """Attention heads."""
    attributes: tuple[int, ...] = (8, 4, 2, 2, 6, 2, 3)
    """How many values each attribute of a prompt can take; one more stands for "not said"."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "attributes", tuple(self.attributes))
        if self.side % self.patch or self.frames % self.patch_time or self.width % (2 * self.heads):
            raise ValueError(f"no such transformer: {self}")

    @property
    def null(self) -> tuple[int, ...]:
        """The label that says nothing at all."""
        return self.attributes

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(channels, frames, side, side) of the latents of one clip."""
        return self.channels, self.frames, self.side, self.side

    @property
    def token_values(self) -> int:
        """Latent numbers per token."""
        return self.channels * self.patch_time * self.patch**2


def normed(x: Tensor) -> Tensor:
    """x over the root mean square of its last dimension."""
    return functional.rms_norm(x, x.shape[-1:])


class Block(nn.Module):
    """Attention and a feed-forward layer, each modulated by shift, scale and gate."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)
        self.table = nn.Parameter(torch.zeros(6, width))

    def attend(self, x: Tensor) -> Tensor:
        """(n, tokens, width) -> the same."""
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # 3 x (n, heads, tokens, head)
        mixed = functional.scaled_dot_product_attention(normed(q), normed(k), v, scale=8 / q.shape[-1] ** 0.5)
        return self.out(mixed.transpose(1, 2).flatten(2))

    def forward(self, x: Tensor, modulation: Tensor) -> Tensor:
        """x (n, tokens, width), modulation (n, 6, width) -> x."""
        shift1, scale1, gate1, shift2, scale2, gate2 = (modulation + self.table)[:, :, None].unbind(1)  # (n, 1, width)
        x = x + gate1 * self.attend(normed(x) * (1 + scale1) + shift1)
        hidden = functional.gelu(self.up(normed(x) * (1 + scale2) + shift2), approximate="tanh")
        return x + gate2 * self.down(hidden)


class Transformer(nn.Module):
    """Noisy latents, time and label -> velocity (noise minus data)."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = c = config
        self.in_bfloat16 = False  # tokens in bfloat16: for training, where the processor is faster at it
        grid = c.side // c.patch
        self.gaussian = Gaussian(c.shape, c.attributes)
        self.into = nn.Linear(2 * c.token_values, c.width)
        self.place_time = nn.Parameter(0.02 * torch.randn(c.frames // c.patch_time, 1, 1, c.width))
        self.place_row = nn.Parameter(0.02 * torch.randn(grid, 1, c.width))
        self.place_column = nn.Parameter(0.02 * torch.randn(grid, c.width))
        self.attributes = nn.ModuleList([nn.Embedding(count + 1, c.width) for count in c.attributes])
        self.time = nn.Sequential(nn.Linear(c.width, c.width), nn.SiLU(), nn.Linear(c.width, c.width))
        self.modulation = nn.Linear(c.width, 6 * c.width)
        self.blocks = nn.ModuleList([Block(c.width, c.heads) for _ in range(c.depth)])
        self.final = nn.Linear(c.width, 2 * c.width)
        self.out = nn.Linear(c.width, c.token_values)
        for embedding in self.attributes:
            for parameter in embedding.parameters():
                nn.init.normal_(parameter, std=0.3)
        for layer in (self.modulation, self.final, self.out):  # every block starts as the identity
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def condition(self, time: Tensor, labels: Tensor) -> Tensor:
        """time (n,) in 0..1, labels (n, attributes) -> (n, width)."""
        half = self.config.width // 2
        rates = torch.exp(torch.arange(half, device=time.device) * (-math.log(1000.0) / half)) * 100
        waves = time[:, None] * rates
        said = sum(embedding(labels[:, place]) for place, embedding in enumerate(self.attributes))
        return functional.silu(self.time(torch.cat((waves.cos(), waves.sin()), dim=-1)) + said)

    def tokens(self, x: Tensor) -> Tensor:
        """Latents (n, C, t, h, w) -> (n, t', h', w', token values)."""
        pt, p = self.config.patch_time, self.config.patch
        n, channels, frames, height, width = x.shape
        cut = x.reshape(n, channels, frames // pt, pt, height // p, p, width // p, p)
        return cut.permute(0, 2, 4, 6, 1, 3, 5, 7).flatten(4)

    def latents(self, values: Tensor) -> Tensor:
        """The inverse of `tokens`, from (n, tokens, token values)."""
        c = self.config
        grid = (c.frames // c.patch_time, c.side // c.patch, c.side // c.patch)
        cut = values.reshape(-1, *grid, c.channels, c.patch_time, c.patch, c.patch)
        return cut.permute(0, 4, 1, 5, 2, 6, 3, 7).reshape(-1, *c.shape)

    def forward(self, x: Tensor, time: Tensor, labels: Tensor) -> Tensor:
        """Velocity of x (n, C, t, h, w) at time (n,) under labels (n, attributes)."""
        prior = self.gaussian.prior(labels)
        known, guess, left = self.gaussian.velocity(x, time, prior)  # what a Gaussian model says
        t = time.view(-1, 1, 1, 1, 1)
        seen = x / torch.sqrt(t**2 + (1 - t) ** 2)  # (n, C, t, h, w), variance 1
        values = torch.cat((self.tokens(seen), self.tokens(guess)), dim=-1)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.in_bfloat16):
            rest = self.rest(values, self.condition(time, labels))
        return known + self.gaussian.shaped(self.latents(rest.float()), left, prior)

    def rest(self, values: Tensor, said: Tensor) -> Tensor:
        """What the Gaussian model leaves, in its units: (n, t', h', w', values), (n, width) -> (n, tokens, values)."""
        place = self.place_time + self.place_row + self.place_column
        tokens = (self.into(values) + place).flatten(1, 3)  # (n, tokens, width)
        modulation = self.modulation(said).unflatten(-1, (6, -1))  # (n, 6, width)
        for block in self.blocks:
            tokens = block(tokens, modulation)
        shift, scale = self.final(said)[:, None].chunk(2, dim=-1)  # (n, 1, width)
        return self.out(normed(tokens) * (1 + scale) + shift)
