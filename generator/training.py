"""Training of the built-in model: data first (`cache`), then `transformer`, `refiner` and `upsampler`.

    python -m generator.training cache --out build/training
    python -m generator.training transformer --out build/training

Everything resumes from what stands in the folder; a checkpoint is written every few minutes, beside and renamed.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import multiprocessing
import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from .autoencoder import Autoencoder, AutoencoderConfig, patches, to_signed
from .flow import logit_normal_times, loss, noisy
from .optimiser import average, optimisers
from .scenes import ATTRIBUTES, SCENES, Caption, render
from .transformer import Transformer, TransformerConfig

LOG = logging.getLogger("generator.training")

FRAMES, SIDE = 16, 128
"""A base clip: frames, and pixels down and across."""
TRAINING_SEED = 1_000_000
"""Seeds of training clips start here; tests and tables use smaller ones."""
HELD_OUT_SEED = 900_000
"""Seeds of the clips that losses are measured on start here."""


def labels(caption: Caption) -> list[int]:
    """A caption as one number per attribute, in the order of `ATTRIBUTES`."""
    return [values.index(caption.attributes[name]) for name, values in ATTRIBUTES.items()]


def mirrored(label: Sequence[int]) -> list[int]:
    """The label of the clip seen in a mirror: left is right."""
    direction = list(ATTRIBUTES).index("direction")
    return [1 - value if place == direction else value for place, value in enumerate(label)]


def scene_of(seed: int) -> str:
    """Which scene a training seed shows: all in turn."""
    return SCENES[seed % len(SCENES)]


def rendered(seeds: Sequence[int]) -> tuple[Tensor, list[list[int]]]:
    """Clips of these seeds, uint8 (n, FRAMES, SIDE, SIDE, 3), and their labels."""
    clips, marks = [], []
    for seed in seeds:
        frames, caption = render(seed, scene_of(seed), SIDE, FRAMES)
        clips.append(torch.from_numpy(frames))
        marks.append(labels(caption))
    return torch.stack(clips), marks


def fit_encoder(config: AutoencoderConfig, clips: int = 480) -> Autoencoder:
    """Fit the linear encoder to `clips` rendered clips and their mirror images."""
    moment = torch.zeros(config.patch_values, config.patch_values, dtype=torch.float64)
    total = torch.zeros(config.patch_values, dtype=torch.float64)
    count = 0
    for start in range(TRAINING_SEED, TRAINING_SEED + clips, 8):
        frames, _ = rendered(range(start, start + 8))
        signed = to_signed(frames)
        for view in (signed, signed.flip(-1)):
            values = patches(view, config).flatten(0, 3)
            moment += (values.T @ values).double()
            total += values.sum(0).double()
            count += len(values)
    mean = total / count
    autoencoder = Autoencoder(config)
    autoencoder.fit(moment / count - torch.outer(mean, mean), mean.float())
    return autoencoder


class Cache:
    """A folder of encoded clips that may still grow: shards of latents and labels, and some clips as pixels."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def shards(self) -> list[Path]:
        """Finished shards of latents, in order."""
        return sorted(self.folder.glob("latents-*.npz"))

    def load(self) -> tuple[Tensor, Tensor]:
        """All latents so far, float16 (n, C, t, h, w), and labels, int64 (n, attributes)."""
        parts = [np.load(path) for path in self.shards()]
        latents = torch.cat([torch.from_numpy(part["latents"]) for part in parts])
        marks = torch.cat([torch.from_numpy(part["labels"]) for part in parts])
        return latents, marks.long()

    def pixels(self, limit: int) -> Tensor:
        """Up to `limit` clips as pixels, uint8 (n, FRAMES, SIDE, SIDE, 3)."""
        parts, count = [], 0
        for path in sorted(self.folder.glob("pixels-*.npy")):
            if count >= limit:
                break
            parts.append(torch.from_numpy(np.load(path)))
            count += len(parts[-1])
        return torch.cat(parts)[:limit]


