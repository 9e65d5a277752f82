"""Signing an existing video: what comes out, and what is left behind when it does not work."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from provenance.credentials import CredentialsCheck, load_trust, open_signer, own_authority_pem, sidecar_of
from provenance.credentials.signers import Signer
from provenance.errors import (
    CannotCarry,
    CannotRead,
    CannotWrite,
    CountermarkError,
    CredentialError,
    OutputExists,
    RepositoryError,
    UsageError,
)
from provenance.evidence import CredentialsEvidence
from provenance.keys import PUBLIC, Key
from provenance.repository import ManifestRepository
from provenance.sandbox.worker import InProcess, Worker
from provenance.sign import SigningPlan, SignReport, sign
from provenance.video import Clip, Video
from provenance.video.encoding import Encoding
from provenance.video.transform import strip
from provenance.video.write import write_clip, write_still
from provenance.watermarks.pixel import PURPOSE, PixelWatermark

FAST = Encoding("libx264", 18, "ultrafast")
OWN = Key("home", bytes(range(32)))


def textured(seconds: float, width: int = 480, height: int = 272) -> Clip:
    """A moving texture with detail at all scales, as pictures have."""
    rng = np.random.default_rng(5)
    wide, high = width + 64, height + 64
    ground = sum(
        cv2.resize(
            rng.normal(0, k**0.8, (high // k + 2, wide // k + 2, 3)), (wide, high), interpolation=cv2.INTER_CUBIC
        )
        for k in (2, 4, 8, 16, 32, 64)
    )
    ground = (120 + 40 * ground / ground.std()).clip(0, 255).astype(np.uint8)
    frames = [ground[t // 2 % 64 :, t % 64 :][:height, :width] for t in range(round(25 * seconds))]
    return Clip.at_rate(np.stack(frames), 25)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sign")


@pytest.fixture(scope="module")
def signer(folder: Path) -> Signer:
    return open_signer(None, folder / "authority").signer


@pytest.fixture(scope="module")
def repository(folder: Path) -> ManifestRepository:
    return ManifestRepository(folder / "manifests.sqlite")


@pytest.fixture(scope="module")
def source(folder: Path) -> Path:
    """A clip of a second, with sound."""
    path, sound = folder / "walk.mp4", folder / "sound.mp4"
    with av.open(str(sound), "w") as container:
        stream: Any = container.add_stream("aac", rate=44100)
        noise = np.random.default_rng(1).normal(0, 0.1, (2, 44100)).astype(np.float32)
        block = av.AudioFrame.from_ndarray(noise, format="fltp", layout="stereo")
        block.sample_rate, block.pts = 44100, 0
        container.mux(stream.encode(block))
        container.mux(stream.encode(None))
    write_clip(textured(1.0), path, preset="ultrafast", audio_from=sound)
    return path


@pytest.fixture(scope="module")
def signed(folder: Path, source: Path, signer: Signer, repository: ManifestRepository) -> Iterator[SignReport]:
    """The clip, signed in a worker, under the public key and one's own."""
    plan = SigningPlan("captured", (PUBLIC.stream(PURPOSE), OWN.stream(PURPOSE)), encoding=FAST)
    with Worker() as worker:
        yield sign(source, folder / "signed.mp4", signer=signer, repository=repository, plan=plan, runner=worker)


def test_losses_are_told_before_anything_is_written(source: Path, tmp_path: Path, signer: Signer) -> None:
    told: list[tuple[str, list[Path]]] = []
    (tmp_path / "out").mkdir()
    report = sign(
        source,
        tmp_path / "out" / "walk.webm",
        signer=signer,
        repository=ManifestRepository(tmp_path / "manifests.sqlite"),
        plan=SigningPlan(streams=(), encoding=Encoding(None, 40)),
        runner=InProcess(),
        on_loss=lambda loss: told.append((loss, list((tmp_path / "out").iterdir()))),
    )
    assert [loss for loss, _ in told] == list(report.warnings)
    assert ["aac" in loss for loss, _ in told] == [False, True]
    assert [written for _, written in told] == [[], []]


def credentials(path: Path, folder: Path) -> CredentialsEvidence:
    trust = load_trust(None, own_authority_pem(folder / "authority"))
    (found,) = CredentialsCheck(trust).examine(path)
    assert isinstance(found, CredentialsEvidence)
    return found


