"""What a chain of manifests says, on stores that were taken apart: the rules alone, without signatures."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from provenance.credentials.history import CHAIN_LIMIT, chain, history, plain_text, soft_bindings, statement
from provenance.credentials.manifest import SOURCE_TYPES, origin_of_source_type
from provenance.credentials.sdk import ManifestStore

_IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"


def action(name: str, source_type: str | None = None) -> dict[str, Any]:
    return {"action": f"c2pa.{name}", **({"digitalSourceType": _IPTC + source_type} if source_type else {})}


def manifest(*actions: Any, **ingredients: str) -> dict[str, Any]:
    rows = [{"active_manifest": target, "relationship": kind} for kind, target in ingredients.items()]
    return {"assertions": [{"label": "c2pa.actions.v2", "data": {"actions": list(actions)}}], "ingredients": rows}


def store(**manifests: Any) -> ManifestStore:
    return ManifestStore("top", manifests, ())


@pytest.mark.parametrize("origin", SOURCE_TYPES)
def test_writing_an_origin_and_reading_it_are_inverse(origin: Any) -> None:
    assert origin_of_source_type(SOURCE_TYPES[origin]) == origin


@pytest.mark.parametrize(
    ("uri", "origin"),
    [
        ("https://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia", "generated"),
        ("http://c2pa.org/digitalsourcetype/trainedAlgorithmicData", "generated"),
        ("http://cv.iptc.org/newscodes/digitalsourcetype/compositeSynthetic", "generated_in_part"),
        ("http://cv.iptc.org/newscodes/digitalsourcetype/computationalCapture", "captured"),
        ("http://cv.iptc.org/newscodes/digitalsourcetype/algorithmicMedia", "unstated"),
        ("http://c2pa.org/digitalsourcetype/empty", "unstated"),
        ("http://evil.example/digitalsourcetype/trainedAlgorithmicMedia", "unstated"),
        ("", "unstated"),
    ],
)
def test_foreign_source_types_are_understood(uri: str, origin: str) -> None:
    assert origin_of_source_type(uri) == origin


@pytest.mark.parametrize(
    ("manifests", "expected"),
    [
        ({"top": manifest(action("created", "trainedAlgorithmicMedia"))}, ("whole", "generated")),
        ({"top": manifest(action("created", "digitalCapture"))}, ("none", "captured")),
        ({"top": manifest(action("created", "digitalCapture"), action("color_adjustments"))}, ("none", "edited")),
        ({"top": manifest(action("created", "digitalCapture"), action("transcoded"))}, ("none", "captured")),
        ({"top": manifest(action("opened"), action("edited"))}, ("unstated", "unstated")),
        (
            {
                "top": manifest(action("opened"), parentOf="old"),
                "old": manifest(action("created", "trainedAlgorithmicMedia")),
            },
            ("whole", "generated"),
        ),
        (
            {
                "top": manifest(action("opened"), action("edited", "trainedAlgorithmicMedia"), parentOf="old"),
                "old": manifest(action("created", "digitalCapture")),
            },
            ("part", "generated_in_part"),
        ),
        (
            {
                "top": manifest(action("created", "digitalCapture"), action("placed"), componentOf="part"),
                "part": manifest(action("created", "compositeSynthetic")),
            },
            ("part", "generated_in_part"),
        ),
        (
            {
                "top": manifest(action("created", "trainedAlgorithmicMedia"), inputTo="photo"),
                "photo": manifest(action("created", "digitalCapture")),
            },
            ("whole", "generated"),
        ),
    ],
    ids=[
        "generated",
        "captured",
        "captured, then edited",
        "captured, then encoded again",
        "edited, nothing said of the source",
        "opened from a generated clip",
        "filmed, then partly generated",
        "a generated part in a film",
        "generated from a photo",
    ],
)
def test_how_a_clip_was_made_is_read_over_the_whole_chain(manifests: Any, expected: tuple[str, str]) -> None:
    assert statement(store(**manifests)) == expected


@pytest.mark.parametrize(
    ("credit", "of_capture", "of_generation"),
    [("full", "captured", "generated"), ("generation", "unstated", "generated"), ("none", "unstated", "unstated")],
)
def test_an_ingredient_s_word_counts_as_far_as_it_has_credit(credit: Any, of_capture: str, of_generation: str) -> None:
    filmed = store(top=manifest(action("opened"), parentOf="old"), old=manifest(action("created", "digitalCapture")))
    made = store(
        top=manifest(action("opened"), parentOf="old"), old=manifest(action("created", "trainedAlgorithmicMedia"))
    )
    assert statement(filmed, lambda _: credit)[1] == of_capture
    assert statement(made, lambda _: credit)[1] == of_generation


def test_a_chain_that_bites_its_tail_ends() -> None:
    ring = store(top=manifest(action("opened"), parentOf="old"), old=manifest(action("opened"), parentOf="top"))
    assert [link.manifest_id for link in chain(ring)] == ["top", "old"]


def test_a_chain_without_end_is_cut() -> None:
    names = ["top", *(f"m{number}" for number in range(1000))]
    steps = {name: manifest(action("opened"), parentOf=below) for name, below in pairwise(names)}
    assert len(chain(store(**steps))) == CHAIN_LIMIT


def test_manifests_of_the_wrong_shape_say_nothing_and_break_nothing() -> None:
    strange = {
        "assertions": [
            7,
            {"label": "c2pa.actions.v2", "data": {"actions": ["x", {"action": 3, "digitalSourceType": []}]}},
        ],
        "ingredients": "none",
        "claim_generator_info": {"name": "no list"},
    }
    odd = store(top=strange)
    assert statement(odd) == ("unstated", "unstated")
    assert history(odd, {}) == ("somebody: 3",)
    assert soft_bindings(odd) == []


@pytest.mark.parametrize(
    ("value", "expected"),
    [("AQID", b"\1\2\3"), ([1, 2, 3], b"\1\2\3"), ("no base64!", None), ([300], None), (None, None)],
)
def test_a_soft_binding_is_bytes_however_it_was_written(value: object, expected: bytes | None) -> None:
    row = {"label": "c2pa.soft-binding__2", "data": {"alg": "a.b", "blocks": [{"value": value}]}}
    found = soft_bindings(store(top={"assertions": [row]}))
    assert found == ([("a.b", expected)] if expected else [])


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a\nb\tc", "a b c"), ("\u202eevil\u202c", "evil"), ("\x1b[2Jx", "[2Jx"), ("é", "é"), ("漢字", "漢字"), (7, "7")],
)
def test_strings_of_strangers_become_one_plain_line(text: object, shown: str) -> None:
    assert plain_text(text) == shown


def test_long_strings_are_capped() -> None:
    assert plain_text("x" * 1000, 10) == "x" * 9 + "…"
