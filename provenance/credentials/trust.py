"""Whose signature counts: separate lists for separate purposes, read by ourselves.

The lists are asked in the order official, older, own, and the first that vouches wins. The list of time-stamp
authorities never vouches for a signer. Paths are built here and not by the software kit, because the kit mixes the
lists (measured with c2pa-rs 0.91.3), ignores lists of single signers, and judges every file by the present day.

A list vouches when it holds the signer's own certificate, or an anchor from which issued, unexpired authorities lead to
the signer (RFC 5280, 6.1, without name constraints and policies). The dates of an anchor itself are not asked:
standing on the list is what counts. Revocation is told by the stapled answer that the kit reads.
"""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import json
import logging
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from provenance.credentials.sdk import AnchorList, TrustSettings
from provenance.errors import CannotRead, CredentialError
from provenance.evidence import SignerTrust
from provenance.files import written_beside

_LOG = logging.getLogger(__name__)
CLAIM_SIGNING = x509.ObjectIdentifier("1.3.6.1.4.1.62558.2.1")
"""c2pa-kp-claimSigning (C2PA 2.2, 14.5.1)."""
DEFAULT_KEY_USAGES = "\n".join(
    (
        "1.3.6.1.5.5.7.3.4",  # emailProtection
        "1.3.6.1.5.5.7.3.36",  # documentSigning
        "1.3.6.1.5.5.7.3.8",  # timeStamping
        "1.3.6.1.5.5.7.3.9",  # OCSPSigning
        "1.3.6.1.4.1.311.76.59.1.9",  # Microsoft's claim signing
        CLAIM_SIGNING.dotted_string,
    )
)
"""Accepted where no eku.cfg says otherwise: the purposes of the frozen interim list and C2PA's own."""
_NEVER_FOR_CLAIMS = {
    ExtendedKeyUsageOID.TIME_STAMPING,
    ExtendedKeyUsageOID.OCSP_SIGNING,
    ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
}  # C2PA 2.2, 14.5.1.1: these stand alone, or never
_PATH_LIMIT = 8
_PROCESS = secrets.token_hex(8)
_Extension = TypeVar("_Extension", bound=x509.ExtensionType)

OFFICIAL_ANCHORS, OFFICIAL_LIST = "c2pa-signers.pem", "c2pa-signers.lote.json"
TSA_ANCHORS = "c2pa-tsa.pem"
OLDER_ANCHORS, OLDER_SIGNERS = "interim-anchors.pem", "interim-allowed.pem"
KEY_USAGES = "eku.cfg"
LIST_FILES = (OFFICIAL_ANCHORS, OFFICIAL_LIST, TSA_ANCHORS, OLDER_ANCHORS, OLDER_SIGNERS, KEY_USAGES)
"""The names under which a folder keeps the lists."""

ListName = Literal["official", "older", "own"]


@dataclass(frozen=True)
class TrustList:
    """One list: `anchors_pem` are authorities, `signers_pem` single certificates, `edition` names it in reports."""

    name: ListName
    edition: str
    anchors_pem: str = field(default="", repr=False)
    signers_pem: str = field(default="", repr=False)


@dataclass(frozen=True)
class Vouching:
    """What the lists say of a signer; `edition` names the list that vouches, or would if the dates were right."""

    trust: SignerTrust
    edition: str | None = None


