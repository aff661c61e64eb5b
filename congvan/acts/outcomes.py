"""What the mail server said of the messages that were handed to it, and what becomes of their deliveries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from types import SimpleNamespace
from typing import Any, cast

from sqlalchemy import Delete, Select, Update, bindparam, delete, select, update

from congvan.acts import escalations, mailboxes
from congvan.acts.claiming import Work
from congvan.acts.judging import Change, Judged
from congvan.house import House
from congvan.mail.outgoing import Outcome
from congvan.rules.protocol import Event
from congvan.store.bulk import among
from congvan.store.ledger import Ledger, locked
from congvan.store.tables import Attempt, Delivery, Message, Table

#: Of a delivery, what an outcome reads and writes: a quarter of its columns, and no instant among them.
_NEEDED = (
    Delivery.id, Delivery.campaign_id, Delivery.code, Delivery.recipient, Delivery.state, Delivery.reminders,
    Delivery.event_seq, Delivery.event_head,
    Delivery.board_seq, Delivery.mailboxes, Delivery.round, Delivery.settles,
    Delivery.sent_at.is_(None).label("unsent"), Delivery.escalated_at.is_not(None).label("told"),
)  # fmt: skip
#: As many different replies are written by one statement each; more of them row by row.
_FEW = 4


async def record(house: House, works: Sequence[Work], outcomes: Sequence[Outcome]) -> None:
    """Write down what the mail server said, and move the deliveries by it, in one transaction.

    Where somebody else took a message over meanwhile (this process stood still for longer than its lease), only an
    acceptance still says something of it, and a refusal where nobody came to try it since.
    """
    now = await house.clock.now()
    by_key = {work.message.id: work for work in works}
    judged = [Judged(by_key[outcome.key], outcome, now, house.random) for outcome in outcomes]
    _come_back_together(judged)
    async with house.store.act() as ledger:
        keys = sorted({one.message.delivery_id for one in judged if one.message.delivery_id is not None})
        rows = await ledger.batch(_locked(ledger.is_sqlite), keys=keys)
        deliveries = {row.id: cast(Delivery, row) for row in rows}
        await _write_attempts(ledger, judged, now)
        judged = await _not_overtaken(ledger, judged)
        await _hear_old_refusals(ledger, judged)
        await _write_messages(ledger, judged)
        changes: dict[str, Change] = {}
        for one in judged:
            delivery = deliveries.get(one.message.delivery_id or "")
            if delivery is not None and (change := one.moved(_as_changed(delivery, changes))) is not None:
                _merge(changes, change)
        # Before the entries are written: those of the closed cases are among them.
        silent = await _close_undeliverable(ledger, list(changes.values()), now)
        await ledger.write_many(list(changes.values()), now)
        await escalations.open_cases(house, ledger, [(delivery, "silent") for delivery in silent], now)
        for delivery, entries, _values in changes.values():
            if any(entry.kind == Event.REFUSED for entry in entries):
                await escalations.open_case(house, ledger, delivery, "undeliverable", now)
            elif any(entry.kind == Event.READDRESSED for entry in entries):
                await mailboxes.send_anew(house, ledger, delivery.id, now)
        offices = [one.message for one in judged if one.refused and one.message.delivery_id is None]
        await mailboxes.next_for_offices(house, ledger, offices, now)


@cache
def _locked(is_sqlite: bool) -> Select[Any]:
    return locked(select(*_NEEDED).where(among(Delivery.id, "keys", is_sqlite)).order_by(Delivery.id))


async def _close_undeliverable(ledger: Ledger, changes: Sequence[Change], now: datetime) -> list[Delivery]:
    """Close the cases of those of whom somebody was told that no letter could reach them, and whom it reaches now; add
    that to their entries, and return them. Nothing becomes due by the clock any more: they are silent from now on."""
    found = []
    for delivery, entries, _values in changes:
        row: Any = delivery
        if row.told and any(entry.kind == Event.SENT for entry in entries):
            entries += await escalations.close_cases(
                ledger, delivery, now, by="engine", why=Event.SENT.value, kinds=("undeliverable",)
            )
            found.append(delivery)
    return found


def _come_back_together(judged: Sequence[Judged]) -> None:
    """What found the way shut at once asks again at once: one look of many messages, not a look of each."""
    shut = [one for one in judged if one.verdict == "untried" and not one.given_up]
    longest = max((one.wait for one in shut), default=timedelta())
    for one in shut:
        one.wait = longest


def _as_changed(delivery: Delivery, changes: dict[str, Change]) -> Delivery:
    """The delivery as the messages before it in this batch leave it: of a letter and its replacement that leave
    together, one makes it sent."""
    if delivery.id not in changes:
        return delivery
    columns: Any = delivery
    return cast(Delivery, SimpleNamespace(**(columns._asdict() | changes[delivery.id][2])))


def _merge(changes: dict[str, Change], change: Change) -> None:
    # Two messages of one delivery in one batch: its chain is written once.
    known = changes.setdefault(change[0].id, (change[0], [], {}))
    known[1].extend(change[1])
    known[2].update(change[2])


async def _not_overtaken(ledger: Ledger, judged: Sequence[Judged]) -> list[Judged]:
    """Those that still have their message in hand; late acceptances that nobody has written down; and where somebody
    has put the message off since, a refusal: that it could not be taken now would bring it back too early, and wake
    no hop."""
    keys = sorted(one.message.id for one in judged)
    rows = {row.id: row for row in await ledger.batch(_standing(ledger.is_sqlite), keys=keys)}
    return [one for one in judged if one.counts(rows[one.message.id])]


async def _hear_old_refusals(ledger: Ledger, judged: Sequence[Judged]) -> None:
    """Where this attempt was never made and the one before it was refused, that refusal is the last word: it came from
    a process that was overtaken, when another had the message in hand and might have had it taken."""
    waiting = {one.message.id: one for one in judged if one.verdict == "untried"}
    said = await refused_before(ledger, {key: one.ordinal for key, one in waiting.items()})
    for key, reply in said.items():
        waiting[key].refuse(reply)


async def refused_before(ledger: Ledger, ordinals: Mapping[str, int]) -> dict[str, str]:
    """By key, what the server said when it refused the attempt before this one."""
    later = {key: ordinal for key, ordinal in ordinals.items() if ordinal > 1}
    if not later:
        return {}
    rows = await ledger.batch(_refused(ledger.is_sqlite), keys=sorted(later))
    return {row.message_id: row.reply or "" for row in rows if row.ordinal == later[row.message_id] - 1}


@cache
def _refused(is_sqlite: bool) -> Select[Any]:
    query = select(Attempt.message_id, Attempt.ordinal, Attempt.reply)
    return query.where(among(Attempt.message_id, "keys", is_sqlite), Attempt.outcome == "refused")


@cache
def _standing(is_sqlite: bool) -> Select[Any]:
    query = select(Message.id, Message.state, Message.attempts).where(among(Message.id, "keys", is_sqlite))
    return locked(query.order_by(Message.id))


async def _write_attempts(ledger: Ledger, judged: Sequence[Judged], now: datetime) -> None:
    """One statement for all that end alike; what was never tried leaves no attempt."""
    ends: dict[tuple[int, str | None], list[Judged]] = {}
    untouched: dict[int, list[str]] = {}
    for one in judged:
        if one.verdict == "untried" and not one.given_up:
            untouched.setdefault(one.ordinal, []).append(one.message.id)
        else:
            verdict = None if one.verdict == "unknown" else str(one.outcome.verdict)
            ends.setdefault((one.ordinal, verdict), []).append(one)
    for (ordinal, end), members in ends.items():
        guards = {"ordinal": ordinal}
        await _write(ledger, Attempt, "message_id", members, {"outcome": end, "finished_at": now}, guards)
    for ordinal, keys in untouched.items():
        await ledger.changed(_untouched(ledger.is_sqlite), {"keys": keys, "made": ordinal})


@cache
def _untouched(is_sqlite: bool) -> Delete:
    attempts: Any = Attempt.__table__
    keys = among(attempts.c.message_id, "keys", is_sqlite)
    return delete(attempts).where(keys, attempts.c.ordinal == bindparam("made"))


async def _write_messages(ledger: Ledger, judged: Sequence[Judged]) -> None:
    ends: dict[tuple[Any, ...], list[Judged]] = {}
    for one in judged:
        ends.setdefault(tuple(sorted(one.message_after().items(), key=lambda item: item[0])), []).append(one)
    for values, members in ends.items():
        await _write(ledger, Message, "id", members, dict(values), {})


async def _write(
    ledger: Ledger, table: type[Table], key: str, members: Sequence[Judged], values: Mapping[str, Any],
    guards: Mapping[str, Any],
) -> None:  # fmt: skip
    """The values for these messages, and what the server said to each."""
    said: dict[str, list[str]] = {}
    for one in members:
        said.setdefault(one.outcome.reply[:500], []).append(one.message.id)
    connection = await ledger.session.connection()
    bound = {f"new_{name}": value for name, value in values.items()}
    bound |= {f"old_{name}": value for name, value in guards.items()}
    shape = table, key, tuple(values), tuple(guards)
    if len(said) <= _FEW:
        statement = _written_alike(*shape, ledger.is_sqlite)
        for reply, keys in said.items():
            await connection.execute(statement, bound | {"new_reply": reply, "keys": keys})
    else:
        rows = [bound | {"the_key": one.message.id, "new_reply": one.outcome.reply[:500]} for one in members]
        await connection.execute(_written_singly(*shape), rows)


@cache
def _written_alike(
    table: type[Table], key: str, values: Sequence[str], guards: Sequence[str], is_sqlite: bool
) -> Update:
    return _written(table, values, guards).where(among(table.__table__.c[key], "keys", is_sqlite))


@cache
def _written_singly(table: type[Table], key: str, values: Sequence[str], guards: Sequence[str]) -> Update:
    return _written(table, values, guards).where(table.__table__.c[key] == bindparam("the_key"))


def _written(table: type[Table], values: Sequence[str], guards: Sequence[str]) -> Update:
    columns = table.__table__.c
    return (
        update(table.__table__)  # type: ignore[arg-type]
        .where(*(columns[name] == bindparam(f"old_{name}") for name in guards))
        .values({name: bindparam(f"new_{name}") for name in (*values, "reply")})
    )
