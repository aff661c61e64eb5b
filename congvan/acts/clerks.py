"""The clerk's desk: letters that await their issue, what was entered for them, and who says yes to it.

A file that differs from the approved draft waits for a person who has seen the differences; where the
settings ask for two, whatever was entered waits for a second account.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from congvan.acts import issuing, numbers, urging
from congvan.acts.frozen import rule_of
from congvan.acts.papers import file_name
from congvan.acts.signed_files import Issued
from congvan.errors import ActRefused, NotFound
from congvan.house import House
from congvan.rules.protocol import Fact
from congvan.rules.records import Issue
from congvan.rules.uploads import PDF
from congvan.store.ledger import Entry, Ledger
from congvan.store.office import Entered
from congvan.store.tables import Campaign, Hop, Letter, OrganisationRow

#: Stands for a person while a file is looked at: are there faults besides those that a person may accept?
_SOMEBODY = "?"


@dataclass(frozen=True)
class Paper:
    """A letter as the clerk sees it. entered: what waits for a second person, or for somebody who has looked.

    recallable: an authority's, which can be taken back from those who got it.
    """

    letter: Letter
    campaign: str
    live: bool
    issuer: str
    awaits: str
    overdue: bool
    file: str
    entered: Entered | None
    recallable: bool


async def waiting(house: House) -> list[Paper]:
    """Every letter that awaits its issue, the one that is due first at the top."""
    now = await house.clock.now()
    async with house.store.view() as ledger:
        rows: list[Letter] = await ledger.all(
            select(Letter).where(Letter.state == "PENDING_ISSUE").order_by(Letter.awaits_until, Letter.id)
        )
        return await _papers(ledger, rows, now)


async def paper(house: House, letter_id: str) -> Paper:
    """One letter; raise NotFound."""
    now = await house.clock.now()
    async with house.store.view() as ledger:
        row = await ledger.find(Letter, letter_id)
        if row is None:
            raise NotFound(f"không có văn bản «{letter_id}»")
        return (await _papers(ledger, [row], now))[0]


async def _papers(ledger: Ledger, rows: Sequence[Letter], now: datetime) -> list[Paper]:
    campaigns = {
        one.id: one for one in await ledger.all(select(Campaign).where(Campaign.id.in_({r.campaign_id for r in rows})))
    }
    codes = {code for row in rows for code in (row.issuer, row.awaits) if code}
    names = dict(
        await ledger.rows(
            select(OrganisationRow.code, OrganisationRow.name).where(OrganisationRow.code.in_(codes))
        )
    )
    entered = {
        one.letter_id: one
        for one in await ledger.all(select(Entered).where(Entered.letter_id.in_([row.id for row in rows])))
    }
    hops = {
        one.id: one for one in await ledger.all(select(Hop).where(Hop.id.in_({row.hop_id for row in rows})))
    }
    signed = {key for key, hop in hops.items() if rule_of(campaigns[hop.campaign_id], hop).issue is Issue.SIGNED}
    return [
        Paper(
            row, campaigns[row.campaign_id].code, campaigns[row.campaign_id].mode == "live",
            names.get(row.issuer, row.issuer), names.get(row.awaits or "", row.awaits or ""),
            row.awaits_until is not None and row.awaits_until < now, file_name(row), entered.get(row.id),
            row.hop_id in signed and row.state == "ISSUED",
        )
        for row in rows
    ]  # fmt: skip


async def stored(house: House, letter_id: str, *, entered: bool = False) -> tuple[str, bytes]:
    """(name, bytes) of a letter's own PDF, or of the file that was entered for it; raise NotFound."""
    async with house.store.view() as ledger:
        row = await ledger.find(Letter, letter_id)
        waits = await ledger.find(Entered, letter_id) if entered else None
        key = waits.sha256 if waits else row.sha256 if row and not entered else None
        if row is None or key is None:
            raise NotFound("Văn bản này không có tệp đó.")
        return file_name(row), await ledger.file(key)


# ------------------------------------------------------------------------------------ issuing


async def allocate(house: House, letter_id: str, by: str) -> str:
    """Give a waiting letter the next number of its series, in a live campaign of the reserved block: số và ký hiệu.

    It is then signed and issued under that number. Raise ActRefused where no number is reserved, and for a letter that
    was overtaken and is not to be issued any more.
    """
    if not by.strip():
        raise ActRefused("cấp số phải có họ tên văn thư")
    now = await house.clock.now()
    async with house.store.act() as ledger:
        letter = await ledger.get(Letter, letter_id)
        # In whose log it will stand: locked before the letter, as everywhere.
        await (ledger.take(Hop, letter.hop_id) if letter.hop_id else ledger.take(Campaign, letter.campaign_id))
        letter = await ledger.take(Letter, letter_id)
        campaign = await ledger.get(Campaign, letter.campaign_id)
        if letter.state != "PENDING_ISSUE":
            raise ActRefused("chỉ văn bản đang chờ ban hành mới được cấp số")
        if why := await urging.overtaken(ledger, letter, now):
            raise ActRefused(why)
        before = await numbers.own_of(ledger, letter_id)
        series = numbers.series_of(letter, numbers.year_of(now, campaign.mode))
        number = await numbers.next_number(ledger, series, letter_id, now, from_block=campaign.mode == "live")
        code = series.code(number)
        if before is None or (before.year, before.number) != (series.year, number):
            await _note(ledger, letter_id, now, by, {"numbered": code})
        return code


