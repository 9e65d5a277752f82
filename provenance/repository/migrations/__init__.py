"""Steps that bring an older repository up to date, in order; step 1 makes an empty database into the first form.

A step is a function that receives an open connection inside a writing transaction. Steps that were ever released are
never edited: a change of tables appends one. A repository from a newer Countermark is refused, never rewritten.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import Connection, func, insert, select, update

from provenance.errors import RepositoryError
from provenance.repository.tables import metadata, schema_version

Step = Callable[[Connection], None]


def _first_form(connection: Connection) -> None:
    metadata.create_all(connection)


STEPS: Sequence[Step] = (_first_form,)


def current_version(connection: Connection) -> int:
    """Return the number of steps applied so far; 0 for a database that never was a repository."""
    if not connection.dialect.has_table(connection, schema_version.name):
        return 0
    return connection.execute(select(func.max(schema_version.c.version))).scalar() or 0


def bring_up_to_date(connection: Connection, steps: Sequence[Step] = STEPS) -> int:
    """Apply the steps that are missing and return the version reached. The caller holds the write lock.

    Raises RepositoryError when the database is of a later version than this program knows.
    """
    version = current_version(connection)
    if version > len(steps):
        raise RepositoryError(
            f"the manifest repository has form {version}, newer than form {len(steps)} that this version knows",
            hint="upgrade Countermark, or name another repository",
        )
    for step in steps[version:]:
        step(connection)
    if version == 0:
        connection.execute(insert(schema_version).values(version=len(steps)))
    elif version < len(steps):
        connection.execute(update(schema_version).values(version=len(steps)))
    return len(steps)
