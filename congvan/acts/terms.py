"""Until when those below a hop have time to answer: by their own term, and by what the letters above them say."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from congvan.acts.frozen import above_of, policy_of, rule_of
from congvan.house import House
from congvan.rules.calendar import local
from congvan.rules.deadlines import due_at, moved_on, personal_due_at
from congvan.rules.protocol import Fact
from congvan.rules.records import Issue
from congvan.store.ledger import Ledger
from congvan.store.tables import Campaign, Delivery, EventRow, Hop, Letter


async def term_below(
    house: House, ledger: Ledger, campaign: Campaign, hop: Hop, level: str, now: datetime
) -> datetime:
    """The deadline of one level of a hop's recipients, for a letter that leaves now: its own term, or the one
    that the letter above printed for this level (else for the issuer) where that gives more time."""
    deadline = policy_of(campaign, hop, level).deadline
    above = await above_of(ledger, hop)
    if above is None or above.due_at is None or above.opened_at is None:
        return due_at(deadline, now, house.calendars)
    # A hop that only registers the letter above has no term of its own to keep to.
    if rule_of(campaign, above).issue is Issue.TAKEN_IN:
        return due_at(deadline, now, house.calendars)
    parent = await ledger.get(Delivery, hop.parent_delivery_id)
    said = await said_due(house, ledger, campaign, above, level, parent.level)
    return personal_due_at(deadline, said, above.opened_at, now, house.calendars)


async def said_due(
    house: House, ledger: Ledger, campaign: Campaign, hop: Hop, level: str, instead: str = ""
) -> datetime:
    """The term that a hop which has opened gives a level, `instead` where its letter names none for that one.

    More time for all, where it was given; else what is printed there, moved on as the hop's own date has been since, by
    a pause or another calendar.
    """
    assert hop.due_at is not None, "an open hop has a deadline"
    letter = await ledger.find(Letter, hop.letter_id) if hop.letter_id else None
    dues = (letter.sheet.get("dues") or {}) if letter is not None else {}
    if letter is None or len(set(dues.values())) < 2:
        return hop.due_at
    if await ledger.first(select(EventRow.seq).where(EventRow.stream == hop.id, EventRow.kind == str(Fact.EXTENDED))):
        return hop.due_at  # everybody has got that date, later than any that is printed
    level = level if level in dues else instead
    printed, latest = printed_due(letter, level), printed_due(letter)
    if hop.due_at <= latest:
        return printed
    deadline = policy_of(campaign, hop, level).deadline
    if deadline.hours:
        return printed + (hop.due_at - latest)
    days = house.calendars.state.count(local(latest).date(), local(hop.due_at).date())
    return min(moved_on(printed, days, house.calendars, deadline.calendar), hop.due_at)


def printed_due(letter: Letter, level: str = "") -> datetime:
    """The deadline that a letter prints for a level of its recipients, as an instant; else its latest."""
    return datetime.fromisoformat((letter.sheet.get("dues") or {}).get(level) or letter.sheet["due_at"])
