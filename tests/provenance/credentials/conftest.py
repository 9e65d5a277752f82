"""Small real clips, real certificates, and a real time-stamp authority that answers on this machine."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from asn1crypto import algos, cms, core, tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from provenance.credentials import CredentialsCheck, Signer, Trust, TrustList
from provenance.credentials.signers import signer_of
from provenance.errors import CredentialError
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

    def outlived_by(self, sign: Callable[[Signer], Path]) -> Path:
        """A file whose signer's certificate has ended since. A busy machine may take longer than that to sign."""
        for seconds in (2, 10, 50, 250):
            ends = dt.datetime.now(dt.UTC).replace(microsecond=0) + dt.timedelta(seconds=seconds)
            with contextlib.suppress(CredentialError):  # it had ended already
                path = sign(self.signer("Short", ends=ends))
                left = (ends - dt.datetime.now(dt.UTC)).total_seconds()
                if left > 0:
                    time.sleep(left + 1.1)
                    return path
        raise AssertionError("signing takes minutes")


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


class TimeStampAuthority:
    """Answers requests at `url` while the `with` block lasts. `moment`: the time it states; None states the present."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self.moment: dt.datetime | None = None
        self._certificate = certificate
        self._key = key

    def __enter__(self) -> TimeStampAuthority:
        authority = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = self.rfile.read(int(self.headers["Content-Length"]))
                answer = authority.answer(request)
                self.send_response(200)
                self.send_header("Content-Type", "application/timestamp-reply")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                """Stay silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/tsa"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, request: bytes) -> bytes:
        """The response to one request, as bytes (RFC 3161, 2.4.2)."""
        asked = tsp.TimeStampReq.load(request)
        told: dict[str, Any] = {
            "version": "v1",
            "policy": "1.3.6.1.4.1.99999.1",
            "message_imprint": asked["message_imprint"],
            "serial_number": x509.random_serial_number(),
            "gen_time": (self.moment or dt.datetime.now(dt.UTC)).replace(microsecond=0),
        }
        if asked["nonce"].native is not None:
            told["nonce"] = asked["nonce"].native
        token = self._signed(tsp.TSTInfo(told))
        return tsp.TimeStampResp({"status": {"status": "granted"}, "time_stamp_token": token}).dump()

    def _signed(self, info: tsp.TSTInfo) -> cms.ContentInfo:
        encoded = self._certificate.public_bytes(serialization.Encoding.DER)
        certificate = asn1_x509.Certificate.load(encoded)
        content = info.dump()
        identifier = tsp.SigningCertificateV2(
            {"certs": [tsp.ESSCertIDv2({"cert_hash": hashlib.sha256(encoded).digest()})]}
        )
        attributes = cms.CMSAttributes(
            [
                {"type": "content_type", "values": ["tst_info"]},
                {"type": "message_digest", "values": [hashlib.sha256(content).digest()]},
                {"type": "signing_certificate_v2", "values": [identifier]},
            ]
        )
        digest = algos.DigestAlgorithm({"algorithm": "sha256"})
        signer = cms.SignerInfo(
            {
                "version": "v1",
                "sid": cms.SignerIdentifier(
                    {
                        "issuer_and_serial_number": {
                            "issuer": certificate.issuer,
                            "serial_number": certificate.serial_number,
                        }
                    }
                ),
                "digest_algorithm": digest,
                "signed_attrs": attributes,
                "signature_algorithm": {"algorithm": "sha256_ecdsa"},
                "signature": self._key.sign(attributes.untag().dump(), ec.ECDSA(hashes.SHA256())),
            }
        )
        data = cms.SignedData(
            {
                "version": "v3",
                "digest_algorithms": [digest],
                "encap_content_info": {"content_type": "tst_info", "content": core.ParsableOctetString(content)},
                "certificates": [certificate],
                "signer_infos": [signer],
            }
        )
        return cms.ContentInfo({"content_type": "signed_data", "content": data})


def tsa_under(above: Authority, name: str = "A time-stamp authority") -> TimeStampAuthority:
    key = ec.generate_private_key(ec.SECP256R1())
    purposes = (ExtendedKeyUsageOID.TIME_STAMPING,)
    return TimeStampAuthority(issue_certificate(name, key, above.name, above.key, purposes=purposes), key)


@pytest.fixture(scope="session")
def make_tsa() -> Callable[..., TimeStampAuthority]:
    """`tsa_under`: a time-stamp authority with a certificate of some authority."""
    return tsa_under


@pytest.fixture
def time_stamps(make_authority: Callable[[str], Authority]) -> Iterator[tuple[TimeStampAuthority, str]]:
    """A time-stamp authority that answers on this machine, and the anchor that vouches for it."""
    above = make_authority("TSA Root")
    with tsa_under(above) as answering:
        yield answering, above.pem


@pytest.fixture(autouse=True)
def this_machine_without_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The software kit heeds the proxy that keeps tests off the network, even for this machine."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
