"""A clip that is made says where it comes from; a crash on the way leaves a reserved id and nothing else.

The model is real but small and untrained: what it shows does not matter here.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from generator.autoencoder import Autoencoder, AutoencoderConfig
from generator.marked import Marks, Wish, make_marked
from generator.model import BuiltInGenerator
from generator.training.data import fit_encoder
from generator.transformer import Transformer, TransformerConfig
from generator.upsampler import Upsampler, UpsamplerConfig
from provenance.credentials.authority import own_authority_pem, own_signer
from provenance.credentials.check import CredentialsCheck
from provenance.credentials.trust import load_trust
from provenance.errors import CannotWrite, CredentialError, OutputExists, UsageError
from provenance.keys import PUBLIC, Key
from provenance.repository import ManifestRepository
from provenance.video import Video
from provenance.watermarks.latent import LatentWatermarkCheck
from provenance.watermarks.payload import Origin
from provenance.watermarks.pixel import PixelWatermark

HOME = Key("home", bytes(range(32)))


def untrained(side: int) -> BuiltInGenerator:
    torch.manual_seed(0)
    autoencoder: Autoencoder = fit_encoder(AutoencoderConfig(), clips=8)
    transformer = Transformer(TransformerConfig(side=side, width=32, depth=1, heads=2))
    return BuiltInGenerator(autoencoder, transformer, Upsampler(UpsamplerConfig(width=4, blocks=1)))


@pytest.fixture(scope="module")
def model() -> BuiltInGenerator:
    """As large as the one that ships, so that its clips carry both ids."""
    return untrained(side=16)


@pytest.fixture(scope="module")
def small() -> BuiltInGenerator:
    """Quick, too small for a pixel id."""
    return untrained(side=6)


@pytest.fixture
def marks(tmp_path: Path) -> Marks:
    return Marks(
        latent=HOME.stream("latent/1"),
        pixel=(PUBLIC.stream("pixel/1"),),
        signer=own_signer(tmp_path / "authority").signer,
        repository=ManifestRepository(tmp_path / "manifests.sqlite"),
    )


def evidence_of(check, path: Path):
    video = Video(path)
    check.start(video.info)
    for window in video.windows():
        check.see(window)
    return check.evidence()


@pytest.mark.slow
def test_a_made_clip_carries_both_watermarks_its_credentials_and_is_remembered(
    model: BuiltInGenerator, marks: Marks, tmp_path: Path
) -> None:
    heard: list[float] = []
    made = make_marked(
        Wish("snow on mountains", seed=7, steps=4),
        tmp_path / "snow.mp4",
        model,
        marks,
        told=lambda share, doing: heard.append(share),
    )
    assert made.watermark_id >> 61 == Origin.GENERATED
    assert heard[-1] == 1.0
    assert heard == sorted(heard)

    trust = load_trust(None, own_authority_pem(tmp_path / "authority"))
    (credentials,) = CredentialsCheck(trust).examine(Video(made.path))
    assert (credentials.status, credentials.ai, credentials.manifest) == ("intact", "whole", made.manifest_id)
    assert credentials.signer is not None
    assert credentials.signer.trust == "own"

    assert PixelWatermark(PUBLIC.stream("pixel/1")).read(Video(made.path).read()).watermark_id == made.watermark_id
    (latent,) = evidence_of(LatentWatermarkCheck([HOME.stream("latent/1")], lambda: model), made.path)
    assert latent.watermark_id == made.watermark_id

    number = made.watermark_id.to_bytes(8, "big")
    for algorithm in ("org.countermark.pixel.1", "org.countermark.latent.1"):
        assert [one.manifest_id for one in marks.repository.find_by_binding(algorithm, number)] == [made.manifest_id]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_failing_signature_leaves_a_reserved_id_and_no_file(
    small: BuiltInGenerator, marks: Marks, tmp_path: Path
) -> None:
    class Refusing:
        algorithm = marks.signer.algorithm
        certificates_pem = marks.signer.certificates_pem

        def sign(self, to_be_signed: bytes) -> bytes:
            raise CredentialError("the card was pulled out", hint="put it back")

    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(CredentialError, match="pulled out"):
        make_marked(Wish("rain", steps=1), tmp_path / "rain.mp4", small, dataclasses.replace(marks, signer=Refusing()))
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_outputs_are_refused_before_an_id_is_spent(small: BuiltInGenerator, marks: Marks, tmp_path: Path) -> None:
    (tmp_path / "there.mp4").write_bytes(b"mine")
    with pytest.raises(OutputExists):
        make_marked(Wish("rain"), tmp_path / "there.mp4", small, marks)
    with pytest.raises(CannotWrite, match="container"):
        make_marked(Wish("rain"), tmp_path / "clip.png", small, marks)
    assert (tmp_path / "there.mp4").read_bytes() == b"mine"


@pytest.mark.parametrize(
    "wish",
    [
        {"prompt": " "},
        {"seconds": 0.0},
        {"seconds": 1e9},
        {"steps": 0},
        {"lines": 100},
        {"lines": 513},
        {"guidance": float("nan")},
    ],
)
def test_a_wish_that_makes_no_sense_is_refused(wish: dict) -> None:
    with pytest.raises(UsageError):
        Wish(**({"prompt": "rain"} | wish))


@pytest.mark.parametrize("lines", [100, 513, 4000])
def test_a_size_that_makes_no_sense_is_refused(lines: int) -> None:
    with pytest.raises(UsageError, match="lines"):
        Wish("rain", lines=lines)


@pytest.mark.slow
def test_an_unmarked_twin_carries_nothing(model: BuiltInGenerator, marks: Marks, tmp_path: Path) -> None:
    made = make_marked(Wish("rain", steps=1), tmp_path / "a.mp4", model, marks, twin=tmp_path / "b.mp4")
    assert made.twin == tmp_path / "b.mp4"
    assert PixelWatermark(PUBLIC.stream("pixel/1")).read(Video(made.twin).read()).watermark_id is None
    (latent,) = evidence_of(LatentWatermarkCheck([HOME.stream("latent/1")], lambda: model), made.twin)
    assert latent.watermark_id is None
    (credentials,) = CredentialsCheck(load_trust(None)).examine(Video(made.twin))
    assert credentials.status == "absent"


def test_credentials_of_another_clip_beside_the_output_stay_and_nothing_is_made(
    small: BuiltInGenerator, marks: Marks, tmp_path: Path
) -> None:
    other = tmp_path / "clip.mkv.c2pa"
    other.write_bytes(b"of another clip")
    with pytest.raises(OutputExists):
        make_marked(Wish("snow", seconds=0.2, steps=1), tmp_path / "clip.mkv", small, marks)
    assert other.read_bytes() == b"of another clip"
    assert marks.repository.manifest_ids() == []
    assert sorted(path.name for path in tmp_path.iterdir() if "clip" in path.name) == ["clip.mkv.c2pa"]


@pytest.mark.parametrize(("name", "said"), [("missing/clip.mp4", "folder"), ("clip.webm", "does not hold")])
def test_what_cannot_be_written_is_said_before_anything_is_sampled(
    name: str, said: str, small: BuiltInGenerator, marks: Marks, tmp_path: Path
) -> None:
    with pytest.raises(CannotWrite, match=said):
        make_marked(Wish("snow"), tmp_path / name, small, marks)
    assert not (tmp_path / name).exists()
