"""What must be true when a national campaign has ended: the invariants, and the same totals in five places."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import httpx
from sqlalchemy import Table as AnyTable
from sqlalchemy import func, insert, select
from sqlalchemy.util import greenlet_spawn

from bench.national_world import National
from congvan.acts import board
from congvan.acts.frozen import cascade_of, plan_of
from congvan.house import House
from congvan.rules.calendar import Calendars
from congvan.rules.protocol import State
from congvan.rules.records import CampaignPlan, Cascade
from congvan.simulation import whole
from congvan.simulation.inline import Disk
from congvan.simulation.memory import CHASERS, LETTERS, Memory
from congvan.simulation.scheduler import Broken
from congvan.store.tables import Attempt, Campaign, Delivery, EventRow, Message, Table

Finding = str
#: Tables with what stands in them.
_Rows = list[tuple[AnyTable, list[dict[str, Any]]]]


async def verify(engine: National, house: House, campaign_id: str) -> list[Finding]:
    """Everything that is wrong; none: the campaign ended as it has to."""
    async with house.store.view() as ledger:
        campaign = await ledger.get(Campaign, campaign_id)
        rows: list[Delivery] = await ledger.all(select(Delivery).where(Delivery.campaign_id == campaign_id))
    wrong = await _places(engine, house, campaign, rows)
    wrong += await _mails(engine, house)
    wrong += await _once(house)
    wrong += await _simulators(house, campaign)
    status, out = await engine.congvan("audit", campaign.code, "--json")
    wrong += [] if status == 0 else [f"audit: {out[:500]}"]
    return wrong


# ------------------------------------------------------------------------------------ five places


async def _places(engine: National, house: House, campaign: Campaign, rows: list[Delivery]) -> list[Finding]:
    ours = Counter(str(row.state) for row in rows)
    _, said = await engine.congvan("status", campaign.code, "--json")
    file = engine.home / "report.json"
    await engine.congvan("report", campaign.code, "--format", "json", "--out", str(file))
    report = json.loads(file.read_text("utf-8"))
    wrong = _differ("status", ours, json.loads(said)["campaigns"][0]["totals"])
    wrong += _differ("report", ours, report["campaign"]["totals"])
    wrong += _differ("report's list", ours, Counter(one["state"] for one in report["deliveries"]))
    wanted = Counter(" ".join(tile.shown) for tile, _ in await board.tiles(house, campaign.id))
    shown = await _in_prefect(engine.api, wanted)
    return wrong + ([] if shown == wanted else [f"Prefect shows {dict(shown)}, ours says {dict(wanted)}"])


def _differ(place: str, ours: Mapping[str, int], theirs: Mapping[str, int]) -> list[Finding]:
    found = {state.value: (ours.get(state, 0), theirs.get(state, 0)) for state in State}
    return [f"{place}: {name} {pair[1]}, database {pair[0]}" for name, pair in found.items() if pair[0] != pair[1]]


async def _in_prefect(api: str, wanted: Mapping[str, int]) -> Counter[str]:
    flows = {"flows": {"name": {"any_": ["delivery"]}}}
    found: Counter[str] = Counter()
    async with httpx.AsyncClient(base_url=api, timeout=120) as client:
        for name in wanted:
            kind, _, state = name.partition(" ")
            asked = {"state": {"name": {"any_": [state]}, "type": {"any_": [kind]}}}
            found[name] = (await client.post("/flow_runs/count", json=flows | {"flow_runs": asked})).json()
        everything = (await client.post("/flow_runs/count", json=flows)).json()
    if everything != found.total():
        found["others"] = everything - found.total()
    return found


async def _mails(engine: National, house: House) -> list[Finding]:
    """2: what the sink took is what is known to have left, and twice only what died on the wire."""
    async with house.store.view() as ledger:
        sent = set(await ledger.all(select(Message.message_id).where(Message.state == "SENT")))
        unknown = await ledger.count(select(Attempt.message_id).where(Attempt.outcome.is_(None)))
    arrived, wrong = engine.arrived, []
    if lost := sent - arrived.keys():
        wrong.append(f"{len(lost)} messages count as sent and never came")
    if strange := arrived.keys() - sent:
        wrong.append(f"{len(strange)} messages came that do not count as sent")
    if (twice := sum(number - 1 for number in arrived.values())) > unknown:
        wrong.append(f"{twice} copies came twice, {unknown} were on the wire at a kill")
    return wrong


# ------------------------------------------------------------------------------------ invariants


async def _once(house: House) -> list[Finding]:
    """3: no hop opened twice. 1: no second letter. 4: no reminder after the answer."""
    async with house.store.view() as ledger:
        opened = await ledger.rows(
            select(EventRow.stream, func.count()).where(EventRow.kind == "opened").group_by(EventRow.stream)
        )
        letters = await ledger.rows(
            select(Message.delivery_id, func.count())
            # A mailbox that refused it got none; the next one did.
            .where(Message.kind.in_(LETTERS), Message.delivery_id.is_not(None), Message.state == "SENT")
            .group_by(Message.delivery_id)
            .having(func.count() > 1)
        )
        crossed = await ledger.count(
            select(Message.id)
            .join(Attempt, Attempt.message_id == Message.id)
            .join(Delivery, Delivery.id == Message.delivery_id)
            .where(Message.kind.in_(CHASERS), Attempt.started_at > Delivery.settled_at)
        )
    wrong = [f"a hop opened {number} times" for _, number in opened if number != 1]
    wrong += [f"{len(letters)} recipients got a second letter"] if letters else []
    return wrong + ([f"{crossed} reminders left after the answer"] if crossed else [])


async def _simulators(house: House, campaign: Campaign) -> list[Finding]:
    """The simulator's own checks of a whole database, on a copy of ours."""
    tables = await _rows(house)
    plans = {campaign.code: (plan_of(campaign), cascade_of(campaign))}
    # Its database in memory belongs to no event loop.
    now = await house.clock.now()
    found: list[Finding] = await greenlet_spawn(_check, tables, house.calendars, plans, now)
    return found


def _check(
    tables: _Rows, calendars: Calendars, plans: dict[str, tuple[CampaignPlan, Cascade]], now: datetime
) -> list[Finding]:
    disk = Disk()
    try:
        # The files stay where they are.
        disk.raw.execute("PRAGMA foreign_keys=OFF")
        with disk.engine.sync_engine.begin() as target:
            for table, rows in tables:
                target.execute(insert(table), rows)
        memory = Memory(disk, calendars, plans)
        for check in whole.EVERY_DAY:
            check(memory, now)
        whole.nobody_forgotten(memory)
    except Broken as broken:
        return [str(broken)]
    finally:
        disk.close()
    return []


async def _rows(house: House) -> _Rows:
    found: _Rows = []
    async with house.store.engine.connect() as source:
        for table in Table.metadata.sorted_tables:
            if table.name == "files":
                continue
            rows = [dict(row) for row in (await source.execute(select(table))).mappings()]
            found += [(table, rows)] if rows else []
    return found
