"""What the acts may rely on, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import asyncio
import math
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url, select, text
from sqlalchemy.exc import IntegrityError, StatementError

from congvan.errors import NotFound, StaleDelivery
from congvan.rules.protocol import Event, Fact
from congvan.simulation import inline
from congvan.store import database, driver
from congvan.store import ledger as ledger_module
from congvan.store.database import Store
from congvan.store.ledger import Entry, Ledger, chain_hash
from congvan.store.schema import migrate, versions
from congvan.store.tables import Campaign, Delivery, EventRow, File, Hop, Letter, Message, Number, Table
from tests.postgres import fresh_database

NOW = datetime(2023, 12, 1, 1, tzinfo=UTC)


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """The simulator's store, where nobody else is to go first."""
    monkeypatch.setattr(inline.Pause, "__await__", lambda _pause: iter(()))
    # SQLAlchemy makes the first connection under a lock of the loop, even of one that does not run.
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    disk = inline.Disk()
    yield inline.InlineStore(disk)
    disk.close()
    asyncio.set_event_loop(None)
    loop.close()


@pytest.fixture(params=["sqlite", "postgresql", "simulated"])
async def store(request: pytest.FixtureRequest, tmp_path: Path, simulated: Store) -> AsyncIterator[Store]:
    """Each test on each database, with the tables that the migrations make; and on the one that the simulator plays."""
    if request.param == "simulated":
        yield simulated
        return
    if request.param == "sqlite":
        made = Store(f"sqlite+aiosqlite:///{tmp_path / 'contract.db'}")
    else:
        made = Store(await fresh_database(request.getfixturevalue("postgres_url")))
    await migrate(made)
    yield made
    assert made.open_transactions == 0
    await made.close()


async def _campaign(ledger: Ledger) -> None:
    await ledger.add(
        Campaign,
        id="c" * 32, code="C", state="RUNNING", mode="demo", subject="s", urgency="normal", plan={}, cascade={},
        plan_sha256="0" * 64, upstream=[], launched_at=NOW,
    )  # fmt: skip
    await ledger.add(
        Hop, id="h" * 32, campaign_id="c" * 32, ordinal=0, issuer="A", issuer_name="A", level="board", state="WAITING"
    )


def _delivery(number: int, **values: Any) -> dict[str, Any]:
    return {
        "id": f"{number:032d}", "campaign_id": "c" * 32, "hop_id": "h" * 32, "code": f"C-{number}",
        "recipient": f"R{number}", "name": "R", "level": "tenant", "segments": [], "settles": "acknowledge",
        "state": "QUEUED", "address": "a@b.example",
    } | values  # fmt: skip


@pytest.fixture
async def filled(store: Store) -> Store:
    """One campaign, one hop, three deliveries."""
    async with store.act() as ledger:
        await _campaign(ledger)
        await ledger.add_all(Delivery, [_delivery(number) for number in range(3)])
    return store


async def test_the_migrations_make_the_tables_that_the_program_declares(store: Store) -> None:
    if isinstance(store, inline.InlineStore):
        pytest.skip("its tables are made as they are declared")
    assert len(set(await versions(store))) == 1
    async with store.engine.connect() as connection:
        for table in Table.metadata.sorted_tables:
            await connection.execute(select(table).limit(1))


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
async def test_of_several_who_meet_an_empty_database_one_makes_its_tables_while_the_others_wait(
    database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'contract.db'}"
    if database == "postgresql":
        url = await fresh_database(request.getfixturevalue("postgres_url"))
    stores = [Store(url) for _ in range(3)]
    await asyncio.gather(*(migrate(store) for store in stores))
    assert len({await versions(store) for store in stores}) == 1
    for store in stores:
        await store.close()


async def test_fifty_read_then_write_acts_of_eight_tasks_lose_no_update(filled: Store) -> None:
    async def count_up() -> None:
        for _ in range(50):
            async with filled.act() as ledger:
                row = await ledger.take(Delivery, f"{0:032d}")
                await ledger.write(row, NOW, Entry(Fact.NOTED), reminders=row.reminders + 1)

    await asyncio.gather(*(count_up() for _ in range(8)))
    async with filled.view() as ledger:
        row = await ledger.get(Delivery, f"{0:032d}")
        assert (row.reminders, row.event_seq) == (400, 400)


