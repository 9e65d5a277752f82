"""What verify says of credentials, on files that were signed and then mistreated. One test per way of mistreating."""

from __future__ import annotations

import dataclasses
import datetime as dt
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from provenance.credentials import (
    FINGERPRINT_ALGORITHM,
    PIXEL_ALGORITHM,
    CredentialsCheck,
    Manifest,
    SignedManifest,
    Signer,
    SoftBinding,
    Source,
    Trust,
    TrustList,
    answers,
    read_manifest_store,
    sidecar_of,
    sign_file,
    watermark_binding,
)
from provenance.credentials.sdk import ValidationCode
from provenance.errors import CannotRead
from provenance.evidence import CredentialsEvidence
from provenance.video import Video

Examine = Callable[[Path], CredentialsEvidence]
Authority = Any  # conftest.Authority
NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)
WATERMARK_ID = 0x2123456789ABCDEF
C2PA_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")


def manifest(path: Path, **changes: object) -> Manifest:
    basic = Manifest(
        path.name,
        "video/mp4",
        "captured",
        parent=Source(path, path.name, "video/mp4"),
        soft_bindings=(watermark_binding(PIXEL_ALGORITHM, WATERMARK_ID), SoftBinding(FINGERPRINT_ALGORITHM, b"\1\2\3")),
    )
    return dataclasses.replace(basic, **changes)  # type: ignore[arg-type]


@pytest.fixture
def signed(clip: Path, signer: Signer, tmp_path: Path) -> SignedManifest:
    return sign_file(clip, tmp_path / "signed.mp4", manifest(clip), signer)


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def altered(signed: SignedManifest, change: Callable[[bytearray], bytes | bytearray]) -> Path:
    path = signed.path.with_name("altered.mp4")
    path.write_bytes(change(bytearray(signed.path.read_bytes())))
    return path


# -- bytes -------------------------------------------------------------------------------------------------------------


def test_a_signed_file_is_intact_and_names_its_signer(signed: SignedManifest, examine: Examine) -> None:
    evidence = examine(signed.path)
    assert evidence.status == "intact"
    assert evidence.signer is not None
    assert (evidence.signer.name, evidence.signer.trust, evidence.signer.list_name) == (
        "Test Org, Test Signer",
        "own",
        "own list",
    )
    assert (evidence.manifest, evidence.ai, evidence.origin) == (signed.manifest_id, "none", "captured")
    assert evidence.generator is not None
    assert evidence.generator.startswith("Countermark ")
    assert evidence.reason is None


def test_a_video_and_its_path_give_the_same_evidence(signed: SignedManifest, trust: Trust) -> None:
    check = CredentialsCheck(trust)
    assert check.examine(Video(signed.path)) == check.examine(signed.path)


def test_its_soft_bindings_come_back_as_bytes(signed: SignedManifest, examine: Examine) -> None:
    assert examine(signed.path).soft_bindings == (
        (PIXEL_ALGORITHM, WATERMARK_ID.to_bytes(8, "big")),
        (FINGERPRINT_ALGORITHM, b"\1\2\3"),
    )


def test_an_unsigned_file_has_none(clip: Path, examine: Examine) -> None:
    evidence = examine(clip)
    assert evidence.status == "absent"
    assert evidence.signer is None


def test_a_flipped_byte_in_the_pictures_is_a_change(signed: SignedManifest, examine: Examine) -> None:
    def flip(data: bytearray) -> bytearray:
        data[data.rfind(b"mdat") + 50] ^= 1
        return data

    evidence = examine(altered(signed, flip))
    assert evidence.status == "changed"
    assert evidence.signer is not None, "whose statement it was is still known"
    assert not evidence.is_authentic


def test_a_flipped_byte_in_a_statement_is_a_change(signed: SignedManifest, examine: Examine) -> None:
    def flip(data: bytearray) -> bytearray:
        data[data.find(b"digitalCapture")] ^= 1
        return data

    evidence = examine(altered(signed, flip))
    assert evidence.status == "changed"
    assert evidence.reason is not None
    assert "statement" in evidence.reason


