"""The check of credentials: what a file's manifests say, and who says it, on lines of our own.

Every line is drawn from single validation codes. `status` speaks of bytes only; an unknown or expired signer changes
`signer.trust` and nothing else, and a damaged ingredient is never held against the file.
"""

from __future__ import annotations

import datetime as dt
import io
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID

from provenance.credentials import jumbf
from provenance.credentials.history import (
    Credit,
    chain,
    generator,
    history,
    plain_text,
    rows_in,
    soft_bindings,
    statement,
)
from provenance.credentials.regions import unsigned_bytes
from provenance.credentials.sdk import MANIFEST_LIMIT_MIB, ManifestStore, read_manifest_store
from provenance.credentials.signing import sidecar_of
from provenance.credentials.timestamps import signing_time
from provenance.credentials.trust import Trust, Vouching
from provenance.errors import ManifestIsRemote, ManifestUnreadable
from provenance.evidence import CredentialsEvidence, CredentialStatus, Evidence, SignerEvidence, SignerTrust
from provenance.video import Video

_LOG = logging.getLogger(__name__)
_HARD_BINDINGS = tuple(
    f"assertion.{kind}" for kind in ("bmffHash", "dataHash", "boxesHash", "collectionHash", "multiAssetHash")
)
_NO_FORGERY = {"claimSignature.outsideValidity", "claim.hardBindings.missing"}  # these have lines of their own
_TRUSTED: tuple[SignerTrust, ...] = ("official", "older", "own")


@dataclass(frozen=True)
class CredentialsCheck:
    """A check of the file. Picklable; `at_time` takes the place of the present where no trusted time is known."""

    trust: Trust
    at_time: dt.datetime | None = None
    name: str = "credentials"

    def __post_init__(self) -> None:
        if self.at_time is not None and self.at_time.tzinfo is None:
            raise ValueError("the time of validation needs a time zone")

    def examine(self, video: Video | Path) -> list[Evidence]:
        """Examine the credentials in a file, or the sidecar beside it where it has none inside.

        Damaged, remote and missing credentials are evidence. Raises CannotRead where the file itself cannot be opened.
        """
        path = video if isinstance(video, Path) else video.path
        try:
            store = read_manifest_store(path, trust=self.trust.settings())
            if store is None and (beside := _sidecar_bytes(path)) is not None:
                store = read_manifest_store(path, manifest_data=beside, trust=self.trust.settings())
        except ManifestIsRemote as error:
            return [CredentialsEvidence("remote", reason=plain_text(error.message, 300))]
        except ManifestUnreadable as error:
            return [CredentialsEvidence("unreadable", reason=plain_text(error.message, 300))]
        if store is None:
            return [CredentialsEvidence("absent")]
        return [self._evidence(store, *_status(store, path))]

    def examine_recovered(self, manifest_bytes: bytes) -> list[Evidence]:
        """Examine a manifest store that a repository gave back, without its file: hard bindings say nothing then.

        `content` stays open: whoever has the fingerprints compares them.
        """
        try:
            store = read_manifest_store(io.BytesIO(), manifest_data=manifest_bytes, trust=self.trust.settings())
        except (ManifestUnreadable, ManifestIsRemote) as error:
            return [CredentialsEvidence("unreadable", reason=plain_text(error.message, 300))]
        if store is None or (why := _why_not_authentic(store)):
            return [CredentialsEvidence("unreadable", reason=why if store else "no manifest in the store")]
        return [self._evidence(store, "recovered", None)]

    def _evidence(self, store: ManifestStore, status: CredentialStatus, reason: str | None) -> CredentialsEvidence:
        time = signing_time(store, self.trust.tsa_uri)
        trusted_time = time.moment if time and time.is_trusted else None
        signer = self._signer(store, trusted_time) if _is_signed(store) else None
        links = chain(store)
        names = {link.manifest_id: _signer_name(store, link.manifest_id) for link in links}
        ai, origin = statement(store, lambda manifest_id: self._credit(store, manifest_id, signer))
        title = store.active.get("title")
        return CredentialsEvidence(
            status=status,
            signer=signer,
            ai=ai,
            origin=origin,
            time=time.text if time else None,
            time_trusted=trusted_time is not None,
            history=history(store, names),
            manifest=plain_text(store.active_id),
            title=plain_text(title) if title else None,
            generator=generator(store.active),
            reason=reason,
            chain=tuple(plain_text(link.manifest_id) for link in links),
            soft_bindings=tuple(soft_bindings(store)),
        )

    def _signer(self, store: ManifestStore, trusted_time: dt.datetime | None) -> SignerEvidence:
        vouching = self._vouching(store, store.active_id, trusted_time)
        if store.has("signingCredential.ocsp.revoked", "signingCredential.revoked", outcome="failure"):
            vouching = Vouching("revoked", vouching.edition)
        elif store.has("signingCredential.invalid", outcome="failure"):
            vouching = Vouching("wrong_purpose", vouching.edition)
        return SignerEvidence(_signer_name(store, store.active_id) or "unnamed", vouching.trust, vouching.edition)

    def _vouching(self, store: ManifestStore, manifest_id: str, trusted_time: dt.datetime | None) -> Vouching:
        try:
            certificates = jumbf.certificate_chain(store.data, manifest_id)
        except ManifestUnreadable as error:
            _LOG.debug("nobody vouches for %s: %s", manifest_id, error.message)
            return Vouching("unknown")
        return self.trust.vouch(certificates, trusted_time or self.at_time or dt.datetime.now(dt.UTC))

    def _credit(self, store: ManifestStore, manifest_id: str, signer: SignerEvidence | None) -> Credit:
        """How far an ingredient's word counts. That it was filmed or edited borrows no trust from the outer signer."""
        if _is_broken(store, manifest_id):
            return "none"
        if signer is None or signer.trust not in _TRUSTED:
            return "full"  # the whole is only declared
        trust = self._vouching(store, manifest_id, None).trust
        return "full" if trust in (*_TRUSTED, "expired") else "generation"


