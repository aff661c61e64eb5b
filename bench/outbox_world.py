"""A hop with as many letters as are wanted, ready to leave: what the measurements of the outbox start from.

One recipient is really launched and opened, with a real letter; the others are copies of its rows.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select

from congvan.acts import hops, launches, registry, waking
from congvan.house import House, build
from congvan.reading import read_plan
from congvan.rules.records import (
    Audience,
    Cascade,
    Contact,
    Deadline,
    HopRule,
    Issue,
    Organisation,
    Policy,
    Recipients,
    Register,
    Reminder,
    Rung,
    Urgency,
)
from congvan.settings import Settings
from congvan.store.ledger import Entry, Ledger, chain_hash
from congvan.store.schema import migrate
from congvan.store.tables import Delivery, EventRow, Message, Table

ROOT = Path(__file__).resolve().parents[1]
PDF = b"%PDF-1.7\n" + bytes(range(256)) * 240
DOMAINS = 500
_PLAN = ROOT / "tests" / "data" / "chains" / "two" / "plan.yaml"
_CHUNK = 2_000
#: Everything in hours, so that nothing depends on the hour at which it is measured.
POLICY = Policy(
    deadline=Deadline(hours=48, minimum_hours=24), reminders=(Reminder(hours=-24), Reminder(hours=0)),
    grace_working_days=0, grace_hours=24,
)  # fmt: skip


def settings(home: Path, port: int, database_url: str = "", **more: Any) -> Settings:
    """Settings of a house under `home` that sends to a server on loopback."""
    return Settings(
        home=home, database_url=database_url, smtp_url=f"smtp://127.0.0.1:{port}?tls=none",
        secret_keys=("key-of-a-measurement-" + "x" * 24,), _env_file=None, **more,
    )  # fmt: skip


async def filled(chosen: Settings, letters: int) -> str:
    """Make the database and write `letters` intents down; the hop's id."""
    house = build(chosen)
    try:
        await migrate(house.store)
        return await fill(house, letters)
    finally:
        await house.close()


async def fill(house: House, letters: int) -> str:
    """Write `letters` intents down in an empty database; the hop's id."""
    hop_id = await _opened(house)
    await _copied(house, letters)
    return hop_id


async def launched(house: House, tenants: int) -> tuple[str, float]:
    """Launch a flash directive to that many tenants; its only hop, which nobody has turned yet, and the
    seconds that the launch itself took."""
    place = {"place": "Thủ Đô", "contacts": (Contact(email="congvan@ban.example"),)}
    people = (
        Organisation(code="BAN", name="Ban Quản lý Mẫu", level="board", abbreviation="BAN", **place),
        Organisation(code="TOP", name="Cơ quan cấp trên Mẫu", level="top", abbreviation="TOP", **place),
        *(
            Organisation(
                code=f"DN-{number}", name=f"Công ty TNHH Mẫu {number}", level="tenant",
                contacts=(Contact(email=f"vanthu{number}@cty{number % DOMAINS}.example"),),
            )
            for number in range(tenants)
        ),
    )  # fmt: skip
    await registry.take_over(house, Register(organisations=people))
    read = read_plan(_PLAN)[0]
    long_ago = {"issued_on": date(2023, 11, 29), "arrived_on": date(2023, 11, 30)}
    plan = read.model_copy(
        update={
            "copies": (), "segment_duties": (), "audience": Audience(), "urgency": Urgency.FLASH,
            "directives": tuple(one.model_copy(update=long_ago) for one in read.directives),
        }
    )  # fmt: skip
    order = launches.Launch(plan, _chain(), "exercise", "Người đo", _PLAN.parent)
    began = time.perf_counter()
    await launches.launch(house, order)
    took = time.perf_counter() - began
    async with house.store.view() as ledger:
        return str((await waking.due_hops(ledger, await house.clock.now()))[0].id), took


async def _opened(house: House) -> str:
    hop_id, _took = await launched(house, 1)
    lease = await hops.turn(house, hop_id)
    assert lease is not None
    await hops.release(house, lease)
    return hop_id


def _chain() -> Cascade:
    signed = HopRule(
        issuer="board", template="board", issue=Issue.SIGNED, symbol="{number}/BAN-VP",
        recipients=(Recipients(level="tenant", who="all", policy=POLICY),),
    )  # fmt: skip
    return Cascade(
        name="Một bậc", levels={"top": "Cấp trên", "board": "Ban", "tenant": "Doanh nghiệp"}, root="board",
        hops=(signed,), ladder=(Rung(to="BAN"),), speaks_for="BAN", reports_to="TOP",
    )  # fmt: skip


async def _copied(house: House, letters: int) -> None:
    async with house.store.act() as ledger:
        delivery = _row(await ledger.first(select(Delivery)))
        message = _row(await ledger.first(select(Message)))
        log = await ledger.all(select(EventRow).where(EventRow.stream == delivery["id"]).order_by(EventRow.seq))
        said = [(one.at, Entry(one.kind, one.data, one.actor, one.channel)) for one in log]
        sha256 = await ledger.keep_file(PDF, "application/pdf")
        enclosed = [{"name": "Công văn số 01.pdf", "sha256": sha256, "media_type": "application/pdf"}]
        await ledger.change(Message, Message.id == message["id"], enclosures=enclosed, urgent=True)
    message |= {"enclosures": enclosed, "urgent": True}
    for first in range(1, letters, _CHUNK):
        async with house.store.act() as ledger:
            await _chunk(house, ledger, delivery, message, range(first, min(first + _CHUNK, letters)), said)


async def _chunk(
    house: House,
    ledger: Ledger,
    delivery: dict[str, Any],
    message: dict[str, Any],
    numbers: range,
    said: Sequence[tuple[datetime, Entry]],
) -> None:
    deliveries, messages, events = [], [], []
    now = said[-1][0]
    for number in numbers:
        one, key, head = house.new_id(now), house.new_id(now), ""
        for seq, (at, entry) in enumerate(said, 1):
            head = chain_hash(head, one, seq, at, entry)
            events.append(
                {
                    "stream": one, "seq": seq, "campaign_id": delivery["campaign_id"], "at": at, "kind": entry.kind,
                    "actor": entry.actor, "channel": entry.channel, "data": entry.data, "hash": head,
                }
            )  # fmt: skip
        address = f"vanthu{number}@cty{number % DOMAINS}.example"
        deliveries.append(
            delivery | {
                "id": one, "code": f"M-{number}", "recipient": f"DN-{number}", "name": f"Công ty TNHH Mẫu {number}",
                "address": address, "event_seq": len(said), "event_head": head,
            }
        )  # fmt: skip
        messages.append(
            message | {
                "id": key, "delivery_id": one, "recipient": f"DN-{number}", "address": address,
                "message_id": f"<{one}.letter.1@bql.example>",
            }
        )  # fmt: skip
    await ledger.add_all(Delivery, deliveries)
    await ledger.add_all(Message, messages)
    await ledger.add_all(EventRow, events)


def _row(row: Table) -> dict[str, Any]:
    return {column.key: getattr(row, column.key) for column in row.__table__.columns}

