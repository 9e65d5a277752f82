"""From what a watermark says back to the manifest, in the local repository (C2PA 2.2, 18.10.5: soft bindings).

`provenance.recovery` looks ids up where the repository is; the bytes it finds are handed to
`CredentialsCheck.examine_recovered`, in the worker, since manifests come from strangers. The HTTP form of the same
question is a later part.
"""

from __future__ import annotations

from provenance.evidence import CredentialsEvidence

RESULT_LIMIT = 10
"""Manifests behind one soft binding that are examined, the earliest stored first."""


def answers(evidence: CredentialsEvidence, algorithm: str, value: bytes) -> bool:
    """Whether a recovered manifest itself declares the binding it was found by (C2PA 2.2, 18.10.5.1).

    A repository's index is not signed; the manifest is. One that does not declare the binding was filed wrongly.
    """
    return evidence.status == "recovered" and (algorithm, value) in evidence.soft_bindings
