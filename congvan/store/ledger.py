"""One transaction's hands on the database: read, lock, compare-and-set, and write down what happened.

Every change of a delivery, a hop or a campaign goes through `write`: it appends to that row's event
chain and updates the row in one guarded statement, so nothing changes without its line in the log.
On PostgreSQL rows are locked in the order deliveries → hops → campaigns → letters, each by id, so that no two acts
wait for each other (`locked`). What belongs to one of them (its mails, its cases) is changed with it locked; whoever
locks the cases of a whole campaign does so before the campaign.

Statements that every turn or every look needs are built once (`@cache`) and given their values: to build one takes
longer than the database needs for a few rows of it.

(Longer than a file should be: one class, whose ways to write all keep the same chain of events.)
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Any, TypeVar

import orjson
from sqlalchemy import (
    Delete,
    Insert,
    Select,
    Update,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm.attributes import set_committed_value

from congvan.errors import NotFound, StaleDelivery
from congvan.rules.protocol import Event, Fact
from congvan.rules.uploads import Upload
from congvan.store.bulk import Bundle, Sheet, among, bundle_of, row_of
from congvan.store.tables import Campaign, Delivery, EventRow, File, Hop, Note, Table

#: Up to so many rows are written one by one: to build a statement for all takes longer.
_ONE_BY_ONE = 8

Row = TypeVar("Row", bound=Table)
Chained = TypeVar("Chained", Campaign, Hop, Delivery)


@dataclass(frozen=True, slots=True)
class Entry:
    """A line for the log: what happened, to be chained."""

    kind: str
    data: Mapping[str, Any] = field(default_factory=dict)
    actor: str = "engine"
    channel: str = "system"


def chain_hash(head: str, stream: str, seq: int, at: datetime, entry: Entry) -> str:
    """The hash of an event: over the hash before it and everything it says."""
    said = [head, stream, seq, _in_utc(at), entry.kind, entry.actor, entry.channel, entry.data]
    return hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()


@lru_cache(maxsize=64)
def _in_utc(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()


#: What every mail of every recipient goes through: it stands in the chain of events and in no process's log.
_ROUTINE = frozenset(
    {
        Event.SENT, Event.ARRIVED, Fact.CREATED, Fact.ANOTHER_WAY, Fact.ATTEMPTED, Fact.REMINDED, Fact.TOLD,
        Fact.DELAYED, Fact.COPIED, Fact.NOTED, Fact.LETTER_DRAFTED, Fact.SETTLED, Fact.MOVED, Fact.URGED,
    }
)  # fmt: skip
#: That a hop opens is told once, and not again for each of its recipients.
_ROUTINE_OF_RECIPIENTS = _ROUTINE | {Fact.OPENED}

#: Of so many rows a view remembers that it has read them: more than a page needs.
_HELD = 256

#: What people call the rows that they name by hand, and what lists them.
_CALLED = {
    "campaigns": ("đợt", "congvan status"), "deliveries": ("nơi nhận", "congvan deliveries CAMPAIGN"),
    "letters": ("văn bản", "congvan letters CAMPAIGN"), "requests": ("đề nghị", "congvan requests"),
    "organisations": ("tổ chức", "congvan registry export"),
}  # fmt: skip


def not_found(table: str, key: object) -> NotFound:
    """Nothing stands under this key: what it is called, and where to look."""
    name, listed = _CALLED.get(table, (table, ""))
    return NotFound(f"không có {name} «{key}»" + (f" → xem: {listed}" if listed else ""))


class Ledger:
    """One transaction. Made by `Store.act` (may write) or `Store.view`."""

    def __init__(self, session: AsyncSession, is_sqlite: bool, *, reads_only: bool = False) -> None:
        self.session = session
        self.is_sqlite = is_sqlite
        #: What a view has read by its key stays as it was read; a session alone forgets what nobody holds, and asks for
        #: it again.
        self._held: deque[Table] | None = deque(maxlen=_HELD) if reads_only else None
        #: What this transaction writes down and the process's own log tells, once it is committed.
        self.happened: list[tuple[str, dict[str, str]]] = []

    # ------------------------------------------------------------------ reading

    async def find(self, table: type[Row], key: Any, *, fresh: bool = False) -> Row | None:
        """The row under this primary key (a tuple where it has several columns), or None.

        fresh: as the database has it, whatever this transaction has read of it before.
        """
        known = self.session.sync_session.identity_map
        held: Row | None = None if fresh else known.get((table, _as_key(key), None))
        row = held or await self._by_key(table, key, fresh=fresh)
        if row is not None and self._held is not None:
            self._held.append(row)
        return row

    async def get(self, table: type[Row], key: Any) -> Row:
        """The row under this primary key; raise NotFound."""
        row = await self.find(table, key)
        if row is None:
            raise not_found(table.__tablename__, key)
        return row

    async def take(self, table: type[Row], key: Any) -> Row:
        """The row, locked until the transaction ends (SQLite locks the whole database anyway)."""
        row = await self._by_key(table, key, to_change=True, fresh=True)
        if row is None:
            raise not_found(table.__tablename__, key)
        return row

    async def _by_key(
        self, table: type[Row], key: Any, *, to_change: bool = False, fresh: bool = False
    ) -> Row | None:
        """As the session's own `get`, which builds its statement anew for each row: a quarter of what it takes."""
        values = {f"key{number}": one for number, one in enumerate(_as_key(key))}
        row: Row | None = (await self.session.scalars(_of_key(table, to_change, fresh), values)).one_or_none()
        return row

    async def all(self, query: Select[tuple[Any]], *, lock: bool = False) -> list[Any]:
        """Every row of a query for one entity or column."""
        if lock:
            query = locked(query).execution_options(populate_existing=True)
        return list((await self.session.scalars(query)).all())

    def among(self, column: Any, keys: Iterable[str]) -> Any:
        """The condition `column IN keys`, for any number of them."""
        return among(column, list(keys), self.is_sqlite)

    async def rows(self, query: Select[Any]) -> Sequence[Any]:
        """Every row of a query for several columns."""
        return (await self.session.execute(query)).all()

    async def batch(self, query: Select[Any], **values: Any) -> Sequence[Any]:
        """As `rows`, for hundreds of them, as named tuples. With values, the query is one that is built once: it is
        kept for ever.

        SQLite's driver takes and lets go of the interpreter for each row, so beside a busy loop a row costs more
        than all that is done with it: there they come in one step, as one value of JSON.
        """
        connection = await self.session.connection()
        if not self.is_sqlite:
            found = await connection.execute(query, values)
            # A named tuple is read in half of the time of SQLAlchemy's own row.
            return list(map(row_of(tuple(found.keys()))._make, found))
        bundle = bundle_of(query) if values else Bundle(query)
        return bundle.opened((await connection.execute(bundle.query, values)).scalar_one())

    async def first(self, query: Select[tuple[Any]]) -> Any:
        """The first row of a query, or None."""
        return (await self.session.scalars(query.limit(1))).first()

    async def count(self, query: Select[Any]) -> int:
        """How many rows a query finds."""
        return int(await self.session.scalar(select(func.count()).select_from(query.subquery())) or 0)

    # ------------------------------------------------------------------ writing

    async def add(self, table: type[Table], **values: Any) -> None:
        """Insert one row."""
        await self.session.execute(insert(table).values(**values))

    async def add_all(self, table: type[Table], rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert many rows in one statement."""
        if rows:
            await self.session.execute(insert(table), list(rows))

    async def pour(self, table: type[Table], rows: Sequence[Mapping[str, Any]]) -> None:
        """As `add_all`, for any number of rows of one shape: many of them as one parameter (`Sheet`)."""
        if not rows:
            return
        connection = await self.session.connection()
        if len(rows) <= _ONE_BY_ONE:
            await connection.execute(_inserting(table), [dict(row) for row in rows])
        else:
            sheet = Sheet(table, rows, self.is_sqlite)
            await connection.execute(sheet.inserting, sheet.bound)

    async def put(self, table: type[Table], keys: Mapping[str, Any], **values: Any) -> None:
        """Insert or replace the row under these keys."""
        dialect: Any = sqlite if self.is_sqlite else postgresql
        statement = dialect.insert(table).values(**keys, **values)
        await self.session.execute(
            statement.on_conflict_do_update(index_elements=list(keys), set_=values)
            if values
            else statement.on_conflict_do_nothing(index_elements=list(keys))
        )

    async def put_all(self, table: type[Table], keys: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
        """As `put`, for many rows of one shape, by one statement."""
        if rows:
            connection = await self.session.connection()
            await connection.execute(_putting(table, tuple(keys), tuple(rows[0]), self.is_sqlite), list(rows))

    async def add_if_absent(self, table: type[Table], **values: Any) -> bool:
        """Insert unless a constraint says that it is there already; True when it was inserted."""
        dialect: Any = sqlite if self.is_sqlite else postgresql
        result: Any = await self.session.execute(
            dialect.insert(table).values(**values).on_conflict_do_nothing()
        )
        return bool(result.rowcount)

    async def add_all_if_absent(self, table: type[Table], rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert many rows in one statement; those that a constraint says are there already stay as they are."""
        if rows:
            connection = await self.session.connection()
            await connection.execute(_inserting_if_absent(table, self.is_sqlite), list(rows))

    async def change(self, table: type[Table], *guards: Any, **values: Any) -> int:
        """UPDATE … WHERE guards; the number of rows changed, so that the caller knows who was first."""
        result: Any = await self.session.execute(
            update(table).where(*guards).values(**values).execution_options(synchronize_session=False)
        )
        return int(result.rowcount)

    async def changed(self, statement: Update | Delete, values: Mapping[str, Any]) -> bool:
        """As `change`, by a statement on a table that is built once; True where it changed a row."""
        result: Any = await self.session.execute(statement, dict(values))
        return bool(result.rowcount)

    async def change_many(self, table: type[Table], rows: Sequence[Mapping[str, Any]]) -> None:
        """Update many rows by id, one statement for all that change the same columns."""
        shapes: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
        # In the order in which everybody locks them.
        for row in sorted(rows, key=lambda row: str(row["id"])):
            shapes.setdefault(tuple(sorted(row)), []).append(row)
        connection = await self.session.connection()
        for names, alike in shapes.items():
            if len(alike) <= _ONE_BY_ONE:
                keyed = [{"the_id" if name == "id" else f"new_{name}": row[name] for name in names} for row in alike]
                await connection.execute(_changing(table, names), keyed)
                continue
            sheet = Sheet(table, alike, self.is_sqlite)
            await connection.execute(sheet.changing, sheet.bound)

    async def remove(self, table: type[Table], *guards: Any) -> int:
        """DELETE … WHERE guards."""
        result: Any = await self.session.execute(delete(table).where(*guards))
        return int(result.rowcount)

    # ------------------------------------------------------------------ what happened

    async def write(self, row: Chained, at: datetime, entries: Entry | Iterable[Entry], **values: Any) -> None:
        """Change a row and chain its events, guarded by the events it had when it was read.

        Raise StaleDelivery when somebody else wrote first.
        """
        entries = [entries] if isinstance(entries, Entry) else list(entries)
        seq, events, new = self._chain(row, at, entries, values)
        table = type(row)
        guarded = {"the_id": row.id, "read_seq": seq} | {f"new_{name}": value for name, value in new.items()}
        if not await self.changed(_guarded(table, tuple(sorted(new))), guarded):
            raise StaleDelivery
        await self.pour(EventRow, events)
        _keep(row, new)

    async def write_many(
        self, changes: Sequence[tuple[Delivery, Sequence[Entry], Mapping[str, Any]]], at: datetime
    ) -> None:
        """As `write` for many deliveries that this transaction has locked, in few statements."""
        events: list[dict[str, Any]] = []
        rows: list[dict[str, Any]] = []
        for row, entries, values in changes:
            _seq, said, new = self._chain(row, at, entries, values)
            events += said
            rows.append({"id": row.id, **new})
            _keep(row, new)
        await self.change_many(Delivery, rows)
        await self.pour(EventRow, events)

    def _chain(
        self, row: Campaign | Hop | Delivery, at: datetime, entries: Sequence[Entry], values: Mapping[str, Any]
    ) -> tuple[int, list[dict[str, Any]], dict[str, Any]]:
        seq, head, events = row.event_seq, row.event_head, []
        campaign = row.id if isinstance(row, Campaign) else row.campaign_id
        routine = _ROUTINE if isinstance(row, Campaign | Hop) else _ROUTINE_OF_RECIPIENTS
        for number, entry in enumerate(entries, start=seq + 1):
            if entry.kind not in routine:
                self.happened.append((str(entry.kind), self._codes(row)))
            head = chain_hash(head, row.id, number, at, entry)
            events.append(
                {
                    "stream": row.id, "seq": number, "campaign_id": campaign, "at": at, "kind": str(entry.kind),
                    "actor": entry.actor, "channel": entry.channel, "data": dict(entry.data), "hash": head,
                }
            )  # fmt: skip
        new = dict(values) | {
            "event_seq": seq + len(events),
            "event_head": head,
            "board_seq": row.board_seq + 1,
        }
        return seq, events, new

    def _codes(self, row: Any) -> dict[str, str]:
        """How people call a row, without a query: where nobody has read its campaign, the id for the code."""
        if isinstance(row, Campaign):
            return {"campaign": row.code}
        if isinstance(row, Hop):
            campaign = self.session.sync_session.identity_map.get((Campaign, (row.campaign_id,), None))
            return {"campaign": campaign.code if campaign else row.campaign_id, "hop": row.issuer}
        code, recipient = getattr(row, "code", row.id), getattr(row, "recipient", "")
        campaign_code = code.removesuffix(f"-{recipient}") if recipient else row.campaign_id
        return {"campaign": campaign_code, "delivery": code}

    # ------------------------------------------------------------------ files and notes

    async def keep_file(self, data: bytes, media_type: str) -> str:
        """Store bytes under their SHA-256, once; return it in hex."""
        digest = hashlib.sha256(data).hexdigest()
        await self.add_if_absent(File, sha256=digest, media_type=media_type, size=len(data), data=data)
        return digest

    async def keep_upload(self, file: Upload) -> dict[str, Any]:
        """Store a file that somebody sent; what a line of the log says of it."""
        sha256 = await self.keep_file(file.data, file.media_type)
        return {"name": file.name, "sha256": sha256, "size": len(file.data), "media_type": file.media_type}

    async def file(self, sha256: str) -> bytes:
        """The bytes under this hash; raise NotFound."""
        found = await self.find_file(sha256)
        if found is None:
            raise not_found(File.__tablename__, sha256)
        return found

    async def find_file(self, sha256: str | None) -> bytes | None:
        """The bytes under this hash, or None; not the row, which would be kept as long as somebody holds it."""
        found = await self.session.scalar(select(File.data).where(File.sha256 == sha256))
        return None if found is None else bytes(found)

    async def note(self, name: str, *, to_change: bool = False) -> dict[str, Any] | None:
        """A named value of the engine, or None. to_change: nobody else changes it before this transaction ends."""
        row = await self._by_key(Note, name, to_change=to_change, fresh=True)
        return None if row is None else row.value

    async def set_note(self, name: str, value: Mapping[str, Any]) -> None:
        """Set a named value."""
        await self.put(Note, {"name": name}, value=dict(value))


def locked(query: Select[Any], **how: Any) -> Select[Any]:
    """The query with its rows locked until the transaction ends, in the order that stands above.

    As an update locks them, and no further: no key ever changes, so a row that refers to one of them may be written
    meanwhile. Else every mail that is queued would wait for its campaign, out of turn.
    """
    return query.with_for_update(key_share=True, **how)


def _as_key(key: Any) -> tuple[Any, ...]:
    return key if isinstance(key, tuple) else (key,)


@cache
def _of_key(table: type[Table], to_change: bool, fresh: bool) -> Select[Any]:
    columns = table.__table__.primary_key
    query = select(table).where(*(column == bindparam(f"key{n}") for n, column in enumerate(columns)))
    query = query.execution_options(populate_existing=True) if fresh else query
    return locked(query) if to_change else query


@cache
def _inserting(table: type[Table]) -> Insert:
    return insert(table.__table__)  # type: ignore[arg-type]


@cache
def _inserting_if_absent(table: type[Table], is_sqlite: bool) -> Insert:
    dialect: Any = sqlite if is_sqlite else postgresql
    statement: Insert = dialect.insert(table.__table__).on_conflict_do_nothing()
    return statement


@cache
def _putting(table: type[Table], keys: tuple[str, ...], names: tuple[str, ...], is_sqlite: bool) -> Insert:
    dialect: Any = sqlite if is_sqlite else postgresql
    adding = dialect.insert(table.__table__)
    new = {name: adding.excluded[name] for name in names if name not in keys}
    statement: Insert = adding.on_conflict_do_update(index_elements=list(keys), set_=new)
    return statement


@cache
def _changing(table: type[Table], names: tuple[str, ...]) -> Update:
    """Change these columns of a row; built once for each set of columns."""
    values: Any = {name: bindparam(f"new_{name}") for name in names if name != "id"}
    return update(table.__table__).where(table.__table__.c.id == bindparam("the_id")).values(values)  # type: ignore[arg-type]


@cache
def _guarded(table: type[Table], names: tuple[str, ...]) -> Update:
    return _changing(table, names).where(table.__table__.c.event_seq == bindparam("read_seq"))


def _keep(row: Table, new: Mapping[str, Any]) -> None:
    # The row in hand shows what the database now holds; SQLAlchemy must not write it again. Rows that were
    # read by columns belong to no session and stay as they were read.
    if not isinstance(row, Table):
        return
    for name, value in new.items():
        set_committed_value(row, name, value)
