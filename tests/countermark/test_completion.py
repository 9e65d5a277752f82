"""What a shell offers after the Tab key, asked as shells ask: by environment variables, in a process of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from benchmarks.attacks import ATTACKS
from benchmarks.suites import SUITES
from countermark.benches import BENCHES
from countermark.checks import CHECKS
from countermark.cli import completion
from countermark.cli import countermark as command_line
from countermark.cli.verify import FINDINGS
from countermark.wiring import MODELS
from provenance.video.encoding import Encoding

PROGRAM = [sys.executable, "-m", "countermark"]


def offered(*words: str) -> list[str]:
    """Return what is offered for the last word."""
    asked = {"COMP_WORDS": "\n".join(("countermark", *words)), "COMP_CWORD": str(len(words))}
    environment = {**os.environ, **asked, completion.VARIABLE: "bash_complete"}
    done = subprocess.run(PROGRAM, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return [line.partition(",")[2] for line in done.stdout.splitlines() if line.startswith("plain,")]


def offers_files(*words: str) -> bool:
    """Return whether the shell is told to offer files."""
    context = command_line.make_context("countermark", list(words[:1]), resilient_parsing=True)
    command = command_line.commands[words[0]]
    with click.Context(command, parent=context) as inner:
        parameter = next(one for one in command.params if words[1] in (one.name, *one.opts))
        return [item.type for item in parameter.shell_complete(inner, "a")] == ["file"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["ver"], ["verify"]),
        (["-v", "keys", "ro"], ["rotate"]),
        (["verify", "--ex"], ["--expect"]),
        (["verify", "--checks", "credentials,p"], ["credentials,pixel-watermark"]),
        (["verify", "--expect", "gen"], ["generated", "generated_in_part"]),
        (["verify", "--expect", "=", "mark"], ["marked"]),
        (["sign", "--origin", "cap"], ["captured"]),
        (["attack", "a.mp4", "--with", "strip+bright"], ["strip+brightness"]),
        (["attack", "a.mp4", "--with", "crop", ":", ".5+bright"], [".5+brightness"]),
        (["bench", "latent-n"], ["latent-noise"]),
        (["bench", "--suite", "st"], ["standard"]),
        (["generate", "fire", "--model", ""], list(MODELS)),
        (["completion", ""], list(completion.SHELLS)),
        (["verify", "--key", "p"], ["public", "press"]),
        (["keys", "rotate", ""], ["press"]),
    ],
    ids=" ".join,
)
def test_what_is_known_is_offered(words: list[str], expected: list[str], own_home: Path) -> None:
    (own_home / "keys").mkdir(parents=True)
    (own_home / "keys/press.key").write_text("whatever")
    assert offered(*words) == expected


@pytest.mark.parametrize("words", [("verify", "files"), ("verify", "--report"), ("verify", "--files-from")])
def test_elsewhere_the_shell_offers_files(words: tuple[str, str]) -> None:
    assert offers_files(*words)


def test_names_that_are_written_down_twice_are_the_same() -> None:
    assert completion.MODELS == MODELS
    assert tuple(SUITES) == completion.SUITES
    assert [Encoding(preset=name).preset for name in completion.PRESETS] == list(completion.PRESETS)
    assert all(Encoding(codec).encoder for codec in completion.CODECS)


def test_each_check_finding_experiment_and_attack_is_offered() -> None:
    assert offered("verify", "--checks", "") == list(CHECKS)
    assert offered("verify", "--expect", "") == list(FINDINGS)
    assert offered("bench", "") == list(BENCHES)
    assert offered("attack", "--with", "") == list(ATTACKS)


def test_a_home_of_nobody_offers_no_key_and_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERMARK_HOME", "~nosuchuser/x")
    assert offered("verify", "--key", "") == ["public"]


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_the_help_has_the_line_for_the_start_up_file(call, shell: str) -> None:
    done = call("completion", shell)
    assert done.returncode == 0
    assert completion.VARIABLE in done.stdout
    assert f"countermark completion {shell}" in call("completion", "--help").stdout


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_with_the_script(tmp_path: Path) -> None:
    program = tmp_path / "countermark"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m countermark "$@"\n')
    program.chmod(0o755)
    script = """
        eval "$(countermark completion bash)"
        complete -p countermark
        COMP_WORDS=(countermark verify --expect = gen) COMP_CWORD=4
        _countermark_completion countermark gen =
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    registered, *offered_here = done.stdout.splitlines()
    assert registered.endswith("-F _countermark_completion countermark")
    assert offered_here == ["generated", "generated_in_part"]
