"""The C2PA software kit, alone: nothing else imports ``c2pa``, and none of its errors or verdicts leave this module.

Reading gives a `ManifestStore`: what the manifests say and the single validation codes. The kit's own summary
(``validation_state``) is not among it, because "Valid" is returned for untrusted signers and "Invalid" for expired
ones; `provenance.credentials.check` draws its own lines from the codes.

Signing comes in two parts that may live in two processes: the kit reads the files and builds the manifest (a hostile
ingredient is parsed there), while whoever holds the key is asked, through `ClaimSigner`, for one signature over the
claim's bytes.

No request leaves the machine from here: remote manifests and revocation servers are switched off and the list of
allowed hosts is empty, except for the host of the time-stamp authority that a caller names when signing.
"""

from __future__ import annotations

import errno
import functools
import io
import json
import logging
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal, Protocol
from urllib.parse import urlsplit

import c2pa

from provenance.errors import CannotRead, CannotWrite, CredentialError, ManifestIsRemote, ManifestUnreadable

_LOG = logging.getLogger(__name__)
SIGNING_ALGORITHMS = ("es256", "es384", "es512", "ps256", "ps384", "ps512", "ed25519")
"""COSE algorithms that C2PA allows (C2PA 2.2, 13.2)."""
MANIFEST_LIMIT_MIB = 32
# The kit holds what it hashes in memory, up to 256 MiB at a time, and once more while it signs unless this is low
# (measured on a file of 276 MB: 629 MiB became 365). Hashing in blocks (core.merkle_tree_chunk_size_in_kb) would need
# 20 MiB, but a second verifier calls such files changed, and with two boxes of media the kit itself does (0.91.3).
_BACKING_STORE_MIB = 16
_ANY_MEDIA = "application/octet-stream"  # the kit looks at the bytes, whatever it is told
# How the description box of a manifest store begins (C2PA 2.2, 11.1.4.2).
_MARK = b"jumdc2pa\x00\x11\x00\x10\x80\x00\x00\xaa\x00\x38\x9b\x71"
_REMOTE = re.compile(r"remote manifests? from url\s+(\S+)")

_ABOUT_TRUST = ("signingCredential.", "timeStamp.", "cawg.")

Outcome = Literal["success", "informational", "failure"]


@dataclass(frozen=True)
class AnchorList:
    """Certificates that vouch for one purpose: `uri` names the list in validation codes, `pem` is its content."""

    uri: str
    kind: Literal["manifest", "tsa"]
    pem: str = field(repr=False)


@dataclass(frozen=True)
class TrustSettings:
    """What the kit is told to trust: lists of anchors, and the accepted key usages (object identifiers, one a line)."""

    lists: tuple[AnchorList, ...] = ()
    key_usages: str = field(default="", repr=False)


@dataclass(frozen=True)
class ValidationCode:
    """One statement of the validator (C2PA 2.2, 15.2.2), about the part of a manifest that `url` names."""

    outcome: Outcome
    code: str
    url: str = ""
    explanation: str = ""


@dataclass(frozen=True)
class ManifestStore:
    """The manifests of one file, as parsed; nothing in it is trusted.

    active_id: identifier of the manifest that speaks for the file.
    manifests: identifier -> the manifest's content (claim generator, assertions, ingredients, signature information).
    codes: what validation said of the active manifest. ingredient_codes: what changed since, per ingredient assertion.
    data: the whole store as bytes (JUMBF), fit for a sidecar or a repository.
    is_embedded: whether the store was inside the file.
    """

    active_id: str
    manifests: Mapping[str, Mapping[str, Any]]
    codes: tuple[ValidationCode, ...]
    ingredient_codes: Mapping[str, tuple[ValidationCode, ...]] = field(default_factory=dict)
    data: bytes = field(default=b"", repr=False)
    is_embedded: bool = True

    def __post_init__(self) -> None:
        if self.active_id not in self.manifests:
            raise ValueError(f"the active manifest {self.active_id} is not in the store")

    @property
    def active(self) -> Mapping[str, Any]:
        """The content of the active manifest."""
        return self.manifests[self.active_id]

    def has(self, *names: str, outcome: Outcome) -> bool:
        """Whether validation gave one of these codes with this outcome for the active manifest."""
        return any(code.outcome == outcome and code.code in names for code in self.codes)