def test_a_flipped_byte_in_the_signature_leaves_nobody_who_signed(signed: SignedManifest, examine: Examine) -> None:
    store = read_manifest_store(signed.path)
    assert store is not None

    def flip(data: bytearray) -> bytearray:
        signature = data.find(b"\x58\x40", data.find(b"c2pa.signature"))  # a CBOR byte string of 64
        while data.find(b"\x58\x40", signature + 1) > 0:
            signature = data.find(b"\x58\x40", signature + 1)
        data[signature + 10] ^= 1
        return data

    evidence = examine(altered(signed, flip))
    assert evidence.status == "changed"
    assert evidence.signer is None


def test_a_remux_drops_them(signed: SignedManifest, examine: Examine, tmp_path: Path) -> None:
    target = tmp_path / "remuxed.mp4"
    with av.open(str(signed.path)) as source, av.open(str(target), "w") as copy:
        stream = copy.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                copy.mux(packet)
    assert examine(target).status == "absent"


@pytest.mark.parametrize("kind", [b"free", b"skip", b"mdat", b"uuid"])
def test_bytes_appended_in_a_box_are_a_change(signed: SignedManifest, examine: Examine, kind: bytes) -> None:
    path = altered(signed, lambda data: data + box(kind, b"hidden message, hidden message"))
    assert examine(path).status == "changed"


def test_bytes_hidden_where_other_tools_do_not_sign_are_told(
    clip: Path, signer: Signer, examine: Examine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import c2pa

    monkeypatch.setattr("provenance.credentials.sdk._signing_context", lambda *_, **__: c2pa.Context.from_dict({}))
    signed = sign_file(clip, tmp_path / "signed.mp4", manifest(clip), signer)
    assert examine(signed.path).status == "intact"
    assert examine(altered(signed, lambda data: data + box(b"free", bytes(64)))).status == "intact"
    evidence = examine(altered(signed, lambda data: data + box(b"free", b"hidden message")))
    assert evidence.status == "unsigned_regions_changed"
    assert evidence.reason == "14 bytes lie in regions that the signature leaves out"
    assert evidence.is_authentic


@pytest.mark.parametrize("purpose", [b"other\0", b"merkle\0"])
def test_bytes_hidden_in_a_second_box_of_c2pa_are_told(
    signed: SignedManifest, examine: Examine, purpose: bytes
) -> None:
    empty = box(b"uuid", C2PA_UUID + bytes(40))
    assert examine(altered(signed, lambda data: data + empty)).status == "intact"
    hiding = box(b"uuid", C2PA_UUID + bytes(4) + purpose + b"hidden message" * 3)
    assert examine(altered(signed, lambda data: data + hiding)).status in ("unsigned_regions_changed", "unreadable")


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data + b"trailing garbage",
        lambda data: data.replace(b"c2pa.claim.v2", b"c2pa.clai\xff\xff\xff\xff"),
        lambda data: data.replace(b"jumdc2ma", b"jumdXXXX"),
        lambda data: data + box(b"uuid", C2PA_UUID + bytes(4) + b"manifest\0" + bytes(8) + b"rubbish"),
    ],
    ids=["truncated", "trailing garbage", "claim renamed", "manifest box renamed", "second manifest box"],
)
def test_damaged_credentials_are_unreadable_and_never_absent(
    signed: SignedManifest, examine: Examine, change: Callable[[bytearray], bytes]
) -> None:
    evidence = examine(altered(signed, change))
    assert evidence.status in ("unreadable", "changed")
    assert evidence.reason
    assert not evidence.is_authentic


def test_a_manifest_carried_to_another_clip_does_not_fit_it(
    signed: SignedManifest, other_clip: Path, examine: Examine
) -> None:
    data = signed.path.read_bytes()
    start = data.find(C2PA_UUID) - 8
    (length,) = struct.unpack_from(">I", data, start)
    other = other_clip.read_bytes()
    first = struct.unpack_from(">I", other)[0]
    stolen = signed.path.with_name("stolen.mp4")
    stolen.write_bytes(other[:first] + data[start : start + length] + other[first:])
    assert examine(stolen).status == "changed"
    beside = signed.path.with_name("beside.mp4")
    beside.write_bytes(other)
    sidecar_of(beside).write_bytes(signed.manifest_bytes)
    assert examine(beside).status == "changed"


