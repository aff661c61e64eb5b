"""The list of campaigns; one campaign with its figures, its chart and its tree; the table of its deliveries."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from congvan.acts import progress, roll, views
from congvan.acts.progress import Campaign, Progress
from congvan.portal.office.asked import PAGE_ROWS, asked
from congvan.portal.office.chart import draw
from congvan.portal.office.counter import Counter, Seat
from congvan.rules.protocol import State

#: Hops below one hop that a campaign's page shows at once.
_MOST_BRANCHES = 40
#: More issuers than this are typed by code, not chosen from a list.
_MOST_CHOICES = 80
#: How long counts are shown again before they are made anew, in seconds.
_FRESH_S = 2.0


class Campaigns:
    """The routes of campaigns."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter

    def routes(self) -> list[Route]:
        """All of them only show."""
        look = self._counter.look
        return [
            look("", self.list),
            look("/c/{campaign}", self.show),
            look("/c/{campaign}/deliveries", self.table),
        ]

    async def list(self, seat: Seat) -> Response:
        """Every campaign with its totals."""
        found = await views.overview(self._counter.house)
        now = await self._counter.house.clock.now()
        return self._counter.page(seat, "campaigns.html", campaigns=found, now=now)

    async def show(self, seat: Seat) -> Response:
        """How one campaign stands."""
        found = await self.progress(await self._campaign(seat))
        chart = draw(found.answers, found.deadlines, found.total.asked, found.campaign.launched_at, found.now)
        whole = seat.request.query_params.get("tree") == "all"
        return self._counter.page(
            seat, "campaign.html", found=found, campaign=found.campaign, chart=chart,
            most=10_000 if whole else _MOST_BRANCHES, prefect=self._counter.house.settings.prefect_url.rstrip("/"),
            done=seat.done,
        )  # fmt: skip

    async def table(self, seat: Seat) -> Response:
        """The deliveries: searched, filtered, sorted, by the page."""
        campaign = await self._campaign(seat)
        view = asked(seat.request.query_params, seat.by)
        house = self._counter.house
        total = await roll.count(house, campaign.id, view.wanted)
        pages = max(-(-total // PAGE_ROWS), 1)
        view = replace(view, number=min(view.number, pages))
        rows = await roll.page(
            house, campaign.id, view.wanted, view.order, down=view.down, limit=PAGE_ROWS,
            offset=(view.number - 1) * PAGE_ROWS,
        )  # fmt: skip
        choices = await self.choices(campaign)
        return self._counter.page(
            seat, "deliveries.html", campaign=campaign, view=view, rows=rows, total=total,
            pages=pages, **choices,
        )  # fmt: skip

    async def choices(self, campaign: Campaign) -> Mapping[str, Any]:
        """What the filters offer. Nothing is counted for it."""
        parks, issuers = await progress.choices(self._counter.house, campaign.id, _MOST_CHOICES + 1)
        return {
            "states": list(State), "parks": list(parks.items()), "park_names": parks,
            "levels": list(progress.levels_of(campaign).items()),
            "issuers": issuers if len(issuers) <= _MOST_CHOICES else [],
        }  # fmt: skip

    async def progress(self, campaign: Campaign) -> Progress:
        """The counts of a campaign, at most some seconds old: many who look share one reading."""
        clock = asyncio.get_running_loop().time()
        known = self._counter.recent.get(campaign.id)
        if known and clock - known[0] <= _FRESH_S and known[1].campaign.event_seq == campaign.event_seq:
            return known[1]
        found = await progress.progress(self._counter.house, campaign)
        self._counter.recent[campaign.id] = (clock, found)
        return found

    async def _campaign(self, seat: Seat) -> Campaign:
        return await roll.campaign_of(self._counter.house, str(seat.request.path_params["campaign"]))