def sound_of(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


def left_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_credential_is_intact_and_says_what_was_asked(signed: SignReport, folder: Path) -> None:
    found = credentials(signed.path, folder)
    assert (found.status, found.origin, found.manifest) == ("intact", "captured", signed.manifest_id)
    assert found.signer is not None
    assert found.signer.trust == "own"


def test_every_layer_leads_back_to_the_manifest_after_a_strip(
    signed: SignReport, repository: ManifestRepository, tmp_path: Path
) -> None:
    strip(signed.path, tmp_path / "bare.mp4")
    clip = Video(tmp_path / "bare.mp4").read()
    for key in (PUBLIC, OWN):
        read = PixelWatermark(key.stream(PURPOSE)).read(clip)
        assert read.watermark_id == signed.watermark_id
        assert read.log10_p < -9
    assert signed.watermark_id is not None
    (stored,) = repository.find_by_binding("org.countermark.pixel.1", signed.watermark_id.to_bytes(8, "big"))
    assert stored.manifest_id == signed.manifest_id
    assert stored.fingerprint is not None
    assert repository.nearest(stored.fingerprint)[0].manifest == signed.manifest_id


def test_the_report_says_what_was_done(signed: SignReport) -> None:
    assert signed.keys == ("public", "home")
    assert signed.psnr_db is not None
    assert 42 <= signed.psnr_db < 43.5
    assert {row.watermark_id for row in signed.readings} == {signed.watermark_id}
    assert signed.watermark_id is not None
    assert signed.watermark_id >> 61 == 4  # captured
    assert signed.encoder == "libx264"


def test_sound_and_times_pass_through(signed: SignReport, source: Path) -> None:
    assert sound_of(signed.path) == sound_of(source)
    assert (Video(signed.path).read().times == Video(source).read().times).all()


def test_nothing_else_is_left(signed: SignReport, folder: Path) -> None:
    assert not [name for name in left_in(folder) if name.startswith(".")]


def test_without_watermark_the_streams_are_copied(
    source: Path, folder: Path, signer: Signer, repository: ManifestRepository, tmp_path: Path
) -> None:
    out = tmp_path / "out.mp4"
    report = sign(source, out, signer=signer, repository=repository, plan=SigningPlan(streams=()), runner=InProcess())
    assert (report.watermark_id, report.encoder, report.psnr_db) == (None, None, None)
    assert (Video(out).read().frames == Video(source).read().frames).all()
    found = credentials(out, folder)
    assert (found.status, found.origin) == ("intact", "unstated")


def test_a_signed_input_becomes_the_parent(
    signed: SignReport, folder: Path, signer: Signer, repository: ManifestRepository, tmp_path: Path
) -> None:
    plan = SigningPlan("edited", streams=())
    out = tmp_path / "again.mp4"
    sign(signed.path, out, signer=signer, repository=repository, plan=plan, runner=InProcess())
    found = credentials(out, folder)
    assert found.status == "intact"
    assert signed.manifest_id in found.chain


def test_matroska_gets_its_credentials_beside(
    source: Path, folder: Path, signer: Signer, repository: ManifestRepository, tmp_path: Path
) -> None:
    out = tmp_path / "out.mkv"
    report = sign(source, out, signer=signer, repository=repository, plan=SigningPlan(streams=()), runner=InProcess())
    assert report.sidecar == sidecar_of(out)
    assert credentials(out, folder).status == "intact"
    assert left_in(tmp_path) == {"out.mkv", "out.mkv.c2pa"}


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_still_is_signed_as_a_video_of_one_frame(
    suffix: str, folder: Path, signer: Signer, repository: ManifestRepository, tmp_path: Path
) -> None:
    write_still(textured(0.04).frames[0], tmp_path / f"still{suffix}")
    out = tmp_path / f"out{suffix}"
    report = sign(tmp_path / f"still{suffix}", out, signer=signer, repository=repository, runner=InProcess())
    assert "thin margin" in report.warnings[0]
    assert credentials(out, folder).status == "intact"
    assert PixelWatermark(PUBLIC.stream(PURPOSE)).read(Video(out).read()).watermark_id == report.watermark_id


def test_an_id_may_be_asked_for_once(
    source: Path, signer: Signer, repository: ManifestRepository, tmp_path: Path
) -> None:
    small = tmp_path / "in.mp4"
    write_clip(textured(0.4), small, preset="ultrafast")
    plan = SigningPlan("generated", watermark_id=1 << 61 | 0xC0FFEE, encoding=FAST)
    options: dict[str, Any] = {"signer": signer, "repository": repository, "runner": InProcess()}
    assert sign(small, tmp_path / "one.mp4", plan=plan, **options).watermark_id == 1 << 61 | 0xC0FFEE
    with pytest.raises(UsageError, match="in use"):
        sign(small, tmp_path / "two.mp4", plan=plan, **options)
    with pytest.raises(UsageError, match="origin"):
        sign(small, tmp_path / "two.mp4", plan=replace(plan, origin="captured"), **options)
    assert left_in(tmp_path) == {"in.mp4", "one.mp4"}


def sound_only(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("aac", rate=44100)
        block = av.AudioFrame.from_ndarray(np.zeros((2, 44100), np.float32), format="fltp", layout="stereo")
        block.sample_rate, block.pts = 44100, 0
        container.mux(stream.encode(block))
        container.mux(stream.encode(None))


def truncated(path: Path) -> None:
    write_clip(textured(0.4, 64, 64), path, preset="ultrafast")
    path.write_bytes(path.read_bytes()[:400])


BAD_INPUTS = {
    "a text file": (lambda path: path.write_text("once upon a time\n" * 500), CannotRead, "no video at all"),
    "an empty file": (lambda path: path.touch(), CannotRead, "is empty"),
    "a truncated file": (truncated, CannotRead, "cannot be read"),
    "sound only": (sound_only, CannotRead, "no video stream"),
    "a folder": (lambda path: path.mkdir(), CannotRead, "is a folder"),
    "nothing": (lambda path: None, CannotRead, "no such file"),
    "a clip of a few pixels": (
        lambda path: write_clip(textured(0.2, 48, 48), path, preset="ultrafast"),
        CannotCarry,
        "too few for a watermark",
    ),
}


@pytest.mark.parametrize("name", BAD_INPUTS)
def test_bad_input_gives_one_line_a_hint_and_leaves_nothing(
    name: str, signer: Signer, repository: ManifestRepository, tmp_path: Path
) -> None:
    make, error, reason = BAD_INPUTS[name]
    source, outputs = tmp_path / "in.mp4", tmp_path / "outputs"
    outputs.mkdir()
    make(source)
    with pytest.raises(error, match=reason) as caught:
        sign(source, outputs / "out.mp4", signer=signer, repository=repository, runner=InProcess())
    assert str(source) in caught.value.message
    assert caught.value.hint
    assert "\n" not in caught.value.message
    assert left_in(outputs) == set()


def test_a_mark_that_the_encoding_destroys_is_noticed(
    signer: Signer, repository: ManifestRepository, tmp_path: Path
) -> None:
    source, outputs = tmp_path / "in.mp4", tmp_path / "outputs"
    outputs.mkdir()
    write_clip(textured(0.08, 96, 96), source, preset="ultrafast")
    plan = SigningPlan(encoding=Encoding("libx264", 51, "ultrafast"))
    with pytest.raises(CannotCarry, match="do not carry an id") as caught:
        sign(source, outputs / "out.mp4", signer=signer, repository=repository, plan=plan, runner=InProcess())
    assert "--no-watermark" in caught.value.hint
    assert left_in(outputs) == set()


def test_outputs_are_refused_before_any_work(
    source: Path, signer: Signer, repository: ManifestRepository, tmp_path: Path
) -> None:
    (tmp_path / "taken.mp4").write_text("mine")
    (tmp_path / "file").touch()
    for out, error in (
        (source, OutputExists),
        (tmp_path / "taken.mp4", OutputExists),
        (tmp_path, OutputExists),
        (tmp_path / "none" / "out.mp4", CannotWrite),
        (tmp_path / "file" / "out.mp4", CannotWrite),
        (tmp_path / "out.txt", CountermarkError),
    ):
        with pytest.raises(error) as caught:
            sign(source, out, signer=signer, repository=repository, runner=InProcess())
        assert caught.value.hint
    assert (tmp_path / "taken.mp4").read_text() == "mine"
    assert left_in(tmp_path) == {"taken.mp4", "file"}


class BrokenRepository(ManifestRepository):
    """One whose disk is full when the manifest arrives."""

    def store(self, *arguments: Any, **options: Any) -> Any:
        raise RepositoryError("the disk is full", hint="make room")


class LostCard:
    """A signer whose key is out of reach when it is needed."""

    def __init__(self, signer: Signer) -> None:
        self.name, self.algorithm, self.certificates_pem = signer.name, signer.algorithm, signer.certificates_pem

    def sign(self, to_be_signed: bytes) -> bytes:
        raise CredentialError("the card is out", hint="put it in")


def test_a_failure_at_the_end_leaves_a_reserved_id_and_nothing_else(
    source: Path, signer: Signer, folder: Path, tmp_path: Path
) -> None:
    plan = SigningPlan(streams=())
    broken = BrokenRepository(tmp_path / "broken.sqlite")
    outputs = tmp_path / "outputs"
    outputs.mkdir()
    with pytest.raises(RepositoryError, match="disk is full"):
        sign(source, outputs / "out.mp4", signer=signer, repository=broken, plan=plan, runner=InProcess())
    assert left_in(outputs) == set()
    whole = ManifestRepository(tmp_path / "whole.sqlite")
    with Worker() as worker, pytest.raises(CredentialError, match="card is out"):
        sign(source, outputs / "out.mp4", signer=LostCard(signer), repository=whole, plan=plan, runner=worker)
    assert left_in(outputs) == set()
    assert whole.manifest_ids() == []


def test_ctrl_c_ends_the_worker_and_leaves_nothing(source: Path, folder: Path, tmp_path: Path) -> None:
    program = (
        "import sys\nfrom pathlib import Path\n"
        "from provenance.credentials import open_signer\nfrom provenance.repository import ManifestRepository\n"
        "from provenance.sign import sign\n"
        "home, source, out = map(Path, sys.argv[1:])\n"
        "def heard(share):\n    print('at work', flush=True)\n"
        "sign(source, out, signer=open_signer(None, home / 'authority').signer,\n"
        "     repository=ManifestRepository(home / 'manifests.sqlite'), progress=heard)\n"
    )
    command = [sys.executable, "-c", program, str(folder), str(source), str(tmp_path / "out.mp4")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "at work\n"
    workers = _children(process.pid)
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=60)
    assert "KeyboardInterrupt" in complaint
    assert left_in(tmp_path) <= {"countermark-home"}
    deadline = time.monotonic() + 60
    while any(_is_alive(worker) for worker in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(_is_alive(worker) for worker in workers)


def _children(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()] if path.exists() else []


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
