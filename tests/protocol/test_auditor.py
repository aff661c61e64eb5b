"""The auditor finds whatever was changed past the engine: every kind of it, and nothing where nothing was changed."""

from __future__ import annotations

import asyncio
import shutil
import socket
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from congvan.acts import auditing, seals
from congvan.rules.protocol import Event
from congvan.store.soundness import QUESTIONS
from congvan.store.tables import Campaign, Message
from tasks import DatabaseRefused, at_work, auditor
from tests.conftest import Postbox, at
from tests.protocol.conftest import Builder
from tests.protocol.world import Town

NOW = ("2023-12-14", "10:00")


async def _grown(opened_file: Path, folder: Path, build: Builder) -> Path:
    """A campaign in its second week: one company has passed on, one is silent and passed over, some have answered,
    one rejects, one was told of, and those of the first company still have time."""
    shutil.copy(opened_file, folder / "congvan.db")
    town = Town(build(folder), Postbox())
    town.campaign = (await town.campaigns())[0]
    await town.say("VP")
    await town.until("2023-12-05", "10:00")
    await town.say("T-OUT", Event.REJECTED, reason="Không thuộc đối tượng")
    await town.until("2023-12-11", "09:00")
    await town.pass_on("INV-A")
    await town.until("2023-12-12", "09:00")
    await town.say("T1")
    await town.until(*NOW)
    await seals.seal_all(town.house)
    await town.house.close()
    return folder / "congvan.db"


@pytest.fixture(scope="module")
def grown_file(opened_file: Path, tmp_path_factory: pytest.TempPathFactory, build: Builder) -> Path:
    return asyncio.run(_grown(opened_file, tmp_path_factory.mktemp("grown"), build))


@pytest.fixture
async def grown(grown_file: Path, tmp_path: Path, build: Builder) -> AsyncIterator[Town]:
    shutil.copy(grown_file, tmp_path / "congvan.db")
    town = Town(build(tmp_path), Postbox())
    town.clock.set(at(*NOW))
    town.campaign = (await town.campaigns())[0]
    yield town
    await town.house.close()


def by_hand(folder: Path, *statements: str) -> None:
    """Past the engine and past the constraints; every statement changes something."""
    connection = sqlite3.connect(folder / "congvan.db")
    connection.execute("PRAGMA ignore_check_constraints = ON")
    connection.execute("PRAGMA foreign_keys = OFF")
    for statement in statements:
        assert connection.execute(statement).rowcount != 0, statement
    connection.commit()
    connection.close()


def one(code: str) -> str:
    return f"recipient = '{code}'"


def whose(code: str) -> str:
    return f"(SELECT id FROM deliveries WHERE {one(code)})"


