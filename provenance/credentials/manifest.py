"""What we say about a clip, as a C2PA 2.2 manifest (claim version 2), and the one map between origins and source types.

A clip that we generated begins with ``c2pa.created``. A clip that we only marked begins with ``c2pa.opened``, which
carries no source type, and the action after it carries the one that its owner asked for; without an origin nothing is
claimed of how the clip was made. Our watermark algorithms are not on the C2PA list of soft bindings yet, so the action
is ``c2pa.watermarked.unbound``, and the bindings stand in the manifest as declarations.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from provenance.credentials.sdk import Ingredient
from provenance.evidence import OriginName

PIXEL_ALGORITHM = "org.countermark.pixel.1"
"""Soft binding of the watermark in the luma: eight bytes, the watermark id, most significant first."""
LATENT_ALGORITHM = "org.countermark.latent.1"
"""Soft binding of the watermark in the initial noise: eight bytes as above."""
FINGERPRINT_ALGORITHM = "org.countermark.fingerprint.1"
"""Soft binding by content: the clip's fingerprint as provenance.repository.fingerprint serialises it."""

SPEC_VERSION = "2.4.0"  # claim_generator_info.specVersion (conformance programme 0.2)
_IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"

SOURCE_TYPES: Mapping[OriginName, str] = {
    "generated": _IPTC + "trainedAlgorithmicMedia",
    "generated_in_part": _IPTC + "compositeWithTrainedAlgorithmicMedia",
    "edited": _IPTC + "humanEdits",
    "captured": _IPTC + "digitalCapture",
}
"""The digitalSourceType that states an origin; "unstated" has none."""

_ORIGINS: Mapping[str, OriginName] = {
    "trainedAlgorithmicMedia": "generated",
    "trainedAlgorithmicData": "generated",
    "compositeWithTrainedAlgorithmicMedia": "generated_in_part",
    "compositeSynthetic": "generated_in_part",
    "humanEdits": "edited",
    "minorHumanEdits": "edited",
    "composite": "edited",
    "compositeCapture": "edited",
    "digitalCapture": "captured",
    "computationalCapture": "captured",
    "screenCapture": "captured",
    "negativeFilm": "captured",
    "positiveFilm": "captured",
    "print": "captured",
}
_SOURCE_TYPE_HOSTS = re.compile(r"https?://(cv\.iptc\.org/newscodes|c2pa\.org)/digitalsourcetype/(\w+)/?")

Change = Literal["transcoded", "repackaged", "edited"]
"""What was done to an opened clip: encoded again, put into another container, or altered (C2PA 2.2, 18.14.2)."""


def origin_of_source_type(uri: str) -> OriginName:
    """The origin that a digitalSourceType states; "unstated" for those that are none of the four."""
    match = _SOURCE_TYPE_HOSTS.fullmatch(uri.strip())
    return _ORIGINS.get(match.group(2), "unstated") if match else "unstated"


@dataclass(frozen=True)
class SoftBinding:
    """A pointer from content to this manifest: what `algorithm` reads in the clip, over `span_seconds` or all of it."""

    algorithm: str
    value: bytes
    span_seconds: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if not self.value:
            raise ValueError("a soft binding needs a value")
        if self.span_seconds and not 0 <= self.span_seconds[0] <= self.span_seconds[1]:
            raise ValueError("a span starts at or after 0 and does not end before its start")

    def assertion(self) -> dict[str, Any]:
        """The ``c2pa.soft-binding`` assertion; time in milliseconds (C2PA 2.2, 18.10)."""
        scope: dict[str, Any] = {}
        if self.span_seconds:
            start, end = (round(1000 * second) for second in self.span_seconds)
            scope = {"timespan": {"start": start, "end": end}}
        block = {"scope": scope, "value": base64.b64encode(self.value).decode()}
        return {
            "label": "c2pa.soft-binding",
            "created": True,
            "data": {"alg": self.algorithm, "pad": "", "blocks": [block]},
        }


def watermark_binding(algorithm: str, watermark_id: int) -> SoftBinding:
    """The soft binding of a 64-bit watermark id."""
    return SoftBinding(algorithm, watermark_id.to_bytes(8, "big"))


@dataclass(frozen=True)
class Source:
    """A file that went into the clip: what it was opened from, or one of several parts.

    manifest_data: credentials that stood beside the file (a sidecar); those inside it are found by themselves.
    """

    path: Path
    title: str
    media_type: str
    manifest_data: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Generation:
    """The model that made a clip. The digest of a prompt is stated, its words only with `show_prompt`; whoever guesses
    the words can tell from the digest that they are right.
    """

    model_name: str
    model_version: str = ""
    model_identifier: str = ""
    prompt: str = field(default="", repr=False)
    show_prompt: bool = False