class ClaimSigner(Protocol):
    """Whoever holds the private key. In a worker process a proxy stands here that asks its parent over a pipe."""

    @property
    def algorithm(self) -> str:
        """One of `SIGNING_ALGORITHMS`."""

    @property
    def certificates_pem(self) -> str:
        """The certificate of the signer first, then its intermediates."""

    def sign(self, to_be_signed: bytes) -> bytes:
        """Sign the claim's COSE bytes (RFC 9052, 4.4); ECDSA signatures are raw r followed by s."""


@dataclass(frozen=True)
class Ingredient:
    """A file that went into the clip: `path` is read by the kit, with its own credentials, where there is one.

    definition: title, relationship, label and so on, in the kit's JSON.
    manifest_data: credentials that stood beside the file; they count where it has none inside.
    """

    definition: Mapping[str, Any]
    path: Path | None = None
    manifest_data: bytes | None = field(default=None, repr=False)


def sdk_version() -> str:
    """Versions of the Python and of the Rust half, for reports."""
    return (
        f"c2pa-python {c2pa.__version__}, c2pa-rs {c2pa.sdk_version()}"
        if hasattr(c2pa, "__version__")
        else c2pa.sdk_version()
    )


def read_manifest_store(
    source: Path | BinaryIO, *, manifest_data: bytes | None = None, trust: TrustSettings | None = None
) -> ManifestStore | None:
    """Read and validate the credentials of a file; None when it has none.

    source: a path or a seekable binary stream of any media type. manifest_data: a store that stands beside the file;
    validation then compares it with the file's bytes.
    Raises ManifestUnreadable for damaged credentials, ManifestIsRemote where the file only says where its manifest
    lies, CannotRead for a file that cannot be opened.
    """
    if isinstance(source, Path):
        try:
            with source.open("rb") as stream:
                return read_manifest_store(stream, manifest_data=manifest_data, trust=trust)
        except OSError as error:
            raise CannotRead(f"{source}: {error.strerror}", hint="check the path and its permissions") from error
    context = _reading_context(trust or TrustSettings(), os.getpid())
    try:
        with c2pa.Reader(_ANY_MEDIA, source, manifest_data=manifest_data, context=context) as reader:
            return _store_of(reader, manifest_data)
    except c2pa.C2paError as error:
        _raise_unless_absent(error, source, is_beside=manifest_data is not None)
        return None
    except (ValueError, KeyError, TypeError, UnicodeError) as error:
        raise _unreadable(str(error)) from error


def build_and_sign(
    source: Path,
    target: Path,
    definition: Mapping[str, Any],
    signer: ClaimSigner,
    *,
    media_type: str,
    ingredients: Sequence[Ingredient] = (),
    embed: bool = True,
    tsa_url: str | None = None,
) -> bytes:
    """Build a manifest about `source`, have the claim signed, write `target`; return the whole store.

    With `embed` false `target` receives the unchanged media, and the store is only returned (a sidecar).
    Raises CannotWrite where the disk is full, CredentialError when the manifest cannot be built, when `signer` fails
    (its own error is passed on), or when the signature does not verify against the signer's certificate.
    """
    failures: list[BaseException] = []
    try:
        builder = _builder(definition, ingredients, _signing_context(tsa_url))
        if not embed:
            builder.set_no_embed()
        with _kit_signer(signer, tsa_url, failures) as asked, source.open("rb") as read, target.open("w+b") as write:
            data = bytes(builder.sign(asked, media_type, read, write))
        _must_verify(target, None) if embed else _must_verify(source, data)
        return data
    except c2pa.C2paError as error:
        if failures:
            raise failures[0] from error
        hint = "check the signer's certificate: its dates and key usages"
        if tsa_url:
            hint = f"is the time-stamp authority {tsa_url} reachable? {hint}"
        raise CredentialError(f"{source}: signing failed ({_one_line(error)})", hint=hint) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise CannotWrite(f"{target}: cannot be written ({error.strerror})", hint="is the disk full?") from error
        raise CannotRead(
            f"{error.filename or source}: {error.strerror}", hint="check the path and its permissions"
        ) from error


