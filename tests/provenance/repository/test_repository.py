"""The manifest repository remembers what was signed, for several writers at once and through `kill -9`."""

from __future__ import annotations

import hashlib
import os
import pickle
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateTable

from provenance.errors import NeedsExtra, RepositoryError, UsageError
from provenance.repository import Fingerprint, ManifestRepository
from provenance.repository.fingerprint import BITS
from provenance.repository.migrations import STEPS, bring_up_to_date, current_version
from provenance.repository.tables import metadata

PIXEL = "org.countermark.pixel.1"
ID = bytes.fromhex("20000000000000ff")


@pytest.fixture
def repository(tmp_path: Path) -> ManifestRepository:
    return ManifestRepository(tmp_path / "manifests.db")


def fingerprint(seed: int, frames: int = 8) -> Fingerprint:
    signs = np.random.default_rng(seed).random((frames, BITS)) < 0.5
    return Fingerprint(signs, np.ones_like(signs), 640, 360, 0.5)


def test_a_stored_manifest_is_found_by_its_binding_and_by_its_urn(repository: ManifestRepository) -> None:
    stored = repository.store("urn:c2pa:one", b"store one", [(PIXEL, ID)], title="One")
    assert stored.digest == hashlib.sha256(b"store one").hexdigest()
    assert repository.find_by_binding(PIXEL, ID) == [stored]
    assert repository.get("urn:c2pa:one") == repository.get(stored.digest) == stored
    assert (stored.content, stored.title, stored.bindings) == (b"store one", "One", ((PIXEL, ID),))


def test_the_key_of_a_binding_is_algorithm_and_value(repository: ManifestRepository) -> None:
    repository.store("urn:c2pa:one", b"store one", [(PIXEL, ID)])
    assert repository.find_by_binding("org.countermark.latent.1", ID) == []
    assert repository.find_by_binding(PIXEL, ID[:-1]) == []
    assert repository.get("urn:c2pa:two") is None


def test_manifests_may_share_a_binding_and_the_earliest_comes_first(repository: ManifestRepository) -> None:
    for name in ("b", "a", "c"):
        repository.store(f"urn:c2pa:{name}", name.encode(), [(PIXEL, ID)])
    assert [row.manifest_id for row in repository.find_by_binding(PIXEL, ID)] == [
        "urn:c2pa:b",
        "urn:c2pa:a",
        "urn:c2pa:c",
    ]


def test_a_stored_manifest_is_never_replaced(repository: ManifestRepository) -> None:
    repository.store("urn:c2pa:one", b"first", [(PIXEL, ID)])
    with pytest.raises(RepositoryError, match="other content"):
        repository.store("urn:c2pa:one", b"second", [("org.example", b"x")])
    with pytest.raises(RepositoryError, match="other content"):
        repository.store("urn:c2pa:two", b"first")
    assert repository.find_by_binding("org.example", b"x") == []
    assert [row.content for row in repository.find_by_binding(PIXEL, ID)] == [b"first"]


def test_storing_the_same_again_adds_only_what_is_new(repository: ManifestRepository) -> None:
    repository.store("urn:c2pa:one", b"first", [(PIXEL, ID)], fingerprint(1).to_bytes())
    again = repository.store("urn:c2pa:one", b"first", [(PIXEL, ID), ("org.example", b"x")], fingerprint(2).to_bytes())
    assert len(again.bindings) == 2
    assert again.fingerprint == fingerprint(1).to_bytes()


def test_the_top_bits_of_a_reserved_id_are_its_origin(repository: ManifestRepository) -> None:
    for origin in (0, 1, 4, 7):
        watermark_id = repository.reserve_id(origin)
        assert watermark_id >> 61 == origin
        assert repository.is_reserved(watermark_id)
    with pytest.raises(UsageError, match="three bits"):
        repository.reserve_id(8)


@pytest.mark.parametrize("watermark_id", [0, 1, 2**61 - 1, 2**63 - 1, 2**63, 2**64 - 1])
def test_every_64_bit_id_can_be_reserved_exactly_once(repository: ManifestRepository, watermark_id: int) -> None:
    origin = watermark_id >> 61
    assert repository.reserve_id(origin, watermark_id) == watermark_id
    assert repository.is_reserved(watermark_id)
    with pytest.raises(UsageError, match="in use"):
        repository.reserve_id(origin, watermark_id)


def test_an_id_must_say_the_origin_that_it_is_reserved_for(repository: ManifestRepository) -> None:
    with pytest.raises(UsageError, match="says origin 1"):
        repository.reserve_id(4, 1 << 61)
    with pytest.raises(UsageError, match="is no watermark id"):
        repository.reserve_id(0, 1 << 64)
    assert not repository.is_reserved(1 << 61)


def test_the_nearest_fingerprint_comes_first(repository: ManifestRepository) -> None:
    for seed in range(6):
        repository.store(f"urn:c2pa:{seed}", bytes([seed]), fingerprint=fingerprint(seed).to_bytes())
    signs = fingerprint(3).signs.copy()
    signs[:, :26] = ~signs[:, :26]  # a tenth of the bits
    query = Fingerprint(signs, np.ones_like(signs), 640, 360, 0.5)
    matches = repository.nearest(query.to_bytes(), limit=3)
    assert len(matches) == 3
    assert (matches[0].manifest, matches[0].distance) == ("urn:c2pa:3", 25)
    assert matches[1].distance > 90


