"""Late joiners: who registers after a campaign was launched comes in by an explicit act, and not by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import select

from congvan.acts import (
    campaigns,
    deliveries,
    escalations,
    launches,
    letters,
    mails,
    opening,
    recalls,
    registry,
)
from congvan.acts.frozen import cascade_of, is_urgent, plan_of, policy_of
from congvan.acts.terms import said_due
from congvan.errors import ActRefused
from congvan.house import House
from congvan.letters.numbering import short_day
from congvan.rules.calendar import local
from congvan.rules.cascade import Directory, Way, spread, valid
from congvan.rules.deadlines import personal_due_at
from congvan.rules.protocol import Event, Fact, State, advance
from congvan.rules.records import Organisation, Settles
from congvan.store.ledger import Entry, Ledger
from congvan.store.tables import Campaign, Delivery, Hop, WayRow


@dataclass(frozen=True, slots=True)
class Joined:
    """Who came in. issuer: by whose letter; due_at: its own deadline, None while that letter has not left."""

    delivery_id: str
    code: str
    issuer: str
    due_at: datetime | None


async def join(house: House, name: str, code: str, by: str, *, direct: bool = False) -> Joined:
    """Take one organisation of the registry into a running campaign; raise ActRefused or NotFound.

    1. The chain is followed with the registry as it is now: every way to it that leads through a hop of this
       campaign counts, the way that has opened first carries it.
    2. Where that hop's letter has left, it gets the same letter now, with the longer of the printed date and
       its own minimum as its deadline; else it waits for the letter like everyone below that hop.
    3. direct: the authority's own letter carries it, where its investor passes nothing on in this campaign.
    4. No letter that was recalled carries anybody: who would join by it waits until another takes its place.
    """
    if not by.strip():
        raise ActRefused("Cần họ tên người quyết định bổ sung.")
    now = await house.clock.now()
    async with house.store.act() as ledger:
        campaign = await campaigns.find(ledger, name)
        _check_running(campaign)
        one = await registry.organisation(ledger, code)
        _check_valid(one, local(now).date())
        found = await (_direct if direct else _ways)(ledger, campaign, one)
        for key in sorted({hop.id for hop, _way in found}):
            await ledger.take(Hop, key)
        row = await ledger.take(Campaign, campaign.id)
        # Of two who take it in at once the second finds it here.
        _check_running(row)
        await _check_new(ledger, campaign, one)
        found = [pair for pair in found if not await recalls.taken_back(ledger, pair[0])]
        if not found:
            raise ActRefused("Văn bản dẫn đến đơn vị này đã bị thu hồi; bổ sung sau khi có văn bản thay thế.")
        hop, way = min(found, key=lambda pair: (pair[0].opened_at is None, pair[0].ordinal))
        delivery = await _insert(house, ledger, campaign, hop, way, one, now, by)
        ways = {(other.id, via.park) for other, via in found}
        await ledger.add_all(
            WayRow, [{"hop_id": hop_id, "delivery_id": delivery.id, "park": park} for hop_id, park in sorted(ways)]
        )
        if hop.opened_at is not None:
            await _send(house, ledger, campaign, hop, delivery, now)
        else:
            await deliveries.tell_of_those_cut_off(house, ledger, hop.id, now)
        await ledger.write(hop, now, Entry(Fact.JOINED, {"recipient": one.code}, actor=by))
        await ledger.write(row, now, Entry(Fact.JOINED, {"recipient": one.code, "issuer": hop.issuer}, actor=by))
        return Joined(delivery.id, delivery.code, hop.issuer, delivery.due_at)


def _check_running(campaign: Campaign) -> None:
    if campaign.state != "RUNNING":
        raise ActRefused("Đợt triển khai đã kết thúc; không bổ sung được nữa.")
    if campaign.held_at is not None or campaign.paused_at is not None:
        raise ActRefused("Đợt triển khai đang giữ thư lại hoặc tạm dừng; cho tiếp tục rồi bổ sung.")


def _check_valid(one: Organisation, day: date) -> None:
    if not valid(one, day):
        when = short_day(day)
        raise ActRefused(f"{one.name} không còn hoặc chưa hoạt động vào ngày {when}; xem hiệu lực trong danh bạ")


async def _check_new(ledger: Ledger, campaign: Campaign, one: Organisation) -> None:
    query = select(Delivery.code).where(Delivery.campaign_id == campaign.id, Delivery.recipient == one.code)
    if (known := await ledger.first(query)) is not None:
        raise ActRefused(f"{one.code} đã có trong đợt: {known}")
    if (taken := await launches.known_code(ledger, [launches.code_of(campaign.code, one)])) is not None:
        raise ActRefused(f"Mã nơi nhận {taken} đã có trong một đợt khác; không bổ sung {one.code} vào đợt này được.")
    if one.code in plan_of(campaign).audience.exclude:
        raise ActRefused(f"Kế hoạch loại trừ đích danh {one.code}.")


async def _ways(ledger: Ledger, campaign: Campaign, one: Organisation) -> list[tuple[Hop, Way]]:
    """Every way to it by a hop of this campaign, as the registry has it now."""
    cascade = cascade_of(campaign)
    issuers = {hop.issuer: hop for hop in await ledger.all(select(Hop).where(Hop.campaign_id == campaign.id))}
    leading = [
        (hop.issuer, way)
        for hop in spread(Directory(await registry.read(ledger)), cascade)
        for way in hop.ways
        if way.recipient == one.code
    ]
    found = [(issuers[issuer], way) for issuer, way in leading if issuer in issuers]
    if found:
        return found
    if not leading:
        raise ActRefused(f"Không có chặng nào dẫn đến {one.code}: xem lại cấp, khu và đơn vị cấp trên.")
    whom = ", ".join(sorted({issuer for issuer, _way in leading}))
    raise ActRefused(
        f"{whom} không chuyển tiếp trong đợt này; thêm --direct để gửi {one.code} văn bản của cơ quan chủ trì."
    )


async def _direct(ledger: Ledger, campaign: Campaign, one: Organisation) -> list[tuple[Hop, Way]]:
    """The authority's own hop, past whoever stands between."""
    speaks_for = cascade_of(campaign).speaks_for
    hop = await ledger.first(select(Hop).where(Hop.campaign_id == campaign.id, Hop.issuer == speaks_for))
    if hop is None:
        raise ActRefused(f"{speaks_for} không có văn bản riêng trong đợt này.")
    return [(hop, Way(one.code, one.level, next(iter(one.parks), "")))]


