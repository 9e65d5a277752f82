"""The command line as a whole: fast, quiet where asked, one line per error, never a traceback."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from countermark.cli import run


def test_help_appears_at_once_and_imports_nothing_heavy() -> None:
    heavy = "{'torch','av','cv2','numpy','rich','c2pa','sqlalchemy','scipy','matplotlib'}"
    code = f"import sys, countermark.cli; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    done = subprocess.run([sys.executable, "-m", "countermark", "--help"], capture_output=True, check=True)
    assert b"verify" in done.stdout
    bare = _processor_seconds("-c", "import click, logging, pathlib, subprocess")
    assert _processor_seconds("-m", "countermark", "--help") < 2 * bare + 0.1  # 0.3 s on an idle machine


def _processor_seconds(*arguments: str) -> float:
    """Least processor time of three runs: what else the machine does counts for little."""
    spent = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *arguments], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(spent)


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["verify"],
        ["keys", "new"],
        ["attack", "a.mp4", "-o", "b.mp4"],
        ["keys", "new", "Not A Name"],
        ["attack", "a.mp4", "-o", "b.mp4", "--with", "melt"],
    ],
)
def test_wrong_usage_leaves_with_2_an_error_line_and_a_hint(call, arguments: list[str]) -> None:
    done = call(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("error: ")
    assert lines[1].startswith("hint: ")


def test_a_misspelled_attack_gets_its_nearest_name(call) -> None:
    assert "x264" in call("attack", "a.mp4", "-o", "b.mp4", "--with", "x246:23").stderr


def test_debug_shows_where_an_error_happened_and_nothing_else_does(call) -> None:
    assert "Traceback" not in call("keys", "export", "absent", "-o", "x.key").stderr
    assert "Traceback" in call("--debug", "keys", "export", "absent", "-o", "x.key").stderr
    assert "Traceback" in call("keys", "export", "absent", "-o", "x.key", "--debug").stderr


def test_a_defect_is_one_line_too(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(_: object) -> None:
        raise ZeroDivisionError("division\nby zero")

    monkeypatch.setattr("countermark.wiring.key_ring", broken)
    assert run(["keys", "list"]) == 3
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "error: a defect of Countermark: ZeroDivisionError: division by zero"
    assert said[1].startswith("hint: ")


def test_a_reader_that_goes_away_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "countermark", "keys", "list"]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert "Traceback" not in done.stderr
    assert "error" not in done.stderr


class TestKeys:
    def test_a_key_is_made_listed_exported_and_imported(self, call, tmp_path: Path, own_home: Path) -> None:
        assert call("keys", "new", "press").returncode == 0
        assert call("keys", "list").stdout.split() == ["public", "press"]
        assert call("keys", "export", "press", "-o", "out/press.key").returncode == 0
        exported = tmp_path / "out" / "press.key"
        assert exported.stat().st_mode & 0o777 == 0o600
        assert call("keys", "import", "copy", exported).returncode == 0
        assert (own_home / "keys/copy.key").read_text() == (own_home / "keys/press.key").read_text()

    def test_exporting_overwrites_only_with_force(self, call, tmp_path: Path) -> None:
        call("keys", "new", "press")
        (tmp_path / "press.key").write_text("mine")
        assert call("keys", "export", "press", "-o", "press.key").returncode == 2
        assert (tmp_path / "press.key").read_text() == "mine"
        assert call("keys", "export", "press", "-o", "press.key", "--force").returncode == 0

    def test_a_rotated_key_goes_on_reading_under_another_name(self, call, own_home: Path) -> None:
        call("keys", "new", "press")
        before = (own_home / "keys/press.key").read_text()
        assert call("keys", "rotate", "press").returncode == 0
        assert (own_home / "keys/press-1.key").read_text() == before
        assert (own_home / "keys/press.key").read_text() != before

    def test_secrets_never_appear_on_the_terminal(self, call, own_home: Path) -> None:
        said = call("keys", "new", "press", "-v")
        secret = (own_home / "keys/press.key").read_text().split()[-1]
        listed = call("keys", "list", "-v", "--debug")
        assert not any(secret in text for text in (said.stdout, said.stderr, listed.stdout, listed.stderr))


class TestCertificates:
    def test_first_use_says_where_the_authority_stands_and_that_nobody_knows_it(self, call, own_home: Path) -> None:
        done = call("certs", "new")
        assert done.returncode == 0
        assert str(own_home / "authority") in done.stderr
        assert "nobody else knows" in done.stderr
        assert "Back the folder up" in done.stderr
        assert call("certs", "new").stderr == ""

    def test_renewing_replaces_the_signer_and_keeps_the_authority(self, call, own_home: Path) -> None:
        call("certs", "new")
        authority = (own_home / "authority/authority.pem").read_bytes()
        signer = (own_home / "authority/signer.pem").read_bytes()
        assert call("certs", "renew").returncode == 0
        assert (own_home / "authority/authority.pem").read_bytes() == authority
        assert (own_home / "authority/signer.pem").read_bytes() != signer

    def test_a_request_carries_the_name_and_the_claim_signing_purpose(self, call, tmp_path: Path) -> None:
        from cryptography import x509

        from provenance.credentials.trust import CLAIM_SIGNING

        assert call("certs", "request", "-o", "r.csr", "--key", "r.key", "--name", "Press desk").returncode == 0
        request = x509.load_pem_x509_csr((tmp_path / "r.csr").read_bytes())
        assert "Press desk" in request.subject.rfc4514_string()
        assert CLAIM_SIGNING in request.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert (tmp_path / "r.key").stat().st_mode & 0o777 == 0o600


class TestTrust:
    def test_without_public_lists_the_way_to_them_is_said(self, call) -> None:
        done = call("trust", "list")
        assert done.returncode == 0
        assert "trust update" in done.stderr

    def test_lists_come_from_a_folder_all_or_nothing(self, call, tmp_path: Path, own_home: Path) -> None:
        call("certs", "new")
        lists = tmp_path / "lists"
        lists.mkdir()
        authority = (own_home / "authority/authority.pem").read_text()
        certificate = authority[authority.index("-----BEGIN CERTIFICATE") :]
        (lists / "c2pa-signers.pem").write_text(certificate)
        (lists / "c2pa-tsa.pem").write_text("no certificate")
        assert call("trust", "update", "--from", lists).returncode == 3
        assert not (own_home / "trust").exists()
        (lists / "c2pa-tsa.pem").write_text(certificate)
        assert call("trust", "update", "--from", lists).returncode == 0
        assert "official" in call("trust", "list").stdout

    def test_without_a_network_update_says_so_and_changes_nothing(self, call, own_home: Path) -> None:
        from countermark.trust_lists import fetch_lists
        from provenance.errors import CannotRead

        with pytest.raises(CannotRead, match="cannot be fetched"):
            fetch_lists({"c2pa-signers.pem": "https://192.0.2.1/list.pem"})
        with pytest.raises(CannotRead, match="only https"):
            fetch_lists({"c2pa-signers.pem": "http://127.0.0.1/list.pem"})
        assert not (own_home / "trust").exists()


class TestDoctor:
    def test_it_makes_nothing_and_finds_the_packages(self, call, own_home: Path) -> None:
        done = call("doctor")
        assert done.returncode == 0, done.stderr
        assert "c2pa-python" in done.stdout
        assert not own_home.exists()

    def test_a_key_that_others_can_read_is_bad(self, call, own_home: Path) -> None:
        call("keys", "new", "press")
        (own_home / "keys/press.key").chmod(0o644)
        done = call("doctor")
        assert done.returncode == 3
        assert "chmod 600" in done.stderr


class TestAttack:
    def test_a_clip_goes_through_a_chain(self, call, plain_clip: Path, tmp_path: Path) -> None:
        from provenance.video import Video

        done = call("attack", plain_clip, "-o", "hurt.mp4", "--with", "resize:.5+x264:40")
        assert done.returncode == 0, done.stderr
        assert Video(tmp_path / "hurt.mp4").info.width == 320

    def test_it_never_overwrites_its_input(self, call, plain_clip: Path) -> None:
        before = plain_clip.read_bytes()
        assert call("attack", plain_clip, "-o", plain_clip, "--with", "strip", "--force").returncode == 2
        assert plain_clip.read_bytes() == before
