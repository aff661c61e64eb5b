"""All that is known of one delivery: its messages with every attempt and reply, what came back, its log."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from congvan.acts import inbox
from congvan.house import House
from congvan.store.tables import Attempt, Delivery, EventRow, Incoming, Message


async def history(house: House, delivery_id: str) -> dict[str, Any]:
    """{"delivery", "messages": [… "attempts"], "incoming", "events"}, each in the order it happened; raise NotFound.

    An attempt with `outcome` None and no `finished_at` is on the wire or was cut off by a kill; with a
    `finished_at` it is unknown: the final dot left and no reply came.
    """
    async with house.store.view() as ledger:
        delivery = await ledger.get(Delivery, delivery_id)
        mine = select(Message.id).where(Message.delivery_id == delivery_id)
        messages: list[Message] = await ledger.all(select(Message).where(Message.id.in_(mine)).order_by(Message.id))
        attempts: list[Attempt] = await ledger.all(
            select(Attempt).where(Attempt.message_id.in_(mine)).order_by(Attempt.message_id, Attempt.ordinal)
        )
        came: list[Incoming] = await ledger.all(
            select(Incoming).where(Incoming.delivery_id == delivery_id).order_by(Incoming.id)
        )
        events: list[EventRow] = await ledger.all(
            select(EventRow).where(EventRow.stream == delivery_id).order_by(EventRow.seq)
        )
    tried: dict[str, list[dict[str, Any]]] = {}
    for one in attempts:
        tried.setdefault(one.message_id, []).append(_attempt(one))
    return {
        "delivery": {"id": delivery.id, "code": delivery.code, "state": delivery.state, "address": delivery.address},
        "messages": [_message(one) | {"attempts": tried.get(one.id, [])} for one in messages],
        "incoming": [inbox.shown(one) for one in came],
        "events": [
            {
                "seq": one.seq, "at": one.at, "kind": one.kind, "actor": one.actor, "channel": one.channel,
                "data": one.data,
            }
            for one in events
        ],
    }  # fmt: skip


def _attempt(one: Attempt) -> dict[str, Any]:
    return {
        "ordinal": one.ordinal, "started_at": one.started_at, "finished_at": one.finished_at,
        "address": one.address, "outcome": one.outcome, "reply": one.reply,
    }  # fmt: skip


def _message(one: Message) -> dict[str, Any]:
    return {
        "id": one.id, "kind": one.kind, "step": one.step, "message_id": one.message_id, "state": one.state,
        "not_before": one.not_before, "sent_at": one.sent_at, "unknown": one.unknown, "reply": one.reply,
    }  # fmt: skip
