"""What a manifest says before it is signed: the actions, in order, and nothing that its owner did not ask for."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from provenance.credentials import (
    FINGERPRINT_ALGORITHM,
    LATENT_ALGORITHM,
    Generation,
    Manifest,
    Signer,
    SoftBinding,
    Source,
    read_manifest_store,
    sign_file,
    watermark_binding,
)
from provenance.credentials.manifest import SPEC_VERSION

PARENT = Source(Path("in.mp4"), "in.mp4", "video/mp4")
PROMPT = "a secret red ball"


def actions(manifest: Manifest) -> list[dict[str, Any]]:
    first = manifest.definition()["assertions"][0]
    assert first["label"] == "c2pa.actions.v2"
    assert first["created"]
    assert first["data"]["allActionsIncluded"]
    return list(first["data"]["actions"])


def names(manifest: Manifest) -> list[str]:
    return [row["action"].removeprefix("c2pa.") for row in actions(manifest)]


def test_a_generated_clip_was_created_by_its_model() -> None:
    manifest = Manifest("a.mp4", "video/mp4", "generated", generation=Generation("A model", "3"))
    (created,) = actions(manifest)
    assert created["action"] == "c2pa.created"
    assert created["digitalSourceType"].endswith("/trainedAlgorithmicMedia")
    assert created["softwareAgent"] == {"name": "A model", "version": "3"}
    assert created["parameters"] == {"ingredientIds": ["model"]}


def test_an_opened_clip_states_its_origin_on_the_action_after_the_opening() -> None:
    opened, transcoded, edited = actions(
        Manifest("a.mp4", "video/mp4", "captured", parent=PARENT, changes=("transcoded", "edited"))
    )
    assert opened["action"] == "c2pa.opened"
    assert opened["parameters"] == {"ingredientIds": ["parent"]}
    assert transcoded["digitalSourceType"].endswith("/digitalCapture")
    assert "digitalSourceType" not in opened
    assert "digitalSourceType" not in edited


def test_without_an_origin_nothing_is_claimed() -> None:
    manifest = Manifest("a.mp4", "video/mp4", parent=PARENT)
    assert "digitalSourceType" not in json.dumps(manifest.definition())


def test_a_watermark_is_an_action_and_a_fingerprint_is_none() -> None:
    content, pointer = SoftBinding(FINGERPRINT_ALGORITHM, b"f"), watermark_binding(LATENT_ALGORITHM, 5)
    assert names(Manifest("a", "video/mp4", parent=PARENT, soft_bindings=(content,))) == ["opened", "transcoded"]
    marked = Manifest("a", "video/mp4", parent=PARENT, soft_bindings=(content, pointer))
    assert names(marked) == ["opened", "transcoded", "watermarked.unbound"]


def test_a_prompt_stays_private_unless_it_is_asked_for() -> None:
    private = Manifest("a", "video/mp4", "generated", generation=Generation("M", prompt=PROMPT))
    shown = Manifest("a", "video/mp4", "generated", generation=Generation("M", prompt=PROMPT, show_prompt=True))
    titles = [[str(one.definition["title"]) for one in manifest.ingredients()] for manifest in (private, shown)]
    assert titles[0][0].startswith("prompt, sha256 ")
    assert titles[1][0] == PROMPT
    assert PROMPT not in json.dumps(private.definition()) + repr(private)


def test_the_writer_names_itself_and_the_specification() -> None:
    (info,) = Manifest("a", "video/mp4", parent=PARENT).definition()["claim_generator_info"]
    assert info["name"] == "Countermark"
    assert info["specVersion"] == SPEC_VERSION


def test_the_wish_about_training_is_stated_when_there_is_one() -> None:
    silent = Manifest("a", "video/mp4", parent=PARENT).definition()
    refused = Manifest("a", "video/mp4", parent=PARENT, allows_training=False).definition()
    assert "training" not in json.dumps(silent)
    assert refused["assertions"][-1]["data"]["entries"]["cawg.ai_generative_training"] == {"use": "notAllowed"}


def test_contradictions_are_refused() -> None:
    with pytest.raises(ValueError, match="says how"):
        Manifest("a", "video/mp4")
    with pytest.raises(ValueError, match="changed in some way"):
        Manifest("a", "video/mp4", parent=PARENT, changes=())
    with pytest.raises(ValueError, match="time zone"):
        Manifest("a", "video/mp4", parent=PARENT, when=dt.datetime(2026, 1, 1))
    with pytest.raises(ValueError, match="value"):
        SoftBinding("a.b", b"")


def test_what_was_written_is_what_stands_in_the_file(clip: Path, signer: Signer, tmp_path: Path) -> None:
    generation = Generation("A model", "3", "urn:example:model", PROMPT)
    pointer = SoftBinding(LATENT_ALGORITHM, bytes(8), span_seconds=(0.0, 1.5))
    manifest = Manifest(
        "a.mp4", "video/mp4", "generated", generation=generation, soft_bindings=(pointer,), allows_training=False
    )
    store = read_manifest_store(sign_file(clip, tmp_path / "a.mp4", manifest, signer).path)
    assert store is not None
    assert PROMPT.encode() not in store.data
    labels = {row["label"]: row for row in store.active["assertions"]}
    assert {"c2pa.actions.v2", "c2pa.soft-binding", "c2pa.ai-disclosure", "cawg.training-mining"} <= set(labels)
    assert all(row["created"] for row in labels.values()), "the signer stands for every statement"
    assert labels["c2pa.soft-binding"]["data"]["blocks"][0]["scope"] == {"timespan": {"start": 0, "end": 1500}}
    assert {row["relationship"] for row in store.active["ingredients"]} == {"inputTo"}
    assert store.active["claim_version"] == 2
