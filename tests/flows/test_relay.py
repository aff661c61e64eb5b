"""The relay outlives what it depends on: whoever is left without it is forgotten."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import cast
from uuid import uuid4

import httpx
import pytest
from prefect.client.orchestration import PrefectClient
from prefect.exceptions import ObjectNotFound
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from congvan.acts import hops, leases, waking
from congvan.house import House
from congvan.store.tables import Campaign, Hop
from flows.apart import apart
from flows.registered import Deployments
from flows.relay import LEASE_FOR, Relay
from flows.runs import TRIPPED_S, Runs
from tasks import DatabaseRefused, at_work, records
from tests.protocol.world import Town


async def nothing_to_register(_client: object) -> dict[str, object]:
    return {}


@pytest.fixture
async def relay(house: House, monkeypatch: pytest.MonkeyPatch) -> Relay:
    """One that leads and never waits."""

    async def at_once(_relay: Relay, _seconds: float) -> None:
        return

    monkeypatch.setattr(Relay, "_wait", at_once)
    made = Relay(house, Deployments(nothing_to_register))
    made._leading, made._renewed = True, asyncio.get_running_loop().time()
    return made


@pytest.mark.parametrize(
    "fault",
    [
        DBAPIError("SELECT 1", {}, OSError("could not extend file: No space left on device")),
        DBAPIError("SELECT 1", {}, OSError("terminating connection due to administrator command")),
        httpx.ConnectError("All connection attempts failed"),
        ConnectionRefusedError(),
        ObjectNotFound(KeyError("a run that was deleted")),
    ],
)
async def test_the_relay_goes_on_after_the_database_or_prefect_was_away(relay: Relay, fault: Exception) -> None:
    passes = 0

    async def step() -> None:
        nonlocal passes
        passes += 1
        if passes < 3:
            raise fault
        relay.stop()

    await relay._loop(step, 0.0)
    assert passes == 3


async def test_a_database_that_is_away_ends_the_round_and_trips_no_hop() -> None:
    tripped: list[str] = []
    with pytest.raises(DBAPIError), apart("hop X", lambda: tripped.append("X")):
        raise DBAPIError("SELECT 1", {}, OSError("terminating connection due to administrator command"))
    assert tripped == []
    with apart("hop X", lambda: tripped.append("X")):
        raise ZeroDivisionError
    assert tripped == ["X"]
    with apart("hop Y", lambda: tripped.append("Y")):
        raise OperationalError("SELECT 1", {}, sqlite3.DatabaseError("database disk image is malformed"))
    assert tripped == ["X", "Y"], "rows that cannot be read are that hop's own, and come again each time"


async def test_a_fault_of_our_own_is_told_by_its_place_and_tried_again(
    relay: Relay, caplog: pytest.LogCaptureFixture
) -> None:
    """The other loops live in the same process: a board that trips must not end the wakes."""
    passes = 0

    async def step() -> None:
        nonlocal passes
        passes += 1
        if passes > 2:
            relay.stop()
        raise KeyError("hoa@t1.example")

    await relay._loop(step, 0.0)
    assert passes == 3
    assert "KeyError in flows.relay" in caplog.text
    assert "hoa@t1.example" not in caplog.text, "what a message quotes has no place in a log"


async def test_a_file_that_is_missing_is_no_prefect_that_is_away(
    relay: Relay, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def step() -> None:
        relay.stop()
        (tmp_path / "form.yaml").read_text("utf-8")

    await relay._loop(step, 0.0)
    assert "Prefect" not in caplog.text
    assert "FileNotFoundError" in caplog.text


async def test_a_campaign_and_a_hop_that_trip_keep_no_other_from_its_turn(
    house: House, town: Town, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await town.work()
    broken = town.campaign
    await town.launch(code="SECOND")
    await town.work()
    now = await house.clock.now()
    async with house.store.act() as ledger:
        await ledger.change(Hop, Hop.opened_at.is_not(None), wake_at=now)
        await ledger.change(Hop, Hop.campaign_id == broken, Hop.opened_at.is_not(None), wake_at=now - timedelta(days=1))
        # What was frozen at its launch cannot be read back: each of its turns trips, and the longest due come first.
        await ledger.change(Campaign, Campaign.id == broken, cascade={"name": "hoa@t1.example"})
        await ledger.change(Campaign, wake_at=now)

    async def known(_client: object) -> bool:
        return False

    deployments = Deployments(nothing_to_register)
    deployments.ids["watch"] = uuid4()
    monkeypatch.setattr(deployments, "ensure", known)
    monkeypatch.setattr(deployments, "look_for_all", done)
    runs = Runs(house, cast("PrefectClient", None), deployments)
    monkeypatch.setattr(runs, "compare", done)
    monkeypatch.setattr(runs, "campaigns", done)
    for name in ("end_left_behind", "drop_late_watches"):
        monkeypatch.setattr(f"flows.relay.{name}", done)
    await Relay(house, deployments).wakes(runs)

    async with house.store.view() as ledger:
        waiting = await ledger.all(select(Campaign.id).where(Campaign.wake_at.is_not(None)))
        due = {hop.campaign_id for hop in await waking.due_hops(ledger, now)}
        others = await waking.due_hops(ledger, now, free_at=house.clock.wall(), without=runs.left_alone())
    assert (waiting, due) == ([broken], {broken}), "the other campaign and its hops have had their turn"
    assert others == [], "what has tripped is not looked at again at once"
    assert f"campaign {broken} has tripped" in caplog.text
    assert "hoa@t1.example" not in caplog.text


async def test_what_an_operator_deletes_is_looked_for_less_often_than_every_hop_is_compared(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def counted(name: str) -> Callable[..., Awaitable[bool]]:
        async def one(*_: object) -> bool:
            asked.append(name)
            return False

        return one

    deployments = Deployments(nothing_to_register)
    deployments.ids["watch"] = uuid4()
    runs = Runs(house, cast("PrefectClient", None), deployments)
    for name in ("ensure", "look_for_all"):
        monkeypatch.setattr(deployments, name, counted(name))
    for name in ("compare", "campaigns", "wake", "watch"):
        monkeypatch.setattr(runs, name, counted(name))
    for name in ("end_left_behind", "drop_late_watches"):
        monkeypatch.setattr(f"flows.relay.{name}", counted(name))
    monkeypatch.setattr("flows.relay.COMPARE_EVERY_S", -1.0)
    relay = Relay(house, deployments)
    for _ in range(2):
        await relay.wakes(runs)
    assert [asked.count(name) for name in ("ensure", "compare", "end_left_behind")] == [2, 2, 2]
    assert [asked.count(name) for name in ("look_for_all", "drop_late_watches")] == [1, 1]


@pytest.mark.parametrize("fault", [PoolTimeout("QueuePool limit"), ConnectionError(), TimeoutError(), ValueError()])
async def test_a_relay_that_cannot_renew_its_lease_leads_no_more(
    relay: Relay, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    async def hold(*_: object) -> bool:
        raise fault

    await relay._lead()
    assert relay._leads()
    monkeypatch.setattr("flows.relay.leases.hold", hold)
    with pytest.raises(type(fault)):
        await relay._lead()
    assert not relay._leads()


async def test_a_relay_that_stood_still_for_longer_than_its_lease_leads_no_more_until_it_has_renewed_it(
    relay: Relay,
) -> None:
    await relay._lead()
    relay._renewed -= LEASE_FOR.total_seconds()
    assert not relay._leads()
    await relay._lead()
    assert relay._leads()


async def test_a_lease_that_was_waited_for_until_it_had_run_out_is_none(
    relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On SQLite the relay waits for its turn to write, behind whoever answers somebody."""
    loop, waited = asyncio.get_running_loop(), timedelta()
    time = loop.time

    async def hold(*_: object) -> bool:
        nonlocal waited
        waited = LEASE_FOR
        return True

    monkeypatch.setattr(loop, "time", lambda: time() + waited.total_seconds())
    monkeypatch.setattr("flows.relay.leases.hold", hold)
    await relay._lead()
    assert not relay._leads()


