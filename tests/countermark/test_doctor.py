"""`doctor` says what is missing, what that costs, and the line that installs it; it changes nothing."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from countermark import diagnosis
from countermark.diagnosis import network_item
from provenance.errors import NeedsExtra
from provenance.parallel import pmap


@pytest.fixture
def found(call):
    """Call `doctor --json`; return its objects by what they are about."""

    def items() -> dict[str, dict[str, Any]]:
        done = call("doctor", "--json")
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        assert done.returncode == (3 if any(row["state"] == "bad" for row in rows) else 0), done.stderr
        return {row["what"]: row for row in rows}

    return items


def test_a_new_machine_is_in_order_and_stays_untouched(found, own_home: Path) -> None:
    items = found()
    assert "c2pa-python" in items["packages"]["found"]
    assert not [row for row in items.values() if row["state"] == "bad"]
    assert items["trust lists"]["advice"].startswith("countermark trust update")
    assert not own_home.exists()


def test_whatever_is_missing_says_its_cost_and_the_line_that_installs_it(found) -> None:
    optional = [row for row in found().values() if row["state"] == "note" and not row["is_needed"]]
    assert optional
    assert all(row["cost"] and row["advice"] for row in optional)


def test_without_ffmpeg_only_an_experiment_is_lost(found, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (empty := tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(empty))
    item = found()["FFmpeg's command line"]
    assert item["state"] == "note"
    assert "bench media" in item["cost"]
    assert item["advice"].endswith("install ffmpeg")


def test_the_line_that_installs_ray_is_one_that_a_shell_takes(found) -> None:
    item = found()["Ray"]
    if item["state"] == "good":
        pytest.skip("Ray is installed")
    python, *rest = shlex.split(item["advice"])
    assert python == sys.executable
    with pytest.raises(NeedsExtra) as caught:
        list(pmap(str, [1], ray_address="local"))
    assert rest == ["-m", *shlex.split(caught.value.hint)]


class TestWhatIsBroken:
    def test_a_key_that_others_can_read(self, call, found, own_home: Path) -> None:
        call("keys", "new", "press")
        call("keys", "new", "desk")
        (own_home / "keys/press.key").chmod(0o644)
        done = call("doctor")
        assert done.returncode == 3
        assert done.stderr.splitlines()[1].startswith("hint: chmod 600")
        assert "public, desk" in done.stdout, "the others are still named"

    def test_a_key_file_of_other_content(self, call, found, own_home: Path) -> None:
        call("keys", "new", "press")
        (own_home / "keys/press.key").write_text("nonsense")
        assert call("doctor").returncode == 3

    def test_a_home_that_is_a_file(self, found, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("COUNTERMARK_HOME", str(tmp_path / "file"))
        assert found()["data folder"]["state"] == "bad"

    def test_a_damaged_repository(self, found, own_home: Path) -> None:
        own_home.mkdir()
        (own_home / "manifests.sqlite").write_bytes(b"no database at all" * 100)
        assert found()["manifest repository"]["state"] == "bad"

    def test_a_damaged_trust_list(self, found, own_home: Path) -> None:
        (own_home / "trust").mkdir(parents=True)
        (own_home / "trust/c2pa-signers.pem").write_text("-----BEGIN CERTIFICATE-----\nnonsense")
        item = found()["trust lists"]
        assert item["state"] == "bad"
        assert "trust update" in item["advice"]

    def test_a_library_that_cannot_be_imported_is_a_finding_and_no_defect(self, tmp_path: Path) -> None:
        (tmp_path / "av.py").write_text("raise ImportError('libavcodec.so.62: no such file', name='av')")
        code = "import sys; sys.path.insert(0, '.'); from countermark.cli import main; main(['doctor'])"
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 3
        assert "libavcodec.so.62" in done.stdout
        assert "error: encoders: " in done.stderr
        assert "defect" not in done.stderr


class TestTheWorkersNetwork:
    def test_a_worker_with_nothing_but_a_loop_is_shut_off(self) -> None:
        assert network_item([]).state == network_item(["lo"]).state == "good"

    @pytest.mark.skipif(sys.platform != "linux", reason="the kernel's settings are Linux's")
    def test_the_setting_that_forbids_it_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "user").mkdir()
        (tmp_path / "user/max_user_namespaces").write_text("0\n")
        item = network_item(["lo", "eth0"], tmp_path)
        assert (item.state, item.found) == ("note", "starts, and still sees eth0")
        assert item.advice == "sudo sysctl -w user.max_user_namespaces=1024"
        (tmp_path / "user/max_user_namespaces").write_text("100000\n")
        assert "container" in network_item(["eth0"], tmp_path).advice


def test_a_full_disk_is_said(found, monkeypatch: pytest.MonkeyPatch) -> None:
    assert found()["disk"]["state"] == "good"
    monkeypatch.setattr(diagnosis, "FREE_DISK_BYTES", 1 << 60)
    assert found()["disk"]["state"] == "note"


def test_a_narrow_terminal_loses_nothing(call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("countermark.cli.session.PIPE_COLUMNS", 40)
    done = call("doctor")
    assert max(map(len, done.stdout.splitlines())) <= 40
    assert "…" not in done.stdout
