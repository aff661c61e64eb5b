"""Letters of a campaign that belong to no hop: handed to the clerk, chased, and told apart by what they are about."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Select, bindparam, or_, select

from congvan.acts import mails, numbers, played, registry
from congvan.acts.drafting import Draft, as_json
from congvan.acts.frozen import cascade_of, is_urgent
from congvan.house import House
from congvan.letters.numbering import short_day
from congvan.letters.press import Rendered
from congvan.rules.calendar import instant, local
from congvan.rules.labels import letter_kind, letter_name
from congvan.rules.protocol import Fact
from congvan.rules.records import Cascade, Organisation
from congvan.rules.uploads import PDF
from congvan.store.ledger import Entry, Ledger
from congvan.store.tables import Campaign, Hop, Letter, Message, OrganisationRow

#: Kinds of letters that are about another one, and do not take its place.
NO_REPLACEMENT = ("report", "correction", "urge")


def replaces(letter: Letter) -> bool:
    """Whether a letter is to take the place of the one that it is about, or has."""
    return letter.about is not None and letter.kind not in NO_REPLACEMENT


def file_name(letter: Letter) -> str:
    """A name that a clerk files it under: number and symbol, "05_BQL.pdf", else kind and issuer."""
    stem = letter.symbol.replace("/", "_") if letter.symbol else f"{letter.kind}-{letter.issuer}"
    return f"{stem}.pdf"


def cited_of(letter: Letter) -> dict[str, Any]:
    """How a later letter cites this one."""
    number, _, symbol = letter.symbol.partition("/")
    return {
        "kind": letter_name(letter.kind), "number": number, "symbol": symbol, "issuer": letter.sheet["issuer"],
        "date": letter.issued_on.isoformat() if letter.issued_on else "", "subject": letter.subject,
    }  # fmt: skip


def enclosure(letter: Letter) -> dict[str, str]:
    """A letter as a file of a mail."""
    return {"name": file_name(letter), "sha256": letter.sha256 or "", "media_type": PDF}


def issue_until(house: House, campaign: Campaign, now: datetime) -> datetime:
    """Until when a letter has to be issued: the end of the next working day; urgent ones within the hour."""
    if is_urgent(campaign):
        return now
    state = house.calendars.state
    return instant(state.add(local(now).date(), 1), state.closes)


def asked_again(house: House, campaign: Campaign, now: datetime) -> datetime:
    """Until when it is asked for next, after a reminder."""
    if not is_urgent(campaign):
        return issue_until(house, campaign, now)
    return instant(house.calendars.state.add(local(now).date(), 1), house.calendars.state.opens)


async def speaker_level(ledger: Ledger, cascade: Cascade) -> str:
    """The level of the organisation that the engine speaks for."""
    return (await ledger.get(OrganisationRow, cascade.speaks_for)).level


async def clerks(ledger: Ledger, cascade: Cascade) -> list[str]:
    """Who has the authority's letters in hand, in order; the drafting unit last."""
    rule = cascade.rule_of(await speaker_level(ledger, cascade))
    people = rule.issue_by if rule else ()
    return list(dict.fromkeys([*people, cascade.drafting_unit or cascade.speaks_for]))


async def symbol_of(ledger: Ledger, cascade: Cascade) -> str:
    """Số, ký hiệu of the authority's công văn."""
    rule = cascade.rule_of(await speaker_level(ledger, cascade))
    return rule.symbol if rule else ""


async def submit(
    house: House, ledger: Ledger, campaign: Campaign, made: Draft, rendered: Rendered, now: datetime, *,
    about: str | None, tell: bool = False,
) -> str:  # fmt: skip
    """Write a drafted letter down and hand it to the clerk; return its id. It leaves when he has issued it.

    tell: he is told of it by mail at once, where no digest encloses it.
    """
    letter_id = house.new_id(now)
    person = (await clerks(ledger, cascade_of(campaign)))[0]
    await ledger.add(
        Letter,
        id=letter_id, campaign_id=campaign.id, hop_id=None, kind=made.sheet.template, about=about,
        issuer=cascade_of(campaign).speaks_for, state="PENDING_ISSUE", symbol="", subject=rendered.subject,
        sheet=as_json(made), html=rendered.page, sha256=await ledger.keep_file(rendered.pdf, PDF), created_at=now,
        awaits=person, awaits_until=issue_until(house, campaign, now),
    )  # fmt: skip
    if tell:
        await _tell_clerk(house, ledger, campaign, await ledger.get(Letter, letter_id), now)
    if campaign.mode == "demo" and made.sheet.template != "report":
        at = played.office_time(house, now, 3)
        await played.play(house, ledger, f"clerk {letter_id[-8:]}", "issue", at, {"letter": letter_id}, campaign.id)
    return letter_id


