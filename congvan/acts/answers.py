"""What was reported: each recipient's answers to the plan's questions, and their sums by park and as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select

from congvan.acts import registry
from congvan.acts.frozen import cascade_of, plan_of
from congvan.rules import requirements
from congvan.rules.protocol import Event, State
from congvan.rules.requirements import Kind, Question
from congvan.store.ledger import Ledger
from congvan.store.tables import Campaign, Delivery, EventRow


async def given(ledger: Ledger, campaign: Campaign) -> dict[str, dict[str, Any]]:
    """By delivery: {"report": words, "answers": {…}, "files": […]} of everyone who has reported."""
    rows = await ledger.rows(
        select(EventRow.stream, EventRow.data)
        .where(EventRow.campaign_id == campaign.id, EventRow.kind == Event.COMPLETED.value)
        .order_by(EventRow.stream, EventRow.seq)
    )
    return {stream: dict(data) for stream, data in rows}


async def rolled(ledger: Ledger, campaign: Campaign) -> list[dict[str, Any]]:
    """The sums of every level that is asked for figures: as a whole and by park, in the order of the plan.

    Who is in two parks has one obligation and counts in the park of its first way. Who was let go is not asked.
    """
    questions = plan_of(campaign).questions
    if not questions:
        return []
    said = await given(ledger, campaign)
    parks = await registry.park_names(ledger)
    rows = await ledger.rows(
        select(Delivery.id, Delivery.level, Delivery.park, Delivery.state).where(
            Delivery.campaign_id == campaign.id,
            Delivery.level.in_(questions),
            Delivery.state.not_in([State.EXEMPT, State.WITHDRAWN]),
        )
    )
    levels = cascade_of(campaign).levels
    return [
        _level(level, levels.get(level, level), asked, [row for row in rows if row.level == level], said, parks)
        for level, asked in questions.items()
    ]


def _level(
    level: str,
    name: str,
    questions: Sequence[Question],
    rows: Sequence[Any],
    said: Mapping[str, Mapping[str, Any]],
    parks: Mapping[str, str],
) -> dict[str, Any]:
    by_park: dict[str, list[Any]] = {}
    for row in rows:
        by_park.setdefault(row.park, []).append(row)
    return {
        "level": level, "name": name, "questions": [_question(one) for one in questions],
        **_sums(questions, rows, said),
        "parks": [
            {"park": park, "name": parks.get(park, park), **_sums(questions, by_park[park], said)}
            for park in sorted(by_park, key=lambda park: (not park, parks.get(park, park)))
        ],
    }  # fmt: skip


def _sums(
    questions: Sequence[Question], rows: Sequence[Any], said: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    reports = [said[row.id].get("answers", {}) for row in rows if row.id in said]
    totals = requirements.roll_up(questions, reports)
    return {
        "asked": len(rows), "reported": len(reports),
        "totals": {key: total.as_dict() for key, total in totals.items()},
    }  # fmt: skip


def _question(one: Question) -> dict[str, Any]:
    return {
        "key": one.key, "title": one.title, "kind": one.kind.value, "unit": one.unit,
        "choices": {choice.key: choice.title for choice in one.choices} or _YES_NO.get(one.kind, {}),
    }  # fmt: skip


_YES_NO = {Kind.YES_NO: {"yes": "Có", "no": "Không"}}


def lines(question: Mapping[str, Any], total: Mapping[str, Any]) -> list[tuple[str, str, int]]:
    """What the sums of one question say: (label, unit, number); several for a choice. Titles in Vietnamese."""
    title, kind = question["title"], question["kind"]
    if kind == Kind.NUMBER:
        return [(title, question["unit"], total["sum"])]
    if question["choices"]:
        counts = total["counts"]
        return [(f"{title}: {name}", "đơn vị", counts.get(key, 0)) for key, name in question["choices"].items()]
    return [(f"{title}: số đơn vị đã ghi", "đơn vị", total["given"])]
