"""The built-in generator: prompt and noise -> clip, and clip -> noise.

One noise makes one base clip of two seconds. Longer films are several base clips, each of its own noise, one after the
other (`generator.marked` joins them with a cut): then every two seconds carry the whole watermark.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from provenance.errors import UsageError
from provenance.video import Clip

from . import flow
from .autoencoder import Autoencoder, to_bytes, to_signed
from .scenes import BASE_RATE
from .text import parse_prompt
from .transformer import Transformer
from .upsampler import RATE, SCALE, Upsampler, delivered
from .weights import FOLDER, load_autoencoder, load_transformer, load_upsampler

LATE_START = 0.2
"""Where on the path from data to noise inversion begins: late costs little on clean clips and helps after codecs."""
SUPPORTED_STEPS = range(1, 1001)


class BuiltInGenerator:
    """Countermark's own text-to-video model; satisfies `provenance.watermarks.latent.Generator`.

    name: what manifests call it. noise_shape: (channels, time, height, width) of the noise of one base clip.
    frames_per_second, clip_seconds: of the clips that `sample` gives.
    """

    name = "countermark-scenes/1"

    def __init__(self, autoencoder: Autoencoder, transformer: Transformer, upsampler: Upsampler) -> None:
        self.autoencoder = autoencoder.eval().requires_grad_(False)
        self.transformer = transformer.eval().requires_grad_(False)
        self.upsampler = upsampler.eval().requires_grad_(False)
        self.noise_shape: tuple[int, int, int, int] = transformer.config.shape
        self.frames_per_second: Fraction = BASE_RATE * RATE
        self.base_frames = transformer.config.frames * autoencoder.config.patch_time
        self.base_side = transformer.config.side * autoencoder.config.patch_side
        self.clip_seconds = float(self.base_frames / BASE_RATE)

    @classmethod
    def load(cls, folder: Path = FOLDER) -> BuiltInGenerator:
        """Load the weights of a folder, by default those that ship. Raises WeightsError."""
        return cls(
            load_autoencoder(folder / "autoencoder.safetensors"),
            load_transformer(folder / "transformer.safetensors"),
            load_upsampler(folder / "upsampler.safetensors"),
        )

    def __repr__(self) -> str:
        return f"BuiltInGenerator({self.name}, noise {self.noise_shape}, {self.base_side * SCALE} lines)"

    @torch.no_grad()
    def sample_base(
        self,
        noise: np.ndarray,
        prompt: str,
        *,
        steps: int = 20,
        guidance: float = 2.0,
        first_frame: np.ndarray | None = None,
        start: float = 0.0,
    ) -> np.ndarray:
        """As `sample`, but the base clip: uint8 (16, 128, 128, 3), 8 frames a second."""
        if noise.shape != self.noise_shape:
            raise ValueError(f"noise must have the shape {self.noise_shape}, not {noise.shape}")
        if steps not in SUPPORTED_STEPS or not 0 <= start < 1 or (start and first_frame is None):
            raise UsageError(
                f"steps {steps}, start {start:g}: out of range",
                hint="1 to 1000 steps; start below 1, with a first frame",
            )
        label = torch.tensor([parse_prompt(prompt).label])
        grain = torch.from_numpy(np.ascontiguousarray(noise, dtype=np.float32))[None]
        null = torch.tensor([self.transformer.config.null])
        velocity = flow.guided(self.transformer, null, guidance)
        begin, keep = grain, None
        if first_frame is not None:
            still = self._still(first_frame)
            begin = flow.noisy(still, grain, torch.tensor([1.0 - start]))
            keep = _keeping(still[:, :, :1], grain[:, :, :1])
        latents = flow.sample(velocity, begin, label, steps=steps, start=1.0 - start, keep=keep)
        return to_bytes(self.autoencoder.decode(latents))[0].numpy()

    def sample(
        self,
        noise: np.ndarray,
        prompt: str,
        *,
        steps: int = 20,
        guidance: float = 2.0,
        first_frame: np.ndarray | None = None,
        start: float = 0.0,
    ) -> Clip:
        """Make a clip of 2 seconds from noise, float32 `noise_shape`: 48 frames of 512 x 512.

        `first_frame`, uint8 (height, width, 3) of any size, is what the clip begins with; with `start` above 0 sampling
        begins that share of the way from noise to a clip in which it stands still, and the noise counts the less.
        Raises UsageError for an empty prompt and values out of range, ValueError for noise of another shape.
        """
        base = self.sample_base(noise, prompt, steps=steps, guidance=guidance, first_frame=first_frame, start=start)
        frames = delivered(self.upsampler, torch.from_numpy(base)).numpy()
        return Clip.at_rate(frames, float(self.frames_per_second))

    @torch.no_grad()
    def invert(self, clip: Clip, *, steps: int = 10) -> np.ndarray:
        """Estimate the noise, float32 `noise_shape`, of a clip of any size, rate and length, without its prompt.

        In the prompt's place stands the label under which the clip is likeliest.
        The clip is taken to begin where a base clip began; what it lacks at its end is filled with its last frame.
        """
        latents = self.autoencoder.encode(to_signed(self._base_of(clip)[None]))
        label = self.transformer.gaussian.likeliest(latents, self.transformer.config.attributes)
        return flow.invert(self.transformer, latents, label, steps=steps, start=LATE_START)[0].numpy()

    def _base_of(self, clip: Clip) -> Tensor:
        """The base frames of a delivered clip, uint8 (16, 128, 128, 3): every k-th by time, area-scaled."""
        wanted = clip.times[0] + np.arange(self.base_frames) / float(BASE_RATE)
        index = np.abs(clip.times[None] - wanted[:, None]).argmin(axis=1)
        return self._scaled(torch.from_numpy(np.ascontiguousarray(clip.frames[index])))

    def _scaled(self, frames: Tensor) -> Tensor:
        """uint8 (n, h, w, 3) -> uint8 (n, 128, 128, 3)."""
        side = self.base_side
        small = functional.interpolate(frames.permute(0, 3, 1, 2).float(), (side, side), mode="area")
        return small.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)

    def _still(self, frame: np.ndarray) -> Tensor:
        """Latents of a clip in which one frame stands still, (1, C, t, h, w)."""
        small = self._scaled(torch.from_numpy(np.ascontiguousarray(frame))[None])
        return self.autoencoder.encode(to_signed(small.expand(self.base_frames, -1, -1, -1)[None]))


def _keeping(known: Tensor, noise: Tensor) -> Callable[[Tensor, float], Tensor]:
    """Hold the first latent frame of x to what is known, noised as x is."""

    def keep(x: Tensor, time: float) -> Tensor:
        first = flow.noisy(known, noise, torch.tensor([time]))
        return torch.cat((first, x[:, :, 1:]), dim=2)

    return keep