#: What is done by hand → (statements, the kind of flaw that has to be found).
HANDS: dict[str, tuple[list[str], str]] = {
    "a sent letter loses its deadline": ([f"UPDATE deliveries SET due_at = NULL WHERE {one('T2')}"], "no deadline"),
    "an open delivery is never looked at again": (
        [f"UPDATE deliveries SET wake_at = NULL WHERE {one('T2')}"], "delivery forgotten",
    ),
    "a delivery was due yesterday and nobody took it": (
        [f"UPDATE deliveries SET wake_at = '2023-12-13 01:00:00.000000' WHERE {one('T2')}"], "delivery overdue",
    ),
    "a delivery is looked at a year too late": (
        [f"UPDATE deliveries SET wake_at = '2024-12-13 01:00:00.000000' WHERE {one('T2')}"], "step too late",
    ),
    "its deadline is pulled forward and nobody looks": (
        [f"UPDATE deliveries SET due_at = '2023-12-01 01:00:00.000000' WHERE {one('T2')}"], "step too late",
    ),
    "one who has settled is still to be reminded": (
        [f"UPDATE deliveries SET wake_at = '2024-01-01 01:00:00.000000' WHERE {one('T1')}"], "settled but awake",
    ),
    "a hop is not woken": (["UPDATE hops SET wake_at = NULL WHERE issuer = 'INV-A'"], "wake forgotten"),
    "a hop is woken too late": (
        ["UPDATE hops SET wake_at = '2024-12-01 01:00:00.000000' WHERE issuer = 'INV-A'"], "wake forgotten",
    ),
    "a hop was due yesterday and nobody took it": (
        ["UPDATE hops SET wake_at = '2023-12-13 01:00:00.000000' WHERE issuer = 'INV-A'"], "hop overdue",
    ),
    "a campaign was due yesterday and nobody took it": (
        ["UPDATE campaigns SET wake_at = '2023-12-13 01:00:00.000000'"], "campaign overdue",
    ),
    "a hop's lease never ends": (
        ["UPDATE hops SET lease_until = '9999-01-01 00:00:00.000000' WHERE issuer = 'INV-A'"], "hop lease without end",
    ),
    "a campaign's lease never ends": (
        ["UPDATE campaigns SET lease_until = '9999-01-01 00:00:00.000000'"], "campaign lease without end",
    ),
    "a message's lease never ends": (
        [f"UPDATE messages SET state = 'CLAIMED', sent_at = NULL, lease_until = '9999-01-01 00:00:00.000000' "
         f"WHERE id = (SELECT min(id) FROM messages WHERE delivery_id = {whose('T2')})"], "mail lease without end",
    ),
    "the relay's right never ends": (
        ["INSERT INTO leases (name, owner, until) VALUES ('relay', 'x', '9999-01-01 00:00:00.000000')"],
        "right without end",
    ),
    "a hop is open and its letter is gone": (
        ["UPDATE hops SET letter_id = NULL WHERE issuer = 'INV-A'"], "opened without a letter",
    ),
    "a hop is open and its letter is a draft": (
        ["UPDATE letters SET state = 'DRAFT' WHERE id = (SELECT letter_id FROM hops WHERE issuer = 'INV-A')"],
        "opened without a letter",
    ),
    "an open hop has no deadline": (
        ["UPDATE hops SET due_at = NULL WHERE issuer = 'INV-A'"], "opened without a deadline",
    ),
    "a hop hangs on nobody": (
        [f"UPDATE deliveries SET child_hop_id = NULL WHERE {one('INV-A')}"], "parent and child differ",
    ),
    "who has passed on has a closed hop": (
        ["UPDATE hops SET state = 'WAITING', opened_at = NULL, wake_at = NULL WHERE issuer = 'INV-A'"],
        "passed on but not opened",
    ),
    "a recipient is on no route": ([f"DELETE FROM ways WHERE delivery_id = {whose('T2')}"], "not on the route"),
    "a recipient's hop is another campaign's": (
        ["UPDATE hops SET campaign_id = 'other' WHERE issuer = 'INV-A'"], "in another campaign",
    ),
    "a campaign is held by nobody": (
        ["UPDATE campaigns SET held_at = '2023-12-13 01:00:00.000000'"], "held by nobody",
    ),
    "a campaign is closed by nobody": (
        ["UPDATE campaigns SET state = 'CLOSED', closed_at = '2023-12-13 01:00:00.000000'"], "closed by nobody",
    ),
    "a letter waits for nobody": (
        ["UPDATE letters SET state = 'PENDING_ISSUE', awaits = '' "
         "WHERE id = (SELECT letter_id FROM hops WHERE issuer = 'INV-A')"],
        "waits for nobody",
    ),
    "a number is used twice": (
        ["UPDATE letters SET year = NULL, number = 1, symbol = '1/X', issuer = 'BQL' WHERE id IN "
         "(SELECT letter_id FROM hops WHERE issuer IN ('BQL', 'INV-A'))"],
        "number twice",
    ),
    "a letter was dropped and its number is neither void nor free": (
        ["UPDATE letters SET state = 'CANCELLED', issued_at = NULL WHERE id = (SELECT letter_id FROM numbers LIMIT 1)"],
        "number of a letter that was dropped",
    ),
    "a number belongs to no letter": (["UPDATE numbers SET letter_id = 'gone'"], "number without a letter"),
    "a series has a gap": (["UPDATE numbers SET number = 90 WHERE number = 1"], "gap in a series"),
    "a letter's mail belongs to nobody": (
        [f"UPDATE messages SET delivery_id = NULL WHERE kind = 'letter' AND delivery_id = {whose('T2')}"],
        "mail without a delivery",
    ),
    "a mail is another campaign's": (
        [f"UPDATE messages SET campaign_id = 'other' WHERE delivery_id = {whose('T2')}"], "mail of another campaign",
    ),
    "a mail was sent without an attempt": (
        [f"DELETE FROM attempts WHERE message_id IN (SELECT id FROM messages WHERE delivery_id = {whose('T2')})"],
        "sent without an attempt",
    ),
    "a mail was sent at no time": (
        [f"UPDATE messages SET sent_at = NULL WHERE delivery_id = {whose('T2')}"], "sent at no time",
    ),
    "a mail that was accepted is to be sent again": (
        [f"UPDATE messages SET state = 'QUEUED', sent_at = NULL WHERE delivery_id = {whose('T2')}"],
        "accepted and waiting",
    ),
    "fewer attempts are counted than there were": (
        [f"UPDATE messages SET attempts = 0 WHERE delivery_id = {whose('T2')}"], "attempts miscounted",
    ),
    "a mail waits since yesterday": (
        [f"UPDATE messages SET state = 'QUEUED', sent_at = NULL, not_before = '2023-12-13 01:00:00.000000' "
         f"WHERE delivery_id = {whose('T2')}"], "mail overdue",
    ),
    "a letter was never written down": (
        [f"DELETE FROM messages WHERE delivery_id = {whose('T2')}",
         f"UPDATE deliveries SET state = 'QUEUED', sent_at = NULL WHERE {one('T2')}"], "letter never written",
    ),
    "it says sent, and no letter has left": (
        [f"DELETE FROM messages WHERE delivery_id = {whose('T2')}"], "sent without a letter",
    ),
    "an answer has no time": ([f"UPDATE deliveries SET confirmed_at = NULL WHERE {one('T1')}"], "answered at no time"),
    "who has settled did so at no time": (
        [f"UPDATE deliveries SET settled_at = NULL WHERE {one('T1')}"], "settled at no time",
    ),
    "an escalation has no case": (
        [f"DELETE FROM cases WHERE delivery_id = {whose('INV-B')}"], "escalated and not told",
    ),
    "a rejection has no case": (
        [f"DELETE FROM cases WHERE delivery_id = {whose('T-OUT')}"], "unreachable and not told",
    ),
    "the case of one who has settled is open": (
        [f"UPDATE cases SET delivery_id = {whose('T1')} WHERE delivery_id = {whose('INV-B')}"],
        "case of one who settled",
    ),
    "nobody is ever told of a case": (
        [f"UPDATE cases SET rung = 0, tell_at = NULL WHERE delivery_id = {whose('INV-B')}"], "case for nobody",
    ),
    "a case names a digest that never was": (
        [f"UPDATE cases SET digest_id = 'gone' WHERE delivery_id = {whose('INV-B')}"], "digest that never was",
    ),
    "the board has seen what has not happened": (
        [f"UPDATE deliveries SET board_seen = board_seq + 5 WHERE {one('T2')}"], "shown ahead",
    ),
    "a confirmation without its event": (
        [f"UPDATE deliveries SET state = 'ACKNOWLEDGED', wake_at = NULL, settled_at = sent_at, confirmed_at = sent_at "
         f"WHERE {one('T2')}"], "log",
    ),
    "reminders that disagree with the log": ([f"UPDATE deliveries SET reminders = 7 WHERE {one('T2')}"], "log"),
    "a chain that is broken": (
        [f"UPDATE events SET actor = 'ai đó' WHERE stream = {whose('T1')} AND kind = 'acknowledged'"], "log",
    ),
    "an event that is gone": ([f"DELETE FROM events WHERE stream = {whose('T1')} AND seq = 2"], "log"),
    "a seal that is gone": (["DELETE FROM seals"], "log"),
    "an issued file that was changed": (
        ["UPDATE files SET data = x'00' WHERE sha256 = (SELECT sha256 FROM letters WHERE id = "
         "(SELECT letter_id FROM hops WHERE issuer = 'INV-A'))"], "log",
    ),
}  # fmt: skip


