"""When a manifest was signed: claimed by its signer, or vouched for by an authority on the right list."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provenance.credentials import CredentialsCheck, Manifest, Signer, Source, Trust, TrustList, sign_file
from provenance.evidence import CredentialsEvidence

Authority = Any  # conftest.Authority
TimeStamps = tuple[Any, str]
CLAIMED = dt.datetime(2024, 5, 6, 7, 8, 9, tzinfo=dt.UTC)


def captured(clip: Path) -> Manifest:
    return Manifest("clip.mp4", "video/mp4", "captured", parent=Source(clip, "clip.mp4", "video/mp4"), when=CLAIMED)


def evidence_of(path: Path, trust: Trust, at: dt.datetime | None = None) -> CredentialsEvidence:
    (evidence,) = CredentialsCheck(trust, at).examine(path)
    assert isinstance(evidence, CredentialsEvidence)
    assert evidence.status == "intact"
    return evidence


def test_without_a_time_stamp_the_time_is_only_claimed(
    clip: Path, signer: Signer, trust: Trust, tmp_path: Path
) -> None:
    evidence = evidence_of(sign_file(clip, tmp_path / "out.mp4", captured(clip), signer).path, trust)
    assert (evidence.time, evidence.time_trusted) == ("2024-05-06T07:08:09Z", False)


def test_a_time_stamp_counts_when_its_authority_is_on_the_time_stamp_list_and_only_then(
    clip: Path, signer: Signer, root: Authority, time_stamps: TimeStamps, tmp_path: Path
) -> None:
    answering, anchor = time_stamps
    path = sign_file(clip, tmp_path / "out.mp4", captured(clip), signer, tsa_url=answering.url).path
    listed = evidence_of(path, Trust((TrustList("own", "e", root.pem),), tsa_pem=anchor))
    assert listed.time_trusted
    assert listed.time is not None
    assert abs(dt.datetime.fromisoformat(listed.time) - dt.datetime.now(dt.UTC)) < dt.timedelta(seconds=30)
    unlisted = evidence_of(path, Trust((TrustList("own", "e", root.pem),)))
    assert not unlisted.time_trusted
    assert unlisted.reason is not None
    assert "time stamp" in unlisted.reason
    on_the_wrong_list = evidence_of(path, Trust((TrustList("own", "e", root.pem + anchor),)))
    assert not on_the_wrong_list.time_trusted


def test_a_time_stamp_keeps_an_expired_signer_trusted(
    clip: Path, root: Authority, time_stamps: TimeStamps, tmp_path: Path
) -> None:
    answering, anchor = time_stamps

    def sign(short: Signer) -> Path:
        return sign_file(clip, tmp_path / "out.mp4", captured(clip), short, tsa_url=answering.url, force=True).path

    path = root.outlived_by(sign)
    own = TrustList("own", "e", root.pem)
    trust_of = [evidence_of(path, trust).signer.trust for trust in (Trust((own,), anchor), Trust((own,)))]  # type: ignore[union-attr]
    assert trust_of == ["own", "expired"]


@pytest.mark.parametrize("name", ["A TSA", "A TSA, trust list: countermark:tsa:0123456789abcdef"])
def test_old_claims_get_no_trusted_time_from_an_authority_on_no_list(
    clip: Path,
    root: Authority,
    stranger: Authority,
    tmp_path: Path,
    make_tsa: Callable[..., Any],
    name: str,
) -> None:
    class Old(Manifest):
        def definition(self) -> dict[str, Any]:
            return super().definition() | {"claim_version": 1}

    manifest = Old("clip.mp4", "video/mp4", "captured", parent=Source(clip, "clip.mp4", "video/mp4"))
    with make_tsa(stranger, name) as answering:
        path = sign_file(clip, tmp_path / "out.mp4", manifest, root.signer(), tsa_url=answering.url).path
    (evidence,) = CredentialsCheck(Trust((TrustList("own", "e", root.pem),))).examine(path)
    assert isinstance(evidence, CredentialsEvidence)
    assert evidence.time is not None
    assert not evidence.time_trusted