# -- lines -------------------------------------------------------------------------------------------------------------


def _status(store: ManifestStore, path: Path) -> tuple[CredentialStatus, str | None]:
    """(status, reason) of a file's bytes against its manifest."""
    if why := _why_not_authentic(store):
        return "changed", why
    if store.has(*(f"{kind}.mismatch" for kind in _HARD_BINDINGS), outcome="failure"):
        return "changed", "the file's bytes are not those that were signed"
    broken = [code.code for code in store.codes if code.outcome == "failure" and code.code.startswith(_HARD_BINDINGS)]
    if broken:
        return "changed", f"the file's bytes cannot be matched with those that were signed ({broken[0]})"
    if not store.has(*(f"{kind}.match" for kind in _HARD_BINDINGS), outcome="success"):
        return "unreadable", "nothing in the manifest ties it to this file's bytes"
    if loose := unsigned_bytes(store, path):
        return "unsigned_regions_changed", f"{loose} bytes lie in regions that the signature leaves out"
    return "intact", _worth_showing(store)


def _why_not_authentic(store: ManifestStore) -> str | None:
    """Why the manifest is not what its signer signed; None when it is."""
    if not _is_signed(store):
        return "the signature does not fit the manifest"
    if store.has("assertion.hashedURI.mismatch", "assertion.missing", "assertion.undeclared", outcome="failure"):
        return "a statement in the manifest was changed after signing"
    return None


def _is_signed(store: ManifestStore) -> bool:
    """Whether the signature covers the claim and belongs to it. A manifest under another name keeps a valid signature
    (names of boxes are not signed) that its claim no longer points to: the kit then gives success *and* failure."""
    failures = {code.code for code in store.codes if code.outcome == "failure"}
    broken = {code for code in failures if code.startswith(("claimSignature.", "claim."))} - _NO_FORGERY
    return store.has("claimSignature.validated", outcome="success") and not broken


def _worth_showing(store: ManifestStore) -> str | None:
    """The first thing wrong that concerns neither bytes nor the signer: no accusation, but not to be hidden either."""
    found = next((code.code for code in store.codes if code.outcome == "failure" and _is_other(code.code)), None)
    if found is None:
        wrong = (code.code for code in store.codes if code.outcome != "success" and code.code.startswith("timeStamp."))
        stamp = next(wrong, None)
        return f"its time stamp cannot be believed ({plain_text(stamp, 80)})" if stamp else None
    if found.startswith("cawg."):
        return f"a statement of identity in it does not hold ({plain_text(found, 80)})"
    return f"the manifest does not keep a rule of C2PA ({plain_text(found, 80)})"


def _is_other(code: str) -> bool:
    return not code.startswith(("signingCredential.", "timeStamp."))


def _is_broken(store: ManifestStore, manifest_id: str) -> bool:
    """Whether an ingredient's manifest did not stand over its bytes, when it was taken in or now. Rules of C2PA that it
    did not keep, and its signer's dates, are another matter."""
    now = [code for deltas in store.ingredient_codes.values() for code in deltas if manifest_id in code.url]
    if any(code.outcome == "failure" and _is_tampering(code.code) for code in now):
        return True
    ingredients = (row for manifest in store.manifests.values() for row in rows_in(manifest.get("ingredients")))
    recorded = [row for row in ingredients if row.get("active_manifest") == manifest_id]
    return any(_is_tampering(code) for row in recorded for code in _recorded_failures(row))


def _is_tampering(code: str) -> bool:
    return code in ("claimSignature.missing", "assertion.missing") or (
        code.endswith(".mismatch") and not code.startswith(("timeStamp.", "cawg."))
    )


def _recorded_failures(ingredient: Mapping[str, Any]) -> Iterator[str]:
    results = ingredient.get("validation_results")
    active = results.get("activeManifest") if isinstance(results, Mapping) else None
    for row in rows_in(active.get("failure") if isinstance(active, Mapping) else None):
        yield str(row.get("code"))


def _signer_name(store: ManifestStore, manifest_id: str) -> str:
    """Organisation and common name of the signer's certificate, as its issuer wrote them."""
    try:
        subject = jumbf.certificate_chain(store.data, manifest_id)[0].subject
    except ManifestUnreadable:
        info = store.manifests[manifest_id].get("signature_info") or {}
        names = [info.get("issuer"), info.get("common_name")]
    else:
        names = [_attribute(subject, oid) for oid in (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME)]
    return plain_text(", ".join(dict.fromkeys(str(name) for name in names if name)))


def _attribute(name: x509.Name, oid: x509.ObjectIdentifier) -> str | None:
    found = name.get_attributes_for_oid(oid)
    return str(found[0].value) if found else None


def _sidecar_bytes(path: Path) -> bytes | None:
    """The store beside a file; one byte over the limit is enough for it to be called damaged."""
    sidecar = sidecar_of(path)
    if not sidecar.is_file():
        return None
    try:
        with sidecar.open("rb") as stream:
            data = stream.read((MANIFEST_LIMIT_MIB << 20) + 1)
    except OSError as error:
        raise ManifestUnreadable(
            f"credentials beside the file cannot be read ({error.strerror})", hint="check its permissions"
        ) from error
    if len(data) > MANIFEST_LIMIT_MIB << 20:
        raise ManifestUnreadable(
            f"credentials beside the file exceed {MANIFEST_LIMIT_MIB} MiB", hint="fetch them again"
        )
    return data
