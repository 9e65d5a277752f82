"""The model on random small weights: shapes, reversibility, strictness. No trained weights are needed."""

import numpy as np
import pytest
import torch

from generator import flow
from generator.autoencoder import Autoencoder, AutoencoderConfig, patches, to_bytes, to_signed, unpatched
from generator.gaussian import Gaussian
from generator.model import BuiltInGenerator
from generator.optimiser import Muon, orthogonalised
from generator.scenes import render
from generator.training.data import fit_encoder
from generator.transformer import Transformer, TransformerConfig
from generator.upsampler import Upsampler, UpsamplerConfig, back_projected, delivered, reduced
from generator.weights import check, load_transformer, publish, save
from provenance.errors import UsageError, WeightsError
from provenance.quality import psnr
from provenance.video import Clip

TINY = TransformerConfig(channels=16, side=4, width=32, depth=2, heads=2)
NOTHING = torch.zeros(1, 0, dtype=torch.long)


def randomised(model: torch.nn.Module, deviation: float) -> torch.nn.Module:
    random = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(deviation * torch.randn(parameter.shape, generator=random))
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def autoencoder() -> Autoencoder:
    return fit_encoder(AutoencoderConfig(), clips=8)


@pytest.fixture(scope="module")
def generator(autoencoder) -> BuiltInGenerator:
    transformer = randomised(Transformer(TINY), 0.03)
    return BuiltInGenerator(autoencoder, transformer, Upsampler(UpsamplerConfig(width=8, blocks=1)))


