"""Verification from end to end: a clip is marked, signed and remembered; mistreated; and found again."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from provenance.credentials import CredentialsCheck
from provenance.credentials.authority import own_authority_pem, own_signer
from provenance.credentials.manifest import (
    FINGERPRINT_ALGORITHM,
    PIXEL_ALGORITHM,
    Manifest,
    SoftBinding,
    watermark_binding,
)
from provenance.credentials.signing import media_type_of, sign_file
from provenance.credentials.trust import Trust, load_trust
from provenance.errors import CannotRead, RepositoryError, TookTooLong, WeightsError
from provenance.evidence import Check, CredentialsEvidence, Evidence, FingerprintMatch, WatermarkEvidence
from provenance.keys import PUBLIC, Key, KeyStream
from provenance.repository import Fingerprint, FingerprintCheck, ManifestRepository
from provenance.repository.fingerprint import sketch_of
from provenance.sandbox.limits import Limits
from provenance.sandbox.worker import InProcess, Worker
from provenance.verify import Report, Unread, verify, verify_each
from provenance.video import Clip, Video, VideoInfo, Window
from provenance.video.transform import reencode, strip
from provenance.video.write import write_clip
from provenance.watermarks.payload import Origin
from provenance.watermarks.pixel import PixelWatermark, PixelWatermarkCheck

RATE = 24
HOME = Key("home", bytes(range(32)))


def moving_texture(seed: int, frames: int = 60, height: int = 360, width: int = 640) -> Clip:
    """A texture that pans, with a bright block that crosses it."""
    random = np.random.default_rng(seed)
    coarse = cv2.resize(
        random.random((9, 14, 3)).astype(np.float32), (width + 80, height), interpolation=cv2.INTER_CUBIC
    )
    fine = cv2.GaussianBlur(random.normal(0, 1, (height, width + 80, 3)).astype(np.float32), (0, 0), 2)
    scene = np.clip(60 + 130 * coarse + 25 * fine, 0, 255).astype(np.uint8)
    made = []
    for number in range(frames):
        frame = scene[:, number % 80 : number % 80 + width].copy()
        frame[120:200, 4 * number % 500 : 4 * number % 500 + 90] = 230
        made.append(frame)
    return Clip.at_rate(np.stack(made), RATE)


@dataclass(frozen=True)
class Recipe:
    """Makes checks in whatever process; picklable, as the application's is."""

    trust: Trust
    streams: tuple[KeyStream, ...] = field(default=(PUBLIC.stream("pixel/1"),), repr=False)

    def __call__(self) -> Sequence[Check]:
        return [CredentialsCheck(self.trust), PixelWatermarkCheck(self.streams), FingerprintCheck()]


@dataclass(frozen=True)
class Studio:
    """Somebody who marks, signs and remembers clips."""

    folder: Path
    repository: ManifestRepository
    recipe: Recipe

    def signed(self, clip: Clip, name: str, key: Key = PUBLIC, remember: bool = True) -> Path:
        unsigned, out = self.folder / f"unsigned-{name}", self.folder / name
        watermark_id = self.repository.reserve_id(Origin.GENERATED)
        write_clip(PixelWatermark(key.stream("pixel/1")).embed(clip, watermark_id), unsigned, crf=18)
        fingerprint = Fingerprint.of(sketch_of(Video(unsigned).windows())).to_bytes()
        binding = watermark_binding(PIXEL_ALGORITHM, watermark_id)
        bindings = (binding, SoftBinding(FINGERPRINT_ALGORITHM, fingerprint))
        manifest = Manifest(name, media_type_of(out), "generated", soft_bindings=bindings)
        signed = sign_file(unsigned, out, manifest, own_signer(self.folder / "authority").signer)
        if remember:
            self.repository.store(
                signed.manifest_id, signed.manifest_bytes, [(binding.algorithm, binding.value)], fingerprint, name
            )
        return out

    def verify(self, path: Path, **more: object) -> Report:
        return verify(path, self.recipe, recover=self.repository, worker=InProcess(), **more)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    folder = tmp_path_factory.mktemp("studio")
    own_signer(folder / "authority")
    recipe = Recipe(load_trust(None, own_authority_pem(folder / "authority")))
    return Studio(folder, ManifestRepository(folder / "manifests.db"), recipe)


@pytest.fixture(scope="module")
def signed(studio: Studio) -> Path:
    return studio.signed(moving_texture(1), "signed.mp4")


