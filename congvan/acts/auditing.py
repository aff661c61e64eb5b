"""The auditor: whether every row of the running engine has a valid next step, and every log still says why.

It knows nothing of how the rows came about: it asks the questions of `store.soundness`, holds each open
delivery against the rules, and verifies the logs (`acts.audit`) of running campaigns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import String, bindparam, column, or_, select, text

from congvan.acts import audit, notices
from congvan.acts.frozen import is_urgent, policy_of, standing
from congvan.house import House
from congvan.rules.deadlines import due
from congvan.store.ledger import Ledger
from congvan.store.soundness import QUESTIONS
from congvan.store.tables import Campaign, Delivery, Hop, Instant

#: Whoever is to act has had his time; clocks that differ by less agree; no lease is held for longer.
GRACE, SKEW, LONGEST_LEASE = timedelta(minutes=30), timedelta(seconds=5), timedelta(days=1)
#: How often the logs of a campaign are read from their first line.
LOGS_EVERY = timedelta(hours=1)
_NOTE = "auditor"
#: All that decides what is due for a delivery, and when it is looked at next.
_STANDING = (
    Delivery.level, Delivery.state, Delivery.settles, Delivery.due_at, Delivery.sent_at, Delivery.steps_taken,
    Delivery.escalated_at, Delivery.wake_at,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something that does not fit. campaign: its code, or empty; place: a code by which it is found, never a person;
    kind: which question found it; passing: it may be so for a moment after the engine stood still."""

    campaign: str
    place: str
    kind: str
    problem: str
    passing: bool = False


async def look_over(house: House, *, logs: bool = True) -> list[Flaw]:
    """Everything that is wrong now. logs: the logs of running campaigns are verified as well."""
    now, wall = await house.clock.now(), house.clock.wall()
    async with house.store.view() as ledger:
        codes = dict(await ledger.rows(select(Campaign.id, Campaign.code)))
        found = await _asked(ledger, codes, now, wall)
        running: list[Campaign] = await ledger.all(
            select(Campaign).where(Campaign.state == "RUNNING").order_by(Campaign.code)
        )
        for campaign in running:
            if campaign.held_at is None:
                found += await _next_steps(house, ledger, campaign, now, wall)
    if logs:
        for campaign in running:
            found += await _log(house, campaign.code)
    return found


async def _asked(ledger: Ledger, codes: dict[str, str], now: datetime, wall: datetime) -> list[Flaw]:
    instants = {"late": now - GRACE, "soon": now + SKEW, "dead": wall - GRACE, "far": wall + LONGEST_LEASE}
    found = []
    for kind, question in QUESTIONS.items():
        bound = [bindparam(name, at, Instant()) for name, at in instants.items() if f":{name}" in question.sql]
        query = text(question.sql).bindparams(*bound).columns(column("campaign", String), column("place", String))
        rows = (await ledger.session.execute(query)).all()
        found += [
            Flaw(codes.get(campaign or "", ""), place, kind, question.problem, question.passing)
            for campaign, place in rows
        ]
    return found


async def _next_steps(
    house: House, ledger: Ledger, campaign: Campaign, now: datetime, wall: datetime
) -> list[Flaw]:
    """Open deliveries that will be looked at later than the rules say; whoever stands alike is asked of once."""
    urgent = is_urgent(campaign)
    resting = or_(Hop.lease_until.is_(None), Hop.lease_until < wall)
    hops: list[Hop] = await ledger.all(
        select(Hop).where(Hop.campaign_id == campaign.id, Hop.state == "OPEN", Hop.wake_at > now, resting)
    )
    found = []
    for hop in hops:
        alike = select(*_STANDING).where(
            Delivery.hop_id == hop.id, Delivery.due_at.is_not(None), Delivery.wake_at > now + SKEW
        )
        for one in await ledger.rows(alike.distinct()):
            policy = policy_of(campaign, hop, one.level)
            verdict = due(standing(cast("Delivery", one)), policy, house.calendars, now, urgent=urgent)
            expected = now if verdict.step is not None else verdict.next_at
            if expected is not None and one.wake_at > expected + SKEW:
                problem = "bước tiếp theo muộn hơn quy định"
                found.append(Flaw(campaign.code, hop.issuer, "step too late", problem))
    return found


async def _log(house: House, code: str) -> list[Flaw]:
    verdict = await audit.audit(house, code)
    return [Flaw(code, one.where, "log", one.problem) for one in verdict.findings]


# ------------------------------------------------------------------------------------ round by round


async def make_round(house: House) -> list[Flaw]:
    """One round of the auditor: what is wrong. The unit in charge is written to, at most once a day for a campaign,
    of what does not pass by itself. The logs are read from their first line once an hour."""
    now = await house.clock.now()
    async with house.store.view() as ledger:
        before = await ledger.note(_NOTE) or {}
    logs = "logs" not in before or datetime.fromisoformat(before["logs"]) + LOGS_EVERY <= now
    found = await look_over(house, logs=logs)
    told = [one for one in found if not one.passing or [one.campaign, one.place, one.kind] in before.get("passing", [])]
    note: dict[str, Any] = {
        "passing": [[one.campaign, one.place, one.kind] for one in found if one.passing],
        # A broken log is read again in each round.
        "logs": before.get("logs", "") if not logs else now.isoformat(),
    }
    if any(one.kind == "log" for one in found):
        note.pop("logs")
    async with house.store.act() as ledger:
        await ledger.set_note(_NOTE, note)
    await _tell(house, Counter(one.campaign for one in told))
    return found


async def _tell(house: House, numbers: Mapping[str, int]) -> None:
    for code, number in sorted(numbers.items()):
        about = code or await _any_campaign(house)
        if about:
            await notices.tell_once(house, "unsound", about, f"Kiểm tra tự động thấy {number} điểm không khớp")


async def _any_campaign(house: House) -> str:
    """Whose unit is told of what belongs to no campaign: the youngest."""
    async with house.store.view() as ledger:
        return str(await ledger.first(select(Campaign.code).order_by(Campaign.launched_at.desc())) or "")