async def test_the_last_word_of_the_log_on_who_leads_is_true(
    relay: Relay, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    answers: list[bool | Exception] = [True, True, ConnectionError(), False, True]

    async def hold(*_: object) -> bool:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr("flows.relay.leases.hold", hold)
    caplog.set_level(logging.INFO, "congvan.relay")
    while answers:
        with suppress(ConnectionError):
            await relay._lead()
    assert [line.split()[2] for line in caplog.messages] == ["leads", "stands", "leads"]


async def test_a_lease_that_a_wrong_clock_has_taken_keeps_nobody_away_until_its_day_comes(
    house: House, town: Town
) -> None:
    await town.work()
    hop = await town.hop("UBND-HP")
    town.clock.forward(days=1)
    assert await leases.hold(house, leases.RELAY, LEASE_FOR)
    assert await hops.take(house, hop.id)
    town.clock.forward(days=-1)
    other = dataclasses.replace(house, name="another process")
    assert await leases.hold(other, leases.RELAY, LEASE_FOR)
    await leases.free_of_another_clock(other)
    assert await hops.take(other, hop.id)


async def test_a_clock_that_is_a_little_ahead_loses_no_lease_to_one_that_is_not(house: House, town: Town) -> None:
    assert await leases.hold(house, leases.RELAY, LEASE_FOR)
    town.clock.forward(seconds=-30)
    other = dataclasses.replace(house, name="another process")
    assert not await leases.hold(other, leases.RELAY, LEASE_FOR)


async def test_a_turn_that_trips_leaves_its_hop_to_whoever_tries_again(
    house: House, town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prefect tries a task again after a second, and again after five: it could only find the lease taken."""
    await town.work()
    hop = await town.hop("UBND-HP")
    chase = hops.chasing.chase

    async def refused(*_: object) -> None:
        raise OperationalError("UPDATE", {}, OSError("deadlock detected"))

    monkeypatch.setattr(hops.chasing, "chase", refused)
    async with at_work(house):
        with pytest.raises(DatabaseRefused):
            await records.turn.fn(hop.id)
        monkeypatch.setattr(hops.chasing, "chase", chase)
        lease = await records.turn.fn(hop.id)
    assert lease is not None
    await hops.release(house, lease)
    runs = Runs(house, cast("PrefectClient", None), Deployments(nothing_to_register))
    monkeypatch.setattr(hops, "rest", refused)
    with pytest.raises(OperationalError):
        await Relay(house, runs.deployments)._turn_here(runs, hop.id)
    assert await hops.take(house, hop.id), "nor does the relay keep it"


async def test_a_hop_that_has_tripped_in_its_turn_is_not_looked_at_again_at_once(house: House, town: Town) -> None:
    await town.work()
    runs = Runs(house, cast("PrefectClient", None), Deployments(nothing_to_register))
    hop = await town.hop("UBND-HP")
    runs.put_off(hop, TRIPPED_S, turns=2)
    assert await hops.take(house, hop.id)
    hop = await town.hop("UBND-HP")
    assert (hop.id, hop.turns) in runs.left_alone()


async def done(*_: object) -> None:
    """A part of the relay's pass that needs Prefect."""
