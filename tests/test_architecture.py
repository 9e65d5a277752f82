"""The layers: imports point down only (docs/architecture.md)."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {
    "provenance": {"provenance"},
    "generator": {"generator", "provenance"},
    "detectors": {"detectors", "provenance"},
    "benchmarks": {"benchmarks", "generator", "detectors", "provenance"},
    "countermark": {"countermark", "benchmarks", "generator", "detectors", "provenance"},
}
FORBIDDEN_NAMES = {"utils", "helpers", "common", "core", "misc"}
FILES = [path for package in MAY_IMPORT for path in sorted((ROOT / package).rglob("*.py"))]


def imported_modules(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            beside = path.relative_to(ROOT).parts[: -node.level] if node.level else ()
            names.add(".".join([*beside, *([node.module] if node.module else [])]))
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down_only(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    ours = {name.split(".")[0] for name in imported_modules(path)} & set(MAY_IMPORT)
    assert ours <= MAY_IMPORT[package]


def test_only_the_sdk_module_imports_c2pa() -> None:
    users = {
        str(path.relative_to(ROOT)) for path in FILES if "c2pa" in {n.split(".")[0] for n in imported_modules(path)}
    }
    assert users <= {"provenance/credentials/sdk.py"}


def test_the_sampler_does_not_know_the_watermark_nor_the_watermark_the_generator() -> None:
    readers = (ROOT / "provenance/watermarks").glob("*.py")
    assert not {"generator"} & {name.split(".")[0] for path in readers for name in imported_modules(path)}
    samplers = [path for path in (ROOT / "generator").glob("*.py") if path.name != "marked.py"]
    assert not [p for p in samplers if any(n.startswith("provenance.watermarks") for n in imported_modules(p))]


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert not [path for path in FILES if path.stem in FORBIDDEN_NAMES or path.parent.name in FORBIDDEN_NAMES]


@pytest.mark.parametrize("module", ["countermark", "countermark.cli", "provenance.verify", "provenance.evidence"])
def test_torch_is_not_imported_by(module: str) -> None:
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
