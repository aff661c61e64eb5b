"""The registers of an office (NĐ 30/2020 Phụ lục IV): documents out, documents in, how each is being answered.

What was entered stays: voided numbers and replaced letters stand in the register with their reason.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import func, select

from congvan.acts import registry, results
from congvan.acts.drafting import reread
from congvan.acts.frozen import cascade_of, plan_of
from congvan.house import House
from congvan.letters import numbering
from congvan.reading import read_cascade
from congvan.rules.calendar import local
from congvan.rules.labels import STILL_OPEN, letter_name
from congvan.rules.records import Directive
from congvan.store.ledger import Ledger
from congvan.store.tables import Campaign, Delivery, Hop, Letter, Message, Number

#: Column headings and their shares of the width, in the order of the decree's forms.
OUTGOING = (
    ("Số, ký hiệu văn bản", 10), ("Ngày tháng văn bản", 9), ("Tên loại và trích yếu nội dung", 23), ("Người ký", 11),
    ("Nơi nhận văn bản", 20), ("Đơn vị, người nhận bản lưu", 9), ("Số lượng bản", 6), ("Ngày chuyển", 9),
    ("Ký nhận", 7), ("Ghi chú", 10),
)  # fmt: skip
INCOMING = (
    ("Ngày đến", 9), ("Số đến", 6), ("Tác giả", 15), ("Số, ký hiệu văn bản", 11), ("Ngày tháng văn bản", 9),
    ("Tên loại và trích yếu nội dung", 24), ("Đơn vị hoặc người nhận", 13), ("Ngày chuyển", 9), ("Ký nhận", 7),
    ("Ghi chú", 10),
)  # fmt: skip
TRACKING = (
    ("Số đến", 6), ("Tên loại, số, ký hiệu, ngày tháng và tác giả văn bản", 25), ("Đơn vị hoặc người nhận", 13),
    ("Thời hạn giải quyết", 11), ("Tiến độ giải quyết", 24), ("Số, ký hiệu văn bản trả lời", 12), ("Ghi chú", 9),
)  # fmt: skip
_REST = {"REPLACED": "Đã được thay thế", "CANCELLED": "Đã hủy"}
_KEPT = re.compile(r"^\s*-?\s*Lưu:\s*(.+?)\s*[.;]?$")


@dataclass(frozen=True, slots=True)
class Register:
    """One register of one year. kind: outgoing, incoming or tracking; columns: heading and share of the width."""

    kind: str
    title: str
    year: int
    issuer: str
    parent: str
    illustration: bool
    columns: Sequence[tuple[str, int]]
    rows: list[list[str]]


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a register is asked for: the documents of an office in a year, in these campaigns, as they stand now."""

    house: House
    ledger: Ledger
    campaigns: Sequence[Campaign]
    issuer: str
    year: int
    now: datetime


async def register(house: House, kind: str, year: int, *, exercises: bool = False) -> Register:
    """The register of the office that the engine speaks for. exercises: with exercises and demos, so marked."""
    async with house.store.view() as ledger:
        campaigns: list[Campaign] = await ledger.all(select(Campaign).order_by(Campaign.launched_at, Campaign.code))
        campaigns = [one for one in campaigns if exercises or one.mode == "live"]
        cascade = cascade_of(campaigns[-1]) if campaigns else read_cascade(house.settings.cascade_file)
        code = cascade.speaks_for
        office = await registry.organisation(ledger, code)
        parent = await registry.organisation(ledger, office.parent) if office.parent else None
        title, columns, read = _FORMS[kind]
        now = await house.clock.now()
        return Register(
            kind, title, year, office.name, (parent.short_name or parent.name) if parent else "",
            any(one.mode != "live" for one in campaigns), columns,
            await read(_Asked(house, ledger, campaigns, code, year, now)),
        )  # fmt: skip


def _day(day: date | datetime | None) -> str:
    if isinstance(day, datetime):
        day = local(day).date()
    return f"{day:%d/%m/%Y}" if day else ""


# ------------------------------------------------------------------------------------ out


