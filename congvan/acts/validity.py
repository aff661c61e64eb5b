"""Signers and units are data with validity dates: a letter dated outside them is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date

from congvan.acts import registry
from congvan.acts.frozen import cascade_of
from congvan.errors import ActRefused, Fault, NotFound
from congvan.letters.numbering import short_day
from congvan.rules.cascade import valid
from congvan.rules.records import CampaignPlan, Cascade, Organisation, Person, Register
from congvan.store.ledger import Ledger
from congvan.store.tables import Campaign


def outside(
    signer: Person | None, issuer: Organisation, unit: Organisation | None, day: date
) -> Iterator[tuple[str, str]]:
    """(what, why) for everybody whose dates this day lies outside of.

    A signer of whom the registry knows nothing is judged by the plan's own dates alone.
    """
    if signer is not None:
        known = [one for one in issuer.signers if one.name.casefold() == signer.name.casefold()]
        if not valid(signer, day) or (known and not any(valid(one, day) for one in known)):
            yield "letter.signer", f"{signer.name} không có thẩm quyền ký vào ngày {short_day(day)}"
    for one in (issuer, unit):
        if one is not None and not valid(one, day):
            yield "", f"{one.name} không còn hoặc chưa hoạt động vào ngày {short_day(day)}"


def who_signs(planned: Person | None, issuer: Organisation, day: date) -> Person | None:
    """The plan's signer while he may sign; afterwards whoever the registry has for that day, in its order.

    Where it has nobody, the plan's: then the letter is refused, and says why. None: nobody signs.
    """
    if planned is None or not any(field for field, _ in outside(planned, issuer, None, day)):
        return planned
    return registered(issuer, day) or planned


def registered(issuer: Organisation, day: date) -> Person | None:
    """The first signer of an organisation who may sign on this day."""
    return next((one for one in issuer.signers if valid(one, day)), None)


async def with_signer(ledger: Ledger, issuer: str, planned: Person | None, day: date) -> Person | None:
    """`who_signs` by the issuer's code; raise ActRefused where the registry has it no more."""
    return who_signs(planned, await _known(ledger, issuer), day)


async def refuse_outside(
    ledger: Ledger, campaign: Campaign, issuer: str, signer: Person | None, day: date
) -> None:
    """Raise ActRefused where a letter dated this day has a signer or a unit outside its dates."""
    unit = cascade_of(campaign).drafting_unit
    found = list(outside(signer, await _known(ledger, issuer), await _known(ledger, unit) if unit else None, day))
    if found:
        raise ActRefused("; ".join(why for _, why in found) + ": chọn người ký khác hoặc sửa hiệu lực trong danh bạ")


async def _known(ledger: Ledger, code: str) -> Organisation:
    try:
        return await registry.organisation(ledger, code)
    except NotFound:
        raise ActRefused(f"danh bạ không còn tổ chức «{code}»") from None


def check(
    plan: CampaignPlan,
    cascade: Cascade,
    register: Register,
    day: date,
    *,
    file: str,
    lines: Mapping[str, int] | None = None,
) -> list[Fault]:
    """What keeps this plan's letter from being signed on this day; for a launch."""
    people = {one.code: one for one in register.organisations}
    issuer, unit = people.get(cascade.speaks_for), people.get(cascade.drafting_unit or "")
    if issuer is None:
        return []  # found by `plan_check`
    remedy = "chọn người ký khác hoặc sửa hiệu lực trong danh bạ"
    return [
        Fault(file, field, why, remedy, (lines or {}).get(field))
        for field, why in outside(plan.letter.signer, issuer, unit, day)
    ]
