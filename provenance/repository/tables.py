"""The tables of the manifest repository.

Only what SQLite and PostgreSQL both understand is used: text, bytes, signed 64-bit integers. Times are ISO 8601 in UTC.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, MetaData, SmallInteger, Table, Text
from sqlalchemy.types import TypeDecorator

ID_BITS = 64
_HALF = 1 << (ID_BITS - 1)


class Unsigned64(TypeDecorator[int]):
    """An unsigned 64-bit integer in a signed column: equality and uniqueness hold, the order does not."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: object) -> int | None:
        """Turn 0 .. 2^64 - 1 into -2^63 .. 2^63 - 1 (two's complement)."""
        if value is None:
            return None
        if not 0 <= value < 2 * _HALF:
            raise ValueError(f"{value} is no unsigned 64-bit integer")
        return value - 2 * _HALF if value >= _HALF else value

    def process_result_value(self, value: int | None, dialect: object) -> int | None:
        """Turn the stored integer back."""
        return None if value is None else value % (2 * _HALF)


metadata = MetaData()

watermark_ids = Table(
    "watermark_ids",
    metadata,
    Column("watermark_id", Unsigned64, primary_key=True, autoincrement=False),
    Column("origin", SmallInteger, nullable=False),
    Column("reserved_at", Text, nullable=False),
)
"""Every id that was ever given out, whether a clip came of it or not."""

manifests = Table(
    "manifests",
    metadata,
    Column("digest", Text, primary_key=True),  # SHA-256 of the content, 64 hexadecimal digits
    Column("manifest_id", Text, nullable=False, unique=True),  # the active manifest's urn
    Column("content", LargeBinary, nullable=False),  # the C2PA manifest store as it was signed
    Column("title", Text),
    Column("stored_at", Text, nullable=False),
)
"""Manifest stores by content: what is stored is never changed."""

bindings = Table(
    "bindings",
    metadata,
    Column("algorithm", Text, primary_key=True),
    Column("value", LargeBinary, primary_key=True),
    Column("digest", Text, ForeignKey("manifests.digest"), primary_key=True),
    Index("bindings_by_digest", "digest"),
)
"""Soft bindings: the key is (algorithm, value); several manifests may share one, and none replaces another."""

fingerprints = Table(
    "fingerprints",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),  # grows, so that readers fetch only what is new
    Column("digest", Text, ForeignKey("manifests.digest"), nullable=False, unique=True),
    Column("content", LargeBinary, nullable=False),
    sqlite_autoincrement=True,
)
"""One content fingerprint per manifest, for the search by resemblance."""

schema_version = Table("schema_version", metadata, Column("version", Integer, primary_key=True, autoincrement=False))
"""One row: the number of the last migration that was applied."""
