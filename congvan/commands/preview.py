"""A letter as a launch would draft it, without a launch: the acts themselves, on a database in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

from congvan.acts import figures, letters, registry
from congvan.acts.launches import Launch, launch
from congvan.commands.given import refuse
from congvan.house import House, build
from congvan.letters.press import Rendered
from congvan.letters.sheet import Sheet
from congvan.reading import lines_of, read_cascade, read_plan
from congvan.registry.faults import meant
from congvan.rules.cascade import RouteHop, route
from congvan.rules.labels import letter_name
from congvan.rules.records import CampaignPlan, Cascade, Issue, Register
from congvan.settings import Settings

_PAGE = """\
<!doctype html>
<html lang="vi"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title></head>
<body>
{body}
</body></html>
"""


async def sheet(house: House, path: Path, issuer: str, *, illustration: bool) -> Sheet:
    """The sheet of an issuer's letter under this plan, number and date still blank; raise BadInput.

    1. Read plan and cascade; take the registry as the database has it now.
    2. Launch in memory, where files that are still missing do no harm.
    3. Draft the letter of the issuer's hop.
    """
    plan, _ = read_plan(path)
    cascade = read_cascade(house.settings.cascade_file)
    register = await registry.present(house)
    rehearsal = _in_memory(house)
    try:
        await rehearsal.store.create_tables()
        await registry.take_over(rehearsal, register)
        order = Launch(_without_files(plan), cascade, "exercise", "", path.parent, str(path), lines_of(path))
        campaign = await launch(rehearsal, order)
        hops = (await figures.status(rehearsal, campaign))["campaigns"][0]["hops"]
        ids = {hop["issuer"]: hop["id"] for hop in hops}
        if issuer not in ids:
            raise refuse(
                "--issuer",
                f"«{issuer}» không chuyển văn bản này cho ai",
                f"chọn một đơn vị có nơi nhận ở dưới{meant(issuer, ids)}",
                str(path),
            )
        made = await letters.draft(rehearsal, ids[issuer])
    finally:
        await rehearsal.close()
    context = _cited(made.sheet.context, register, cascade, plan, issuer)
    return made.sheet.model_copy(update={"illustration": illustration, "context": context})


def page(rendered: Rendered) -> str:
    """The whole letter as an HTML document."""
    return _PAGE.format(title=escape(rendered.subject), body=rendered.page)


def _in_memory(house: House) -> House:
    given = house.settings.model_dump() | {"database_url": "sqlite+aiosqlite:///:memory:", "demo": False}
    return replace(build(Settings.model_validate(given)), clock=house.clock)


def _without_files(plan: CampaignPlan) -> CampaignPlan:
    bare = tuple(one.model_copy(update={"files": ()}) for one in plan.directives)
    return plan.model_copy(update={"directives": bare})


def _cited(
    context: Mapping[str, Any], register: Register, cascade: Cascade, plan: CampaignPlan, issuer: str
) -> dict[str, Any]:
    """The letter above, cited with blanks where its number and date will stand."""
    if context.get("forwarded") is not None:
        return dict(context)
    hops = {hop.issuer: hop for hop in route(register, cascade, plan).hops}
    above = _signed_above(hops, cascade, issuer)
    if above is None:
        return dict(context)
    author = next(one for one in register.organisations if one.code == above.issuer)
    rule = cascade.rule_of(above.level)
    symbol = rule.symbol.partition("/")[2] if rule else ""
    forwarded = {
        "kind": letter_name(rule.template if rule else ""), "number": "", "date": "",
        "symbol": symbol.replace("{abbreviation}", author.abbreviation),
        "issuer": author.name, "short": author.abbreviation if author.code == cascade.speaks_for else author.name,
    }  # fmt: skip
    return {**context, "forwarded": forwarded}


def _signed_above(hops: Mapping[str, RouteHop], cascade: Cascade, issuer: str) -> RouteHop | None:
    above = hops[issuer].above
    while above is not None:
        rule = cascade.rule_of(hops[above].level)
        if rule is not None and rule.issue is Issue.SIGNED:
            return hops[above]
        above = hops[above].above
    return None
