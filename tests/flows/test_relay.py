"""The relay outlives what it depends on: whoever is left without it is forgotten."""

from __future__ import annotations

import sqlite3
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

from congvan.acts import waking
from congvan.house import House
from congvan.store.tables import Campaign, Hop
from flows.apart import apart
from flows.registered import Deployments
from flows.relay import Relay
from flows.runs import Runs
from tests.protocol.world import Town


async def nothing_to_register(_client: object) -> dict[str, object]:
    return {}


@pytest.fixture
def relay(house: House, monkeypatch: pytest.MonkeyPatch) -> Relay:
    """One that leads and never waits."""

    async def at_once(_relay: Relay, _seconds: float) -> None:
        return

    monkeypatch.setattr(Relay, "_wait", at_once)
    made = Relay(house, Deployments(nothing_to_register))
    made._leading = True
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
        # What was frozen at its launch cannot be read back: each of its turns trips, and the longest due come first.
        await ledger.change(Campaign, Campaign.id == broken, cascade={"name": "hoa@t1.example"})
        await ledger.change(Hop, Hop.opened_at.is_not(None), wake_at=now)
        await ledger.change(Hop, Hop.campaign_id == broken, Hop.opened_at.is_not(None), wake_at=now - timedelta(days=1))
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
        others = await waking.due_hops(ledger, now, free_at=house.clock.wall(), without=runs.on_their_way())
    assert (waiting, due) == ([broken], {broken}), "the other campaign and its hops have had their turn"
    assert others == [], "what has tripped is not looked at again at once"
    assert f"campaign {broken} has tripped" in caplog.text
    assert "hoa@t1.example" not in caplog.text


async def done(*_: object) -> None:
    """A part of the relay's pass that needs Prefect."""