@pytest.fixture(scope="module")
def stripped(studio: Studio, signed: Path) -> Path:
    bare, out = studio.folder / "bare.mp4", studio.folder / "stripped.mp4"
    strip(signed, bare)
    reencode(bare, out, codec="libx264", crf=28, preset="veryfast")
    return out


def pixel_of(report: Report) -> WatermarkEvidence:
    found = [item for item in report.evidence if isinstance(item, WatermarkEvidence)]
    assert len(found) == 1
    return found[0]


def test_an_untouched_clip_is_known_by_its_own_credentials(studio: Studio, signed: Path) -> None:
    report = studio.verify(signed)
    assert (report.verdict.finding, report.verdict.grade, report.verdict.because) == (
        "generated",
        "established",
        "credentials",
    )
    credentials = [item for item in report.evidence if isinstance(item, CredentialsEvidence)]
    assert [item.status for item in credentials] == ["intact"]
    assert pixel_of(report).content == "fits"
    assert pixel_of(report).manifest == credentials[0].manifest


def test_a_stripped_and_re_encoded_clip_leads_back_to_its_manifest(
    studio: Studio, signed: Path, stripped: Path
) -> None:
    report = studio.verify(stripped)
    verdict = report.verdict
    assert (verdict.finding, verdict.grade, verdict.because) == ("generated", "recovered", "credentials")
    assert verdict.statement.startswith("This clip descends from one that")
    statuses = [(item.status, item.content) for item in report.evidence if isinstance(item, CredentialsEvidence)]
    assert statuses == [("absent", None), ("recovered", "fits")]
    row = report.to_json()
    pixel = next(item for item in row["evidence"] if item["check"] == "pixel-watermark")
    assert (pixel["found"], pixel["key"], pixel["origin"], pixel["content"]) == (True, "public", "generated", "fits")
    assert pixel["manifest"] == pixel_of(studio.verify(signed)).manifest
    fingerprint = next(item for item in row["evidence"] if item["check"] == "fingerprint")
    assert fingerprint["matches"][0]["manifest"] == pixel["manifest"]
    assert row["context"]["first_seen"] is not None
    assert "Countermark" in row["context"]["signed_by"]


def test_a_watermark_pasted_on_another_clip_is_a_conflict(studio: Studio, signed: Path) -> None:
    clean, other = moving_texture(1), moving_texture(7)
    marked = Video(signed).read()
    difference = marked.frames.astype(np.int16) - clean.frames[: len(marked)].astype(np.int16)
    pasted = np.clip(other.frames[: len(marked)].astype(np.int16) + difference, 0, 255).astype(np.uint8)
    path = studio.folder / "pasted.mp4"
    write_clip(Clip.at_rate(pasted, RATE), path, crf=20)
    report = studio.verify(path)
    assert pixel_of(report).content == "differs"
    assert (report.verdict.finding, report.verdict.because) == ("conflict", "pixel-watermark")
    assert "copied" in report.verdict.statement


@pytest.mark.slow  # the search for changed geometry looks everywhere
def test_an_unmarked_clip_gives_no_evidence(studio: Studio) -> None:
    path = studio.folder / "plain.mp4"
    write_clip(moving_texture(3, frames=48), path)
    report = studio.verify(path)
    assert (report.verdict.finding, report.verdict.grade) == ("no_evidence", "none")
    assert pixel_of(report).found is False


def test_a_watermark_whose_manifest_nobody_remembers_could_be_copied(
    studio: Studio, stripped: Path, tmp_path: Path
) -> None:
    empty = replace(studio, repository=ManifestRepository(tmp_path / "empty.db"))
    report = empty.verify(stripped)
    assert (report.verdict.finding, report.verdict.grade) == ("marked", "declared")
    assert "anyone can write" in report.verdict.statement
    assert pixel_of(report).manifest is None


@pytest.mark.slow  # the search for changed geometry looks everywhere
def test_a_key_of_ones_own_with_a_manifest_that_fits_is_established(studio: Studio) -> None:
    own, bare = studio.signed(moving_texture(5), "own.mp4", key=HOME), studio.folder / "own-bare.mp4"
    strip(own, bare)
    with_key = replace(studio, recipe=replace(studio.recipe, streams=(HOME.stream("pixel/1"),)))
    report = with_key.verify(bare)
    assert (report.verdict.finding, report.verdict.grade) == ("generated", "established")
    assert "“home”" in report.verdict.statement
    assert studio.verify(bare).verdict.because == "fingerprint", "without the key there is only a resemblance"


