"""What happened, as Prefect events for automations: codes and numbers, no address, no person."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from prefect.client.orchestration import PrefectClient

from congvan.acts import notices
from congvan.acts.board import Tile
from congvan.acts.notices import Signal
from congvan.rules.protocol import State
from tasks import effect, house

_SPACE = uuid.UUID("6f2a3c1e-5d0b-4e55-9a39-0c8b8d3c7f10")
_SIGNALS = {"at_risk": "congvan.campaign.at-risk", "unclaimed": "congvan.cases.unclaimed"}
_BY_NAME = (State.EXEMPT, State.WITHDRAWN, State.REJECTED, State.UNDELIVERABLE, State.QUEUED)
_OPENED = "congvan.delivery.delivered"


def happened(tile: Tile, now: datetime) -> str:
    """What a change of the board amounts to: congvan.delivery.sent, .confirmed, .overdue, .escalated…"""
    if tile.state in _BY_NAME:
        name = tile.state.value.lower()
    elif tile.settled:
        name = "confirmed"
    elif tile.escalated:
        name = "escalated"
    elif tile.due_at is not None and tile.due_at < now:
        name = "overdue"
    elif tile.state is State.DELIVERED:
        # Known to have opened it: what comes after that is a reminder.
        name = "reminded" if (tile.told or "").startswith(_OPENED) else "delivered"
    elif tile.state is State.SENT:
        name = "reminded" if tile.reminders else "sent"
    else:
        name = "acknowledged"
    return f"congvan.delivery.{name}"


async def tell(client: PrefectClient, tiles: Sequence[Tile], now: datetime, wall: datetime) -> dict[str, str]:
    """Tell what has not been told of these yet; {delivery id: event}. Told twice it is the same event."""
    named = [(tile, happened(tile, now)) for tile in tiles if tile.state is not State.QUEUED]
    new = [(tile, name) for tile, name in named if _kept(tile, name) != tile.told]
    await _post(client, [_of_tile(tile, name, wall) for tile, name in new])
    return {tile.delivery_id: _kept(tile, name) for tile, name in new}


def _kept(tile: Tile, name: str) -> str:
    """By which it is known again: each reminder is an event of its own, everything else happens once until something
    else has."""
    if name.endswith((".reminded", ".delivered")):
        return f"{_OPENED if tile.state is State.DELIVERED else name} {tile.reminders}"
    return name


def _of_tile(tile: Tile, name: str, wall: datetime) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid5(_SPACE, f"{tile.delivery_id}:{tile.seq}")), "occurred": wall.isoformat(), "event": name,
        "resource": {
            "prefect.resource.id": f"congvan.delivery.{tile.delivery_id}", "prefect.resource.name": tile.code,
            "congvan.campaign": tile.campaign, "congvan.level": tile.level, "congvan.park": tile.park or "",
        },
        "related": _run(tile.run_id),
        "payload": {"state": tile.state.value, "late": tile.late, "reminders": tile.reminders},
    }  # fmt: skip


def _run(run_id: str | None) -> list[dict[str, str]]:
    if run_id is None:
        return []
    return [{"prefect.resource.id": f"prefect.flow-run.{run_id}", "prefect.resource.role": "flow-run"}]


def _of_signal(signal: Signal, wall: datetime) -> dict[str, Any]:
    return {
        # The same if it is told again, since its arrival could not be written down.
        "id": str(uuid.uuid5(_SPACE, signal.key)),
        "occurred": wall.isoformat(), "event": _SIGNALS[signal.what],
        "resource": {
            "prefect.resource.id": f"congvan.campaign.{signal.campaign}", "prefect.resource.name": signal.campaign,
            "congvan.campaign": signal.campaign,
        },
        "payload": dict(signal.numbers),
    }  # fmt: skip


async def _post(client: PrefectClient, events: Iterable[dict[str, Any]]) -> None:
    if body := list(events):
        (await client._client.post("/events", json=body)).raise_for_status()


@effect
async def signal(client: PrefectClient) -> int:
    """Look whether a campaign is at risk or nobody takes a case, and tell Prefect; how many signals."""
    if not house().settings.events:
        return 0
    found = await notices.look(house())
    await _post(client, [_of_signal(one, house().clock.wall()) for one in found])
    # Not before: what Prefect could not take is told again.
    await notices.signalled(house(), found)
    return len(found)


@effect
async def tell_unit(what: notices.What, about: str) -> bool:
    """Write to the unit in charge; False where it was told today already."""
    return await notices.tell_once(house(), what, about)
