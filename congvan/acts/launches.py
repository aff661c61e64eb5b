"""The launch of a campaign: its plan checked, its route frozen, everybody on it written down."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select

from congvan.acts import calendars
from congvan.acts import registry as registry_acts
from congvan.almanac import read_calendar_file
from congvan.errors import ActRefused, BadInput
from congvan.house import House
from congvan.letters.sheet import Sheet
from congvan.plan_check import check
from congvan.rules.calendar import local
from congvan.rules.cascade import Route, RouteHop, route
from congvan.rules.names import fold
from congvan.rules.protocol import Fact, State
from congvan.rules.records import CampaignPlan, Cascade, Organisation, Register
from congvan.rules.uploads import Upload
from congvan.store.ledger import Entry, Ledger, chain_hash
from congvan.store.tables import Campaign, Delivery, EventRow, Hop, WayRow
from congvan.upstream import at_hand

#: The modes, as an operator calls them.
MODES = {"live": "thật", "exercise": "diễn tập", "demo": "trình diễn"}


@dataclass(frozen=True, slots=True)
class Document:
    """A file of a directive, as it came. name: what the recipient sees."""

    name: str
    media_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Launch:
    """What an operator hands over. mode: live, exercise or demo."""

    plan: CampaignPlan
    cascade: Cascade
    mode: str = "live"
    by: str = ""
    #: Where the plan was read: the folder of its files, its name, its lines by field (for faults).
    folder: Path = Path()
    source: str = "plan"
    lines: Mapping[str, int] = field(default_factory=dict)
    cascade_source: str = "cascade.yaml"


def plan_sha256(plan: CampaignPlan) -> str:
    """The hash under which a plan is launched; the same plan is launched once."""
    return hashlib.sha256(plan.model_dump_json().encode()).hexdigest()


async def launch(house: House, order: Launch) -> str:
    """Freeze the route and wake the first hop; return the campaign's id.

    1. The same plan again is the same campaign: its id is returned and nothing happens. In another mode it is
       refused: whoever launches for real must not take the id of an exercise for it.
    2. The plan is checked against the registry; raise BadInput with every fault.
    3. Where the registry has changed meanwhile, all of it is checked again: the files from above are read for it.
    4. Campaign, hops, obligations and ways are written in one transaction. Of two at once the second waits for the
       first and is then told as if it had come later.
    """
    now = await house.clock.now()
    digest = plan_sha256(order.plan)
    async with house.store.view() as ledger:
        if (known := await _launched(ledger, order, digest)) is not None:
            return known
        seen = await registry_acts.read(ledger)
        frozen = _checked_route(order, seen, now)
    enclosed = documents(house, order)
    async with house.store.act() as ledger:
        if (known := await _launched(ledger, order, digest)) is not None:
            return known
        await calendars.remember(ledger, read_calendar_file(house.settings.config / "calendar.yaml"))
        register = await registry_acts.read(ledger)
        if register != seen:
            frozen = _checked_route(order, register, now)
        if (made := await _write(house, ledger, order, register, frozen, enclosed, digest, now)) is not None:
            return made
        known = await _launched(ledger, order, digest)
        assert known is not None, "its code was taken"
        return known


async def _launched(ledger: Ledger, order: Launch, digest: str) -> str | None:
    known = await ledger.first(select(Campaign).where(Campaign.code == order.plan.code))
    if known is None:
        return None
    if known.plan_sha256 != digest:
        raise ActRefused(
            f"Đợt {known.code} đã được khởi động từ một kế hoạch khác; đặt mã khác cho kế hoạch mới."
        )
    if known.mode != order.mode:
        raise ActRefused(
            f"Đợt {known.code} đã chạy ở chế độ {MODES[known.mode]}; đặt mã khác cho đợt {MODES[order.mode]}."
        )
    return str(known.id)


def _checked_route(order: Launch, register: Register, now: datetime) -> Route:
    faults = check(
        order.plan, order.cascade, register, now, order.folder,
        exercise=order.mode != "live", file=order.source, lines=order.lines, cascade_file=order.cascade_source,
    )  # fmt: skip
    if faults:
        raise BadInput(faults)
    return route(register, order.cascade, order.plan, local(now).date())


def documents(house: House, order: Launch) -> list[Document]:
    """The files of the directives as they came; outside live campaigns a page that says plainly that it
    stands for one that is not at hand."""
    found = []
    for directive in order.plan.directives:
        paths = [path for name in directive.files if (path := at_hand(order.folder, name)) is not None]
        for path in paths:
            name = unicodedata.normalize("NFC", path.name)
            found.append(Document(name, Upload(name, b"").media_type, path.read_bytes()))
        if len(paths) < max(1, len(directive.files)):
            sheet = Sheet(
                template="placeholder", issuer=directive.issuer, illustration=True,
                context={"document": directive.model_dump(mode="json")},
            )  # fmt: skip
            name = f"{directive.code.replace('/', '_')}-trang-thay-the.pdf"
            found.append(Document(name, "application/pdf", house.press.render(sheet).pdf))
    return found


async def _write(
    house: House,
    ledger: Ledger,
    order: Launch,
    register: Register,
    frozen: Route,
    enclosed: Sequence[Document],
    digest: str,
    now: datetime,
) -> str | None:
    """The id; None where somebody else has just launched under this code."""
    plan, campaign_id = order.plan, house.new_id(now)
    upstream = [
        {"name": doc.name, "sha256": await ledger.keep_file(doc.data, doc.media_type), "media_type": doc.media_type}
        for doc in enclosed
    ]
    is_new = await ledger.add_if_absent(
        Campaign,
        id=campaign_id, code=plan.code, state="RUNNING", mode=order.mode, subject=plan.letter.subject,
        urgency=plan.urgency.value, plan=plan.model_dump(mode="json"), plan_sha256=digest,
        cascade=order.cascade.model_dump(mode="json"), upstream=upstream, launched_at=now, launched_by=order.by,
        wake_at=None,
    )  # fmt: skip
    if not is_new:
        return None
    organisations = {one.code: one for one in register.organisations}
    hop_ids = {hop.issuer: house.new_id(now) for hop in frozen.hops}
    first = frozen.recipients()
    delivery_ids = {code: house.new_id(now) for code in first}
    await ledger.add_all(Hop, _hop_rows(frozen, campaign_id, hop_ids, delivery_ids, organisations, now))
    parks = [_parks(hop) for hop in frozen.hops]
    rows = [
        recipient_row(plan.code, campaign_id, organisations[code], delivery_ids[code], now)
        | _standing(order, frozen, code, hop_ids, number)
        | {"park": parks[number][code]}
        for code, number in first.items()
    ]
    if (taken := await known_code(ledger, [row["code"] for row in rows])) is not None:
        raise ActRefused(f"Mã nơi nhận {taken} đã có trong một đợt khác; đặt mã khác cho kế hoạch này.")
    await ledger.add_all(EventRow, [_first_event(row, campaign_id, order, now) for row in rows])
    await ledger.add_all(Delivery, rows)
    await ledger.add_all(WayRow, list(_way_rows(frozen, hop_ids, delivery_ids)))
    campaign = await ledger.get(Campaign, campaign_id)
    entry = Entry(Fact.LAUNCHED, {"recipients": len(rows), "hops": len(hop_ids)}, actor=order.by or "operator")
    await ledger.write(campaign, now, entry)
    return campaign_id


def _hop_rows(
    frozen: Route,
    campaign_id: str,
    hop_ids: Mapping[str, str],
    delivery_ids: Mapping[str, str],
    organisations: Mapping[str, Organisation],
    now: datetime,
) -> list[dict[str, Any]]:
    return [
        {
            "id": hop_ids[hop.issuer], "campaign_id": campaign_id, "ordinal": number, "issuer": hop.issuer,
            "issuer_name": organisations[hop.issuer].name, "level": hop.level, "state": "WAITING",
            "parent_delivery_id": delivery_ids.get(hop.issuer),
            "wake_at": now if hop.above is None else None,
        }
        for number, hop in enumerate(frozen.hops)
    ]  # fmt: skip


def _parks(hop: RouteHop) -> dict[str, str]:
    """Each recipient's park: that of the first way to it."""
    found: dict[str, str] = {}
    for way in hop.ways:
        found.setdefault(way.recipient, way.park)
    return found


