"""A database in memory without threads: the real store over a connection that answers at once.

aiosqlite answers from a thread, so two runs of one seed would differ. Here sqlite3 runs inside the
caller, and every transaction begins at a pause, where the scheduler lets another process go first.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import asynccontextmanager
from typing import Any, cast

from sqlalchemy import StaticPool
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session

from congvan.store.database import Store
from congvan.store.ledger import Ledger
from congvan.store.tables import Table

URL = "sqlite+inline:///:memory:"


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
        self.raw = sqlite3.connect(":memory:")
        self.engine: AsyncEngine = Store(URL, creator=lambda: self.raw).engine
        with self.engine.sync_engine.begin() as connection:
            Table.metadata.create_all(connection)
        self.commits = 0

    def look(self, sql: str, *values: Any) -> list[Any]:
        """Rows of a question asked from outside."""
        return self.raw.execute(sql, values).fetchall()

    def close(self) -> None:
        """Forget everything."""
        self.raw.close()


class _Line:
    """A connection as acts await it."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def execute(self, *given: Any, **named: Any) -> Any:
        return self._connection.execute(*given, **named)


class _InlineSession:
    """What acts await of a session, from one that answers at once: nothing is handed from one stack to another."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._session = Session(engine.sync_engine, expire_on_commit=False, autoflush=False)
        self.expunge, self.expunge_all = self._session.expunge, self._session.expunge_all

    async def execute(self, *given: Any, **named: Any) -> Any:
        return self._session.execute(*given, **named)

    async def scalars(self, *given: Any, **named: Any) -> Any:
        return self._session.scalars(*given, **named)

    async def scalar(self, *given: Any, **named: Any) -> Any:
        return self._session.scalar(*given, **named)

    async def get(self, *given: Any, **named: Any) -> Any:
        return self._session.get(*given, **named)

    async def connection(self, **named: Any) -> _Line:
        return _Line(self._session.connection(**named))

    async def commit(self) -> None:
        self._session.commit()

    def close(self) -> None:
        self._session.close()


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
        session = _InlineSession(self.engine)
        try:
            if immediate:
                await session.connection(execution_options={"congvan_immediate": True})
            yield cast("AsyncSession", session)
        finally:
            self.open_transactions -= 1
            session.close()

    async def close(self) -> None:
        """The disk is closed by whoever made it."""