async def test_a_statement_and_its_rows_are_one_trip_to_the_thread_of_the_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(f"sqlite+aiosqlite:///{tmp_path / 'contract.db'}")
    await store.create_tables()
    trips: list[Any] = []
    go = driver.Connection._execute

    async def counted(self: driver.Connection, *given: Any) -> Any:
        trips.append(given)
        return await go(self, *given)

    async with store.act() as ledger:
        await _campaign(ledger)
        monkeypatch.setattr(driver.Connection, "_execute", counted)
        await ledger.add_all(Delivery, [_delivery(number) for number in range(3)])
        assert len(trips) == 1
        assert len(await ledger.all(select(Delivery))) == 3
        assert len(trips) == 2
        with pytest.raises(IntegrityError):
            await ledger.add_all(Delivery, [_delivery(0)])
    await store.close()


async def test_an_act_that_has_only_read_keeps_out_writers_who_do_not_queue(tmp_path: Path) -> None:
    store = Store(f"sqlite+aiosqlite:///{tmp_path / 'contract.db'}")
    await migrate(store)
    other = sqlite3.connect(tmp_path / "contract.db", timeout=0, isolation_level=None)
    async with store.act():
        # Else its own first write would fail at once, whatever the time-out: it read what is no more.
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
    other.execute("BEGIN IMMEDIATE")
    other.close()
    await store.close()


