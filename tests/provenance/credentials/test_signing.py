"""Who signs: this machine's own authority, PEM files, and signers that are asked from another process."""

from __future__ import annotations

import datetime as dt
import pickle
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from provenance.credentials import (
    CredentialsCheck,
    Manifest,
    Signer,
    Source,
    Trust,
    load_trust,
    media_type_of,
    open_signer,
    own_authority_pem,
    own_signer,
    sidecar_of,
    sign_file,
)
from provenance.credentials.authority import AUTHORITY_DAYS, SIGNER_DAYS
from provenance.credentials.trust import CLAIM_SIGNING
from provenance.errors import CannotRead, CannotWrite, CredentialError, OutputExists, UsageError

Authority = Any  # conftest.Authority


def captured(path: Path) -> Manifest:
    return Manifest(path.name, "video/mp4", "captured", parent=Source(path, path.name, "video/mp4"))


def leaf_of(signer: Signer) -> x509.Certificate:
    return x509.load_pem_x509_certificates(signer.certificates_pem.encode())[0]


# -- this machine's own authority --------------------------------------------------------------------------------------


def test_first_use_makes_an_authority_and_says_so_once(tmp_path: Path) -> None:
    folder = tmp_path / "certificates"
    first = own_signer(folder)
    assert first.note is not None
    assert str(folder) in first.note
    second = own_signer(folder)
    assert second.note is None
    assert second.signer.certificates_pem == first.signer.certificates_pem


def test_private_keys_are_for_their_owner_only(tmp_path: Path) -> None:
    own_signer(tmp_path / "certificates")
    for path in (tmp_path / "certificates").glob("*.pem"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "certificates").stat().st_mode) == 0o700
    assert "PRIVATE" not in own_authority_pem(tmp_path / "certificates")


def test_a_signer_keeps_to_the_profile_of_c2pa_and_names_nobody(tmp_path: Path) -> None:
    leaf = leaf_of(own_signer(tmp_path).signer)
    purposes = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(purposes) == {ExtendedKeyUsageOID.EMAIL_PROTECTION, CLAIM_SIGNING}
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc <= dt.timedelta(days=366)
    assert "Countermark user" in leaf.subject.rfc4514_string()


def test_what_it_signs_is_our_own(tmp_path: Path, clip: Path) -> None:
    signer = own_signer(tmp_path / "certificates").signer
    signed = sign_file(clip, tmp_path / "out.mp4", captured(clip), signer)
    trust = load_trust(None, own_authority_pem(tmp_path / "certificates"))
    (evidence,) = CredentialsCheck(trust).examine(signed.path)
    assert (evidence.status, evidence.signer.trust) == ("intact", "own")  # type: ignore[union-attr]


def test_a_signer_is_renewed_before_it_ends_under_the_same_authority(tmp_path: Path) -> None:
    start = dt.datetime.now(dt.UTC)
    first = own_signer(tmp_path, now=start).signer
    almost = own_signer(tmp_path, now=start + dt.timedelta(days=SIGNER_DAYS - 40)).signer
    renewed = own_signer(tmp_path, now=start + dt.timedelta(days=SIGNER_DAYS - 20))
    assert almost.certificates_pem == first.certificates_pem
    assert renewed.signer.certificates_pem != first.certificates_pem
    assert renewed.note is None
    assert leaf_of(renewed.signer).issuer == leaf_of(first).issuer


def test_an_authority_that_ends_is_replaced_and_stays_on_the_own_list(tmp_path: Path) -> None:
    start = dt.datetime.now(dt.UTC)
    first = leaf_of(own_signer(tmp_path, now=start).signer)
    later = own_signer(tmp_path, now=start + dt.timedelta(days=AUTHORITY_DAYS))
    assert later.note is not None
    assert leaf_of(later.signer).issuer != first.issuer
    assert len(x509.load_pem_x509_certificates(own_authority_pem(tmp_path).encode())) == 2
    assert load_trust(None, own_authority_pem(tmp_path)).vouch([first], start).trust == "own"


def test_many_first_uses_at_once_make_one_authority(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(lambda _: own_signer(tmp_path), range(8)))
    assert len({one.signer.certificates_pem for one in opened}) == 1
    assert sum(one.note is not None for one in opened) == 1


def test_a_damaged_authority_is_named(tmp_path: Path) -> None:
    (tmp_path / "authority.pem").write_text("no certificate")
    with pytest.raises(CredentialError, match=r"authority\.pem"):
        own_signer(tmp_path)


# -- PEM files ---------------------------------------------------------------------------------------------------------


def pem_files(folder: Path, key: Any, certificates: list[x509.Certificate]) -> str:
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    (folder / "key.pem").write_bytes(key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain))
    (folder / "cert.pem").write_bytes(b"".join(one.public_bytes(encoding) for one in certificates))
    return f"file:{folder / 'cert.pem'},{folder / 'key.pem'}"


