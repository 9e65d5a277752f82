"""Training of the transformer: resumable, with a held-out loss at every checkpoint."""

from __future__ import annotations

import logging
import math
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..flow import logit_normal_times, loss, noisy
from ..optimiser import average, optimisers
from ..transformer import Transformer, TransformerConfig
from .data import Cache, held_out, save_atomically

LOG = logging.getLogger("generator.training")

RATES = (5e-3, 2.5e-3)
"""Learning rates: Muon's for the blocks' matrices, AdamW's for all else."""
WARM_STEPS = 20
"""Steps over which the rates rise from 0."""


def dropped(marks: Tensor, null: Tensor, random: torch.Generator) -> Tensor:
    """Labels with a tenth of the attributes, and everything in a tenth of the rows, set to "not said"."""
    some = torch.rand(marks.shape, generator=random) < 0.1
    whole = torch.rand(len(marks), 1, generator=random) < 0.1
    return torch.where(some | whole, null, marks)


@torch.no_grad()
def held_out_loss(model: Transformer, latents: Tensor, marks: Tensor) -> float:
    """The flow loss on held-out clips with fixed noise at fixed times (quantiles of the training times)."""
    random = torch.Generator().manual_seed(5)
    noise = torch.randn(latents.shape, generator=random)
    times = logit_normal_times(len(latents), random)
    parts = []
    for data, grains, t, label in zip(latents.split(8), noise.split(8), times.split(8), marks.split(8), strict=True):
        parts.append(float(loss(model(noisy(data, grains, t), t, label), data, grains)))
    return sum(parts) / len(parts)


class TransformerRun:
    """A training run of the transformer that can be put down and taken up again."""

    def __init__(self, folder: Path, latents: Tensor, marks: Tensor, weights: Path | None = None) -> None:
        self.folder, self.path = folder, folder / "transformer.pt"
        self.config = TransformerConfig()
        torch.manual_seed(0)
        self.model = Transformer(self.config)
        if weights is None and not self.path.exists():
            self.model.gaussian.fit(latents, marks)
        self.mean = Transformer(self.config).requires_grad_(False)
        self.mean.load_state_dict(self.model.state_dict())
        self.optimisers = optimisers(self.model.blocks, self.model)
        self.step, self.samples, self.seconds, self.processor_seconds = 0, 0, 0.0, 0.0
        if self.path.exists():
            self._resume(torch.load(self.path, weights_only=True))
        elif weights is not None:
            self._begin_from(weights)

    def _resume(self, stored: dict[str, Any]) -> None:
        self.model.load_state_dict(stored["model"])
        self.mean.load_state_dict(stored["mean"])
        for optimiser, state in zip(self.optimisers, stored["optimisers"], strict=True):
            optimiser.load_state_dict(state)
        for name in ("step", "samples", "seconds", "processor_seconds"):
            setattr(self, name, stored[name])

    def _begin_from(self, weights: Path) -> None:
        from ..weights import load_transformer

        state = load_transformer(weights).state_dict()
        self.model.load_state_dict(state)
        self.mean.load_state_dict(state)

    def save(self) -> None:
        """Write the checkpoint."""
        counts = {name: getattr(self, name) for name in ("step", "samples", "seconds", "processor_seconds")}
        states = {"model": self.model.state_dict(), "mean": self.mean.state_dict()}
        save_atomically({**counts, **states, "optimisers": [each.state_dict() for each in self.optimisers]}, self.path)

    def update(self, latents: Tensor, marks: Tensor, random: torch.Generator, count: int) -> float:
        """One step on `count` clips; returns the loss."""
        chosen = torch.randint(len(latents), (count,), generator=random)
        data = latents[chosen].float()
        label = dropped(marks[chosen], torch.tensor(self.config.null), random)
        noise = torch.randn(data.shape, generator=random)
        times = logit_normal_times(count, random)
        value = loss(self.model(noisy(data, noise, times), times, label), data, noise)
        value.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        warm = min(1.0, (self.step + 1) / WARM_STEPS)
        for optimiser, rate in zip(self.optimisers, RATES, strict=True):
            for group in optimiser.param_groups:
                group["lr"] = rate * warm
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        self.step += 1
        self.samples += count
        average(self.mean, self.model, self.step)
        return float(value.detach())


def train_transformer(folder: Path, *, seconds: float, batch: int, weights: Path | None = None) -> None:
    """Train until `seconds` of training are reached, over all sittings.

    The cache is read anew at each checkpoint, so that it may grow meanwhile.
    """
    cache = Cache(folder)
    latents, marks = cache.load()
    run = TransformerRun(folder, latents, marks, weights)
    test = held_out(folder)
    random = torch.Generator().manual_seed(1000 + run.step)
    began, processor, wrote = time.monotonic(), time.process_time(), time.monotonic()
    losses: list[float] = []
    while run.seconds < seconds:
        losses.append(run.update(latents, marks, random, batch))
        now, spent = time.monotonic(), time.process_time()
        run.seconds, run.processor_seconds = run.seconds + now - began, run.processor_seconds + spent - processor
        began, processor = now, spent
        if not all(map(math.isfinite, losses[-1:])):
            raise RuntimeError(f"the loss is {losses[-1]} at step {run.step}")
        if now - wrote > 180 or run.seconds >= seconds:
            run.save()
            LOG.info(
                "step %d samples %d seconds %.0f processor %.0f clips %d loss %.4f held-out %.4f",
                run.step,
                run.samples,
                run.seconds,
                run.processor_seconds,
                len(latents),
                sum(losses) / len(losses),
                held_out_loss(run.mean, *test),
            )
            losses, wrote = [], time.monotonic()
            if len(cache.shards()) * 256 != len(latents):
                latents, marks = cache.load()