async def test_a_sound_database_has_no_flaw(grown: Town) -> None:
    assert await auditing.look_over(grown.house) == []


@pytest.mark.parametrize("hand", HANDS)
async def test_what_was_changed_past_the_engine_is_found(grown: Town, hand: str) -> None:
    statements, kind = HANDS[hand]
    by_hand(grown.house.settings.home, *statements)
    found = await auditing.look_over(grown.house)
    assert kind in {flaw.kind for flaw in found}, found
    assert not any("@" in flaw.place for flaw in found), "a code, never a mailbox"


def test_every_question_finds_what_it_asks_for() -> None:
    assert {kind for _, kind in HANDS.values()} == {*QUESTIONS, "step too late", "log"}
    assert len(HANDS) >= 30


async def test_the_unit_is_written_to_once_a_day_and_of_what_passes_only_if_it_lasts(grown: Town) -> None:
    overdue, _ = HANDS["a hop was due yesterday and nobody took it"]
    by_hand(grown.house.settings.home, *overdue)
    assert [flaw.kind for flaw in await auditing.make_round(grown.house)] == ["hop overdue"]
    assert await _notices(grown) == [], "the engine may just have been started"
    for _ in range(3):
        grown.clock.set(grown.clock._now + timedelta(minutes=10))
        assert await auditing.make_round(grown.house) != []
    (notice,) = await _notices(grown)
    assert (notice.recipient, notice.context["what"]) == ("QHXD", "unsound")