def write_shard(folder: Path, name: str, seeds: Sequence[int], autoencoder: Autoencoder, *, pixels: bool) -> None:
    """Render and encode clips, and their mirror images, into one shard of the cache."""
    frames, marks = rendered(seeds)
    latents = []
    with torch.no_grad():
        for some in frames.split(8):
            signed = to_signed(some)
            latents.append(torch.stack((autoencoder.encode(signed), autoencoder.encode(signed.flip(-1))), dim=1))
    stacked = torch.cat(latents).flatten(0, 1).half().numpy()
    marks = [mark for label in marks for mark in (label, mirrored(label))]
    if pixels:
        np.save(folder / f"pixels-{name}.npy", frames.numpy())
    part = folder / f"part-{name}.npz"
    np.savez(part, latents=stacked, labels=np.array(marks, dtype=np.uint8))
    part.rename(folder / f"latents-{name}.npz")


def _fill(folder: Path, first: int, step: int, shards: int, size: int, pixel_shards: int) -> None:
    torch.set_num_threads(1)
    autoencoder = load_encoder(folder)
    for number in range(first, shards, step):
        name = f"{number:05d}"
        if not (folder / f"latents-{name}.npz").exists():
            seeds = range(TRAINING_SEED + number * size, TRAINING_SEED + (number + 1) * size)
            write_shard(folder, name, seeds, autoencoder, pixels=number < pixel_shards)


def load_encoder(folder: Path) -> Autoencoder:
    """The encoder that the cache was made with."""
    stored = torch.load(folder / "encoder.pt", weights_only=True)
    autoencoder = Autoencoder(AutoencoderConfig(**stored["config"]))
    autoencoder.load_state_dict(stored["state"])
    return autoencoder.eval().requires_grad_(False)


def save_atomically(value: object, path: Path) -> None:
    """torch.save beside `path`, then rename."""
    part = path.with_suffix(".part")
    torch.save(value, part)
    os.replace(part, path)


