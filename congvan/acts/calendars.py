"""The working calendar as it was applied last, and what another one does to open deadlines: one act, listed before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import select

from congvan.acts import mails
from congvan.acts.frozen import is_urgent, longest_term, plan_of, policy_of, rule_of
from congvan.almanac import CalendarFile, build
from congvan.errors import ActRefused
from congvan.house import House
from congvan.rules.calendar import Calendars, instant, local
from congvan.rules.protocol import Fact, State, reached, settled
from congvan.rules.records import Deadline, Issue, Settles
from congvan.store.ledger import Entry, Ledger
from congvan.store.tables import Campaign, Delivery, Hop, Letter

#: Where the calendar stands that open deadlines were reckoned with.
NOTE = "calendar"


@dataclass(frozen=True, slots=True)
class Moved:
    """One open deadline under another calendar. new: never before old; the same where the term would be shorter."""

    delivery_id: str
    code: str
    name: str
    old: datetime
    new: datetime
    provisional: bool

    @property
    def kept(self) -> bool:
        """True where the new calendar would have made it shorter: what was told never moves earlier."""
        return self.new == self.old


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an application of the calendar does, or would do."""

    changed: bool
    moved: tuple[Moved, ...] = ()
    told: int = 0


@dataclass(frozen=True, slots=True)
class _Running:
    """The campaigns that run, their hops, and by hop when the letter was drafted whose date it keeps to."""

    campaigns: Mapping[str, Campaign]
    hops: Mapping[str, Hop]
    dated: Mapping[str, datetime]


async def remember(ledger: Ledger, file: CalendarFile) -> None:
    """Keep the calendar that the first deadlines are reckoned with; a later one is applied by a person."""
    if await ledger.note(NOTE) is None:
        await ledger.set_note(NOTE, file.model_dump(mode="json", by_alias=True))


async def apply(house: House, file: CalendarFile, by: str, *, dry_run: bool = False) -> Outcome:
    """Reckon every open deadline anew with this calendar, in one transaction; raise ActRefused without a name.

    1. The working days that a term had under the old calendar are counted again under the new one.
    2. A deadline that was told never moves earlier.
    3. Each that moves has an event; whoever is concerned gets a note where the plan says so.
    dry_run: nothing is written.
    """
    if not by.strip():
        raise ActRefused("Cần họ tên người áp dụng lịch.")
    now = await house.clock.now()
    new = build(file)
    # A look keeps nobody from writing.
    async with (house.store.view() if dry_run else house.store.act()) as ledger:
        known = await ledger.note(NOTE)
        before = CalendarFile.model_validate(known) if known else file
        if before == file:
            if not dry_run:
                await remember(ledger, file)
            return Outcome(False)
        old = build(before)
        found, running = await _reckoned(ledger, old, new, file, now, lock=not dry_run)
        moved = tuple(sorted((one for _row, one in found), key=lambda one: one.code))
        if dry_run:
            return Outcome(True, moved)
        told = await _write(house, ledger, [pair for pair in found if not pair[1].kept], _why(before, file), now, by)
        await _move_hops(ledger, running, old, new, now)
        await ledger.set_note(NOTE, file.model_dump(mode="json", by_alias=True))
        return Outcome(True, moved, told)


async def _reckoned(
    ledger: Ledger, old: Calendars, new: Calendars, file: CalendarFile, now: datetime, *, lock: bool
) -> tuple[list[tuple[Delivery, Moved]], _Running]:
    running = select(Campaign.id).where(Campaign.state == "RUNNING")
    rows: list[Delivery] = await ledger.all(
        select(Delivery)
        .where(Delivery.campaign_id.in_(running), Delivery.due_at > now)
        .order_by(Delivery.id),
        lock=lock,
    )
    campaigns = {row.id: row for row in await ledger.all(select(Campaign).where(Campaign.id.in_(running)))}
    hops = {row.id: row for row in await ledger.all(select(Hop).where(Hop.campaign_id.in_(running)))}
    dated = await _dated(ledger, running, campaigns, hops)
    found = []
    for row in rows:
        if row.due_at is None or settled(State(row.state), Settles(row.settles)):
            continue
        hop, campaign = hops[row.hop_id], campaigns[row.campaign_id]
        deadline = policy_of(campaign, hop, row.level).deadline
        if deadline.hours or hop.opened_at is None:
            continue  # hỏa tốc runs on the clock
        due = reckoned_anew(row.due_at, hop.opened_at, deadline, old, new, dated.get(hop.id))
        if due != row.due_at:
            later = max(due, row.due_at)
            estimate = is_provisional(local(later).date(), file)
            found.append((row, Moved(row.id, row.code, row.name, row.due_at, later, estimate)))
    return found, _Running(campaigns, hops, dated)