# -- reading -----------------------------------------------------------------------------------------------------------


def _store_of(reader: c2pa.Reader, manifest_data: bytes | None) -> ManifestStore:
    document = json.loads(reader.json())
    active_id = document["active_manifest"]
    results = document.get("validation_results") or {}
    deltas = results.get("ingredientDeltas") or []
    return ManifestStore(
        active_id=active_id,
        manifests=document["manifests"],
        codes=_codes(results.get("activeManifest") or {}),
        ingredient_codes={
            delta.get("ingredientAssertionURI", ""): _codes(delta.get("validationDeltas") or {}) for delta in deltas
        },
        data=manifest_data or _raw_store(reader, active_id),
        is_embedded=manifest_data is None,
    )


def _codes(results: Mapping[str, Any]) -> tuple[ValidationCode, ...]:
    return tuple(
        ValidationCode(outcome, str(row.get("code")), str(row.get("url", "")), str(row.get("explanation", "")))
        for outcome in ("success", "informational", "failure")
        for row in results.get(outcome) or ()
    )


def _raw_store(reader: c2pa.Reader, active_id: str) -> bytes:
    stream = io.BytesIO()
    reader.resource_to_stream(
        f"self#jumbf=/c2pa/{active_id}", stream
    )  # measured: any URI below a manifest gives its store
    return stream.getvalue()


def _raise_unless_absent(error: c2pa.C2paError, stream: BinaryIO, *, is_beside: bool) -> None:
    """Tell "no credentials" (return) from remote and damaged ones (raise)."""
    text = _one_line(error)
    if text.startswith("Remote"):
        found = _REMOTE.search(text)
        raise ManifestIsRemote(
            f"credentials lie elsewhere: {found.group(1)[:200] if found else 'address unknown'}",
            hint="they are fetched only on request",
        ) from error
    if not is_beside:
        if text.startswith("ManifestNotFound"):
            return
        if text.startswith(("NotSupported", "Io", "Other: asset could not be parsed")) and not _mentions_c2pa(stream):
            return
    raise _unreadable(text) from error


def _unreadable(reason: str) -> ManifestUnreadable:
    return ManifestUnreadable(f"credentials are damaged ({reason[:160]})", hint="ask for the file as it was published")


def _mentions_c2pa(stream: BinaryIO, block_bytes: int = 1 << 20) -> bool:
    """Whether the head of a manifest store stands anywhere in the bytes, for files that the kit cannot parse."""
    stream.seek(0)
    tail = b""
    while block := stream.read(block_bytes):
        if _MARK in tail + block:
            return True
        tail = block[-len(_MARK) :]
    return False


@functools.lru_cache(maxsize=8)
def _reading_context(trust: TrustSettings, process_id: int) -> c2pa.Context:
    """One context per trust and process: the kit's contexts do not survive a fork."""
    _LOG.debug("credentials context for process %d with %d trust lists", process_id, len(trust.lists))
    settings: dict[str, Any] = {
        "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
        "core": {"allowed_network_hosts": [], "max_decompressed_manifest_size_in_mb": MANIFEST_LIMIT_MIB},
        "trust": {
            "anchors": [
                {"trust_kind": one.kind, "trust_uri": one.uri, "trust_anchors": one.pem}
                for one in trust.lists
                if one.pem
            ]
        },
    }
    if trust.key_usages:
        settings["trust"]["trust_config"] = trust.key_usages
    try:
        return c2pa.Context.from_dict(settings)
    except c2pa.C2paError as error:
        raise CredentialError(f"trust lists cannot be used ({_one_line(error)})", hint="run trust update") from error


# -- signing -----------------------------------------------------------------------------------------------------------


