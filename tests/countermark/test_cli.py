"""The command line as a whole: fast, quiet where asked, one line per error, never a traceback."""

from __future__ import annotations

import inspect
import io
import os
import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from countermark.benches import BENCHES
from countermark.cli import run
from countermark.cli.bench import OPTIONS
from countermark.cli.session import Session


def test_help_appears_at_once() -> None:
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


def child(*arguments: object, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """Run the command line in a process of its own, whose streams are real."""
    command = [sys.executable, "-m", "countermark", *map(str, arguments)]
    return subprocess.run(command, **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}, check=False)


class TestStandardOutput:
    @pytest.mark.parametrize("arguments", [["keys", "list"], ["attack", "--list"], ["--help"]], ids=" ".join)
    def test_a_reader_that_goes_away_is_no_error(self, arguments: list[str]) -> None:
        read, write = os.pipe()
        os.close(read)
        done = child(*arguments, stdout=write)
        os.close(write)
        assert done.returncode == 141, "128 + SIGPIPE, and no failed expectation"
        assert done.stderr == b""

    @pytest.mark.parametrize("arguments", [["nonsense"], ["keys", "get", "x"], ["keys", "new", "press"]], ids=" ".join)
    def test_standard_error_may_go_away_with_it(self, arguments: list[str]) -> None:
        read, write = os.pipe()
        os.close(read)
        assert child(*arguments, stdout=write, stderr=write).returncode == 141
        os.close(write)

    def test_a_full_disk_is_said(self) -> None:
        with open("/dev/full", "wb") as full:
            done = child("keys", "list", stdout=full)
        assert done.returncode == 3
        assert done.stderr.splitlines()[0].startswith(b"error: standard output: cannot be written")
        assert done.stderr.splitlines()[1:] == [b"hint: is the disk full?"]

    def test_what_an_encoding_does_not_have_is_shown_as_a_question_mark(self) -> None:
        done = child("attack", "--list", env={**os.environ, "PYTHONIOENCODING": "ascii"})
        assert done.returncode == 0, done.stderr
        assert b"?" in done.stdout

    def test_a_closed_one_is_none_of_our_business(self) -> None:
        done = child("keys", "list", preexec_fn=lambda: os.close(1))
        assert done.returncode == 0, done.stderr


def test_a_progress_bar_shows_a_name_and_obeys_none(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("countermark.cli.session.PROGRESS_AFTER_SECONDS", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    with Session().progress("[/red]evil\x1b]0;title\x07.mp4") as advance:
        advance(0.5, "(1 of 2)")
    assert "[/red]evil]0;title.mp4" in terminal.getvalue()
    assert "\x1b]0" not in terminal.getvalue()


class TestEnvironment:
    def test_a_home_of_nobody_is_wrong_usage_and_help_does_not_need_it(
        self, call, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COUNTERMARK_HOME", "~nosuchuser/x")
        done = call("keys", "list")
        assert done.returncode == 2
        assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["error", "hint"]
        assert "COUNTERMARK_HOME=~nosuchuser/x" in done.stderr
        assert call("keys", "--help").returncode == 0

    @pytest.mark.parametrize(
        "arguments",
        [
            ["keys", "new", "press"],
            ["certs", "new"],
            ["certs", "renew"],
            ["sign", "a.mp4", "-o", "b.mp4"],
            ["trust", "add", "own.pem"],
        ],
        ids=" ".join,
    )
    def test_a_home_that_cannot_be_made_is_named_in_one_line(
        self, call, arguments: list[str], tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        call("certs", "new")
        authority = (own_home / "authority/authority.pem").read_text()
        (tmp_path / "own.pem").write_text(authority[authority.index("-----BEGIN CERTIFICATE") :])
        monkeypatch.setenv("COUNTERMARK_HOME", "/proc/nowhere")
        done = call(*arguments)
        assert done.returncode == 3
        assert [line.split(":")[0] for line in done.stderr.splitlines()] == ["error", "hint"]
        assert "error: /proc/nowhere" in done.stderr


class TestBench:
    @pytest.mark.parametrize(("name", "option"), [("latent", "--suite"), ("speed", "--seed"), ("media", "--suite")])
    def test_an_option_that_would_change_nothing_is_refused(self, call, name: str, option: str, tmp_path: Path) -> None:
        done = call("bench", name, option, "1", "--out", "rows")
        assert done.returncode == 2
        assert f"error: bench {name}: takes no {option}" in done.stderr
        assert "--out" in done.stderr.splitlines()[1]
        assert not (tmp_path / "rows").exists()

    @pytest.mark.parametrize("name", ["speed", "false-alarms", "forgery"])
    def test_a_part_that_it_does_not_have_is_named(self, call, name: str) -> None:
        done = call("bench", name, "--only", "nothing", "--out", "rows")
        assert done.returncode == 2
        assert "called 'nothing'" in done.stderr

    def test_bits_are_those_of_a_message_of_ones_own(self, call) -> None:
        lines = ("--embed", "a {in} {out} {message}", "--read", "b {file}")
        assert "--embed" in call("bench", "watermarks", "--bits", "32", "--out", "rows").stderr
        assert "34 bits" in call("bench", "watermarks", *lines, "--bits", "34", "--out", "rows").stderr

    @pytest.mark.parametrize("spelled", ["0", "9-8", "many", "8-"])
    def test_lines_are_a_number_or_two(self, call, spelled: str) -> None:
        done = call("bench", "watermarks", "--lines", spelled, "--out", "rows")
        assert done.returncode == 2
        assert spelled in done.stderr

    @pytest.mark.parametrize("name", BENCHES)
    def test_what_an_experiment_takes_is_what_it_reads(self, name: str) -> None:
        read = set(re.findall(r"\boptions\.(\w+)", inspect.getsource(BENCHES[name].run)))
        assert read - {"settings", "out", "progress"} == BENCHES[name].takes

    def test_every_option_is_known_to_some_experiment(self) -> None:
        assert set(OPTIONS) == {option for one in BENCHES.values() for option in one.options}


@pytest.mark.parametrize("arguments", [["bench", "speed"], ["attack", "a.mp4", "-o", "b.mp4", "--with", "strip"]])
def test_a_seed_is_no_negative_number(call, arguments: list[str]) -> None:
    done = call(*arguments, "--seed", "-1")
    assert done.returncode == 2
    assert "'--seed': -1" in done.stderr


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

    def test_a_folder_that_takes_no_key_is_said(self, call) -> None:
        call("keys", "new", "press")
        for target in ("/proc/press.key", "no/such/press.key"):
            done = call("keys", "export", "press", "-o", target)
            assert done.returncode == 3
            assert f"error: {target}: cannot write there" in done.stderr

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

    def test_request_and_key_are_two_files_and_the_one_that_fails_is_named(self, call, tmp_path: Path) -> None:
        same = call("certs", "request", "-o", "same.csr", "--key", "same.csr", "--name", "Press desk")
        assert same.returncode == 2
        assert "two outputs" in same.stderr
        for output, key, refused in (("r.csr", "/proc/k.pem", "/proc/k.pem"), ("/proc/r.csr", "k.pem", "/proc/r.csr")):
            done = call("certs", "request", "-o", output, "--key", key, "--name", "Press desk")
            assert done.returncode == 3
            assert f"error: {refused}: " in done.stderr
        assert list(tmp_path.iterdir()) == []


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
