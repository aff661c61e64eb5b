"""Opens the database: one transaction per act, snapshots for views.

SQLite as tried with 8 tasks × 50 read-then-write: SQLAlchemy's defaults lose 317 of 400 updates in
silence, and a plain BEGIN fails with "database is locked" at once in spite of the time-out. Hence
BEGIN IMMEDIATE for acts, WAL, and a busy time-out; synchronous=FULL, since NORMAL loses the last
commits in a power cut and we answered "recorded" for them. Who may write next is settled before BEGIN,
by `queueing`: SQLite's own way of waiting lets a busy process starve the others.
"""

from __future__ import annotations

import asyncio
import logging
import math
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any, cast

import orjson
from sqlalchemy import event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, NotSupportedError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.pool import StaticPool

from congvan.store import accounts as _accounts  # noqa: F401 - its tables belong to every database
from congvan.store import driver
from congvan.store import office as _office  # noqa: F401 - as above
from congvan.store.ledger import Ledger
from congvan.store.queueing import LATELY_S, Queue
from congvan.store.tables import Table

#: What was committed, for whoever collects logs: the events but the routine of mails, by codes, without persons.
log = logging.getLogger("congvan.happened")
#: What a database answers that is away, restarts or has no room. orig: the driver's own exception.
Refused = DBAPIError

#: Classes of SQLSTATE that blame the statement or its values: data, constraints, syntax, limits of a row.
_OF_THE_VALUES = ("22", "23", "42", "54")
#: What says that a database is away, or has no room for anybody: classes of SQLSTATE, and SQLite's result codes.
_AWAY = ("08", "57P", "53", "58")
_NO_MEMORY = "53200"  # of one statement, which asks for as much the next time
_AWAY_SQLITE = frozenset({
    sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
})  # fmt: skip

_BUSY_TIMEOUT_MS = 30_000
#: PostgreSQL ends a transaction in which nothing has been asked for so long: a process that stands still (stopped, or
#: its machine frozen) would keep its rows from everybody for as long as its connection lives. The longest of ours only
#: reads, and works for seconds on what it has read.
_STANDS_STILL_S = 120
#: After so many acts a process moves SQLite's log to the file, outside its turn: whoever happened to commit when the
#: log was full would do it within, and everybody would wait for both. A batch writes as much as many answers.
_ANSWERS_A_CHECKPOINT, _BATCHES_A_CHECKPOINT = 64, 8
#: When it is moved by whoever commits, because nobody else has: pages.
_FULL_LOG_PAGES = 16_000
#: By which name PostgreSQL knows the connections of a process that answers somebody, and those of one that works for
#: nobody in particular.
_ANSWERS, _WORKS = "congvan answering", "congvan"
#: How often the second looks whether the first was busy lately; seconds.
_LOOK_EVERY_S = 0.5
_SOMEBODY_ANSWERS = text(
    "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = :name"
    " AND (state = 'active' OR state_change > clock_timestamp() - make_interval(secs => :lately)))"
)
#: Held until the transaction ends; the number is ours alone in its database.
_ALONE = text("SELECT pg_advisory_xact_lock(84842023)")
#: What a database says of a fault must not quote what it was given: addresses, names, a person's mail.
_DISCREET = {"hide_parameters": True}
#: Every row of the outbox has three columns of JSON; this reads them in a third of the time.
_JSON: dict[str, Any] = {
    "json_serializer": lambda value: orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode(),
    "json_deserializer": orjson.loads,
}


