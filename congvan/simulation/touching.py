"""Invariants on single rows, as a step has just written them. Each names what it holds when it breaks."""

from __future__ import annotations

import sqlite3
from datetime import datetime

import orjson

from congvan.rules.calendar import local
from congvan.simulation.look import rows, some
from congvan.simulation.memory import (
    CHASERS,
    FAREWELLS,
    LETTERS,
    SETTLED,
    Chain,
    Memory,
    delivery_row,
    due_of,
    is_settled,
)
from congvan.simulation.scheduler import Broken


def hold(memory: Memory, true: bool, what: str, *whom: object) -> None:
    """One check."""
    memory.checks += 1
    if not true:
        raise Broken(f"{what}: {', '.join(str(one) for one in whom)}")


# ------------------------------------------------------------------------------------ events


def event(memory: Memory, happened: sqlite3.Row) -> None:
    """What a line of the log may say, and when."""
    if happened["kind"] == "escalated":
        _escalated(memory, happened)
    elif happened["kind"] == "opened":
        _opened(memory, happened)


def _escalated(memory: Memory, happened: sqlite3.Row) -> None:
    delivery = delivery_row(memory.disk, happened["stream"])
    before = memory.deliveries[happened["stream"]]
    due = before.due_at
    assert due is not None, "only an opened delivery escalates"
    policy = memory.policy(delivery["campaign"], delivery["issuer_level"], delivery["level"])
    limit = memory.escalates_at(policy, due)
    hold(
        memory, some(happened["at"]) >= limit, "5 escalated before deadline and grace", delivery["code"], happened["at"]
    )
    hold(
        memory, before.state not in SETTLED[delivery["settles"]], "5 a settled delivery was escalated", delivery["code"]
    )


def _opened(memory: Memory, happened: sqlite3.Row) -> None:
    found = rows(memory.disk, "select * from hops where id = ?", happened["stream"])
    if not found:
        return
    hop = found[0]
    times = memory.chains[hop["id"]].kinds.count("opened")
    hold(memory, times == 1, "3 a hop opened twice", hop["issuer"])
    if hop["parent_delivery_id"] is None:
        return
    parent = delivery_row(memory.disk, hop["parent_delivery_id"])
    before = memory.deliveries[parent["id"]]
    policy = memory.policy(parent["campaign"], parent["issuer_level"], parent["level"])
    if hop["bypassed_at"] is not None:
        silent = policy.on_silence.value == "bypass" and "escalated" in memory.chains[parent["id"]].kinds
        may = silent or "exempted" in memory.chains[parent["id"]].kinds
    else:
        may = _released(memory, policy.release.value, before.state, before.due_at, some(happened["at"]), hop)
    hold(memory, may, "3 a hop opened before its release", hop["issuer"], before.state, policy.release.value)


def _released(memory: Memory, release: str, state: str, due: datetime | None, at: datetime, hop: sqlite3.Row) -> bool:
    if state in ("FORWARDED", "COMPLETED"):
        return True
    if state in ("WITHDRAWN", "EXEMPT"):
        return False
    if release == "on_acknowledge":
        company = hop["level"] == "investor"
        record = orjson.loads(rows(memory.disk, "select record from organisations where code = ?", hop["issuer"])[0][0])
        may = not company or bool(record["standing_authority"])
        return may and state in ("ACKNOWLEDGED", "IN_PROGRESS")
    return release == "at_once" or (release == "at_deadline" and due is not None and at >= due)


# ------------------------------------------------------------------------------------ mail


def message(memory: Memory, wanted: sqlite3.Row) -> None:
    """An intent to send."""
    if wanted["delivery_id"] is None:
        return
    delivery = delivery_row(memory.disk, wanted["delivery_id"])
    if wanted["kind"] in LETTERS:
        stems = [
            one["kind"]
            for one in rows(memory.disk, "select kind, step from messages where delivery_id = ?", delivery["id"])
            if one["kind"] in LETTERS and one["step"] == wanted["step"]
        ]  # fmt: skip
        hold(memory, len(stems) == 1, "1 a second letter for one obligation", delivery["code"], *stems)
    if wanted["kind"] in CHASERS:
        _chaser(memory, wanted, delivery)


def _chaser(memory: Memory, wanted: sqlite3.Row, delivery: sqlite3.Row) -> None:
    due, at = due_of(delivery), some(wanted["created_at"])
    assert due is not None, "only an opened delivery is reminded"
    hold(
        memory, not is_settled(delivery), "4 a settled delivery is to be reminded", delivery["code"], delivery["state"]
    )
    policy = memory.policy(delivery["campaign"], delivery["issuer_level"], delivery["level"])
    step = int(wanted["step"].rpartition("-")[2])
    first = memory.reminder_at(policy, step, due)
    # What was held and what is due on the same day go out as one mail.
    early = at < first and local(at).date() != local(first).date()
    hold(memory, not early, "4 reminded before its time", delivery["code"], wanted["step"], wanted["created_at"])
    hold(memory, delivery["sent_at"] is not None, "4 reminded of a letter that was not sent", delivery["code"])


