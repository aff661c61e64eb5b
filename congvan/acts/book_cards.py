"""The address book as a person looks at it: found by name, one card with its history, what each change did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import func, not_, select

from congvan.acts.campaigns import is_settled
from congvan.acts.registry import mailboxes
from congvan.errors import NotFound
from congvan.house import House
from congvan.registry.columns import ORGANISATIONS
from congvan.rules.calendar import local
from congvan.rules.names import fold
from congvan.rules.records import Organisation
from congvan.store.ledger import Ledger
from congvan.store.office import BookChange
from congvan.store.tables import Campaign, Delivery, OrganisationRow, ParkRow

#: What fields are called: as in the workbook.
FIELDS = {one.field: one.heading for one in ORGANISATIONS.columns} | {"contacts": "Hộp thư", "signers": "Người ký"}


@dataclass(frozen=True, slots=True)
class Line:
    """One organisation in the list. mailbox: the first that is valid today, or empty."""

    code: str
    name: str
    level: str
    parks: tuple[str, ...]
    mailbox: str
    ended: bool


@dataclass(frozen=True, slots=True)
class OpenOne:
    """An open delivery of an organisation. mailbox: where its letter goes now; round: how often it was sent there."""

    id: str
    campaign: str
    code: str
    state: str
    mailbox: str
    round: int


@dataclass(frozen=True)
class Card:
    """One organisation with all that was changed by hand, newest first, and its open deliveries."""

    organisation: Organisation
    today: date
    changes: Sequence[BookChange]
    open_ones: Sequence[OpenOne]
    parks: Mapping[str, str]


async def find(house: House, search: str, level: str, *, limit: int, offset: int) -> tuple[list[Line], int]:
    """Organisations by name, and how many there are."""
    today = local(await house.clock.now()).date()
    where: list[Any] = [OrganisationRow.folded.contains(word, autoescape=True) for word in fold(search).split()[:8]]
    if search.strip() and not where:
        return [], 0
    if level:
        where.append(OrganisationRow.level == level)
    async with house.store.view() as ledger:
        total = int(await ledger.session.scalar(select(func.count()).select_from(OrganisationRow).where(*where)) or 0)
        query = select(OrganisationRow).where(*where).order_by(OrganisationRow.folded, OrganisationRow.code)
        rows: list[OrganisationRow] = await ledger.all(query.limit(limit).offset(offset))
    return [_line(Organisation.model_validate(row.record), today) for row in rows], total


def _line(one: Organisation, today: date) -> Line:
    ended = one.valid_until is not None and one.valid_until < today
    return Line(one.code, one.name, one.level, one.parks, next(iter(mailboxes(one, today)), ""), ended)


async def card(house: House, code: str) -> Card:
    """One organisation; raise NotFound."""
    today = local(await house.clock.now()).date()
    async with house.store.view() as ledger:
        row = await ledger.find(OrganisationRow, code)
        if row is None:
            raise NotFound(f"danh bạ không có đơn vị «{code}»")
        changes = await ledger.all(
            select(BookChange).where(BookChange.organisation == code).order_by(BookChange.id.desc()).limit(50)
        )
        parks = dict(await ledger.rows(select(ParkRow.code, ParkRow.name)))
        return Card(Organisation.model_validate(row.record), today, changes, await _open_ones(ledger, code), parks)


async def _open_ones(ledger: Ledger, code: str) -> list[OpenOne]:
    query = (
        select(
            Delivery.id, Campaign.code.label("campaign"), Delivery.code, Delivery.state, Delivery.address,
            Delivery.round,
        )
        .join(Campaign, Campaign.id == Delivery.campaign_id)
        .where(Delivery.recipient == code, Campaign.state == "RUNNING", not_(is_settled()))
        .order_by(Campaign.code)
    )
    return [
        OpenOne(row.id, row.campaign, row.code, row.state, row.address or "", row.round)
        for row in await ledger.rows(query)
    ]


async def levels(house: House) -> list[str]:
    """The levels that occur."""
    async with house.store.view() as ledger:
        return sorted(set(await ledger.all(select(OrganisationRow.level).distinct())))


def differences(change: BookChange) -> list[tuple[str, str, str]]:
    """What a change did: (field, before, after), mailboxes as their addresses with their last days."""
    before, after = change.before or {}, change.after
    found = []
    for key in after:
        old, new = _said(key, before.get(key)), _said(key, after[key])
        if old != new:
            found.append((FIELDS.get(key, key), old, new))
    return found


def _said(key: str, value: Any) -> str:
    if key == "contacts":
        return "; ".join(_contact(one) for one in value or ())
    if key == "signers":
        return "; ".join(f"{one['name']}, {one['position']}" for one in value or ())
    if isinstance(value, list):
        return ", ".join(str(one) for one in value)
    return "" if value is None else str(value)


def _contact(one: Mapping[str, Any]) -> str:
    until = f" (đến {one['valid_until']})" if one.get("valid_until") else ""
    return f"{one['email']}{until}"
