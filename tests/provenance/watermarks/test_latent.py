"""The latent watermark is read back through a noisy inversion, under its own key only."""

from fractions import Fraction

import numpy as np
import pytest

from provenance.keys import Key
from provenance.video import Clip, Window
from provenance.watermarks.latent import LatentWatermark, LatentWatermarkCheck, Stretch
from provenance.watermarks.payload import Origin, compose_id

SHAPE = (12, 4, 16, 16)
MINE = Key("mine", b"\x07" * 32).stream("latent/1")
THEIRS = Key("theirs", b"\x08" * 32).stream("latent/1")
ID = compose_id(Origin.GENERATED, 0x123456789ABCDEF)


class LinearGenerator:
    """A simulator of a diffusion model: pixels are a fixed orthogonal transform of the noise, stored in 8 bits.

    It samples and inverts for real (through uint8 pixels), with a dialled inversion error.
    """

    name = "linear simulator"
    noise_shape = SHAPE
    frames_per_second = Fraction(8)
    clip_seconds = 2.0

    def __init__(self, error: float = 0.0) -> None:
        self.error = error

    def sample(self, noise, prompt, *, steps=20, guidance=2.0, first_frame=None, start=0.0):
        pixels = np.clip(128 + 30 * noise.reshape(16, 32, 8, 3), 0, 255)
        return Clip.at_rate(pixels.round().astype(np.uint8), 8)

    def invert(self, clip, *, steps=10):
        noise = (clip.frames[:16].astype(np.float32) - 128) / 30
        rng = np.random.default_rng(int(clip.frames.sum()) % 2**31)
        return noise.reshape(SHAPE) + self.error * rng.standard_normal(SHAPE).astype(np.float32)


def marked_noise(seed: int, watermark_id: int = ID) -> np.ndarray:
    return LatentWatermark(MINE, SHAPE).noise(watermark_id, np.random.default_rng(seed))


def read(stream, *noises):
    stretches = [Stretch((2.0 * i, 2.0 * i + 2), noise) for i, noise in enumerate(noises)]
    return LatentWatermark(stream, SHAPE).read(stretches)


def test_the_id_survives_an_inversion_that_keeps_two_thirds_of_the_signs():
    for seed in range(5):
        noise = marked_noise(seed)
        bad = noise + 2.2 * np.random.default_rng(100 + seed).standard_normal(SHAPE)  # sign agreement about .67
        (evidence,) = read(MINE, bad)
        assert evidence.watermark_id == ID
        assert evidence.origin == "generated"
        assert evidence.log10_p <= -9


def test_under_another_key_there_is_nothing():
    (evidence,) = read(THEIRS, marked_noise(1))
    assert evidence.watermark_id is None
    assert evidence.log10_p > -4


def test_plain_noise_is_unmarked():
    for seed in range(20):
        (evidence,) = read(MINE, np.random.default_rng(seed).standard_normal(SHAPE))
        assert evidence.watermark_id is None
        assert evidence.log10_p > -4


def test_two_stretches_that_fail_alone_succeed_together():
    rng = np.random.default_rng(9)
    noises = [marked_noise(seed) + 8.0 * rng.standard_normal(SHAPE) for seed in range(3)]
    alone = [read(MINE, noise)[0] for noise in noises]
    together = read(MINE, *noises)[0]
    assert [one.watermark_id for one in alone] == [None, None, None]
    assert together.watermark_id == ID


def test_spans_name_the_stretches_that_carry_it():
    plain = np.random.default_rng(5).standard_normal(SHAPE)
    (evidence,) = read(MINE, marked_noise(1), plain)
    assert evidence.spans == ((0.0, 2.0),)
    assert evidence.examined == ((0.0, 2.0), (2.0, 4.0))


def test_clips_of_one_key_share_no_noise():
    values = np.stack([marked_noise(seed).ravel() for seed in range(30)])
    correlation = np.corrcoef(values)[np.triu_indices(30, 1)]
    plain = 1 / np.sqrt(values.shape[1])
    assert correlation.std() < 1.3 * plain
    assert np.abs(correlation).max() < 5 * plain


def test_frames_of_one_clip_share_no_noise():
    frames = marked_noise(3).swapaxes(0, 1).reshape(4, -1)
    assert np.abs(np.corrcoef(frames)[np.triu_indices(4, 1)]).max() < 5 / np.sqrt(frames.shape[1])


@pytest.mark.parametrize("window_frames", [1, 5, 16])
def test_the_check_reads_a_stream_of_windows(window_frames):
    generator = LinearGenerator(error=1.0)
    clip = generator.sample(marked_noise(2), "anything")
    check = LatentWatermarkCheck([MINE, THEIRS], lambda: generator)
    check.start(None)
    for first in range(0, len(clip), window_frames):
        check.see(Window.of(clip.select(slice(first, first + window_frames)), first))
    mine, theirs = check.evidence()
    assert mine.watermark_id == ID
    assert mine.key == "mine"
    assert theirs.watermark_id is None


def test_without_a_key_it_says_so_and_decodes_nothing():
    check = LatentWatermarkCheck([], lambda: pytest.fail("no generator is needed"))
    check.start(None)
    assert check.see(Window.of(LinearGenerator().sample(marked_noise(2), ""))) is True
    (evidence,) = check.evidence()
    assert evidence.to_json() == {"check": "latent-watermark", "found": None, "reason": "no key"}


def test_a_gap_in_the_timestamps_does_not_use_up_the_stretches():
    generator = LinearGenerator(error=1.0)
    before, after = (generator.sample(marked_noise(seed), "anything") for seed in (2, 3))
    half = len(before) // 2
    frames = np.concatenate([before.frames[:half], after.frames])
    times = np.concatenate([before.times[:half], after.times + 10.0])
    check = LatentWatermarkCheck([MINE], lambda: generator)
    check.start(None)
    check.see(Window.of(Clip(frames, times)))
    (evidence,) = check.evidence()
    assert evidence.watermark_id == ID
    assert [begin for begin, _ in evidence.spans] == pytest.approx([10.0])


def test_an_id_has_the_chance_of_its_own_stretch():
    weak = compose_id(Origin.GENERATED, 5)
    rng = np.random.default_rng(9)
    noise = LatentWatermark(MINE, SHAPE).noise(weak, np.random.default_rng(1)) + 6.0 * rng.standard_normal(SHAPE)
    by_id = {row.watermark_id: row.log10_p for row in read(MINE, marked_noise(1), noise)}
    (alone,) = read(MINE, noise)
    assert alone.watermark_id == weak
    assert by_id[ID] < -100
    assert by_id[weak] == pytest.approx(alone.log10_p, abs=1)
