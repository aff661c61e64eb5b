"""Through a real Postfix: letters go out, its real bounces and receipts come back, its log is believed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select

from bench.outbox_world import fill
from congvan.acts import inbox, outbox, reconciling
from congvan.clock import HandClock
from congvan.house import House
from congvan.mail import mtalog
from congvan.mail.imap import Fetched
from congvan.mail.outgoing import Outcome
from congvan.mail.sender import Sender, SmtpUrl
from congvan.mail.sink import Sink
from congvan.store.tables import Delivery, Incoming, Message
from tests.conftest import Postbox
from tests.contract.postfix_server import Postfix, serve

#: Recipients whose server knows no such mailbox.
UNKNOWN = {f"vanthu{number}@cty{number}.example" for number in (3, 7, 11)}


class Returned:
    """Our own mail server: what came back for the engine, as an IMAP folder would number it."""

    name = "congvan@bql.example/INBOX"

    def __init__(self) -> None:
        self.mails: list[bytes] = []

    async def keep(self, mail_from: str, rcpt_to: tuple[str, ...], data: bytes) -> None:
        head = f"Return-Path: <{mail_from}>\r\nDelivered-To: {rcpt_to[0]}\r\n".encode()
        self.mails.append(head + data)

    async def newer(self, uidvalidity: int, uid: int) -> AsyncIterator[Fetched]:
        for number, raw in enumerate(self.mails, 1):
            if uidvalidity != 1 or number > uid:
                yield Fetched(1, number, raw)


class Way:
    """A Postfix between us and the servers of the world, and between them and us."""

    def __init__(self, postfix: Postfix, world: Sink, returned: Returned) -> None:
        self.postfix, self.world, self.returned = postfix, world, returned

    async def wait(self, ready: int) -> None:
        """Until so many mails have come back."""
        for _ in range(600):
            if len(self.returned.mails) >= ready:
                return
            await asyncio.sleep(0.05)
        raise AssertionError(self.postfix.log.read_text())


@pytest.fixture
async def way() -> AsyncIterator[Way]:
    returned = Returned()
    refuse = dict.fromkeys(UNKNOWN, "550 5.1.1 no such user here")
    # Without DSN in its EHLO the world sends no receipts of its own, so Postfix says "relayed" for it.
    world = Sink(on_rcpt=refuse.get, extensions=("PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 104857600"))
    async with world, Sink(returned.keep) as back:
        with serve(world.port, back.port, "bql.example") as postfix:
            yield Way(postfix, world, returned)


async def rows(house: House, table: type) -> list:  # type: ignore[type-arg]
    async with house.store.view() as ledger:
        return await ledger.all(select(table).order_by(table.id))


async def test_letters_through_a_real_postfix_and_its_bounces_read_back(house: House, way: Way) -> None:
    hop_id = await fill(house, 40)
    sender = Sender(SmtpUrl("127.0.0.1", way.postfix.port, "none"))
    assert await outbox.dispatch(house, sender, hop_id) == {"accepted": 40}
    await sender.aclose()
    await way.wait(40)
    assert way.world.accepted == 37
    assert await inbox.read(house, way.returned) == {"bounce_hard": 3, "relayed": 37}
    found: list[Delivery] = await rows(house, Delivery)
    lost = {one.address for one in found if one.state == "UNDELIVERABLE"}
    assert lost == UNKNOWN
    assert {one.state for one in found if one.address not in UNKNOWN} == {"SENT"}
    came: list[Incoming] = await rows(house, Incoming)
    assert {one.matched_by for one in came} == {"token"}
    assert {one.status for one in came if one.kind == "bounce_hard"} == {"5.1.1"}
    assert all(one.about is not None for one in came)


async def test_its_log_knows_what_it_took_although_we_never_heard_so(
    house: House, way: Way, postbox: Postbox, clock: HandClock
) -> None:
    hop_id = await fill(house, 2)
    works = await outbox.claim(house, hop_id, 1)
    taken = works[0].message
    sender = Sender(SmtpUrl("127.0.0.1", way.postfix.port, "none"))
    from congvan.acts.composing import Composer

    items = await Composer(house).compose(works)
    assert [outcome.verdict async for outcome in sender.send(items)] == ["accepted"]
    await sender.aclose()
    # We never heard its 250, and of the other nobody heard anything.
    await outbox.record(house, works, [Outcome(taken.id, "unknown", None, "no reply to the final dot")])
    await way.wait(1)
    ids = [one.message_id for one in await rows(house, Message)]
    assert set(mtalog.taken(way.postfix.log, ids)) == {taken.message_id}
    house.settings = house.settings.model_copy(update={"mta_log": way.postfix.log})
    clock.forward(minutes=5)
    assert await outbox.dispatch(house, postbox, hop_id) == {"accepted": 1}
    assert taken.message_id not in postbox.ids()
    assert {one.state for one in await rows(house, Message)} == {"SENT"}
    assert await reconciling.unknown(house) == []