async def _dated(
    ledger: Ledger, running: Any, campaigns: Mapping[str, Campaign], hops: Mapping[str, Hop]
) -> dict[str, datetime]:
    """By hop, when the letter was drafted whose date its recipients keep to: the highest one above it, but for a hop
    that only registers the letter above."""
    parents = select(Hop.id, Delivery.hop_id).join(Delivery, Delivery.id == Hop.parent_delivery_id)
    above = dict(await ledger.rows(parents.where(Hop.campaign_id.in_(running))))
    letters = select(Letter.id, Letter.created_at).where(Letter.campaign_id.in_(running))
    drafted = dict(await ledger.rows(letters))

    def top(hop: Hop) -> Hop:
        one = hops.get(above.get(hop.id, ""))
        if one is None or rule_of(campaigns[one.campaign_id], one).issue is Issue.TAKEN_IN:
            return hop
        return top(one)

    tops = {key: top(hop).letter_id for key, hop in hops.items()}
    return {key: drafted[letter] for key, letter in tops.items() if letter in drafted}


def reckoned_anew(
    due: datetime, start: datetime, deadline: Deadline, old: Calendars, new: Calendars, dated: datetime | None = None
) -> datetime:
    """The end of the same term under another calendar. start: when the hop opened. dated: when the letter was
    drafted whose date it keeps to, where that is another.

    1. The whole term, or the least time of who was reached late, is counted again where the old calendar gives it.
    2. Where the new one gives it, it stands: a process that had read the new file already has reckoned it.
    3. Any other number of working days since the start is counted again.
    4. A date that no term gives (an extension to a named day) stands, unless it is a day off now.
    """
    wall, first, name = local(due), local(start).date(), deadline.calendar
    usual = [(local(dated or start).date(), deadline.working_days), (first, deadline.minimum_working_days)]
    last = _again(wall.date(), usual, name, old, new)
    if last is None and any(new.term(begun, days, name) == wall.date() for begun, days in usual):
        return due
    last = last or next((new.term(first, days, name) for days in old.terms_to(wall.date(), first, name)), None)
    return instant(last or new.named(name).on_or_after(wall.date()), wall.time())


def _again(day: date, terms: Iterable[tuple[date, int]], name: str, old: Calendars, new: Calendars) -> date | None:
    """Where the first of these terms that ended on this day ends now; None where none of them did."""
    return next((new.term(begun, days, name) for begun, days in terms if old.term(begun, days, name) == day), None)


def _why(before: CalendarFile, file: CalendarFile) -> str:
    """The decisions that the new calendar brings, as the notes and the log name them."""
    known = {one.date for one in before.corrections}
    said = list(dict.fromkeys(one.decision for one in file.corrections if one.date not in known))
    return "; ".join(said) or "điều chỉnh lịch làm việc"


async def _write(
    house: House, ledger: Ledger, found: Sequence[tuple[Delivery, Moved]], why: str, now: datetime, by: str
) -> int:
    changes: list[tuple[Delivery, list[Entry], dict[str, Any]]] = []
    for row, one in found:
        said = {"from": one.old.isoformat(), "to": one.new.isoformat(), "why": "calendar", "decision": why}
        wake = {"wake_at": now} if row.wake_at is not None else {}
        changes.append((row, [Entry(Fact.MOVED, said, actor=by)], {"due_at": one.new} | wake))
    await ledger.write_many(changes, now)
    for hop_id in sorted({row.hop_id for row, _ in found}):
        await mails.wake_hop(ledger, hop_id, now)
    keys = {row.campaign_id for row, _ in found}
    campaigns = {row.id: row for row in await ledger.all(select(Campaign).where(Campaign.id.in_(keys)))}
    notices = list(_notices(found, campaigns, why, now))
    await mails.queue(house, ledger, notices, now)
    return len(notices)


async def _move_hops(ledger: Ledger, running: _Running, old: Calendars, new: Calendars, now: datetime) -> None:
    """The date for what leaves later is reckoned anew by itself: a recipient with more time has it for himself."""
    for hop in sorted(running.hops.values(), key=lambda one: one.id):
        if hop.opened_at is None or hop.due_at is None or hop.due_at <= now:
            continue
        deadline = longest_term(running.campaigns[hop.campaign_id], hop)
        if not deadline.hours:
            due = reckoned_anew(hop.due_at, hop.opened_at, deadline, old, new, running.dated.get(hop.id))
            await ledger.change(Hop, Hop.id == hop.id, Hop.due_at < due, due_at=due, board_seq=Hop.board_seq + 1)


def _notices(
    found: Sequence[tuple[Delivery, Moved]], campaigns: Mapping[str, Campaign], why: str, now: datetime
) -> Iterator[mails.Mail]:
    for row, one in found:
        campaign = campaigns[row.campaign_id]
        if row.address and reached(State(row.state)) and plan_of(campaign).changes.tell_of_calendar:
            yield mails.Mail(
                kind="extension", step=f"lich-{row.event_seq}", recipient=row.recipient, address=row.address,
                not_before=now, delivery_id=row.id, hop_id=row.hop_id, campaign_id=campaign.id,
                urgent=is_urgent(campaign), context={"old_due_at": one.old.isoformat(), "why": why},
            )  # fmt: skip


def is_provisional(day: date, file: CalendarFile) -> bool:
    """True for a day of a year whose swapped days have not been announced."""
    return day.year > file.official_until