async def pending(ledger: Ledger, campaign_id: str, kind: str) -> Letter | None:
    """The letter of a kind, of no hop, that awaits its issue; there is at most one."""
    asked = {"campaign": campaign_id, "kind": kind}
    found: Letter | None = (await ledger.session.scalars(_awaiting(), asked)).first()
    return found


@cache
def _awaiting() -> Select[tuple[Letter]]:
    whose = Letter.campaign_id == bindparam("campaign"), Letter.kind == bindparam("kind"), Letter.hop_id.is_(None)
    return select(Letter).where(*whose, Letter.state == "PENDING_ISSUE").limit(1)


async def replacements(ledger: Ledger, campaign_id: str) -> list[Letter]:
    """Letters that are to take the place of issued ones, and await their issue."""
    found: list[Letter] = await ledger.all(
        select(Letter).where(
            Letter.campaign_id == campaign_id, Letter.hop_id.is_(None), Letter.about.is_not(None),
            Letter.state == "PENDING_ISSUE", Letter.kind.not_in(NO_REPLACEMENT),
        )
    )  # fmt: skip
    return found


async def of_hops(ledger: Ledger, campaign_id: str) -> list[Letter]:
    """An authority's letters whose hops wait for their issue."""
    found: list[Letter] = await ledger.all(
        select(Letter).where(
            Letter.campaign_id == campaign_id, Letter.hop_id.is_not(None), Letter.state == "PENDING_ISSUE"
        )
    )  # fmt: skip
    return found


# ------------------------------------------------------------------------------------ chased


def _waiting() -> Any:
    held = select(Campaign.id).where(Campaign.held_at.is_not(None))
    return (Letter.state == "PENDING_ISSUE") & Letter.hop_id.is_(None) & Letter.campaign_id.not_in(held)


async def next_chase_at(ledger: Ledger) -> datetime | None:
    """When somebody is to be reminded of a letter of no hop that awaits its issue, or a last date has passed."""
    found: datetime | None = await ledger.session.scalar(_next_chase(), {})
    return found


@cache
def _next_chase() -> Select[tuple[datetime | None]]:
    """Built once: asked at every look of the relay."""
    return select(Letter.awaits_until).where(_waiting() | last_dates()).order_by(Letter.awaits_until).limit(1)


def last_dates() -> Any:
    """Issued công văn đôn đốc whose last date is still to be looked at."""
    return urges("ISSUED") & Letter.awaits_until.is_not(None)


def urges(state: str) -> Any:
    """Công văn đôn đốc in this state, of campaigns that run."""
    running = select(Campaign.id).where(Campaign.held_at.is_(None), Campaign.state == "RUNNING")
    return (Letter.kind == "urge") & (Letter.state == state) & Letter.campaign_id.in_(running)


async def chase(house: House) -> int:
    """Remind whoever has a report, a công văn đôn đốc… in hand that should have been issued; how many letters."""
    now = await house.clock.now()
    async with house.store.act() as ledger:
        late = _waiting(), Letter.awaits_until <= now
        keys = sorted(set(await ledger.all(select(Letter.campaign_id).where(*late))))
        campaigns = {key: await ledger.take(Campaign, key) for key in keys}
        rows: list[Letter] = await ledger.all(
            select(Letter).where(*late, Letter.campaign_id.in_(keys)).order_by(Letter.id), lock=True
        )
        for row in rows:
            campaign = campaigns[row.campaign_id]
            again = asked_again(house, campaign, now)
            people = list(dict.fromkeys([row.awaits or "", *await clerks(ledger, cascade_of(campaign))]))
            office, box = await next_in_hand(ledger, people, row.chased, now)
            said = {"letter": row.id, "whom": office.code, "round": row.chased + 1}
            await ledger.change(Letter, Letter.id == row.id, awaits_until=again, chased=row.chased + 1)
            await ledger.write(campaign, now, Entry(Fact.ISSUE_CHASED, said))
            if box:
                await mails.queue(house, ledger, [wanted(row, campaign, office, box, again, now)], now)
        return len(rows)


