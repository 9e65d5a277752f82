"""Interruption and limits: whatever happens to a call or hides in a file, it ends with its line and its exit status.

Nothing half-written is ever found under the name of an output, nothing stays in folders for temporary files, and the
memory of the worker is bounded. Files are real and small, processes are real and are really ended.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from provenance.sandbox.worker import warm_worker
from provenance.video import Clip
from provenance.video.write import write_clip

FAST = ("--json", "-q", "--checks", "credentials,fingerprint")
COMMANDS = {
    "verify": ("verify", *FAST),
    "sign": ("sign", "-q", "-o", "out.mp4"),
    "attack": ("attack", "-q", "-o", "out.mp4", "--with", "x264:30"),
}
SOME_MIB = 512
"""More than a worker needs for any small clip, and far less than the limit that it is killed at."""

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system: run as root, or under `unshare -rm`")


@pytest.fixture(autouse=True, scope="module")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder for temporary files of this process, of a worker that starts anew, and of every call."""
    folder = tmp_path_factory.mktemp("temporary")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(folder))
        patch.setattr(tempfile, "tempdir", str(folder))
        warm_worker().close()
        yield folder
        warm_worker().close()


@pytest.fixture(autouse=True)
def nothing_stays_in_the_temporary_folder(temporary: Path) -> Iterator[None]:
    yield
    assert list(temporary.iterdir()) == []


@pytest.fixture(autouse=True)
def nothing_hangs() -> Iterator[None]:
    """End a test that waits for ever."""

    def expired(*_: object) -> None:
        pytest.fail("it hangs")

    usual = signal.signal(signal.SIGALRM, expired)
    signal.alarm(240)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, usual)


@pytest.fixture(scope="module")
def long_work(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A clip that takes seconds, whatever is done with it."""
    path = tmp_path_factory.mktemp("long") / "slow.mp4"
    frames = np.random.default_rng(0).integers(0, 255, (40, 720, 1280, 3), dtype=np.uint8)
    write_clip(Clip.at_rate(frames, 20), path, preset="ultrafast", crf=30)
    return path.read_bytes()


@pytest.fixture
def slow_clip(tmp_path: Path, long_work: bytes) -> Path:
    """That clip, in the folder of a test."""
    path = tmp_path / "slow.mp4"
    path.write_bytes(long_work)
    return path


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if "countermark-home" not in str(path)}


def lines(line: str, hint: str) -> str:
    return f"error: {line}\nhint: {hint}\n"


# -- interruption ------------------------------------------------------------------------------------------------------

STOPPED = lines("stopped before it was done", "nothing half-written was left behind")


class Running:
    """A call of the command line as a process, once it has begun to write."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder, self.before = folder, files_in(folder)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "countermark", *arguments],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        until(lambda: files_in(folder) != self.before and self.workers() != [])

    def workers(self) -> list[int]:
        """The processes that it started."""
        return children_of(self.process.pid)

    def end(self, number: signal.Signals) -> str:
        """Send a signal; return what it said, once it and its workers are gone."""
        workers = self.workers()
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=60)
        until(lambda: not any(map(is_alive, workers)))
        return said


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it does not come"
        time.sleep(0.02)


def _state_and_parent(pid: int) -> tuple[str, int]:
    try:
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[:2]
    except (FileNotFoundError, ProcessLookupError):
        return "X", 0
    return state, int(parent)


def children_of(parent: int) -> list[int]:
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [pid for pid in pids if _state_and_parent(pid)[1] == parent]


def is_alive(pid: int) -> bool:
    return _state_and_parent(pid)[0] not in "XZ"


SIGNING = ("sign", "slow.mp4", "-o", "out.mp4", "-q")
EXAMINING = ("verify", "slow.mp4", "--output", "results.jsonl", "-q")


@on_linux
@pytest.mark.parametrize("arguments", [SIGNING, EXAMINING], ids=["sign", "verify"])
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM], ids=lambda one: one.name)
def test_an_ended_call_says_so_and_leaves_neither_files_nor_processes(
    arguments: tuple[str, ...], ending: signal.Signals, slow_clip: Path, tmp_path: Path
) -> None:
    call = Running(tmp_path, *arguments)
    assert call.end(ending).lstrip() == STOPPED
    assert call.process.returncode == 128 + ending
    assert files_in(tmp_path) == call.before


@on_linux
@pytest.mark.slow
def test_a_killed_call_leaves_a_hidden_part_and_the_next_one_works(
    call, slow_clip: Path, small_clip: Path, tmp_path: Path
) -> None:
    killed = Running(tmp_path, *SIGNING)
    assert killed.end(signal.SIGKILL) == ""
    left = files_in(tmp_path) - killed.before
    assert left, "a dead process removes nothing"
    assert all(name.startswith(".out.") and ".part" in name for name in left), "no name of it is a result's"
    slow_clip.unlink()
    done = call("sign", "small.mp4", "-o", "out.mp4", "--no-watermark", "-q")
    assert (done.returncode, done.stderr) == (0, "")
    done = call("verify", tmp_path, *FAST)
    assert [Path(json.loads(line)["file"]).name for line in done.stdout.splitlines()] == ["out.mp4", "small.mp4"]
    assert files_in(tmp_path) == left | {"out.mp4", "small.mp4"}