def test_a_search_sees_what_another_process_stored_meanwhile(repository: ManifestRepository) -> None:
    assert repository.nearest(fingerprint(1).to_bytes()) == []
    other: ManifestRepository = pickle.loads(pickle.dumps(repository))
    other.store("urn:c2pa:1", b"1", fingerprint=fingerprint(1).to_bytes())
    assert [(m.manifest, m.distance) for m in repository.nearest(fingerprint(1).to_bytes())] == [("urn:c2pa:1", 0)]


def test_a_malformed_fingerprint_is_refused_and_nothing_is_stored(repository: ManifestRepository) -> None:
    with pytest.raises(ValueError, match="fingerprint"):
        repository.store("urn:c2pa:1", b"1", fingerprint=b"nonsense")
    assert repository.manifest_ids() == []


def test_what_is_no_repository_is_refused_with_a_hint(tmp_path: Path) -> None:
    text = tmp_path / "letter.txt"
    text.write_text("Dear all, " * 500)
    with pytest.raises(RepositoryError) as caught:
        ManifestRepository(text)
    assert "letter.txt" in caught.value.message
    assert caught.value.hint
    with pytest.raises(RepositoryError, match="address"):
        ManifestRepository("nonsense://somewhere/else")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(RepositoryError, match="folder"):
        ManifestRepository(tmp_path / "file" / "manifests.db")


def test_a_password_in_the_url_is_never_shown() -> None:
    unopened = ManifestRepository.__new__(ManifestRepository)
    unopened.location = "postgresql://me:hunter2@host/base"
    assert "hunter2" not in repr(unopened)
    with pytest.raises((RepositoryError, NeedsExtra)) as caught:
        ManifestRepository("postgresql+psycopg://me:hunter2@127.0.0.1:9/base?connect_timeout=1")
    assert "hunter2" not in caught.value.message


def test_a_repository_of_a_later_form_is_refused(repository: ManifestRepository) -> None:
    with repository._writing() as connection:
        assert current_version(connection) == len(STEPS)
        assert bring_up_to_date(connection, [*STEPS, lambda _: None]) == len(STEPS) + 1
    with pytest.raises(RepositoryError, match="newer"):
        ManifestRepository(repository.location)


def test_the_tables_are_ones_that_postgresql_understands_too() -> None:
    for table in metadata.sorted_tables:
        said = str(CreateTable(table).compile(dialect=postgresql.dialect()))
        assert said.strip().startswith(f"CREATE TABLE {table.name}")


def _write_many(location: str, writer: int) -> list[int]:
    repository = ManifestRepository(location)
    ids = []
    for number in range(12):
        watermark_id = repository.reserve_id(1)
        name = f"{writer}-{number}"
        repository.store(f"urn:c2pa:{name}", name.encode(), [(PIXEL, watermark_id.to_bytes(8, "big"))])
        ids.append(watermark_id)
    return ids


def test_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    location = str(tmp_path / "fresh" / "manifests.db")  # made by whoever comes first
    with ProcessPoolExecutor(4) as pool:
        ids = [watermark_id for part in pool.map(_write_many, [location] * 4, range(4)) for watermark_id in part]
    repository = ManifestRepository(location)
    assert len(set(ids)) == len(repository.manifest_ids()) == 48
    assert all(len(repository.find_by_binding(PIXEL, i.to_bytes(8, "big"))) == 1 for i in ids)


def test_opening_waits_for_whoever_is_just_making_the_database(tmp_path: Path) -> None:
    path = tmp_path / "manifests.db"
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("CREATE TABLE anything (number INTEGER)")
        release = threading.Timer(0.3, other.rollback)
        release.start()
        assert ManifestRepository(path).manifest_ids() == []
        release.join()


_WRITER = """
import sys
from provenance.repository import ManifestRepository
repository = ManifestRepository(sys.argv[1])
number = 0
while True:
    watermark_id = repository.reserve_id(1)
    repository.store(f"urn:c2pa:{sys.argv[2]}-{number}", bytes(200_000) + watermark_id.to_bytes(8, "big"),
                     [("org.countermark.pixel.1", watermark_id.to_bytes(8, "big"))])
    print(watermark_id, flush=True)
    number += 1
"""


def test_what_was_stored_before_kill_9_is_there_and_nothing_is_half_there(tmp_path: Path) -> None:
    location = tmp_path / "manifests.db"
    acknowledged: list[int] = []
    for run in range(2):
        command = [sys.executable, "-c", _WRITER, str(location), str(run)]
        writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        acknowledged += [int(writer.stdout.readline()) for _ in range(3)]
        time.sleep(0.005 * run)
        os.kill(writer.pid, signal.SIGKILL)
        acknowledged += [int(line) for line in writer.stdout.read().split("\n")[:-1]]
        writer.wait()
    repository = ManifestRepository(location)
    for watermark_id in acknowledged:
        assert len(repository.find_by_binding(PIXEL, watermark_id.to_bytes(8, "big"))) == 1
    for name in repository.manifest_ids():
        stored = repository.get(name)
        assert stored is not None
        assert hashlib.sha256(stored.content).hexdigest() == stored.digest
        assert len(stored.bindings) == 1
    repository.reserve_id(2)  # and it can be written again
