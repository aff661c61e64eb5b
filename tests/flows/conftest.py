"""A town whose campaign stands in Prefect, as far as the database knows."""

from __future__ import annotations

import pytest

from congvan.acts import prefect_runs
from congvan.house import House
from congvan.store.tables import Hop
from tests.conftest import Postbox
from tests.protocol.world import Town


@pytest.fixture
async def town(house: House, postbox: Postbox) -> Town:
    """A campaign with its page."""
    made = Town(house, postbox)
    await made.launch()
    await prefect_runs.claim_page(house, made.campaign, "campaign")
    for hop in await made.all(Hop):
        await prefect_runs.remember_page(house, hop.id, hop.id)
    return made
