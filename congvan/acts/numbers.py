"""The register of numbers: allocated without a gap, reserved in blocks, voided with a reason, never reused.

NĐ 30/2020 Điều 15: a series begins with 01 on 1 January and ends on 31 December, in Vietnam. The clerk's
own register is the authority's; the engine allocates only in exercise and demo, or from a block that the
clerk has reserved for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from congvan.errors import ActRefused
from congvan.house import House
from congvan.letters import numbering
from congvan.rules.calendar import local
from congvan.store.ledger import Ledger
from congvan.store.tables import Letter, Number

#: More than an office of this size issues in a year is a slip of the pen.
LARGEST_BLOCK = 1000


@dataclass(frozen=True, slots=True)
class Series:
    """One run of numbers. notation: what stands after the slash, "VP-TH". year: below zero for
    illustrations, which take no number from the real register."""

    issuer: str
    notation: str
    year: int

    def code(self, number: int) -> str:
        """Số và ký hiệu: "05/VP-TH"."""
        return numbering.code(str(number), self.notation)


def year_of(day_or_instant: Any, mode: str) -> int:
    """The year in whose register a letter of a campaign of this mode stands."""
    year: int = local(day_or_instant).year if isinstance(day_or_instant, datetime) else day_or_instant.year
    return year if mode == "live" else -year


def series_of(letter: Letter, year: int) -> Series:
    """The series that a letter's number comes from: its notation, whatever its kind, so that no two
    letters of an issuer bear the same number and symbol."""
    pattern = str(letter.sheet.get("symbol", ""))
    notation = pattern.partition("/")[2] if "{number}" in pattern else pattern
    return Series(letter.issuer, notation.replace("{abbreviation}", str(letter.sheet.get("abbreviation", ""))), year)


# ------------------------------------------------------------------------------------ allocating


async def next_number(
    ledger: Ledger, series: Series, letter_id: str, now: datetime, *, from_block: bool = False
) -> int:
    """The next number of a series for a letter; the letter's own if it has one.

    from_block: only what the clerk has reserved; raise ActRefused where nothing is left, and for a letter that has a
    number of another year's real book. One of an illustration is voided.
    """
    await _lock(ledger, series)
    own = await own_of(ledger, letter_id)
    if own is not None and _series(own) == series:
        return own.number
    if own is not None:
        if series.year > 0:
            raise ActRefused(_of_another_book(own, series))
        await ledger.change(
            Number, *_in(_series(own)), Number.number == own.number,
            voided_why=f"văn bản không ban hành trong năm {abs(own.year)}",
        )  # fmt: skip
    reserved = await ledger.first(
        select(Number.number)
        .where(*_in(series), Number.letter_id.is_(None), Number.voided_why.is_(None))
        .order_by(Number.number)
    )
    if reserved is not None:
        await ledger.change(
            Number, *_in(series), Number.number == reserved, letter_id=letter_id, taken_at=now
        )
        return int(reserved)
    if from_block:
        raise ActRefused(
            f"không còn số nào được dành sẵn cho ký hiệu {series.notation} năm {abs(series.year)}: "
            "văn thư dành thêm dải số, hoặc cấp số trong sổ rồi nhập số khi ban hành"
        )
    last = await ledger.first(select(func.max(Number.number)).where(*_in(series)))
    number = int(last or 0) + 1
    await _take(ledger, series, number, letter_id, now)
    return number


async def claim(ledger: Ledger, series: Series, entered: str, letter_id: str, now: datetime) -> None:
    """Take down that a letter bears a number that a person entered; raise ActRefused where it cannot.

    A number of the clerk's own register that the engine knows nothing of is left alone, and so is one with a letter
    behind it ("125a"), which stands between two of a series; where the engine counts itself it has to know.
    """
    await _lock(ledger, series)
    row = await look_at(ledger, series, entered, letter_id)
    if not entered.isdigit():
        return
    number = int(entered)
    if row is None and series.year < 0:
        await _take(ledger, series, number, letter_id, now)
    elif row is not None and row.letter_id is None:
        await ledger.change(Number, *_in(series), Number.number == number, letter_id=letter_id, taken_at=now)


async def look_at(ledger: Ledger, series: Series, entered: str, letter_id: str) -> Number | None:
    """What the register has of a number that a person entered; raise ActRefused where his letter cannot have it."""
    number = int(entered) if entered.isdigit() else None
    own = await own_of(ledger, letter_id)
    if own is not None and _series(own) != series:
        raise ActRefused(_of_another_book(own, series))
    if own is not None and own.number != number:
        raise ActRefused(
            f"văn bản này đã được cấp số {series.code(own.number)}; ghi số ấy, hoặc hủy số ấy kèm lý do trước khi cấp "
            "số khác"
        )
    row: Number | None = await ledger.find(Number, _key(series, number)) if number is not None else None
    if row is not None and row.voided_why is not None:
        raise ActRefused(f"số {series.code(row.number)} đã hủy ({row.voided_why}); cấp số khác")
    if row is not None and row.letter_id not in (None, letter_id):
        raise ActRefused(f"số {series.code(row.number)} đã cấp cho văn bản khác; cấp số khác")
    return row


async def _take(ledger: Ledger, series: Series, number: int, letter_id: str, now: datetime) -> None:
    await ledger.add(
        Number, issuer=series.issuer, series=series.notation, year=series.year, number=number,
        letter_id=letter_id, taken_at=now,
    )  # fmt: skip


async def own_of(ledger: Ledger, letter_id: str) -> Number | None:
    """The number that was given to a letter and is still its own."""
    query = select(Number).where(Number.letter_id == letter_id, Number.voided_why.is_(None))
    found: Number | None = await ledger.first(query)
    return found


def _series(number: Number) -> Series:
    return Series(number.issuer, number.series, number.year)


def _of_another_book(own: Number, series: Series) -> str:
    code = _series(own).code(own.number)
    return (
        f"văn bản này đã được cấp số {code} của năm {abs(own.year)}; mỗi năm một sổ (Điều 15): hủy số ấy kèm lý do, "
        f"rồi cấp số của năm {abs(series.year)}"
    )


async def void_of_dropped(ledger: Ledger, letter: Letter) -> None:
    """The number of a letter that will not be issued: it may stand on paper by now, so nobody else gets it."""
    why = f"văn bản không ban hành: {letter.subject}" if letter.subject else "văn bản không ban hành"
    await ledger.change(Number, Number.letter_id == letter.id, Number.voided_why.is_(None), voided_why=why)


async def _lock(ledger: Ledger, series: Series) -> None:
    # Two clerks at once: the second waits for the first (SQLite's acts do so anyway).
    if not ledger.is_sqlite:
        key = func.hashtext(f"number:{series.issuer}:{series.notation}:{series.year}")
        await ledger.session.execute(select(func.pg_advisory_xact_lock(key)))


def _in(series: Series) -> tuple[Any, ...]:
    return (Number.issuer == series.issuer, Number.series == series.notation, Number.year == series.year)


def _key(series: Series, number: int) -> tuple[str, str, int, int]:
    return (series.issuer, series.notation, series.year, number)


# ------------------------------------------------------------------------------------ the clerk's acts


async def reserve(house: House, series: Series, first: int, last: int, by: str) -> None:
    """Set numbers of the clerk's register aside for the engine; raise ActRefused where one is taken.

    The same block again changes nothing.
    """
    if not by.strip():
        raise ActRefused("dành số phải có họ tên văn thư")
    if not (1 <= first <= last and last - first < LARGEST_BLOCK):
        raise ActRefused(f"dải số {first}–{last} không dùng được: ghi số đầu, số cuối, không quá {LARGEST_BLOCK} số")
    now = await house.clock.now()
    async with house.store.act() as ledger:
        await _lock(ledger, series)
        name = f"block:{series.issuer}:{series.notation}:{series.year}:{first}-{last}"
        if await ledger.note(name) is not None:
            return
        await _refuse_taken(ledger, series, first, last)
        await ledger.set_note(name, {"by": by, "at": now.isoformat()})
        rows = [
            {
                "issuer": series.issuer, "series": series.notation, "year": series.year, "number": number,
                "letter_id": None, "taken_at": now, "voided_why": None,
            }
            for number in range(first, last + 1)
        ]  # fmt: skip
        await ledger.add_all(Number, rows)


async def _refuse_taken(ledger: Ledger, series: Series, first: int, last: int) -> None:
    taken = await ledger.all(select(Number.number).where(*_in(series), Number.number.between(first, last)))
    symbols = {series.code(number): number for number in range(first, last + 1)}
    borne = await ledger.all(
        select(Letter.symbol).where(
            Letter.issuer == series.issuer, Letter.year == series.year, Letter.number.between(first, last)
        )
    )
    found = sorted({*taken, *(symbols[one] for one in borne if one in symbols)})
    if found:
        raise ActRefused(f"số {series.code(found[0])} đã dùng hoặc đã dành; chọn dải số khác")


async def void(house: House, series: Series, number: int, why: str, by: str) -> None:
    """Take a number out of use; it stays in the register with its reason and is never given again.

    Raise ActRefused without a reason, and for the number of a letter that was issued.
    """
    if not why.strip() or not by.strip():
        raise ActRefused("hủy số phải có lý do và họ tên người hủy")
    now = await house.clock.now()
    async with house.store.act() as ledger:
        await _lock(ledger, series)
        row = await ledger.find(Number, _key(series, number))
        if row is None:
            raise ActRefused(f"số {series.code(number)} không có trong sổ số do hệ thống cấp")
        if row.voided_why is not None:
            return
        letter = await ledger.find(Letter, row.letter_id) if row.letter_id else None
        if letter is not None and letter.issued_at is not None:
            raise ActRefused(f"số {series.code(number)} đã ban hành; thu hồi hoặc thay thế văn bản, không hủy số")
        said = f"{why.strip()} ({by.strip()}, {numbering.short_day(local(now).date())})"
        await ledger.change(Number, *_in(series), Number.number == number, voided_why=said)


async def register(house: House, issuer: str, year: int) -> list[dict[str, Any]]:
    """The numbers of an issuer in a year: each with its symbol, what became of it, and why it was voided."""
    async with house.store.view() as ledger:
        rows = await ledger.rows(
            select(Number, Letter.issued_at, Letter.subject)
            .outerjoin(Letter, Letter.id == Number.letter_id)
            .where(Number.issuer == issuer, Number.year == year)
            .order_by(Number.series, Number.number)
        )
    return [
        {
            "code": Series(issuer, row.Number.series, year).code(row.Number.number), "letter": row.Number.letter_id,
            "state": _standing(row.Number, row.issued_at), "subject": row.subject or "",
            "why": row.Number.voided_why or "", "at": row.Number.taken_at.isoformat(),
        }
        for row in rows
    ]  # fmt: skip


def _standing(number: Number, issued_at: datetime | None) -> str:
    if number.voided_why is not None:
        return "VOIDED"
    if number.letter_id is None:
        return "RESERVED"
    return "ALLOCATED" if issued_at is None else "ISSUED"
