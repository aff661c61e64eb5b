"""Seals: from time to time the heads of all chains of a campaign are hashed together with the seal before.

Whoever changes an event has to write its whole chain anew, every seal since, and whatever paper bears
the hash of one of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import func, select, union_all

from congvan.acts import campaigns
from congvan.house import House
from congvan.store.ledger import Ledger
from congvan.store.tables import Campaign, Delivery, Hop, Seal, SealLine

#: A stream, the number of its last event, and that event's hash.
Line = tuple[str, int, str]


def heads_hash(lines: Iterable[Line]) -> str:
    """The hash of the lines of a seal, in the order of their streams."""
    return hashlib.sha256(orjson.dumps(sorted(lines))).hexdigest()


def seal_hash(before: str, campaign_id: str, seq: int, at: datetime, events: int, heads: str) -> str:
    """The hash of a seal: over the seal before it and everything it says."""
    said = [before, campaign_id, seq, at.astimezone(UTC).isoformat(), events, heads]
    return hashlib.sha256(orjson.dumps(said)).hexdigest()


async def seal_all(house: House) -> int:
    """Seal every campaign in which something happened since its last seal; how many were sealed."""
    async with house.store.view() as ledger:
        counted = await _counted(ledger)
        sealed = dict(await ledger.rows(select(Seal.campaign_id, func.max(Seal.events)).group_by(Seal.campaign_id)))
    behind = sorted(key for key, number in counted.items() if number > sealed.get(key, 0))
    return sum([await seal(house, key) is not None for key in behind])


async def seal(house: House, name: str) -> str | None:
    """Seal one campaign; the hash of the new seal, or None where nothing happened since the last one."""
    now = await house.clock.now()
    async with house.store.act() as ledger:
        # Its row is the lock: one seal at a time.
        campaign = await ledger.take(Campaign, (await campaigns.find(ledger, name)).id)
        last: Seal | None = await ledger.first(
            select(Seal).where(Seal.campaign_id == campaign.id).order_by(Seal.seq.desc())
        )
        # Read once: what happens meanwhile is in neither the lines nor the count, and the next seal holds it.
        all_heads = await _heads(ledger, campaign.id)
        lines = await _moved(ledger, campaign.id, all_heads)
        if not lines:
            return None
        seq, before = (last.seq + 1, last.hash) if last else (1, "")
        events = sum(line[1] for line in all_heads)
        heads = heads_hash(lines)
        sealed = seal_hash(before, campaign.id, seq, now, events, heads)
        await ledger.add(
            Seal, campaign_id=campaign.id, seq=seq, at=now, events=events, heads=heads, hash=sealed
        )
        await ledger.add_all(
            SealLine,
            [
                {"campaign_id": campaign.id, "seal": seq, "stream": stream, "event_seq": number, "event_head": head}
                for stream, number, head in lines
            ],
        )
        return sealed


async def _counted(ledger: Ledger) -> dict[str, int]:
    """How many events each campaign has, by what its rows say."""
    parts = [select(Campaign.id.label("campaign"), Campaign.event_seq.label("events"))]
    parts += [select(table.campaign_id, table.event_seq) for table in (Hop, Delivery)]
    all_rows = union_all(*parts).subquery()
    rows = await ledger.rows(select(all_rows.c.campaign, func.sum(all_rows.c.events)).group_by(all_rows.c.campaign))
    return {campaign: int(number) for campaign, number in rows}


async def _heads(ledger: Ledger, campaign_id: str) -> Sequence[Any]:
    whose: list[tuple[Any, Any]] = [(Campaign, Campaign.id), (Hop, Hop.campaign_id), (Delivery, Delivery.campaign_id)]
    parts = [
        select(table.id, table.event_seq, table.event_head).where(column == campaign_id, table.event_seq > 0)
        for table, column in whose
    ]
    return await ledger.rows(union_all(*parts))  # type: ignore[arg-type]


async def _moved(ledger: Ledger, campaign_id: str, heads: Sequence[Any]) -> list[Line]:
    """Those of the heads that no seal holds yet."""
    sealed = dict(
        await ledger.rows(
            select(SealLine.stream, func.max(SealLine.event_seq))
            .where(SealLine.campaign_id == campaign_id)
            .group_by(SealLine.stream)
        )
    )
    return [(stream, number, head) for stream, number, head in heads if number > sealed.get(stream, 0)]
