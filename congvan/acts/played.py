"""What a played party of a demo will do, written down with what causes it. Nothing here runs in a live campaign."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from congvan.house import House
from congvan.store.ledger import Ledger
from congvan.store.tables import PlayedAct


async def play(
    house: House,
    ledger: Ledger,
    actor: str,
    kind: str,
    at: datetime,
    data: Mapping[str, Any],
    campaign_id: str | None = None,
) -> None:
    """Write down what a played party will do, once for each party, kind and campaign."""
    await ledger.add_if_absent(
        PlayedAct, id=house.new_id(at), campaign_id=campaign_id, at=at, actor=actor, kind=kind, data=dict(data)
    )


def office_time(house: House, now: datetime, hours: float) -> datetime:
    """That many hours later, within office hours: played clerks do not work at night."""
    return house.calendars.state.sending_time(now + timedelta(hours=hours), first_letter=True)