def test_a_repository_that_files_a_manifest_wrongly_is_not_believed(
    studio: Studio, stripped: Path, tmp_path: Path
) -> None:
    honest = studio.repository.get(studio.repository.manifest_ids()[0])
    assert honest is not None
    other, out = tmp_path / "other.mp4", tmp_path / "other-signed.mp4"
    write_clip(moving_texture(6, frames=12), other)
    unrelated = sign_file(
        other, out, Manifest("other", "video/mp4", "captured"), own_signer(studio.folder / "authority").signer
    )
    lying = ManifestRepository(tmp_path / "lying.db")
    lying.store(unrelated.manifest_id, unrelated.manifest_bytes, honest.bindings)
    report = replace(studio, repository=lying).verify(stripped)
    assert pixel_of(report).found
    assert pixel_of(report).manifest is None
    assert report.verdict.finding == "marked"


def test_without_a_repository_nothing_is_looked_up(studio: Studio, stripped: Path) -> None:
    report = verify(stripped, studio.recipe, worker=InProcess())
    assert pixel_of(report).found
    assert pixel_of(report).manifest is None
    assert report.context.first_seen is None


@pytest.mark.slow
def test_the_same_bytes_come_out_of_every_run_and_any_number_of_workers(studio: Studio, signed: Path) -> None:
    paths = [signed, studio.folder / "missing.mp4", studio.folder / "unsigned-signed.mp4"]
    recipe = replace(studio.recipe, streams=())
    alone = list(verify_each(paths, recipe, recover=studio.repository, tool={"version": "1"}))
    several = list(verify_each(paths, recipe, recover=studio.repository, tool={"version": "1"}, workers=2))
    assert [_without_seconds(item) for item in alone] == [_without_seconds(item) for item in several]
    assert isinstance(alone[1], Unread)
    assert json.loads(alone[1].to_line()) == {"file": str(paths[1]), "error": f"{paths[1]}: there is no such file"}
    row = json.loads(alone[0].to_line())
    assert list(row) == [
        *("file", "sha256", "schema_version", "tool", "verdict", "evidence"),
        *("context", "not_examined", "warnings", "seconds"),
    ]


def _without_seconds(item: Report | Unread) -> str:
    return (replace(item, seconds=0.0) if isinstance(item, Report) else item).to_line()


def test_the_worker_gives_the_same_evidence_as_this_process(studio: Studio, stripped: Path) -> None:
    heard: list[float] = []
    without_pixels = replace(studio, recipe=replace(studio.recipe, streams=()))
    with Worker() as worker:
        there = verify(stripped, without_pixels.recipe, recover=studio.repository, worker=worker, progress=heard.append)
    here = without_pixels.verify(stripped)
    assert _without_seconds(there) == _without_seconds(here)
    assert heard == sorted(heard)
    assert heard


def test_keyframes_are_small_pictures_of_evenly_spaced_moments(studio: Studio, stripped: Path) -> None:
    report = verify(stripped, FingerprintOnly(), worker=InProcess(), keyframes=4)
    assert [seconds for seconds, _ in report.keyframes] == pytest.approx([0.31, 0.94, 1.56, 2.19], abs=1 / RATE)
    for _, picture in report.keyframes:
        decoded = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
        assert decoded.shape == (270, 480, 3)


@dataclass(frozen=True)
class FingerprintOnly:
    def __call__(self) -> Sequence[Check]:
        return [FingerprintCheck()]


class Unready:
    """A check of frames whose weights are missing at one of its steps."""

    name = "detectors"

    def __init__(self, step: str) -> None:
        self.step = step

    def _fail(self, step: str) -> None:
        if step == self.step:
            raise WeightsError("weights are missing", hint="install them")

    def start(self, info: VideoInfo) -> None:
        self._fail("start")

    def see(self, window: Window) -> bool:
        self._fail("see")
        return True

    def evidence(self) -> list[Evidence]:
        self._fail("evidence")
        return []


@pytest.mark.parametrize("step", ["start", "see", "evidence"])
def test_a_check_that_fails_leaves_the_others_their_say(stripped: Path, step: str) -> None:
    report = verify(stripped, lambda: [Unready(step), FingerprintCheck()], worker=InProcess(), keyframes=0)
    assert [item.to_json() for item in report.not_examined] == [{"what": "detectors", "why": "weights are missing"}]
    assert [item.check for item in report.evidence] == ["fingerprint"]