@dataclass(frozen=True)
class Trust:
    """All lists; picklable. `lists` are asked in their order; `tsa_pem` holds time-stamp authorities only."""

    lists: tuple[TrustList, ...] = ()
    tsa_pem: str = field(default="", repr=False)
    tsa_edition: str = "no list"
    key_usages: str = field(default=DEFAULT_KEY_USAGES, repr=False)

    @property
    def has_public_lists(self) -> bool:
        """Whether anybody but ourselves is trusted; without public lists verify offers ``trust update``."""
        return any(one.name != "own" and (one.anchors_pem or one.signers_pem) for one in self.lists)

    @property
    def tsa_uri(self) -> str:
        """The name under which the software kit knows the list of time-stamp authorities.

        It differs from process to process: the kit repeats it in a sentence that also quotes the authority's
        certificate, so a name that could be guessed could be forged.
        """
        return f"countermark:tsa:{_PROCESS}"

    def editions(self) -> dict[str, str]:
        """List -> edition, for the report: a verdict holds for the lists it was made with."""
        return {**{one.name: one.edition for one in self.lists}, "tsa": self.tsa_edition}

    def settings(self) -> TrustSettings:
        """The lists as the software kit takes them; it needs them for time stamps."""
        signers = tuple(
            AnchorList(f"countermark:{one.name}:{_digest(one.anchors_pem)}", "manifest", one.anchors_pem)
            for one in self.lists
            if one.anchors_pem
        )
        authorities = (AnchorList(self.tsa_uri, "tsa", self.tsa_pem),) if self.tsa_pem else ()
        return TrustSettings(signers + authorities, self.key_usages)

    def vouch(self, chain: Sequence[x509.Certificate], at: dt.datetime) -> Vouching:
        """Who vouches for the signer `chain[0]` at a moment, given the certificates that came with the signature."""
        if not _may_sign_claims(chain[0], self.key_usages):
            return Vouching("wrong_purpose")
        vouching = next((one for one in self.lists if _leads_to(one, chain, at)), None)
        if not _is_valid_at(chain[0], at):
            return Vouching("expired", vouching.edition if vouching else None)
        return Vouching(vouching.name, vouching.edition) if vouching else Vouching("unknown")


def trust_folder(data_folder: Path) -> Path:
    """Where the lists lie: the folder that COUNTERMARK_TRUST names, else ``trust`` under the user's data."""
    named = os.environ.get("COUNTERMARK_TRUST")
    return Path(named) if named else data_folder / "trust"


def load_trust(folder: Path | None, own_pem: str = "") -> Trust:
    """The lists of a folder, and `own_pem`: one's own authority and the anchors one added.

    Files that are missing leave their list empty; files that cannot be parsed raise CredentialError.
    """
    texts = {name: _text_of(folder / name) for name in LIST_FILES} if folder and folder.is_dir() else {}
    official, older = (
        _certificates_pem(texts.get(OFFICIAL_ANCHORS, "")),
        _certificates_pem(texts.get(OLDER_ANCHORS, "")),
    )
    signers, tsa = _certificates_pem(texts.get(OLDER_SIGNERS, "")), _certificates_pem(texts.get(TSA_ANCHORS, ""))
    own = _certificates_pem(own_pem)
    lists = [TrustList("official", _edition(official, texts.get(OFFICIAL_LIST, "")), official)]
    lists.append(TrustList("older", f"interim list {_digest(older + signers)}", older, signers))
    lists.append(TrustList("own", "this machine's own list", own, own))
    return Trust(
        lists=tuple(one for one in lists if one.anchors_pem or one.signers_pem),
        tsa_pem=tsa,
        tsa_edition=f"C2PA time-stamp list {_digest(tsa)}" if tsa else "no list",
        key_usages=_key_usages(texts.get(KEY_USAGES, "")) or DEFAULT_KEY_USAGES,
    )


def install_lists(files: Mapping[str, bytes], folder: Path) -> tuple[str, ...]:
    """Check downloaded lists and put them in place, each beside and renamed; returns the names that were installed.

    Nothing is touched unless all of them can be parsed. Raises CredentialError for a file that is no such list.
    """
    for name, data in files.items():
        if name not in LIST_FILES:
            raise CredentialError(f"{name}: no trust list has this name", hint=f"known are {', '.join(LIST_FILES)}")
        _must_parse(name, data)
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        with written_beside(folder / name, force=True) as part:
            part.write_bytes(data)
    return tuple(sorted(files))


def add_own_anchor(certificate: Path, folder: Path) -> str:
    """Put an authority or a signer on one's own list; returns its name. Raises CannotRead or CredentialError."""
    text = _text_of(certificate)
    if not text:
        raise CannotRead(f"{certificate}: no such file, or empty", hint="name a file with a certificate in PEM form")
    pem = _certificates_pem(text)
    if not pem:
        raise CredentialError(f"{certificate}: holds no certificate", hint="name a file with a certificate in PEM form")
    folder.mkdir(parents=True, exist_ok=True)
    with written_beside(folder / f"{_digest(pem)}.pem", force=True) as part:
        part.write_text(pem)
    return _parsed(pem)[0].subject.rfc4514_string()


