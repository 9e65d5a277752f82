"""How good are the clips of the built-in model? Against held-out rendered clips of the same prompts.

* *scene*, *time*, *colour* seen: the share of clips in which a classifier that was trained on rendered clips alone sees
  what the prompt asked for; beside it the same share on held-out rendered clips.
* *distance*: Frechet distance (Heusel et al., 2017) between generated and rendered clips over the first principal
  components of plain picture features; beside it rendered against rendered, and the model without its transformer.
* what the autoencoder and the upsampler lose, what a clip costs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.linalg import sqrtm
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from generator.autoencoder import to_bytes, to_signed
from generator.model import BuiltInGenerator
from generator.scenes import SCENES, Caption, render
from generator.transformer import Transformer
from generator.upsampler import delivered
from provenance.quality import psnr

Row = dict[str, Any]
LEARNING_SEED, REFERENCE_SEED, PROMPT_SEED = 700_000, 710_000, 720_000
COMPONENTS = 24
SEEN = ("scene", "time", "colour")


def features(frames: np.ndarray) -> np.ndarray:
    """Plain features of a base clip uint8 (16, 128, 128, 3): float (320,).

    On an 8 x 8 grid of blocks: mean colour, deviation of the luma over time, and mean gradient of the first frame.
    """
    values = frames.astype(np.float32) / 255
    time_count, height, width = values.shape[:3]
    blocks = values.reshape(time_count, 8, height // 8, 8, width // 8, 3)
    colours = blocks.mean(axis=(0, 2, 4))
    change = blocks.mean(axis=-1).std(axis=0).mean(axis=(1, 3))
    down, across = np.gradient(values[0].mean(axis=-1))
    edges = np.hypot(down, across).reshape(8, height // 8, 8, width // 8).mean(axis=(1, 3))
    return np.concatenate([part.ravel() for part in (colours, 4 * change, 8 * edges)])


def frechet(first: np.ndarray, second: np.ndarray) -> float:
    """Frechet distance of two sets of features (n, d) taken as Gaussian."""
    between = first.mean(0) - second.mean(0)
    one, two = np.cov(first.T), np.cov(second.T)
    return float(between @ between + np.trace(one + two - 2 * np.real(sqrtm(one @ two))))


def rendered_set(count: int, seed: int) -> tuple[np.ndarray, list[Caption]]:
    """Features (count, 320) and captions of rendered clips, the scenes in turn."""
    found, captions = [], []
    for number in range(count):
        frames, caption = render(seed + number, SCENES[number % len(SCENES)])
        found.append(features(frames))
        captions.append(caption)
    return np.array(found), captions


def generated_set(generator: BuiltInGenerator, captions: Sequence[Caption], seed: int, steps: int) -> np.ndarray:
    """Base clips uint8 (n, 16, 128, 128, 3) of these captions, from plain noise."""
    random = np.random.default_rng(seed)
    clips = []
    for caption in captions:
        noise = random.standard_normal(generator.noise_shape).astype(np.float32)
        clips.append(generator.sample_base(noise, caption.text, steps=steps))
    return np.array(clips)


def quality_rows(
    generator: BuiltInGenerator,
    *,
    clips: int = 48,
    learning: int = 320,
    steps: int = 20,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> list[Row]:
    """Measure the model; one row per number: {"what", "value", "reference", "clips"} and what belongs to it."""
    tell = progress or (lambda _: None)
    tell("rendering")
    known, taught = rendered_set(learning, LEARNING_SEED)
    held, told = rendered_set(max(clips, 2 * COMPONENTS), REFERENCE_SEED)
    _, asked = rendered_set(clips, PROMPT_SEED + seed)
    tell("sampling")
    began = time.perf_counter()
    made = generated_set(generator, asked, seed, steps)
    seconds = (time.perf_counter() - began) / clips
    found = np.array([features(each) for each in made])
    rows = _seen_rows(known, taught, (found, asked), (held, told))
    rows += [_distance_row(generator, known, held, found, asked, seed, steps)]
    rows += _loss_rows(generator, made)
    return [*rows, {"what": "seconds to sample a base clip", "value": round(seconds, 2), "clips": clips}]


def _seen_rows(
    known: np.ndarray,
    taught: Sequence[Caption],
    made: tuple[np.ndarray, Sequence[Caption]],
    held: tuple[np.ndarray, Sequence[Caption]],
) -> list[Row]:
    rows: list[Row] = []
    for attribute in SEEN:
        classifier = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
        classifier.fit(known, [caption.attributes[attribute] for caption in taught])
        shares = []
        for found, captions in (made, held):
            right = np.array([caption.attributes[attribute] for caption in captions])
            hits = classifier.predict(found) == right
            shares.append(float(hits.mean()))
            if attribute == "scene" and captions is made[1]:
                by_scene = {scene: round(float(hits[right == scene].mean()), 3) for scene in SCENES}
        row: Row = {"what": f"{attribute} seen as asked", "value": shares[0], "reference": shares[1]}
        rows.append({**row, "clips": len(made[0]), **({"by_scene": by_scene} if attribute == "scene" else {})})
    return rows


def _distance_row(
    generator: BuiltInGenerator,
    known: np.ndarray,
    held: np.ndarray,
    found: np.ndarray,
    asked: Sequence[Caption],
    seed: int,
    steps: int,
) -> Row:
    centre = known.mean(0)
    axes = np.linalg.svd(known - centre, full_matrices=False)[2][:COMPONENTS].T
    bare = Transformer(generator.transformer.config)
    bare.gaussian.load_state_dict(generator.transformer.gaussian.state_dict())
    alone = BuiltInGenerator(generator.autoencoder, bare, generator.upsampler)
    plain = np.array([features(each) for each in generated_set(alone, asked, seed, steps)])
    near, far, floor = ((each - centre) @ axes for each in (found, plain, held))
    reference = (known - centre) @ axes
    return {
        "what": f"Frechet distance, {COMPONENTS} components",
        "value": round(frechet(near, reference), 3),
        "reference": round(frechet(floor, reference), 3),
        "without transformer": round(frechet(far, reference), 3),
        "clips": len(found),
    }


@torch.no_grad()
def _loss_rows(generator: BuiltInGenerator, made: np.ndarray, count: int = 16) -> list[Row]:
    autoencoder = generator.autoencoder
    linear, refined, again, scaled = [], [], [], []
    for number in range(count):
        clip = torch.from_numpy(render(REFERENCE_SEED + number, SCENES[number % len(SCENES)])[0])[None]
        latents = autoencoder.encode(to_signed(clip))
        linear.append(psnr(clip.numpy(), to_bytes(autoencoder.decode_linear(latents)).numpy()))
        painted = to_bytes(autoencoder.decode(latents))
        refined.append(psnr(clip.numpy(), painted.numpy()))
        again.append(float((autoencoder.encode(to_signed(painted)) - latents).square().mean()))
    began = time.perf_counter()
    for base in made[:2]:
        large = delivered(generator.upsampler, torch.from_numpy(base)).numpy()[::3].astype(np.float32)
        small = large.reshape(len(base), 128, 4, 128, 4, 3).mean(axis=(2, 4))
        scaled.append(10 * np.log10(255**2 / np.square(small - base).mean()))
    spent = (time.perf_counter() - began) / len(made[:2])
    mean = lambda values: round(float(np.mean(values)), 2)  # noqa: E731
    return [
        {"what": "autoencoder PSNR, dB", "value": mean(refined), "linear": mean(linear), "clips": count},
        {"what": "mean square of encode(decode(z)) - z", "value": round(float(np.mean(again)), 4), "clips": count},
        {"what": "delivered key frames scaled down against base, dB", "value": mean(scaled), "clips": len(scaled)},
        {"what": "seconds to upsample a clip", "value": round(spent, 2), "clips": len(scaled)},
    ]


def contact_sheet(generator: BuiltInGenerator, path: Path, *, per_scene: int = 4, seed: int = 0) -> list[str]:
    """Write one picture of uncurated clips, a row per scene, per clip its first and last base frame; returns prompts.

    Clip number k of a scene has the attributes that seed `seed + 8 k + scene` deals and noise of the same seed.
    """
    from PIL import Image

    rows, prompts = [], []
    for place, scene in enumerate(SCENES):
        row = []
        for number in range(per_scene):
            dealt = seed + len(SCENES) * number + place
            caption = render(dealt, scene, 16, 1)[1]
            noise = np.random.default_rng(dealt).standard_normal(generator.noise_shape).astype(np.float32)
            clip = generator.sample_base(noise, caption.text)
            row += [clip[0], clip[-1]]
            prompts.append(caption.text)
        rows.append(np.concatenate(row, axis=1))
    sheet = np.concatenate(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet).save(path, optimize=True)
    return prompts
