"""What stands on a terminal afterwards, whatever the files are called and however narrow it is."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import termios
from fcntl import ioctl
from pathlib import Path

import pytest

PROGRAM = """
from countermark.cli import main, session

session.PROGRESS_AFTER_SECONDS = 0.0
main()
"""


def on_a_terminal(*arguments: object, columns: int = 80, **environment: str) -> str:
    """Run the command line with a terminal for both outputs and progress bars from the start; return what it wrote,
    escapes and all.
    """
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    command = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": str(columns), **environment},
    )
    os.close(theirs)
    written = b""
    try:
        while piece := os.read(ours, 65536):
            written += piece
    except OSError:  # how a terminal says that nobody writes to it any more
        pass
    finally:
        os.close(ours)
        process.wait()
    return written.decode()


def left_on_screen(written: str) -> list[str]:
    """Play what was written and return the lines that are left."""
    lines = [""]
    for part in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\n|[^\x1b\r\n]+", written):
        if part == "\n":
            lines.append("")
        elif part == "\x1b[2K":
            lines[-1] = ""
        elif part.startswith("\x1b[") and part.endswith("A"):
            del lines[-int(part[2:-1] or 1) :]
        elif not part.startswith("\x1b"):
            lines[-1] += part
    return [line.rstrip() for line in lines]


@pytest.mark.parametrize("workers", [1, 2])
def test_no_progress_bar_is_left_behind(plain_clip: Path, tmp_path: Path, workers: int) -> None:
    for name in ("a.mp4", "b.mp4"):
        shutil.copy(plain_clip, tmp_path / name)
    written = on_a_terminal("verify", "--checks", "pixel-watermark", "--workers", workers, tmp_path)
    screen = left_on_screen(written)
    assert sum("NO EVIDENCE" in line for line in screen) == 2
    assert not [line for line in screen if "━" in line]
    assert "━" in written


def test_a_terminal_of_forty_columns_cuts_no_word(plain_clip: Path) -> None:
    for arguments in (["verify", "--checks", "credentials", plain_clip], ["attack", "--list"]):
        screen = left_on_screen(on_a_terminal(*arguments, columns=40))
        report = [line for line in screen if "trust update" not in line]
        assert max(map(len, report[1:])) <= 40
        assert not [line for line in report if line.endswith("…")]


def test_no_color_is_none(plain_clip: Path) -> None:
    for arguments in (["verify", "--checks", "credentials", plain_clip], ["doctor"]):
        written = on_a_terminal(*arguments, NO_COLOR="1")
        colours = {code for found in re.findall(r"\x1b\[([0-9;]*)m", written) for code in found.split(";")}
        assert colours <= {"", "0", "1", "2", "7"}


def test_the_help_of_a_group_cuts_no_sentence(call) -> None:
    said = call("--help").stdout
    assert "..." not in said.partition("Commands:")[2]


@pytest.mark.parametrize("name", ["new\nline.mp4", "مقطع.mp4", "视频.mp4", "🎬 [red]clip[red].mp4", "\x1b[31mred.mp4"])
def test_a_name_is_shown_on_one_line_and_kept_in_the_json(call, name: str, plain_clip: Path, tmp_path: Path) -> None:
    shutil.copy(plain_clip, tmp_path / name)
    shown = call("verify", "--checks", "credentials", name).stdout.splitlines()[0]
    assert shown == f"{name.replace(chr(10), ' ').replace(chr(27), '')}  NO EVIDENCE"
    assert json.loads(call("verify", "--json", "--checks", "credentials", name).stdout)["file"] == name


def test_a_name_that_begins_with_a_dash(call, plain_clip: Path, tmp_path: Path) -> None:
    shutil.copy(plain_clip, tmp_path / "-dash.mp4")
    refused = call("verify", "-dash.mp4")
    assert refused.returncode == 2
    assert "./-dash.mp4" in refused.stderr
    for arguments in (["./-dash.mp4"], ["--", "-dash.mp4"]):
        assert call("verify", "--checks", "credentials", *arguments).returncode == 0


def test_two_inputs_of_one_basename_get_a_template_as_way_out(call, plain_clip: Path, tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        shutil.copy(plain_clip, tmp_path / folder / "a.mp4")
    refused = call("sign", "x/a.mp4", "y/a.mp4", "-o", "out/")
    assert refused.returncode == 2
    template = re.search(r"'(.+?)'", refused.stderr.splitlines()[1])
    assert template is not None
    assert call("sign", "--no-watermark", "x/a.mp4", "y/a.mp4", "-o", template[1]).returncode == 0
    assert (tmp_path / "x/a.signed.mp4").exists()
    assert (tmp_path / "y/a.signed.mp4").exists()


def test_quiet_twice_is_quiet_and_findings_still_stand(call, plain_clip: Path) -> None:
    done = call("-q", "verify", "-q", "--checks", "credentials", plain_clip)
    assert done.returncode == 0
    assert done.stderr == ""
    assert "NO EVIDENCE" in done.stdout
