"""From what the watermarks of a file say back to the manifests that the repository remembers. Runs in the parent.

The repository's index is not signed, so nothing of it is believed: a manifest must itself declare the binding that it
was found by, its fingerprint is the one that its signer signed, and whether it belongs to this content is compared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from provenance.credentials.manifest import FINGERPRINT_ALGORITHM, LATENT_ALGORITHM, PIXEL_ALGORITHM
from provenance.credentials.resolution import RESULT_LIMIT, answers
from provenance.evidence import (
    Alignment,
    Content,
    CredentialsEvidence,
    Evidence,
    FingerprintEvidence,
    FingerprintMatch,
    WatermarkEvidence,
)
from provenance.repository.fingerprint import Fingerprint, Sketch, compare
from provenance.verdict import IGNORED, TRUSTED, content_of, decided

if TYPE_CHECKING:
    from provenance.repository.repository import StoredManifest

ALGORITHMS = {"pixel-watermark": PIXEL_ALGORITHM, "latent-watermark": LATENT_ALGORITHM}
CANDIDATES = 5

ReadStores = Callable[[tuple[bytes, ...]], Sequence[Sequence[Evidence]]]
"""Examines manifest stores in the worker, one result per store."""


class Lookup(Protocol):
    """What verification asks of a repository: `ManifestRepository` satisfies it."""

    def find_by_binding(self, algorithm: str, value: bytes) -> list[StoredManifest]:
        """Manifests with this soft binding, earliest first."""

    def nearest(self, fingerprint: bytes, limit: int) -> list[FingerprintMatch]:
        """Manifests whose fingerprints are near, nearest first."""

    def get(self, manifest_id: str) -> StoredManifest | None:
        """The manifest of this urn."""


@dataclass(frozen=True)
class Context:
    """What the repository adds about the past of a clip: no evidence, but worth showing.

    first_seen: when the earliest of its manifests was stored, ISO 8601. signed_by: who signed it. versions: other
    manifests under the same watermark id.
    """

    first_seen: str | None = None
    signed_by: str | None = None
    versions: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """The object under `context` of the JSON interface."""
        return {"first_seen": self.first_seen, "signed_by": self.signed_by, "versions": list(self.versions)}


@dataclass(frozen=True)
class _Candidate:
    stored: StoredManifest
    evidence: CredentialsEvidence
    content: Content


@dataclass
class _Case:
    """The evidence of one file while it is being completed."""

    evidence: list[Evidence]
    embedded: tuple[CredentialsEvidence, ...]
    sketch: Sketch | None
    stored: list[StoredManifest] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)
    recovered: dict[str, CredentialsEvidence] = field(default_factory=dict)


def recover(
    evidence: Sequence[Evidence], lookup: Lookup, read_stores: ReadStores
) -> tuple[tuple[Evidence, ...], Context]:
    """Complete evidence with what the repository knows: manifests behind detected watermarks, whether they belong to
    this content, and candidates by fingerprint. Recovered credentials come right behind those of the file.
    """
    embedded = tuple(item for item in evidence if isinstance(item, CredentialsEvidence))
    sketch = next((item.sketch for item in evidence if isinstance(item, FingerprintEvidence)), None)
    case = _Case([], embedded, sketch)
    marks = _found(evidence)
    alignments = [item.alignment for item in marks if item.alignment is not None]
    for item in evidence:
        if isinstance(item, WatermarkEvidence) and item in marks:
            alignment = item.alignment or next(iter(alignments), None)
            case.evidence.append(_follow(case, item, alignment, lookup, read_stores))
        elif isinstance(item, FingerprintEvidence) and item.sketch is not None:
            matches = lookup.nearest(Fingerprint.of(item.sketch).to_bytes(), CANDIDATES)
            case.evidence.append(replace(item, matches=tuple(matches)))
        else:
            case.evidence.append(item)
    others = [item for item in case.evidence if not isinstance(item, CredentialsEvidence)]
    return (*embedded, *case.recovered.values(), *others), _context(case, lookup)


def _found(evidence: Sequence[Evidence]) -> list[WatermarkEvidence]:
    judged = [(item, decided(item)) for item in evidence if isinstance(item, WatermarkEvidence)]
    return [item for item, mark in judged if isinstance(mark, WatermarkEvidence) and mark.found]


def _follow(
    case: _Case, mark: WatermarkEvidence, alignment: Alignment | None, lookup: Lookup, read_stores: ReadStores
) -> WatermarkEvidence:
    """Follow one id to its manifest, and remember what was recovered."""
    if mark.watermark_id is None:
        return mark
    algorithm, value = ALGORITHMS[mark.check], mark.watermark_id.to_bytes(8, "big")
    stored = lookup.find_by_binding(algorithm, value)[:RESULT_LIMIT]
    if not stored:
        return mark
    candidates = []
    for one, results in zip(stored, read_stores(tuple(one.content for one in stored)), strict=True):
        for result in results:
            if isinstance(result, CredentialsEvidence) and answers(result, algorithm, value):
                candidates.append(_Candidate(one, result, _content(case, result, mark, alignment)))
    if not candidates:
        return mark
    best = min(candidates, key=lambda candidate: _rank(case, candidate))
    case.stored.append(best.stored)
    case.versions += [one.stored.manifest_id for one in candidates if one is not best]
    manifest = best.evidence.manifest or best.stored.manifest_id
    if not any(_is_same(item, best.evidence) for item in case.embedded):
        case.recovered.setdefault(manifest, replace(best.evidence, content=best.content))
    return replace(mark, manifest=manifest, content=best.content)


def _content(
    case: _Case, manifest: CredentialsEvidence, mark: WatermarkEvidence, alignment: Alignment | None
) -> Content:
    """Whether a recovered manifest belongs to this content."""
    reference = next((value for name, value in manifest.soft_bindings if name == FINGERPRINT_ALGORITHM), None)
    content: Content = "unknown"
    if reference is not None and case.sketch is not None:
        try:
            content = content_of(compare(Fingerprint.from_bytes(reference), case.sketch, alignment, mark.spans))
        except ValueError:  # the manifest's fingerprint is of a form that we do not know
            content = "unknown"
    if content == "differs" and alignment is None:
        content = "unknown"  # the frame may have been cropped: nobody told how
    if content != "fits" and any(_vouches(item, manifest) for item in case.embedded):
        return "fits"
    return content


def _vouches(embedded: CredentialsEvidence, manifest: CredentialsEvidence) -> bool:
    """Whether the very same manifest stands in the file, over intact bytes, from a signer whose word counts."""
    trusted = embedded.is_authentic and embedded.signer is not None and embedded.signer.trust in TRUSTED
    return trusted and embedded.manifest == manifest.manifest


def _is_same(embedded: CredentialsEvidence, recovered: CredentialsEvidence) -> bool:
    """Whether a recovered manifest adds nothing to the one in the file. The urn alone could be copied."""
    return embedded.is_authentic and embedded.manifest == recovered.manifest and embedded.signer == recovered.signer


def _rank(case: _Case, candidate: _Candidate) -> tuple[bool, int, bool]:
    """The manifest in the file first, then what fits, then whose signer counts; between equals the earliest stored."""
    trust = candidate.evidence.signer.trust if candidate.evidence.signer else "unknown"
    named = any(candidate.evidence.manifest in item.chain for item in case.embedded if item.is_authentic)
    order = {"fits": 0, "unknown": 1, "differs": 2}
    return not named, order[candidate.content] + 3 * (trust in IGNORED), trust not in TRUSTED


def _context(case: _Case, lookup: Lookup) -> Context:
    known = list(case.stored)
    for item in case.embedded:
        stored = lookup.get(item.manifest) if item.manifest and item.is_authentic else None
        if stored is not None:
            known.append(stored)
    voices = [item for item in (*case.embedded, *case.recovered.values()) if item.is_authentic and item.signer]
    heard = [item.signer.name for item in voices if item.signer and item.signer.trust not in IGNORED]
    return Context(
        first_seen=min((stored.stored_at for stored in known), default=None),
        signed_by=next(iter(heard), None),
        versions=tuple(sorted(set(case.versions))),
    )