async def enter(house: House, letter_id: str, what: Issued) -> Letter | None:
    """Issue a letter, or keep what was entered for whoever has to say yes; None: it waits.

    1. What nobody may accept is refused at once, with every fault; raise BadInput or ActRefused.
    2. Differences from the draft wait for somebody who has seen them.
    3. Where two are needed, everything waits for the second.
    """
    # Who accepts differences is whoever is shown them, afterwards.
    what = replace(what, accept_differences_by="")
    seen = replace(what, accept_differences_by=_SOMEBODY)
    differences = list((await issuing.examine(house, letter_id, seen)).get("differences", []))
    if not differences and not house.settings.issue_needs_two:
        return await _issue(house, letter_id, what)
    now = await house.clock.now()
    async with house.store.act() as ledger:
        kept = await ledger.keep_file(what.signed, PDF) if what.signed is not None else None
        await ledger.put(
            Entered, {"letter_id": letter_id},
            number=what.number, day=what.day, sha256=kept, paper_scan=what.paper_scan, differences=differences,
            entered_by=what.by, entered_at=now,
        )  # fmt: skip
        await _note(ledger, letter_id, now, what.by, {"entered": what.number, "file": kept or ""})
    return None


def mark_of(row: Entered) -> str:
    """By which one knows that what was looked at is what is there: over all that was entered."""
    said = [row.number, row.day, row.sha256, row.paper_scan, row.differences, row.entered_by, row.entered_at]
    return hashlib.sha256(orjson.dumps(said)).hexdigest()[:16]


async def approve(house: House, letter_id: str, by: str, seen: str | None = None) -> Letter:
    """Say yes to what was entered: the differences are accepted and the letter is issued; raise as `issue`.

    seen: the mark of what whoever says yes has looked at; None: where it is not shown with one.
    """
    async with house.store.view() as ledger:
        row = await ledger.find(Entered, letter_id)
        if row is None:
            raise ActRefused("Chưa có gì được nhập cho văn bản này, hoặc đã có người xử lý.")
        if house.settings.issue_needs_two and _same(row.entered_by, by):
            raise ActRefused("Cần người thứ hai duyệt, khác người đã nhập.")
        if seen is not None and seen != mark_of(row):
            raise ActRefused("Nội dung đã được nhập lại sau khi trang này được mở; đề nghị xem lại rồi duyệt.")
        signed = await ledger.file(row.sha256) if row.sha256 else None
    names = row.entered_by if _same(row.entered_by, by) else f"{row.entered_by}, {by}"
    accepted = by if row.differences else ""
    letter = await _issue(
        house, letter_id, Issued(row.number, row.day, names, signed, row.paper_scan, accepted)
    )
    async with house.store.act() as ledger:
        await ledger.remove(Entered, Entered.letter_id == letter_id, Entered.entered_at == row.entered_at)
    return letter


def _same(one: str, other: str) -> bool:
    # On the command line names are typed.
    return " ".join(one.split()).casefold() == " ".join(other.split()).casefold()


async def send_back(house: House, letter_id: str, by: str, why: str) -> None:
    """Drop what was entered; the letter awaits its issue as before."""
    now = await house.clock.now()
    async with house.store.act() as ledger:
        if await ledger.remove(Entered, Entered.letter_id == letter_id) != 1:
            raise ActRefused("Chưa có gì được nhập cho văn bản này, hoặc đã có người xử lý.")
        await _note(ledger, letter_id, now, by, {"sent_back": True, "why": why})


async def _note(ledger: Ledger, letter_id: str, now: datetime, by: str, data: dict[str, Any]) -> None:
    letter = await ledger.get(Letter, letter_id)
    entry = Entry(Fact.NOTED, {"letter": letter_id, **data}, actor=by)
    if letter.hop_id:
        await ledger.write(await ledger.take(Hop, letter.hop_id), now, entry)
    else:
        await ledger.write(await ledger.take(Campaign, letter.campaign_id), now, entry)


async def _issue(house: House, letter_id: str, what: Issued) -> Letter:
    try:
        made = await issuing.issue(house, letter_id, what)
    except IntegrityError as error:
        raise ActRefused(f"số {what.number} đã có văn bản khác trong năm {what.day.year} mang") from error
    if made.issued_on != what.day:
        raise ActRefused("Có người vừa ban hành văn bản này.")
    return made
