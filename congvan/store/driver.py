"""SQLite's connections: a statement and all that it finds in one trip to the connection's thread, or in none.

aiosqlite makes a trip each for the cursor, the statement, its rows and the cursor's end, and SQLAlchemy waits for every
one of them; on a small statement that is most of what it costs. All else is aiosqlite's: this leans on how 0.22 holds
its thread, hence the bound in pyproject.toml.

A process that sends mail has a busy loop. There each of the ten statements of a batch waits for the interpreter on its
way out and for the loop on its way back, while the database is held: several times as long as the statements take
(docs/decisions/0008). So such a process runs them in its loop.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import aiosqlite


class Connection(aiosqlite.Connection):
    """As aiosqlite's, with cursors that hold what was found.

    in_place: statements run in the loop, and in the thread only where they would have to wait for somebody.
    """

    in_place = False
    #: How long a statement waits for another writer; milliseconds.
    patience_ms = 0
    #: What the thread has not ended yet, also where nobody waits for it any more.
    _aside = 0

    async def cursor(self) -> _Cursor:  # type: ignore[override]
        """A cursor; nothing is asked of the thread yet."""
        return _Cursor(self)

    async def _execute(self, fn: Callable[..., Any], *given: Any, **named: Any) -> Any:
        if self.in_place and not self._aside:
            try:
                return fn(*given, **named)
            except sqlite3.OperationalError as fault:
                if not _busy(fault):
                    raise
        return await self.aside(partial(fn, *given, **named))

    async def aside(self, work: Callable[[], Any]) -> Any:
        """In the thread: what takes long, what waits, and what comes behind it."""

        def patiently() -> Any:
            try:
                self._be_patient(self.patience_ms)
                return work()
            finally:
                # What was done may have been to close it.
                with suppress(sqlite3.ProgrammingError):
                    self._be_patient(0)
                self._aside -= 1

        if not self.in_place:
            return await super()._execute(work)  # type: ignore[no-untyped-call]
        self._aside += 1
        return await super()._execute(patiently)  # type: ignore[no-untyped-call]

    def _be_patient(self, patience_ms: int) -> None:
        if self._connection is not None:
            self._connection.execute(f"PRAGMA busy_timeout={patience_ms}")


def _busy(fault: sqlite3.OperationalError) -> bool:
    # The low octet, whatever it is that others are busy with.
    return getattr(fault, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY


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
        await self._connection._execute(self._run, sqlite3.Cursor.execute, sql, parameters)

    async def executemany(self, sql: str, parameters: Iterable[Iterable[Any]]) -> None:
        """Run the statement once for each of these."""
        await self._connection._execute(self._run, sqlite3.Cursor.executemany, sql, parameters)

    def _run(self, how: Any, sql: str, parameters: Any) -> None:
        """In the connection's thread, or in place."""
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


def connect(*arguments: Any, in_place: bool = False, patience_ms: int, **named: Any) -> Connection:
    """A connection to be awaited, as `aiosqlite.connect` gives one; its thread ends with the process."""
    named |= {"timeout": 0.0 if in_place else patience_ms / 1000}
    if in_place:
        # One after the other, never both at once.
        named |= {"check_same_thread": False}
    made = Connection(partial(sqlite3.connect, *arguments, **named), iter_chunk_size=64)
    made.in_place, made.patience_ms = in_place, patience_ms
    made._thread.daemon = True
    return made
