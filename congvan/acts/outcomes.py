"""What the mail server said of the messages that were handed to it, and what becomes of their deliveries."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any

from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.orm import load_only

from congvan.acts import escalations
from congvan.acts.claiming import Work
from congvan.acts.mails import CHASERS, LETTERS, PATIENCE
from congvan.house import House
from congvan.mail.sender import Outcome
from congvan.rules.protocol import Event, Fact, State, advance
from congvan.store.ledger import Entry, Ledger
from congvan.store.tables import Attempt, Delivery, Message

Change = tuple[Delivery, list[Entry], dict[str, Any]]

_FIRST_WAIT = timedelta(minutes=1)
_LONGEST_WAIT = timedelta(hours=4)
#: While the way itself is shut, it is looked at this often at the latest.
_LONGEST_SHUT = timedelta(minutes=30)
#: Waits differ by up to this share, so that what failed together does not come back together.
JITTER = 0.25
#: Of a delivery, what an outcome reads and writes: a quarter of its columns, at a quarter of the price.
_NEEDED = load_only(
    Delivery.id, Delivery.campaign_id, Delivery.state, Delivery.reminders, Delivery.event_seq, Delivery.event_head,
    Delivery.board_seq, raiseload=True,
)  # fmt: skip


def untried(outcome: Outcome) -> bool:
    """True where the server asked for time before this message was offered to it: not an attempt."""
    return outcome.verdict == "unavailable" and outcome.slow_down and outcome.code is None


async def record(house: House, works: Sequence[Work], outcomes: Sequence[Outcome]) -> None:
    """Write down what the mail server said, and move the deliveries by it, in one transaction."""
    now = await house.clock.now()
    by_key = {work.message.id: work for work in works}
    judged = [_Judged(by_key[outcome.key], outcome, now, house.random) for outcome in outcomes]
    async with house.store.act() as ledger:
        keys = sorted({one.message.delivery_id for one in judged if one.message.delivery_id is not None})
        deliveries: dict[str, Delivery] = {
            row.id: row
            for row in await ledger.all(
                select(Delivery).where(Delivery.id.in_(keys)).order_by(Delivery.id).options(_NEEDED), lock=True
            )
        }
        await _write_messages(ledger, judged, now)
        changes: dict[str, Change] = {}
        for one in judged:
            delivery = deliveries.get(one.message.delivery_id or "")
            if delivery is not None and (change := one.moved(delivery)) is not None:
                _merge(changes, change)
        await ledger.write_many(list(changes.values()), now)
        for delivery, entries, _values in changes.values():
            if any(entry.kind == Event.REFUSED for entry in entries):
                await escalations.open_case(house, ledger, delivery, "undeliverable", now)


def _merge(changes: dict[str, Change], change: Change) -> None:
    # Two messages of one delivery in one batch: its chain is written once.
    known = changes.setdefault(change[0].id, (change[0], [], {}))
    known[1].extend(change[1])
    known[2].update(change[2])


class _Judged:
    """One outcome and what it does."""

    __slots__ = ("given_up", "message", "now", "ordinal", "outcome", "verdict", "wait")

    def __init__(self, work: Work, outcome: Outcome, now: datetime, chance: Random) -> None:
        self.message, self.outcome, self.now, self.ordinal = work.message, outcome, now, work.ordinal
        self.verdict = "untried" if untried(outcome) else outcome.verdict
        self.wait = timedelta()
        self.given_up = False
        if self.verdict in ("unavailable", "untried", "unknown"):
            shut = self.verdict == "untried"
            self.wait = wait_while_shut(work.message, now, chance) if shut else wait_before(work.ordinal, chance)
            self.given_up = outcome.verdict == "unavailable" and now + self.wait > work.message.give_up_at

    @property
    def refused(self) -> bool:
        return self.verdict == "refused" or self.given_up

    def message_after(self) -> dict[str, Any]:
        """The columns of the message that this outcome changes, but for its reply."""
        row: dict[str, Any] = {"lease_until": None, "lease_owner": None}
        if self.verdict == "accepted":
            return row | {"state": "SENT", "sent_at": self.now}
        if self.refused:
            return row | {"state": "REFUSED"}
        row["not_before"] = self.now + self.wait
        if self.verdict == "unknown":
            return row | {"state": "UNKNOWN", "unknown": self.message.unknown + 1}
        return row | {"state": "QUEUED"} | ({"attempts": self.ordinal - 1} if self.verdict == "untried" else {})

    def moved(self, delivery: Delivery) -> Change | None:
        """The change that it makes to a delivery, or None."""
        message, outcome = self.message, self.outcome
        data = {"kind": message.kind, "step": message.step, "message": message.message_id}
        state = State(delivery.state)
        if self.verdict == "accepted":
            if message.kind in LETTERS and state is State.QUEUED:
                return delivery, [Entry(Event.SENT, data)], {
                    "state": advance(state, Event.SENT), "sent_at": self.now, "wake_at": self.now,
                }  # fmt: skip
            if message.kind in CHASERS:
                return delivery, [Entry(Fact.REMINDED, data)], {"reminders": delivery.reminders + 1}
            return delivery, [Entry(Fact.COPIED if message.kind == "copy" else Fact.NOTED, data)], {}
        # The server's words may quote the address; the code is enough for the log.
        data["code"] = outcome.code
        if self.refused:
            return refusal(delivery, data) if message.kind in LETTERS | CHASERS else (
                delivery, [Entry(Fact.DELAYED, data)], {},
            )  # fmt: skip
        if self.verdict == "untried":
            return None
        return delivery, [Entry(Fact.DELAYED, data | {"verdict": outcome.verdict})], {}


def refusal(delivery: Delivery, data: dict[str, Any], channel: str = "system") -> Change:
    """No mailbox takes it: undeliverable where it still counts, else a line in the log. The caller opens the case."""
    state = State(delivery.state)
    if state in (State.QUEUED, State.SENT):
        entry = Entry(Event.REFUSED, data, channel=channel)
        return delivery, [entry], {"state": advance(state, Event.REFUSED), "wake_at": None}
    return delivery, [Entry(Fact.DELAYED, data, channel=channel)], {}


async def _write_messages(ledger: Ledger, judged: Sequence[_Judged], now: datetime) -> None:
    """One statement for all messages that end alike, only key and reply differing."""
    messages: Any = Message.__table__
    attempts: Any = Attempt.__table__
    connection = await ledger.session.connection()
    alike: dict[tuple[Any, ...], list[_Judged]] = {}
    untouched: list[_Judged] = []
    for one in judged:
        if one.verdict == "untried" and not one.given_up:
            untouched.append(one)
        alike.setdefault(tuple(sorted(one.message_after().items(), key=lambda item: item[0])), []).append(one)
    for values, members in alike.items():
        await connection.execute(
            update(messages).where(messages.c.id == bindparam("key")).values(dict(values) | {"reply": bindparam("said")}),
            [{"key": one.message.id, "said": one.outcome.reply[:500]} for one in members],
        )
    by_end: dict[str | None, list[_Judged]] = {}
    for one in judged:
        if one.verdict != "untried" or one.given_up:
            by_end.setdefault(None if one.verdict == "unknown" else one.outcome.verdict, []).append(one)
    for end, members in by_end.items():
        await connection.execute(
            update(attempts)
            .where(attempts.c.message_id == bindparam("key"), attempts.c.ordinal == bindparam("number"))
            .values(outcome=end, finished_at=now, reply=bindparam("said")),
            [{"key": o.message.id, "number": o.ordinal, "said": o.outcome.reply[:500]} for o in members],
        )
    if untouched:
        await connection.execute(
            delete(attempts).where(
                attempts.c.message_id == bindparam("key"), attempts.c.ordinal == bindparam("number")
            ),
            [{"key": one.message.id, "number": one.ordinal} for one in untouched],
        )


def wait_before(attempt: int, chance: Random | None = None) -> timedelta:
    """The pause after this many attempts that found the server not ready: doubling from a minute to four hours."""
    return _scattered(min(_FIRST_WAIT * (1 << min(attempt - 1, 10)), _LONGEST_WAIT), chance)


def wait_while_shut(message: Message, now: datetime, chance: Random | None = None) -> timedelta:
    """The pause while the way is shut for everybody, which costs no attempt: half of the time that it has
    lasted, from a minute to half an hour. It lasts since the message was first due."""
    lasted = now - (message.give_up_at - PATIENCE)
    return _scattered(min(max(lasted / 2, _FIRST_WAIT), _LONGEST_SHUT), chance)


def _scattered(wait: timedelta, chance: Random | None) -> timedelta:
    return wait if chance is None else wait * (1 + JITTER * (2 * chance.random() - 1))
