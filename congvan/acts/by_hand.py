"""Whom a company has reached by itself, on paper or by its own mail: no letter of ours leaves for them, and they
are held to the same answer as the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import select

from congvan.errors import ActRefused
from congvan.rules.protocol import Event, Fact, State, advance
from congvan.store.ledger import Entry, Ledger
from congvan.store.tables import Delivery, Hop, WayRow

#: How it was done, as the page offers it.
WAYS = ("paper", "own_mail", "meeting", "other")


@dataclass(frozen=True, slots=True)
class How:
    """What the company says: evidence by delivery, how (one of WAYS), on which day; file: its own letter is at hand."""

    evidence: Mapping[str, str]
    how: str
    day: date
    file: bool


async def lock(ledger: Ledger, hop_id: str, evidence: Mapping[str, str]) -> Sequence[Delivery]:
    """Those below who were named, locked; raise ActRefused for one that does not stand below."""
    if not evidence:
        return []
    ways = select(WayRow.delivery_id).where(WayRow.hop_id == hop_id)
    rows: list[Delivery] = await ledger.all(
        select(Delivery).where(Delivery.id.in_(evidence), Delivery.id.in_(ways)).order_by(Delivery.id), lock=True
    )
    if len(rows) != len(evidence):
        raise ActRefused("Danh sách có đơn vị không nhận văn bản từ Quý đơn vị.")
    return rows


async def mark(
    ledger: Ledger, hop: Hop, rows: Sequence[Delivery], how: How, due_at: datetime, now: datetime
) -> None:
    """Write down who was reached, when and how; whoever was reached another way before keeps that."""
    changes: list[tuple[Delivery, list[Entry], dict[str, Any]]] = []
    for row in rows:
        said = {"by": hop.issuer, "how": how.how, "day": how.day.isoformat(), "evidence": how.evidence[row.id]}
        entries = [Entry(Fact.REACHED_BY_ISSUER, said | {"file": how.file}, "issuer", "paper")]
        values: dict[str, Any] = {}
        if row.due_at is None and State(row.state) is State.QUEUED:
            entries.append(Entry(Fact.OPENED, {"by": hop.issuer}))
            entries.append(Entry(Event.SENT, {"by_hand": how.how}, "issuer", "paper"))
            # Who has no mailbox cannot be reminded; it is escalated like the others.
            values = {
                "hop_id": hop.id, "due_at": due_at, "state": advance(State.QUEUED, Event.SENT), "sent_at": now,
                "wake_at": now,
            }  # fmt: skip
        changes.append((row, entries, values))
    await ledger.write_many(changes, now)
