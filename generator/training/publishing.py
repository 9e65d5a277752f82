"""From checkpoints to the weights that ship."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ..autoencoder import Autoencoder, AutoencoderConfig
from ..transformer import Transformer, TransformerConfig
from ..upsampler import Upsampler, UpsamplerConfig
from ..weights import FOLDER, publish
from .data import HELD_OUT_SEED, TRAINING_SEED, held_out
from .denoiser import held_out_loss

DATA = f"procedural scenes of generator.scenes, seeds from {TRAINING_SEED}; no other data"


def _stored(path: Path) -> dict[str, Any]:
    return torch.load(path, weights_only=True)


def publish_transformer(folder: Path, into: Path = FOLDER) -> float:
    """Write the averaged weights of the checkpoint in `folder` with their record; returns the held-out loss."""
    stored = _stored(folder / "transformer.pt")
    model = Transformer(TransformerConfig())
    model.load_state_dict(stored["mean"])
    model.eval()
    value = held_out_loss(model, *held_out(folder))
    known = {
        "data": DATA,
        "steps": stored["step"],
        "clips": stored["samples"],
        "training_seconds": round(stored["seconds"]),
        "processor_seconds": round(stored["processor_seconds"]),
        "held_out_loss": round(value, 4),
        "held_out_seeds": f"{HELD_OUT_SEED} and the 31 after it",
    }
    publish({"transformer": (model, known)}, into)
    return value


def publish_pictures(folder: Path, into: Path = FOLDER) -> None:
    """Write autoencoder and upsampler from their checkpoints in `folder`, with their records."""
    stored = _stored(folder / "autoencoder.pt")
    autoencoder = Autoencoder(AutoencoderConfig(**stored["config"]))
    autoencoder.load_state_dict(stored["state"])
    publish({"autoencoder": (autoencoder, {"data": DATA, "steps": stored["steps"]})}, into)
    stored = _stored(folder / "upsampler.pt")
    upsampler = Upsampler(UpsamplerConfig(**stored["config"]))
    upsampler.load_state_dict(stored["state"])
    publish({"upsampler": (upsampler, {"data": DATA, "steps": stored["steps"]})}, into)
