"""Each feature family: named values, finite everywhere, and about what it says it is about."""

import numpy as np
import pytest

from detectors.canonical import FRAMES, SIDE, CanonicalFrames
from detectors.channels import CHANNELS, COLOUR_PROBE
from detectors.features.backbone import MiddleLayers, SamePadded, middle_layers
from detectors.features.motion import flow_between, motion_features, motion_names
from detectors.features.residual_spectrum import residual_spectrum_features, residual_spectrum_names
from detectors.table import recoloured

EVERY = [*CHANNELS, COLOUR_PROBE]


def canonical(frames: np.ndarray) -> CanonicalFrames:
    """Canonical frames as they are, without an encoding."""
    rgb = np.clip(np.rint(frames), 0, 255).astype(np.uint8)
    return CanonicalFrames(np.repeat(rgb[..., None], 3, -1) if rgb.ndim == 3 else rgb, b"", 0.0, 1.9, 400)


def texture(seed: int = 1, size: int = SIDE + 64) -> np.ndarray:
    """A smooth random picture, 8-bit levels."""
    spectrum = np.fft.rfft2(np.random.default_rng(seed).normal(size=(size, size)))
    radius = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None])
    picture = np.fft.irfft2(spectrum / (radius + 0.02) ** 1.5, (size, size))
    return 127 + 40 * (picture - picture.mean()) / picture.std()


def sliding(pixels_per_frame: int) -> np.ndarray:
    wide = texture()
    return np.stack([wide[16 : 16 + SIDE, t * pixels_per_frame : t * pixels_per_frame + SIDE] for t in range(FRAMES)])


@pytest.mark.parametrize("channel", EVERY, ids=lambda channel: channel.name)
@pytest.mark.parametrize("frames", [np.zeros((FRAMES, SIDE, SIDE)), np.full((FRAMES, SIDE, SIDE), 255.0), sliding(2)])
def test_gives_as_many_finite_values_as_it_has_names(channel, frames):
    values = channel.features(canonical(frames))
    assert values.shape == (len(channel.names()),)
    assert len(set(channel.names())) == len(channel.names())
    assert np.isfinite(values).all()


@pytest.mark.parametrize("channel", EVERY, ids=lambda channel: channel.name)
def test_leaves_the_frames_as_they_are_and_repeats_itself(channel):
    view = canonical(sliding(1))
    before = view.rgb.copy()
    assert np.array_equal(channel.features(view), channel.features(view))
    assert np.array_equal(view.rgb, before)


def test_flow_finds_how_far_a_picture_slid():
    frames = np.rint(sliding(2)).astype(np.uint8)
    flow = flow_between(frames[:1], frames[1:2])[0, 32:-32, 32:-32]
    assert np.median(flow[..., 0]) == pytest.approx(-2, abs=0.2)
    assert np.median(flow[..., 1]) == pytest.approx(0, abs=0.2)


def test_a_picture_that_slides_moves_globally_and_one_that_boils_does_not():
    random = np.random.default_rng(2)
    boiling = np.stack([texture(seed)[:SIDE, :SIDE] for seed in random.integers(0, 1000, FRAMES)])
    share = motion_names().index("global.share")
    sliding_share, boiling_share = (motion_features(canonical(frames))[share] for frames in (sliding(2), boiling))
    assert sliding_share > 0.8
    assert boiling_share < 0.7


def test_noise_that_is_new_in_every_frame_reads_faster_than_noise_that_lasts_four():
    random = np.random.default_rng(4)
    base = texture()[:SIDE, :SIDE]
    new = base + random.normal(0, 6, (FRAMES, SIDE, SIDE))
    lasting = base + np.repeat(random.normal(0, 6, (FRAMES // 4, SIDE, SIDE)), 4, axis=0)
    names = residual_spectrum_names()
    lag, tempo = names.index("luma.lag1"), names.index("luma.band2.tempo7")
    fast, slow = (residual_spectrum_features(canonical(frames)) for frames in (new, lasting))
    assert fast[lag] < 0.1 < 0.5 < slow[lag]
    assert fast[tempo] > slow[tempo] + 0.5


def test_residual_values_hardly_move_with_contrast():
    random = np.random.default_rng(4)
    frames = texture()[:SIDE, :SIDE] + random.normal(0, 5, (FRAMES, SIDE, SIDE))
    full, half = (residual_spectrum_features(canonical(127 + gain * (frames - 127))) for gain in (1.0, 0.5))
    luma = [i for i, name in enumerate(residual_spectrum_names()) if name.startswith(("luma", "radial"))]
    assert np.abs(full - half)[luma].max() < 0.15


def test_the_image_network_pads_an_even_picture_at_its_far_sides():
    layer = SamePadded(1, 1, 3, 2, bias=False)
    import torch

    with torch.no_grad():
        layer.weight.copy_(torch.arange(9.0).reshape(1, 1, 3, 3))
        picture = torch.zeros(1, 1, 4, 4)
        picture[0, 0, 0, 0] = 1.0
        out = layer(picture)
    assert out.shape == (1, 1, 2, 2)
    assert out[0, 0, 0, 0] == 0.0  # weight (0, 0): nothing was padded before the first pixel


def test_the_image_network_holds_the_weights_of_its_package():
    network = middle_layers()
    assert isinstance(network, MiddleLayers)
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_recoloured_copies_change_colours_and_nothing_else_of_the_view():
    view = canonical(np.repeat(sliding(1)[..., None], 3, -1) * np.array([1.0, 0.8, 0.6]))
    first = recoloured(view, np.random.default_rng(1))
    assert np.array_equal(first.rgb, recoloured(view, np.random.default_rng(1)).rgb)
    assert np.abs(first.rgb.astype(float) - view.rgb).mean() > 3
    assert (first.start_seconds, first.square_pixels) == (view.start_seconds, view.square_pixels)
