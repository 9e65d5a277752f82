"""Every combination of evidence that the truth table of verdicts lists, built from real evidence objects."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from provenance.evidence import (
    Content,
    CredentialsEvidence,
    DetectorEvidence,
    Evidence,
    OriginName,
    SignerEvidence,
    SignerTrust,
    WatermarkEvidence,
)

Case = tuple[str, str, str, str, str]
"""Credential in the file, recovered manifest, pixel watermark, latent watermark, detectors."""

PIXEL_MANIFEST, LATENT_MANIFEST, EMBEDDED_MANIFEST = "urn:c2pa:pixel", "urn:c2pa:latent", "urn:c2pa:embedded"
ORIGINS: tuple[OriginName, ...] = ("generated", "generated_in_part", "captured", "edited", "unstated")
TRUSTS: tuple[SignerTrust, ...] = ("official", "older", "own", "unknown", "expired", "revoked", "wrong_purpose")
CONTENTS: tuple[Content, ...] = ("fits", "differs", "unknown")
SIGNER_NAMES = {"official": "Newsroom", "older": "Newsroom", "own": "Me"}


def _credential(words: str) -> list[Evidence]:
    """`absent`, `changed` and so on, or `trust origin`."""
    status, _, origin = words.partition(" ")
    if not origin:
        signer = SignerEvidence("Newsroom", "official") if status == "changed" else None
        return [CredentialsEvidence(status, signer=signer, origin="captured")]  # type: ignore[arg-type]
    return [_authentic("intact", status, origin, EMBEDDED_MANIFEST)]  # type: ignore[arg-type]


def _authentic(status: Any, trust: SignerTrust, origin: OriginName, manifest: str, **more: Any) -> CredentialsEvidence:
    ai = {"generated": "whole", "generated_in_part": "part"}.get(origin, "unstated")
    signer = SignerEvidence(SIGNER_NAMES.get(trust, "Anybody"), trust)
    return CredentialsEvidence(
        status,
        signer,
        ai=ai,
        origin=origin,
        manifest=manifest,
        chain=(manifest,),
        **more,  # type: ignore[arg-type]
    )


def _pixel(words: str, manifest: str | None, content: Content | None) -> list[Evidence]:
    """`nothing`, `trace`, or `public|own ORIGIN`."""
    if words in ("nothing", "trace"):
        return [WatermarkEvidence("pixel-watermark", "home", log10_p=-7.0 if words == "trace" else -0.3)]
    key, origin = words.split()
    name = "public" if key == "public" else "home"
    return [
        WatermarkEvidence(
            "pixel-watermark",
            name,
            is_public=key == "public",
            watermark_id=1,
            origin=origin,  # type: ignore[arg-type]
            log10_p=-30.0,
            spans=((0.0, 4.0),),
            examined=((0.0, 4.0),),
            manifest=manifest,
            content=content,
        )
    ]


def _latent(words: str) -> list[Evidence]:
    """`nothing`, `trace`, `alone`, or how the manifest of this machine's own signer compares."""
    if words in ("nothing", "trace"):
        return [WatermarkEvidence("latent-watermark", "home", log10_p=-7.0 if words == "trace" else -0.3)]
    content: Any = None if words == "alone" else words
    found = WatermarkEvidence(
        "latent-watermark",
        "home",
        watermark_id=2,
        origin="generated",
        log10_p=-20.0,
        spans=((0.0, 2.0),),
        examined=((0.0, 2.0),),
        manifest=None if content is None else LATENT_MANIFEST,
        content=content,
    )
    if content is None:
        return [found]
    return [found, _authentic("recovered", "own", "generated", LATENT_MANIFEST, content=content)]


def _detectors(words: str) -> list[Evidence]:
    ratio = {"likely": 3.0, "unlikely": -3.0, "undecided": 0.1}.get(words)
    status = {"undecided": "inconclusive", "nothing": "not_applicable"}.get(words, "scored")
    return [DetectorEvidence(status, log_likelihood_ratio=ratio)]  # type: ignore[arg-type]


