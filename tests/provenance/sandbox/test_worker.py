"""The worker runs what it is given, and nothing that happens to it happens to its parent."""

from __future__ import annotations

import math
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from provenance.errors import CannotRead, CredentialError, TookTooLong
from provenance.repository import ManifestRepository
from provenance.sandbox import worker as sandbox
from provenance.sandbox.limits import Limits
from provenance.sandbox.prescan import prescan
from provenance.sandbox.worker import InProcess, Worker


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker() as one:
        yield one


def test_it_runs_functions_in_one_warm_process(worker: Worker) -> None:
    assert worker.run(math.sqrt, 2.0) == math.sqrt(2.0)
    first = worker.run(os.getpid)
    assert first == worker.run(os.getpid) == worker.pid != os.getpid()


def test_names_of_files_are_relative_to_where_the_parent_stands(
    worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        assert worker.run(os.getcwd) == str(tmp_path / name)


def test_arrays_come_back(worker: Worker) -> None:
    assert (worker.run(np.arange, 1000) == np.arange(1000)).all()


def test_our_errors_cross_with_message_and_hint(worker: Worker, tmp_path: Path) -> None:
    with pytest.raises(CannotRead, match="no such file") as caught:
        worker.run(prescan, tmp_path / "none.mp4")
    assert caught.value.hint == "is the name spelled right?"


def test_other_errors_become_one_line(worker: Worker) -> None:
    with pytest.raises(CannotRead, match="invalid literal") as caught:
        worker.run(int, "one")
    assert "\n" not in caught.value.message


def test_a_crash_is_an_error_and_the_next_file_works(worker: Worker) -> None:
    with pytest.raises(CannotRead, match="signal 6"):
        worker.run(os.abort)
    with pytest.raises(CannotRead, match="status 7"):
        worker.run(os._exit, 7)
    assert worker.run(math.sqrt, 4.0) == 2.0


def test_it_is_killed_when_time_is_up() -> None:
    with Worker(Limits(seconds=0.4)) as worker:
        start = time.monotonic()
        with pytest.raises(TookTooLong, match=r"0\.4 s"):
            worker.run(time.sleep, 600)
        assert time.monotonic() - start < 300
        assert worker.run(math.sqrt, 4.0) == 2.0


def _slowly(steps: int, grows: bool) -> str:
    for number in range(steps):
        time.sleep(0.1)
        sandbox.tell((number + 1) / steps if grows else 0.5)
    return "done"


def test_long_work_goes_on_as_long_as_it_gets_on() -> None:
    with Worker(Limits(seconds=3)) as worker:
        worker.run(math.sqrt, 4.0)
        assert worker.run(_slowly, 40, True) == "done"
        with pytest.raises(TookTooLong, match="3 s without progress"):
            worker.run(_slowly, 600, False)


def test_long_work_has_a_limit_of_its_own() -> None:
    with Worker(Limits(longest_seconds=0.6)) as worker, pytest.raises(TookTooLong, match=r"after 0\.6 s"):
        worker.run(_slowly, 900, True)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("asked_bytes", [1 << 30, 64 << 30])
def test_it_is_killed_when_it_takes_too_much_memory(asked_bytes: int) -> None:
    with Worker(Limits(memory_bytes=300 << 20)) as worker, pytest.raises(TookTooLong, match="memory"):
        worker.run(bytearray, asked_bytes)


def test_an_answer_that_is_too_long_is_refused() -> None:
    with Worker(Limits(result_bytes=1000)) as worker, pytest.raises(TookTooLong):
        worker.run(bytes, 100_000)


def test_it_has_no_network(worker: Worker) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    with listener, pytest.raises(CannotRead, match="network"):
        worker.run(socket.create_connection, listener.getsockname())


def test_it_sends_values_and_no_functions(worker: Worker) -> None:
    with pytest.raises(CannotRead, match="no usable answer"):
        worker.run(eval, "__import__('os').system")


def test_it_sends_nothing_that_reaches_further_when_it_is_made(worker: Worker, tmp_path: Path) -> None:
    with pytest.raises(CannotRead, match="no usable answer"):
        worker.run(ManifestRepository, tmp_path / "manifests.db")


@pytest.mark.parametrize(
    "sent",
    [
        "b'no pickle'",
        "dumps(('told', 'much'))",
        "dumps(('asked', 7))",
        "dumps(('asked', ('sign', 10**12)))",
        "dumps('result')",
        r"b'cprovenance.sandbox.worker\nwarm_worker\n(tR.'",
        r"b'cbuiltins\nbytearray\n(I1000000000000000\ntR.'",
    ],
)
def test_a_worker_that_was_taken_over_makes_nothing_happen_in_its_parent(worker: Worker, sent: str) -> None:
    send = f"__import__('provenance.sandbox.worker').sandbox.worker._current._link.send_bytes({sent})"
    with pytest.raises(CannotRead, match="no usable answer"):
        worker.run(eval, send, {"dumps": pickle.dumps})
    assert worker.run(math.sqrt, 4.0) == 2.0


def test_the_parent_answers_what_it_offers_and_nothing_else(worker: Worker) -> None:
    assert worker.run(sandbox.ask, "sign", b"claim", answers={"sign": lambda claim: claim[::-1]}) == b"mialc"
    with pytest.raises(CannotRead, match="'key'"):
        worker.run(sandbox.ask, "key", b"", answers={"sign": lambda claim: claim})


def test_an_error_of_the_answer_crosses_twice(worker: Worker) -> None:
    def refuse(claim: bytes) -> bytes:
        raise CredentialError("the card is out", hint="put it in")

    with pytest.raises(CredentialError, match="card is out") as caught:
        worker.run(sandbox.ask, "sign", b"claim", answers={"sign": refuse})
    assert caught.value.hint == "put it in"


def test_progress_is_heard(worker: Worker) -> None:
    heard: list[float] = []
    worker.run(sandbox.tell, 0.5, progress=heard.append)
    assert heard == [0.5]


def test_in_process_does_the_same_without_a_process() -> None:
    heard: list[float] = []
    here = InProcess()
    assert here.run(sandbox.ask, "sign", b"claim", answers={"sign": lambda claim: claim[::-1]}) == b"mialc"
    here.run(sandbox.tell, 0.5, progress=heard.append)
    assert heard == [0.5]
    assert here.run(os.getpid) == os.getpid()


def test_an_interrupt_of_the_parent_ends_the_worker() -> None:
    with Worker() as worker:
        assert worker.run(math.sqrt, 4.0) == 2.0
        pid = worker.pid
        assert pid is not None
        timer = threading.Timer(0.3, signal.raise_signal, [signal.SIGINT])
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            worker.run(time.sleep, 600)
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        assert worker.run(math.sqrt, 9.0) == 3.0


def test_the_worker_does_not_outlive_a_killed_parent() -> None:
    program = (
        "import os, sys, time\nfrom provenance.sandbox.worker import Worker\nworker = Worker()\nworker.run(os.getpid)\n"
        "print(worker.pid, flush=True)\nworker.run(time.sleep, 600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and Path(f"/proc/{pid}/stat").exists():
        if Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z":
            break
        time.sleep(0.1)
    assert time.monotonic() < deadline


def test_torch_is_not_imported_for_a_look_at_a_file(worker: Worker, tmp_path: Path) -> None:
    assert worker.run(eval, "'torch' in __import__('sys').modules") is False
