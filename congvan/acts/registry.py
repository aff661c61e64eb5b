"""The registry in the database: taken over whole, read whole."""

from __future__ import annotations

from datetime import date

from sqlalchemy import select

from congvan.house import House
from congvan.rules.names import fold
from congvan.rules.records import Organisation, Park, Register
from congvan.store.ledger import Ledger
from congvan.store.tables import OrganisationRow, ParkRow


async def take_over(house: House, register: Register) -> dict[str, int]:
    """Add and replace what the register names; return the counts. Running campaigns do not move."""
    now = await house.clock.now()
    async with house.store.act() as ledger:
        for park in register.parks:
            await ledger.put(
                ParkRow,
                {"code": park.code},
                name=park.name,
                investor=park.investor,
                record=park.model_dump(mode="json"),
            )
        for one in register.organisations:
            await ledger.put(
                OrganisationRow,
                {"code": one.code},
                name=one.name,
                level=one.level,
                folded=found_by(one),
                record=one.model_dump(mode="json"),
                changed_at=now,
            )
    return {"organisations": len(register.organisations), "parks": len(register.parks)}


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


async def park_names(ledger: Ledger) -> dict[str, str]:
    """Park codes to names."""
    rows = await ledger.rows(select(ParkRow.code, ParkRow.name))
    return {row.code: row.name for row in rows}


def mailboxes(one: Organisation, day: date) -> list[str]:
    """The mailboxes that are valid on this day, in the order in which they are tried; none twice."""
    valid = [
        contact
        for contact in one.contacts
        if (contact.valid_from is None or contact.valid_from <= day)
        and (contact.valid_until is None or day <= contact.valid_until)
    ]
    return list(dict.fromkeys(contact.email for contact in sorted(valid, key=lambda contact: contact.order)))
