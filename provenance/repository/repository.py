"""The manifest repository: which ids are taken, and which manifest a watermark or a fingerprint leads to.

SQLite in write-ahead mode by default, so that several processes write and read at once and a killed one leaves a
consistent file; any database that SQLAlchemy reaches by URL otherwise. Every public method is one transaction.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import secrets
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, NullPool, create_engine, event, insert, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, NoSuchModuleError, SQLAlchemyError

from provenance.errors import CannotCarry, NeedsExtra, RepositoryError, UsageError
from provenance.evidence import FingerprintMatch
from provenance.repository.fingerprint import Fingerprint
from provenance.repository.migrations import bring_up_to_date
from provenance.repository.shelf import Shelf
from provenance.repository.tables import bindings, fingerprints, manifests, watermark_ids

logging.getLogger("sqlalchemy").addHandler(logging.NullHandler())  # else Ctrl-C while it closes a file is a traceback

ORIGIN_BITS = 3
_FREE_BITS = 64 - ORIGIN_BITS
_BUSY_MILLISECONDS = 30_000
_ATTEMPTS = 16  # random ids collide once in 2^61 / (ids in use)


@dataclass(frozen=True)
class StoredManifest:
    """A manifest as the repository remembers it.

    digest: SHA-256 of `content` in hexadecimal. content: the manifest store as signed. stored_at: ISO 8601, UTC.
    """

    digest: str
    manifest_id: str
    content: bytes = field(repr=False)
    title: str | None
    stored_at: str
    bindings: tuple[tuple[str, bytes], ...] = field(default=(), repr=False)
    fingerprint: bytes | None = field(default=None, repr=False)


class ManifestRepository:
    """Ids, manifests, bindings and fingerprints in one database. Picklable: another process opens it anew."""

    def __init__(self, location: str | Path) -> None:
        """Open the repository at a path (SQLite, made when missing) or database URL, and bring its tables up to date.

        Raises RepositoryError when it cannot be opened, NeedsExtra when the driver of the URL is not installed.
        """
        self.location = str(location)
        self._engine = _engine(self.location)
        self._shelf = Shelf()
        with self._writing() as connection:
            bring_up_to_date(connection)

    def __repr__(self) -> str:
        return f"ManifestRepository({_without_password(self.location)!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return ManifestRepository, (self.location,)

    def reserve_id(self, origin: int, watermark_id: int | None = None) -> int:
        """Reserve a 64-bit watermark id whose three top bits are `origin`, and return it. It is never given out again.

        watermark_id: the id to reserve; a random one when None. Raises UsageError when it is in use or has another
        origin, RepositoryError when the database cannot be written.
        """
        if not 0 <= origin < 1 << ORIGIN_BITS:
            raise UsageError(f"origin {origin} does not fit into three bits", hint="origins are 0 to 7")
        if watermark_id is not None:
            _refuse_foreign_origin(watermark_id, origin)
            if not self._take(watermark_id, origin):
                raise UsageError(f"watermark id {watermark_id:016x} is in use", hint="leave --id out to get a free one")
            return watermark_id
        for _ in range(_ATTEMPTS):
            candidate = origin << _FREE_BITS | secrets.randbits(_FREE_BITS)
            if self._take(candidate, origin):
                return candidate
        raise CannotCarry(
            f"no free watermark id after {_ATTEMPTS} draws", hint="is this repository's database damaged?"
        )

    def is_reserved(self, watermark_id: int) -> bool:
        """Return whether the id was ever given out here."""
        query = select(watermark_ids.c.origin).where(watermark_ids.c.watermark_id == watermark_id)
        with self._reading() as connection:
            return connection.execute(query).first() is not None

    def store(
        self,
        manifest_id: str,
        manifest_bytes: bytes,
        bindings: Sequence[tuple[str, bytes]] = (),
        fingerprint: bytes | None = None,
        title: str | None = None,
    ) -> StoredManifest:
        """Remember a manifest store with its soft bindings and its content fingerprint, all or nothing.

        Storing the same bytes again adds what bindings are new. Raises RepositoryError when other bytes stand under
        `manifest_id` already (nothing is ever replaced), ValueError for a fingerprint that cannot be parsed.
        """
        if fingerprint is not None:
            Fingerprint.from_bytes(fingerprint)
        digest = hashlib.sha256(manifest_bytes).hexdigest()
        for final in (False, True):
            try:
                with self._writing() as connection:
                    _store_content(connection, digest, manifest_id, manifest_bytes, title)
                    _store_bindings(connection, digest, bindings)
                    if fingerprint is not None:
                        _store_fingerprint(connection, digest, fingerprint)
                    return _load(connection, digest)
            except IntegrityError:  # only where writers are not serialised: another one stored the same just now
                if final:
                    raise
        raise AssertionError("unreachable")

    def get(self, manifest_id: str) -> StoredManifest | None:
        """Return the manifest of this urn (or of this SHA-256 digest), None when unknown."""
        known = (manifests.c.manifest_id == manifest_id) | (manifests.c.digest == manifest_id)
        with self._reading() as connection:
            digest = connection.execute(select(manifests.c.digest).where(known)).scalar()
            return None if digest is None else _load(connection, digest)

    def find_by_binding(self, algorithm: str, value: bytes) -> list[StoredManifest]:
        """Return all manifests with this soft binding, the earliest stored first."""
        query = (
            select(manifests.c.digest)
            .join(bindings, bindings.c.digest == manifests.c.digest)
            .where(bindings.c.algorithm == algorithm, bindings.c.value == value)
            .order_by(manifests.c.stored_at, manifests.c.digest)
        )
        with self._reading() as connection:
            return [_load(connection, digest) for digest in connection.execute(query).scalars()]

    def nearest(self, fingerprint: bytes, limit: int = 5) -> list[FingerprintMatch]:
        """Return the manifests whose fingerprints differ least from this one, nearest first: whole frames, mirrored
        or not, at any shift in time. What lies near enough to mean something is for `provenance.verdict` to say.
        """
        with self._reading() as connection:
            query = (
                select(fingerprints.c.number, manifests.c.manifest_id, fingerprints.c.content)
                .join(manifests, manifests.c.digest == fingerprints.c.digest)
                .where(fingerprints.c.number > self._shelf.last_number)
                .order_by(fingerprints.c.number)
            )
            for number, manifest_id, content in connection.execute(query):
                self._shelf.add(number, manifest_id, content)
        found = self._shelf.nearest(Fingerprint.from_bytes(fingerprint), limit)
        return [FingerprintMatch(manifest_id, distance) for manifest_id, distance in found]

    def manifest_ids(self) -> list[str]:
        """Return the urns of all manifests, the earliest stored first."""
        query = select(manifests.c.manifest_id).order_by(manifests.c.stored_at, manifests.c.digest)
        with self._reading() as connection:
            return list(connection.execute(query).scalars())

    def _take(self, watermark_id: int, origin: int) -> bool:
        row = {"watermark_id": watermark_id, "origin": origin, "reserved_at": _now()}
        try:
            with self._writing() as connection:
                connection.execute(insert(watermark_ids).values(row))
        except IntegrityError:
            return False
        return True

    @contextlib.contextmanager
    def _reading(self) -> Iterator[Connection]:
        with _clear_errors(self), self._engine.connect() as connection:
            yield connection

    @contextlib.contextmanager
    def _writing(self) -> Iterator[Connection]:
        with _clear_errors(self), self._engine.execution_options(countermark_writes=True).begin() as connection:
            yield connection


def _engine(location: str) -> Engine:
    if "://" not in location:
        path = Path(location).expanduser().resolve()
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise RepositoryError(
                f"{path}: cannot make its folder ({error.strerror})", hint="name a place that is yours to write"
            ) from error
        location = f"sqlite:///{path}"
    try:
        url = make_url(location)
        if url.get_backend_name() != "sqlite":
            return create_engine(url, pool_pre_ping=True)
        engine = create_engine(url, poolclass=NullPool)
    except ModuleNotFoundError as error:
        raise NeedsExtra(
            f"the database driver {error.name} is not installed", hint='pip install "countermark[postgres]"'
        ) from error
    except (ArgumentError, NoSuchModuleError) as error:
        raise RepositoryError(
            "the repository's address cannot be understood", hint="give a path, or a URL as SQLAlchemy writes them"
        ) from error
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(raw: Any, _record: Any) -> None:
    """Leave BEGIN to us (the driver's own comes too late for a write lock), wait for other writers, survive kill -9."""
    raw.isolation_level = None
    raw.execute(f"PRAGMA busy_timeout={_BUSY_MILLISECONDS}")
    _journal_ahead(raw)
    raw.execute("PRAGMA synchronous=FULL")  # an id that was given out stays given out after a power cut
    raw.execute("PRAGMA foreign_keys=ON")


def _journal_ahead(raw: Any) -> None:
    """Keep a write-ahead log. SQLite's own waiting does not cover this change: who comes second is refused at once."""
    deadline = time.monotonic() + _BUSY_MILLISECONDS / 1000
    while True:
        try:
            raw.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("countermark_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextlib.contextmanager
def _clear_errors(repository: ManifestRepository) -> Iterator[None]:
    try:
        yield
    except IntegrityError:
        raise
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise RepositoryError(
            f"{_without_password(repository.location)}: the manifest repository cannot be used ({reason})",
            hint="is the file a Countermark repository, and yours to write?",
        ) from error


def _without_password(location: str) -> str:
    return make_url(location).render_as_string(hide_password=True) if "://" in location else location


def _refuse_foreign_origin(watermark_id: int, origin: int) -> None:
    if not 0 <= watermark_id < 1 << 64:
        raise UsageError(f"{watermark_id} is no watermark id", hint="an id has 16 hexadecimal digits")
    if watermark_id >> _FREE_BITS != origin:
        raise UsageError(
            f"watermark id {watermark_id:016x} says origin {watermark_id >> _FREE_BITS}, not {origin}",
            hint="the three top bits of the id must say what --origin says",
        )


def _store_content(
    connection: Connection, digest: str, manifest_id: str, manifest_bytes: bytes, title: str | None
) -> None:
    same = (manifests.c.manifest_id == manifest_id) | (manifests.c.digest == digest)
    known = connection.execute(select(manifests.c.digest, manifests.c.manifest_id).where(same)).all()
    if not known:
        row = {"digest": digest, "manifest_id": manifest_id, "content": manifest_bytes, "title": title}
        connection.execute(insert(manifests).values(stored_at=_now(), **row))
    elif tuple(known[0]) != (digest, manifest_id) or len(known) > 1:
        raise RepositoryError(
            f"manifest {manifest_id} is in the repository already, with other content",
            hint="stored manifests are never replaced; sign the clip anew",
        )


def _store_bindings(connection: Connection, digest: str, pairs: Sequence[tuple[str, bytes]]) -> None:
    query = select(bindings.c.algorithm, bindings.c.value).where(bindings.c.digest == digest)
    known = {tuple(row) for row in connection.execute(query)}
    for algorithm, value in dict.fromkeys((algorithm, bytes(value)) for algorithm, value in pairs):
        if (algorithm, value) not in known:
            connection.execute(insert(bindings).values(algorithm=algorithm, value=value, digest=digest))


def _store_fingerprint(connection: Connection, digest: str, content: bytes) -> None:
    if connection.execute(select(fingerprints.c.number).where(fingerprints.c.digest == digest)).first() is None:
        connection.execute(insert(fingerprints).values(digest=digest, content=content))


def _load(connection: Connection, digest: str) -> StoredManifest:
    row = connection.execute(select(manifests).where(manifests.c.digest == digest)).one()
    pairs = select(bindings.c.algorithm, bindings.c.value).where(bindings.c.digest == digest)
    sketch = select(fingerprints.c.content).where(fingerprints.c.digest == digest)
    return StoredManifest(
        digest=row.digest,
        manifest_id=row.manifest_id,
        content=row.content,
        title=row.title,
        stored_at=row.stored_at,
        bindings=tuple(sorted((algorithm, value) for algorithm, value in connection.execute(pairs))),
        fingerprint=connection.execute(sketch).scalar(),
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
