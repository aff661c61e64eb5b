"""What is decided about a whole campaign: held, paused, resumed, taken back, closed; a hop opened past its issuer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from congvan.acts import campaigns, closing, pausing, progress, roll, steering
from congvan.acts.accounts import Role
from congvan.errors import CongvanError, NotFound
from congvan.portal.office.counter import Counter, Seat, Sent
from congvan.portal.office.saying import required

Decide = Callable[[str, Seat, Sent], Awaitable[object]]


class DecisionPages:
    """The routes of decisions. Holding back is for operators; what cannot be undone is for leaders."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter

    def routes(self) -> list[Route]:
        """One page, one address for each decision."""
        at, act = "/c/{campaign}", self._counter.act
        return [
            self._counter.look(f"{at}/decide", self.show, Role.OPERATOR),
            act(f"{at}/hold", self._handler(self.hold, "held")),
            act(f"{at}/resume", self._handler(self.resume, "resumed")),
            act(f"{at}/pause", self._handler(self.pause, "paused"), Role.LEADER),
            act(f"{at}/withdraw", self.withdraw, Role.LEADER),
            act(f"{at}/close", self._handler(self.close, "closed"), Role.LEADER),
            self._counter.look(f"{at}/hop/{{issuer}}", self.hop, Role.LEADER),
            act(f"{at}/hop/{{issuer}}/release", self._handler(self.release, "released"), Role.LEADER),
        ]

    async def show(self, seat: Seat) -> Response:
        """The decisions that can be taken now."""
        return await self._page(seat)

    async def hold(self, campaign: str, seat: Seat, sent: Sent) -> None:
        """Keep back what is unsent."""
        why = required(sent.words("why"), "Lý do")
        await campaigns.hold(self._counter.house, campaign, seat.by, why)

    async def resume(self, campaign: str, seat: Seat, _sent: Sent) -> None:
        """Go on."""
        await campaigns.resume(self._counter.house, campaign, seat.by)

    async def pause(self, campaign: str, seat: Seat, sent: Sent) -> None:
        """Stop the clocks too, and tell those concerned."""
        row = await roll.campaign_of(self._counter.house, campaign)
        await pausing.pause(self._counter.house, row.id, seat.by, required(sent.words("why"), "Lý do"))

    async def close(self, campaign: str, seat: Seat, sent: Sent) -> None:
        """Close with what is still open, which this person has seen."""
        anyway = sent.ticked("seen")
        await closing.close(self._counter.house, campaign, seat.by, now_matter_what=anyway)

    async def release(self, campaign: str, seat: Seat, sent: Sent) -> None:
        """Go past an issuer who does not pass on."""
        issuer = str(seat.request.path_params["issuer"])
        await steering.release(
            self._counter.house, campaign, issuer, seat.by, required(sent.words("why"), "Lý do")
        )

    async def withdraw(self, seat: Seat, sent: Sent) -> Response:
        """Take it back from everybody who is open; in goes of some hundreds where there are many."""
        campaign = self._campaign(seat)
        try:
            why = required(sent.words("why"), "Lý do")
            left = await steering.withdraw_all(self._counter.house, campaign, seat.by, why)
        except CongvanError as error:
            return await self._page(seat, 422, wrong=self._counter.words.of(error), sent=sent)
        if left:
            return await self._page(seat, left=left, sent=sent)
        return self._counter.to("c", campaign, done="withdrawn")

    async def hop(self, seat: Seat) -> Response:
        """What opening a hop past its issuer means."""
        return await self._hop(seat)

    # ------------------------------------------------------------------ how

    def _handler(self, decide: Decide, done: str) -> Callable[[Seat, Sent], Awaitable[Response]]:
        async def handle(seat: Seat, sent: Sent) -> Response:
            campaign = self._campaign(seat)
            try:
                await decide(campaign, seat, sent)
            except CongvanError as error:
                wrong = self._counter.words.of(error)
                show = self._hop if done == "released" else self._page
                return await show(seat, 422, wrong=wrong, sent=sent)
            return self._counter.to("c", campaign, done=done)

        return handle

    def _campaign(self, seat: Seat) -> str:
        return str(seat.request.path_params["campaign"])

    async def _page(self, seat: Seat, status: int = 200, **values: Any) -> Response:
        house = self._counter.house
        campaign = await roll.campaign_of(house, self._campaign(seat))
        found = await progress.progress(house, campaign)
        empty = {"wrong": [], "sent": Sent(), "form": seat.act, "left": 0}
        return self._counter.page(
            seat, "decide.html", status, campaign=campaign, found=found,
            open_ones=await steering.open_ones(house, campaign.id), most=steering.MOST,
            replacements=await steering.replacements(house, campaign.id), **(empty | values),
        )  # fmt: skip

    async def _hop(self, seat: Seat, status: int = 200, **values: Any) -> Response:
        campaign = await roll.campaign_of(self._counter.house, self._campaign(seat))
        issuer = str(seat.request.path_params["issuer"])
        below = await roll.count(self._counter.house, campaign.id, roll.Wanted(issuer=issuer))
        if not below:
            raise NotFound(f"{issuer} không có nơi nhận bên dưới trong đợt")
        empty = {"wrong": [], "sent": Sent()}
        return self._counter.page(
            seat, "hop.html", status, campaign=campaign, issuer=issuer, below=below, **(empty | values)
        )
