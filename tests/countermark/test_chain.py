"""The one sentence, through the command line: signed, stripped, encoded again, and the way back is found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import countermark
from countermark.checks import CHECKS, CheckFactory, parse_names
from countermark.settings import Settings
from countermark.wiring import examiner
from provenance.errors import UnknownName
from provenance.evidence import WatermarkEvidence

SOME = ("--checks", "credentials,pixel-watermark,fingerprint")


@pytest.mark.slow
def test_a_signed_clip_is_found_again_after_it_lost_its_metadata(call, plain_clip: Path, tmp_path: Path) -> None:
    signed = call("sign", plain_clip, "-o", "signed.mp4", "--origin", "captured", "-v")
    assert signed.returncode == 0, signed.stderr
    assert "nobody else knows" in signed.stderr
    assert call("attack", "signed.mp4", "-o", "hurt.mp4", "--with", "strip+x264:28").returncode == 0

    done = call(
        "verify", "signed.mp4", "hurt.mp4", plain_clip, "--json", "--output", "r.jsonl", "--report", "r.html", *SOME
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "r.jsonl").read_text(encoding="utf-8") == done.stdout
    intact, hurt, plain = map(json.loads, done.stdout.splitlines())
    assert (intact["verdict"]["finding"], intact["verdict"]["grade"]) == ("captured", "established")
    assert (hurt["verdict"]["finding"], hurt["verdict"]["grade"]) == ("captured", "recovered")
    embedded, recovered = (row for row in hurt["evidence"] if row["check"] == "credentials")
    assert (embedded["status"], recovered["status"]) == ("absent", "recovered")
    watermark = next(row for row in hurt["evidence"] if row["check"] == "pixel-watermark")
    assert watermark["found"] is True
    assert watermark["key"] == "public"
    assert watermark["watermark_id"] in signed.stdout
    assert watermark["manifest"] == recovered["manifest"]
    assert watermark["content"] == "fits"
    assert not any(row.get("found") for row in plain["evidence"])
    assert "data:image/jpeg" in (tmp_path / "r.html").read_text(encoding="utf-8")

    again = call("verify", "signed.mp4", "hurt.mp4", plain_clip, "--json", "--workers", "2", *SOME)
    assert without_seconds(again.stdout) == without_seconds(done.stdout)

    wrong = call("verify", "hurt.mp4", "--expect", "generated", *SOME)
    assert wrong.returncode == 1
    assert "expected generated" in wrong.stderr


def without_seconds(lines: str) -> list[dict]:
    return [{key: value for key, value in json.loads(line).items() if key != "seconds"} for line in lines.splitlines()]


@pytest.mark.slow
def test_the_library_says_the_same_as_the_command(call, plain_clip: Path, own_home: Path) -> None:
    done = call("verify", plain_clip, "--json")
    report = countermark.verify(plain_clip, settings=Settings.from_environment())
    assert without_seconds(report.to_line()) == without_seconds(done.stdout)
    assert {row["check"] for row in report.to_json()["evidence"]} == set(CHECKS)


class TestChecks:
    def test_names_are_checked(self) -> None:
        assert parse_names(None) == CHECKS
        assert parse_names(" detectors,credentials,detectors ") == ("detectors", "credentials")
        with pytest.raises(UnknownName, match="detector"):
            parse_names("detector")

    def test_the_recipe_carries_no_master_key_and_no_repository(self, call, own_home: Path) -> None:
        import pickle

        call("keys", "new", "press")
        master = bytes.fromhex((own_home / "keys/press.key").read_text().split()[-1])
        recipe = pickle.dumps(examiner(Settings.from_environment()).make_checks)
        assert master not in recipe
        assert b"repository" not in recipe.lower()
        assert isinstance(pickle.loads(recipe), CheckFactory)

    def test_the_latent_watermark_is_never_looked_for_under_public(self, call) -> None:
        factory = examiner(Settings.from_environment(), checks=("latent-watermark",)).make_checks
        assert factory.latent == ()
        (check,) = factory()
        (evidence,) = check.evidence()
        assert isinstance(evidence, WatermarkEvidence)
        assert evidence.to_json() == {"check": "latent-watermark", "found": None, "reason": "no key"}

    def test_verifying_makes_no_folder_on_a_machine_without_one(self, call, own_home: Path) -> None:
        assert examiner(Settings.from_environment()).recover is None
        assert not own_home.exists()
