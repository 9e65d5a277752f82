"""Small real clips and real certificates."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from provenance.credentials import CredentialsCheck, Signer, Trust, TrustList
from provenance.credentials.signers import signer_of
from provenance.evidence import CredentialsEvidence

NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)
CLAIMS = (ExtendedKeyUsageOID.EMAIL_PROTECTION, x509.ObjectIdentifier("1.3.6.1.4.1.62558.2.1"))


def pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


@dataclass(frozen=True)
class Authority:
    """A root that issues signers with whatever purposes and dates a test needs."""

    name: str
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> str:
        return pem(self.certificate)

    def signer(
        self,
        name: str = "Test Signer",
        purposes: tuple[x509.ObjectIdentifier, ...] = CLAIMS,
        begins: dt.datetime = NOW - dt.timedelta(days=1),
        ends: dt.datetime = NOW + dt.timedelta(days=300),
    ) -> Signer:
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = issue_certificate(name, key, self.name, self.key, purposes=purposes, begins=begins, ends=ends)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return signer_of(pem(leaf).encode(), private, name)


def issue_certificate(
    name: str,
    key: Any,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    purposes: tuple[x509.ObjectIdentifier, ...] = CLAIMS,
    begins: dt.datetime = NOW - dt.timedelta(days=2),
    ends: dt.datetime = NOW + dt.timedelta(days=3650),
) -> x509.Certificate:
    is_authority = not purposes
    usage = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509_name(name))
        .issuer_name(x509_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=not is_authority, key_cert_sign=is_authority, crl_sign=is_authority, **usage
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def x509_name(name: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Test Org"), x509.NameAttribute(NameOID.COMMON_NAME, name)]
    )


def authority(name: str) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    return Authority(name, key, issue_certificate(name, key, name, key, purposes=()))


@pytest.fixture(scope="session")
def root() -> Authority:
    """The authority that most tests sign under."""
    return authority("Test Root")


@pytest.fixture(scope="session")
def stranger() -> Authority:
    """Another authority, on no list."""
    return authority("Stranger Root")


@pytest.fixture(scope="session")
def signer(root: Authority) -> Signer:
    """A signer under `root`."""
    return root.signer()


@pytest.fixture(scope="session")
def trust(root: Authority) -> Trust:
    """`root` stands on one's own list, nobody else is trusted."""
    return Trust((TrustList("own", "own list", root.pem),))


@pytest.fixture(scope="session")
def examine(trust: Trust) -> Callable[[Path], CredentialsEvidence]:
    """What the check says of one file."""

    def one(path: Path) -> CredentialsEvidence:
        (evidence,) = CredentialsCheck(trust).examine(path)
        assert isinstance(evidence, CredentialsEvidence)
        return evidence

    return one


def write_clip(path: Path, codec: str = "libx264", shade: int = 9, pixels: str = "yuv420p") -> Path:
    """Five frames of 64 x 64."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, pixels
        for number in range(5):
            frame = np.full((64, 64, 3), (number * shade) % 256, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An unsigned clip."""
    return write_clip(tmp_path_factory.mktemp("clips") / "clip.mp4")


@pytest.fixture(scope="session")
def other_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another unsigned clip."""
    return write_clip(tmp_path_factory.mktemp("clips") / "other.mp4", shade=31)


@pytest.fixture(scope="session")
def make_clip() -> Callable[..., Path]:
    """`write_clip`, for tests that need another container."""
    return write_clip


@pytest.fixture(scope="session")
def make_authority() -> Callable[[str], Authority]:
    """`authority`, for tests that need a namesake."""
    return authority


@pytest.fixture(scope="session")
def issue() -> Callable[..., x509.Certificate]:
    """`issue_certificate`: without purposes an authority, with them a signer."""
    return issue_certificate