@pytest.mark.parametrize(
    ("make_key", "algorithm"),
    [
        (lambda: ec.generate_private_key(ec.SECP256R1()), "es256"),
        (lambda: ec.generate_private_key(ec.SECP384R1()), "es384"),
        (lambda: ec.generate_private_key(ec.SECP521R1()), "es512"),
        (ed25519.Ed25519PrivateKey.generate, "ed25519"),
        (lambda: rsa.generate_private_key(65537, 2048), "ps256"),
    ],
)
def test_every_kind_of_key_that_c2pa_allows_signs(
    tmp_path: Path, clip: Path, root: Authority, trust: Trust, issue: Any, make_key: Callable[[], Any], algorithm: str
) -> None:
    key = make_key()
    leaf = issue("A signer", key, root.name, root.key)
    signer = open_signer(pem_files(tmp_path, key, [root.certificate, leaf]), tmp_path).signer
    assert signer.algorithm == algorithm
    assert leaf_of(signer) == leaf, "the signer comes first, the root is left out"
    signed = sign_file(clip, tmp_path / "out.mp4", captured(clip), signer)
    (evidence,) = CredentialsCheck(trust).examine(signed.path)
    assert (evidence.status, evidence.signer.trust) == ("intact", "own")  # type: ignore[union-attr]


def test_a_signer_under_an_intermediate_brings_it_along(
    tmp_path: Path, clip: Path, root: Authority, trust: Trust, issue: Any
) -> None:
    middle_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    middle = issue("Middle", middle_key, root.name, root.key, purposes=())
    leaf = issue("A signer", key, "Middle", middle_key)
    signer = open_signer(pem_files(tmp_path, key, [middle, leaf]), tmp_path).signer
    signed = sign_file(clip, tmp_path / "out.mp4", captured(clip), signer)
    (evidence,) = CredentialsCheck(trust).examine(signed.path)
    assert evidence.signer.trust == "own"  # type: ignore[union-attr]
    assert trust.vouch([leaf], dt.datetime.now(dt.UTC)).trust == "unknown", (
        "without the intermediate nothing leads there"
    )


def test_bad_signers_are_named_with_a_way_out(tmp_path: Path, root: Authority, issue: Any) -> None:
    key, other = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    uri = pem_files(tmp_path, other, [issue("A signer", key, root.name, root.key)])
    with pytest.raises(CredentialError, match="belongs to none"):
        open_signer(uri, tmp_path)
    with pytest.raises(UsageError):
        open_signer("https://example.org/signer", tmp_path)
    with pytest.raises(CannotRead):
        open_signer(f"file:{tmp_path / 'missing.pem'}", tmp_path)
    (tmp_path / "key.pem").write_text("no key")
    with pytest.raises(CredentialError, match="no private key"):
        open_signer(uri, tmp_path)


# -- signing files -----------------------------------------------------------------------------------------------------


@dataclass
class Asked:
    """Stands in a worker: passes what is to be signed on to whoever has the key, and counts."""

    holder: Signer
    spoil: bool = False
    algorithm: str = "es256"
    requests: list[bytes] = field(default_factory=list)

    @property
    def certificates_pem(self) -> str:
        return self.holder.certificates_pem

    def sign(self, to_be_signed: bytes) -> bytes:
        self.requests.append(to_be_signed)
        return bytes(64) if self.spoil else self.holder.sign(to_be_signed)


def test_the_key_is_asked_once_for_the_claim_and_need_not_be_here(
    tmp_path: Path, clip: Path, signer: Signer, trust: Trust
) -> None:
    asked = Asked(signer)
    signed = sign_file(clip, tmp_path / "out.mp4", captured(clip), asked)
    assert len(asked.requests) == 1
    assert len(asked.requests[0]) < 4096
    (evidence,) = CredentialsCheck(trust).examine(signed.path)
    assert evidence.status == "intact"  # type: ignore[union-attr]


def test_a_signature_of_zeros_is_refused_and_nothing_is_left_behind(tmp_path: Path, clip: Path, signer: Signer) -> None:
    with pytest.raises(CredentialError):
        sign_file(clip, tmp_path / "out.mp4", captured(clip), Asked(signer, spoil=True))
    assert not list(tmp_path.glob("*out*"))


def test_what_the_holder_of_the_key_raises_comes_through(tmp_path: Path, clip: Path, signer: Signer) -> None:
    class Refusing(Asked):
        def sign(self, to_be_signed: bytes) -> bytes:
            raise CredentialError("the key is locked", hint="unlock it")

    with pytest.raises(CredentialError, match="the key is locked"):
        sign_file(clip, tmp_path / "out.mp4", captured(clip), Refusing(signer))


