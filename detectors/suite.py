"""The trained suite: its classifiers, its head, what it counts as ordinary input, and the file that holds all of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from detectors.calibration import InconclusiveBand, PlattScale, Values
from detectors.canonical import CanonicalFrames
from detectors.channels import CHANNELS, Channel
from detectors.classifier import LinearClassifier, TreeClassifier, classifier_from
from detectors.fusion import Fusion, Head
from provenance.errors import WeightsError
from provenance.files import written_beside

FORM = "countermark-detectors/1"
"""Form of the weights file."""
WEIGHTS = Path(__file__).parent / "weights" / "detectors.safetensors"
"""The weights that ship."""
RECORD = WEIGHTS.with_suffix(".json")
"""What the weights that ship were trained on, and how they score."""


@dataclass(frozen=True)
class ViewScores:
    """What the suite makes of the views of one clip; all numbers are natural logarithms of likelihood ratios."""

    fused: float
    """The clip's score."""
    channels: Mapping[str, float]
    """Each channel's own."""
    per_view: tuple[float, ...]
    """The fused score of every view alone."""
    oddness: Mapping[str, float]
    """How far the clip lies from the training clips, by channel: mean squared standardised value, 1 is ordinary."""


@dataclass(frozen=True)
class Suite:
    """Trained channels with their head."""

    classifiers: Mapping[str, LinearClassifier | TreeClassifier]
    """By name of channel."""
    head: Head
    oddness_limits: Mapping[str, float]
    """By name of channel: above this, the clip is unlike all training clips. Channels read by trees have none."""

    def score(self, views: Sequence[CanonicalFrames]) -> ViewScores:
        """Scores of one clip by its views (at least one)."""
        logits, oddness = {}, {}
        for channel in self.channels:
            rows = np.stack([channel.features(view) for view in views])
            classifier = self.classifiers[channel.name]
            logits[channel.name] = classifier.logits(rows)
            if isinstance(classifier, LinearClassifier):
                oddness[channel.name] = oddness_of(classifier, rows)
        mean = {name: values.mean(keepdims=True) for name, values in logits.items()}
        ratios = self.head.ratios(mean)[0]
        return ViewScores(
            fused=float(self.head.fused(mean)[0]),
            channels={name: float(ratio) for name, ratio in zip(self.head.scales, ratios, strict=True)},
            per_view=tuple(float(v) for v in self.head.fused(logits)),
            oddness=oddness,
        )

    @property
    def channels(self) -> list[Channel]:
        """The channels in the order of the fusion."""
        known = {channel.name: channel for channel in CHANNELS}
        return [known[name] for name in self.head.scales]


def oddness_of(classifier: LinearClassifier, rows: NDArray[np.floating[Any]]) -> float:
    """Mean squared standardised value of a clip's rows (rows, values)."""
    return float((classifier.standardised(rows) ** 2).mean())


def save_suite(suite: Suite, path: Path) -> str:
    """Write the suite and return the file's SHA-256."""
    arrays = {
        f"{name}/{field}": np.ascontiguousarray(array)
        for name, classifier in suite.classifiers.items()
        for field, array in classifier.arrays().items()
    }
    config = {
        "form": FORM,
        "channels": {channel.name: channel.form for channel in suite.channels},
        "scales": {name: asdict(scale) for name, scale in suite.head.scales.items()},
        "fusion": asdict(suite.head.fusion),
        "band": asdict(suite.head.band),
        "oddness_limits": dict(suite.oddness_limits),
    }
    with written_beside(path, force=True) as part:
        save_file(arrays, part, metadata={"config": json.dumps(config, sort_keys=True)})
        part.chmod(0o644)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def load_suite(path: Path = WEIGHTS) -> Suite:
    """Read a suite. WeightsError if the file is missing, damaged, or made for other features."""
    hint = "reinstall Countermark, or train the detectors anew: countermark train detectors"
    try:
        with safe_open(path, framework="np") as file:
            config = json.loads((file.metadata() or {}).get("config", "{}"))
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        _refuse_other_form(config, path, hint)
        fusion = config["fusion"]
        head = Head(
            {name: PlattScale(**config["scales"][name]) for name in fusion["channels"]},
            Fusion(tuple(fusion["channels"]), tuple(fusion["weights"]), fusion["offset"]),
            InconclusiveBand(**config["band"]),
        )
        classifiers = {name: classifier_from(_of(name, arrays)) for name in config["channels"]}
        return Suite(classifiers, head, config["oddness_limits"])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{path}: the detectors' weights cannot be read ({error})", hint=hint) from error


def _of(name: str, arrays: Mapping[str, Values]) -> dict[str, Values]:
    return {key.removeprefix(f"{name}/"): array for key, array in arrays.items() if key.startswith(f"{name}/")}


def _refuse_other_form(config: Mapping[str, Any], path: Path, hint: str) -> None:
    forms = {channel.name: channel.form for channel in CHANNELS}
    unknown = set(config["channels"].items()) - set(forms.items())
    if config["form"] != FORM or unknown:
        raise WeightsError(f"{path}: these weights belong to another version of the detectors", hint=hint)


@lru_cache(maxsize=1)
def shipped_suite() -> Suite:
    """The suite that ships, read once."""
    return load_suite(WEIGHTS)


@lru_cache(maxsize=1)
def trained_on() -> frozenset[str]:
    """The SHA-256 of every file that the weights that ship learned from, as their record names them. WeightsError."""
    try:
        return frozenset(json.loads(RECORD.read_text(encoding="utf-8"))["trained_on_sha256"])
    except (OSError, KeyError, ValueError) as error:
        hint = "reinstall Countermark, or train the detectors anew: countermark train detectors"
        raise WeightsError(f"{RECORD}: the record of the weights cannot be read ({error})", hint=hint) from error


def weights_digest() -> str:
    """SHA-256 of the weights that ship, for the report."""
    return hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()
