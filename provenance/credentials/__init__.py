"""Content Credentials: what is said about a clip (`Manifest`), who says it (`Signer`), whose word counts (`Trust`).

`sign_file` writes a signed file, `CredentialsCheck` examines one; the C2PA software kit stays behind
`provenance.credentials.sdk`.
"""

from provenance.credentials.authority import OpenedSigner, own_authority_pem, own_signer
from provenance.credentials.check import CredentialsCheck
from provenance.credentials.history import fingerprint_of, plain_text, soft_bindings
from provenance.credentials.manifest import (
    FINGERPRINT_ALGORITHM,
    LATENT_ALGORITHM,
    PIXEL_ALGORITHM,
    Generation,
    Manifest,
    SoftBinding,
    Source,
    watermark_binding,
)
from provenance.credentials.resolution import answers
from provenance.credentials.sdk import ClaimSigner, ManifestStore, read_manifest_store
from provenance.credentials.signers import Signer
from provenance.credentials.signing import SignedManifest, media_type_of, open_signer, sidecar_of, sign_file
from provenance.credentials.trust import (
    Trust,
    TrustList,
    add_own_anchor,
    install_lists,
    load_trust,
    own_anchors,
    trust_folder,
)

__all__ = [
    "FINGERPRINT_ALGORITHM",
    "LATENT_ALGORITHM",
    "PIXEL_ALGORITHM",
    "ClaimSigner",
    "CredentialsCheck",
    "Generation",
    "Manifest",
    "ManifestStore",
    "OpenedSigner",
    "SignedManifest",
    "Signer",
    "SoftBinding",
    "Source",
    "Trust",
    "TrustList",
    "add_own_anchor",
    "answers",
    "fingerprint_of",
    "install_lists",
    "load_trust",
    "media_type_of",
    "open_signer",
    "own_anchors",
    "own_authority_pem",
    "own_signer",
    "plain_text",
    "read_manifest_store",
    "sidecar_of",
    "sign_file",
    "soft_bindings",
    "trust_folder",
    "watermark_binding",
]