def test_a_signer_does_not_travel(signer: Signer) -> None:
    with pytest.raises(TypeError):
        pickle.dumps(signer)
    assert "PRIVATE" not in repr(signer)


@pytest.mark.parametrize("suffix", [".mov", ".m4v", ".avi"])
def test_other_video_containers_carry_theirs(
    tmp_path: Path, signer: Signer, trust: Trust, make_clip: Callable[..., Path], suffix: str
) -> None:
    source = make_clip(tmp_path / f"in{suffix}", "mpeg4")
    manifest = Manifest(source.name, media_type_of(source), "edited", parent=Source(source, source.name, "video/mp4"))
    signed = sign_file(source, tmp_path / f"out{suffix}", manifest, signer)
    (evidence,) = CredentialsCheck(trust).examine(signed.path)
    assert (evidence.status, evidence.origin) == ("intact", "edited")  # type: ignore[union-attr]
    assert signed.sidecar is None


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".avif", ".gif"])
def test_still_pictures_carry_theirs(tmp_path: Path, signer: Signer, trust: Trust, suffix: str) -> None:
    from PIL import Image

    source = tmp_path / f"in{suffix}"
    Image.linear_gradient("L").convert("RGB").save(source)
    manifest = Manifest(source.name, media_type_of(source), "captured", parent=Source(source, source.name, "image/x"))
    signed = sign_file(source, tmp_path / f"out{suffix}", manifest, signer)
    (evidence,) = CredentialsCheck(trust).examine(signed.path)
    assert (evidence.status, evidence.origin) == ("intact", "captured")  # type: ignore[union-attr]


def test_a_sidecar_on_request_leaves_the_file_as_it_was(
    tmp_path: Path, clip: Path, signer: Signer, trust: Trust
) -> None:
    signed = sign_file(clip, tmp_path / "out.mp4", captured(clip), signer, sidecar=True)
    assert signed.path.read_bytes() == clip.read_bytes()
    assert sidecar_of(signed.path).read_bytes() == signed.manifest_bytes
    (evidence,) = CredentialsCheck(trust).examine(signed.path)
    assert (evidence.status, evidence.manifest) == ("intact", signed.manifest_id)  # type: ignore[union-attr]


def test_the_signed_store_stands_in_the_file_byte_for_byte(tmp_path: Path, clip: Path, signer: Signer) -> None:
    signed = sign_file(clip, tmp_path / "out.mp4", captured(clip), signer)
    assert signed.manifest_bytes in signed.path.read_bytes()
    assert signed.manifest_id.startswith("urn:c2pa:")


def test_output_is_never_overwritten_nor_the_input(tmp_path: Path, clip: Path, signer: Signer) -> None:
    target = tmp_path / "out.mp4"
    target.write_bytes(b"mine")
    with pytest.raises(OutputExists):
        sign_file(clip, target, captured(clip), signer)
    assert target.read_bytes() == b"mine"
    with pytest.raises(OutputExists):
        sign_file(clip, clip, captured(clip), signer, force=True)
    sign_file(clip, target, captured(clip), signer, force=True)
    assert target.read_bytes() != b"mine"


def test_what_cannot_be_signed_is_one_error_and_leaves_nothing(tmp_path: Path, clip: Path, signer: Signer) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no video")
    with pytest.raises(CredentialError, match=r"text\.mp4"):
        sign_file(text, tmp_path / "out.mp4", captured(clip), signer)
    with pytest.raises(CannotRead):
        sign_file(tmp_path / "missing.mp4", tmp_path / "out.mp4", captured(clip), signer)
    with pytest.raises(CredentialError, match="cannot be signed"):
        sign_file(clip, tmp_path / "out.txt", captured(clip), signer)
    with pytest.raises(CannotWrite):
        sign_file(clip, tmp_path / "nowhere" / "out.mp4", captured(clip), signer)
    assert not list(tmp_path.glob("*out*"))


def test_an_expired_signer_is_refused(tmp_path: Path, clip: Path, root: Authority) -> None:
    now = dt.datetime.now(dt.UTC)
    old = root.signer(begins=now - dt.timedelta(days=9), ends=now - dt.timedelta(days=1))
    with pytest.raises(CredentialError, match=r"dates|valid|expired"):
        sign_file(clip, tmp_path / "out.mp4", captured(clip), old)


def test_a_time_stamp_authority_that_does_not_answer_is_one_error(tmp_path: Path, clip: Path, signer: Signer) -> None:
    with pytest.raises(CredentialError) as caught:
        sign_file(clip, tmp_path / "out.mp4", captured(clip), signer, tsa_url="http://127.0.0.1:9/tsa")
    assert "127.0.0.1:9" in caught.value.hint
    assert not list(tmp_path.glob("*out*"))
