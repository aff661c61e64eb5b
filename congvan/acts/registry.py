"""The registry in the database: taken over from files, read whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import Select, select

from congvan.house import House
from congvan.rules.cascade import valid
from congvan.rules.names import fold
from congvan.rules.records import Organisation, Park, Register
from congvan.store.bulk import among
from congvan.store.ledger import Ledger, locked
from congvan.store.office import BookChange
from congvan.store.tables import OrganisationRow, ParkRow

R = TypeVar("R", Organisation, Park)


async def take_over(house: House, register: Register, by: str = "", why: str = "") -> Register:
    """Add and replace what the register names; return it as it is stored then. Running campaigns do not move.

    by, why: who brought it, and what it rests on: written down for each organisation that it changed.
    """
    now = await house.clock.now()
    async with house.store.act() as ledger:
        before, run = await _stored(ledger, register), await _stored_parks(ledger, register)
        organisations = tuple(_kept(before.get(one.code), one, register.untold) for one in register.organisations)
        parks = tuple(_kept(run.get(one.code), one, register.untold_parks) for one in register.parks)
        # In one order, whatever that of the file: two files taken over at once would wait for each other.
        park_rows = sorted((_park_row(one) for one in parks), key=_by_code)
        rows = sorted((_organisation_row(one, now) for one in organisations), key=_by_code)
        await ledger.put_all(ParkRow, ["code"], park_rows)
        await ledger.put_all(OrganisationRow, ["code"], rows)
        changed = [one for one in organisations if by and before.get(one.code, one) != one]
        await ledger.add_all(
            BookChange,
            [
                {
                    "id": house.new_id(now), "organisation": one.code, "at": now, "by": by, "why": why,
                    "before": before[one.code].model_dump(mode="json"), "after": one.model_dump(mode="json"),
                }
                for one in changed
            ],
        )  # fmt: skip
    return register.model_copy(update={"organisations": organisations, "parks": parks})


def _by_code(row: Mapping[str, Any]) -> str:
    return str(row["code"])


def _organisation_row(one: Organisation, now: datetime) -> dict[str, Any]:
    return {
        "code": one.code, "name": one.name, "level": one.level, "folded": found_by(one),
        "record": one.model_dump(mode="json"), "changed_at": now,
    }  # fmt: skip


def _park_row(one: Park) -> dict[str, Any]:
    return {"code": one.code, "name": one.name, "investor": one.investor, "record": one.model_dump(mode="json")}


async def _stored(ledger: Ledger, register: Register) -> dict[str, Organisation]:
    """Those whom the register names, as they are; nobody else changes them before this transaction ends."""
    named = ledger.among(OrganisationRow.code, [one.code for one in register.organisations])
    query = select(OrganisationRow.code, OrganisationRow.record).where(named).order_by(OrganisationRow.code)
    return {row.code: Organisation.model_validate(row.record) for row in await ledger.rows(locked(query))}


async def _stored_parks(ledger: Ledger, register: Register) -> dict[str, Park]:
    named = ledger.among(ParkRow.code, [one.code for one in register.parks])
    query = select(ParkRow.code, ParkRow.record).where(named).order_by(ParkRow.code)
    return {row.code: Park.model_validate(row.record) for row in await ledger.rows(locked(query))}


def _kept(old: R | None, one: R, untold: Mapping[str, Sequence[str]]) -> R:
    """The record with what is known of it wherever nothing was told."""
    fields = untold.get(one.code, ())
    return one.model_copy(update={field: getattr(old, field) for field in fields}) if old else one


def found_by(one: Organisation) -> str:
    """What an organisation is found by."""
    return fold(" ".join((one.name, one.code, one.name_en, one.short_name, one.tax_code)))


async def read(ledger: Ledger) -> Register:
    """The whole registry, within a transaction."""
    organisations = await ledger.all(select(OrganisationRow).order_by(OrganisationRow.code))
    parks = await ledger.all(select(ParkRow).order_by(ParkRow.code))
    return Register(
        organisations=tuple(Organisation.model_validate(row.record) for row in organisations),
        parks=tuple(Park.model_validate(row.record) for row in parks),
    )


async def present(house: House) -> Register:
    """The whole registry as it is now."""
    async with house.store.view() as ledger:
        return await read(ledger)


async def organisation(ledger: Ledger, code: str) -> Organisation:
    """One organisation; raise NotFound."""
    return Organisation.model_validate((await ledger.get(OrganisationRow, code)).record)


async def records(ledger: Ledger, codes: Iterable[str | None]) -> dict[str, dict[str, Any]]:
    """What stands of these organisations, by code; those that it does not have are left out."""
    keys = {"keys": sorted({code for code in codes if code})}
    return {row.code: row.record for row in await ledger.session.execute(_of_codes(ledger.is_sqlite), keys)}


@cache
def _of_codes(is_sqlite: bool) -> Select[tuple[str, dict[str, Any]]]:
    columns = OrganisationRow.code, OrganisationRow.record
    return select(*columns).where(among(OrganisationRow.code, "keys", is_sqlite))


async def park_names(ledger: Ledger) -> dict[str, str]:
    """Park codes to names."""
    rows = await ledger.rows(select(ParkRow.code, ParkRow.name))
    return {row.code: row.name for row in rows}


def mailboxes(one: Organisation, day: date) -> list[str]:
    """The mailboxes that are valid on this day, in the order in which they are tried; none twice."""
    usable = [contact for contact in one.contacts if valid(contact, day)]
    return list(dict.fromkeys(contact.email for contact in sorted(usable, key=lambda contact: contact.order)))
