"""From what a watermark says back to the manifest, in the local repository (C2PA 2.2, 18.10.5: soft bindings).

The lookup runs where the repository is; the bytes it finds are handed to `CredentialsCheck.examine_recovered`, in the
worker, since manifests come from strangers. The HTTP form of the same question is a later part.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from provenance.evidence import CredentialsEvidence

RESULT_LIMIT = 10


class StoredStore(Protocol):
    """A manifest store as a repository keeps it."""

    @property
    def manifest_id(self) -> str:
        """Identifier of its active manifest."""

    @property
    def content(self) -> bytes:
        """The store, as signed."""


class BindingIndex(Protocol):
    """What a repository offers: provenance.repository satisfies it."""

    def find_by_binding(self, algorithm: str, value: bytes) -> Sequence[StoredStore]:
        """The stores that were remembered under this soft binding, earliest first."""


def resolve(index: BindingIndex, algorithm: str, value: bytes, *, known: Sequence[str] = ()) -> tuple[bytes, ...]:
    """The manifest stores behind a soft binding, earliest first, at most `RESULT_LIMIT`, without those in `known`."""
    found = [stored for stored in index.find_by_binding(algorithm, value) if stored.manifest_id not in known]
    return tuple(stored.content for stored in found[:RESULT_LIMIT])


def answers(evidence: CredentialsEvidence, algorithm: str, value: bytes) -> bool:
    """Whether a recovered manifest itself declares the binding it was found by (C2PA 2.2, 18.10.5.1).

    A repository's index is not signed; the manifest is. One that does not declare the binding was filed wrongly.
    """
    return evidence.status == "recovered" and (algorithm, value) in evidence.soft_bindings