@on_linux
@pytest.mark.slow
def test_a_killed_call_of_several_workers_ends_them_all(slow_clip: Path, tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / f"copy-{number}.mp4").write_bytes(slow_clip.read_bytes())
    killed = Running(tmp_path, "verify", *(f"copy-{one}.mp4" for one in range(4)), *EXAMINING[2:], "--workers", "2")
    until(lambda: len([pid for pid in killed.workers() if children_of(pid)]) == 2)
    grandchildren = [pid for worker in killed.workers() for pid in children_of(worker)]
    killed.end(signal.SIGKILL)
    until(lambda: not any(map(is_alive, grandchildren)))
    assert all(name.startswith(".results.") for name in files_in(tmp_path) - killed.before)


@on_linux
@pytest.mark.parametrize("command", ["verify", "sign"])
def test_a_worker_that_is_killed_is_said_and_leaves_nothing(
    call, command: str, slow_clip: Path, tmp_path: Path
) -> None:
    before = files_in(tmp_path)
    with when_it_reads(slow_clip, lambda: os.kill(warm_worker().pid or 0, signal.SIGKILL)):
        done = call(*COMMANDS[command], slow_clip.name)
    assert done.returncode == 3
    assert done.stderr == lines(
        "slow.mp4: its worker was killed from outside", "is there enough memory? a smaller copy may work"
    )
    assert files_in(tmp_path) == before


@contextmanager
def when_it_reads(path: Path, act: Callable[[], object]) -> Iterator[None]:
    """Do something as soon as the worker has opened a file."""
    is_over, has_acted = threading.Event(), threading.Event()

    def watch() -> None:
        while not is_over.is_set():
            if path in opened_by(warm_worker().pid):
                act()
                has_acted.set()
                return
            time.sleep(0.001)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
    assert has_acted.is_set()


def opened_by(pid: int | None) -> set[Path]:
    found = set()
    try:
        for entry in os.scandir(f"/proc/{pid}/fd"):
            found.add(Path(os.readlink(entry.path)))
    except OSError:
        pass
    return found


# -- disks and folders -------------------------------------------------------------------------------------------------


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mount a file system in memory, with options, in the folder of the test."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(options: str) -> Path:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", folder], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
        return folder

    yield mount
    subprocess.run(["umount", "-l", folder], capture_output=True)


WRITING = {
    "sign": ("sign", "-q", "-o", "disk/out.mp4"),
    "sign without watermark": ("sign", "-q", "--no-watermark", "-o", "disk/out.mp4"),
    "attack": ("attack", "--with", "x264:10", "-o", "disk/out.mp4"),
    "attack without encoding": ("attack", "--with", "strip", "-o", "disk/out.mp4"),
    "report": ("verify", "-q", *FAST[2:], "--report", "disk/out.mp4"),
    "results": ("verify", "-q", *FAST[2:], "--output", "disk/out.mp4"),
}


@as_root
@pytest.mark.parametrize("command", WRITING)
def test_a_full_disk_is_said_and_nothing_stays_on_it(call, command: str, plain_clip: Path, mounted) -> None:
    disk = mounted("size=64k")
    if command in ("report", "results"):
        (disk / "filler").write_bytes(bytes(64 << 10))
    before = files_in(disk)
    done = call(*WRITING[command], plain_clip)
    assert done.returncode == 3
    error, hint = done.stderr.splitlines()
    assert error.startswith("error: disk/out.mp4: ")
    assert "no space left on device" in error.lower()
    assert "full" in hint
    assert files_in(disk) == before


@as_root
def test_a_disk_that_fills_while_the_file_is_sealed_is_said(call, plain_clip: Path, mounted) -> None:
    room = plain_clip.stat().st_size * 3 // 2 >> 10
    disk = mounted(f"size={room}k")
    done = call(*WRITING["sign without watermark"], plain_clip)
    assert done.returncode == 3
    error, hint = done.stderr.splitlines()
    assert error.startswith("error: disk/out.mp4: ")
    assert "full" in hint
    assert files_in(disk) == set()


@pytest.fixture
def read_only(tmp_path: Path, mounted) -> Iterator[Path]:
    """A folder that takes no file, whoever asks."""
    folder = mounted("ro") if os.geteuid() == 0 else tmp_path / "disk"
    folder.chmod(0o500) if os.geteuid() else None
    yield folder
    folder.chmod(0o700) if os.geteuid() else None


