"""How a signed file comes about: who signs, which containers carry credentials, and writing the result.

Without a URI this machine's own authority signs (`provenance.credentials.authority`); a certificate that somebody
else issued is used through ``file:cert.pem,key.pem``.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from provenance.credentials import jumbf
from provenance.credentials.authority import OpenedSigner, own_signer
from provenance.credentials.manifest import Manifest
from provenance.credentials.sdk import ClaimSigner, build_and_sign
from provenance.credentials.signers import signer_from_files
from provenance.errors import CredentialError, UsageError
from provenance.files import refuse_existing, refuse_same_file, written_beside

MEDIA_TYPES = MappingProxyType(
    {
        ".mp4": "video/mp4",
        ".m4v": "video/x-m4v",
        ".mov": "video/quicktime",
        ".avi": "video/x-msvideo",
        ".webm": "video/webm",
        ".mkv": "video/x-matroska",
        ".jpg": "image/jpeg",
        ".jpeg": "image/jpeg",
        ".png": "image/png",
        ".webp": "image/webp",
        ".avif": "image/avif",
        ".heic": "image/heic",
        ".gif": "image/gif",
        ".tif": "image/tiff",
        ".tiff": "image/tiff",
    }
)
"""Media type by suffix, for the containers that can be signed."""
SIDECAR_ONLY = frozenset({".webm", ".mkv"})
"""Containers that cannot carry embedded credentials here; theirs stand beside them."""


def open_signer(uri: str | None, folder: Path) -> OpenedSigner:
    """The signer that `uri` names (``file:cert.pem,key.pem``), or this machine's own under `folder`.

    Raises UsageError for a URI of another kind, CannotRead or CredentialError where its files do not serve.
    """
    if uri is None:
        return own_signer(folder)
    kind, _, rest = uri.partition(":")
    paths = [Path(part).expanduser() for part in rest.split(",") if part]
    if kind != "file" or len(paths) not in (1, 2):
        raise UsageError(f"{uri}: no signer of this kind", hint="write file:certificates.pem,key.pem")
    return OpenedSigner(signer_from_files(paths[0], paths[-1]))


@dataclass(frozen=True)
class SignedManifest:
    """A file and what was signed about it. `manifest_bytes` is the whole store, fit for a repository or a sidecar."""

    manifest_id: str
    manifest_bytes: bytes = field(repr=False)
    path: Path
    sidecar: Path | None = None


def media_type_of(path: Path) -> str:
    """The media type of a container, by its suffix. Raises CredentialError for one that cannot be signed."""
    try:
        return MEDIA_TYPES[path.suffix.lower()]
    except KeyError:
        known = ", ".join(MEDIA_TYPES)
        raise CredentialError(f"{path}: this container cannot be signed", hint=f"write one of {known}") from None


def sidecar_of(path: Path) -> Path:
    """Where credentials stand that lie beside a file: ``clip.webm.c2pa``."""
    return path.with_name(path.name + ".c2pa")


def sign_file(
    source: Path,
    target: Path,
    manifest: Manifest,
    signer: ClaimSigner,
    *,
    sidecar: bool = False,
    tsa_url: str | None = None,
    force: bool = False,
) -> SignedManifest:
    """Write `source`, unchanged but for its credentials, to `target`, signed; beside and renamed.

    The manifest goes into the file, or beside it where the container has no room or `sidecar` asks for that. In a
    worker process `signer` is a proxy. Raises CredentialError, CannotRead, CannotWrite, OutputExists.
    """
    refuse_same_file(source, target)
    media_type, is_beside = media_type_of(target), sidecar or target.suffix.lower() in SIDECAR_ONLY
    if is_beside:
        refuse_existing(sidecar_of(target), force=force)
    with written_beside(target, force=force) as part:
        data = build_and_sign(
            source,
            part,
            manifest.definition(),
            signer,
            media_type=media_type,
            ingredients=manifest.ingredients(),
            embed=not is_beside,
            tsa_url=tsa_url,
        )
        if is_beside:
            shutil.copyfile(source, part)
            with written_beside(sidecar_of(target), force=force) as store:
                store.write_bytes(data)
    return SignedManifest(jumbf.active_manifest_id(data), data, target, sidecar_of(target) if is_beside else None)
