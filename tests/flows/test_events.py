"""What a change of a recipient amounts to, for automations: said once, and the graver thing first."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from congvan.acts.board import Tile
from congvan.rules.protocol import State
from tasks import events

NOW = datetime(2023, 12, 5, 3, tzinfo=UTC)
SENT = Tile(
    delivery_id="d" * 32, code="8184 DN-1", name="Công ty TNHH Mẫu", campaign="8184", level="tenant", park="KCN-1",
    segments=(), hop_id="h", state=State.SENT, settled=False, late=False, reminders=0, escalated=False,
    due_at=NOW + timedelta(hours=4), seq=1, run_id=None, stands=None, stands_due=None, told=None,
)  # fmt: skip
OPENED = replace(SENT, state=State.DELIVERED)
LATE = {"due_at": NOW - timedelta(hours=1)}


@pytest.mark.parametrize(
    ("tile", "name"),
    [
        (SENT, "sent"),
        (replace(SENT, reminders=1), "reminded"),
        (OPENED, "delivered"),
        (replace(SENT, state=State.ACKNOWLEDGED), "acknowledged"),
        (replace(OPENED, **cast("Any", LATE)), "overdue"),
        (replace(OPENED, **cast("Any", LATE), escalated=True), "escalated"),
        (replace(OPENED, settled=True, escalated=True), "confirmed"),
        (replace(SENT, state=State.EXEMPT, settled=True), "exempt"),
    ],
)
def test_whoever_has_opened_the_page_is_overdue_and_escalated_like_the_others(tile: Tile, name: str) -> None:
    assert events.happened(tile, NOW) == f"congvan.delivery.{name}"


async def test_one_who_opens_the_page_between_two_reminders_is_told_of_once_each() -> None:
    told: list[str] = []

    class Client:
        async def post(self, _path: str, json: list[dict[str, Any]]) -> Any:
            told.extend(one["event"].rpartition(".")[2] for one in json)
            return SimpleNamespace(raise_for_status=lambda: None)

    client: Any = SimpleNamespace(_client=Client())
    known = None
    course = [SENT, replace(SENT, reminders=1), replace(OPENED, reminders=1), replace(OPENED, reminders=2)]
    for seq, tile in enumerate(tile for tile in course for _again in range(2)):
        new = await events.tell(client, [replace(tile, seq=seq, told=known)], NOW, NOW)
        known = new.get(tile.delivery_id, known)
    assert told == ["sent", "reminded", "delivered", "reminded"]
