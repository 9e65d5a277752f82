"""Keys: secrets stay out of sight, draws stay the same for ever, and no key is ever lost."""

from __future__ import annotations

import hashlib
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from provenance.errors import KeyError_, OutputExists, UsageError
from provenance.keys import PUBLIC, Key, KeyRing

KEY = Key("home", bytes(range(32)))


def test_a_secret_is_in_no_repr() -> None:
    stream = KEY.stream("pixel/1")
    for secret, thing in ((KEY.secret, KEY), (stream.secret, stream)):
        shown = repr(thing) + str(thing)
        assert "home" in shown
        assert secret.hex() not in shown
        assert repr(secret) not in shown


def test_draws_are_the_same_for_ever() -> None:
    stream = KEY.stream("pixel/1")
    drawn = (
        stream.bytes("a", 40),
        stream.signs("a", 40).tobytes(),
        stream.permutation("a", 40).tobytes(),
        stream.normals("a", 40).round(9).tobytes(),
        stream.derive("nonce").integers("a", 40, 1000).tobytes(),
        stream.mac("a", b"message", 40).to_bytes(5, "big"),
    )
    assert (
        hashlib.sha256(b"".join(drawn)).hexdigest()
        == "9e96f3a4385620f16e005c6d2f885c984f2ed4a94b127729b6e2710799bf4cf5"
    )
    assert PUBLIC.stream("pixel/1").bytes("a", 8).hex() == "c7bab12b731800b2"


def test_other_labels_purposes_and_keys_give_other_numbers() -> None:
    streams = (
        KEY.stream("pixel/1"),
        KEY.stream("pixel/2"),
        PUBLIC.stream("pixel/1"),
        KEY.stream("pixel/1").derive("b"),
    )
    drawn = [stream.bytes(label, 16) for stream in streams for label in ("a", "b")]
    assert len(set(drawn)) == len(drawn)


def test_draws_have_the_distributions_that_they_promise() -> None:
    stream = KEY.stream("latent/1")
    assert sorted(stream.permutation("p", 100)) == list(range(100))
    assert set(stream.signs("s", 1000).tolist()) == {-1, 1}
    assert np.bincount(stream.integers("i", 10_000, 7)).min() > 1250
    assert abs(stream.normals("n", 10_000).mean()) < 0.05
    assert abs(stream.normals("n", 10_000).std() - 1) < 0.05


def test_a_stream_pickles_and_a_master_key_is_not_in_it() -> None:
    stream = KEY.stream("pixel/1")
    data = pickle.dumps(stream)
    assert pickle.loads(data) == stream
    assert KEY.secret not in data


def test_a_key_goes_through_its_file_unchanged(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path / "keys")
    made = ring.new("mine")
    (tmp_path / "copy.key").write_text(ring.export("mine"))
    (tmp_path / "copy.key").chmod(0o600)
    other = KeyRing(tmp_path / "elsewhere")
    assert other.import_file("theirs", tmp_path / "copy.key").secret == made.secret
    assert (tmp_path / "keys" / "mine.key").stat().st_mode & 0o777 == 0o600
    assert ring.names() == ["public", "mine"]


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path)
    ring.new("mine")
    (tmp_path / "mine.key").chmod(0o644)
    with pytest.raises(KeyError_, match="other people"):
        ring.get("mine")


@pytest.mark.parametrize(
    "text", ["", "countermark key 1\n", "countermark key 2\n" + "00" * 32, "countermark key 1\n0g"]
)
def test_what_is_no_key_file_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "odd.key").write_text(text)
    (tmp_path / "odd.key").chmod(0o600)
    with pytest.raises(KeyError_, match="no key file"):
        KeyRing(tmp_path).get("odd")


def test_a_key_is_never_replaced(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path)
    made = ring.new("mine")
    with pytest.raises(OutputExists, match="already"):
        ring.add(Key("mine", bytes(32)))
    with pytest.raises(OutputExists, match="already"):
        ring.add(Key("public", bytes(32)))
    assert ring.get("mine") == made
    assert [path.name for path in tmp_path.iterdir()] == ["mine.key"]


def test_those_who_want_a_key_at_once_get_the_same_one(tmp_path: Path) -> None:
    """What one of them had marked under a key that another replaced could never be read again."""
    with ThreadPoolExecutor(8) as pool:
        for round_ in range(10):
            got = list(pool.map(lambda _, name=f"home{round_}": KeyRing(tmp_path).get_or_new(name), range(8)))
            assert len({key.secret for key, _ in got}) == 1
            assert sum(is_new for _, is_new in got) == 1


def test_a_retired_key_is_kept(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path)
    first = ring.new("mine")
    retired = ring.rotate("mine")
    assert ring.get(retired).secret == first.secret
    assert ring.get("mine").secret != first.secret
    with pytest.raises(UsageError):
        ring.rotate("public")
