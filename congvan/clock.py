"""The only place that reads the wall clock. Everything else is handed an instant."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol

from congvan.store.database import Store


class Clock(Protocol):
    """Says what time it is, as aware UTC instants."""

    async def now(self) -> datetime:
        """The instant that the campaigns live in."""
        ...

    def wall(self) -> datetime:
        """The instant on the wall, for leases: a dead process holds its work in real time."""
        ...


class SystemClock:
    """The machine's own clock."""

    async def now(self) -> datetime:
        """The present instant in UTC."""
        return datetime.now(UTC)

    def wall(self) -> datetime:
        """The same."""
        return datetime.now(UTC)


class HandClock:
    """A clock that stands until it is set: tests and the simulator move it."""

    def __init__(self, start: datetime) -> None:
        if start.tzinfo is None:
            raise ValueError("a clock needs an aware instant")
        self._now = start.astimezone(UTC)

    async def now(self) -> datetime:
        """Where it was last set."""
        return self._now

    def wall(self) -> datetime:
        """The same: in a played world leases end in played time."""
        return self._now

    def set(self, instant: datetime) -> None:
        """Move it, forwards or backwards."""
        self._now = instant.astimezone(UTC)

    def forward(self, **by: float) -> None:
        """Move it on: `forward(hours=3)`."""
        self._now += timedelta(**by)


class DemoClock:
    """The demo's clock: a row of the database, so that every process reads the same instant.

    It stands still while anything is due, leased or on the wire; the relay moves it (`acts.demo`).
    """

    NOTE = "demo-clock"

    def __init__(self, store: Store) -> None:
        self._store = store

    async def now(self) -> datetime:
        """The played instant in UTC."""
        async with self._store.view() as ledger:
            value = await ledger.note(self.NOTE)
        if value is None:
            raise RuntimeError("the demo's clock was never set")
        return datetime.fromisoformat(value["now"])

    def wall(self) -> datetime:
        """The machine's own clock."""
        return datetime.now(UTC)