async def test_on_postgresql_an_act_that_stands_still_gives_up_its_rows_and_leaves_nothing(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_STANDS_STILL_S", 1)
    still = Store(await fresh_database(postgres_url))
    await migrate(still)
    async with still.act() as ledger:
        await _campaign(ledger)
    other = Store(still.url.render_as_string(hide_password=False))

    async def stands_still() -> None:
        async with still.act() as ledger:
            await ledger.take(Hop, "h" * 32)
            await ledger.change(Hop, Hop.id == "h" * 32, issuer_name="still")
            async with other.act() as meanwhile:
                await meanwhile.take(Hop, "h" * 32)
                await meanwhile.change(Hop, Hop.id == "h" * 32, issuer_name="other")

    with pytest.raises(database.Refused):
        await stands_still()
    async with other.view() as ledger:
        assert (await ledger.get(Hop, "h" * 32)).issuer_name == "other"
    await still.close()
    await other.close()


async def test_on_postgresql_whoever_sends_sees_at_its_next_look_that_somebody_answers(postgres_url: str) -> None:
    url = await fresh_database(postgres_url)
    answering, sending = Store(url), Store(url, gives_way=True)

    async def look() -> bool:
        sending._looked_at = -math.inf
        async with sending.act():
            return sending.pressed

    assert not await look()
    async with answering.view() as ledger:
        await ledger.session.scalar(text("SELECT 1"))
    assert await look()
    assert not answering.pressed, "it is the one for whom room is made"
    await answering.close()
    await sending.close()


async def test_a_postgresql_that_lets_nobody_in_says_so_as_it_refuses_anything_else(postgres_url: str) -> None:
    nowhere = Store(make_url(postgres_url).set(database="nowhere").render_as_string(hide_password=False))
    with pytest.raises(database.Refused, match="InvalidCatalogNameError") as told:
        async with nowhere.view() as ledger:
            await ledger.all(select(Hop))
    assert database.is_away(told.value)
    await nowhere.close()


async def test_where_no_postgresql_is_reached_that_is_said_in_the_same_way(tmp_path: Path) -> None:
    nobody = Store(f"postgresql+asyncpg://postgres@/postgres?host={tmp_path}")
    with pytest.raises(database.Refused, match=r"FileNotFoundError|ConnectionRefusedError"):
        async with nobody.view() as ledger:
            await ledger.all(select(Hop))
    await nobody.close()


@pytest.mark.parametrize(
    ("statement", "values", "passing", "away"),
    [
        ("SELECT pg_terminate_backend(pg_backend_pid())", {}, True, True),
        ("DO $$ BEGIN RAISE EXCEPTION SQLSTATE '53100'; END $$", {}, True, True),
        ("DO $$ BEGIN RAISE EXCEPTION SQLSTATE '53200'; END $$", {}, True, False),
        ("DO $$ BEGIN RAISE EXCEPTION SQLSTATE '40P01'; END $$", {}, True, False),
        ("DO $$ BEGIN RAISE EXCEPTION SQLSTATE 'XX001'; END $$", {}, True, False),
        ("SELECT 1 / 0", {}, False, False),
        ("SELECT no_such", {}, False, False),
        ("SELECT CAST(:one AS integer)", {"one": 2**70}, False, False),
        ("SELECT CAST(:one AS text)", {"one": "a\x00b"}, False, False),
        ("INSERT INTO notes (name, value) VALUES (NULL, NULL)", {}, False, False),
    ],
    ids=["ended", "disk full", "memory", "deadlock", "damaged", "division", "column", "too large", "NUL", "constraint"],
)
async def test_a_fault_that_passes_is_told_from_one_of_the_values(
    postgres_url: str, statement: str, values: dict[str, object], *, passing: bool, away: bool
) -> None:
    asked = Store(await fresh_database(postgres_url))
    await migrate(asked)
    with pytest.raises(database.Refused) as found:
        async with asked.act() as ledger:
            await ledger.session.execute(text(statement), values)
    assert (database.passes(found.value), database.is_away(found.value)) == (passing, away)
    await asked.close()


async def test_a_sqlite_that_is_locked_or_not_there_is_away_and_one_that_cannot_read_a_row_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_BUSY_TIMEOUT_MS", 1)

    async def refused(store: Store, statement: str) -> bool:
        with pytest.raises(database.Refused) as found:
            async with store.act() as ledger:
                await ledger.session.execute(text(statement))
        await store.close()
        return database.is_away(found.value)

    path = tmp_path / "asked.db"
    at = f"sqlite+aiosqlite:///{path}"
    assert not await refused(Store(at), "SELECT no_such")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert await refused(Store(at), "SELECT 1")
    assert await refused(Store(f"sqlite+aiosqlite:///{tmp_path}/nowhere/asked.db"), "SELECT 1")
    path.write_bytes(b"no database" * 100)
    assert not await refused(Store(at), "SELECT 1")


async def test_a_write_on_a_row_that_somebody_else_changed_is_refused(filled: Store) -> None:
    async with filled.view() as ledger:
        stale = await ledger.get(Delivery, f"{0:032d}")
    async with filled.act() as ledger:
        await ledger.write(await ledger.take(Delivery, stale.id), NOW, Entry(Fact.NOTED), reminders=1)
    with pytest.raises(StaleDelivery):
        async with filled.act() as ledger:
            await ledger.write(stale, NOW, Entry(Fact.NOTED), reminders=7)


async def test_an_act_that_raises_leaves_nothing_behind(filled: Store) -> None:
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 - the act is what must be undone
        async with filled.act() as ledger:
            row = await ledger.take(Delivery, f"{1:032d}")
            await ledger.write(row, NOW, Entry(Event.SENT), state="SENT")
            _ = 1 / 0
    async with filled.view() as ledger:
        assert (await ledger.get(Delivery, f"{1:032d}")).state == "QUEUED"
        assert not await ledger.all(select(EventRow.seq))


async def test_every_event_is_chained_to_the_one_before_it(filled: Store) -> None:
    async with filled.act() as ledger:
        row = await ledger.take(Delivery, f"{2:032d}")
        await ledger.write(row, NOW, [Entry(Event.SENT, {"b": 1, "a": "ế"}), Entry(Fact.NOTED)], state="SENT")
        await ledger.write_many([(row, [Entry(Fact.REMINDED)], {"reminders": 1})], NOW + timedelta(hours=1))
    async with filled.view() as ledger:
        events = await ledger.all(select(EventRow).order_by(EventRow.seq))
        head = ""
        for event in events:
            head = chain_hash(
                head, event.stream, event.seq, event.at, Entry(event.kind, event.data, event.actor, event.channel)
            )
            assert event.hash == head
        assert (await ledger.get(Delivery, f"{2:032d}")).event_head == head
        assert [event.seq for event in events] == [1, 2, 3]


async def test_many_deliveries_change_in_one_act_and_keep_their_own_columns(filled: Store) -> None:
    async with filled.act() as ledger:
        rows = await ledger.all(select(Delivery).order_by(Delivery.id), lock=True)
        await ledger.write_many(
            [(row, [Entry(Fact.NOTED)], {"reminders": n} if n else {"urged": 9}) for n, row in enumerate(rows)], NOW
        )
    async with filled.view() as ledger:
        rows = await ledger.all(select(Delivery).order_by(Delivery.id))
        assert [(row.reminders, row.urged) for row in rows] == [(0, 9), (1, 0), (2, 0)]


@pytest.mark.parametrize("few", [0, 8], ids=["many at once", "one by one"])
async def test_many_rows_change_as_one_row_would(filled: Store, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Instants, lists, truth values, nothing at all: what differs between the rows and what does not."""
    monkeypatch.setattr(ledger_module, "_ONE_BY_ONE", few)
    async with filled.act() as ledger:
        rows = await ledger.all(select(Delivery).order_by(Delivery.id), lock=True)
        changes = [
            {"due_at": NOW + timedelta(hours=n, microseconds=n), "segments": ["hóa chất", n], "late": n == 1,
             "reason": None if n else 'vì "bận"', "wake_at": None, "state": "SENT"}
            for n in range(3)
        ]  # fmt: skip
        await ledger.write_many(
            [(row, [Entry(Fact.NOTED, {"n": n})], one) for n, (row, one) in enumerate(zip(rows, changes, strict=True))],
            NOW,
        )
    async with filled.view() as ledger:
        found = await ledger.all(select(Delivery).order_by(Delivery.id))
        assert [{name: getattr(row, name) for name in changes[0]} for row in found] == changes
        assert [row.data for row in await ledger.all(select(EventRow).order_by(EventRow.stream))] == [
            {"n": 0}, {"n": 1}, {"n": 2},
        ]  # fmt: skip
    with pytest.raises((ValueError, StatementError), match="naive"):
        async with filled.act() as ledger:
            await ledger.change_many(
                Delivery, [{"id": f"{n:032d}", "due_at": (NOW + timedelta(n)).replace(tzinfo=None)} for n in range(2)]
            )


async def test_a_row_read_again_is_the_same_and_taken_it_shows_what_has_changed(filled: Store) -> None:
    key = f"{0:032d}"
    async with filled.act() as ledger:
        row = await ledger.get(Delivery, key)
        await ledger.change(Delivery, Delivery.id == key, reminders=7)
        assert await ledger.get(Delivery, key) is row
        assert row.reminders == 0
        assert await ledger.take(Delivery, key) is row
        assert row.reminders == 7
        row.reminders = 8
    async with filled.view() as ledger:
        assert (await ledger.get(Delivery, key)).reminders == 8


async def test_a_batch_reads_as_its_rows_do(filled: Store) -> None:
    async with filled.act() as ledger:
        for number, (urgent, late) in enumerate(((True, NOW + timedelta(microseconds=1)), (False, None)), 1):
            key = f"{number:032d}"
            await ledger.change(Delivery, Delivery.id == key, segments=["Đất", '"'], due_at=late)
            await ledger.add(
                Message,
                id=key, campaign_id="c" * 32, hop_id="h" * 32, delivery_id=key, recipient="R", kind="letter", step="1",
                message_id=f"<{number}@a.example>", address="a@b.example", context={"tên": [1, None]}, enclosures=[],
                state="QUEUED", urgent=urgent, not_before=NOW, give_up_at=NOW, created_at=NOW,
            )  # fmt: skip
    columns = (Message.id, Message.urgent, Message.context, Message.attempts, Message.lease_until, Delivery.segments)
    query = select(*columns, Delivery.due_at).join(Delivery, Delivery.id == Message.delivery_id)
    async with filled.view() as ledger:
        for some in (query.order_by(Message.id.desc()), query.where(Message.id == "none")):
            rows, batch = await ledger.rows(some), await ledger.batch(some)
            assert [tuple(row) for row in batch] == [tuple(row) for row in rows]
            assert [row.due_at for row in batch] == [row.due_at for row in rows]
            assert [type(row.urgent) for row in batch] == [bool] * len(rows)


async def test_a_condition_takes_more_keys_than_a_database_takes_parameters(filled: Store) -> None:
    keys = [f"{number:032d}" for number in range(1, 300_000)]
    async with filled.act() as ledger:
        some = ledger.among(Delivery.id, keys)
        found = await ledger.all(select(Delivery.id).where(some).order_by(Delivery.id), lock=True)
        assert found == [f"{number:032d}" for number in (1, 2)]
        assert await ledger.change(Delivery, some, ledger.among(Delivery.code, ["C-2", "C-4"]), name="S") == 1
    async with filled.view() as ledger:
        assert await ledger.all(select(Delivery.code).where(ledger.among(Delivery.id, []))) == []
        assert await ledger.all(select(Delivery.code).where(Delivery.name == "S")) == ["C-2"]


async def test_instants_come_back_aware_and_naive_ones_are_refused(filled: Store) -> None:
    async with filled.act() as ledger:
        await ledger.change(Delivery, Delivery.id == f"{0:032d}", due_at=NOW.astimezone())
    async with filled.view() as ledger:
        found = (await ledger.get(Delivery, f"{0:032d}")).due_at
        assert found == NOW
        assert found is not None
        assert found.tzinfo is not None
    with pytest.raises(StatementError):
        async with filled.act() as ledger:
            await ledger.change(Delivery, Delivery.id == f"{0:032d}", due_at=NOW.replace(tzinfo=None))


async def test_what_must_not_happen_is_refused_by_the_database_itself(filled: Store) -> None:
    second = _delivery(9, recipient="R0")
    no_reason = _delivery(10, state="REJECTED")
    unknown = _delivery(11, state="LOST")
    for row in (second, no_reason, unknown):
        with pytest.raises(IntegrityError):
            async with filled.act() as ledger:
                await ledger.add(Delivery, **row)
    with pytest.raises(IntegrityError):
        async with filled.act() as ledger:
            await ledger.change(Hop, Hop.id == "h" * 32, state="OPEN")


async def test_two_letters_of_one_issuer_cannot_bear_one_number_in_one_year(filled: Store) -> None:
    letter = {
        "campaign_id": "c" * 32, "kind": "board", "issuer": "A", "state": "DRAFT", "number": 5, "symbol": "05/A",
        "year": 2023, "subject": "s", "sheet": {}, "html": "", "created_at": NOW,
    }  # fmt: skip
    async with filled.act() as ledger:
        await ledger.add(Letter, id="l1", **letter)
        await ledger.add(Letter, id="l2", **letter | {"year": 2024})
    with pytest.raises(IntegrityError):
        async with filled.act() as ledger:
            await ledger.add(Letter, id="l3", **letter)


async def test_a_file_is_kept_once_under_its_hash(store: Store) -> None:
    async with store.act() as ledger:
        first = await ledger.keep_file(b"%PDF", "application/pdf")
        assert await ledger.keep_file(b"%PDF", "application/pdf") == first
    async with store.view() as ledger:
        assert await ledger.file(first) == b"%PDF"
        assert len(await ledger.all(select(File.sha256))) == 1
        with pytest.raises(NotFound):
            await ledger.file("0" * 64)


async def test_of_ten_claims_at_once_one_wins(filled: Store) -> None:
    async def claim(owner: str) -> int:
        async with filled.act() as ledger:
            return await ledger.change(
                Hop, Hop.id == "h" * 32, Hop.lease_until.is_(None), lease_until=NOW, lease_owner=owner
            )

    assert sum(await asyncio.gather(*(claim(str(n)) for n in range(10)))) == 1


async def test_notes_are_replaced_and_rows_put_twice_stay_one(store: Store) -> None:
    for number in (1, 2):
        async with store.act() as ledger:
            await ledger.set_note("n", {"v": number})
            await ledger.put(Number, {"issuer": "A", "series": "s", "year": 2023, "number": 1}, taken_at=NOW)
    async with store.view() as ledger:
        assert await ledger.note("n") == {"v": 2}
        assert await ledger.note("other") is None
        assert len(await ledger.all(select(Number.number))) == 1


async def test_one_step_of_a_delivery_cannot_become_two_messages(filled: Store) -> None:
    message = {
        "delivery_id": f"{0:032d}", "recipient": "R0", "kind": "reminder", "step": "1-1", "address": "a@b.example",
        "context": {}, "enclosures": [], "state": "QUEUED", "not_before": NOW, "give_up_at": NOW, "created_at": NOW,
    }  # fmt: skip
    async with filled.act() as ledger:
        await ledger.add(Message, id="m1", message_id="<1@x>", **message)
    with pytest.raises(IntegrityError):
        async with filled.act() as ledger:
            await ledger.add(Message, id="m2", message_id="<2@x>", **message)
