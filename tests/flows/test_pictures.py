"""The pages of many hops are renewed together, and their campaign's once for all of them."""

from __future__ import annotations

from typing import Any, cast

import pytest
from prefect.client.orchestration import PrefectClient

from congvan.acts import board
from congvan.house import House
from congvan.store.tables import Hop
from flows import publishing
from flows.runs import Deployments, Runs
from tests.conftest import Postbox
from tests.protocol.world import Town


class Renewed:
    """Counts what is renewed."""

    def __init__(self) -> None:
        self.pages: list[str] = []

    async def hop(self, run_id: str, _issuer: str, _found: dict[str, Any]) -> None:
        self.pages.append(run_id)

    async def campaign(self, run_id: str, _status: dict[str, Any]) -> None:
        self.pages.append(run_id)


async def test_a_campaigns_figures_are_made_once_for_some_hops_and_not_for_each_of_hundreds(
    house: House, postbox: Postbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    town = Town(house, postbox)
    await town.launch()
    await board.claim_page(house, town.campaign, "campaign")
    hops = [hop.id for hop in await town.all(Hop)]
    for hop_id in hops:
        await board.remember_page(house, hop_id, hop_id)
    assert len(hops) == 4
    client, nothing = cast("PrefectClient", None), Deployments(None)
    publisher = publishing.Publisher(house, client, nothing, Runs(house, client, nothing))
    renewed = Renewed()
    monkeypatch.setattr(publisher, "_artifacts", renewed)
    monkeypatch.setattr(publishing, "PICTURES", 3)
    monkeypatch.setattr(publishing, "PICTURE_EVERY_S", 0.0)
    publisher._changed |= dict.fromkeys(hops)
    await publisher._picture()
    assert renewed.pages == [*hops[:3], "campaign"]
    await publisher._picture()
    assert renewed.pages[4:] == [hops[3], "campaign"]
    await publisher._picture()
    assert len(renewed.pages) == 6, "what has not changed stays"
