"""An open hop: who is due is reminded, who stays silent is escalated, and the way past a silent issuer opens."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any, cast

from sqlalchemy import Integer, Select, String, any_, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from congvan.acts import escalations, mails, papers
from congvan.acts.frozen import is_urgent, policy_of, standing
from congvan.house import House
from congvan.rules.deadlines import Standing, Step, Verdict, due
from congvan.rules.protocol import Fact, State, reached
from congvan.rules.records import OnSilence
from congvan.store.ledger import Entry, Ledger, locked
from congvan.store.tables import Campaign, Delivery, Hop

#: Deliveries decided in one transaction. It locks their rows, and on SQLite everything.
BATCH = 500
#: The same while somebody waits for each of them.
PRESSED_BATCH = 70
#: All that decides what is due for a delivery.
_STANDING = (
    Delivery.level, Delivery.state, Delivery.settles, Delivery.due_at, Delivery.sent_at, Delivery.steps_taken,
    Delivery.escalated_at,
)  # fmt: skip
#: And what its mail, its case and its log need.
_NEEDED = (
    *_STANDING, Delivery.id, Delivery.campaign_id, Delivery.hop_id, Delivery.recipient, Delivery.code, Delivery.address,
    Delivery.child_hop_id, Delivery.reminders, Delivery.round, Delivery.extended, Delivery.event_seq,
    Delivery.event_head, Delivery.board_seq,
)  # fmt: skip


async def chase(house: House, hop_id: str) -> None:
    """Walk over the deliveries that are due, batch by batch; one that cannot move does not stop the others.

    Nobody is chased while the campaign is held, and after its closing: whoever wakes the hop then (Prefect's own
    schedule asks nobody) must not take a step that the resumption could not take back.
    """
    now = await house.clock.now()
    while True:
        limit = PRESSED_BATCH if house.store.pressed else BATCH
        async with house.store.act() as ledger:
            rows = await ledger.batch(_locked(ledger.is_sqlite), hop=hop_id, now=now, most=limit)
            due_ones = cast("Sequence[Delivery]", rows)
            if not due_ones:
                return
            hop = await ledger.get(Hop, hop_id)
            campaign = await ledger.get(Campaign, hop.campaign_id)
            if campaign.held_at is not None or campaign.state != "RUNNING":
                return
            await _decide(house, ledger, campaign, hop, due_ones, now)
        # On PostgreSQL whoever answers while his row is waited for leaves a batch short that was not the last.
        if ledger.is_sqlite and len(due_ones) < limit:
            return


@cache
def _is_due() -> tuple[Any, ...]:
    return Delivery.hop_id == bindparam("hop"), Delivery.wake_at <= bindparam("now")


@cache
def _locked(is_sqlite: bool) -> Select[Any]:
    """By their ids alone: asked for what is due as well, SQLite walks over all of it for every batch. On PostgreSQL
    somebody may have changed one while it was waited for."""
    query = select(*_NEEDED).order_by(Delivery.id)
    if is_sqlite:
        return query.where(Delivery.id.in_(next_batch()))
    chosen = any_(func.array(next_batch().scalar_subquery(), type_=ARRAY(String)))
    return locked(query.where(Delivery.id == chosen, *_is_due()))


def next_batch() -> Select[tuple[str]]:
    """The ids of the next that are due, in the order of their index: to sort all of them for every batch would
    grow as their square."""
    most = bindparam("most", type_=Integer)
    return select(Delivery.id).where(*_is_due()).order_by(Delivery.wake_at).limit(most)


async def _decide(
    house: House, ledger: Ledger, campaign: Campaign, hop: Hop, due_ones: Sequence[Delivery], now: datetime
) -> None:
    urgent = is_urgent(campaign)
    policies = {level: policy_of(campaign, hop, level) for level in {one.level for one in due_ones}}
    changes: list[tuple[Delivery, list[Entry], dict[str, Any]]] = []
    reminders: list[mails.Mail] = []
    silent: list[Delivery] = []
    # Whoever stands alike is looked at once.
    verdicts: dict[tuple[str, Standing], Verdict] = {}
    for delivery in due_ones:
        stands = delivery.level, standing(delivery)
        if (verdict := verdicts.get(stands)) is None:
            verdict = due(stands[1], policies[delivery.level], house.calendars, now, urgent=urgent)
            verdicts[stands] = verdict
        values: dict[str, Any] = {"wake_at": verdict.next_at, "steps_taken": verdict.steps_taken}
        entries: list[Entry] = []
        # Who was reached by hand may have no mailbox: it is escalated like the others.
        if verdict.step is Step.REMIND and delivery.address is not None:
            reminders.append(_reminder(campaign, hop, delivery, verdict.steps_taken, now, urgent))
        elif verdict.step is Step.ESCALATE:
            silent.append(delivery)
            values["escalated_at"] = now
            entries.append(Entry(Fact.ESCALATED, {"due_at": delivery.due_at.isoformat() if delivery.due_at else ""}))
        changes.append((delivery, entries, values))
    await ledger.write_many(changes, now)
    # What never left while the engine stood still is out of date: one mail catches up.
    late = [mail.delivery_id for mail in reminders] + [delivery.id for delivery in silent]
    await mails.cancel_stale(ledger, [key for key in late if key])
    await mails.queue(house, ledger, reminders, now)
    # Whose letter never left is not silent.
    cases = [(one, "silent" if reached(State(one.state)) else "undeliverable") for one in silent]
    await escalations.open_cases(house, ledger, cases, now)
    for delivery in silent:
        await _bypass(house, ledger, campaign, hop, delivery, now)


def _reminder(
    campaign: Campaign, hop: Hop, delivery: Delivery, steps: int, now: datetime, urgent: bool
) -> mails.Mail:
    assert delivery.address is not None, "only a sent letter is reminded of"
    assert delivery.due_at is not None, "only a sent letter is reminded of"
    return mails.Mail(
        kind="overdue" if now > delivery.due_at else "reminder",
        # An extension begins the steps anew: they are other messages.
        step=f"{delivery.round}-{delivery.extended}-{steps}" if delivery.extended else f"{delivery.round}-{steps}",
        recipient=delivery.recipient, address=delivery.address, not_before=now, delivery_id=delivery.id,
        hop_id=hop.id, campaign_id=campaign.id, urgent=urgent, context={"ordinal": delivery.reminders + 1},
    )  # fmt: skip


async def _bypass(
    house: House, ledger: Ledger, campaign: Campaign, hop: Hop, delivery: Delivery, now: datetime
) -> None:
    """Past a silent issuer: those below get the letter of the hop above, if the policy says so."""
    if delivery.child_hop_id is None:
        return
    if policy_of(campaign, hop, delivery.level).on_silence is not OnSilence.BYPASS:
        return
    below = await ledger.take(Hop, delivery.child_hop_id)
    if below.opened_at is None and below.bypassed_at is None:
        await papers.drop_of_hop(ledger, below, now)
        await ledger.write(below, now, Entry(Fact.BYPASSED, {"silent": delivery.recipient}), bypassed_at=now)
        await mails.wake_hop(ledger, below.id, now)


async def reminds(house: House, ledger: Ledger, campaign: Campaign, hop: Hop, now: datetime) -> bool:
    """True when a reminder of this hop is due: asked again each second until its turn begins."""
    urgent = is_urgent(campaign)
    # Whoever stands alike is looked at once.
    alike = (await ledger.session.execute(_alike(), {"hop": hop.id, "now": now})).all()
    return any(
        due(standing(one), policy_of(campaign, hop, one.level), house.calendars, now, urgent=urgent).step
        is Step.REMIND
        for one in cast("Sequence[Delivery]", alike)
    )


@cache
def _alike() -> Select[Any]:
    return select(*_STANDING).where(*_is_due()).distinct()