def noise_for(generator: BuiltInGenerator, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(generator.noise_shape).astype(np.float32)


class TestAutoencoder:
    def test_patches_go_back_where_they_came_from(self):
        clips = torch.randn(2, 3, 8, 16, 24)
        config = AutoencoderConfig()
        assert torch.equal(unpatched(patches(clips, config), config), clips)

    def test_what_the_linear_decoder_paints_is_encoded_back(self, autoencoder):
        latents = torch.randn(1, *autoencoder.latent_shape(16, 32, 32))
        assert torch.allclose(autoencoder.encode(autoencoder.decode_linear(latents)), latents, atol=1e-3)

    def test_a_fully_closed_decoder_leaves_the_latents_alone_whatever_its_network_does(self, autoencoder):
        closed = Autoencoder(AutoencoderConfig(closed=1.0))
        closed.load_state_dict(autoencoder.state_dict())
        randomised(closed, 0.02)
        latents = torch.randn(1, *autoencoder.latent_shape(16, 32, 32))
        painted = closed.decode(latents)
        assert (painted - closed.decode_linear(latents)).abs().mean() > 1e-3
        assert torch.allclose(closed.encode(painted), latents, atol=1e-3)

    def test_reconstruction_of_an_unseen_scene_resembles_it(self, autoencoder):
        frames = torch.from_numpy(render(77, "mountains", 64, 16)[0])[None]
        with torch.no_grad():
            again = to_bytes(autoencoder.decode(autoencoder.encode(to_signed(frames))))
        assert psnr(frames.numpy(), again.numpy()) > 20


class TestGaussian:
    def test_its_basis_is_orthonormal(self):
        gaussian = Gaussian((3, 4, 6, 6))
        x = torch.randn(200, 3, 4, 6, 6)
        gaussian.fit(x, NOTHING.expand(200, 0))
        prior = gaussian.prior(NOTHING.expand(200, 0))
        components = gaussian.components(gaussian.cosine_coefficients(x), prior)
        assert torch.allclose(components.square().sum(), x.square().sum(), rtol=1e-4)
        assert torch.allclose(gaussian.latents(components, prior), x, atol=1e-4)

    def test_its_components_are_uncorrelated_where_channels_and_rows_are_not(self):
        x = torch.randn(500, 2, 1, 3, 2, generator=torch.Generator().manual_seed(0))
        x[:, 1] += 0.9 * x[:, 0].roll(1, dims=2)
        gaussian = Gaussian((2, 1, 3, 2))
        gaussian.fit(x, NOTHING.expand(500, 0))
        prior = gaussian.prior(NOTHING.expand(500, 0))
        first = gaussian.components(gaussian.cosine_coefficients(x) - prior.mean, prior)[:, 0].transpose(1, 2)
        correlation = torch.corrcoef(first.flatten(0, 1).T)
        assert (correlation - torch.eye(6)).abs().max() < 0.1

    def test_its_velocity_is_the_best_linear_one(self):
        random = torch.Generator().manual_seed(0)
        gaussian = Gaussian((1, 1, 1, 1))
        data = 3 + 2 * torch.randn(200_000, 1, 1, 1, 1, generator=random)
        noise = torch.randn(data.shape, generator=random)
        labels = NOTHING.expand(len(data), 0)
        gaussian.fit(data, labels)
        for t in (0.1, 0.5, 0.9):
            time = torch.full((len(data),), t)
            velocity, guess, left = gaussian.velocity(flow.noisy(data, noise, time), time, gaussian.prior(labels))
            error = noise - data - velocity
            assert abs(error.mean().item()) < 0.02
            assert error.std().item() == pytest.approx(left.mean().item(), rel=0.02)
            assert (data - guess).std().item() == pytest.approx(t * left.mean().item(), rel=0.02)

    def test_what_a_prompt_says_shifts_the_mean_and_what_it_leaves_out_widens_the_variance(self):
        random = torch.Generator().manual_seed(0)
        labels = torch.randint(0, 2, (4000, 2), generator=random)
        shift = torch.tensor([[-3.0, 3.0], [-1.0, 1.0]])
        centre = shift[0, labels[:, 0]] + shift[1, labels[:, 1]]
        data = centre.view(-1, 1, 1, 1, 1) + 0.5 * torch.randn(4000, 1, 1, 1, 1, generator=random)
        gaussian = Gaussian((1, 1, 1, 1), (2, 2))
        gaussian.fit(data, labels)
        prior = gaussian.prior(torch.tensor([[1, 0], [0, 2], [2, 2]]))
        assert prior.mean.flatten().tolist() == pytest.approx([2, -3, 0], abs=0.2)
        assert prior.variance.flatten().tolist() == pytest.approx([0.25, 1.25, 10.25], rel=0.1)
        assert gaussian.likeliest(torch.full((1, 1, 1, 1, 1), 2.1), (2, 2)).tolist() == [[1, 0]]
        assert gaussian.likeliest(torch.full((1, 1, 1, 1, 1), -4.2), (2, 2)).tolist() == [[0, 0]]


class TestTransformer:
    def test_untrained_it_is_the_gaussian_model(self):
        model = Transformer(TINY)
        x, time, labels = torch.randn(2, *TINY.shape), torch.rand(2), torch.tensor([TINY.null] * 2)
        assert torch.allclose(
            model(x, time, labels), model.gaussian.velocity(x, time, model.gaussian.prior(labels))[0], atol=1e-5
        )

    def test_tokens_go_back_where_they_came_from(self):
        model = Transformer(TINY)
        x = torch.randn(2, *TINY.shape)
        assert torch.equal(model.latents(model.tokens(x).flatten(1, 3)), x)

    def test_the_prompt_matters(self):
        model = randomised(Transformer(TINY), 0.1)
        x, time = torch.randn(1, *TINY.shape), torch.tensor([0.5])
        first, second = (model(x, time, torch.tensor([label])) for label in (TINY.null, (0,) * 7))
        assert not torch.allclose(first, second)

    def test_sizes_that_do_not_divide_are_refused(self):
        with pytest.raises(ValueError, match="no such transformer"):
            TransformerConfig(side=5)


class TestFlow:
    def test_inversion_finds_the_noise_that_was_sampled_from(self):
        model = randomised(Transformer(TINY), 0.03)
        labels = torch.tensor([TINY.null])
        noise = torch.randn(1, *TINY.shape, generator=torch.Generator().manual_seed(3))
        data = flow.sample(model, noise, labels, steps=60)
        assert (data - noise).square().mean() > 0.01
        found = flow.invert(model, data, labels, steps=60, start=0.0)
        assert float((found - noise).square().mean()) < 0.02

    def test_guidance_moves_the_mean_away_from_the_null_and_keeps_the_contrast(self):
        def velocity(x, time, labels):
            wanted = torch.where(labels[:, :1] == 0, 1.0, 0.0).view(-1, 1, 1, 1, 1)
            data = wanted + (1 + 2 * wanted) * pattern
            return (x - data) / time.view(-1, 1, 1, 1, 1)

        pattern = torch.randn(1, *TINY.shape)
        pattern -= pattern.mean(dim=(2, 3, 4), keepdim=True)
        null, label, time = torch.tensor([[1]]), torch.tensor([[0]]), torch.tensor([0.7])
        x = torch.randn(1, *TINY.shape)
        assert torch.equal(flow.guided(velocity, null, 1.0)(x, time, label), velocity(x, time, label))
        data = x - 0.7 * flow.guided(velocity, null, 2.0)(x, time, label)
        assert data.mean().item() == pytest.approx(2.0, abs=1e-3)
        assert data.std().item() == pytest.approx(3 * pattern.std().item(), rel=0.05)

    def test_training_times_cover_the_path(self):
        times = flow.logit_normal_times(4096)
        assert 0 < times.min() < 0.05
        assert 0.95 < times.max() < 1
        assert float(torch.logit(times).std()) == pytest.approx(1.0, abs=0.05)


def test_muon_takes_steps_of_equal_singular_values_and_learns():
    values = torch.linalg.svdvals(orthogonalised(torch.randn(24, 40)))
    assert values.min() > 0.3
    assert values.max() < 1.5
    target, weight = torch.randn(8, 8), torch.nn.Parameter(torch.zeros(8, 8))
    optimiser = Muon([weight], rate=0.05)
    for _ in range(150):
        optimiser.zero_grad()
        loss = (weight - target).square().mean()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.25 * target.square().mean()


class TestUpsampler:
    def test_every_third_frame_scaled_down_is_a_base_frame(self):
        base = torch.from_numpy(render(8, "snow", 64, 4)[0])
        upsampler = randomised(Upsampler(UpsamplerConfig(width=8, blocks=1)), 0.02)
        result = delivered(upsampler, base)
        assert result.shape == (12, 256, 256, 3)
        keys = result[::3].permute(0, 3, 1, 2).float()
        small = reduced(keys).permute(0, 2, 3, 1)
        error = (small - base.float()).square().mean()
        assert float(10 * torch.log10(255**2 / error)) > 45

    def test_back_projection_is_exact_inside_the_range(self):
        base = 0.2 + 0.6 * torch.rand(1, 3, 16, 16)
        frames = back_projected(torch.rand(1, 3, 64, 64) * 0.2 + 0.4, base)
        assert torch.allclose(reduced(frames), base, atol=2e-2)

    def test_between_frames_follow_the_motion_and_do_not_ghost(self):
        canvas = np.full((2, 64, 64, 3), 40, np.uint8)
        canvas[0, 24:40, 20:36] = 220
        canvas[1, 24:40, 26:42] = 220
        result = delivered(Upsampler(UpsamplerConfig(width=8, blocks=1)).eval(), torch.from_numpy(canvas)).numpy()
        line = result[1, 128, :, 0].astype(int)
        assert abs((np.flatnonzero(line > 130).mean() + 0.5) / 4 - 30) < 0.7
        assert ((line > 90) & (line < 170)).sum() < 16

    def test_a_single_frame_stands_still(self):
        result = delivered(Upsampler(UpsamplerConfig(width=8, blocks=1)), torch.zeros(1, 16, 16, 3, dtype=torch.uint8))
        assert result.shape == (3, 64, 64, 3)


class TestGenerator:
    def test_a_clip_has_the_promised_form_and_is_the_same_again(self, generator):
        noise = noise_for(generator)
        clip = generator.sample(noise, "a red ball", steps=2)
        assert clip.frames.shape == (48, 128, 128, 3)
        assert clip.frames_per_second == pytest.approx(24)
        assert clip.seconds == pytest.approx(generator.clip_seconds)
        assert np.array_equal(clip.frames, generator.sample(noise, "a red ball", steps=2).frames)

    def test_inversion_finds_the_noise_of_a_delivered_clip(self, generator):
        noise = noise_for(generator, 1)
        found = generator.invert(generator.sample(noise, "ocean", steps=10, guidance=1.0))
        assert found.shape == noise.shape
        assert found.dtype == np.float32
        assert np.mean(np.sign(found) == np.sign(noise)) > 0.7
        other = noise_for(generator, 2)
        assert abs(np.mean(np.sign(found) == np.sign(other)) - 0.5) < 0.06

    def test_inversion_takes_any_size_rate_and_length(self, generator):
        clip = generator.sample(noise_for(generator), "rain", steps=2)
        odd = Clip(np.ascontiguousarray(clip.frames[::2, :100, 3:90]), clip.times[::2] + 5.0)
        assert generator.invert(odd, steps=2).shape == generator.noise_shape
        assert generator.invert(odd.select([0]), steps=2).shape == generator.noise_shape

    def test_a_clip_begins_with_the_picture_given(self, generator):
        picture, _ = render(4, "mountains", 96, 1)
        noise = noise_for(generator)
        free = generator.sample_base(noise, "mountains", steps=4)
        bound = generator.sample_base(noise, "mountains", steps=4, first_frame=picture[0], start=0.3)
        target = generator._scaled(torch.from_numpy(picture)).numpy()[0]
        assert psnr(bound[0], target) > psnr(free[0], target) + 3

    def test_an_empty_prompt_and_silly_steps_are_refused(self, generator):
        with pytest.raises(UsageError):
            generator.sample(noise_for(generator), "  ")
        with pytest.raises(UsageError):
            generator.sample(noise_for(generator), "snow", steps=0)
        with pytest.raises(UsageError):
            generator.sample(noise_for(generator), "snow", start=0.5)
        with pytest.raises(ValueError, match="noise must have the shape"):
            generator.sample(noise_for(generator)[:, :2], "snow")


class TestWeights:
    def test_what_was_saved_is_loaded(self, tmp_path):
        model = randomised(Transformer(TINY), 0.1)
        model.gaussian.mean.fill_(0.123456789)
        save(model, tmp_path / "transformer.safetensors")
        again = load_transformer(tmp_path / "transformer.safetensors")
        assert again.config == TINY
        assert torch.equal(again.gaussian.mean, model.gaussian.mean)
        assert torch.allclose(again.into.weight, model.into.weight, rtol=1e-2)

    @pytest.mark.parametrize("damage", ["missing", "empty", "text", "other kind", "cut"])
    def test_damaged_weights_are_refused_in_one_line(self, tmp_path, damage):
        path = tmp_path / "transformer.safetensors"
        save(Transformer(TINY), path)
        if damage == "missing":
            path.unlink()
        elif damage == "cut":
            path.write_bytes(path.read_bytes()[:-100])
        elif damage == "other kind":
            save(Upsampler(UpsamplerConfig(width=8, blocks=1)), path)
        else:
            path.write_bytes(b"" if damage == "empty" else b"these are no weights, only a text file of some length")
        with pytest.raises(WeightsError) as refused:
            load_transformer(path)
        assert "transformer.safetensors" in refused.value.message
        assert refused.value.hint

    def test_weights_that_differ_from_their_record_are_found(self, tmp_path):
        publish({"transformer": (Transformer(TINY), {"steps": 0})}, tmp_path)
        check(tmp_path)
        path = tmp_path / "transformer.safetensors"
        path.write_bytes(path.read_bytes()[:-1] + b"\x01")
        with pytest.raises(WeightsError):
            check(tmp_path)
