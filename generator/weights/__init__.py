"""The weights that ship: safetensors with their configuration inside, loaded strictly, checked against a record.

`record.json` says of each file its SHA-256, what it was trained on and for how long, and how well it did.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from provenance.errors import WeightsError

from ..autoencoder import Autoencoder, AutoencoderConfig
from ..transformer import Transformer, TransformerConfig
from ..upsampler import Upsampler, UpsamplerConfig

FOLDER = Path(__file__).parent
FORM = "countermark-generator/1"
"""What the metadata of every weights file says under "form"."""
_HINT = "reinstall the package, or train anew with python -m generator.training"
Model = TypeVar("Model", bound=nn.Module)


def sha256(path: Path) -> str:
    """The SHA-256 of a file, 64 hex digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def save(model: nn.Module, path: Path, *, exact: bool = False) -> None:
    """Write a model and its `config`; all in bfloat16 unless `exact`, but buffers below a million values in float32."""
    buffers = {name for name, value in model.named_buffers() if value.numel() < 1_000_000}
    state = {
        name: (value if exact or name in buffers else value.bfloat16()).contiguous()
        for name, value in model.state_dict().items()
    }
    metadata = {"form": FORM, "kind": type(model).__name__, "config": json.dumps(asdict(model.config))}  # type: ignore[call-overload]
    part = path.with_suffix(".part")
    save_file(state, part, metadata)
    part.chmod(0o644)
    part.replace(path)


def _load(kind: type[Model], config: type, path: Path) -> Model:
    try:
        with safe_open(path, "pt") as stored:
            metadata = stored.metadata() or {}
            if metadata.get("form") != FORM or metadata.get("kind") != kind.__name__:
                raise WeightsError(f"{path}: not weights of the {kind.__name__.lower()} ({FORM})", hint=_HINT)
            model = kind(config(**json.loads(metadata["config"])))
            state = {name: stored.get_tensor(name).float() for name in stored.keys()}  # noqa: SIM118
        model.load_state_dict(state, strict=True)
    except (OSError, SafetensorError, RuntimeError, TypeError, ValueError) as error:
        raise WeightsError(f"{path}: cannot be loaded ({str(error).splitlines()[0]})", hint=_HINT) from error
    return model.eval().requires_grad_(False)


def load_autoencoder(path: Path | None = None) -> Autoencoder:
    """The autoencoder of a file (by default the one that ships). Raises WeightsError."""
    return _load(Autoencoder, AutoencoderConfig, path or FOLDER / "autoencoder.safetensors")


def load_transformer(path: Path | None = None) -> Transformer:
    """The transformer of a file (by default the one that ships). Raises WeightsError."""
    return _load(Transformer, TransformerConfig, path or FOLDER / "transformer.safetensors")


def load_upsampler(path: Path | None = None) -> Upsampler:
    """The upsampler of a file (by default the one that ships). Raises WeightsError."""
    return _load(Upsampler, UpsamplerConfig, path or FOLDER / "upsampler.safetensors")


def record(folder: Path = FOLDER) -> Mapping[str, Mapping[str, object]]:
    """What stands in record.json: file name -> sha256, training, quality. Raises WeightsError."""
    try:
        return json.loads((folder / "record.json").read_text())
    except (OSError, ValueError) as error:
        raise WeightsError(f"{folder / 'record.json'}: cannot be read ({error})", hint=_HINT) from error


def check(folder: Path = FOLDER) -> None:
    """Compare every file with its digest in the record. Raises WeightsError at the first that differs."""
    for name, entry in record(folder).items():
        if not (folder / name).exists() or sha256(folder / name) != entry["sha256"]:
            raise WeightsError(f"{folder / name}: is missing or differs from its record", hint=_HINT)


@torch.no_grad()
def publish(models: Mapping[str, tuple[nn.Module, Mapping[str, object]]], folder: Path = FOLDER) -> None:
    """Write models as NAME.safetensors with what is known about each, and bring the record up to date."""
    entries = dict(record(folder)) if (folder / "record.json").exists() else {}
    for name, (model, known) in models.items():
        path = folder / f"{name}.safetensors"
        save(model, path)
        entries[path.name] = {"sha256": sha256(path), **known}
    (folder / "record.json").write_text(json.dumps(entries, indent=1, sort_keys=True) + "\n")
