"""The list of campaigns, and one campaign."""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import Route

from congvan.acts import views
from congvan.portal.office.counter import Counter, Seat


class Campaigns:
    """The routes of campaigns."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter

    def routes(self) -> list[Route]:
        """All of them only show."""
        return [self._counter.look("", self.list)]

    async def list(self, seat: Seat) -> Response:
        """Every campaign with its totals."""
        found = await views.overview(self._counter.house)
        now = await self._counter.house.clock.now()
        return self._counter.page(seat, "campaigns.html", campaigns=found, now=now)
