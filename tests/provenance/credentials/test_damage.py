"""Sign, mutate, verify: whatever happens to the bytes, the answer is evidence, never a crash, never another signer."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from provenance.credentials import CredentialsCheck, Manifest, Signer, Source, Trust, read_manifest_store, sign_file
from provenance.credentials.jumbf import active_manifest_id, certificate_chain
from provenance.errors import ManifestUnreadable
from provenance.evidence import CredentialsEvidence


def is_no_stronger(evidence: CredentialsEvidence, original: CredentialsEvidence) -> bool:
    """Damage may cost a signer its trust (our own reader is strict), never give it any, nor change its name."""
    mine, theirs = evidence.signer, original.signer
    assert mine is not None
    assert theirs is not None
    return mine.name == theirs.name and mine.trust in (theirs.trust, "unknown", "wrong_purpose", "expired")


def mutated(data: bytes, choice: random.Random) -> bytes:
    """One small accident: a byte changed, a stretch dropped, doubled or zeroed."""
    at, length = choice.randrange(len(data)), choice.choice((1, 1, 1, 4, 16, 64))
    accident = choice.choice(("set", "drop", "double", "zero"))
    stretch = {
        "set": bytes(choice.randrange(256) for _ in range(length)),
        "drop": b"",
        "double": data[at : at + length] * 2,
        "zero": bytes(length),
    }[accident]
    return data[:at] + stretch + data[at + length :]


@pytest.fixture(scope="module")
def signed_bytes(clip: Path, signer: Signer, tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    folder = tmp_path_factory.mktemp("signed")
    parent = Manifest("clip.mp4", "video/mp4", "captured", parent=Source(clip, "clip.mp4", "video/mp4"))
    first = sign_file(clip, folder / "first.mp4", parent, signer)
    again = Manifest("again.mp4", "video/mp4", "edited", parent=Source(first.path, "first.mp4", "video/mp4"))
    signed = sign_file(first.path, folder / "again.mp4", again, signer)
    return signed.path.read_bytes(), signed.manifest_bytes


def test_sign_then_mutate_then_verify(
    signed_bytes: tuple[bytes, bytes], examine: Callable[[Path], CredentialsEvidence], tmp_path: Path
) -> None:
    data, store = signed_bytes
    whole = tmp_path / "whole.mp4"
    whole.write_bytes(data)
    original = examine(whole)
    start = data.find(store)
    choice = random.Random(1)
    for number in range(150):
        damaged = mutated(store, choice)
        path = tmp_path / "damaged.mp4"
        path.write_bytes(data[:start] + damaged + data[start + len(store) :])
        evidence = examine(path)
        if evidence.is_authentic:
            assert is_no_stronger(evidence, original), number
            assert (evidence.origin, evidence.manifest, evidence.title) == (
                original.origin,
                original.manifest,
                original.title,
            ), number
        assert evidence.status != "absent" or b"jumdc2pa" not in path.read_bytes(), number


def test_mutated_stores_are_never_recovered_as_something_else(signed_bytes: tuple[bytes, bytes], trust: Trust) -> None:
    _, store = signed_bytes
    check, choice = CredentialsCheck(trust), random.Random(2)
    (original,) = check.examine_recovered(store)
    assert isinstance(original, CredentialsEvidence)
    for number in range(150):
        (evidence,) = check.examine_recovered(mutated(store, choice))
        assert isinstance(evidence, CredentialsEvidence)
        assert evidence.status in ("recovered", "unreadable"), number
        if evidence.status == "recovered" and evidence.manifest != original.manifest:
            assert evidence.manifest in original.chain, "only the outer manifest was lost"
        elif evidence.status == "recovered":
            assert is_no_stronger(evidence, original), number
            assert (evidence.origin, evidence.soft_bindings) == (original.origin, original.soft_bindings), number


def test_our_own_reader_refuses_what_it_cannot_read_without_doubt(signed_bytes: tuple[bytes, bytes]) -> None:
    _, store = signed_bytes
    manifest_id = active_manifest_id(store)
    chain = certificate_chain(store, manifest_id)
    choice = random.Random(3)
    for _ in range(300):
        try:
            found = certificate_chain(mutated(store, choice), manifest_id)
        except ManifestUnreadable:
            continue
        assert len(found) == len(chain)


def test_our_own_reader_refuses_two_manifests_of_one_name(signed_bytes: tuple[bytes, bytes]) -> None:
    _, store = signed_bytes
    manifest_id = active_manifest_id(store)
    other = next(name for name in read_ids(store) if name != manifest_id)
    doubled = store.replace(other.encode(), manifest_id.encode())
    with pytest.raises(ManifestUnreadable, match="2 boxes"):
        certificate_chain(doubled, manifest_id)


def read_ids(store: bytes) -> list[str]:
    import io

    found = read_manifest_store(io.BytesIO(), manifest_data=store)
    assert found is not None
    return list(found.manifests)