def _standing(
    order: Launch, frozen: Route, code: str, hop_ids: Mapping[str, str], hop_number: int
) -> dict[str, Any]:
    exempt = code == order.cascade.drafting_unit
    return {
        "hop_id": hop_ids[frozen.hops[hop_number].issuer], "settles": frozen.settles[code].value,
        "child_hop_id": hop_ids.get(code), "state": State.EXEMPT if exempt else State.QUEUED,
    }  # fmt: skip


def code_of(plan_code: str, one: Organisation) -> str:
    """What people call the delivery of one organisation in a campaign."""
    return f"{plan_code}-{one.code}"


def recipient_row(
    plan_code: str, campaign_id: str, one: Organisation, delivery_id: str, now: datetime
) -> dict[str, Any]:
    """What a delivery takes over from the registry; its mailboxes are those that are valid now, in their order."""
    boxes = registry_acts.mailboxes(one, local(now).date())
    return {
        "id": delivery_id, "campaign_id": campaign_id, "code": code_of(plan_code, one), "recipient": one.code,
        "name": one.name, "folded": fold(f"{one.name} {one.code}"), "level": one.level,
        "segments": list(one.segments), "address": boxes[0] if boxes else None, "mailboxes": boxes[1:],
    }  # fmt: skip


async def known_code(ledger: Ledger, codes: Sequence[str]) -> str | None:
    """One of these codes of deliveries that is taken: plan A with recipient B-C spells A-B-C like plan A-B with C."""
    found: str | None = await ledger.first(select(Delivery.code).where(ledger.among(Delivery.code, codes)))
    return found


def _first_event(row: dict[str, Any], campaign_id: str, order: Launch, now: datetime) -> dict[str, Any]:
    # The drafting unit does not answer its own letter, and says so in its own log.
    own = row["state"] == State.EXEMPT
    data = {"state": row["state"], "settles": row["settles"]} | ({"why": "đơn vị soạn thảo"} if own else {})
    entry = Entry(Fact.CREATED, data)
    row |= {"event_seq": 1, "event_head": chain_hash("", row["id"], 1, now, entry)}
    if own:
        row |= {"settled_at": now}
    return {
        "stream": row["id"], "seq": 1, "campaign_id": campaign_id, "at": now, "kind": str(entry.kind),
        "actor": entry.actor, "channel": entry.channel, "data": data, "hash": row["event_head"],
    }  # fmt: skip


def _way_rows(frozen: Route, hop_ids: Mapping[str, str], delivery_ids: Mapping[str, str]) -> list[dict[str, Any]]:
    seen: dict[tuple[str, str, str], dict[str, Any]] = {}
    for hop in frozen.hops:
        for way in hop.ways:
            key = (hop_ids[hop.issuer], delivery_ids[way.recipient], way.park)
            seen[key] = {"hop_id": key[0], "delivery_id": key[1], "park": key[2]}
    return list(seen.values())