class Store:
    """The database behind a URL: `sqlite+aiosqlite:///…` or `postgresql+asyncpg://…`.

    gives_way: nobody waits for what this process writes, so on SQLite it writes behind those who answer somebody, and
    on either its batches are smaller while there is anybody who does.
    """

    def __init__(self, url: str, *, gives_way: bool = False, **engine_options: Any) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        engine_options = _JSON | _DISCREET | engine_options
        if self.is_sqlite:
            self.engine = _sqlite(url, engine_options, in_place=gives_way)
        else:
            self.engine = _postgresql(url, engine_options, _WORKS if gives_way else _ANSWERS)
        file = self.url.database or ""
        shared = self.is_sqlite and file not in ("", ":memory:") and not file.startswith("file:")
        self._queue = Queue(Path(file), _BUSY_TIMEOUT_MS / 1000, gives_way=gives_way) if shared else None
        self.gives_way = gives_way
        self.open_transactions = 0
        self._acts = 0
        #: On PostgreSQL: when it was looked whether anybody answers, and when somebody last did; the loop's seconds.
        self._looked_at = self._heard_at = -math.inf
        self._moving: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def act(self) -> AsyncIterator[Ledger]:
        """A transaction that may write: committed when the block ends, rolled back when it raises."""
        async with self._turn(), self._session(immediate=True) as session:
            if self.gives_way and not self.is_sqlite:
                await self._look_who_answers(session)
            ledger = Ledger(session, self.is_sqlite)
            yield ledger
            await session.commit()
        for kind, codes in ledger.happened:
            log.info("%s %s", kind, " ".join(codes.values()), extra=codes)
        if self._queue is not None:
            await self._move_the_log()

    async def _move_the_log(self) -> None:
        """Every so many acts, and beside the next ones where somebody waits for an answer."""
        self._acts += 1
        if self._acts % (_BATCHES_A_CHECKPOINT if self.gives_way else _ANSWERS_A_CHECKPOINT):
            return
        if self.gives_way:
            await self._checkpoint()
        elif self._moving is None or self._moving.done():
            self._moving = asyncio.create_task(self._checkpoint(), name="checkpoint")

    async def _checkpoint(self) -> None:
        """Move what nobody reads any more from the log to the file; others read and write meanwhile.

        Where there is no room for it the next act says so: the one before is committed, and must not look as if it had
        failed.
        """
        with suppress(sqlite3.Error, DBAPIError):
            async with self.engine.connect() as connection:
                raw = await connection.get_raw_connection()
                own = cast("driver.Connection", raw.driver_connection)
                await own.aside(lambda: own._conn.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall())

    @asynccontextmanager
    async def view(self) -> AsyncIterator[Ledger]:
        """A transaction that only reads, on one snapshot."""
        async with self._session(immediate=False) as session:
            yield Ledger(session, self.is_sqlite, reads_only=True)

    @property
    def pressed(self) -> bool:
        """Whether somebody waits for each batch of this process: smaller ones keep him less long."""
        if self.is_sqlite:
            return self._queue is not None and self._queue.pressed
        return asyncio.get_running_loop().time() - self._heard_at < LATELY_S

    async def _look_who_answers(self, session: AsyncSession) -> None:
        """An answer waits for the batch that holds its row, and for the log of whoever commits before it."""
        now = asyncio.get_running_loop().time()
        if now - self._looked_at >= _LOOK_EVERY_S:
            self._looked_at = now
            if await session.scalar(_SOMEBODY_ANSWERS, {"name": _ANSWERS, "lately": LATELY_S}):
                self._heard_at = now

    def _turn(self) -> AbstractAsyncContextManager[None]:
        return nullcontext() if self._queue is None else self._queue.turn()

    @asynccontextmanager
    async def _session(self, *, immediate: bool) -> AsyncIterator[AsyncSession]:
        self.open_transactions += 1
        try:
            async with AsyncSession(self.engine, expire_on_commit=False, autoflush=False) as session:
                if immediate and self.is_sqlite:
                    await session.connection(execution_options={"congvan_immediate": True})
                elif not immediate and not self.is_sqlite:
                    # PostgreSQL's own default takes a new snapshot for each statement.
                    await session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
                yield session
        finally:
            self.open_transactions -= 1

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[AsyncConnection]:
        """A transaction beside which nobody else changes the schema, nor, on SQLite, writes anything."""
        async with self._turn(), self.engine.connect() as connection:
            if self.is_sqlite:
                await connection.execution_options(congvan_immediate=True)
            async with connection.begin():
                if not self.is_sqlite:
                    await connection.execute(_ALONE)
                yield connection

    async def create_tables(self) -> None:
        """The present schema without migrations: for tests and the simulator."""
        async with self.engine.begin() as connection:
            await connection.run_sync(Table.metadata.create_all)

    async def close(self) -> None:
        """Return every connection."""
        if self._moving is not None:
            await self._moving
        await self.engine.dispose()
        if self._queue is not None:
            self._queue.close()


