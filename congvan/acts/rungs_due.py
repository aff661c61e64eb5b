"""What a round of the digests needs before it is written down: the cases that are due, and the pages of their rungs,
drafted and set outside any transaction."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Select, bindparam, select

from congvan.acts import reporting, urging
from congvan.acts.drafting import Draft
from congvan.acts.frozen import cascade_of
from congvan.house import House
from congvan.letters.press import Rendered
from congvan.store.bulk import among
from congvan.store.database import is_away
from congvan.store.ledger import Ledger, locked
from congvan.store.tables import Campaign, Case, Delivery, Letter

log = logging.getLogger(__name__)


@dataclass
class Ready:
    """What was drafted and set before the digests are written down, by campaign; and the đôn đốc looked at.

    urge_faults, report_faults: why the page of a campaign could not be set.
    """

    urges: dict[str, urging.Prepared] = field(default_factory=dict)
    reports: dict[str, tuple[Draft, Rendered]] = field(default_factory=dict)
    passed: Sequence[Letter] = ()
    urge_faults: dict[str, Exception] = field(default_factory=dict)
    report_faults: dict[str, Exception] = field(default_factory=dict)

    @property
    def unwanted(self) -> list[Letter]:
        """Drafts that were overtaken and need no other in their place: nobody whom they would urge is left."""
        waiting = [one for one in self.passed if one.state == "PENDING_ISSUE"]
        return [one for one in waiting if one.campaign_id not in self.urges and one.campaign_id not in self.urge_faults]


async def prepare(house: House, now: datetime) -> Ready:
    """Draft what the rungs that are due need, outside any transaction: pages take their time."""
    urged, reported = set(), set()
    async with house.store.view() as ledger:
        for case, _delivery in await due_cases(ledger, now):
            campaign = await ledger.get(Campaign, case.campaign_id)
            if is_report(campaign, case):
                reported.add(case.campaign_id)
            elif case.kind == "silent":
                urged.add(case.campaign_id)
        ready = Ready(passed=await urging.passed(ledger, now))
    urged |= {letter.campaign_id for letter in ready.passed}
    for campaign_id in sorted(urged):
        with _page_of(campaign_id, ready.urge_faults):
            if (urge := await urging.prepare(house, campaign_id, now)) is not None:
                ready.urges[campaign_id] = urge
    for campaign_id in sorted(reported):
        with _page_of(campaign_id, ready.report_faults):
            if (report := await _report(house, campaign_id, now)) is not None:
                ready.reports[campaign_id] = report
    return ready


@contextmanager
def _page_of(campaign_id: str, faults: dict[str, Exception]) -> Iterator[None]:
    """One page that trips us must not keep every other campaign from being told, nor this one from its other page.

    Its traceback could quote what recipients have written. A database that is away is no page's fault.
    """
    try:
        yield
    except Exception as fault:
        if is_away(fault):
            raise
        log.error("%s: a page of campaign %s cannot be set", type(fault).__name__, campaign_id)
        faults[campaign_id] = fault


async def _report(house: House, campaign_id: str, now: datetime) -> tuple[Draft, Rendered] | None:
    async with house.store.view() as ledger:
        campaign = await ledger.get(Campaign, campaign_id)
        if await is_reported(ledger, campaign):
            return None
        sheet = await reporting.report_sheet(house, ledger, campaign, now, interim=True)
    return Draft(sheet, now), house.press.render(sheet)


def is_report(campaign: Campaign, case: Case) -> bool:
    """Whether the rung of which a case is told next is the Báo cáo."""
    ladder = cascade_of(campaign).ladder
    return ladder[min(case.rung, len(ladder) - 1)].template == "report"


async def is_reported(ledger: Ledger, campaign: Campaign) -> bool:
    """A Báo cáo to whoever gave the directive is prepared once from the ladder; the last one follows the closing."""
    known = select(Letter.id).where(
        Letter.campaign_id == campaign.id, Letter.kind == "report", Letter.state != "CANCELLED"
    )
    return await ledger.first(known) is not None


async def due_cases(ledger: Ledger, now: datetime) -> list[tuple[Case, Delivery]]:
    """The cases whose next rung is due, in campaigns that are not held, locked with their deliveries."""
    keys = sorted(set(await ledger.session.scalars(_concerned(), {"now": now})))
    if not keys:
        return []
    found = await ledger.session.scalars(_deliveries(ledger.is_sqlite), {"keys": keys})
    deliveries = {row.id: row for row in found}
    cases = await ledger.session.scalars(_cases(ledger.is_sqlite), {"keys": keys, "now": now})
    return [(case, deliveries[case.delivery_id]) for case in cases]


def _due() -> tuple[Any, ...]:
    return Case.closed_at.is_(None), Case.tell_at <= bindparam("now")


@cache
def _concerned() -> Select[tuple[str]]:
    held = select(Campaign.id).where(Campaign.held_at.is_not(None))
    return select(Case.delivery_id).where(*_due(), Case.campaign_id.not_in(held))


@cache
def _deliveries(is_sqlite: bool) -> Select[tuple[Delivery]]:
    query = select(Delivery).where(among(Delivery.id, "keys", is_sqlite)).order_by(Delivery.id)
    return locked(query).execution_options(populate_existing=True)


@cache
def _cases(is_sqlite: bool) -> Select[tuple[Case]]:
    query = select(Case).where(among(Case.delivery_id, "keys", is_sqlite), *_due()).order_by(Case.id)
    return locked(query).execution_options(populate_existing=True)