def own_anchors(folder: Path) -> str:
    """The anchors that were added to one's own list, as one PEM text."""
    return "".join(_text_of(path) for path in sorted(folder.glob("*.pem"))) if folder.is_dir() else ""


# -- paths -------------------------------------------------------------------------------------------------------------


def _leads_to(one: TrustList, chain: Sequence[x509.Certificate], at: dt.datetime) -> bool:
    if any(chain[0] == signer for signer in _parsed(one.signers_pem)):
        return True
    anchors = _parsed(one.anchors_pem)
    current, others = chain[0], list(chain[1:])
    for below in range(_PATH_LIMIT):
        if any(_is_authority(anchor, below) and _issued(anchor, current) for anchor in anchors):
            return True
        above = next((other for other in others if _is_authority(other, below) and _issued(other, current)), None)
        if above is None or above == current or not _is_valid_at(above, at):
            return False
        others.remove(above)
        current = above
    return False


def _issued(authority: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _is_authority(certificate: x509.Certificate, below: int) -> bool:
    """Whether a certificate may issue others, with `below` authorities under it (RFC 5280, 4.2.1.3 and 4.2.1.9)."""
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    if not constraints.ca or (constraints.path_length is not None and below > constraints.path_length):
        return False
    usage = _extension(certificate, x509.KeyUsage)
    return usage is None or usage.key_cert_sign


def _may_sign_claims(certificate: x509.Certificate, key_usages: str) -> bool:
    """The profile of claim signers (C2PA 2.2, 14.5.1.1): no authority, digitalSignature, an accepted purpose."""
    try:
        constraints = _extension(certificate, x509.BasicConstraints)
        usage = _extension(certificate, x509.KeyUsage)
        purposes = set(_extension(certificate, x509.ExtendedKeyUsage) or ())
    except ValueError:
        return False
    accepted = {x509.ObjectIdentifier(line) for line in key_usages.split()}
    return (
        not (constraints and constraints.ca)
        and (usage is None or usage.digital_signature)
        and bool(purposes & accepted)
        and not purposes & _NEVER_FOR_CLAIMS
    )


def _extension(certificate: x509.Certificate, kind: type[_Extension]) -> _Extension | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _is_valid_at(certificate: x509.Certificate, at: dt.datetime) -> bool:
    return certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc


# -- files -------------------------------------------------------------------------------------------------------------


def _text_of(path: Path) -> str:
    """The text of a small file; empty where it is missing."""
    try:
        return path.read_bytes().decode("utf-8", "replace") if path.is_file() else ""
    except OSError as error:
        raise CannotRead(f"{path}: {error.strerror}", hint="check the permissions of the trust lists") from error


def _must_parse(name: str, data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    if name == KEY_USAGES:
        is_good = bool(_key_usages(text))
    elif name == OFFICIAL_LIST:
        is_good = bool(_issue_date(text))
    else:
        is_good = bool(_certificates_pem(text))
    if not is_good:
        raise CredentialError(f"{name}: is no trust list of this kind", hint="fetch it again; the old lists were kept")


def _certificates_pem(text: str) -> str:
    """Only the certificates of a list, in canonical PEM: lists in the wild have comments between them."""
    if "-----BEGIN CERTIFICATE-----" not in text:
        return ""
    try:
        found = x509.load_pem_x509_certificates(text.encode())
    except ValueError as error:
        raise CredentialError(f"a trust list cannot be parsed ({error})", hint="run trust update") from error
    return "".join(one.public_bytes(Encoding.PEM).decode() for one in found)


@functools.lru_cache(maxsize=32)
def _parsed(pem: str) -> tuple[x509.Certificate, ...]:
    return tuple(x509.load_pem_x509_certificates(pem.encode())) if pem else ()


def _key_usages(text: str) -> str:
    lines = (line.split("//")[0].strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line and line.replace(".", "").isdigit())


def _edition(pem: str, list_text: str) -> str:
    date = _issue_date(list_text)
    return f"C2PA trust list of {date}" if date else f"C2PA trust list {_digest(pem)}"


def _issue_date(list_text: str) -> str | None:
    """The day on which a list of trusted entities was issued (ETSI TS 119 602)."""
    try:
        return str(json.loads(list_text)["LoTE"]["ListAndSchemeInformation"]["ListIssueDateTime"])[:10]
    except (ValueError, KeyError, TypeError):
        return None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
