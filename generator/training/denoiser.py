"""Training of the transformer: resumable, with a held-out loss at every checkpoint."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..flow import logit_normal_times, loss, noisy
from ..optimiser import average, optimisers
from ..transformer import Transformer, TransformerConfig
from ..weights import load_transformer, record
from .data import Cache, held_out, save_atomically

LOG = logging.getLogger("generator.training")

RATES = (5e-3, 2.5e-3)
"""Learning rates: Muon's for the blocks' matrices, AdamW's for all else."""
WARM_STEPS = 20
"""Steps over which the rates rise from 0, with each new optimiser."""
COOLING = 0.25
"""The last part of a sitting, over which the rates fall to 0."""
COUNTS = ("step", "samples", "seconds", "processor_seconds", "warmed_from")


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
        self.warmed_from = 0  # the step that the optimisers began at
        if self.path.exists():
            self._resume(torch.load(self.path, weights_only=True))
        elif weights is not None:
            self._begin_from(weights)

    def _resume(self, stored: dict[str, Any]) -> None:
        self.model.load_state_dict(stored["model"])
        self.mean.load_state_dict(stored["mean"])
        for optimiser, state in zip(self.optimisers, stored["optimisers"], strict=True):
            optimiser.load_state_dict(state)
        for name in COUNTS:
            setattr(self, name, stored[name])

    def _begin_from(self, weights: Path) -> None:
        """Take weights that ship with a fresh optimiser; what their record counts is counted on."""
        state = load_transformer(weights).state_dict()
        self.model.load_state_dict(state)
        self.mean.load_state_dict(state)
        known: Mapping[str, Any] = record(weights.parent)[weights.name]
        self.step, self.samples = known["steps"], known["clips"]
        self.seconds, self.processor_seconds = float(known["training_seconds"]), float(known["processor_seconds"])
        self.warmed_from = self.step

    def save(self) -> None:
        """Write the checkpoint."""
        counts = {name: getattr(self, name) for name in COUNTS}
        states = {"model": self.model.state_dict(), "mean": self.mean.state_dict()}
        save_atomically({**counts, **states, "optimisers": [each.state_dict() for each in self.optimisers]}, self.path)

    def choose_precision(self, latents: Tensor, marks: Tensor) -> None:
        """Multiply in bfloat16 where this processor is clearly faster at it: some are five times, some slower."""
        random = torch.Generator().manual_seed(0)
        took = {}
        for self.model.in_bfloat16 in (False, True):
            for _ in range(2):  # the first of each is slow
                began = time.monotonic()
                self.gradient(latents, marks, random, 16)
                took[self.model.in_bfloat16] = time.monotonic() - began
        self.model.zero_grad(set_to_none=True)
        self.model.in_bfloat16 = took[True] < 0.8 * took[False]
        self.optimisers[0].kind = torch.bfloat16 if self.model.in_bfloat16 else torch.float32

    def gradient(self, latents: Tensor, marks: Tensor, random: torch.Generator, count: int) -> float:
        """Leave the gradient of the loss on `count` clips in the model, and return the loss."""
        chosen = torch.randint(len(latents), (count,), generator=random)
        data = latents[chosen].float()
        label = dropped(marks[chosen], torch.tensor(self.config.null), random)
        noise = torch.randn(data.shape, generator=random)
        times = logit_normal_times(count, random)
        value = loss(self.model(noisy(data, noise, times), times, label), data, noise)
        value.backward()
        return float(value.detach())

    def update(self, latents: Tensor, marks: Tensor, random: torch.Generator, count: int, cool: float = 1.0) -> float:
        """One step on `count` clips with the rates times `cool`; returns the loss."""
        value = self.gradient(latents, marks, random, count)
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        warm = min(1.0, (self.step - self.warmed_from + 1) / WARM_STEPS)
        for optimiser, rate in zip(self.optimisers, RATES, strict=True):
            for group in optimiser.param_groups:
                group["lr"] = rate * warm * cool
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        self.step += 1
        self.samples += count
        average(self.mean, self.model, self.step)
        return value


def train_transformer(folder: Path, *, seconds: float, batch: int, weights: Path | None = None) -> None:
    """Train until `seconds` of training are reached, over all sittings.

    The cache is read anew at each checkpoint, so that it may grow meanwhile.
    """
    cache = Cache(folder)
    latents, marks = cache.load()
    run = TransformerRun(folder, latents, marks, weights)
    run.choose_precision(latents, marks)
    LOG.info("step %d: tokens in %s", run.step, "bfloat16" if run.model.in_bfloat16 else "float32")
    test = held_out(folder)
    left = seconds - run.seconds
    random = torch.Generator().manual_seed(1000 + run.step)
    began, processor, wrote = time.monotonic(), time.process_time(), time.monotonic()
    losses: list[float] = []
    while run.seconds < seconds:
        cool = min(1.0, (seconds - run.seconds) / (COOLING * left))
        losses.append(run.update(latents, marks, random, batch, cool))
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
