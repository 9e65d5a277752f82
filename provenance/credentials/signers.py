"""A private key with its certificates, read from PEM files, and the signatures it makes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID

from provenance.errors import CannotRead, CredentialError

_CURVES = {256: ("es256", hashes.SHA256()), 384: ("es384", hashes.SHA384()), 521: ("es512", hashes.SHA512())}

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True)
class Signer:
    """A private key with its certificates; it satisfies `ClaimSigner`, and does not pickle: keys stay in their process.

    algorithm: COSE name, such as ``es256``. certificates_pem: the signer's certificate first, no root.
    """

    name: str
    algorithm: str
    certificates_pem: str = field(repr=False)
    key: PrivateKey = field(repr=False)

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a signer does not leave its process: hand out a proxy that asks it")

    def sign(self, to_be_signed: bytes) -> bytes:
        """The COSE signature of some bytes (RFC 9053, 2): raw r and s for ECDSA, salt as long as the digest for PSS."""
        if isinstance(self.key, ed25519.Ed25519PrivateKey):
            return self.key.sign(to_be_signed)
        if isinstance(self.key, rsa.RSAPrivateKey):
            digest = hashes.SHA256()
            return self.key.sign(to_be_signed, padding.PSS(padding.MGF1(digest), digest.digest_size), digest)
        size = (self.key.key_size + 7) // 8
        r, s = decode_dss_signature(self.key.sign(to_be_signed, ec.ECDSA(_CURVES[self.key.key_size][1])))
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def signer_from_files(certificates: Path, key: Path) -> Signer:
    """A signer from PEM files: certificates in any order, an unencrypted private key; both may be one file."""
    return signer_of(read_pem(certificates), read_pem(key), str(certificates))


def signer_of(certificates: bytes, key_pem: bytes, origin: str) -> Signer:
    """A signer from PEM texts; `origin` names them in errors. Raises CredentialError."""
    key = private_key_in(key_pem, origin)
    found = certificates_in(certificates, origin)
    spki = _spki(key.public_key())
    leaf = next((one for one in found if _spki(one.public_key()) == spki), None)
    if leaf is None:
        raise CredentialError(f"{origin}: the private key belongs to none of the certificates", hint="name the pair")
    chain = _ordered(leaf, found)
    return Signer(_display_name(leaf), _algorithm(key, origin), "".join(public_pem(one) for one in chain), key)


def _ordered(leaf: x509.Certificate, others: list[x509.Certificate]) -> list[x509.Certificate]:
    """The signer, then each one's issuer; without the root (C2PA 2.2, 14.5)."""
    chain = [leaf]
    while True:
        issuer = next((one for one in others if one.subject == chain[-1].issuer and one not in chain), None)
        if issuer is None or issuer.subject == issuer.issuer:
            return chain
        chain.append(issuer)


def _algorithm(key: PrivateKey, origin: str) -> str:
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.key_size in _CURVES:
        return _CURVES[key.key_size][0]
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= 2048:
        return "ps256"
    raise CredentialError(f"{origin}: C2PA does not allow this kind of key", hint="use ECDSA P-256, or Ed25519")


def _display_name(certificate: x509.Certificate) -> str:
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else certificate.subject.rfc4514_string()


def read_pem(path: Path) -> bytes:
    """The bytes of a PEM file. Raises CannotRead."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise CannotRead(f"{path}: {error.strerror}", hint="name PEM files that you may read") from error


def certificates_in(pem: bytes, origin: str) -> list[x509.Certificate]:
    """All certificates of a PEM text, in its order. Raises CredentialError for none."""
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise CredentialError(f"{origin}: holds no certificate in PEM form", hint="name a PEM file") from error


def private_key_in(pem: bytes, origin: str) -> PrivateKey:
    """The unencrypted private key of a PEM text, of a kind that C2PA allows. Raises CredentialError."""
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except TypeError as error:
        raise CredentialError(f"{origin}: the private key is encrypted", hint="decrypt it with openssl pkey") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CredentialError(f"{origin}: holds no private key in PEM form", hint="name a PEM file") from error
    if not isinstance(key, PrivateKey):
        raise CredentialError(f"{origin}: C2PA does not allow this kind of key", hint="use ECDSA P-256, or Ed25519")
    return key


def public_pem(certificate: x509.Certificate) -> str:
    """One certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _spki(key: object) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]
