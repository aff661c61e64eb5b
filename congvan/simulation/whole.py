"""Invariants over the whole database, at each day's end, and what must be true when the world has come to rest."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta

from congvan.simulation.look import rows, some
from congvan.simulation.memory import Memory, is_settled
from congvan.simulation.scheduler import Broken
from congvan.simulation.touching import hold


def numbers(memory: Memory, _now: datetime) -> None:
    """7: no two letters with one number, no gap in what the engine allocates."""
    found = Counter(
        (one["issuer"], one["year"], one["symbol"])
        for one in rows(
            memory.disk, "select issuer, year, symbol from letters where number is not null and symbol <> ''"
        )
    )
    for key, times in found.items():
        hold(memory, times == 1, "7 two letters bear one number", *key)
    series: dict[tuple[str, str, int], list[int]] = {}
    for one in rows(memory.disk, "select * from numbers order by number"):
        series.setdefault((one["issuer"], one["series"], one["year"]), []).append(one["number"])
    for name, allocated in series.items():
        hold(memory, allocated == list(range(1, len(allocated) + 1)), "7 a gap in a series", *name)


def issue(memory: Memory, _now: datetime) -> None:
    """1: every letter that awaits its issue has a person and a date."""
    for one in rows(memory.disk, "select * from letters where state = 'PENDING_ISSUE'"):
        hold(memory, bool(one["awaits"] and one["awaits_until"]), "1 a letter waits for nobody", one["id"])


def opened(memory: Memory, _now: datetime) -> None:
    """3: an open hop has a deadline and the instant of its opening."""
    for hop in rows(memory.disk, "select * from hops where state in ('OPEN', 'SETTLED')"):
        hold(memory, hop["opened_at"] is not None and hop["due_at"] is not None, "an open hop without a deadline")


#: How far the clocks of two processes may be apart.
SKEW = timedelta(seconds=5)

_PENDING = """
select h.issuer, h.id, h.state, h.wake_at, min(w.at) first from hops h join campaigns c on c.id = h.campaign_id
join (select hop_id, not_before at from messages where state in ('QUEUED', 'UNKNOWN')
      union all select hop_id, lease_until from messages where state = 'CLAIMED'
      union all select hop_id, wake_at from deliveries where wake_at is not null and due_at is not null) w
  on w.hop_id = h.id
where c.held_at is null and c.state = 'RUNNING' group by h.id
"""


def wakes(memory: Memory, now: datetime) -> None:
    """1: whatever becomes due in a hop, the hop is woken by then."""
    for hop in rows(memory.disk, _PENDING):
        # An act wakes a hop by its own process's clock, which may be a few seconds ahead.
        due = max(some(hop["first"]), now + SKEW)
        woken = hop["wake_at"] is not None and some(hop["wake_at"]) <= due
        hold(memory, woken, "1 a wake is forgotten", hop["issuer"], hop["state"], hop["first"], hop["wake_at"])


def answers(memory: Memory, _now: datetime) -> None:
    """6: what was once confirmed to a recipient as recorded stands in the log."""
    known = {(one["stream"], one["kind"]) for one in rows(memory.disk, "select distinct stream, kind from events")}
    for answer in memory.answered:
        hold(memory, answer in known, "6 an answer that was confirmed is lost", *answer)


def on_the_wire(memory: Memory, taken: Counter[str], copied: Counter[str]) -> None:
    """2: what a server took is known to have left, and it took no more than was handed to it."""
    for key, times in taken.items():
        mail = rows(memory.disk, "select * from messages where id = ?", key)[0]
        ended = mail["state"] in ("SENT", "CANCELLED", "REFUSED")
        hold(memory, ended, "2 a message that left is not known to have left", mail["message_id"], mail["state"])
        attempts = memory.disk.look("select count(*) from attempts where message_id = ?", key)[0][0]
        hold(memory, times - copied[key] <= attempts, "2 more copies than attempts", mail["message_id"])


def counted(memory: Memory, _now: datetime) -> None:
    """8: hops and campaigns count every recipient once."""
    ways = memory.disk.look("select count(distinct delivery_id) from ways")[0][0]
    hold(memory, ways == memory.disk.look("select count(*) from deliveries")[0][0], "8 a recipient is not on the route")


EVERY_DAY: tuple[Callable[[Memory, datetime], None], ...] = (numbers, issue, opened, wakes, answers, counted)


def nobody_forgotten(memory: Memory) -> Counter[str]:
    """1: at the end everybody is settled, or somebody was told of his case, or he is listed as not reached."""
    ends: Counter[str] = Counter()
    told = {
        one["delivery_id"]
        for one in rows(
            memory.disk, "select * from cases where closed_at is null and digest_id is not null and rung > 0"
        )
    }
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
