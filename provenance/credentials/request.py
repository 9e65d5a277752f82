"""Asking a certificate authority for a C2PA signing certificate: a fresh key, and a PKCS #10 request (RFC 2986)."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from provenance.credentials.trust import CLAIM_SIGNING
from provenance.errors import UsageError

NAME_LIMIT = 64  # upper bound of these attributes (RFC 5280, appendix A.1)


def certificate_request(name: str, organization: str = "") -> tuple[bytes, bytes]:
    """Return (private key, request), both PEM: ECDSA P-256, purposes as C2PA 2.2, 14.5.1 asks.

    Raises UsageError for a name that is empty or too long.
    """
    for text in (name, organization or "-"):
        if not text.strip() or len(text) > NAME_LIMIT:
            raise UsageError(f"{text!r}: a name has 1 to {NAME_LIMIT} characters", hint="choose a shorter name")
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    if organization:
        attributes.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    key = ec.generate_private_key(ec.SECP256R1())
    purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION, CLAIM_SIGNING])
    builder = x509.CertificateSigningRequestBuilder(x509.Name(attributes)).add_extension(purposes, critical=False)
    request = builder.sign(key, hashes.SHA256())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private, request.public_bytes(serialization.Encoding.PEM)
