"""The watermark message: ids, origins, tags, and the code that carries them."""

import numpy as np
import pytest

from provenance.errors import UsageError
from provenance.keys import Key
from provenance.watermarks import payload, polar
from provenance.watermarks.payload import Origin

STREAM = Key("mine", bytes(range(32))).stream("pixel/1")
OTHER = Key("other", bytes(range(1, 33))).stream("pixel/1")


def received(signs: np.ndarray, energy: float, seed: int) -> np.ndarray:
    """Log-likelihood ratios of signs sent with a total energy over unit noise."""
    amplitude = np.sqrt(energy / signs.size)
    noise = np.random.default_rng(seed).normal(size=signs.size)
    return 2 * amplitude * (amplitude * signs + noise)


@pytest.mark.parametrize("origin", list(Origin))
def test_the_origin_stands_in_the_top_bits(origin: Origin) -> None:
    watermark_id = payload.random_id(origin)
    assert payload.origin_of(watermark_id) is origin
    assert payload.parse_id(payload.format_id(watermark_id)) == watermark_id
    assert payload.format_id(payload.compose_id(origin, 1)) == f"{2 * origin:x}" + "0" * 14 + "1"


def test_an_unassigned_origin_counts_as_unstated() -> None:
    assert payload.origin_of(7 << 61) is Origin.UNSTATED


@pytest.mark.parametrize("text", ["", "12", "g" * 16, "0x12345678901234", "+123456789012345", "1" * 17])
def test_anything_but_sixteen_digits_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(UsageError) as error:
        payload.parse_id(text)
    assert "16 hexadecimal digits" in error.value.hint


@pytest.mark.parametrize("watermark_id", [-1, 1 << 64])
def test_an_id_has_sixty_four_bits(watermark_id: int) -> None:
    with pytest.raises(ValueError, match="64 bits"):
        payload.encode(watermark_id, STREAM)


def test_the_transform_is_its_own_inverse_and_the_code_linear() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.integers(0, 2, (2, payload.MESSAGE_BITS)).astype(np.uint8)
    assert np.array_equal(polar.transform(polar.transform(polar.encode(first))), polar.encode(first))
    assert np.array_equal(polar.encode(first) ^ polar.encode(second), polar.encode(first ^ second))


def test_the_information_set_never_changes() -> None:
    chosen = polar.information_set(payload.MESSAGE_BITS)
    assert len(set(chosen)) == payload.MESSAGE_BITS
    assert chosen[0] == 223
    assert chosen[-1] == 511
    assert int(np.sum(chosen * chosen)) == 19700057


def test_clean_signs_give_the_id_back_and_only_under_their_key() -> None:
    for serial in range(3):
        watermark_id = payload.compose_id(Origin.GENERATED, serial)
        soft = payload.encode(watermark_id, STREAM).astype(float)
        (candidate,) = payload.decode(soft, STREAM)
        assert (candidate.watermark_id, candidate.rank) == (watermark_id, 0)
        assert candidate.agreement == pytest.approx(1)
        assert candidate.origin is Origin.GENERATED
        assert payload.decode(soft, OTHER) == []


def test_the_signs_of_an_id_are_final() -> None:
    packed = np.packbits(payload.encode(0x2A5D01C07BE49F36, STREAM) < 0).tobytes()
    assert packed[:8].hex() == "a246923ab261d8ee"


def test_no_signal_gives_no_id() -> None:
    assert payload.decode(np.zeros(512), STREAM) == []
    assert payload.decode(np.random.default_rng(2).normal(size=512), STREAM) == []


def test_the_code_reads_near_capacity() -> None:
    """104 bits over 512 signs: Shannon's limit is a total energy of 165 over unit noise."""
    ids = [payload.compose_id(Origin.EDITED, 7919 * trial) for trial in range(12)]
    signs = [payload.encode(watermark_id, STREAM) for watermark_id in ids]
    read = [
        [c.watermark_id for c in payload.decode(received(sent, 240, seed), STREAM)] for seed, sent in enumerate(signs)
    ]
    assert sum(found == [watermark_id] for found, watermark_id in zip(read, ids, strict=True)) >= 11
    lost = [payload.decode(received(sent, 80, seed), STREAM) for seed, sent in enumerate(signs)]
    assert not any(lost)


@pytest.mark.parametrize("scale", [0.2, 5.0])
def test_the_scale_of_the_soft_values_matters_little(scale: float) -> None:
    signs = payload.encode(payload.compose_id(Origin.CAPTURED, 5), STREAM)
    read = [payload.decode(scale * received(signs, 280, seed), STREAM) for seed in range(6)]
    assert sum(bool(found) for found in read) >= 5


def test_soft_values_must_be_finite_and_complete() -> None:
    with pytest.raises(ValueError, match="finite"):
        payload.decode(np.full(512, np.nan), STREAM)
    with pytest.raises(ValueError, match="512"):
        payload.decode(np.ones(511), OTHER)
