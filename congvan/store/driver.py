"""SQLite's connections: a statement and all that it finds in one trip to the connection's thread.

aiosqlite makes a trip each for the cursor, the statement, its rows and the cursor's end, and SQLAlchemy waits for every
one of them; on a small statement that is most of what it costs. All else is aiosqlite's: this leans on how 0.22 holds
its thread, hence the bound in pyproject.toml.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import aiosqlite


class Connection(aiosqlite.Connection):
    """As aiosqlite's, with cursors that hold what was found."""

    async def cursor(self) -> _Cursor:  # type: ignore[override]
        """A cursor; nothing is asked of the thread yet."""
        return _Cursor(self)


class _Cursor:
    """What SQLAlchemy asks of a cursor of aiosqlite, and no more."""

    __slots__ = ("_connection", "_rows", "description", "lastrowid", "rowcount")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rows: Sequence[Any] = ()
        self.description: Any = None
        self.lastrowid: int | None = None
        self.rowcount = -1

    async def execute(self, sql: str, parameters: Iterable[Any] = ()) -> None:
        """Run the statement and keep every row."""
        await self._connection._execute(self._run, sqlite3.Cursor.execute, sql, parameters)  # type: ignore[no-untyped-call]

    async def executemany(self, sql: str, parameters: Iterable[Iterable[Any]]) -> None:
        """Run the statement once for each of these."""
        await self._connection._execute(self._run, sqlite3.Cursor.executemany, sql, parameters)  # type: ignore[no-untyped-call]

    def _run(self, how: Any, sql: str, parameters: Any) -> None:
        """In the connection's thread."""
        cursor = self._connection._conn.cursor()
        try:
            how(cursor, sql, parameters)
            self.description, self.lastrowid, self.rowcount = cursor.description, cursor.lastrowid, cursor.rowcount
            if self.description is not None:
                self._rows = cursor.fetchall()
        finally:
            cursor.close()

    async def fetchall(self) -> Sequence[Any]:
        """Every row."""
        return self._rows

    async def close(self) -> None:
        """Nothing is open any more."""


def connect(*arguments: Any, **named: Any) -> Connection:
    """A connection to be awaited, as `aiosqlite.connect` gives one; its thread ends with the process."""
    made = Connection(partial(sqlite3.connect, *arguments, **named), iter_chunk_size=64)
    made._thread.daemon = True
    return made