async def test_what_belongs_to_no_campaign_is_told_as_well_and_a_sound_house_writes_to_nobody(grown: Town) -> None:
    assert await auditing.make_round(grown.house) == []
    assert await _notices(grown) == []
    by_hand(grown.house.settings.home, *HANDS["the relay's right never ends"][0])
    assert len(await auditing.make_round(grown.house)) == 1
    assert len(await _notices(grown)) == 1


async def test_the_logs_are_read_once_an_hour_and_a_broken_one_every_time(grown: Town) -> None:
    assert await auditing.make_round(grown.house) == []
    by_hand(grown.house.settings.home, *HANDS["a chain that is broken"][0])
    assert await auditing.make_round(grown.house) == []
    grown.clock.set(grown.clock._now + timedelta(hours=1))
    assert {flaw.kind for flaw in await auditing.make_round(grown.house)} == {"log"}
    assert {flaw.kind for flaw in await auditing.make_round(grown.house)} == {"log"}


async def test_the_heartbeat_is_given_for_a_sound_house_and_for_no_other(
    grown: Town, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[str] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode())
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(take, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/ping/secret"
        settings = grown.house.settings.model_copy(update={"heartbeat_url": SecretStr(url)})
        house = replace(grown.house, settings=settings)
        async with at_work(house):
            assert await auditor.audit.fn() is True
            assert asked == ["/ping/secret"]
            by_hand(house.settings.home, *HANDS["an open delivery is never looked at again"][0])
            assert await auditor.audit.fn() is False
            assert "delivery forgotten" in caplog.text
            by_hand(house.settings.home, "DROP TABLE numbers")
            with pytest.raises(DatabaseRefused, match="OperationalError"):
                await auditor.audit.fn()
    assert asked == ["/ping/secret"], "nothing where something was found, nothing where nobody could look"
    assert "@" not in caplog.text
    assert "/ping" not in caplog.text.replace("HTTP Request", "")


async def test_a_heartbeat_that_nobody_takes_stops_nothing(grown: Town, caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = SecretStr(f"http://127.0.0.1:{probe.getsockname()[1]}/ping/secret")
    settings = grown.house.settings.model_copy(update={"heartbeat_url": url})
    async with at_work(replace(grown.house, settings=settings)):
        assert await auditor.audit.fn() is False
    assert "secret" not in caplog.text


async def _notices(town: Town) -> list[Message]:
    return await town.all(Message, Message.kind == "notice", Message.campaign_id.in_(select(Campaign.id)))