async def _outgoing(asked: _Asked) -> list[list[str]]:
    house, ledger, year = asked.house, asked.ledger, asked.year
    by_id = {one.id: one for one in asked.campaigns}
    letters: list[Letter] = await ledger.all(
        select(Letter).where(
            Letter.campaign_id.in_(by_id), Letter.issuer == asked.issuer, Letter.issued_on.is_not(None),
            Letter.symbol != "", Letter.issued_on >= date(year, 1, 1), Letter.issued_on <= date(year, 12, 31),
        )
    )  # fmt: skip
    went, series = await _went(ledger, letters), _issued(letters)
    rows = [
        (
            (one.issued_on or date.min, one.number or 0, one.symbol),
            _out(house, one, by_id[one.campaign_id], *went.get(one.id, (1, None if one.hop_id else one.issued_at))),
        )
        for one in letters
    ]
    years = {year if campaign.mode == "live" else -year for campaign in asked.campaigns}
    rows += [
        ((_beside(one, series), one.number, one.series), _voided(one))
        for one in await ledger.all(
            select(Number).where(Number.issuer == asked.issuer, Number.year.in_(years), Number.voided_why.is_not(None))
        )
    ]
    return [row for _key, row in sorted(rows, key=lambda pair: pair[0])]


def _out(house: House, letter: Letter, campaign: Campaign, copies: int, left: datetime | None) -> list[str]:
    # Of letters issued before their rows kept what was printed, the head of the template still says it.
    sheet = letter.sheet
    printed = sheet.get("printed") or house.press.frame(reread(letter).sheet)
    lines = [str(line) for line in printed["distribution"]]
    kept = next((found[1] for line in lines if (found := _KEPT.match(line))), "VT")
    others = [line.strip(" -;.") for line in lines if not _KEPT.match(line)]
    to = [*(str(one).rstrip(" ;.") for one in printed["addressees"]), *(one for one in others if one != "Như trên")]
    notes = [_REST.get(letter.state, ""), "diễn tập" if campaign.mode != "live" else "", campaign.code]
    return [
        letter.symbol, _day(letter.issued_on), f"{letter_name(letter.kind)} {letter.subject}".strip(),
        str((sheet.get("signer") or {}).get("name", "")), "; ".join(to), kept, str(copies), _day(left), "",
        "; ".join(note for note in notes if note),
    ]  # fmt: skip


def _issued(letters: Sequence[Letter]) -> dict[tuple[int | None, str], list[tuple[int, date]]]:
    """The numbers that were issued and their days, in order, by year and series."""
    found: dict[tuple[int | None, str], list[tuple[int, date]]] = defaultdict(list)
    for one in letters:
        if one.number and one.issued_on:
            found[one.year, one.symbol.partition("/")[2]].append((one.number, one.issued_on))
    return {key: sorted(those) for key, those in found.items()}


def _beside(one: Number, series: Mapping[tuple[int | None, str], Sequence[tuple[int, date]]]) -> date:
    """The day under which a voided number stands: that of the number before it that was issued, else of the next."""
    issued = series.get((one.year, one.series), ())
    before = [day for number, day in issued if number < one.number]
    return before[-1] if before else issued[0][1] if issued else local(one.taken_at).date()


def _voided(one: Number) -> list[str]:
    """It bears no date: no document was issued under it."""
    code = numbering.code(str(one.number), one.series)
    notes = [one.voided_why or "", "diễn tập" if one.year < 0 else ""]
    return [code, "", "Số hủy", *[""] * (len(OUTGOING) - 4), "; ".join(note for note in notes if note)]


async def _went(ledger: Ledger, letters: Sequence[Letter]) -> dict[str, tuple[int, datetime | None]]:
    """To how many mailboxes each letter went, and when it first left.

    The first letter of a hop is what the mails of that hop carried. A replacement stands at the same hop, and left, as
    every letter of no hop, in mails of its own kind, of which it is the first file.
    """
    first: dict[str, str] = {}
    for one in sorted(letters, key=lambda one: one.issued_at or datetime.max.replace(tzinfo=UTC)):
        if one.hop_id and not one.about:
            first.setdefault(one.hop_id, one.id)
    number, at = func.count(func.distinct(Message.recipient)), func.min(Message.sent_at)
    of_hops = Message.hop_id.in_(first), Message.kind.in_(("letter", "bypass", "copy")), Message.state == "SENT"
    rows = await ledger.rows(select(Message.hop_id, number, at).where(*of_hops).group_by(Message.hop_id))
    found = {first[hop]: (int(copies), left) for hop, copies, left in rows}
    of_hops_first = set(first.values())
    rest = [one for one in letters if one.id not in of_hops_first]
    own = {one.sha256: one.id for one in rest}
    theirs = Message.campaign_id.in_({one.campaign_id for one in rest})
    of_no_hop = Message.hop_id.is_(None) & Message.kind.in_(("correction", "urge", "report", "copy"))
    kinds = of_no_hop | (Message.kind == "replacement")
    rows = await ledger.rows(
        select(Message.enclosures, Message.recipient, Message.sent_at).where(theirs, kinds, Message.state == "SENT")
    ) if own else []
    whom: dict[str, set[str]] = defaultdict(set)
    when: dict[str, datetime] = {}
    for enclosures, recipient, sent_at in rows:
        if letter := own.get(enclosures[0]["sha256"] if enclosures else ""):
            whom[letter].add(recipient)
            when[letter] = min(sent_at, when.get(letter, sent_at))
    return found | {letter: (len(those), when[letter]) for letter, those in whom.items()}


