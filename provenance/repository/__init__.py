"""The manifest repository: manifests by watermark id and by content fingerprint."""

from provenance.repository.fingerprint import Fingerprint, FingerprintCheck, Resemblance, Sketch, compare
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