async def _insert(
    house: House, ledger: Ledger, campaign: Campaign, hop: Hop, way: Way, one: Organisation, now: datetime, by: str
) -> Delivery:
    policy = policy_of(campaign, hop, one.level)
    # Nobody stands below who joins now, so nothing can be passed on.
    settles = Settles.ACKNOWLEDGE if policy.settles is Settles.FORWARD else policy.settles
    row = launches.recipient_row(campaign.code, campaign.id, one, house.new_id(now), now)
    await ledger.add(
        Delivery, **row, hop_id=hop.id, park=way.park, settles=settles.value, state=State.QUEUED
    )
    delivery = await ledger.get(Delivery, row["id"])
    created = Entry(Fact.CREATED, {"state": State.QUEUED.value, "settles": settles.value})
    await ledger.write(delivery, now, [created, Entry(Fact.JOINED, {"issuer": hop.issuer}, actor=by)])
    return delivery


async def _send(
    house: House, ledger: Ledger, campaign: Campaign, hop: Hop, delivery: Delivery, now: datetime
) -> None:
    """The letter of a hop that has opened, to one more recipient; a hop that had settled is open again."""
    assert hop.opened_at is not None, "the caller looked"
    assert hop.due_at is not None, "an open hop has a deadline"
    deadline = policy_of(campaign, hop, delivery.level).deadline
    said = await said_due(house, ledger, campaign, hop, delivery.level)
    due_at = personal_due_at(deadline, said, hop.opened_at, now, house.calendars)
    entries: Sequence[Entry] = [Entry(Fact.OPENED, {"by": hop.issuer, "due_at": due_at.isoformat()})]
    values: dict[str, Any] = {"due_at": due_at, "wake_at": now}
    if delivery.address is None:
        entries = [*entries, Entry(Event.REFUSED, {"why": "không có hộp thư"})]
        values |= {"state": advance(State.QUEUED, Event.REFUSED), "wake_at": None}
    await ledger.write(delivery, now, entries, **values)
    if delivery.address is None:
        await escalations.open_case(house, ledger, delivery, "undeliverable", now)
    else:
        enclosed = await letters.enclosures(ledger, campaign, hop)
        leaves = house.calendars.state.sending_time(now, urgent=is_urgent(campaign), first_letter=True)
        await mails.queue(house, ledger, [opening.letter_mail(campaign, hop, delivery, leaves, enclosed, now)], now)
    await mails.wake_hop(ledger, hop.id, now)
