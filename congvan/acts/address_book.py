"""The address book by hand: added, corrected, ended; each change under a name, with the paper it rests on.

Running campaigns do not move: a correction is offered to every open delivery, and a person takes it up.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from pydantic import ValidationError
from sqlalchemy import func, select

from congvan.acts.book_cards import FIELDS
from congvan.acts.registry import found_by
from congvan.errors import ActRefused, BadInput, Fault, NotFound
from congvan.house import House
from congvan.registry.cells import BadCell, mailbox
from congvan.registry.faults import explain
from congvan.rules.calendar import local
from congvan.rules.cascade import valid
from congvan.rules.records import Contact, Organisation
from congvan.store.ledger import Ledger
from congvan.store.office import BookChange
from congvan.store.tables import OrganisationRow, ParkRow


async def add(house: House, words: Mapping[str, Any], by: str, why: str) -> Organisation:
    """A new organisation; raise BadInput for what cannot be one, ActRefused for a code that is taken."""
    one = _read(words)
    # Nobody tells two codes apart on the telephone that differ in case alone.
    same = select(OrganisationRow.code).where(func.lower(OrganisationRow.code) == one.code.lower())
    async with house.store.act() as ledger:
        if (known := await ledger.first(same)) is not None:
            raise ActRefused(f"mã «{known}» đã có trong danh bạ")
        await _write(house, ledger, None, one, by, why)
    return one


def fingerprint(one: Organisation) -> str:
    """Of all that a card shows."""
    return hashlib.sha256(one.model_dump_json().encode()).hexdigest()


async def correct(
    house: House, code: str, words: Mapping[str, Any], by: str, why: str, shown: str = ""
) -> Organisation:
    """Change what is said of an organisation; its code stays, and so do its mailboxes and signers.

    shown: the fingerprint of the card on which the words were typed. They say every field of it, so they would take
    back what somebody else has corrected meanwhile: then raise ActRefused.
    """
    async with house.store.act() as ledger:
        old = await _old(ledger, code)
        if shown and shown != fingerprint(old):
            raise ActRefused("Đã có người sửa đơn vị này từ khi mở trang; mở lại từ danh bạ, xem rồi sửa lần nữa.")
        one = _read(old.model_dump(mode="json") | dict(words) | {"code": code})
        await _write(house, ledger, old, one, by, why)
    return one


async def put_mailbox(house: House, code: str, words: Mapping[str, Any], by: str, why: str) -> Organisation:
    """Add a mailbox, or correct the one of this address that is in use; times of it that are over stay in the book.

    Of those of one order it is tried first, as the newest. Who designated it, and by which paper, stands with it.
    What is left blank of one that is corrected stays as it was; without an order a new one is tried first.
    """
    async with house.store.act() as ledger:
        return await enter_mailbox(house, ledger, code, words, by, why)


async def enter_mailbox(
    house: House, ledger: Ledger, code: str, words: Mapping[str, Any], by: str, why: str
) -> Organisation:
    """As `put_mailbox`, in the transaction of whoever decides on it."""
    try:
        email = mailbox(str(words.get("email", "")).strip())
    except BadCell as error:
        raise BadInput([Fault("danh bạ", "Hộp thư", error.message, error.remedy)]) from None
    if not str(words.get("designated_by", "")).strip():
        remedy = "ghi người hoặc văn bản chỉ định hộp thư này"
        raise BadInput([Fault("danh bạ", "Văn bản chỉ định", "còn thiếu", remedy)])
    today = local(await house.clock.now()).date()
    old = await _old(ledger, code)
    (new,) = _read(old.model_dump(mode="json") | {"contacts": [{**words, "email": email}]}).contacts
    one = old.model_copy(update={"contacts": _with(old.contacts, new, today)})
    await _write(house, ledger, old, one, by, why)
    return one


def _with(contacts: Sequence[Contact], new: Contact, today: date) -> tuple[Contact, ...]:
    """The mailboxes with this one, which takes the place of that of its address on the day from which it is used.

    What was not said of it is as it was with the one whose place it takes. Without a first day it keeps both days of
    that one, or begins today where there was none; with a first day it has no last day unless one is given.
    """
    same = [one for one in contacts if one.email.lower() == new.email.lower()]
    gone = [one for one in same if valid(one, max(today, new.valid_from or today))]
    if gone:
        blank = [name for name in ("name", "role", "phone") if not getattr(new, name)]
        blank += [] if "order" in new.model_fields_set else ["order"]
        blank += [] if new.valid_from else ["valid_from", "valid_until"]
        new = new.model_copy(update={name: getattr(gone[0], name) for name in blank})
    elif new.valid_from is None:
        new = new.model_copy(update={"valid_from": today})
    gone += [one for one in same if one.valid_from == new.valid_from]
    return tuple(sorted([new, *(one for one in contacts if one not in gone)], key=lambda one: one.order))


async def end_mailbox(house: House, code: str, email: str, until: date, by: str, why: str) -> Organisation:
    """The last day on which a mailbox is used; it stays in the book with its dates, and its other times with theirs."""
    async with house.store.act() as ledger:
        old = await _old(ledger, code)
        same = [one for one in old.contacts if one.email.lower() == email.lower()]
        if not same:
            raise NotFound(f"{code} không có hộp thư này")
        if not any(valid(one, until) for one in same):
            message = f"hộp thư này không có hiệu lực ngày {until:%d/%m/%Y}"
            raise BadInput([Fault("danh bạ", "Ngày cuối cùng", message, "ghi một ngày mà hộp thư còn hiệu lực")])
        one = _ending(old, email, until, until)
        await _write(house, ledger, old, one, by, why)
    return one


async def disown(house: House, ledger: Ledger, code: str, email: str, by: str, why: str) -> None:
    """A mailbox turned out not to be theirs: yesterday was its last day, or today where it begins today."""
    today = local(await house.clock.now()).date()
    old = await _old(ledger, code)
    await _write(house, ledger, old, _ending(old, email, today, today - timedelta(days=1)), by, why)


def _ending(old: Organisation, email: str, day: date, until: date) -> Organisation:
    """As it was, but the mailbox of this address that is in use on the day ends: not before it begins."""
    contacts = [
        one.model_copy(update={"valid_until": max(until, one.valid_from or until)})
        if one.email.lower() == email.lower() and valid(one, day)
        else one
        for one in old.contacts
    ]
    return old.model_copy(update={"contacts": tuple(contacts)})


async def _old(ledger: Ledger, code: str) -> Organisation:
    row = await ledger.take(OrganisationRow, code)
    return Organisation.model_validate(row.record)


def _read(words: Mapping[str, Any]) -> Organisation:
    try:
        one = Organisation.model_validate(dict(words))
    except ValidationError as error:
        raise BadInput(
            Fault("danh bạ", FIELDS.get(str(found["loc"][0]), str(found["loc"][0])), *explain(found))
            for found in error.errors(include_url=False)
        ) from None
    if one.valid_from and one.valid_until and one.valid_until < one.valid_from:
        raise BadInput([Fault("danh bạ", "Hiệu lực đến", "trước ngày bắt đầu", "ghi ngày sau ngày bắt đầu")])
    return one


async def _write(
    house: House, ledger: Ledger, old: Organisation | None, one: Organisation, by: str, why: str
) -> None:
    """Check what it refers to, write it, and write down who changed what; nothing where nothing changed."""
    if not why.strip():
        raise BadInput([Fault("danh bạ", "Căn cứ", "còn thiếu", "ghi văn bản hoặc người làm căn cứ")])
    if old == one:
        return
    await _check_references(ledger, one)
    now = await house.clock.now()
    await ledger.put(
        OrganisationRow, {"code": one.code},
        name=one.name, level=one.level, folded=found_by(one), record=one.model_dump(mode="json"), changed_at=now,
    )  # fmt: skip
    await ledger.add(
        BookChange,
        id=house.new_id(now), organisation=one.code, at=now, by=by, why=why,
        before=old.model_dump(mode="json") if old else None, after=one.model_dump(mode="json"),
    )  # fmt: skip


async def _check_references(ledger: Ledger, one: Organisation) -> None:
    faults = []
    known = set(await ledger.all(select(ParkRow.code).where(ParkRow.code.in_(one.parks))))
    faults += [
        Fault("danh bạ", "Khu công nghiệp", f"không có khu «{park}»", "chọn một khu trong danh bạ")
        for park in one.parks
        if park not in known
    ]
    if one.parent and (one.parent == one.code or await ledger.find(OrganisationRow, one.parent) is None):
        faults.append(Fault("danh bạ", "Đơn vị cấp trên", f"không có «{one.parent}»", "ghi mã của một đơn vị khác"))
    elif one.parent and one.code in (above := await _above(ledger, one.parent)):
        loop = " → ".join((one.code, *above[: above.index(one.code) + 1]))
        remedy = "sửa cấp trên của một trong các đơn vị này"
        faults.append(Fault("danh bạ", "Đơn vị cấp trên", f"cấp trên đi vòng: {loop}", remedy))
    if faults:
        raise BadInput(faults)


async def _above(ledger: Ledger, code: str) -> list[str]:
    """This one and those above it, none twice."""
    found: list[str] = []
    while code and code not in found and (row := await ledger.find(OrganisationRow, code)) is not None:
        found.append(code)
        code = row.record.get("parent") or ""
    return found
