"""Invariants over the whole database, at each day's end, and what must be true when the world has come to rest."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from congvan.simulation.look import named, rows
from congvan.simulation.memory import Memory, is_settled
from congvan.simulation.scheduler import Broken
from congvan.simulation.touching import hold
from congvan.store.soundness import QUESTIONS


def numbers(memory: Memory, _now: datetime) -> None:
    """7: no gap in what the engine allocates; a seeded world has no clerk's own register."""
    series: dict[tuple[str, str, int], list[int]] = {}
    for one in rows(memory.disk, "select * from numbers order by number"):
        series.setdefault((one["issuer"], one["series"], one["year"]), []).append(one["number"])
    for name, allocated in series.items():
        hold(memory, allocated == list(range(1, len(allocated) + 1)), "7 a gap in a series", *name)


#: How far the clocks of two processes may be apart.
SKEW = timedelta(seconds=5)
#: Crashes and jumps of the clock leave work undone for as long as they like; leases end by another clock.
_EARLY, _NEVER = "0001-01-01", "9999-12-31"


def sound(memory: Memory, now: datetime) -> None:
    """Whatever the auditor of a running engine asks, but for what depends on how long it has stood still."""
    # An act wakes a hop by its own process's clock, which may be a few seconds ahead.
    soon = (now + SKEW).astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
    instants = {"soon": soon, "late": _EARLY, "dead": _EARLY, "far": _NEVER}
    for kind, question in QUESTIONS.items():
        wanted = {name: at for name, at in instants.items() if f":{name}" in question.sql}
        found = named(memory.disk, question.sql, wanted)
        hold(memory, not found, f"1 {kind}", *[one["place"] for one in found[:5]])


def answers(memory: Memory, _now: datetime) -> None:
    """6: what was once confirmed to a recipient as recorded stands in the log."""
    known = {(one["stream"], one["kind"]) for one in rows(memory.disk, "select distinct stream, kind from events")}
    for answer in memory.answered:
        hold(memory, answer in known, "6 an answer that was confirmed is lost", *answer)


def no_mail_confirms(memory: Memory, _now: datetime) -> None:
    """6: what came by mail was entered by a person, or it is no answer."""
    question = (
        "select stream from events where channel = 'mail' and actor = 'recipient'"
        " and kind in ('acknowledged', 'started', 'forwarded', 'completed', 'rejected')"
    )
    found = rows(memory.disk, question)
    hold(memory, not found, "6 a mail was taken for an answer", *[one["stream"] for one in found[:5]])


def on_the_wire(memory: Memory, taken: Counter[str], copied: Counter[str]) -> None:
    """2: what a server took is known to have left, and it took no more than was handed to it."""
    for key, times in taken.items():
        mail = rows(memory.disk, "select * from messages where id = ?", key)[0]
        ended = mail["state"] in ("SENT", "CANCELLED", "REFUSED")
        hold(memory, ended, "2 a message that left is not known to have left", mail["message_id"], mail["state"])
        attempts = memory.disk.look("select count(*) from attempts where message_id = ?", key)[0][0]
        hold(memory, times - copied[key] <= attempts, "2 more copies than attempts", mail["message_id"])


EVERY_DAY: tuple[Callable[[Memory, datetime], None], ...] = (numbers, sound, answers, no_mail_confirms)


def nobody_forgotten(memory: Memory) -> Counter[str]:
    """1: at the end everybody is settled, or somebody was told of his case, or he is listed as not reached."""
    ends: Counter[str] = Counter()
    # Of a silence after the closing nobody is told any more; it stands in a case all the same.
    in_a_case = (
        "select k.* from cases k join campaigns c on c.id = k.campaign_id where k.closed_at is null"
        " and (k.digest_id is not null and k.rung > 0 or k.kind = 'silent' and k.opened_at > c.closed_at)"
    )
    told = {one["delivery_id"] for one in rows(memory.disk, in_a_case)}
    question = (
        "select d.*, h.opened_at > c.closed_at after_closing from deliveries d join hops h on h.id = d.hop_id"
        " join campaigns c on c.id = d.campaign_id order by d.id"
    )
    for one in rows(memory.disk, question):
        end = _end_of(one, told)
        if end is None:
            raise Broken(f"1 somebody is forgotten: {one['code']}, {one['state']}, due {one['due_at']}")
        ends[end] += 1
        memory.checks += 1
    for mail in rows(memory.disk, "select * from messages where state in ('QUEUED', 'UNKNOWN', 'CLAIMED')"):
        raise Broken(f"2 a message was never sent: {mail['kind']} {mail['message_id']} {mail['state']}")
    return ends


def _end_of(one: sqlite3.Row, told: set[str]) -> str | None:
    if is_settled(one):
        return "settled"
    if one["id"] in told:
        return "told"
    if one["due_at"] is None:
        return "not reached"
    return "reached after the closing" if one["after_closing"] else None