def evidence_of(case: Case) -> list[Evidence]:
    """Build the evidence that a case describes."""
    embedded, recovered, pixel, latent, detectors = case
    evidence = _credential(embedded)
    manifest, content = None, None
    if recovered != "nothing":
        trust, origin, word = recovered.split()
        manifest, content = PIXEL_MANIFEST, word
        evidence.append(_authentic("recovered", trust, origin, manifest, content=content))  # type: ignore[arg-type]
    return [*evidence, *_pixel(pixel, manifest, content), *_latent(latent), *_detectors(detectors)]  # type: ignore[arg-type]


LISTED: Mapping[str, tuple[str, ...]] = {
    "embedded": (
        "absent",
        "changed",
        *(f"official {origin}" for origin in ORIGINS),
        *(f"unknown {origin}" for origin in ORIGINS),
        "revoked generated",
    ),
    "recovered": (
        *(f"official {origin} {content}" for origin in ("generated", "captured") for content in CONTENTS),
        "official unstated fits",
        "unknown generated fits",
        "unknown captured fits",
        "revoked generated fits",
    ),
    "pixel": ("nothing", "trace", "public generated", "own generated", "own unstated"),
    "latent": ("nothing", "trace", "alone", "fits", "differs"),
    "detectors": ("nothing", "likely", "undecided"),
}
"""What the committed table lists, for a person to read."""

EVERYTHING: Mapping[str, tuple[str, ...]] = {
    "embedded": (
        *("absent", "changed", "unreadable", "remote"),
        *(f"{trust} {origin}" for trust in TRUSTS for origin in ORIGINS),
    ),
    "recovered": tuple(f"{trust} {origin} {content}" for trust in TRUSTS for origin in ORIGINS for content in CONTENTS),
    "pixel": ("nothing", "trace", *(f"{key} {origin}" for key in ("public", "own") for origin in ORIGINS)),
    "latent": ("nothing", "trace", "alone", *CONTENTS),
    "detectors": ("nothing", "likely", "unlikely", "undecided"),
}
"""What the invariants are checked on."""


def cases(values: Mapping[str, tuple[str, ...]]) -> Iterator[Case]:
    """Every combination; a recovered manifest needs a pixel watermark that led to it."""
    for embedded, pixel in itertools.product(values["embedded"], values["pixel"]):
        led = ("nothing",) if pixel in ("nothing", "trace") else ("nothing", *values["recovered"])
        for recovered, latent, detectors in itertools.product(led, values["latent"], values["detectors"]):
            yield embedded, recovered, pixel, latent, detectors


def table() -> str:
    """The committed table: the sentences with their findings, and below them which case gets which."""
    from provenance.verdict import judge

    rows: list[tuple[Case, tuple[str, str, str, str]]] = []
    for case in cases(LISTED):
        _, verdict = judge(evidence_of(case))
        rows.append((case, (verdict.finding, verdict.grade, verdict.because or "-", verdict.statement)))
    verdicts = sorted({verdict for _, verdict in rows})
    numbers = {verdict: f"V{number:02d}" for number, verdict in enumerate(verdicts, 1)}
    counts = {verdict: sum(row[1] == verdict for row in rows) for verdict in verdicts}
    lines = ["# Verdicts: number, finding, grade, because, how many of the cases below; then the sentence.", ""]
    for verdict in verdicts:
        finding, grade, because, statement = verdict
        lines += [f"{numbers[verdict]} {finding} / {grade} / {because} ({counts[verdict]})", f"    {statement}"]
    columns = list(itertools.product(LISTED["latent"], LISTED["detectors"]))
    lines += ["", "# Cases: columns are latent watermark / detectors"]
    lines += [f"  {number}: {' / '.join(column)}" for number, column in enumerate(columns, 1)]
    lines += ["", "# Rows: credential in the file | recovered manifest | pixel watermark -> verdicts by column"]
    by_row: dict[str, list[str]] = {}
    for case, verdict in rows:
        by_row.setdefault(" | ".join(case[:3]), []).append(numbers[verdict])
    lines += [f"{name}\n    {' '.join(found)}" for name, found in by_row.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    from pathlib import Path

    Path(__file__).with_name("verdict_table.txt").write_text(table(), encoding="utf-8")
