"""From a watermark id back to a manifest, through the repository that remembered it."""

from __future__ import annotations

from pathlib import Path

from provenance.credentials import (
    FINGERPRINT_ALGORITHM,
    PIXEL_ALGORITHM,
    CredentialsCheck,
    Manifest,
    Signer,
    SoftBinding,
    Source,
    Trust,
    answers,
    fingerprint_of,
    read_manifest_store,
    sign_file,
    watermark_binding,
)
from provenance.evidence import CredentialsEvidence
from provenance.repository.repository import ManifestRepository

WATERMARK_ID = 0x8000000000000123


def test_an_id_leads_to_the_manifest_that_declares_it(clip: Path, signer: Signer, trust: Trust, tmp_path: Path) -> None:
    pointer, content = watermark_binding(PIXEL_ALGORITHM, WATERMARK_ID), SoftBinding(FINGERPRINT_ALGORITHM, b"\7" * 40)
    parent = Source(clip, "clip.mp4", "video/mp4")
    manifest = Manifest("clip.mp4", "video/mp4", "captured", parent=parent, soft_bindings=(pointer, content))
    signed = sign_file(clip, tmp_path / "out.mp4", manifest, signer)
    repository = ManifestRepository(tmp_path / "manifests.db")
    repository.store(signed.manifest_id, signed.manifest_bytes, [(pointer.algorithm, pointer.value)])

    (found,) = repository.find_by_binding(pointer.algorithm, pointer.value)
    (evidence,) = CredentialsCheck(trust).examine_recovered(found.content)
    assert isinstance(evidence, CredentialsEvidence)
    assert (evidence.status, evidence.manifest, evidence.origin) == ("recovered", signed.manifest_id, "captured")
    assert answers(evidence, pointer.algorithm, pointer.value)
    assert not answers(evidence, pointer.algorithm, bytes(8))
    assert not answers(evidence, "another.algorithm", pointer.value)


def test_a_manifest_filed_under_an_id_that_it_does_not_declare_does_not_answer(
    clip: Path, signer: Signer, trust: Trust, tmp_path: Path
) -> None:
    manifest = Manifest("clip.mp4", "video/mp4", "captured", parent=Source(clip, "clip.mp4", "video/mp4"))
    signed = sign_file(clip, tmp_path / "out.mp4", manifest, signer)
    repository = ManifestRepository(tmp_path / "manifests.db")
    value = WATERMARK_ID.to_bytes(8, "big")
    repository.store(signed.manifest_id, signed.manifest_bytes, [(PIXEL_ALGORITHM, value)])
    (found,) = repository.find_by_binding(PIXEL_ALGORITHM, value)
    (evidence,) = CredentialsCheck(trust).examine_recovered(found.content)
    assert isinstance(evidence, CredentialsEvidence)
    assert evidence.is_authentic
    assert not answers(evidence, PIXEL_ALGORITHM, value)


def test_the_fingerprint_of_a_manifest_comes_back_whole(clip: Path, signer: Signer, tmp_path: Path) -> None:
    content = bytes(range(256)) * 80  # as for ten minutes
    parent = Source(clip, "clip.mp4", "video/mp4")
    bindings = (watermark_binding(PIXEL_ALGORITHM, 1), SoftBinding(FINGERPRINT_ALGORITHM, content))
    manifest = Manifest("clip.mp4", "video/mp4", "captured", parent=parent, soft_bindings=bindings)
    store = read_manifest_store(sign_file(clip, tmp_path / "out.mp4", manifest, signer).path)
    assert store is not None
    assert fingerprint_of(store) == content