async def next_in_hand(ledger: Ledger, people: Sequence[str], chased: int, now: datetime) -> tuple[Organisation, str]:
    """Whom to remind after so many reminders, and the mailbox ("" for none).

    Each of these in turn; from then on the head of the first one's office (Chánh Văn phòng), whose mailbox is the last
    of that office.
    """
    office = await registry.organisation(ledger, people[chased] if chased < len(people) else people[0])
    boxes = registry.mailboxes(office, local(now).date())
    if not boxes:
        return office, ""
    return office, boxes[0] if chased < len(people) else boxes[-1]


async def _tell_clerk(house: House, ledger: Ledger, campaign: Campaign, row: Letter, now: datetime) -> None:
    office, box = await next_in_hand(ledger, [row.awaits or ""], 0, now)
    if box:
        # Of an urgent one the time is up at once: without this it would be asked for twice in the same moment.
        again = asked_again(house, campaign, now)
        await mails.queue(house, ledger, [wanted(row, campaign, office, box, again, now)], now)
        await ledger.change(Letter, Letter.id == row.id, chased=1, awaits_until=again)


def wanted(
    row: Letter, campaign: Campaign, office: Organisation, box: str, again: datetime, now: datetime,
    recipients: int | None = None,
) -> mails.Mail:  # fmt: skip
    """The mail that asks for a letter's issue until then. recipients: how many wait for it; None: as its sheet says."""
    if recipients is None:
        recipients = row.sheet.get("context", {}).get("recipients", 1)
    context = {
        "subject": row.subject, "name": office.name, "since": short_day(local(row.created_at).date()),
        "until": short_day(local(again).date()), "recipients": recipients, "step": row.chased + 1,
        "title": letter_kind(row.kind), "letter": row.id,
    }  # fmt: skip
    return mails.Mail(
        kind="issue_wanted", step=f"{row.id}-{row.chased + 1}", recipient=office.code, address=box, not_before=now,
        hop_id=row.hop_id, campaign_id=campaign.id, urgent=is_urgent(campaign), context=context,
    )  # fmt: skip


async def chase_no_more(ledger: Ledger, letter_id: str) -> None:
    """It was issued or dropped: a reminder that waits for office hours would ask for what has been done."""
    await ledger.change(
        Message, Message.kind == "issue_wanted", Message.step.like(f"{letter_id}-%"),
        or_(Message.state == "QUEUED", Message.state == "UNKNOWN"), state="CANCELLED",
    )  # fmt: skip


async def drop(ledger: Ledger, letters: Sequence[Letter]) -> None:
    """Letters that are not wanted any more before they were issued."""
    for row in letters:
        guard = Letter.id == row.id, Letter.state == "PENDING_ISSUE"
        if await ledger.change(Letter, *guard, state="CANCELLED", awaits=None, awaits_until=None):
            await numbers.void_of_dropped(ledger, row)
        await chase_no_more(ledger, row.id)


async def drop_of_hop(ledger: Ledger, hop: Hop, now: datetime) -> None:
    """An authority's letter that awaits its issue, where its hop will not open by it: issued, it would use up a number
    and reach nobody. The hop is locked."""
    letter = await ledger.take(Letter, hop.letter_id) if hop.letter_id is not None else None
    if letter is not None and letter.state == "PENDING_ISSUE":
        await drop(ledger, [letter])
        await ledger.write(hop, now, Entry(Fact.NOTED, {"dropped": letter.id}), state="WAITING", letter_id=None)