def fill_cache(folder: Path, *, shards: int = 100, size: int = 128, pixel_shards: int = 16, processes: int = 2) -> None:
    """Fit the encoder unless done, then render shards of `size` clips until there are `shards` of them."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "encoder.pt").exists():
        autoencoder = fit_encoder(AutoencoderConfig())
        config = {name: getattr(autoencoder.config, name) for name in autoencoder.config.__dataclass_fields__}
        save_atomically({"config": config, "state": autoencoder.state_dict()}, folder / "encoder.pt")
        LOG.info("encoder fitted")
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=_fill, args=(folder, first, processes, shards, size, pixel_shards))
        for first in range(processes)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        if worker.exitcode:
            raise RuntimeError(f"a rendering process ended with status {worker.exitcode}")
    (folder / "cache.json").write_text(json.dumps({"clips": shards * size * 2, "first_seed": TRAINING_SEED}))


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


def held_out(folder: Path, count: int = 32) -> tuple[Tensor, Tensor]:
    """Latents and labels of clips that no model was trained on."""
    frames, marks = rendered(range(HELD_OUT_SEED, HELD_OUT_SEED + count))
    with torch.no_grad():
        return load_encoder(folder).encode(to_signed(frames)), torch.tensor(marks)


class TransformerRun:
    """A training run of the transformer that can be put down and taken up again."""

    def __init__(self, folder: Path, weights: Path | None = None) -> None:
        self.folder, self.path = folder, folder / "transformer.pt"
        self.config = TransformerConfig()
        torch.manual_seed(0)
        self.model = Transformer(self.config)
        self.mean = Transformer(self.config).requires_grad_(False)
        self.mean.load_state_dict(self.model.state_dict())
        self.optimisers = optimisers(self.model.blocks, self.model, 1.5e-3)
        self.step, self.samples, self.seconds, self.processor_seconds = 0, 0, 0.0, 0.0
        if self.path.exists():
            self._resume(torch.load(self.path, weights_only=True))
        elif weights is not None:
            self._begin_from(weights)

    def _resume(self, stored: dict[str, object]) -> None:
        self.model.load_state_dict(stored["model"])
        self.mean.load_state_dict(stored["mean"])
        for optimiser, state in zip(self.optimisers, stored["optimisers"], strict=True):
            optimiser.load_state_dict(state)
        for name in ("step", "samples", "seconds", "processor_seconds"):
            setattr(self, name, stored[name])

    def _begin_from(self, weights: Path) -> None:
        from .weights import load_transformer

        state = load_transformer(weights).state_dict()
        self.model.load_state_dict(state)
        self.mean.load_state_dict(state)

    def save(self) -> None:
        """Write the checkpoint."""
        counts = {name: getattr(self, name) for name in ("step", "samples", "seconds", "processor_seconds")}
        states = {"model": self.model.state_dict(), "mean": self.mean.state_dict()}
        save_atomically({**counts, **states, "optimisers": [each.state_dict() for each in self.optimisers]}, self.path)

    def update(self, latents: Tensor, marks: Tensor, random: torch.Generator, *, frames: int, cost: int) -> float:
        """One step on `cost` latent frames in clips of `frames` latent frames; returns the loss."""
        count = cost // frames
        chosen = torch.randint(len(latents), (count,), generator=random)
        first = int(torch.randint(self.config.frames - frames + 1, (), generator=random))
        data = latents[chosen, :, first : first + frames].float()
        label = dropped(marks[chosen], torch.tensor(self.config.null), random)
        noise = torch.randn(data.shape, generator=random)
        times = logit_normal_times(count, random)
        value = loss(self.model(noisy(data, noise, times), times, label, frame=first), data, noise)
        value.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        warm = min(1.0, (self.step + 1) / 60)
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = group.setdefault("rate", group["lr"]) * warm
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        self.step += 1
        self.samples += count
        average(self.mean, self.model, self.step)
        return float(value.detach())


def train_transformer(folder: Path, *, seconds: float, singles: float, cost: int, weights: Path | None = None) -> None:
    """Train until `seconds` of training are reached, over all sittings.

    For the first `singles` processor seconds on single latent frames (four times as many pictures for the same work),
    then on whole clips. Reads the cache anew at each checkpoint, so that it may grow meanwhile.
    """
    run = TransformerRun(folder, weights)
    cache = Cache(folder)
    latents, marks = cache.load()
    test = held_out(folder)
    random = torch.Generator().manual_seed(1000 + run.step)
    began, processor, wrote = time.monotonic(), time.process_time(), time.monotonic()
    losses: list[float] = []
    while run.seconds < seconds:
        frames = 1 if run.processor_seconds < singles else run.config.frames
        losses.append(run.update(latents, marks, random, frames=frames, cost=cost))
        now, spent = time.monotonic(), time.process_time()
        run.seconds, run.processor_seconds = run.seconds + now - began, run.processor_seconds + spent - processor
        began, processor = now, spent
        if not all(map(math.isfinite, losses[-1:])):
            raise RuntimeError(f"the loss is {losses[-1]} at step {run.step}")
        if now - wrote > 180 or run.seconds >= seconds:
            run.save()
            LOG.info(
                "step %d samples %d frames %d seconds %.0f processor %.0f clips %d loss %.4f held-out %.4f",
                run.step, run.samples, frames, run.seconds, run.processor_seconds, len(latents),
                sum(losses) / len(losses), held_out_loss(run.mean, *test),
            )
            losses, wrote = [], time.monotonic()
            if len(cache.shards()) * 256 != len(latents):
                latents, marks = cache.load()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one stage from the command line; the exit status is 0 when it finished."""
    parser = argparse.ArgumentParser(prog="python -m generator.training", description=__doc__)
    parser.add_argument("stage", choices=("cache", "transformer"))
    parser.add_argument("--out", type=Path, required=True, help="folder of caches and checkpoints")
    parser.add_argument("--seconds", type=float, default=3 * 3600, help="training time over all sittings")
    parser.add_argument("--singles", type=float, default=3600, help="processor seconds on single frames first")
    parser.add_argument("--cost", type=int, default=64, help="latent frames per step")
    parser.add_argument("--shards", type=int, default=100, help="shards of the cache")
    parser.add_argument("--weights", type=Path, help="begin from these weights with a fresh optimiser")
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(given.threads)
    if given.stage == "cache":
        fill_cache(given.out, shards=given.shards)
    else:
        train_transformer(
            given.out, seconds=given.seconds, singles=given.singles, cost=given.cost, weights=given.weights
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
