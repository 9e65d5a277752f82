"""Training of the two networks that only see pixels: the decoder's refiner and the upsampler."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor, nn

from ..autoencoder import Autoencoder, AutoencoderConfig, to_signed
from ..scenes import render
from ..upsampler import SCALE, Upsampler, UpsamplerConfig, reduced
from .data import SIDE, TRAINING_SEED, Cache, load_encoder, save_atomically, scene_of

LOG = logging.getLogger("generator.training")


def _progress(step: int, seconds: float, losses: Sequence[float]) -> None:
    LOG.info("step %d seconds %.0f loss %.5f", step, seconds, sum(losses[-50:]) / len(losses[-50:]))


def train_refiner(folder: Path, *, steps: int, clips: int = 1024, batch: int = 8, crop: int = 64) -> Path:
    """Train the decoder's network on the cache's pixels, its latents disturbed by noise of deviation 0 to 0.3."""
    stored = load_encoder(folder)
    autoencoder = Autoencoder(AutoencoderConfig())
    autoencoder.load_state_dict({**autoencoder.state_dict(), **dict(stored.named_buffers())})
    autoencoder.requires_grad_(False).refiner.requires_grad_(True)
    pixels = Cache(folder).pixels(clips)
    optimiser = torch.optim.AdamW(autoencoder.refiner.parameters(), 2e-3, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps, pct_start=0.1)
    random = torch.Generator().manual_seed(0)
    losses: list[float] = []
    began = time.monotonic()
    for step in range(steps):
        chosen = torch.randint(len(pixels), (batch,), generator=random)
        row, column = (8 * int(torch.randint((SIDE - crop) // 8 + 1, (), generator=random)) for _ in range(2))
        signed = to_signed(pixels[chosen, :, row : row + crop, column : column + crop])
        latents = autoencoder.encode(signed)
        deviation = 0.3 * torch.rand(batch, 1, 1, 1, 1, generator=random)
        painted = autoencoder.decode(latents + deviation * torch.randn(latents.shape, generator=random))
        value = (painted - signed).abs().mean() + 2 * (painted - signed).square().mean()
        optimiser.zero_grad(set_to_none=True)
        value.backward()
        optimiser.step()
        schedule.step()
        losses.append(float(value.detach()))
        if step % 50 == 49:
            _progress(step + 1, time.monotonic() - began, losses)
            save_atomically(
                {"config": asdict(autoencoder.config), "state": autoencoder.state_dict(), "steps": step + 1},
                folder / "autoencoder.pt",
            )
    return folder / "autoencoder.pt"


def _large_frames(count: int) -> Tensor:
    """One frame each of `count` scenes at the delivered size, uint8 (n, 3, 512, 512)."""
    frames = []
    for seed in range(TRAINING_SEED, TRAINING_SEED + count):
        clip, _ = render(seed, scene_of(seed), SIDE * SCALE, 1)
        frames.append(torch.from_numpy(clip[0]).permute(2, 0, 1))
    return torch.stack(frames)


def train_upsampler(folder: Path, *, steps: int, scenes: int = 480, batch: int = 16, crop: int = 32) -> Path:
    """Train the upsampler on scenes rendered at the delivered size; half of its inputs are blurred, as samples are."""
    large = _large_frames(scenes)
    upsampler = Upsampler(UpsamplerConfig())
    optimiser = torch.optim.AdamW(upsampler.parameters(), 2e-3, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps, pct_start=0.1)
    random = torch.Generator().manual_seed(0)
    losses: list[float] = []
    began = time.monotonic()
    for step in range(steps):
        chosen = torch.randint(len(large), (batch,), generator=random)
        row, column = (int(torch.randint(SIDE - crop + 1, (), generator=random)) * SCALE for _ in range(2))
        target = large[chosen, :, row : row + SCALE * crop, column : column + SCALE * crop].float() / 255
        base = reduced(target)
        blurred = nn.functional.avg_pool2d(base, 3, 1, 1, count_include_pad=False)
        share = torch.rand(batch, 1, 1, 1, generator=random) * (torch.rand(batch, 1, 1, 1, generator=random) < 0.5)
        value = (upsampler(torch.lerp(base, blurred, share)) - target).abs().mean()
        optimiser.zero_grad(set_to_none=True)
        value.backward()
        optimiser.step()
        schedule.step()
        losses.append(float(value.detach()))
        if step % 50 == 49:
            _progress(step + 1, time.monotonic() - began, losses)
            save_atomically(
                {"config": asdict(upsampler.config), "state": upsampler.state_dict(), "steps": step + 1},
                folder / "upsampler.pt",
            )
    return folder / "upsampler.pt"
