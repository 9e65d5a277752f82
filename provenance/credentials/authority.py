"""This machine's own certificate authority, made on first use: a root, and a signer under it that is renewed in time.

Nobody else knows this authority, so others see "unknown signer" until they add it to their own list. Files lie in one
folder, mode 0600: ``authority.pem`` and ``signer.pem``, each with its private key before its certificate, and
authorities of the past as ``authority-SERIAL.pem``, because clips signed under them are still ours.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from provenance.credentials.signers import (
    PrivateKey,
    Signer,
    certificates_in,
    private_key_in,
    public_pem,
    read_pem,
    signer_of,
)
from provenance.credentials.trust import CLAIM_SIGNING
from provenance.files import write_private

AUTHORITY_DAYS = 3650
SIGNER_DAYS = 365  # at most 366 (C2PA certificate policy, assurance level 1)
RENEW_BEFORE_DAYS = 30
_AUTHORITY_FILE, _SIGNER_FILE, _LOCK_FILE = "authority.pem", "signer.pem", ".lock"
_SKEW = dt.timedelta(minutes=5)
_USES_WE_DO_WITHOUT = (
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "encipher_only",
    "decipher_only",
)


@dataclass(frozen=True)
class OpenedSigner:
    """A signer ready for use, and a note that the user should read once; None where there is nothing new to say."""

    signer: Signer
    note: str | None = None


def own_signer(folder: Path, *, now: dt.datetime | None = None) -> OpenedSigner:
    """This machine's own signer; authority and signer are made on first use and renewed before they end.

    folder: created with mode 0700; its files have mode 0600. Safe under several processes.
    """
    moment = now or dt.datetime.now(dt.UTC)
    with _locked(folder):
        authority, is_new = _current_authority(folder, moment)
        path = folder / _SIGNER_FILE
        if not (path.is_file() and _lasts(path, moment) and _is_under(path, authority)):
            write_private(path, _issue_signer(authority, moment))
        signer = signer_of(path.read_bytes(), path.read_bytes(), str(path))
    return OpenedSigner(signer, _first_use_note(folder) if is_new else None)


def renew_signer(folder: Path, *, now: dt.datetime | None = None) -> Signer:
    """Issue a new signing certificate under this machine's own authority at once; the one before stays valid."""
    moment = now or dt.datetime.now(dt.UTC)
    with _locked(folder):
        authority, _ = _current_authority(folder, moment)
        path = folder / _SIGNER_FILE
        write_private(path, _issue_signer(authority, moment))
        return signer_of(path.read_bytes(), path.read_bytes(), str(path))


def own_authority_pem(folder: Path) -> str:
    """The certificates of this machine's own authorities, present and past, without keys; empty before first use."""
    files = sorted(folder.glob("authority*.pem")) if folder.is_dir() else []
    return "".join(
        public_pem(certificate) for path in files for certificate in certificates_in(read_pem(path), str(path))
    )


def _first_use_note(folder: Path) -> str:
    return (
        f"made a certificate authority of your own in {folder}: nobody else knows it, so others will see an unknown "
        "signer until they add its certificate. Back the folder up, and keep it private: whoever has it signs as you"
    )


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / _LOCK_FILE).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _current_authority(folder: Path, moment: dt.datetime) -> tuple[bytes, bool]:
    """The authority's PEM (key, certificate) and whether it is new. One that ends soon is kept under another name."""
    path = folder / _AUTHORITY_FILE
    if path.is_file():
        data = read_pem(path)
        if _lasts(path, moment):
            return data, False
        serial = certificates_in(data, str(path))[0].serial_number
        write_private(folder / f"authority-{serial:x}.pem", data)
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"Countermark authority {secrets.token_hex(3)}")
    certificate = _certificate(name, key.public_key(), name, key, moment, AUTHORITY_DAYS, is_authority=True)
    data = _private_pem(key) + public_pem(certificate).encode()
    write_private(path, data)
    return data, True


def _issue_signer(authority: bytes, moment: dt.datetime) -> bytes:
    root = certificates_in(authority, "authority")[0]
    root_key = private_key_in(authority, "authority")
    key = ec.generate_private_key(ec.SECP256R1())
    days = min(SIGNER_DAYS, (root.not_valid_after_utc - moment).days)
    name = _name(f"Countermark signer {secrets.token_hex(3)}")
    leaf = _certificate(name, key.public_key(), root.subject, root_key, moment, days, is_authority=False)
    return _private_pem(key) + public_pem(leaf).encode()


def _name(common_name: str) -> x509.Name:
    """Nothing personal: what stands here travels with every signed clip."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Countermark user"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _certificate(
    subject: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    issuer: x509.Name,
    issuer_key: PrivateKey,
    moment: dt.datetime,
    days: int,
    *,
    is_authority: bool,
) -> x509.Certificate:
    """An authority, or a signer with the profile of C2PA 2.2, 14.5.1."""
    usage = dict.fromkeys(_USES_WE_DO_WITHOUT, False)
    issuer_public = issuer_key.public_key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - _SKEW)
        .not_valid_after(moment - _SKEW + dt.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=0 if is_authority else None), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=not is_authority, key_cert_sign=is_authority, crl_sign=is_authority, **usage
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_public), critical=False)
    )
    if not is_authority:
        purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION, CLAIM_SIGNING])
        builder = builder.add_extension(purposes, critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _lasts(path: Path, moment: dt.datetime) -> bool:
    certificate = certificates_in(read_pem(path), str(path))[0]
    end = certificate.not_valid_after_utc - dt.timedelta(days=RENEW_BEFORE_DAYS)
    return certificate.not_valid_before_utc <= moment < end


def _is_under(signer: Path, authority: bytes) -> bool:
    try:
        leaf = certificates_in(signer.read_bytes(), str(signer))[0]
        leaf.verify_directly_issued_by(certificates_in(authority, "authority")[0])
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