def passes(fault: Exception) -> bool:
    """Whether the same may succeed later: the database was away or busy, or two were in each other's way.

    False for what it will never keep, and for what is no fault of a database.
    """
    if not isinstance(fault, DBAPIError):
        # A connection that breaks off within a statement of asyncpg; a pool that has none left.
        return isinstance(fault, ConnectionError | TimeoutError | PoolTimeout)
    if isinstance(fault, DataError | IntegrityError | ProgrammingError | NotSupportedError):
        return False
    # asyncpg says of a value of its own accord that it cannot be sent, and SQLAlchemy keeps that as the cause.
    own = isinstance(getattr(fault.orig, "__cause__", None), ValueError)
    return not own and str(getattr(fault.orig, "sqlstate", None) or "")[:2] not in _OF_THE_VALUES


def is_away(fault: Exception) -> bool:
    """Whether the database is away, locked or full, and so for everybody, whatever is asked of it.

    False for all that may come of one row, also where the same may succeed later: whoever gives way to it would give
    way to that row for ever.
    """
    if not isinstance(fault, DBAPIError):
        return isinstance(fault, ConnectionError | TimeoutError | PoolTimeout)
    if fault.connection_invalidated or isinstance(fault.orig, OSError):
        return True
    # The low octet; the others say what it was about.
    if getattr(fault.orig, "sqlite_errorcode", 0) & 0xFF in _AWAY_SQLITE:
        return True
    state = str(getattr(fault.orig, "sqlstate", None) or "")
    return state.startswith(_AWAY) and state != _NO_MEMORY


def _postgresql(url: str, options: dict[str, Any], name: str) -> AsyncEngine:
    options = {"pool_size": 10, "max_overflow": 20, "pool_pre_ping": True} | options

    async def reached(**how: Any) -> Any:
        """Where there is no server, or one that is just starting or lets nobody in, SQLAlchemy passes on the driver's
        and the system's exceptions, which are not among its own."""
        import asyncpg

        try:
            return await asyncpg.connect(**how)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            spoken: Any = engine.dialect.dbapi
            refused = spoken.OperationalError(f"{type(error).__name__}: {error}")
            refused.sqlstate = "08001"  # a connection that could not be made
            raise refused from error

    patience = {"idle_in_transaction_session_timeout": f"{_STANDS_STILL_S}s", "application_name": name}
    how = {"server_settings": patience, "async_creator_fn": reached}
    engine = create_async_engine(url, connect_args=how, **options)
    return engine


def _sqlite(url: str, options: dict[str, Any], *, in_place: bool) -> AsyncEngine:
    if ":memory:" in url:
        options = {"poolclass": StaticPool} | options
    how = {"async_creator_fn": partial(driver.connect, in_place=in_place, patience_ms=_BUSY_TIMEOUT_MS)}
    engine = create_async_engine(url, connect_args=how, **options)

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # pysqlite must not open transactions behind our back
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        # A batch of letters touches more pages than the 2 MB of the default hold: each would be read again many times
        # a round.
        cursor.execute("PRAGMA cache_size=-8192")
        cursor.execute(f"PRAGMA wal_autocheckpoint={_FULL_LOG_PAGES}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Any) -> None:
        immediate = connection.get_execution_options().get("congvan_immediate", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine
