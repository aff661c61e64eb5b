"""From a draft to a document: the signed file is checked, numbered and kept as it is; then its hop wakes.

An authority's letter of a live campaign leaves only as the file that was signed, byte for byte. The
engine never draws a seal or a signature.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import select

from congvan.acts import consequences, mails, numbers, papers, renewing, signed_files, urging, validity
from congvan.acts.drafting import Draft, as_json, draft, insert, reread
from congvan.acts.signed_files import Issued
from congvan.errors import ActRefused
from congvan.house import House
from congvan.letters.numbering import short_day
from congvan.letters.press import Rendered
from congvan.letters.sheet import Sheet
from congvan.rules.calendar import local
from congvan.rules.protocol import Fact
from congvan.rules.uploads import PDF
from congvan.store.ledger import Entry, Ledger
from congvan.store.tables import Campaign, Hop, Letter


async def issue(house: House, letter_id: str, entered: Issued) -> Letter:
    """Make a waiting letter a document and wake its hop; raise ActRefused or BadInput where it cannot be one.

    1. A letter that was issued stays as it is and is returned.
    2. The signed file is held against the approved draft; every difference is a fault until it is accepted.
    3. The date lies within the validity of signer and units; the number is free.
    4. The file is kept byte for byte; the date that the draft printed is the deadline.
    """
    letter, campaign = await _of(house, letter_id)
    if letter.state == "ISSUED":
        return letter
    await _refuse(house, letter, campaign, entered)
    return await _issue(house, letter, campaign, entered)


async def examine(house: House, letter_id: str, entered: Issued) -> dict[str, Any]:
    """What `issue` would find, and nothing is issued: the evidence with accepted differences; raise as `issue`."""
    letter, campaign = await _of(house, letter_id)
    await _refuse(house, letter, campaign, entered)
    made, rendered = await _numbered(house, letter, entered)
    evidence = await signed_files.checked(made, rendered, entered)
    async with house.store.view() as ledger:
        await validity.refuse_outside(ledger, campaign, letter.issuer, made.sheet.signer, entered.day)
        if entered.number:
            year = numbers.year_of(entered.day, campaign.mode)
            await numbers.look_at(ledger, numbers.series_of(letter, year), entered.number, letter.id)
            await _refuse_taken(ledger, letter, made.sheet.code, year)
    return evidence


async def _of(house: House, letter_id: str) -> tuple[Letter, Campaign]:
    async with house.store.view() as ledger:
        letter = await ledger.get(Letter, letter_id)
        return letter, await ledger.get(Campaign, letter.campaign_id)


async def _refuse(house: House, letter: Letter, campaign: Campaign, entered: Issued) -> None:
    _refuse_over(letter, campaign)
    async with house.store.view() as ledger:
        if why := await urging.overtaken(ledger, letter, await house.clock.now()):
            raise ActRefused(why)
    if entered.signed is not None and (why := await renewing.renew(house, letter.id)):
        raise ActRefused(why)
    if campaign.mode == "live" and entered.signed is None:
        raise ActRefused("Văn bản của cơ quan chỉ được ban hành bằng tệp PDF đã ký (--signed).")
    await _refuse_day(house, entered.day)


def _refuse_over(letter: Letter, campaign: Campaign) -> None:
    if letter.state != "PENDING_ISSUE":
        raise ActRefused("Văn bản này không ở tình trạng chờ ban hành.")
    # Its hop would never open; a report, and what else may follow the closing, belongs to no hop.
    if campaign.state == "CLOSED" and letter.hop_id is not None:
        raise ActRefused("Đợt triển khai đã kết thúc, văn bản này không được gửi đi nữa.")


async def play_issue(house: House, letter_id: str, by: str) -> Letter:
    """Exercise and demo: the engine numbers and issues a letter itself, marked "BẢN MINH HỌA"."""
    now = await house.clock.now()
    async with house.store.act() as ledger:
        letter = await ledger.take(Letter, letter_id)
        campaign = await ledger.get(Campaign, letter.campaign_id)
        if campaign.mode == "live":
            raise ActRefused("Hệ thống không tự ban hành văn bản của đợt thật.")
        if letter.state != "PENDING_ISSUE" or await urging.overtaken(ledger, letter, now):
            return letter
        series = numbers.series_of(letter, numbers.year_of(now, campaign.mode))
        number = await numbers.next_number(ledger, series, letter_id, now)
    return await _issue(house, letter, campaign, Issued(str(number), local(now).date(), by))


async def to_sign(house: House, letter_id: str, number: str = "", day: date | None = None) -> Rendered:
    """The approved draft, with its number and date filled in where they are known: what is put before the signer."""
    return house.press.render(await sheet_to_sign(house, letter_id, number, day))


async def sheet_to_sign(house: House, letter_id: str, number: str = "", day: date | None = None) -> Sheet:
    """The same as a sheet, for other renditions; raise ActRefused for a day outside its signer or units.

    Without a day it is put before whoever may sign today.
    """
    async with house.store.view() as ledger:
        letter = await ledger.get(Letter, letter_id)
        campaign = await ledger.get(Campaign, letter.campaign_id)
        sheet = reread(letter).sheet
        if letter.state == "PENDING_ISSUE":
            on = day or local(await house.clock.now()).date()
            signer = await validity.with_signer(ledger, letter.issuer, sheet.signer, on)
            sheet = sheet.model_copy(update={"signer": signer})
        if day is not None:
            await validity.refuse_outside(ledger, campaign, letter.issuer, sheet.signer, day)
    return sheet.model_copy(update={"number": number, "issued_on": day})


async def _refuse_day(house: House, day: date) -> None:
    today = local(await house.clock.now()).date()
    if day > today:
        raise ActRefused(f"ngày {short_day(day)} còn ở phía trước; ghi ngày ban hành, không sau {short_day(today)}")


async def _numbered(house: House, letter: Letter, entered: Issued) -> tuple[Draft, Rendered]:
    """The approved draft with the number and the date that were entered, and with whoever may sign on that date."""
    made = reread(letter)
    if letter.hop_id and entered.signed is None:
        made = await draft(house, letter.hop_id, number=entered.number, day=entered.day)
    async with house.store.view() as ledger:
        signer = await validity.with_signer(ledger, letter.issuer, made.sheet.signer, entered.day)
    sheet = made.sheet.model_copy(update={"number": entered.number, "issued_on": entered.day, "signer": signer})
    made = Draft(sheet, made.due_at, made.dues)
    return made, house.press.render(made.sheet)


async def _issue(house: House, letter: Letter, campaign: Campaign, entered: Issued) -> Letter:
    made, rendered = await _numbered(house, letter, entered)
    evidence = await signed_files.checked(made, rendered, entered)
    now = await house.clock.now()
    async with house.store.act() as ledger:
        hop = await ledger.take(Hop, letter.hop_id) if letter.hop_id else None
        if hop is None:
            await consequences.lock(ledger, letter)
        row = await ledger.take(Letter, letter.id)
        if row.state == "ISSUED":
            return row
        # The file took its time to be read, and somebody may have closed the campaign meanwhile.
        campaign = await ledger.get(Campaign, row.campaign_id)
        _refuse_over(row, campaign)
        if row.sheet != letter.sheet:
            raise ActRefused("Dự thảo của văn bản này vừa được sửa; xem lại dự thảo mới rồi ban hành.")
        await validity.refuse_outside(ledger, campaign, row.issuer, made.sheet.signer, entered.day)
        year = numbers.year_of(entered.day, campaign.mode)
        if entered.number:
            await numbers.claim(ledger, numbers.series_of(row, year), entered.number, row.id, now)
        await _become(ledger, row, made, rendered, entered, year, now)
        data = {"letter": row.id, "code": made.sheet.code, "sha256": row.sha256 or "", **evidence}
        if hop is not None:
            await ledger.write(hop, now, Entry(Fact.LETTER_ISSUED, data, actor=entered.by))
            await papers.chase_no_more(ledger, row.id)
            await mails.wake_hop(ledger, hop.id, now)
        else:
            await consequences.issued(house, ledger, campaign, row, data, now, entered.by)
    await consequences.afterwards(house, row)
    return row


def _digits(number: str) -> int | None:
    digits = "".join(letter for letter in number if letter.isdigit())
    return int(digits) if digits else None


async def _become(
    ledger: Ledger, row: Letter, made: Draft, rendered: Rendered, entered: Issued, year: int, now: datetime
) -> None:
    pdf = entered.signed if entered.signed is not None else rendered.pdf
    digits = _digits(entered.number)
    symbol = made.sheet.code if entered.number else ""
    await _refuse_taken(ledger, row, symbol, year)
    values = {
        "state": "ISSUED", "number": digits, "symbol": symbol, "year": year if digits is not None else None,
        "issued_on": entered.day, "sha256": await ledger.keep_file(pdf, PDF), "html": rendered.page,
        "subject": rendered.subject, "sheet": as_json(made) | {"printed": _printed(rendered)},
        "issued_at": now, "issued_by": entered.by,
        "awaits": None, "awaits_until": None,
    }  # fmt: skip
    changed = await ledger.change(Letter, Letter.id == row.id, Letter.state != "ISSUED", **values)
    if changed != 1:
        raise ActRefused("Có người vừa ban hành văn bản này.")
    for name, value in values.items():
        setattr(row, name, value)
    ledger.session.expunge(row)


def _printed(rendered: Rendered) -> dict[str, list[str]]:
    """The addressees and copies as they were printed, for the register: where the sheet names nobody the template's
    head does, and that may be another one in a year."""
    return {name: list(rendered.frame.get(name, ())) for name in ("addressees", "distribution")}


async def _refuse_taken(ledger: Ledger, row: Letter, symbol: str, year: int) -> None:
    query = select(Letter.subject).where(
        Letter.issuer == row.issuer, Letter.year == year, Letter.symbol == symbol, Letter.id != row.id
    )
    if symbol and (subject := await ledger.first(query)) is not None:
        raise ActRefused(f"số {symbol} năm {abs(year)} đã có văn bản khác mang («{subject}»)")


# ------------------------------------------------------------------------------------ a company's letter


async def company_letter(house: House, hop_id: str, number: str, by: str) -> tuple[Draft, Rendered]:
    """A company's letter as it leaves today under its own number, or none."""
    now = await house.clock.now()
    made = await draft(house, hop_id, number=number, day=local(now).date())
    if not number:
        made = Draft(made.sheet.model_copy(update={"symbol": ""}), made.due_at, made.dues)
    return made, house.press.render(made.sheet)


async def issue_company(
    house: House,
    ledger: Ledger,
    hop: Hop,
    made: Draft,
    rendered: Rendered,
    entered: Issued,
    now: datetime,
) -> None:
    """Issue it, in the transaction in which the company passes it on.

    NĐ 30 does not bind a company: its own file is kept as it is. The caller has looked whether it is marked as a
    secret (`signed_files.refuse_secret_file`), before the transaction.
    """
    if hop.letter_id is None:
        await insert(house, ledger, hop, made, rendered, now, "DRAFT")
    letter = await ledger.take(Letter, hop.letter_id)
    if letter.state != "ISSUED":
        campaign = await ledger.get(Campaign, hop.campaign_id)
        await _become(ledger, letter, made, rendered, entered, numbers.year_of(entered.day, campaign.mode), now)