def _signing_context(tsa_url: str | None) -> c2pa.Context:
    host = urlsplit(tsa_url).hostname if tsa_url else None
    return c2pa.Context.from_dict(
        {
            "verify": {"verify_after_sign": False, "remote_manifest_fetch": False, "ocsp_fetch": False},
            "core": {
                "allowed_network_hosts": [host] if host else [],
                "backing_store_memory_threshold_in_mb": _BACKING_STORE_MIB,
            },
            "builder": {"thumbnail": {"enabled": False}, "bmff_hash_exclude_free_and_skip_boxes": False},
        }
    )


def _must_verify(path: Path, beside: bytes | None) -> None:
    """Read back what was signed. The kit's own check after signing passes files that it later calls changed (measured),
    and without it a signature of zeros goes through."""
    store = read_manifest_store(path, manifest_data=beside)
    if store is not None:
        wrong = [
            code.code for code in store.codes if code.outcome == "failure" and not code.code.startswith(_ABOUT_TRUST)
        ]
        if store.has("claimSignature.validated", outcome="success") and not wrong:
            return
    reason = wrong[0] if store and wrong else "no signature found"
    raise CredentialError(
        f"{path}: what was signed does not verify ({reason})", hint="does the key fit its certificate?"
    )


def _kit_signer(signer: ClaimSigner, tsa_url: str | None, failures: list[BaseException]) -> c2pa.Signer:
    """The kit swallows what a callback raises; it is kept in `failures` instead."""
    if signer.algorithm not in SIGNING_ALGORITHMS:
        raise CredentialError(
            f"C2PA knows no signature algorithm {signer.algorithm!r}",
            hint=f"use one of {', '.join(SIGNING_ALGORITHMS)}",
        )

    def ask(to_be_signed: bytes) -> bytes:
        try:
            return signer.sign(to_be_signed)
        except Exception as error:
            failures.append(error)
            raise

    algorithm = c2pa.C2paSigningAlg[signer.algorithm.upper()]
    return c2pa.Signer.from_callback(ask, algorithm, signer.certificates_pem, tsa_url)


def _builder(definition: Mapping[str, Any], ingredients: Sequence[Ingredient], context: c2pa.Context) -> c2pa.Builder:
    """Ingredients go in with the credentials that we read ourselves: the kit looks into a file only if its stated type
    is exactly right, and says nothing when it finds none (measured)."""
    rows: list[dict[str, Any]] = []
    stores: dict[str, bytes] = {}
    for number, ingredient in enumerate(ingredients):
        identifier = f"ingredient-{number}.c2pa"
        added, data = _credentials_of(ingredient, identifier)
        rows.append({**ingredient.definition, **added})
        if data:
            stores[identifier] = data
    builder = c2pa.Builder({**definition, "ingredients": rows}, context=context)
    for identifier, data in stores.items():
        builder.add_resource(identifier, io.BytesIO(data))
    return builder


def _credentials_of(ingredient: Ingredient, identifier: str) -> tuple[dict[str, Any], bytes]:
    """(what the ingredient says of its credentials, their store); damaged and remote ones can only be described."""
    if ingredient.path is None:
        return {}, b""
    try:
        store = read_manifest_store(ingredient.path)
        if store is None and ingredient.manifest_data is not None:
            store = read_manifest_store(ingredient.path, manifest_data=ingredient.manifest_data)
    except ManifestUnreadable:
        return {"description": "This file carried damaged credentials, which could not be carried over."}, b""
    except ManifestIsRemote:
        return {"description": "The credentials of this file lie elsewhere and were not fetched."}, b""
    if store is None:
        return {}, b""
    results: dict[str, list[dict[str, str]]] = {"success": [], "informational": [], "failure": []}
    for code in store.codes:
        results[code.outcome].append({"code": code.code, "url": code.url, "explanation": code.explanation})
    added = {
        "active_manifest": store.active_id,
        "validation_results": {"activeManifest": results},  # required beside a manifest (C2PA 2.2, 18.16.12)
        "manifest_data": {"format": "application/c2pa", "identifier": identifier},
    }
    return added, store.data


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