def test_a_file_that_only_says_where_its_manifest_lies_is_remote_and_nothing_is_fetched(
    clip: Path, signer: Signer, examine: Examine, tmp_path: Path
) -> None:
    import c2pa

    builder = c2pa.Builder(manifest(clip, parent=None).definition())
    builder.set_no_embed()
    builder.set_remote_url("http://127.0.0.1:9/manifest.c2pa")
    kit_signer = c2pa.Signer.from_callback(signer.sign, c2pa.C2paSigningAlg.ES256, signer.certificates_pem)
    path = tmp_path / "remote.mp4"
    with clip.open("rb") as source, path.open("w+b") as target:
        builder.sign(kit_signer, "video/mp4", source, target)
    evidence = examine(path)
    assert evidence.status == "remote"
    assert evidence.reason is not None
    assert "http://127.0.0.1:9/manifest.c2pa" in evidence.reason


def test_no_file_and_no_video_are_told_apart(tmp_path: Path, examine: Examine) -> None:
    with pytest.raises(CannotRead):
        examine(tmp_path / "missing.mp4")
    text = tmp_path / "text.mp4"
    text.write_text("a text, no video")
    assert examine(text).status == "absent"
    text.write_bytes(b"")
    assert examine(text).status == "absent"


def test_every_box_of_media_is_signed(clip: Path, signer: Signer, examine: Examine, tmp_path: Path) -> None:
    split = tmp_path / "split.mp4"
    split.write_bytes(clip.read_bytes() + box(b"mdat", bytes(range(256)) * 100))
    signed = sign_file(split, tmp_path / "signed.mp4", manifest(split), signer)
    assert examine(signed.path).status == "intact"
    for at in (split.stat().st_size // 2, signed.path.stat().st_size - 1):
        changed = altered(signed, lambda data, at=at: data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        assert examine(changed).status == "changed", at


# -- beside the file, and recovered ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("suffix", "codec"), [(".webm", "libvpx-vp9"), (".mkv", "libx264")])
def test_containers_without_room_keep_theirs_beside_them(
    tmp_path: Path, signer: Signer, examine: Examine, make_clip: Callable[..., Path], suffix: str, codec: str
) -> None:
    source = make_clip(tmp_path / f"in{suffix}", codec)
    signed = sign_file(source, tmp_path / f"out{suffix}", manifest(source), signer)
    assert signed.sidecar == tmp_path / f"out{suffix}.c2pa"
    assert signed.path.read_bytes() == source.read_bytes()
    assert examine(signed.path).status == "intact"
    data = bytearray(signed.path.read_bytes())
    data[len(data) // 2] ^= 1
    signed.path.write_bytes(data)
    assert examine(signed.path).status == "changed"
    signed.sidecar.write_bytes(b"no manifest store")
    assert examine(signed.path).status == "unreadable"
    signed.sidecar.unlink()
    assert examine(signed.path).status == "absent"


def test_a_recovered_manifest_is_authentic_without_its_file(signed: SignedManifest, trust: Trust) -> None:
    (evidence,) = CredentialsCheck(trust).examine_recovered(signed.manifest_bytes)
    assert isinstance(evidence, CredentialsEvidence)
    assert evidence.status == "recovered"
    assert evidence.is_authentic
    assert evidence.signer is not None
    assert (evidence.signer.trust, evidence.manifest) == ("own", signed.manifest_id)
    assert answers(evidence, PIXEL_ALGORITHM, WATERMARK_ID.to_bytes(8, "big"))
    assert not answers(evidence, PIXEL_ALGORITHM, bytes(8))


def test_a_recovered_manifest_with_a_changed_statement_is_none(signed: SignedManifest, trust: Trust) -> None:
    changed = signed.manifest_bytes.replace(b"digitalCapture", b"digitalCapturX")
    for data in (changed, signed.manifest_bytes[:-100], b"", b"rubbish"):
        (evidence,) = CredentialsCheck(trust).examine_recovered(data)
        assert isinstance(evidence, CredentialsEvidence)
        assert evidence.status == "unreadable", data[:20]


def test_a_manifest_under_another_name_is_none(signed: SignedManifest, trust: Trust, examine: Examine) -> None:
    """Names of boxes are not signed: somebody could file a manifest of another under a name that is asked for."""
    name = signed.manifest_id.encode()
    other = name[:-1] + (b"0" if name[-1:] != b"0" else b"1")
    renamed = signed.manifest_bytes.replace(name, other, 1)
    assert renamed != signed.manifest_bytes
    (evidence,) = CredentialsCheck(trust).examine_recovered(renamed)
    assert isinstance(evidence, CredentialsEvidence)
    assert evidence.status == "unreadable"
    changed = examine(altered(signed, lambda data: data.replace(name, other, 1)))
    assert (changed.status, changed.signer) == ("changed", None)


# -- signers -----------------------------------------------------------------------------------------------------------


def trust_of(path: Path, trust: Trust, at: dt.datetime | None = None) -> str:
    (evidence,) = CredentialsCheck(trust, at).examine(path)
    assert isinstance(evidence, CredentialsEvidence)
    assert evidence.status == "intact", "the signer changes nothing about the bytes"
    assert evidence.signer is not None
    return evidence.signer.trust


def test_a_valid_signature_of_somebody_unknown_is_intact_and_unknown(
    signed: SignedManifest, stranger: Authority
) -> None:
    assert trust_of(signed.path, Trust()) == "unknown"
    assert trust_of(signed.path, Trust((TrustList("official", "e", stranger.pem),))) == "unknown"


def test_the_list_of_time_stamp_authorities_never_vouches_for_a_signer(signed: SignedManifest, root: Authority) -> None:
    assert trust_of(signed.path, Trust(tsa_pem=root.pem, tsa_edition="tsa")) == "unknown"


def test_the_first_list_that_vouches_wins(signed: SignedManifest, root: Authority) -> None:
    official, older, own = (TrustList(name, name, root.pem) for name in ("official", "older", "own"))
    assert trust_of(signed.path, Trust((official, older, own))) == "official"
    assert trust_of(signed.path, Trust((older, own))) == "older"


def test_a_list_of_single_signers_vouches_for_exactly_them(
    signed: SignedManifest, root: Authority, signer: Signer
) -> None:
    assert trust_of(signed.path, Trust((TrustList("older", "e", signers_pem=signer.certificates_pem),))) == "older"
    namesake = root.signer().certificates_pem
    assert trust_of(signed.path, Trust((TrustList("older", "e", signers_pem=namesake),))) == "unknown"


def test_a_root_of_the_same_name_vouches_for_nobody(
    signed: SignedManifest, make_authority: Callable[[str], Authority]
) -> None:
    assert trust_of(signed.path, Trust((TrustList("official", "e", make_authority("Test Root").pem),))) == "unknown"


def test_after_its_end_a_signer_is_expired_unless_the_question_is_about_an_earlier_time(
    clip: Path, root: Authority, trust: Trust, tmp_path: Path
) -> None:
    def sign(short: Signer) -> Path:
        return sign_file(clip, tmp_path / "short.mp4", manifest(clip), short, force=True).path

    path = root.outlived_by(sign)
    assert trust_of(path, trust) == "expired"
    assert trust_of(path, trust, at=NOW - dt.timedelta(hours=1)) == "own"
    assert trust_of(path, trust, at=NOW - dt.timedelta(days=3)) == "expired"


def test_a_signer_for_another_purpose_is_wrong(clip: Path, root: Authority, trust: Trust, tmp_path: Path) -> None:
    tsa = root.signer("A time-stamp authority", purposes=(ExtendedKeyUsageOID.TIME_STAMPING,))
    signed = sign_file(clip, tmp_path / "tsa.mp4", manifest(clip), tsa)
    assert trust_of(signed.path, trust) == "wrong_purpose"


def test_a_revoked_signer_is_revoked_whoever_vouches(signed: SignedManifest, trust: Trust) -> None:
    store = read_manifest_store(signed.path, trust=trust.settings())
    assert store is not None
    revoked = dataclasses.replace(
        store, codes=(*store.codes, ValidationCode("failure", "signingCredential.ocsp.revoked"))
    )
    assert CredentialsCheck(trust)._signer(revoked, None).trust == "revoked"


# -- statements over the chain -----------------------------------------------------------------------------------------


def test_a_parent_s_credentials_are_carried_on_and_count(
    signed: SignedManifest, signer: Signer, examine: Examine, tmp_path: Path
) -> None:
    again = manifest(signed.path, origin="unstated", changes=("transcoded", "edited"))
    evidence = examine(sign_file(signed.path, tmp_path / "again.mp4", again, signer).path)
    assert evidence.chain[1:] == (signed.manifest_id,)
    assert (evidence.ai, evidence.origin) == ("none", "edited")
    assert any("opened “signed.mp4”" in line for line in evidence.history)


@pytest.mark.parametrize(
    ("origin", "ai"),
    [
        ("generated", "whole"),
        ("generated_in_part", "part"),
        ("edited", "none"),
        ("captured", "none"),
        ("unstated", "unstated"),
    ],
)
def test_every_origin_comes_back(
    clip: Path, signer: Signer, examine: Examine, tmp_path: Path, origin: str, ai: str
) -> None:
    evidence = examine(sign_file(clip, tmp_path / "out.mp4", manifest(clip, origin=origin), signer).path)
    assert (evidence.origin, evidence.ai) == (origin, ai)


def test_a_generated_part_makes_a_film_generated_in_part(
    clip: Path, signer: Signer, examine: Examine, tmp_path: Path
) -> None:
    made = sign_file(clip, tmp_path / "made.mp4", manifest(clip, origin="generated", parent=None), signer)
    filmed = sign_file(clip, tmp_path / "filmed.mp4", manifest(clip), signer)
    parts = tuple(Source(one.path, one.path.name, "video/mp4") for one in (made, filmed))
    film = manifest(clip, origin="edited", parent=None, components=parts)
    evidence = examine(sign_file(clip, tmp_path / "film.mp4", film, signer).path)
    assert evidence.ai == "part"
    assert set(evidence.chain) >= {made.manifest_id, filmed.manifest_id}


def test_a_trusted_signer_lends_no_trust_to_a_stranger_s_capture(
    clip: Path, signer: Signer, stranger: Authority, examine: Examine, tmp_path: Path
) -> None:
    claimed = sign_file(clip, tmp_path / "claimed.mp4", manifest(clip), stranger.signer())
    opened = manifest(claimed.path, origin="unstated")
    evidence = examine(sign_file(claimed.path, tmp_path / "opened.mp4", opened, signer).path)
    assert evidence.signer is not None
    assert evidence.signer.trust == "own"
    assert (evidence.ai, evidence.origin) == ("unstated", "unstated")


def test_a_damaged_parent_is_described_and_not_held_against_the_file(
    signed: SignedManifest, signer: Signer, examine: Examine, tmp_path: Path
) -> None:
    damaged = altered(signed, lambda data: data.replace(b"c2pa.claim.v2", b"c2pa.clai\xff\xff\xff\xff"))
    evidence = examine(sign_file(damaged, tmp_path / "again.mp4", manifest(damaged, origin="unstated"), signer).path)
    assert (evidence.status, evidence.chain) == ("intact", (evidence.manifest,))


@pytest.mark.parametrize("damage", ["statement", "name", "signature", "pictures"])
def test_the_word_of_a_tampered_parent_does_not_count(
    signed: SignedManifest, signer: Signer, examine: Examine, tmp_path: Path, damage: str
) -> None:
    name = signed.manifest_id.encode()

    def change(data: bytearray) -> bytes:
        if damage == "statement":
            return bytes(data.replace(b"digitalCapture", b"screenCapture\0"))
        if damage == "name":
            return bytes(data.replace(name, name[:-1] + b"Z", 1))
        end = data.find(signed.manifest_bytes) + len(signed.manifest_bytes)
        at = data.rfind(b"\x58\x40", 0, end) + 9 if damage == "signature" else data.rfind(b"mdat") + 50
        data[at] ^= 1
        return bytes(data)

    parent = altered(signed, change)
    assert examine(parent).status == "changed"
    evidence = examine(sign_file(parent, tmp_path / "again.mp4", manifest(parent, origin="unstated"), signer).path)
    assert (evidence.status, evidence.origin) == ("intact", "unstated")


def test_strings_of_a_stranger_are_shown_plain(clip: Path, signer: Signer, examine: Examine, tmp_path: Path) -> None:
    nasty = "a\u202eb\x1b[31m\u200b\n" + "x" * 10_000
    evidence = examine(sign_file(clip, tmp_path / "nasty.mp4", manifest(clip, title=nasty), signer).path)
    assert evidence.title is not None
    assert evidence.title.startswith("a b [31m x")
    assert len(evidence.title) <= 200
