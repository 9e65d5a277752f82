"""What the manifests of a store say, read over the whole chain: how the clip was made, by which steps, bound to what.

The statement that a clip was generated may stand only in an ingredient (a generated part of a film), so all manifests
are searched. Nothing here says whether a statement can be believed: `credit` does, as `provenance.credentials.check`
decides from signatures.
"""

from __future__ import annotations

import base64
import binascii
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from provenance.credentials.manifest import FINGERPRINT_ALGORITHM, origin_of_source_type
from provenance.credentials.sdk import ManifestStore
from provenance.evidence import AiStatement, OriginName

Place = Literal["lineage", "component", "input"]
"""Where a manifest stands: the clip itself or what it was opened from, a part placed in it, or an input to a model."""

Credit = Literal["full", "generation", "none"]
"""How far a manifest's word counts: in full; only where it says that something was generated; not at all."""

TEXT_LIMIT = 200
CHAIN_LIMIT = 64
HISTORY_LIMIT = 100
_NO_EDIT = ("created", "opened", "placed", "transcoded", "converted", "repackaged", "published", "redacted", "unknown")


def plain_text(value: object, limit: int = TEXT_LIMIT) -> str:
    """A string of a manifest, fit to be shown: no control, direction or invisible characters, one line, capped.

    Escaping for HTML or a terminal stays the duty of whoever shows it.
    """
    text = unicodedata.normalize("NFC", str(value)[: 4 * limit])
    visible = "".join(" " if unicodedata.category(char)[0] in "CZ" else char for char in text)
    line = " ".join(visible.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


@dataclass(frozen=True)
class Link:
    """One manifest of the chain and where it stands; `depth` 0 is the active one."""

    manifest_id: str
    place: Place
    depth: int


def chain(store: ManifestStore) -> tuple[Link, ...]:
    """The active manifest and the manifests of all its ingredients, nearest first, each once, at most `CHAIN_LIMIT`."""
    found: dict[str, Link] = {}
    waiting = [Link(store.active_id, "lineage", 0)]
    while waiting and len(found) < CHAIN_LIMIT:
        link = waiting.pop(0)
        if link.manifest_id in found or link.manifest_id not in store.manifests:
            continue
        found[link.manifest_id] = link
        for ingredient in rows_in(store.manifests[link.manifest_id].get("ingredients")):
            place = _place(str(ingredient.get("relationship")), link.place)
            waiting.append(Link(str(ingredient.get("active_manifest")), place, link.depth + 1))
    return tuple(found.values())


def soft_bindings(store: ManifestStore) -> list[tuple[str, bytes]]:
    """(algorithm, value) of every soft binding that the active manifest declares; malformed ones are left out."""
    bindings: list[tuple[str, bytes]] = []
    for label, data in assertions_of(store.active):
        if label == "c2pa.soft-binding":
            values = [_bytes(block.get("value")) for block in rows_in(data.get("blocks"))]
            bindings += [(plain_text(data.get("alg", "")), value) for value in values if value]
    return bindings


def fingerprint_of(store: ManifestStore) -> bytes | None:
    """The fingerprint by which the active manifest describes its clip; None where it has none of ours."""
    return next((value for algorithm, value in soft_bindings(store) if algorithm == FINGERPRINT_ALGORITHM), None)


def statement(
    store: ManifestStore, credit: Callable[[str], Credit] = lambda _: "full"
) -> tuple[AiStatement, OriginName]:
    """Whether the clip was generated, wholly or in part, and its origin, as the whole chain has it.

    credit: how far an ingredient's word counts; that of the active manifest always counts in full.
    """
    said: dict[Place, list[OriginName]] = {"lineage": [], "component": [], "input": []}
    was_edited = False
    for link in reversed(chain(store)):  # oldest first
        given: Credit = "full" if link.depth == 0 else credit(link.manifest_id)
        for name, origin in _statements(store.manifests[link.manifest_id]):
            was_edited |= link.place == "lineage" and name not in _NO_EDIT and not name.startswith("watermarked")
            if given == "full" or (given == "generation" and origin.startswith("generated")):
                said[link.place] += [origin] if origin != "unstated" else []
    ai = _combined(said["lineage"], said["component"])
    return ai, _origin(ai, said["lineage"], was_edited)


def history(store: ManifestStore, signers: Mapping[str, str]) -> tuple[str, ...]:
    """One plain line per action, newest manifest first; `signers` names who signed each manifest."""
    lines: list[str] = []
    for link in chain(store):
        manifest = store.manifests[link.manifest_id]
        who = signers.get(link.manifest_id) or generator(manifest) or "somebody"
        what = {"lineage": "", "component": " (a part)", "input": " (an input)"}[link.place]
        titles = {place: _titles(manifest, place) for place in ("parentOf", "componentOf")}
        for name, origin in _statements(manifest):
            waiting = titles.get({"opened": "parentOf", "placed": "componentOf"}.get(name, ""), [])
            title = waiting.pop(0) if waiting else ""
            thing = f" “{title}”" if title else ""
            stated = "" if origin == "unstated" else f", stated as {origin.replace('_', ' ')}"
            lines.append(f"{who}{what}: {_words(name)}{thing}{stated}")
    return tuple(lines[:HISTORY_LIMIT])


def generator(manifest: Mapping[str, Any]) -> str | None:
    """Name and version of the software that wrote a manifest, as it says itself."""
    info = next(iter(rows_in(manifest.get("claim_generator_info"))), None)
    if info is None:
        named = manifest.get("claim_generator")
        return plain_text(named) if named else None
    return plain_text(f"{info.get('name', '')} {info.get('version') or ''}") or None


def rows_in(value: object) -> Iterator[Mapping[str, Any]]:
    """The objects in a list that came out of a stranger's manifest, which may be no list at all."""
    if isinstance(value, list):
        yield from (row for row in value if isinstance(row, Mapping))


def assertions_of(manifest: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(label without its instance number, content) of every assertion whose content is an object."""
    for row in rows_in(manifest.get("assertions")):
        if isinstance(row.get("data"), Mapping):
            yield str(row.get("label")).split("__")[0], row["data"]


# -- parts -------------------------------------------------------------------------------------------------------------


def _statements(manifest: Mapping[str, Any]) -> Iterator[tuple[str, OriginName]]:
    """(action without its prefix, the origin that its digitalSourceType states) for each action, in order."""
    for label, data in assertions_of(manifest):
        if label.startswith("c2pa.actions"):
            for action in rows_in(data.get("actions")):
                name = str(action.get("action", "unknown")).removeprefix("c2pa.")
                yield name, origin_of_source_type(str(action.get("digitalSourceType", "")))


def _words(action: str) -> str:
    """An action in words: ``watermarked.unbound`` and other details of form are dropped."""
    plain = "watermarked" if action.startswith("watermarked") else action
    return plain_text(plain.replace("_", " "), 60)


def _titles(manifest: Mapping[str, Any], relationship: str) -> list[str]:
    rows = rows_in(manifest.get("ingredients"))
    return [plain_text(row.get("title") or "", 80) for row in rows if row.get("relationship") == relationship]


def _place(relationship: str, above: Place) -> Place:
    if relationship == "inputTo" or above == "input":
        return "input"
    return "lineage" if relationship == "parentOf" and above == "lineage" else "component"


def _combined(lineage: list[OriginName], components: list[OriginName]) -> AiStatement:
    """Whole only where everything that was said agrees on it; a generated part makes the clip generated in part."""
    everything = {*lineage, *components}
    if not any(origin.startswith("generated") for origin in everything):
        return "none" if lineage else "unstated"
    return "whole" if lineage and everything == {"generated"} else "part"


def _origin(ai: AiStatement, lineage: list[OriginName], was_edited: bool) -> OriginName:
    if ai == "whole":
        return "generated"
    if ai == "part":
        return "generated_in_part"
    if ai == "unstated":
        return "unstated"
    return "edited" if was_edited or "edited" in lineage else "captured"


def _bytes(value: object) -> bytes | None:
    """A byte string as the reader shows it: base64 text, or a list of numbers."""
    try:
        if isinstance(value, str):
            text = value.removeprefix("b64'").removesuffix("'")
            return base64.b64decode(text, validate=True)
        if isinstance(value, list):
            return bytes(value)
    except (binascii.Error, ValueError, TypeError):
        return None
    return None
