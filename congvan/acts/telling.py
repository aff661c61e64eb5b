"""The digests: each rung of the ladder is told in one mail a day (khẩn and above: at once), with what it needs to act.

A department gets at most one mail each working day over all campaigns; urgent directives are told of
once a round. Silent, undeliverable and rejected are never mixed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta

from sqlalchemy import select

from congvan.acts import digest_mail, mails, papers, urging
from congvan.acts.digest_mail import Told
from congvan.acts.escalations import DIGEST_AT, next_digest_at, next_reading, tell_at
from congvan.acts.frozen import cascade_of, is_urgent
from congvan.acts.issuing import play_issue
from congvan.acts.rungs_due import Ready, due_cases, is_report, is_reported, prepare
from congvan.house import House
from congvan.rules.calendar import instant, local
from congvan.rules.protocol import Fact
from congvan.store.ledger import Entry, Ledger
from congvan.store.tables import Campaign, Case, Delivery, Digest, Letter


async def tell(house: House) -> list[str]:
    """Write the digests that are due, one for each rung's owner; return their ids.

    1. Nothing due: nothing is locked, and nobody waits for a transaction that would write nothing.
    2. Lock the due cases of every campaign that is not held; a draft of a công văn đôn đốc that nobody needs any more
       is dropped, so that no digest encloses it and nobody is asked for its issue.
    3. Group them by the owner of their next rung; a rung that consists of the silent party alone is passed by.
       What is not urgent waits for the owner's next reading: at night, on days off, after the day's digest.
    4. One digest, its table and its mail for each owner; each delivery's log names the digest.
    5. Who has a letter of no hop in hand that should have been issued is reminded of it as well.
    6. A page that cannot be set keeps nothing from the others. A Báo cáo, and a đôn đốc whose last date has passed, are
       tried again with the next digest; else the digest leaves without the draft of the đôn đốc, which comes with the
       next rung. What was wrong is raised at the end.
    """
    now = await house.clock.now()
    async with house.store.view() as ledger:
        at = await next_digest_at(ledger)
    if at is None or at > now:
        return []
    ready = await prepare(house, now)
    submitted: list[str] = []
    async with house.store.act() as ledger:
        due = await due_cases(ledger, now)
        due = await _without_the_unset(house, ledger, due, ready, now)
        for key in sorted({one.campaign_id for one in ready.unwanted}):
            await ledger.take(Campaign, key)
        await papers.drop(ledger, ready.unwanted)
        keys = {delivery.campaign_id for _, delivery in due}
        campaigns = {one.id: one for one in await ledger.all(select(Campaign).where(Campaign.id.in_(keys)))}
        groups: dict[str, list[Told]] = {}
        for case, delivery in due:
            ladder = cascade_of(campaigns[case.campaign_id]).ladder
            rung = ladder[min(case.rung, len(ladder) - 1)]
            groups.setdefault(rung.to, []).append((case, delivery, rung))
        made = []
        for owner, members in sorted(groups.items()):
            told = await _put_off(house, ledger, owner, members, campaigns, now)
            if told:
                submitted += await _submit(house, ledger, told, campaigns, ready, now)
                made.append(await _tell_one(house, ledger, owner, told, campaigns, now))
        submitted += await _next_round(house, ledger, ready, now)
    await papers.chase(house)
    for letter_id in submitted:
        # Nobody else plays the clerk of an exercise.
        await play_issue(house, letter_id, "exercise")
    if faults := [*ready.urge_faults.values(), *ready.report_faults.values()]:
        raise faults[0]
    return made


async def _next_round(house: House, ledger: Ledger, ready: Ready, now: datetime) -> list[str]:
    """Where the last date of a đôn đốc has passed and somebody is still silent, the next one goes to the clerk."""
    played = []
    for letter in ready.passed:
        guard = Letter.id == letter.id, Letter.awaits_until.is_not(None)
        if letter.campaign_id in ready.urge_faults:
            await ledger.change(Letter, *guard, awaits_until=_tomorrow(house, now))
            continue
        campaign = await ledger.take(Campaign, letter.campaign_id)
        overtaken = letter.state == "PENDING_ISSUE"
        if (overtaken or await ledger.change(Letter, *guard, awaits_until=None) == 1) and campaign.id in ready.urges:
            letter_id = await urging.submit(house, ledger, campaign, ready.urges[campaign.id], now, tell=True)
            played += [letter_id] if letter_id and campaign.mode == "exercise" else []
    return played


async def _without_the_unset(
    house: House, ledger: Ledger, due: Sequence[tuple[Case, Delivery]], ready: Ready, now: datetime
) -> list[tuple[Case, Delivery]]:
    """All but those whose rung is a Báo cáo that could not be set: they are due again with the next digest."""
    left = []
    for case, delivery in due:
        if case.campaign_id in ready.report_faults and is_report(await ledger.get(Campaign, case.campaign_id), case):
            await ledger.change(Case, Case.id == case.id, tell_at=_tomorrow(house, now))
        else:
            left.append((case, delivery))
    return left


def _tomorrow(house: House, now: datetime) -> datetime:
    """When the owner of a rung reads the digest after today's."""
    return next_reading(house, instant(local(now).date() + timedelta(days=1), time()))


