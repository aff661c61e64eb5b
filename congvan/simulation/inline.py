"""A database in memory without threads: the real store over a connection that answers at once.

aiosqlite answers from a thread, so two runs of one seed would differ. Here sqlite3 runs inside the
caller, and every transaction begins at a pause, where the scheduler lets another process go first.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Generator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from typing import Any, cast

from sqlalchemy import Delete, Insert, Select, StaticPool, Update, bindparam, inspect, select
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session

from congvan.simulation.prepared import Found, Prepared, Scalars
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
    """What survives every crash: the one database in memory, and the one session on it.

    To open a session and a connection for each transaction cost as much as a statement: SQLAlchemy is told of a single
    transaction that never ends, and the real ones are begun and ended beneath it.
    """

    def __init__(self) -> None:
        #: For looking on from outside, past the engine's own store.
        self.raw = sqlite3.connect(":memory:", cached_statements=2048)
        self.engine: AsyncEngine = Store(URL, creator=lambda: self.raw).engine
        self.line = self.engine.sync_engine.connect()
        Table.metadata.create_all(self.line)
        self.line.commit()
        self.session = Session(self.line, expire_on_commit=False, autoflush=False)
        self.session.connection()
        self.raw.execute("ROLLBACK")
        self.commits = 0
        self._prepared: dict[Any, Prepared] = {}

    def begin(self, *, immediate: bool) -> None:
        """A transaction."""
        self.raw.execute("BEGIN IMMEDIATE" if immediate else "BEGIN")

    def commit(self) -> None:
        """End it, and keep what it wrote."""
        self.session.flush()
        self.raw.execute("COMMIT")

    def leave(self) -> None:
        """Forget what was read, and what was written since `begin` unless it was committed."""
        if self.raw.in_transaction:
            self.raw.execute("ROLLBACK")
        self.session.expunge_all()

    def ask(self, statement: Any, values: Mapping[str, Any]) -> Found:
        """A statement that whoever built it keeps: what is prepared of it is kept as well."""
        ready = self._prepared.get(statement)
        if ready is None:
            ready = self._prepared[statement] = Prepared(statement, list(values), self.engine.dialect)
        return ready.run(self.raw, values)

    def entity(self, table: Any, row: Any, *, anew: bool = False) -> Any:
        """The row as the session knows it, or would have made it. anew: over what was read of it before."""
        mapper: Any = inspect(table)
        key = mapper.identity_key_from_primary_key([getattr(row, column.key) for column in mapper.primary_key])
        known = self.session.identity_map.get(key)
        if known is not None and not anew:
            return known
        made = known if known is not None else mapper.class_manager.new_instance()
        made.__dict__.update(row._asdict())
        if known is None:
            state: Any = inspect(made)
            state.key, state.session_id = key, self.session.hash_key
            self.session.identity_map.add(state)
        return made

    def look(self, sql: str, *values: Any) -> list[Any]:
        """Rows of a question asked from outside."""
        return self.raw.execute(sql, values).fetchall()

    def close(self) -> None:
        """Forget everything."""
        self.session.close()
        self.line.close()
        self.raw.close()


class _Line:
    """A connection as acts await it."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    async def execute(self, query: Any, values: Any = None) -> Any:
        if values and isinstance(values, dict):
            return self._disk.ask(query, values)
        return self._disk.line.execute(query, values)


@cache
def _by_key(table: Any) -> tuple[Select[Any], list[str]]:
    """The question for one row by its primary key, asked thousands of times."""
    keys = inspect(table).primary_key
    names = [f"key_{number}" for number, _ in enumerate(keys)]
    query = select(table.__table__).where(*(key == bindparam(name) for key, name in zip(keys, names, strict=True)))
    return query, names


def _is_entity(column: Any) -> bool:
    return column.is_selectable and "parententity" in column._annotations


class _InlineSession:
    """What acts await of a session, from one that answers at once: nothing is handed from one stack to another."""

    def __init__(self, disk: Disk) -> None:
        self._disk, self._session = disk, disk.session
        self.expunge, self.expunge_all = self._session.expunge, self._session.expunge_all

    async def execute(self, query: Any, given: Any = None) -> Any:
        # Whoever gives values, be it none of them, has built the statement once; a list of rows the session groups by
        # their columns.
        if isinstance(given, dict) and self._is_plain(query):
            return self._disk.ask(query, given)
        plain = given is None and self._is_plain(query)
        return (self._disk.line if plain else self._session).execute(query, given)

    async def scalars(self, query: Any, given: Any = None) -> Any:
        if isinstance(given, dict):
            found = self._disk.ask(query, given)
            (asked,) = query._raw_columns
            if not _is_entity(asked):
                return Scalars(value for (value,) in found.rows)
            table = asked._annotations["parententity"].class_
            return Scalars(self._disk.entity(table, row) for row in found.rows)
        return (self._disk.line if self._is_plain(query) else self._session).scalars(query)

    async def scalar(self, query: Any, given: Any = None) -> Any:
        if isinstance(given, dict) and self._is_plain(query):
            return self._disk.ask(query, given).scalar()
        return (self._disk.line if self._is_plain(query) else self._session).scalar(query, given)

    @staticmethod
    def _is_plain(query: Any) -> bool:
        """Whoever asks for columns alone, or changes by a condition, needs nothing of what a session knows."""
        if isinstance(query, Select):
            return not any(map(_is_entity, query._raw_columns))
        return isinstance(query, Update | Delete | Insert)

    async def get(
        self, table: Any, key: Any, *, populate_existing: bool = False, with_for_update: bool = False
    ) -> Any:
        """As `Session.get`, which builds its question anew each time; SQLite locks no row."""
        keys = key if isinstance(key, tuple) else (key,)
        if not populate_existing:
            known = self._session.identity_map.get(inspect(table).identity_key_from_primary_key(keys))
            if known is not None:
                return known
        query, names = _by_key(table)
        found = self._disk.ask(query, dict(zip(names, keys, strict=True))).first()
        return None if found is None else self._disk.entity(table, found, anew=populate_existing)

    async def connection(self, **_named: Any) -> _Line:
        return _Line(self._disk)

    async def commit(self) -> None:
        self._disk.commit()


class InlineStore(Store):
    """One process's way to the disk. dies: called at each point at which the process may die."""

    def __init__(self, disk: Disk, dies: Callable[[str], None] = _never) -> None:
        self.disk = disk
        self.engine = disk.engine
        self.url = disk.engine.url
        self.is_sqlite = True
        self.open_transactions = 0
        self._queue = None  # one act at a time, and the scheduler says whose
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
        self.disk.begin(immediate=immediate)
        try:
            yield cast("AsyncSession", _InlineSession(self.disk))
        finally:
            self.open_transactions -= 1
            self.disk.leave()

    async def close(self) -> None:
        """The disk is closed by whoever made it."""