@dataclass(frozen=True)
class Manifest:
    """What is said about one file.

    Either `parent` is there (the clip was opened, then `changes` happened to it), or the clip was created, by
    `generation` where a model did it, from `components` where it was put together from several clips.
    when: time of signing in UTC; None takes the present.
    allows_training: the owner's wish about training on the clip; None states none.
    """

    title: str
    media_type: str
    origin: OriginName = "unstated"
    parent: Source | None = None
    components: tuple[Source, ...] = ()
    changes: tuple[Change, ...] = ("transcoded",)
    generation: Generation | None = None
    soft_bindings: tuple[SoftBinding, ...] = ()
    when: dt.datetime | None = None
    allows_training: bool | None = None

    def __post_init__(self) -> None:
        if self.parent is None and self.origin == "unstated":
            raise ValueError("a clip that was created says how: give an origin or a parent")
        if self.parent is not None and not self.changes:
            raise ValueError("a clip that was opened and signed was changed in some way: name it")
        if self.when is not None and self.when.tzinfo is None:
            raise ValueError("the time of signing needs a time zone")

    def definition(self) -> dict[str, Any]:
        """The manifest in the form that the software kit takes, without ingredients."""
        assertions = [{"label": "c2pa.actions.v2", "created": True, "data": self._actions()}]
        assertions += [binding.assertion() for binding in self.soft_bindings]
        if self.generation is not None:
            assertions.append({"label": "c2pa.ai-disclosure", "created": True, "data": _disclosure(self.generation)})
        if self.allows_training is not None:
            use = {"use": "allowed" if self.allows_training else "notAllowed"}
            entries = {"cawg.ai_generative_training": use, "cawg.ai_training": use}
            assertions.append({"label": "cawg.training-mining", "created": True, "data": {"entries": entries}})
        return {
            "claim_version": 2,
            "title": self.title,
            "format": self.media_type,
            "claim_generator_info": [_software() | {"specVersion": SPEC_VERSION}],
            "assertions": assertions,
        }

    def ingredients(self) -> tuple[Ingredient, ...]:
        """The files, the model and the prompt that went into the clip."""
        found = [_file_ingredient(self.parent, "parent", "parentOf")] if self.parent else []
        found += [
            _file_ingredient(part, f"component-{number}", "componentOf") for number, part in enumerate(self.components)
        ]
        if self.generation is not None:
            found += _generation_ingredients(self.generation)
        return tuple(found)

    def _actions(self) -> dict[str, Any]:
        when = (self.when or dt.datetime.now(dt.UTC)).astimezone(dt.UTC)
        stamp = when.replace(microsecond=0).isoformat().replace("+00:00", "Z")
        actions = self._opened() if self.parent else self._created()
        for number in range(len(self.components)):
            actions.append({"action": "c2pa.placed", "parameters": {"ingredientIds": [f"component-{number}"]}})
        if any(binding.algorithm != FINGERPRINT_ALGORITHM for binding in self.soft_bindings):
            actions.append({"action": "c2pa.watermarked.unbound"})
        return {"allActionsIncluded": True, "actions": [{**action, "when": stamp} for action in actions]}

    def _created(self) -> list[dict[str, Any]]:
        action: dict[str, Any] = {"action": "c2pa.created", "digitalSourceType": SOURCE_TYPES[self.origin]}
        if self.generation is None:
            return [action | {"softwareAgent": _software()}]
        agent = {"name": self.generation.model_name}
        if self.generation.model_version:
            agent["version"] = self.generation.model_version
        labels = [str(ingredient.definition["label"]) for ingredient in _generation_ingredients(self.generation)]
        return [action | {"softwareAgent": agent, "parameters": {"ingredientIds": labels}}]

    def _opened(self) -> list[dict[str, Any]]:
        opened = {"action": "c2pa.opened", "parameters": {"ingredientIds": ["parent"]}}
        changes: list[dict[str, Any]] = [
            {"action": f"c2pa.{change}", "softwareAgent": _software()} for change in self.changes
        ]
        if self.origin != "unstated":
            changes[0]["digitalSourceType"] = SOURCE_TYPES[self.origin]
        return [opened, *changes]


def _software() -> dict[str, str]:
    try:
        version = metadata.version("countermark")
    except metadata.PackageNotFoundError:  # run from a source tree
        version = "0"
    return {"name": "Countermark", "version": version}


def _file_ingredient(source: Source, label: str, relationship: str) -> Ingredient:
    definition = {
        "title": source.title,
        "format": source.media_type,
        "relationship": relationship,
        "label": label,
    }
    return Ingredient(definition, source.path, source.manifest_data)


def _generation_ingredients(generation: Generation) -> list[Ingredient]:
    """The model, and the prompt by its digest or its words (C2PA 2.2, 18.16: data types of ingredients)."""
    model = {
        "title": f"{generation.model_name} {generation.model_version}".strip(),
        "format": "application/octet-stream",
        "relationship": "inputTo",
        "label": "model",
        "data_types": [{"type": "c2pa.types.model"}],
    }
    if not generation.prompt:
        return [Ingredient(model)]
    digest = hashlib.sha256(generation.prompt.encode()).hexdigest()
    prompt = {
        "title": generation.prompt if generation.show_prompt else f"prompt, sha256 {digest}",
        "format": "text/plain",
        "relationship": "inputTo",
        "label": "prompt",
        "data_types": [{"type": "c2pa.types.generator.prompt"}],
    }
    return [Ingredient(prompt), Ingredient(model)]


def _disclosure(generation: Generation) -> dict[str, Any]:
    """``c2pa.ai-disclosure`` (C2PA 2.4); it stands beside the source type and never replaces it."""
    told: dict[str, Any] = {"modelType": "c2pa.types.model", "modelName": generation.model_name}
    if generation.model_identifier:
        told["modelIdentifier"] = generation.model_identifier
    if generation.prompt:
        told["contentProfile"] = {"humanOversightLevel": "prompt_guided"}
    return told