async def _submit(
    house: House,
    ledger: Ledger,
    members: Sequence[Told],
    campaigns: Mapping[str, Campaign],
    ready: Ready,
    now: datetime,
) -> list[str]:
    """Hand the drafts to the clerk; the letters of exercises that he need not issue himself."""
    played = []
    for key in sorted({case.campaign_id for case, _, _ in members}):
        rungs = {rung.template for case, _, rung in members if case.campaign_id == key}
        campaign = campaigns[key]
        if key in ready.urges and rungs - {"report"}:
            letter_id = await urging.submit(house, ledger, campaign, ready.urges[key], now, tell=False)
            played += [letter_id] if letter_id and campaign.mode == "exercise" else []
        if key in ready.reports and "report" in rungs and not await is_reported(ledger, campaign):
            made, rendered = ready.reports[key]
            letter_id = await papers.submit(house, ledger, campaign, made, rendered, now, about=None, tell=True)
            said = {"letter": letter_id, "kind": "report"}
            await ledger.write(campaign, now, Entry(Fact.LETTER_DRAFTED, said))
    return played


async def _put_off(
    house: House,
    ledger: Ledger,
    owner: str,
    members: Sequence[Told],
    campaigns: Mapping[str, Campaign],
    now: datetime,
) -> list[Told]:
    """Put off what this owner does not read now; return the rest.

    Digests come late after a standstill, and clocks differ a little: neither may bring a second one.
    """
    wall, state = local(now), house.calendars.state
    had = Digest.owner == owner, Digest.day == wall.date(), Digest.ordinal == 0
    if await ledger.first(select(Digest.id).where(*had)) is not None:
        later = _tomorrow(house, now)
    elif state.is_working(wall.date()) and DIGEST_AT <= wall.time() < state.closes:
        return list(members)
    else:
        later = next_reading(house, now)
    routine = {case.id for case, _, _ in members if not is_urgent(campaigns[case.campaign_id])}
    await ledger.change(Case, ledger.among(Case.id, routine), tell_at=later)
    return [member for member in members if member[0].id not in routine]


async def _tell_one(
    house: House,
    ledger: Ledger,
    owner: str,
    members: Sequence[Told],
    campaigns: Mapping[str, Campaign],
    now: datetime,
) -> str:
    digest_id, day = house.new_id(now), local(now).date()
    ordinal = 0
    if all(is_urgent(campaigns[case.campaign_id]) for case, _, _ in members):
        ordinal = 1 + await ledger.count(
            select(Digest.id).where(Digest.owner == owner, Digest.day == day, Digest.ordinal > 0)
        )
    # The last rung is the report upwards, which leaves only as an issued document: no mail tells of it.
    others = [row for row in members if row[1].recipient != owner and row[2].template != "report"]
    if others:
        await digest_mail.queue(house, ledger, owner, others, campaigns, now, digest_id)
    await ledger.add(
        Digest, id=digest_id, owner=owner, day=day, ordinal=ordinal, made_at=now, cases=len(members)
    )
    next_ones = {(case.campaign_id, case.rung + 1) for case, _delivery, _rung in members}
    then = {(key, rung): tell_at(house, campaigns[key], rung, now) for key, rung in next_ones}
    rows = [
        {"id": case.id, "rung": case.rung + 1, "tell_at": then[case.campaign_id, case.rung + 1], "digest_id": digest_id}
        for case, _delivery, _rung in members
    ]
    await ledger.change_many(Case, rows)
    # A delivery may stand in two cases; its chain is written once.
    said: dict[str, tuple[Delivery, list[Entry]]] = {}
    for case, delivery, _rung in members:
        data = {"digest": digest_id, "to": owner, "rung": case.rung + 1, "case": case.kind}
        said.setdefault(delivery.id, (delivery, []))[1].append(Entry(Fact.TOLD, data))
    await ledger.write_many([(delivery, entries, {}) for delivery, entries in said.values()], now)
    for campaign_id in sorted({case.campaign_id for case, _d, _r in members}):
        await mails.wake_campaign(ledger, campaign_id, now)
    return digest_id