def attempt(memory: Memory, made: sqlite3.Row) -> None:
    """A hand-over to the mail server, as it was claimed, with what is known of its message and whose it is."""
    kind, at = made["kind"], some(made["started_at"])
    # A refusal that a process wrote down after it was overtaken is no more than an old opinion, also where whoever
    # overtook it never came to try.
    answered = rows(
        memory.disk,
        "select outcome from attempts where message_id = ? and ordinal < ?"
        " and (outcome = 'accepted' or outcome = 'refused' and ordinal = ? - 1)",
        made["message_id"], made["ordinal"], made["ordinal"],
    )  # fmt: skip
    done = [one["outcome"] for one in answered]
    hold(memory, not done, "2 sent again although the server had answered", kind, made["name"], *done)
    hold(memory, some(made["not_before"]) <= at, "2 sent before it may leave", made["name"])
    kept = made["held_at"] is not None and kind not in ("pause", "held")
    hold(memory, not kept, "sent while the campaign was held", kind, made["name"])
    if not made["urgent"] and not memory.urgent(made["campaign"]):
        hold(memory, memory.at_work(at), "4 sent outside working hours", kind, made["started_at"])
        quiet = kind in CHASERS and memory.is_quiet(at)
        hold(memory, not quiet, "4 reminded in the quiet window", made["started_at"])
    if made["code"] is not None:
        _to_whom(memory, made)


def _to_whom(memory: Memory, made: sqlite3.Row) -> None:
    ended = made["state"] in ("WITHDRAWN", "EXEMPT") and made["kind"] not in FAREWELLS
    hold(memory, not ended, "4 sent to one who was let go", made["kind"], made["code"], made["state"])
    if made["kind"] in CHASERS:
        open_ = not is_settled(made) and made["state"] not in ("REJECTED", "UNDELIVERABLE")
        hold(memory, open_, "4 a reminder crosses an answer", made["code"], made["state"])


def digest(memory: Memory, told: sqlite3.Row) -> None:
    """At most one digest for an owner and a day, but for urgent directives."""
    made = local(some(told["made_at"]))
    cases = rows(
        memory.disk,
        "select c.code from cases k join campaigns c on c.id = k.campaign_id where k.digest_id = ?",
        told["id"],
    )
    if all(memory.urgent(one["code"]) for one in cases):
        return
    hold(memory, memory.calendars.state.is_working(made.date()), "5 a digest on a day off", told["owner"], made)
    hold(memory, made.hour >= 8, "5 a digest before the department reads", told["owner"], made)
    others = rows(
        memory.disk,
        "select c.code from digests d join cases k on k.digest_id = d.id join campaigns c on c.id = k.campaign_id"
        " where d.owner = ? and d.day = ? and d.id <> ?",
        told["owner"], told["day"], told["id"],
    )  # fmt: skip
    routine = [one["code"] for one in others if not memory.urgent(one["code"])]
    hold(memory, not routine, "a second digest to one owner on one day", told["owner"], told["day"])


# ------------------------------------------------------------------------------------ deliveries


def delivery(memory: Memory, now: sqlite3.Row, chain: Chain) -> None:
    """A delivery as it stands after the step."""
    code, before = now["code"], memory.deliveries.get(now["id"])
    hold(memory, now["state"] == chain.state, "10 the log does not explain the state", code, chain.state, now["state"])
    due = due_of(now)
    if before is not None and before.due_at is not None:
        hold(memory, due is not None and due >= before.due_at, "a deadline that was told moved earlier", code)
    cases = {
        one["kind"]
        for one in rows(memory.disk, "select kind from cases where delivery_id = ? and closed_at is null", now["id"])
    }  # fmt: skip
    if is_settled(now):
        hold(memory, not cases, "a settled delivery has an open case", code, *sorted(cases))
        hold(memory, now["wake_at"] is None, "a settled delivery has something due", code)
        return
    if now["state"] in ("REJECTED", "UNDELIVERABLE"):
        hold(
            memory, now["state"].lower() in cases, "1 nobody is told of one that cannot be reached", code, now["state"]
        )
    elif now["escalated_at"] is not None:
        hold(memory, bool(cases), "1 an escalated delivery without a case", code)
    elif due is not None and now["campaign_state"] != "CLOSED":
        hold(memory, now["wake_at"] is not None, "1 forgotten: open, and nothing will ever be due", code, now["state"])
