"""`/metrics`: the counts of the database, for this machine or for whoever has the token."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from congvan.acts import leases
from congvan.acts.mails import PATIENCE
from congvan.house import House
from congvan.portal.app import app
from congvan.store.tables import Campaign, Case, Delivery, Hop, Message
from tests.portal.world import BASE


def asked(house: House, peer: str = "127.0.0.1", **headers: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=app(house), client=(peer, 4711))
    return httpx.AsyncClient(transport=transport, base_url=BASE, headers=headers)


def numbers(text: str) -> dict[str, float]:
    lines = (line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


async def test_the_counts_are_those_of_the_database(house: House) -> None:
    async with asked(house) as web:
        said = numbers((await web.get("/metrics")).text)
    async with house.store.view() as ledger:
        states = dict(await ledger.rows(select(Delivery.state, func.count()).group_by(Delivery.state)))
        sent = await ledger.count(select(Message.id).where(Message.state == "SENT"))
    assert {name: said[f'congvan_deliveries{{state="{name}"}}'] for name in states} == states
    assert said['congvan_messages{state="SENT"}'] == sent > 0
    assert said["congvan_mails_sent_total"] == sent
    assert said["congvan_relay_alive"] == 0
    assert said["congvan_messages_due"] == 0
    assert said["congvan_board_behind"] == 0, "there is no Prefect"


async def test_a_message_that_was_tried_and_put_off_is_as_old_as_its_first_chance(house: House) -> None:
    now = await house.clock.now()
    async with house.store.act() as ledger:
        one = await ledger.first(select(Message).where(Message.campaign_id.is_not(None)))
        first = now - timedelta(hours=7)
        await ledger.change(
            Message, Message.id == one.id, state="QUEUED", attempts=5, not_before=now + timedelta(hours=1),
            give_up_at=first + PATIENCE,
        )  # fmt: skip
    async with asked(house) as web:
        assert numbers((await web.get("/metrics")).text)["congvan_oldest_due_seconds"] == 7 * 3600
    async with house.store.act() as ledger:
        await ledger.change(Message, Message.id == one.id, not_before=now)
        await ledger.change(Campaign, held_at=now, held_by="Lan")
    async with asked(house) as web:
        said = numbers((await web.get("/metrics")).text)
    assert (said["congvan_oldest_due_seconds"], said["congvan_messages_due"]) == (0, 0)


async def test_the_board_lags_by_those_whom_it_would_show(house: House) -> None:
    """Recipients of hops that are not open yet wait for days: an alarm for them would be a false one."""
    async with house.store.act() as ledger:
        await ledger.change(Campaign, run_id="a-run")
        opened = select(Hop.id).where(Hop.opened_at.is_not(None))
        shown = await ledger.count(select(Delivery.id).where(Delivery.hop_id.in_(opened)))
        assert 0 < shown < await ledger.count(select(Delivery.id))
    async with asked(house) as web:
        assert numbers((await web.get("/metrics")).text)["congvan_board_behind"] == shown


async def test_what_is_overdue_due_held_and_open_is_counted(house: House) -> None:
    now = await house.clock.now()
    async with asked(house) as web:
        before = numbers((await web.get("/metrics")).text)
    async with house.store.act() as ledger:
        waits: Delivery = await ledger.first(select(Delivery).where(Delivery.state == "SENT", Delivery.due_at > now))
        await ledger.change(Delivery, Delivery.id == waits.id, due_at=now - timedelta(hours=1))
        await ledger.change(Hop, Hop.id == waits.hop_id, wake_at=now)
        for number, claimed in enumerate((None, "Lan")):
            await ledger.add(
                Case, id=f"{number:032d}", delivery_id=waits.id, campaign_id=waits.campaign_id, opened_at=now, notes=[],
                kind=("silent", "rejected")[number], claimed_by=claimed,
            )  # fmt: skip
    assert await leases.hold(house, leases.RELAY, timedelta(minutes=1))
    async with asked(house) as web:
        said = numbers((await web.get("/metrics")).text)
        assert "# TYPE congvan_mails_sent_total counter" in (await web.get("/metrics")).text
    assert said["congvan_deliveries_overdue"] == before["congvan_deliveries_overdue"] + 1
    assert said["congvan_hops_due"] == before["congvan_hops_due"] + 1
    assert said['congvan_cases_open{claimed="no",kind="silent"}'] == 1
    assert said['congvan_cases_open{claimed="yes",kind="rejected"}'] == 1
    assert (said["congvan_relay_alive"], said["congvan_campaigns_held"]) == (1, 0)
    async with house.store.act() as ledger:
        await ledger.change(Campaign, held_at=now, held_by="Lan")
    async with asked(house) as web:
        assert numbers((await web.get("/metrics")).text)["congvan_campaigns_held"] == 1


async def test_the_health_of_portal_and_relay_can_be_asked_for(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with asked(house, "10.0.0.7") as web:
        assert (await web.get("/healthz")).status_code == 200
        assert (await web.get("/healthz/relay")).status_code == 503
        assert await leases.hold(house, leases.RELAY, timedelta(minutes=1))
        assert (await web.get("/healthz/relay")).status_code == 200

        def away(*_: object, **__: object) -> None:
            raise OperationalError("SELECT", {}, ConnectionRefusedError())

        monkeypatch.setattr(house.store, "view", away)
        assert [(await web.get(path)).status_code for path in ("/healthz", "/healthz/relay")] == [503, 503]


async def test_nobody_else_sees_them(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async with asked(house, "10.0.0.7") as web:
        assert (await web.get("/metrics")).status_code == 404
    async with asked(house, **{"X-Forwarded-For": "127.0.0.1"}) as web:
        assert (await web.get("/metrics")).status_code == 404
    monkeypatch.setattr(
        house, "settings", house.settings.model_copy(update={"metrics_token": SecretStr("a-token-of-its-own")})
    )
    async with asked(house) as web:
        assert (await web.get("/metrics")).status_code == 404
        assert (await web.get("/metrics", headers={"Authorization": "Bearer a-token"})).status_code == 404
    async with asked(house, "10.0.0.7", Authorization="Bearer a-token-of-its-own") as web:
        assert (await web.get("/metrics")).status_code == 200


async def test_they_hold_no_name_and_no_address(house: House) -> None:
    async with asked(house) as web:
        text = (await web.get("/metrics")).text
    async with house.store.view() as ledger:
        for name, address in await ledger.rows(select(Delivery.name, Delivery.address)):
            assert name not in text
            assert not address or address not in text