class Stumbling(Unready):
    """A check with a bug, or a file that brings one out."""

    def _fail(self, step: str) -> None:
        if step == self.step:
            raise IndexError("index 3 is out of bounds")


@pytest.mark.parametrize("step", ["start", "see", "evidence"])
def test_a_check_that_stumbles_leaves_the_others_their_say(stripped: Path, step: str) -> None:
    report = verify(stripped, lambda: [Stumbling(step), FingerprintCheck()], worker=InProcess(), keyframes=0)
    (missed,) = report.not_examined
    assert missed.what == "detectors"
    assert "IndexError" in missed.why
    assert [item.check for item in report.evidence] == ["fingerprint"]


class Broken(ManifestRepository):
    """A repository whose database fails in the middle of the work."""

    def nearest(self, fingerprint: bytes, limit: int = 5) -> list[FingerprintMatch]:
        raise RepositoryError("the disk went away", hint="plug it in")


def test_a_repository_that_fails_leaves_the_evidence_its_say(stripped: Path, tmp_path: Path) -> None:
    broken = Broken(tmp_path / "broken.db")
    report = verify(stripped, FingerprintOnly(), recover=broken, worker=InProcess())
    assert [item.to_json() for item in report.not_examined] == [
        {"what": "manifest repository", "why": "the disk went away"}
    ]
    assert [item.check for item in report.evidence] == ["fingerprint"]


@dataclass(frozen=True)
class Crashing:
    """Checks whose reader of manifests takes the worker down."""

    def __call__(self) -> Sequence[Check]:
        return [CrashingCredentials(), PixelWatermarkCheck((PUBLIC.stream("pixel/1"),))]


class CrashingCredentials:
    name = "credentials"

    def examine(self, video: Video) -> list[Evidence]:
        return [CredentialsEvidence("absent")]

    def examine_recovered(self, manifest_bytes: bytes) -> list[Evidence]:
        os._exit(7)


@pytest.mark.slow
def test_a_stored_manifest_that_breaks_the_worker_does_not_sink_the_file(studio: Studio, stripped: Path) -> None:
    with Worker() as worker:
        report = verify(stripped, Crashing(), recover=studio.repository, worker=worker)
    assert report.verdict.finding == "marked"
    assert pixel_of(report).manifest is None


class Endless:
    """A recipe that never comes to an end."""

    def __call__(self) -> Sequence[Check]:
        time.sleep(600)
        return []


def test_the_limits_that_are_named_hold(tmp_path: Path) -> None:
    write_clip(moving_texture(1, frames=8), tmp_path / "clip.mp4")
    with pytest.raises(TookTooLong, match=r"0\.3 s"):
        verify(tmp_path / "clip.mp4", Endless(), limits=Limits(seconds=0.3))


def cropped(path: Path, out: Path, share: float) -> Path:
    clip = Video(path).read()
    height, width = int(clip.height * share) // 2 * 2, int(clip.width * share) // 2 * 2
    write_clip(Clip.at_rate(clip.frames[:, 40 : 40 + height, 60 : 60 + width], RATE), out, crf=28)
    return out


def test_a_crop_is_mapped_back_before_contents_are_compared(studio: Studio, signed: Path) -> None:
    report = studio.verify(cropped(signed, studio.folder / "cropped.mp4", 0.71))
    assert (report.verdict.finding, report.verdict.grade) == ("generated", "recovered")
    assert pixel_of(report).content == "fits"


def test_a_file_that_breaks_off_is_examined_up_to_there_and_says_so(stripped: Path, tmp_path: Path) -> None:
    long = tmp_path / "long.mkv"
    write_clip(moving_texture(2, frames=96), long, options={"g": "12"})
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(long.read_bytes()[: int(long.stat().st_size * 0.5)])
    report = verify(cut, FingerprintOnly(), worker=InProcess())
    assert any(item.what.startswith("from ") for item in report.not_examined)
    assert verify(long, FingerprintOnly(), worker=InProcess()).not_examined == ()


def test_what_is_no_video_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    letter = tmp_path / "letter.mp4"
    letter.write_text("Dear all,")
    with pytest.raises(CannotRead, match=r"letter\.mp4"):
        verify(letter, FingerprintOnly(), worker=InProcess())
