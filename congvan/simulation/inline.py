"""A database in memory without threads: the real store over a connection that answers at once.

aiosqlite answers from a thread, so two runs of one seed would differ. Here sqlite3 runs inside the
caller, and every transaction begins at a pause, where the scheduler lets another process go first.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import StaticPool
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.util.concurrency import await_only, in_greenlet

from congvan.store.database import Store
from congvan.store.ledger import Ledger
from congvan.store.tables import Table

URL = "sqlite+inline:///:memory:"


async def _nothing() -> None:
    return None


class _Cursor(sqlite3.Cursor):
    """Says to SQLAlchemy that it awaited something: its asynchronous engine insists on that."""

    def execute(self, *given: Any) -> Any:
        if in_greenlet():
            await_only(_nothing())
        return super().execute(*given)

    def executemany(self, *given: Any) -> Any:
        if in_greenlet():
            await_only(_nothing())
        return super().executemany(*given)

    async def _async_soft_close(self) -> None:
        """What SQLAlchemy awaits where a result holds its rows already (RETURNING)."""


class _Connection(sqlite3.Connection):
    def cursor(self, *_given: Any, **_more: Any) -> Any:
        return super().cursor(_Cursor)


class InlineDialect(SQLiteDialect_pysqlite):
    """pysqlite for an asynchronous engine, in the caller's own thread."""

    driver = "inline"
    is_async = True
    supports_statement_cache = True

    @classmethod
    def get_pool_class(cls, url: Any) -> type[StaticPool]:
        """One connection: there is one thread, and one transaction at a time."""
        return StaticPool


registry.register("sqlite.inline", __name__, "InlineDialect")


class Pause:
    """What a process awaits between two transactions. why: what it is about to do."""

    __slots__ = ("why",)

    def __init__(self, why: str) -> None:
        self.why = why

    def __await__(self) -> Generator[Pause, None, None]:
        yield self


def _never(_point: str) -> None:
    return None


class Disk:
    """What survives every crash: the one database in memory."""

    def __init__(self) -> None:
        #: For looking on from outside, past the engine's own store.
        self.raw = sqlite3.connect(":memory:", factory=_Connection)
        self.engine: AsyncEngine = Store(URL, creator=lambda: self.raw).engine
        with self.engine.sync_engine.begin() as connection:
            Table.metadata.create_all(connection)
        self.commits = 0

    def look(self, sql: str, *values: Any) -> list[Any]:
        """Rows of a question asked from outside."""
        cursor = sqlite3.Connection.cursor(self.raw, sqlite3.Cursor)
        return cursor.execute(sql, values).fetchall()

    def close(self) -> None:
        """Forget everything."""
        self.raw.close()


class InlineStore(Store):
    """One process's way to the disk. dies: called at each point at which the process may die."""

    def __init__(self, disk: Disk, dies: Callable[[str], None] = _never) -> None:
        self.disk = disk
        self.engine = disk.engine
        self.url = disk.engine.url
        self.is_sqlite = True
        self.open_transactions = 0
        self.dies = dies

    @asynccontextmanager
    async def act(self) -> AsyncIterator[Ledger]:
        """A transaction that may write; a death before its commit leaves nothing, one after it everything."""
        await Pause("act")
        async with self._only_one(immediate=True) as session:
            yield Ledger(session, True)
            self.dies("before commit")
            await session.commit()
            self.disk.commits += 1
        self.dies("after commit")

    @asynccontextmanager
    async def view(self) -> AsyncIterator[Ledger]:
        """A transaction that only reads."""
        await Pause("view")
        async with self._only_one(immediate=False) as session:
            yield Ledger(session, True)

    @asynccontextmanager
    async def _only_one(self, *, immediate: bool) -> AsyncIterator[AsyncSession]:
        if self.open_transactions:
            raise AssertionError("a transaction was opened inside another")
        self.open_transactions += 1
        session = AsyncSession(self.engine, expire_on_commit=False, autoflush=False)
        try:
            if immediate:
                await session.connection(execution_options={"congvan_immediate": True})
            yield session
        finally:
            self.open_transactions -= 1
            await session.close()

    async def close(self) -> None:
        """The disk is closed by whoever made it."""
