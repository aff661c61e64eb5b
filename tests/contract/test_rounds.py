"""What a round over many costs: as many statements for hundreds as for a few, and no sorting of all that wait."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Awaitable
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Select, event, select, text

from bench.outbox_world import fill, settings
from bench.waiting_world import Due, all_sent, fall_due
from congvan.acts import (
    board,
    campaigns,
    chasing,
    escalations,
    figures,
    hops,
    mails,
    prefect_runs,
    telling,
    views,
    waking,
)
from congvan.house import House, build
from congvan.store.tables import Campaign, Case, Delivery, Hop, Message
from tests.conftest import Postbox, python
from tests.postgres import fresh_database
from tests.protocol.world import Town

FEW, MANY = 5, 300


@pytest.fixture
async def waiting(tmp_path: Path) -> AsyncIterator[tuple[House, str]]:
    """A hop of many who were all sent to, and for whom nothing is due."""
    house, hop_id = await _made(tmp_path, FEW + MANY)
    yield house, hop_id
    await house.close()


async def _made(home: Path, number: int) -> tuple[House, str]:
    house = build(settings(home, 25))
    await house.store.create_tables()
    hop_id = await fill(house, number)
    await all_sent(house, hop_id)
    return house, hop_id


async def _statements(house: House, work: Awaitable[object]) -> list[tuple[str, Any]]:
    """The statements that the database is sent meanwhile, with what is bound to them."""
    seen: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        seen.append((statement, parameters))

    engine = house.store.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        await work
    finally:
        event.remove(engine, "before_cursor_execute", note)
    return seen


async def test_a_recipients_page_asks_nothing_twice_however_deep_it_stands(house: House, postbox: Postbox) -> None:
    town = Town(house, postbox)
    await town.launch()
    await town.work()
    await town.say("BQL")
    await town.work()
    await town.pass_on("INV-A", "12")
    await town.work()
    asked = {}
    for who in ("BQL", "INV-A", "T1"):
        link = await town.link(who)
        asked[who] = [(one, str(bound)) for one, bound in await _statements(house, views.obligation(house, link))]
        assert len(set(asked[who])) == len(asked[who]) > 5
    # The letter of the level between; a tenant has nobody below.
    assert len(asked["T1"]) <= len(asked["INV-A"]) + 1


async def _turn(house: House, hop_id: str) -> None:
    lease = await hops.turn(house, hop_id)
    assert lease is not None
    await hops.release(house, lease)


async def _relay_looks(house: House) -> None:
    """What the relay asks of the database every second while nothing is due."""
    now = await house.clock.now()
    await campaigns.due(house)
    await prefect_runs.unfinished_campaigns(house)
    await board.hops_at_work(house)
    await board.pass_over(house, 1)
    await board.unpublished(house)
    async with house.store.view() as ledger:
        assert await waking.due_hops(ledger, now, free_at=now) == []
        await escalations.next_digest_at(ledger)
        await mails.next_mail_at(ledger, None)


async def test_the_relay_steps_over_no_recipient_or_mail_that_merely_waits(waiting: tuple[House, str]) -> None:
    house, _ = waiting
    async with house.store.act() as ledger:
        await ledger.change(Campaign, Campaign.run_id.is_(None), run_id="of-prefect")
    asked = await _statements(house, _relay_looks(house))
    assert len(asked) > 5
    with closing(sqlite3.connect(house.store.url.database or "")) as connection:
        connection.execute("SELECT 1 FROM hops")  # the schema is read
        for statement, bound in asked:
            if statement.startswith("SELECT"):
                assert _steps(connection, statement, bound) < FEW + MANY, statement


def _steps(connection: sqlite3.Connection, statement: str, bound: Any) -> int:
    """How many instructions SQLite takes for it: what looks at a row takes some for each."""
    taken = count()
    connection.set_progress_handler(lambda: next(taken) < 0, 1)
    connection.execute(statement, bound).fetchall()
    connection.set_progress_handler(None, 1)
    return next(taken)


@pytest.mark.parametrize(("what", "table"), [(Due.DEADLINE, Message), (Due.ESCALATION, Case)])
async def test_a_round_asks_as_often_for_hundreds_as_for_a_few(
    waiting: tuple[House, str], what: Due, table: type[Message] | type[Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    house, hop_id = waiting
    monkeypatch.setattr(chasing, "BATCH", MANY + 1)  # both in one transaction
    before = await _rows(house, table)
    asked = []
    for number in (FEW, MANY):
        await fall_due(house, hop_id, what, number)
        asked.append(len(await _statements(house, _turn(house, hop_id))))
    assert await _rows(house, table) - before == FEW + MANY, "each got its mail or its case"
    assert asked[0] == asked[1]


async def test_the_digest_of_hundreds_asks_as_often_as_that_of_a_few(tmp_path: Path) -> None:
    asked = []
    for number in (FEW, MANY):
        house, hop_id = await _made(tmp_path / str(number), number)
        await fall_due(house, hop_id, Due.ESCALATION, number)
        await _turn(house, hop_id)
        asked.append(len(await _statements(house, telling.tell(house))))
        async with house.store.view() as ledger:
            assert await ledger.all(select(Case.rung)) == [1] * number, "everybody was told of, once"
        await house.close()
    assert asked[0] == asked[1]


async def _rows(house: House, table: type[Message] | type[Case]) -> int:
    async with house.store.view() as ledger:
        return await ledger.count(select(table.id))


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_who_is_left_out_keeps_no_other_waiting(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    """Hops that wait for a process, and recipients whom Prefect does not take."""
    url = await fresh_database(request.getfixturevalue("postgres_url")) if kind == "postgresql" else ""
    house = build(settings(tmp_path, 25, url))
    await house.store.create_tables()
    hop_id = await fill(house, 3)
    now = await house.clock.now()
    async with house.store.act() as ledger:
        await ledger.change(Campaign, Campaign.run_id.is_(None), run_id="of-prefect")
        await ledger.change(Hop, Hop.id == hop_id, wake_at=now)
        turns = (await ledger.get(Hop, hop_id)).turns

        async def free(**left_out: Any) -> list[str]:
            return [hop.id for hop in await waking.due_hops(ledger, now, free_at=now, opened=True, **left_out)]

        assert await free() == await free(without={(hop_id, turns + 1)}) == [hop_id]
        assert await free(without={("another", 1), (hop_id, turns)}) == []
        assert await board.behind(ledger) == 3
    first, *others = await board.unpublished(house)
    assert await board.unpublished(house, without={first.delivery_id}) == others
    assert await board.unpublished(house, most=2) == [], "of a campaign that has grown past the limit none is shown"
    await house.close()


async def test_a_campaign_above_the_boards_limit_is_passed_over_at_once(waiting: tuple[House, str]) -> None:
    house, hop_id = waiting
    async with house.store.act() as ledger:
        await ledger.change(Campaign, Campaign.run_id.is_(None), run_id="of-prefect")
        await ledger.change(Delivery, Delivery.hop_id == hop_id, board_seq=Delivery.board_seen + 3)
    assert await board.pass_over(house, FEW + MANY) == []
    assert len(await board.unpublished(house)) == FEW + MANY, "within the limit each has a run of its own"
    assert await board.pass_over(house, FEW + MANY - 1) == [hop_id]
    assert await board.unpublished(house) == []
    assert await board.pass_over(house, 1) == [], "nothing has changed since"


async def test_a_hops_page_counts_all_and_lists_the_first(waiting: tuple[House, str]) -> None:
    house, hop_id = waiting
    found = await figures.hop(house, hop_id, FEW)
    assert (found["total"], found["totals"], len(found["recipients"])) == (FEW + MANY, {"SENT": FEW + MANY}, FEW)


def test_the_process_of_a_woken_hop_loads_nothing_that_only_people_at_a_desk_need() -> None:
    told = python("-c", "import sys, flows.hop; print(*sys.modules)")
    assert told.returncode == 0, told.stderr
    assert "congvan.acts.hops" in told.stdout.split()
    assert not {"pypdf", "xlsxwriter", "alembic", "docx", "uvicorn"} & set(told.stdout.split())


async def test_whether_a_round_needs_a_process_is_told_by_what_is_due(waiting: tuple[House, str]) -> None:
    house, hop_id = waiting
    assert not await waking.needs_a_run(house, hop_id)
    await fall_due(house, hop_id, Due.ESCALATION, MANY)
    assert not await waking.needs_a_run(house, hop_id), "cases are opened without a mail of this hop"
    await fall_due(house, hop_id, Due.DEADLINE, 1)
    assert await waking.needs_a_run(house, hop_id), "one of them is to be reminded"


async def test_the_due_ones_of_a_batch_are_read_in_the_order_of_their_index(waiting: tuple[House, str]) -> None:
    house, hop_id = waiting
    now = await fall_due(house, hop_id, Due.DEADLINE, MANY)
    plan = await _plan(house, chasing.next_batch().params(hop=hop_id, now=now, most=MANY))
    assert any("ix_deliveries_hop_id_wake_at" in line for line in plan), plan
    assert not any("TEMP B-TREE" in line for line in plan), plan


async def test_a_batch_reads_no_other_that_is_due(waiting: tuple[House, str]) -> None:
    """It walked over all of them, to see which of them are of the batch: a minute of every hundred thousand."""
    house, hop_id = waiting
    now = await fall_due(house, hop_id, Due.DEADLINE, MANY)
    plan = await _plan(house, chasing._locked(True).params(hop=hop_id, now=now, most=MANY))
    first, *_ = [line for line in plan if "deliveries" in line]
    assert "(id=?)" in first, plan
    assert sum("ix_deliveries_hop_id_wake_at" in line for line in plan) == 1, plan


async def test_the_ids_of_one_instant_rise(waiting: tuple[House, str]) -> None:
    """Else a batch would touch a page of each index for each of its rows."""
    house, _hop_id = waiting
    now = await house.clock.now()
    ids = [house.new_id(now) for _ in range(1_000)]
    assert ids == sorted(set(ids))
    assert {UUID(one).version for one in ids} == {7}
    assert {int(one[:12], 16) for one in ids} == {int(now.timestamp() * 1000)}
    own, copy = house.new_id(now), house.apart().new_id(now)
    assert (own[:19] == ids[-1][:19], copy[:19] == ids[-1][:19]) == (True, False), "a copy begins its own"


async def _plan(house: House, query: Select[Any]) -> list[str]:
    """How SQLite goes about it."""
    words = str(query.compile(house.store.engine.sync_engine, compile_kwargs={"literal_binds": True}))
    async with house.store.view() as ledger:
        return [row.detail for row in (await ledger.session.execute(text(f"EXPLAIN QUERY PLAN {words}"))).all()]
