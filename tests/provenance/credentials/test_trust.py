"""Lists of signers: read from a folder, kept apart, replaced all or nothing."""

from __future__ import annotations

import datetime as dt
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from provenance.credentials import (
    Trust,
    TrustList,
    add_own_anchor,
    install_lists,
    load_trust,
    own_anchors,
    trust_folder,
)
from provenance.credentials.sdk import read_manifest_store
from provenance.errors import CannotRead, CredentialError

Authority = Any  # conftest.Authority
NOW = dt.datetime.now(dt.UTC)


def public_lists() -> Path:
    folder = os.environ.get("COUNTERMARK_PUBLIC_TRUST")
    candidates = [Path(folder)] if folder else [Path(__file__).parents[4] / "shared" / "trust"]
    found = next((one for one in candidates if (one / "c2pa-signers.pem").is_file()), None)
    if found is None:
        pytest.skip("the public C2PA trust lists are not here (COUNTERMARK_PUBLIC_TRUST names their folder)")
    return found


def leaf(signer: Any) -> x509.Certificate:
    return x509.load_pem_x509_certificates(signer.certificates_pem.encode())[0]


def test_the_public_lists_are_read_and_named_by_edition() -> None:
    trust = load_trust(public_lists())
    assert [one.name for one in trust.lists] == ["official", "older"]
    assert trust.editions()["official"] == "C2PA trust list of 2026-08-05"
    assert trust.has_public_lists
    assert "1.3.6.1.4.1.62558.2.1" in trust.key_usages.split()


def test_the_kit_takes_the_public_lists(clip: Path) -> None:
    assert read_manifest_store(clip, trust=load_trust(public_lists()).settings()) is None


def test_signers_of_the_frozen_list_count_as_older_in_their_time() -> None:
    trust = load_trust(public_lists())
    older = next(one for one in trust.lists if one.name == "older")
    signers = x509.load_pem_x509_certificates(older.signers_pem.encode())
    said = [trust.vouch([one], one.not_valid_before_utc + dt.timedelta(days=1)).trust for one in signers]
    assert said.count("older") >= 100
    assert {trust.vouch([one], one.not_valid_after_utc + dt.timedelta(days=1)).trust for one in signers} <= {
        "expired",
        "wrong_purpose",
    }


def test_time_stamp_authorities_are_never_signers() -> None:
    trust = load_trust(public_lists())
    for authority in x509.load_pem_x509_certificates(trust.tsa_pem.encode()):
        assert trust.vouch([authority], NOW).trust in ("wrong_purpose", "unknown")


def test_without_lists_only_our_own_counts_and_it_says_so(root: Authority, tmp_path: Path) -> None:
    trust = load_trust(tmp_path / "none", root.pem)
    assert not trust.has_public_lists
    assert [one.name for one in trust.lists] == ["own"]
    assert trust.vouch([leaf(root.signer())], NOW).trust == "own"
    assert load_trust(None).vouch([leaf(root.signer())], NOW).trust == "unknown"


def test_trust_travels_to_a_worker(root: Authority) -> None:
    trust = Trust((TrustList("own", "e", root.pem),))
    assert pickle.loads(pickle.dumps(trust)) == trust


def test_an_authority_cannot_sign_claims_itself(root: Authority) -> None:
    assert Trust((TrustList("own", "e", root.pem),)).vouch([root.certificate], NOW).trust == "wrong_purpose"


def test_a_signer_cannot_issue_signers(root: Authority, issue: Any) -> None:
    from cryptography.hazmat.primitives.asymmetric import ec

    key, below_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    above = issue("Leaf", key, root.name, root.key)
    below = issue("Below", below_key, "Leaf", key)
    assert Trust((TrustList("own", "e", root.pem),)).vouch([below, above], NOW).trust == "unknown"


@pytest.mark.parametrize(
    "purposes",
    [
        (ExtendedKeyUsageOID.SERVER_AUTH,),
        (ExtendedKeyUsageOID.OCSP_SIGNING,),
        (ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE, ExtendedKeyUsageOID.EMAIL_PROTECTION),
    ],
)
def test_other_purposes_are_wrong(root: Authority, purposes: tuple[x509.ObjectIdentifier, ...]) -> None:
    signer = root.signer(purposes=purposes)
    assert Trust((TrustList("own", "e", root.pem),)).vouch([leaf(signer)], NOW).trust == "wrong_purpose"


def test_lists_with_comments_between_certificates_are_read(root: Authority, tmp_path: Path) -> None:
    (tmp_path / "c2pa-signers.pem").write_text(f"Subject CN=somebody\n{root.pem}\n# and a remark\n{root.pem}")
    assert load_trust(tmp_path).vouch([leaf(root.signer())], NOW).trust == "official"


def test_a_damaged_list_is_an_error_and_not_an_empty_list(root: Authority, tmp_path: Path) -> None:
    (tmp_path / "c2pa-signers.pem").write_text(root.pem.replace("M", "?", 9))
    with pytest.raises(CredentialError):
        load_trust(tmp_path)


def test_lists_are_installed_all_or_nothing(root: Authority, stranger: Authority, tmp_path: Path) -> None:
    folder = tmp_path / "trust"
    assert install_lists({"c2pa-signers.pem": root.pem.encode()}, folder) == ("c2pa-signers.pem",)
    for bad in ({"c2pa-tsa.pem": b"<html>not found</html>"}, {"eku.cfg": b"no identifiers"}, {"../evil": b""}):
        with pytest.raises(CredentialError):
            install_lists({"c2pa-signers.pem": stranger.pem.encode(), **bad}, folder)
    assert load_trust(folder).vouch([leaf(root.signer())], NOW).trust == "official"
    assert sorted(path.name for path in folder.iterdir()) == ["c2pa-signers.pem"]


def test_one_s_own_anchors_are_added_from_files(root: Authority, tmp_path: Path) -> None:
    certificate = tmp_path / "friend.pem"
    certificate.write_text(root.pem)
    assert "Test Root" in add_own_anchor(certificate, tmp_path / "own")
    assert load_trust(None, own_anchors(tmp_path / "own")).vouch([leaf(root.signer())], NOW).trust == "own"
    with pytest.raises(CannotRead):
        add_own_anchor(tmp_path / "missing.pem", tmp_path / "own")
    certificate.write_text("no certificate")
    with pytest.raises(CredentialError):
        add_own_anchor(certificate, tmp_path / "own")


def test_the_environment_may_name_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert trust_folder(tmp_path) == tmp_path / "trust"
    monkeypatch.setenv("COUNTERMARK_TRUST", str(tmp_path / "elsewhere"))
    assert trust_folder(tmp_path) == tmp_path / "elsewhere"