@pytest.mark.parametrize("command", WRITING)
def test_a_folder_that_takes_no_file_is_said_before_any_work(call, command: str, small_clip: Path, read_only) -> None:
    done = call(*WRITING[command], small_clip)
    assert (done.returncode, done.stdout) == (3, "")
    error, hint = done.stderr.splitlines()
    assert error.startswith("error: disk/out.mp4: cannot write there (")
    assert hint.startswith("hint: choose a folder that exists")
    assert files_in(read_only) == set()


def test_a_home_that_takes_no_file_stops_signing_and_not_examining(
    call, small_clip: Path, tmp_path: Path, read_only: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COUNTERMARK_HOME", str(read_only / "home"))
    assert call("verify", small_clip, *FAST).returncode == 0
    before = files_in(tmp_path)
    done = call("sign", small_clip, "-o", "out.mp4", "-q")
    assert done.returncode == 3
    error, hint = done.stderr.splitlines()
    assert error.startswith(f"error: {read_only / 'home'}")
    assert hint.startswith("hint: ")
    assert files_in(tmp_path) == before


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_standard_output_that_takes_nothing_is_said(small_clip: Path, tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        program = [sys.executable, "-m", "countermark", "verify", small_clip.name, *FAST]
        done = subprocess.run(program, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 3
    assert done.stderr == lines("standard output: cannot be written (No space left on device)", "is the disk full?")


@pytest.mark.parametrize("kind", ["pipe", "socket"])
@pytest.mark.parametrize("command", ["verify", "sign", "attack"])
def test_an_output_that_is_no_file_is_not_replaced_by_one(
    call, command: str, kind: str, small_clip: Path, tmp_path: Path
) -> None:
    {"pipe": pipe, "socket": unix_socket}[kind](tmp_path / "out.mp4")
    kept = (tmp_path / "out.mp4").stat()
    arguments = [*COMMANDS[command], "--force"] + (["--output", "out.mp4"] if command == "verify" else [])
    done = call(*arguments, small_clip)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == lines("out.mp4: is no regular file, and would be replaced by one", "name a file to write")
    assert os.path.samestat((tmp_path / "out.mp4").stat(), kept)


def test_an_output_that_is_a_dangling_link_is_there_already(call, small_clip: Path, tmp_path: Path) -> None:
    (tmp_path / "out.mp4").symlink_to("nowhere")
    done = call(*COMMANDS["sign"], "--no-watermark", small_clip)
    assert done.returncode == 2
    assert done.stderr == lines("out.mp4: is there already", "choose another name, or overwrite with --force")
    assert (tmp_path / "out.mp4").is_symlink()


# -- what is no ordinary file ------------------------------------------------------------------------------------------


def pipe(path: Path) -> None:
    os.mkfifo(path)


def unix_socket(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # names of sockets are short
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(path.name)
    os.chdir(here)
    assert stat.S_ISSOCK(path.stat().st_mode)


def zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


def null(path: Path) -> None:
    path.symlink_to("/dev/null")


def dangling(path: Path) -> None:
    path.symlink_to("nowhere.mp4")


def circle(path: Path) -> None:
    path.symlink_to("back.mp4")
    path.with_name("back.mp4").symlink_to(path)


NO_REGULAR_FILE = ("is no regular file", "pipes and devices cannot be examined; save it to a file first")
LEADS_NOWHERE = ("is a link that leads nowhere", "what it stood for was moved or deleted")
ODD = {
    pipe: NO_REGULAR_FILE,
    unix_socket: NO_REGULAR_FILE,
    zeros: NO_REGULAR_FILE,
    null: NO_REGULAR_FILE,
    dangling: LEADS_NOWHERE,
    circle: LEADS_NOWHERE,
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("make", ODD, ids=lambda make: make.__name__)
def test_what_is_no_ordinary_file_has_its_line(call, command: str, make, tmp_path: Path) -> None:
    make(tmp_path / "clip.mp4")
    before = files_in(tmp_path)
    line, hint = ODD[make]
    done = call(*COMMANDS[command], "clip.mp4")
    assert done.returncode == 3
    assert done.stderr == lines(f"clip.mp4: {line}", hint)
    assert files_in(tmp_path) == before


@pytest.mark.parametrize("name", ["/dev/zero", "/dev/null", "/dev/stdin"])
def test_devices_have_the_same_line_under_their_own_names(call, name: str) -> None:
    done = call("verify", name, *FAST)
    assert done.returncode == 3
    assert done.stderr == lines(f"{name}: {NO_REGULAR_FILE[0]}", NO_REGULAR_FILE[1])


def test_they_do_not_spoil_the_other_files_of_a_folder(call, small_clip: Path, tmp_path: Path) -> None:
    for make in (pipe, dangling, zeros):
        make(tmp_path / f"{make.__name__}.mp4")
    done = call("verify", ".", *FAST)
    assert done.returncode == 3
    results = {json.loads(line)["file"]: "error" in json.loads(line) for line in done.stdout.splitlines()}
    assert results == {"dangling.mp4": True, "pipe.mp4": True, "small.mp4": False, "zeros.mp4": True}


def test_a_link_to_a_clip_stands_for_the_clip(call, small_clip: Path, tmp_path: Path) -> None:
    (tmp_path / "link.mp4").symlink_to(small_clip.name)
    done = call("verify", "link.mp4", *FAST)
    assert (done.returncode, done.stderr) == (0, "")
    for command in ("sign", "attack"):
        more = ["--no-watermark"] if command == "sign" else []
        done = call(*COMMANDS[command], *more, "--force", "link.mp4")
        assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "link.mp4").is_symlink()


NO_FILE = lines("there is no file to work on in clip.mp4", "name files, folders or patterns, or give --files-from")


@pytest.mark.parametrize(
    ("command", "status", "said"),
    [
        ("verify", 2, NO_FILE),
        ("sign", 2, NO_FILE),
        ("attack", 3, lines("clip.mp4: is a folder", "name a file, or the files in it")),
    ],
)
def test_a_folder_with_the_name_of_a_clip_is_a_folder(
    call, command: str, status: int, said: str, tmp_path: Path
) -> None:
    (tmp_path / "clip.mp4").mkdir()
    done = call(*COMMANDS[command], "clip.mp4")
    assert (done.returncode, done.stderr) == (status, said)
    assert files_in(tmp_path) == {"clip.mp4"}


# -- files that change -------------------------------------------------------------------------------------------------

CHANGES: dict[str, Callable[[Path], object]] = {
    "it grows": lambda path: path.open("ab").write(bytes(100_000)),
    "it is cut off": lambda path: os.truncate(path, 100_000),
    "it is emptied": lambda path: os.truncate(path, 0),
    "it vanishes": lambda path: path.unlink(),
    "another takes its place": lambda path: os.replace(path.with_name("other.mp4"), path),
}


@on_linux
@pytest.mark.parametrize("change", CHANGES)
def test_no_verdict_is_given_of_a_file_that_changes(call, change: str, slow_clip: Path, small_clip: Path) -> None:
    slow_clip.with_name("other.mp4").write_bytes(small_clip.read_bytes())
    with when_it_reads(slow_clip, lambda: CHANGES[change](slow_clip)):
        done = call("verify", slow_clip.name, small_clip.name, *FAST)
    assert done.returncode == 3
    assert done.stderr == lines(
        "slow.mp4: changed while it was read", "is it still being written? try again when it is complete"
    )
    assert ["error" in json.loads(line) for line in done.stdout.splitlines()] == [True, False]


@on_linux
@pytest.mark.parametrize("change", CHANGES)
def test_signing_a_file_that_changes_writes_a_whole_clip_or_none(
    call, change: str, slow_clip: Path, small_clip: Path, tmp_path: Path
) -> None:
    slow_clip.with_name("other.mp4").write_bytes(small_clip.read_bytes())
    before = files_in(tmp_path)
    with when_it_reads(slow_clip, lambda: CHANGES[change](slow_clip)):
        done = call(*COMMANDS["sign"], "--no-watermark", slow_clip.name)
    assert done.returncode in (0, 3)
    assert len(done.stderr.splitlines()) == (2 if done.returncode else 0)
    left = files_in(tmp_path) - before
    if done.returncode:
        assert left == set()
    else:
        assert left == {"out.mp4"}
        assert call("verify", "out.mp4", *FAST).returncode == 0


@on_linux
def test_a_file_that_vanishes_between_listing_and_reading_is_missing(
    call, slow_clip: Path, small_clip: Path, tmp_path: Path
) -> None:
    small_clip.rename(tmp_path / "z.mp4")
    with when_it_reads(slow_clip, (tmp_path / "z.mp4").unlink):
        done = call("verify", ".", *FAST)
    assert done.returncode == 3
    assert done.stderr == lines("z.mp4: there is no such file", "is the name spelled right?")
    assert ["error" in json.loads(line) for line in done.stdout.splitlines()] == [False, True]


# -- bombs -------------------------------------------------------------------------------------------------------------

SIDE = 16384
MADE_TO_HARM = "no ordinary video is built like that; was it made to do harm?"
TOO_LARGE = "frames of up to 67 million pixels are examined; scale it down"
DAMAGED = "cannot be read as a video (it is damaged, or no video at all)"


def box(kind: bytes, content: bytes = b"", declared: int | None = None) -> bytes:
    """A box of an ISO file, which may lie about its length."""
    return struct.pack(">I4s", declared if declared is not None else 8 + len(content), kind) + content


def full_box(kind: bytes, content: bytes) -> bytes:
    return box(kind, bytes(4) + content)


FTYP = box(b"ftyp", b"isom\0\0\0\0isom")


def iso_film(side: int, table: bytes, codec: bytes = b"avc1", media: bytes = b"") -> bytes:
    """A film with one track whose sample table is given; its media stand at `MEDIA_AT`."""
    matrix = struct.pack(">9I", 65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)
    sides = struct.pack(">HH", side & 0xFFFF, side & 0xFFFF)
    entry = box(codec, bytes(7) + b"\1" + bytes(16) + sides + bytes(50))
    table = box(b"stbl", full_box(b"stsd", struct.pack(">I", 1) + entry) + table)
    data = box(b"dinf", full_box(b"dref", struct.pack(">I", 1) + box(b"url ", b"\0\0\0\1")))
    minf = box(b"minf", full_box(b"vmhd", bytes(8)) + data + table)
    times = full_box(b"mdhd", struct.pack(">IIIII", 0, 0, 1000, 1000, 0x55C40000))
    mdia = box(b"mdia", times + full_box(b"hdlr", bytes(4) + b"vide" + bytes(13)) + minf)
    header = struct.pack(">6I", 7, 0, 0, 1, 0, 1000) + bytes(16) + matrix + struct.pack(">II", side << 16, side << 16)
    film = struct.pack(">6IH10x", 0, 0, 1000, 1000, 65536, 256, 0)[:-2] + matrix + bytes(24) + struct.pack(">I", 2)
    moov = box(b"moov", full_box(b"mvhd", film) + box(b"trak", box(b"tkhd", header) + mdia))
    return FTYP + box(b"mdat", media) + moov


MEDIA_AT = len(FTYP) + 8


def sample_table(count: int, sizes: bytes, size: int = 0) -> bytes:
    """All samples in one chunk. sizes: of each, where `size` is 0."""
    return (
        full_box(b"stts", struct.pack(">III", 1, count, 1))
        + full_box(b"stsc", struct.pack(">IIII", 1, 1, count, 1))
        + full_box(b"stsz", struct.pack(">II", size, count) + sizes)
        + full_box(b"stco", struct.pack(">II", 1, MEDIA_AT))
    )


def nested_boxes() -> bytes:
    content = b""
    for _ in range(2000):
        content = box(b"moov", content)
    return FTYP + content


def picture(side: int = 64) -> bytes:
    """A small JPEG picture."""
    return cv2.imencode(".jpg", np.full((side, side, 3), 90, np.uint8))[1].tobytes()


def png_chunk(kind: bytes, data: bytes, declared: int | None = None) -> bytes:
    size = len(data) if declared is None else declared
    return struct.pack(">I", size) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(side: int, before_the_picture: bytes = b"") -> bytes:
    """A whole PNG file, all black, one bit a pixel."""
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zipped(bytes(side * (1 + side // 8)))
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + before_the_picture
        + png_chunk(b"IDAT", rows)
        + png_chunk(b"IEND", b"")
    )


def zipped(data: bytes) -> bytes:
    return zlib.compress(data, 9)


def zeros_zipped(mebibytes: int) -> bytes:
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(mebibytes)) + packer.flush()


def jpeg(side: int) -> bytes:
    data = bytearray(picture())
    place = data.index(b"\xff\xc0") + 5
    data[place : place + 4] = struct.pack(">HH", side, side)
    return bytes(data)


def tiff(side: int, next_directory: int = 0) -> bytes:
    strip = 8 + 2 + 9 * 12 + 4
    tags = {256: side, 257: side, 258: 8, 259: 1, 262: 1, 273: strip, 277: 1, 278: side, 279: min(side, 64) ** 2}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\0" + struct.pack("<IH", 8, 9) + entries + struct.pack("<I", next_directory) + bytes(4096)


def riff(kind: bytes, content: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", 4 + len(content)) + kind + content


def chunk(kind: bytes, data: bytes) -> bytes:
    return kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)


def avi(side: int, packets: bytes = b"", count: int = 1) -> bytes:
    stream = b"vidsMJPG" + struct.pack("<IHHIIIIIIIIHHHH", 0, 0, 0, 0, 1, 25, 0, count, 0, 0, 0, 0, 0, side, side)
    form = struct.pack("<IiiHH4sIiiII", 40, side, side, 1, 24, b"MJPG", 0, 0, 0, 0, 0)
    head = chunk(b"avih", struct.pack("<10I16x", 40000, 0, 0, 16, count, 0, 1, 0, side, side))
    head += chunk(b"LIST", b"strl" + chunk(b"strh", stream) + chunk(b"strf", form))
    return riff(b"AVI ", chunk(b"LIST", b"hdrl" + head) + chunk(b"LIST", b"movi" + packets))


def nested_lists() -> bytes:
    content = b""
    for _ in range(20_000):
        content = b"LIST" + struct.pack("<I", 4 + len(content)) + b"nest" + content
    return riff(b"AVI ", content)


def webp_lossless(side: int) -> bytes:
    sizes = (side - 1) | (side - 1) << 14
    return riff(b"WEBP", chunk(b"VP8L", b"\x2f" + struct.pack("<I", sizes) + bytes(32)))


def webp_lossy(side: int) -> bytes:
    return riff(b"WEBP", chunk(b"VP8 ", b"\x10\x02\0\x9d\x01\x2a" + struct.pack("<HH", side, side) + bytes(64)))


def webp_extended(side: int) -> bytes:
    sides = (side - 1).to_bytes(3, "little") * 2
    return riff(b"WEBP", chunk(b"VP8X", bytes(4) + sides) + chunk(b"VP8L", b"\x2f" + bytes(36)))


def avif(side: int) -> bytes:
    properties = box(b"iprp", box(b"ipco", full_box(b"ispe", struct.pack(">II", side, side))))
    return box(b"ftyp", b"avif\0\0\0\0avifmif1") + full_box(b"meta", properties)


def element(name: str, content: bytes, declared: int | None = None) -> bytes:
    """An element of a Matroska file, its identifier in hexadecimal."""
    size = len(content) if declared is None else declared
    return bytes.fromhex(name) + struct.pack(">Q", size | 1 << 56) + content


def number(name: str, value: int) -> bytes:
    return element(name, value.to_bytes(4))


MATROSKA = element("1a45dfa3", element("4282", b"matroska") + number("4287", 4) + number("4285", 2))


def matroska(tracks: bytes, *clusters: bytes) -> bytes:
    info = element("1549a966", number("2ad7b1", 1_000_000) + element("4489", struct.pack(">d", 1000)))
    return MATROSKA + element("18538067", info + element("1654ae6b", tracks) + b"".join(clusters))


def nested_elements() -> bytes:
    content = b""
    for _ in range(2000):
        content = element("e0", content)
    return matroska(element("ae", content))


def track(index: int, kind: int, codec: bytes, more: bytes = b"") -> bytes:
    return element("ae", number("d7", index) + number("73c5", index) + number("83", kind) + element("86", codec) + more)


def pictures(side: int, codec: bytes = b"V_MJPEG") -> bytes:
    return track(1, 1, codec, element("e0", number("b0", side) + number("ba", side)) + number("23e383", 40_000_000))


def subtitles(algorithm: int, settings: bytes = b"") -> bytes:
    """A text track whose packets are compressed: 0 with zlib, 3 by leaving out first bytes (RFC 9559, 5.1.4.1.31)."""
    how = number("4254", algorithm) + (element("4255", settings) if settings else b"")
    return track(2, 17, b"S_TEXT/UTF8", element("6d80", element("6240", number("5033", 0) + element("5034", how))))


def cluster(*packets: tuple[int, int, bytes], flags: int = 0x80) -> bytes:
    """packets: track, milliseconds and data of each."""
    blocks = (element("a3", bytes([0x80 | one]) + struct.pack(">hB", at, flags) + data) for one, at, data in packets)
    return element("1f43b675", number("e7", 0) + b"".join(blocks))


def film(side: int = 96, frames: int = 24) -> bytes:
    frame = picture(side)
    return cluster(*((1, 40 * index, frame) for index in range(frames)))


def lying_track() -> bytes:
    """A track of 64 x 64 whose one picture says that it is far larger."""
    return matroska(pictures(64), cluster((1, 0, jpeg(SIDE))))


def bmp() -> bytes:
    return b"BM" + struct.pack("<IIIIiiHHIIiiII", 1 << 20, 0, 54, 40, SIDE, -SIDE, 1, 24, 0, 0, 0, 0, 0, 0) + bytes(99)


def gif(side: int, frames: int = 1) -> bytes:
    control = b"\x21\xf9\x04\x00\x02\x00\x00\x00"
    frame = control + b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\0"
    return b"GIF89a" + struct.pack("<HHBBB", side, side, 0x80, 0, 0) + bytes(6) + frame * frames + b";"


def y4m(side: int, frames: int = 0, rate: str = "25:1") -> bytes:
    frame = b"FRAME\n" + bytes([90]) * (side * side * 3 // 2 if frames else 0)
    return f"YUV4MPEG2 W{side} H{side} F{rate} C420\n".encode() + frame * max(frames, 1)


def jpeg2000() -> bytes:
    body = struct.pack(">HIIIIIIII", 0, SIDE, SIDE, 0, 0, SIDE, SIDE, 0, 0) + struct.pack(">HBBB", 1, 7, 1, 1)
    return b"\xff\x4f\xff\x51" + struct.pack(">H", 2 + len(body)) + body + bytes(100)


def ivf() -> bytes:
    return b"DKIF" + struct.pack("<HH4sHHIIII", 0, 32, b"VP80", SIDE, SIDE, 25, 1, 1, 0) + bytes(12)


@dataclass(frozen=True)
class Bomb:
    """A file, and what is said of it. length: to which it is stretched with a hole, which takes no room on the disk."""

    name: str
    data: Callable[[], bytes]
    line: str
    hint: str = MADE_TO_HARM
    length: int = 0

    def write(self, folder: Path) -> Path:
        """Make the file."""
        path = folder / self.name
        path.write_bytes(self.data())
        if self.length:
            os.truncate(path, self.length)
        return path


GIB = 1 << 30
HUGE = f"refused, it declares {SIDE}x{SIDE} pixels"
BOMBS = {
    "a PNG of 16k by 16k, 32 KB in all": Bomb("clip.png", lambda: png(SIDE), HUGE, TOO_LARGE),
    "a JPEG of 16k by 16k": Bomb("clip.jpg", lambda: jpeg(SIDE), HUGE, TOO_LARGE),
    "a GIF of 16k by 16k": Bomb("clip.gif", lambda: gif(SIDE), HUGE, TOO_LARGE),
    "a BMP of 16k by 16k": Bomb("clip.bmp", bmp, HUGE, TOO_LARGE),
    "a TIFF of 16k by 16k": Bomb("clip.tiff", lambda: tiff(SIDE), HUGE, TOO_LARGE),
    "a lossless WebP of 16k by 16k": Bomb("clip.webp", lambda: webp_lossless(SIDE), HUGE, TOO_LARGE),
    "a lossy WebP of 16k by 16k": Bomb(
        "clip.webp", lambda: webp_lossy(SIDE - 1), "refused, it declares 16383x16383 pixels", TOO_LARGE
    ),
    "a WebP with a canvas of 16k by 16k": Bomb("clip.webp", lambda: webp_extended(SIDE), HUGE, TOO_LARGE),
    "an AVIF of 16k by 16k": Bomb("clip.avif", lambda: avif(SIDE), HUGE, TOO_LARGE),
    "a JPEG 2000 of 16k by 16k": Bomb("clip.j2k", jpeg2000, HUGE, TOO_LARGE),
    "an MP4 of 16k by 16k": Bomb("clip.mp4", lambda: iso_film(SIDE, b""), HUGE, TOO_LARGE),
    "a Matroska film of 16k by 16k": Bomb("clip.mkv", lambda: matroska(pictures(SIDE)), HUGE, TOO_LARGE),
    "an AVI of 16k by 16k": Bomb("clip.avi", lambda: avi(SIDE, chunk(b"00dc", picture())), HUGE, TOO_LARGE),
    "a YUV4MPEG film of 16k by 16k": Bomb("clip.y4m", lambda: y4m(SIDE), HUGE, TOO_LARGE),
    "an IVF film of 16k by 16k": Bomb("clip.ivf", ivf, HUGE, TOO_LARGE),
    "a picture larger than its track says": Bomb("clip.mkv", lying_track, DAMAGED, "does it play in a player?"),
    "an index of 2 GB": Bomb(
        "clip.mp4",
        lambda: FTYP + box(b"moov", declared=2 * GIB),
        "refused, its moov box declares 2047 MiB",
        length=2 * GIB + 99,
    ),
    "a Matroska index of 2 GB": Bomb(
        "clip.mkv",
        lambda: MATROSKA + element("18538067", element("1654ae6b", b"", 2 * GIB), 2 * GIB + 12),
        "refused, its Tracks element declares 2048 MiB",
        length=2 * GIB + 99,
    ),
    "attachments of 2 GB": Bomb(
        "clip.mkv",
        lambda: MATROSKA + element("18538067", element("1941a469", b"", 2 * GIB), 2 * GIB + 12),
        "refused, its Attachments element declares 2048 MiB",
        length=2 * GIB + 99,
    ),
    "a PNG chunk of 2 GB": Bomb(
        "clip.png",
        lambda: png(64)[:33] + png_chunk(b"IDAT", b"", GIB * 2 - 1),
        "refused, its IDAT chunk declares 2047 MiB",
        length=2 * GIB,
    ),
    "an AVI header of 2 GB": Bomb(
        "clip.avi",
        lambda: b"RIFF\0\0\0\x80AVI LIST\xe0\xff\xff\x7fhdrlstrf\xd0\xff\xff\x7f",
        DAMAGED,
        "does it play in a player?",
        length=2 * GIB,
    ),
    "a billion frames declared in a few bytes": Bomb(
        "clip.mp4", lambda: iso_film(64, sample_table(10**9, b"", 1)), "refused, it declares 1000000000 frames"
    ),
    "a table of a billion entries": Bomb(
        "clip.mp4",
        lambda: iso_film(64, sample_table(10**9, bytes(64))),
        "refused, its stsz table declares 1000000000 entries in 76 bytes",
    ),
    "a million frames of nothing": Bomb(
        "clip.mp4",
        lambda: iso_film(64, sample_table(10**6, bytes(4 * 10**6))),
        "no frame of it can be decoded",
        "is the file complete?",
    ),
    "two thousand boxes in one another": Bomb(
        "clip.mp4", nested_boxes, "refused, its boxes are nested more than 24 deep"
    ),
    "twenty thousand lists in one another": Bomb(
        "clip.avi", nested_lists, "refused, its lists are nested more than 24 deep"
    ),
    "two thousand elements in one another": Bomb(
        "clip.mkv", nested_elements, "refused, its elements are nested more than 24 deep"
    ),
    "directories in a circle": Bomb(
        "clip.tiff", lambda: tiff(64, next_directory=8), "refused, its chain of directories has no end"
    ),
    "a text that unpacks to a gigabyte": Bomb(
        "clip.png",
        lambda: png(64, png_chunk(b"zTXt", b"x\0\0" + zeros_zipped(64) * 16)),
        "refused, its texts unpack to more than 32 MiB",
    ),
    "many texts that unpack to a gigabyte": Bomb(
        "clip.png",
        lambda: png(64, png_chunk(b"iTXt", b"x\0\1\0en\0x\0" + zeros_zipped(16)) * 64),
        "refused, its texts unpack to more than 32 MiB",
    ),
    "a colour profile that unpacks to a gigabyte": Bomb(
        "clip.png",
        lambda: png(64, png_chunk(b"iCCP", b"x\0\0" + zeros_zipped(64))),
        "refused, its texts unpack to more than 32 MiB",
    ),
    "subtitles that unpack to two hundred mebibytes": Bomb(
        "clip.mkv",
        lambda: matroska(pictures(96) + subtitles(0), cluster(*[(2, 0, zeros_zipped(9))] * 20), film()),
        "refused, its tracks unpack to more than 32 MiB from 35 KiB",
    ),
    "subtitles hidden in laces": Bomb(
        "clip.mkv",
        lambda: matroska(pictures(96) + subtitles(0), cluster(*[(2, 0, zeros_zipped(9))] * 20, flags=0x86), film()),
        "refused, its tracks unpack to more than 32 MiB from 35 KiB",
    ),
    "subtitles that all grow by a mebibyte": Bomb(
        "clip.mkv",
        lambda: matroska(pictures(96) + subtitles(3, bytes(1 << 20)), cluster(*[(2, 0, b"x")] * 1000), film()),
        "refused, it puts 1048576 bytes before every packet of a track",
    ),
}


def resident_mib() -> int:
    """The most memory that the worker held since this was asked last; 0 where there is none."""
    pid = warm_worker().pid
    if pid is None:
        return 0
    most = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM:"))
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return int(most.split()[1]) >> 10


@on_linux
@pytest.mark.parametrize("command", ["verify", "sign"])
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_has_its_line_and_takes_little(call, command: str, name: str, tmp_path: Path) -> None:
    bomb = BOMBS[name]
    path = bomb.write(tmp_path)
    before = files_in(tmp_path)
    resident_mib()
    done = call(*COMMANDS[command], path.name)
    assert done.returncode == 3
    assert done.stderr == lines(f"{path.name}: {bomb.line}", bomb.hint)
    assert 0 < resident_mib() < SOME_MIB
    assert files_in(tmp_path) == before


@on_linux
@pytest.mark.parametrize("command", ["verify", "sign"])
def test_ordinary_subtitles_that_are_compressed_are_kept(call, command: str, tmp_path: Path) -> None:
    words = [
        zlib.compress(f"This is the subtitle number {number}, and it says a little.".encode()) for number in range(50)
    ]
    (tmp_path / "clip.mkv").write_bytes(
        matroska(pictures(96) + subtitles(0), cluster(*((2, index, text) for index, text in enumerate(words))), film())
    )
    resident_mib()
    options = ["-o", "signed.mkv", "--no-watermark"] if command == "sign" else []
    done = call(*COMMANDS[command], *options, "clip.mkv")
    assert (done.returncode, done.stderr) == (0, "")
    assert resident_mib() < SOME_MIB
    if command == "sign":
        with av.open(tmp_path / "signed.mkv") as signed:
            texts = [bytes(packet) for packet in signed.demux(signed.streams.subtitles[0]) if packet.size]
        assert texts == [zlib.decompress(word) for word in words]


MILLION = 10**6


def of_empty_packets() -> bytes:
    """An AVI of one picture and a million packets of no bytes, which stand for the picture before."""
    return avi(64, chunk(b"00dc", picture()) + chunk(b"00dc", b"") * MILLION, MILLION + 1)


LONG_FILMS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "a picture and packets of nothing": ("clip.avi", of_empty_packets),
    "a million frames a second": ("clip.y4m", lambda: y4m(2, MILLION, f"{MILLION}:1")),
    "ten million hours": ("clip.y4m", lambda: y4m(2, 100, f"1:{MILLION * 360}")),
}


@on_linux
@pytest.mark.slow
@pytest.mark.parametrize("kind", LONG_FILMS)
def test_a_million_tiny_frames_take_no_memory(call, kind: str, tmp_path: Path) -> None:
    name, make = LONG_FILMS[kind]
    (tmp_path / name).write_bytes(make())
    resident_mib()
    done = call("verify", name, *FAST)
    assert (done.returncode, done.stderr) == (0, "")
    assert resident_mib() < SOME_MIB
