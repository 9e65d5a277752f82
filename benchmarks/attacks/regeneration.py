"""Attacks that make the pictures anew with the parts of the built-in model; torch is imported when they run.

The model was trained on scenes, at 128 lines and 8 frames per second: of other clips it keeps less than of its own. A
super-resolution round trip by bicubic interpolation, x2, is `resize-restored:.5`.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np

from benchmarks.attacks.attack import Attack, Frames, Range, each_frame, in_time

if TYPE_CHECKING:
    from generator.model import BuiltInGenerator
    from provenance.watermarks.latent import Generator

GROUP_FRAMES = 16
"""Frames that go through the autoencoder together."""
DIFFUSION_STEPS = 20
"""Steps of a sampling that begins at noise alone; one that begins later takes its share of them."""
PROMPT = "a scene"
"""What a picture is made to move with: nothing is known of it."""


def autoencoder(frames: Frames, times: float, random: np.random.Generator) -> Frames:
    """Encode and decode with the built-in autoencoder, so many times over; slow, and holds 16 frames."""
    for pictures, shown in _groups(frames):
        for _ in range(int(times)):
            pictures = _reconstructed(pictures)
        yield from zip(pictures, shown, strict=True)


def neural_codec(frames: Frames, step: float, random: np.random.Generator) -> Frames:
    """Encode and decode with the built-in autoencoder, latents rounded to whole steps in between, as a learned codec
    does (Balle et al., arXiv 1611.01704). Its entropy coder changes no pixel and is left out. Slow, holds 16 frames.
    """
    for pictures, shown in _groups(frames):
        yield from zip(_reconstructed(pictures, step), shown, strict=True)


def _groups(frames: Frames) -> Iterator[tuple[np.ndarray, list[float]]]:
    """16 frames at a time, uint8 (time, height, width, 3), and when each is shown."""
    while group := list(itertools.islice(frames, GROUP_FRAMES)):
        yield np.stack([frame for frame, _ in group]), [time for _, time in group]


def _reconstructed(pictures: np.ndarray, step: float = 0.0) -> np.ndarray:
    """uint8 (time, height, width, 3) -> the same, at its own size; edges are repeated up to whole patches.

    step: to which latents are rounded, in their standard deviations; 0: they are not.
    """
    import torch

    from generator.autoencoder import to_bytes, to_signed

    model = _model().autoencoder
    patch = (model.config.patch_time, model.config.patch_side, model.config.patch_side)
    missing = [(0, -length % side) for length, side in zip(pictures.shape[:3], patch, strict=True)]
    padded = torch.from_numpy(np.pad(pictures, (*missing, (0, 0)), mode="edge"))
    with torch.no_grad():
        latents = model.encode(to_signed(padded[None]))
        if step:
            latents = torch.round(latents / step) * step
        decoded = to_bytes(model.decode(latents))[0].numpy()
    return decoded[: pictures.shape[0], : pictures.shape[1], : pictures.shape[2]]


def diffusion(frames: Frames, strength: float, random: np.random.Generator) -> Frames:
    """Add noise to the latents, `strength` of the way to noise alone, and let the built-in model take it out again.

    Every base clip (two seconds, which are held) goes through at 128 x 128 and 8 frames per second, comes back as the
    model delivers it, and is scaled to the old size; each frame shows the picture nearest in time.
    """
    seconds = _model().clip_seconds
    for _, group in itertools.groupby(frames, lambda pair: int(pair[1] / seconds + 1e-9)):
        pictures, times = zip(*group, strict=True)
        since = np.array(times) - math.floor(times[0] / seconds + 1e-9) * seconds
        made = _diffused(list(pictures), since, strength, random)
        yield from _shown(made, times, since, pictures[0].shape[:2])


def image_to_video(frames: Frames, start: float, random: np.random.Generator) -> Frames:
    """Keep one picture of every base clip (two seconds), its first, and let a generator make the rest of it move.

    Goes through the protocol `Generator` alone: `sample` takes the first frame, and begins `start` of the way to a clip
    in which it stands still. Sizes and times are as in `diffusion`.
    """
    model: Generator = _model()
    for _, group in itertools.groupby(frames, lambda pair: int(pair[1] / model.clip_seconds + 1e-9)):
        pictures, times = zip(*group, strict=True)
        since = np.array(times) - math.floor(times[0] / model.clip_seconds + 1e-9) * model.clip_seconds
        noise = random.standard_normal(model.noise_shape, dtype=np.float32)
        steps = max(1, round((1 - start) * DIFFUSION_STEPS))
        made = model.sample(noise, PROMPT, steps=steps, first_frame=pictures[0], start=start)
        yield from _shown(made.frames, times, since, pictures[0].shape[:2])


def _shown(made: np.ndarray, times: Sequence[float], since: np.ndarray, size: tuple[int, int]) -> Frames:
    """Pictures of one base clip, at the old (height, width) and the old times; each the one nearest in time."""
    height, width = size
    method = cv2.INTER_AREA if height < made.shape[1] else cv2.INTER_CUBIC
    for time, moment in zip(times, since, strict=True):
        newest = made[min(len(made) - 1, round(moment * len(made) / _model().clip_seconds))]
        yield cv2.resize(newest, (width, height), interpolation=method), time


def _diffused(
    pictures: list[np.ndarray], times: np.ndarray, strength: float, random: np.random.Generator
) -> np.ndarray:
    """The frames of one base clip, at their times in seconds from its beginning -> uint8 (48, 512, 512, 3)."""
    import torch

    from generator import flow
    from generator.autoencoder import to_bytes, to_signed
    from generator.upsampler import delivered

    model = _model()
    wanted = np.arange(model.base_frames) * model.clip_seconds / model.base_frames
    nearest = np.abs(times[None] - wanted[:, None]).argmin(axis=1)
    side = (model.base_side, model.base_side)
    base = np.stack([cv2.resize(pictures[index], side, interpolation=cv2.INTER_AREA) for index in nearest])
    grain = torch.from_numpy(random.standard_normal(model.noise_shape, dtype=np.float32))[None]
    with torch.no_grad():
        latents = model.autoencoder.encode(to_signed(torch.from_numpy(base)[None]))
        label = model.transformer.gaussian.likeliest(latents, model.transformer.config.attributes)
        begin = flow.noisy(latents, grain, torch.tensor([strength]))
        steps = max(1, round(strength * DIFFUSION_STEPS))
        remade = model.autoencoder.decode(flow.sample(model.transformer, begin, label, steps=steps, start=strength))
    return delivered(model.upsampler, to_bytes(remade)[0]).numpy()


def super_resolution(frame: np.ndarray, value: float, random: np.random.Generator) -> np.ndarray:
    """Scale down by 4 (mean of every 4 x 4 pixels) and up again with the built-in upsampler."""
    import torch

    from generator.upsampler import SCALE, back_projected, reduced

    height, width = frame.shape[:2]
    padded = np.pad(frame, ((0, -height % SCALE), (0, -width % SCALE), (0, 0)), mode="edge")
    with torch.no_grad():
        small = reduced(torch.from_numpy(padded).permute(2, 0, 1)[None].float() / 255)
        large = back_projected(_model().upsampler(small), small)[0].permute(1, 2, 0).numpy()
    return np.rint(255 * large[:height, :width]).astype(np.uint8)


@functools.cache
def _model() -> BuiltInGenerator:
    """The built-in model with the weights that ship, one per process. Raises WeightsError."""
    from generator.model import BuiltInGenerator

    return BuiltInGenerator.load()


REGENERATION: dict[str, Attack] = {
    "autoencoder": Attack(
        "round trips through the model's autoencoder (slow)",
        Range("the round trips", 1, 8, default=1, whole=True),
        in_time(autoencoder),
    ),
    "neural-codec": Attack(
        "a learned codec: the model's autoencoder, latents rounded (slow)",
        Range("the step of rounding, in deviations of the latents", 0.01, 4, default=0.5),
        in_time(neural_codec),
    ),
    "diffusion": Attack(
        "noise, and denoise with the model (slow)",
        Range("the share of the way to noise", 0.01, 0.95, default=0.2),
        in_time(diffusion),
    ),
    "image-to-video": Attack(
        "one picture, and the model makes it move (slow)",
        Range("the share of the way to standing still", 0, 0.95, default=0.5),
        in_time(image_to_video),
    ),
    "super-resolution": Attack("down by 4, up with the model's upsampler", None, each_frame(super_resolution)),
}
