"""A database in memory without threads: the real store over a connection that answers at once.

aiosqlite answers from a thread, so two runs of one seed would differ. Here sqlite3 runs inside the
caller, and every transaction begins at a pause, where the scheduler lets another process go first.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator, Mapping
from functools import cache
from typing import Any, cast

from sqlalchemy import Delete, Insert, Select, StaticPool, Update, inspect
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


@cache
def _compiling() -> AsyncEngine:
    """The engine whose dialect and compiled statements all disks share; it is never asked."""
    return Store(URL).engine


#: Statements that are built once, each with the names of its values, ready to be asked of any disk.
_PREPARED: dict[tuple[Any, ...], Prepared] = {}


@cache
def _identity(table: Any) -> tuple[Any, list[str]]:
    """The mapper of a table, and by which attributes it tells its rows apart."""
    mapper: Any = inspect(table)
    return mapper, [column.key for column in mapper.primary_key]


class Disk:
    """What survives every crash: the one database in memory, and the one session on it.

    To open a session and a connection for each transaction cost as much as a statement: SQLAlchemy is told of a single
    transaction that never ends, and the real ones are begun and ended beneath it.
    """

    def __init__(self) -> None:
        #: For looking on from outside, past the engine's own store.
        self.raw = sqlite3.connect(":memory:", cached_statements=2048)
        self.engine: AsyncEngine = Store(URL, creator=lambda: self.raw).engine
        # What one disk has compiled is of use to the next one of this process: it is kept by dialect and statement.
        self.engine.sync_engine.dialect = _compiling().sync_engine.dialect
        self.engine.sync_engine._compiled_cache = _compiling().sync_engine._compiled_cache
        self.line = self.engine.sync_engine.connect()
        Table.metadata.create_all(self.line)
        self.line.commit()
        self.session = Session(self.line, expire_on_commit=False, autoflush=False)
        self.session.connection()
        self.raw.execute("ROLLBACK")
        self.commits = 0

    def begin(self) -> None:
        """A transaction that may write. One that reads needs none: nobody writes before it has been left."""
        self.raw.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        """End it, and keep what it wrote."""
        self.session.flush()
        self.raw.execute("COMMIT")

    def leave(self) -> None:
        """Forget what was read, and what was written since `begin` unless it was committed."""
        if self.raw.in_transaction:
            self.raw.execute("ROLLBACK")
        if self.session.identity_map or self.session.new:
            self.session.expunge_all()

    def ask(self, statement: Any, values: Mapping[str, Any]) -> Found:
        """A statement that whoever built it keeps: what is prepared of it is kept as well."""
        shape = statement, *values
        ready = _PREPARED.get(shape)
        if ready is None:
            ready = _PREPARED[shape] = Prepared(statement, list(values), self.engine.dialect)
        return ready.run(self.raw, values)

    def entity(self, table: Any, row: Any, *, anew: bool = False) -> Any:
        """The row as the session knows it, or would have made it. anew: over what was read of it before."""
        mapper, names = _identity(table)
        key = mapper.identity_key_from_primary_key([getattr(row, name) for name in names])
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
        if not values:
            return self._disk.line.execute(query)
        if isinstance(values, dict):
            return self._disk.ask(query, values)
        # Rows of one shape; nobody asks what was found.
        for row in values:
            self._disk.ask(query, row)
        return None


def _is_entity(column: Any) -> bool:
    return column.is_selectable and "parententity" in column._annotations


class _InlineSession:
    """What acts await of a session, from one that answers at once: nothing is handed from one stack to another."""

    def __init__(self, disk: Disk) -> None:
        self._disk, self._session, self.sync_session = disk, disk.session, disk.session
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
            anew = bool(query.get_execution_options().get("populate_existing"))
            return Scalars(self._disk.entity(table, row, anew=anew) for row in found.rows)
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

    async def connection(self, **_named: Any) -> _Line:
        return _Line(self._disk)


class Transaction:
    """One block of an act: begun at a pause, ended before the next. Opened thousands of times, so not a generator."""

    __slots__ = ("_store", "_writes")

    def __init__(self, store: InlineStore, *, writes: bool) -> None:
        self._store, self._writes = store, writes

    async def __aenter__(self) -> Ledger:
        await Pause("act" if self._writes else "view")
        if self._store.open_transactions:
            raise AssertionError("a transaction was opened inside another")
        self._store.open_transactions += 1
        if self._writes:
            self._store.disk.begin()
        return Ledger(cast("AsyncSession", _InlineSession(self._store.disk)), True, reads_only=not self._writes)

    async def __aexit__(self, kind: object, _error: object, _trace: object) -> None:
        store, done = self._store, self._writes and kind is None
        try:
            if done:
                store.dies("before commit")
                store.disk.commit()
                store.disk.commits += 1
        finally:
            store.open_transactions -= 1
            store.disk.leave()
        if done:
            store.dies("after commit")


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

    def act(self) -> Transaction:  # type: ignore[override]
        """A transaction that may write; a death before its commit leaves nothing, one after it everything."""
        return Transaction(self, writes=True)

    def view(self) -> Transaction:  # type: ignore[override]
        """A transaction that only reads."""
        return Transaction(self, writes=False)

    async def close(self) -> None:
        """The disk is closed by whoever made it."""
