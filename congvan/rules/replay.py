"""What a log says of the row that it belongs to: events in their order, played again. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from congvan.rules.protocol import Event, Fact, State, advance

_MOVES = frozenset(event.value for event in Event)


@dataclass(slots=True)
class Played:
    """Where a log has come to. state: of a delivery, None before its first event and for other rows."""

    state: State | None = None
    reminders: int = 0
    opened: bool = False
    closed: bool = False

    def play(self, kind: str, data: Mapping[str, Any]) -> None:
        """One more event; raise ImpossibleMove where the protocol knows no such move."""
        if kind == Fact.CREATED:
            self.state = State(data["state"])
        elif kind in _MOVES and self.state is not None:
            self.state = advance(self.state, Event(kind))
        elif kind == Fact.REMINDED:
            self.reminders += 1
        elif kind == Fact.OPENED:
            self.opened = True
        elif kind == Fact.CLOSED:
            self.closed = True
