"""The manifest repository: manifests by watermark id and by content fingerprint.

What needs a database is imported at its first use: whoever only takes fingerprints does without.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from provenance.repository.fingerprint import Fingerprint, FingerprintCheck, Resemblance, Sketch, compare

if TYPE_CHECKING:
    from provenance.repository.repository import ManifestRepository, StoredManifest

__all__ = [
    "Fingerprint",
    "FingerprintCheck",
    "ManifestRepository",
    "Resemblance",
    "Sketch",
    "StoredManifest",
    "compare",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from provenance.repository import repository

        return getattr(repository, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