# ------------------------------------------------------------------------------------ in


def _directives(campaigns: Sequence[Campaign], year: int) -> list[tuple[Directive, Campaign]]:
    """Each document that came in that year once, by its number of arrival: two offices may give the same số, ký hiệu
    on the same day, and what came twice was entered twice."""
    found: dict[tuple[str, date, str], dict[str, tuple[Directive, Campaign]]] = {}
    for campaign in campaigns:
        for one in plan_of(campaign).directives:
            arrived = one.arrived_on or local(campaign.launched_at).date()
            if arrived.year == year:
                same = found.setdefault((one.code, one.issued_on, one.issuer.casefold()), {})
                same.setdefault(one.arrival_number, (one, campaign))
    # A plan that does not say under which number it came means the one that came.
    came = [pair for same in found.values() for number, pair in same.items() if number or len(same) == 1]
    return sorted(came, key=lambda pair: (int(pair[0].arrival_number or 0), pair[0].issued_on))


async def _incoming(asked: _Asked) -> list[list[str]]:
    rows = []
    for one, campaign in _directives(asked.campaigns, asked.year):
        unit = await _resolver(asked.ledger, campaign)
        handed = await asked.ledger.first(
            select(func.min(Delivery.sent_at)).join(Hop, Hop.id == Delivery.hop_id).where(
                Hop.campaign_id == campaign.id, Hop.parent_delivery_id.is_(None)
            )
        )  # fmt: skip
        rows.append(
            [
                _day(one.arrived_on), one.arrival_number, one.issuer, one.code, _day(one.issued_on),
                f"{one.kind} {one.subject}", unit, _day(handed), "", _noted(campaign),
            ]
        )  # fmt: skip
    return rows


async def _tracking(asked: _Asked) -> list[list[str]]:
    ledger, issuer, now = asked.ledger, asked.issuer, asked.now
    rows = []
    for one, campaign in _directives(asked.campaigns, asked.year):
        rows.append(
            [
                one.arrival_number,
                f"{one.kind} số {one.code} ngày {numbering.short_day(one.issued_on)} của {one.issuer}",
                await _resolver(ledger, campaign), await _term(ledger, campaign, issuer),
                await _progress(ledger, campaign, now), await _answered_by(ledger, campaign, issuer), _noted(campaign),
            ]
        )  # fmt: skip
    return rows


async def _resolver(ledger: Ledger, campaign: Campaign) -> str:
    unit = cascade_of(campaign).drafting_unit
    return (await registry.organisation(ledger, unit)).name if unit else ""


def _noted(campaign: Campaign) -> str:
    return f"{campaign.code}; diễn tập" if campaign.mode != "live" else campaign.code


async def _term(ledger: Ledger, campaign: Campaign, issuer: str) -> str:
    """The deadline that the office's own letter prints."""
    due = await ledger.first(select(Hop.due_at).where(Hop.campaign_id == campaign.id, Hop.issuer == issuer))
    return f"{local(due):%H:%M %d/%m/%Y}" if due else ""


async def _progress(ledger: Ledger, campaign: Campaign, now: datetime) -> str:
    total = (await results.results(ledger, campaign, now)).total
    said = [f"đã hoàn thành {total.counts['done']}/{total.asked} đơn vị"]
    said += [f"{words} {total.counts[kind]}" for kind, words in STILL_OPEN.items() if total.counts[kind]]
    if campaign.closed_at:
        said.append(f"kết thúc ngày {_day(campaign.closed_at)}")
    return "; ".join(said)


async def _answered_by(ledger: Ledger, campaign: Campaign, issuer: str) -> str:
    codes = await ledger.all(
        select(Letter.symbol)
        .where(
            Letter.campaign_id == campaign.id, Letter.issuer == issuer, Letter.state == "ISSUED", Letter.symbol != ""
        )
        .order_by(Letter.issued_at)
    )
    return "; ".join(codes)


_FORMS: dict[str, tuple[str, Sequence[tuple[str, int]], Any]] = {
    "outgoing": ("Sổ đăng ký văn bản đi", OUTGOING, _outgoing),
    "incoming": ("Sổ đăng ký văn bản đến", INCOMING, _incoming),
    "tracking": ("Sổ theo dõi giải quyết văn bản đến", TRACKING, _tracking),
}
