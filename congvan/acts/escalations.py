"""Cases: somebody has to look at a delivery, and says what became of it. `telling` tells the ladder of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Select, bindparam, select

from congvan.acts import mails, papers, registry
from congvan.acts.digest import NAMED, Line, history_of
from congvan.acts.frozen import cascade_of, is_urgent
from congvan.acts.officers import full_names
from congvan.errors import ActRefused
from congvan.house import House
from congvan.rules.calendar import instant, local
from congvan.rules.deadlines import after, too_far
from congvan.rules.protocol import Fact, State, settled
from congvan.rules.records import Organisation, Settles
from congvan.rules.uploads import Upload
from congvan.store.ledger import Entry, Ledger, locked
from congvan.store.tables import Campaign, Case, Delivery, EventRow, Hop

#: When a department reads its mail.
DIGEST_AT = time(8, 0)
#: Why a case was closed that a named person closed without an answer.
DECIDED = "decided"
NO_CASE = "Nơi nhận này không có trường hợp nào đang mở."


async def open_case(house: House, ledger: Ledger, delivery: Delivery, kind: str, now: datetime) -> None:
    """Open a case unless one of this kind is open. Nobody is told yet; after the closing never of a silence."""
    await open_cases(house, ledger, [(delivery, kind)], now)


async def open_cases(
    house: House, ledger: Ledger, found: Sequence[tuple[Delivery, str]], now: datetime
) -> None:
    """As `open_case` for many at once: deliveries with the kinds of their cases."""
    moments: dict[tuple[str, str], datetime | None] = {}
    for key, kind in sorted({(delivery.campaign_id, kind) for delivery, kind in found}):
        campaign = await ledger.get(Campaign, key)
        over = campaign.state == "CLOSED" and kind == "silent"
        moments[key, kind] = None if over else tell_at(house, campaign, 0, now)
    rows: list[dict[str, Any]] = [
        {
            "id": house.new_id(now), "delivery_id": delivery.id, "campaign_id": delivery.campaign_id, "kind": kind,
            "opened_at": now, "rung": 0, "tell_at": moments[delivery.campaign_id, kind], "notes": [],
        }
        for delivery, kind in found
    ]  # fmt: skip
    await ledger.add_all_if_absent(Case, rows)


async def keep_told(house: House, ledger: Ledger, delivery: Delivery, now: datetime) -> None:
    """Whoever was escalated because no mail reached him is reached again and still owes the answer: from
    now on he is silent. Nothing becomes due by the clock after an escalation, nor after the closing, so he has to
    stand in a case."""
    if settled(State(delivery.state), Settles(delivery.settles)):
        return
    campaign = await ledger.get(Campaign, delivery.campaign_id)
    if delivery.escalated_at is not None or (campaign.state == "CLOSED" and delivery.due_at is not None):
        await open_case(house, ledger, delivery, "silent", now)


async def close_cases(
    ledger: Ledger, delivery: Delivery, now: datetime, *, by: str, why: str, kinds: Sequence[str] = ()
) -> list[Entry]:
    """Close the open cases of a delivery; the entries that its log should hold."""
    open_ones = list(await ledger.session.scalars(_open_of(), {"delivery": delivery.id}))
    entries = []
    for case in open_ones:
        if kinds and case.kind not in kinds:
            continue
        closed = {"closed_at": now, "closed_by": by, "closed_why": why, "tell_at": None}
        await ledger.change_many(Case, [{"id": case.id, **closed}])
        entries.append(Entry(Fact.ESCALATION_CLOSED, {"case": case.kind, "why": why}, actor=by))
    return entries


@cache
def _open_of() -> Select[tuple[Case]]:
    query = select(Case).where(Case.delivery_id == bindparam("delivery"), Case.closed_at.is_(None))
    return locked(query).execution_options(populate_existing=True)


async def tell_no_more(ledger: Ledger, campaign_id: str) -> None:
    """Nobody is told of the open cases of a campaign any more; each stays until the answer closes it."""
    open_ones = Case.campaign_id == campaign_id, Case.closed_at.is_(None), Case.tell_at.is_not(None)
    await ledger.change(Case, *open_ones, tell_at=None)


async def lock_of_campaign(ledger: Ledger, campaign_id: str) -> None:
    """Lock the open cases of a campaign, in the order of the digests, which take them before the campaign."""
    query = select(Case.id).where(Case.campaign_id == campaign_id, Case.closed_at.is_(None), Case.tell_at.is_not(None))
    await ledger.all(query.order_by(Case.id), lock=True)


def tell_at(house: House, campaign: Campaign, rung: int, now: datetime) -> datetime | None:
    """When the next rung is told: at the department's hour of a working day; urgent ones at once.

    Rungs after the first count from the hour of the digest before: a round comes to it a moment later, and counted
    from there each would miss its morning.
    What comes up after the closing (a refusal, a dead mailbox) is told to the first rung and climbs no further.
    """
    ladder = cascade_of(campaign).ladder
    if rung >= len(ladder) or (rung and campaign.state == "CLOSED"):
        return None
    step = ladder[rung]
    if is_urgent(campaign):
        return after(now, step.after_working_days, step.after_hours, house.calendars)
    told = instant(local(now).date(), DIGEST_AT) if rung else now
    return next_reading(house, after(told, step.after_working_days, step.after_hours, house.calendars))


def next_reading(house: House, now: datetime) -> datetime:
    """The next instant at which a department reads its digest, from now on."""
    wall = local(now)
    day = wall.date() if wall.time() <= DIGEST_AT else wall.date() + timedelta(days=1)
    return instant(house.calendars.state.on_or_after(day), DIGEST_AT)


#: Built once: asked at every look of the relay.
_NEXT_TOLD = (
    select(Case.tell_at)
    .join(Campaign, Campaign.id == Case.campaign_id)
    .where(Case.closed_at.is_(None), Case.tell_at.is_not(None), Campaign.held_at.is_(None))
    .order_by(Case.tell_at)
    .limit(1)
)


async def next_digest_at(ledger: Ledger) -> datetime | None:
    """When the next rung is to be told of something, or somebody of a letter in his hand; None: of nothing."""
    told: datetime | None = await ledger.session.scalar(_NEXT_TOLD, {})
    return min((at for at in (told, await papers.next_chase_at(ledger)) if at is not None), default=None)


async def describe(
    house: House,
    ledger: Ledger,
    members: Sequence[tuple[Case | None, Delivery]],
    campaigns: Mapping[str, Campaign],
    now: datetime,
) -> list[Line]:
    """The lines of a digest or a report, sorted by campaign, issuer, park and days overdue."""
    hops = {row.id: row for row in await ledger.all(select(Hop).where(Hop.id.in_({d.hop_id for _, d in members})))}
    parks = await registry.park_names(ledger)
    people = await _people(ledger, [delivery.recipient for _, delivery in members])
    events = await _events(ledger, [delivery.id for _, delivery in members])
    officers = await full_names(ledger)
    lines = [
        Line.of(
            case, delivery, hops[delivery.hop_id], campaigns[delivery.campaign_id], parks, house.calendars, now,
            officers=officers, contact=people.get(delivery.recipient, ""),
            history=history_of(events.get(delivery.id, ()), case, officers),
        )
        for case, delivery in members
    ]  # fmt: skip
    return sorted(lines, key=lambda line: (line.campaign, line.issuer, line.park, -line.days_late, line.code))


async def _people(ledger: Ledger, codes: Sequence[str]) -> dict[str, str]:
    """Whom to call: name, role and telephone of every contact, as the registry has them now."""
    found = await registry.records(ledger, codes)
    known = {code: Organisation.model_validate(record) for code, record in found.items()}
    return {
        code: "; ".join(
            ", ".join(part for part in (who.name, who.role, who.phone) if part)
            for who in sorted(one.contacts, key=lambda who: who.order)
            if who.name or who.phone
        )
        for code, one in known.items()
    }


async def _events(ledger: Ledger, keys: Sequence[str]) -> dict[str, list[Any]]:
    """What a history is made of: kind and instant, of the kinds that it names; a digest has thousands of them."""
    found: dict[str, list[Any]] = {}
    rows = await ledger.rows(
        select(EventRow.stream, EventRow.kind, EventRow.at)
        .where(ledger.among(EventRow.stream, set(keys)), EventRow.kind.in_(NAMED))
        .order_by(EventRow.stream, EventRow.seq)
    )
    for row in rows:
        found.setdefault(row.stream, []).append(row)
    return found


async def claim(house: House, delivery_id: str, by: str, note: str = "", next_at: datetime | None = None) -> None:
    """A named person takes the cases of a delivery in hand; until `next_at` they climb no further."""
    now = await house.clock.now()
    if next_at is not None and next_at <= now:
        raise ActRefused("Ngày xem lại đã qua.")
    if next_at is not None and too_far(next_at, now):
        raise ActRefused("Ngày xem lại quá xa: không quá 5 năm kể từ hôm nay; xem lại năm đã ghi.")
    async with house.store.act() as ledger:
        delivery = await ledger.take(Delivery, delivery_id)
        cases = await _open_cases(ledger, delivery_id)
        if not cases:
            raise ActRefused(NO_CASE)
        for case in cases:
            values: dict[str, Any] = {"claimed_by": by, "notes": _noted(case, now, by, note)}
            if next_at is not None:
                later = next_reading(house, next_at)
                values |= {"next_at": next_at, "tell_at": max(case.tell_at, later) if case.tell_at else None}
            await ledger.change(Case, Case.id == case.id, **values)
        said = {"note": note} | ({"next_at": next_at.isoformat()} if next_at else {})
        await ledger.write(delivery, now, Entry(Fact.CLAIMED, said, actor=by))


async def note(
    house: House, delivery_id: str, by: str, words: str, *, evidence: str = "", files: Sequence[Upload] = ()
) -> None:
    """What was done about a delivery and its open cases: a call, a visit; a paper that came."""
    if not words.strip():
        raise ActRefused("Cần ghi nội dung.")
    now = await house.clock.now()
    async with house.store.act() as ledger:
        delivery = await ledger.take(Delivery, delivery_id)
        for case in await _open_cases(ledger, delivery_id):
            await ledger.change(Case, Case.id == case.id, notes=_noted(case, now, by, words))
        said: dict[str, Any] = {"note": words} | ({"evidence": evidence} if evidence else {})
        said |= {"files": [await ledger.keep_upload(file) for file in files]} if files else {}
        await ledger.write(delivery, now, Entry(Fact.NOTED, said, actor=by))


async def decide(house: House, delivery_id: str, by: str, why: str) -> None:
    """A named person closes the cases of a delivery by decision: nobody is told of it any more.

    The answer is still owed and still accepted; who is let go of that as well is exempted.
    """
    if not why.strip():
        raise ActRefused("Cần ghi rõ lý do quyết định.")
    now = await house.clock.now()
    async with house.store.act() as ledger:
        delivery = await ledger.take(Delivery, delivery_id)
        for case in await _open_cases(ledger, delivery_id):
            await ledger.change(Case, Case.id == case.id, notes=_noted(case, now, by, why))
        entries = await close_cases(ledger, delivery, now, by=by, why=DECIDED)
        if not entries:
            raise ActRefused(NO_CASE)
        await ledger.write(delivery, now, [Entry(Fact.DECIDED, {"why": why}, actor=by), *entries])
        await mails.wake_campaign(ledger, delivery.campaign_id, now)


async def _open_cases(ledger: Ledger, delivery_id: str) -> list[Case]:
    found: list[Case] = await ledger.all(
        select(Case).where(Case.delivery_id == delivery_id, Case.closed_at.is_(None)), lock=True
    )
    return found


def _noted(case: Case, now: datetime, by: str, words: str) -> list[Any]:
    return [*case.notes, {"at": now.isoformat(), "by": by, "note": words}] if words else list(case.notes)
