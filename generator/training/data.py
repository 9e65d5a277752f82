"""What the models are trained on: scenes, rendered and encoded once, in a folder that may still grow."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..autoencoder import Autoencoder, AutoencoderConfig, patches, to_signed
from ..scenes import ATTRIBUTES, SCENES, Caption, render
from ..weights import load_autoencoder

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


def fill_cache(
    folder: Path,
    *,
    shards: int = 100,
    size: int = 128,
    pixel_shards: int = 16,
    processes: int = 2,
    weights: Path | None = None,
) -> None:
    """Render and encode shards of `size` clips until there are `shards` of them.

    The first call settles the encoder: that of `weights`, where a transformer that knows its latents is to be trained
    further; otherwise one is fitted anew.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "encoder.pt").exists():
        autoencoder = fit_encoder(AutoencoderConfig()) if weights is None else load_autoencoder(weights)
        save_atomically(
            {"config": asdict(autoencoder.config), "state": autoencoder.state_dict()}, folder / "encoder.pt"
        )
        LOG.info("encoder settled")
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


def held_out(folder: Path, count: int = 32) -> tuple[Tensor, Tensor]:
    """Latents and labels of clips that no model was trained on."""
    frames, marks = rendered(range(HELD_OUT_SEED, HELD_OUT_SEED + count))
    with torch.no_grad():
        return load_encoder(folder).encode(to_signed(frames)), torch.tensor(marks)
