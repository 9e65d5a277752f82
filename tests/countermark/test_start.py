"""Starting is quick because little is imported: said by modules, not by the clock."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from countermark.checks import CHECKS, modules_of
from countermark.warming import worker_ahead
from provenance.sandbox.worker import warm_worker

LOOK = """
import json, sys

def loaded():
    return sorted({name.partition(".")[0] for name in sys.modules})

def main(arguments):
    from countermark.cli import run
    status = run(arguments)
    worker = sys.modules.get("provenance.sandbox.worker")
    theirs = worker.warm_worker().run(loaded) if worker and worker._warm else []
    print(json.dumps([status, loaded(), theirs]), file=sys.stderr)
"""
HEAVY = {"av", "cv2", "numpy", "torch", "scipy", "sklearn", "sqlalchemy", "cryptography", "c2pa", "rich", "jinja2"}


def modules_after(folder: Path, *arguments: str, **environment: str) -> tuple[set[str], set[str]]:
    """Run the command line afresh; return the modules of its process and those of its worker."""
    (folder / "look.py").write_text(LOOK)
    code = f"import look; look.main({list(arguments)!r})"
    paths = os.pathsep.join([str(folder), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": paths, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    status, ours, theirs = json.loads(done.stderr.splitlines()[-1])
    assert status == 0, done.stderr
    return set(ours), set(theirs)


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["verify", "--help"], ["--version"], ["bench", "--list"], ["completion", "fish"]],
    ids=" ".join,
)
def test_what_needs_no_file_imports_nothing_heavy(arguments: Sequence[str], tmp_path: Path) -> None:
    ours, _ = modules_after(tmp_path, *arguments)
    assert not ours & HEAVY


@pytest.mark.parametrize(
    ("line", "missing"),
    [("verify --checks ", HEAVY), ("verify --key ", HEAVY), ("attack --with ", HEAVY - {"av", "cv2", "numpy"})],
)
def test_completing_a_line_imports_little(line: str, missing: set[str], tmp_path: Path) -> None:
    asked = {"COMP_WORDS": f"countermark {line}", "COMP_CWORD": "3", "_COUNTERMARK_COMPLETE": "bash_complete"}
    ours, _ = modules_after(tmp_path, **asked)
    assert not ours & missing


def test_listing_keys_needs_neither_pictures_nor_databases(tmp_path: Path) -> None:
    ours, _ = modules_after(tmp_path, "keys", "list")
    assert not ours & (HEAVY - {"numpy", "cryptography"})


class TestVerify:
    def test_credentials_and_pixel_watermark_need_no_model(self, plain_clip: Path, tmp_path: Path) -> None:
        checks = "credentials,pixel-watermark"
        ours, theirs = modules_after(tmp_path, "verify", "--json", "--checks", checks, str(plain_clip))
        assert not ours & {"torch", "sklearn", "scipy", "matplotlib", "jinja2", "rich", "sqlalchemy"}
        assert "cv2" in theirs
        assert not theirs & {"torch", "sklearn", "matplotlib", "jinja2", "rich", "sqlalchemy"}

    def test_a_fingerprint_needs_no_database(self, plain_clip: Path, tmp_path: Path) -> None:
        _, theirs = modules_after(tmp_path, "verify", "--json", "--checks", "fingerprint", str(plain_clip))
        assert not theirs & {"torch", "sklearn", "sqlalchemy"}


class TestWorkerAhead:
    def test_it_is_ready_when_the_block_ends(self) -> None:
        warm_worker().kill()
        with worker_ahead(modules_of(["credentials"])):
            pass
        assert warm_worker().pid is not None
        with worker_ahead(["no.such.module"]):
            pid = warm_worker().pid
        assert warm_worker().pid == pid, "one that runs is left alone"

    def test_what_cannot_be_imported_is_left_to_whoever_needs_it(self) -> None:
        warm_worker().kill()
        with worker_ahead(["no.such.module"]):
            pass
        assert warm_worker().run(os.getpid) == warm_worker().pid

    def test_a_block_that_fails_ends_it(self) -> None:
        warm_worker().kill()
        with pytest.raises(ZeroDivisionError), worker_ahead(modules_of(CHECKS)):
            raise ZeroDivisionError
        assert warm_worker().pid is None

    def test_each_check_names_a_module_that_is_there(self) -> None:
        import importlib.util

        assert all(importlib.util.find_spec(name) for name in modules_of(CHECKS))
