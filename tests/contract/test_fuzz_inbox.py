"""Whatever lies in the mailbox is taken in: each mail once, nothing fails, nothing confirms, the rows stay sound.

A few mails here; `python -m tests.gates.fuzz` reads as many as it is told (CONGVAN_FUZZ). The real inbox reads into a
real database; true addresses and Message-IDs stand in the mails before they are bent, so that many reach a letter.
"""

from __future__ import annotations

import logging
import os
from random import Random

import pytest
from sqlalchemy import func, select

from bench.outbox_world import fill
from congvan.acts import auditing, inbox, outbox
from congvan.house import House
from congvan.rules.protocol import Event
from congvan.store.tables import Delivery, EventRow, Incoming
from tests.conftest import Postbox
from tests.contract.smtp_corpus import OURS, SAMPLES, TOKEN, WHO
from tests.contract.test_inbox import Shelf

LETTERS = 40
MAILS = int(os.environ.get("CONGVAN_FUZZ", "150"))
#: What a mail may bring about. Whatever else happens to a delivery takes a person.
REACHED = {"SENT", "DELIVERED", "UNDELIVERABLE"}
BY_PERSONS = (Event.ACKNOWLEDGED, Event.FORWARDED, Event.COMPLETED, Event.REJECTED)


def _bent(chance: Random, whole: bytes) -> bytes:
    """Half of them as they are, else with a few places cut, doubled or replaced."""
    if chance.random() < 0.5:
        return whole
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(whole) + 1)
        end = min(len(whole), start + chance.randrange(61))
        put = chance.choice([b"", whole[start:end] * 2, chance.randbytes(12), b"\r\n", b"\0", "\u202eĐặng".encode()])
        whole = whole[:start] + put + whole[end:]
    return whole


async def test_every_mail_is_recorded_once_and_none_confirms(
    house: House, postbox: Postbox, caplog: pytest.LogCaptureFixture
) -> None:
    await outbox.dispatch(house, postbox, await fill(house, LETTERS))
    assert len(postbox.taken) == LETTERS
    chance, shelf = Random(8), Shelf()
    async with house.store.view() as ledger:
        addresses = {row.id: row.address for row in await ledger.rows(select(Delivery.id, Delivery.address))}
    keys = sorted(addresses)
    # Copies of one letter, made without their route.
    flaws = await auditing.look_over(house)
    ours = house.settings.mail_from
    for number in range(MAILS):
        key = chance.choice(keys)
        raw = chance.choice(SAMPLES).raw.replace(TOKEN.encode(), house.links.mail_token(key).encode())
        raw = raw.replace(OURS.encode(), f"<{key}.letter.1@bql.example>".encode())
        raw = raw.replace(WHO.encode(), addresses[key].encode())
        raw = raw.replace(b"congvan@bql-mau.example", ours.encode()).replace(b"bql-mau.example", b"bql.example")
        # Each is a mail of its own: without this the second of a kind is known by its Message-ID.
        shelf.mails.append(_bent(chance, raw.replace(b"<r1@", f"<r{number}@".encode())))
    with caplog.at_level(logging.ERROR):
        told = await inbox.read(house, shelf)
    assert sum(told.values()) == MAILS
    assert [one.getMessage() for one in caplog.records] == []
    async with house.store.view() as ledger:
        rows = await ledger.rows(select(Incoming.uid, func.count()).group_by(Incoming.uid))
        states = set(await ledger.all(select(Delivery.state)))
        kinds = set(await ledger.all(select(EventRow.kind)))
        placed = await ledger.count(select(Incoming.id).where(Incoming.delivery_id.is_not(None)))
    assert len(rows) == MAILS - told["again"]
    assert all(row[1] == 1 for row in rows)
    assert placed > 0
    assert states <= REACHED
    assert kinds.isdisjoint({str(one) for one in BY_PERSONS})
    assert await auditing.look_over(house) == flaws
    assert await inbox.read(house, shelf) == {}
