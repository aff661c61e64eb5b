"""The same act for everybody who is filtered: first what would happen, then one confirmation."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from congvan.acts import bulk, roll
from congvan.acts.accounts import Role
from congvan.acts.bulk import Order, What
from congvan.errors import ActRefused, CongvanError
from congvan.portal.office.asked import Asked, asked
from congvan.portal.office.counter import Counter, Seat, Sent
from congvan.portal.office.saying import required, until

#: Who may do it for many.
_NEEDS = {What.EXEMPT: Role.LEADER}


class BulkPages:
    """The routes of acts for many. The selection stands in the address, as the table had it."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter

    def routes(self) -> list[Route]:
        """Choose, look, do."""
        at = "/c/{campaign}/bulk"
        return [
            self._counter.look(at, self.choose, Role.OPERATOR),
            self._counter.act(f"{at}/look", self.see),
            self._counter.act(f"{at}/do", self.do),
        ]

    async def choose(self, seat: Seat) -> Response:
        """The form."""
        return await self._page(seat)

    async def see(self, seat: Seat, sent: Sent) -> Response:
        """What would happen; nothing has."""
        campaign = await roll.campaign_of(self._counter.house, self._campaign(seat))
        try:
            order = self._order(seat, sent)
        except CongvanError as error:
            return await self._page(seat, 422, sent=sent, wrong=self._counter.words.of(error))
        outlook = await bulk.look(self._counter.house, campaign.id, self._view(seat).wanted, order)
        return await self._page(seat, sent=sent, order=order, outlook=outlook)

    async def do(self, seat: Seat, sent: Sent) -> Response:
        """Do what was looked at; where the selection has changed since, it is shown again."""
        campaign = await roll.campaign_of(self._counter.house, self._campaign(seat))
        view = self._view(seat)
        try:
            order = self._order(seat, sent)
        except CongvanError as error:
            return await self._page(seat, 422, sent=sent, wrong=self._counter.words.of(error))
        outlook = await bulk.look(self._counter.house, campaign.id, view.wanted, order)
        if outlook.mark != sent.text("mark"):
            return await self._page(seat, 409, sent=sent, order=order, outlook=outlook, changed=True)
        done, failed = await bulk.carry_out(self._counter.house, outlook.chosen, order, seat.by)
        return await self._page(seat, sent=sent, order=order, done=done, failed=failed)

    # ------------------------------------------------------------------ how

    def _order(self, seat: Seat, sent: Sent) -> Order:
        """What is to be done; raise ActRefused or BadInput."""
        name = sent.text("what")
        if name not in set(What):
            raise ActRefused("Chưa chọn việc cần thực hiện.")
        what = What(name)
        if not seat.account.role.may(_NEEDS.get(what, Role.OPERATOR)):
            raise ActRefused("Vai trò này không được thực hiện hàng loạt việc đó.")
        why = sent.words("why")
        if what in (What.EXTEND, What.EXEMPT):
            why = required(why, "Lý do")
        due = until(sent.text("day", 10), sent.text("hour", 5), "Thời hạn mới") if what is What.EXTEND else None
        return Order(what, why, due)

    def _campaign(self, seat: Seat) -> str:
        return str(seat.request.path_params["campaign"])

    def _view(self, seat: Seat) -> Asked:
        return asked(seat.request.query_params, seat.by)

    async def _page(self, seat: Seat, status: int = 200, **values: Any) -> Response:
        house = self._counter.house
        campaign = await roll.campaign_of(house, self._campaign(seat))
        view = self._view(seat)
        total = await roll.count(house, campaign.id, view.wanted)
        empty = {
            "sent": Sent(), "wrong": [], "order": None, "outlook": None, "changed": False, "done": None, "failed": 0,
        }  # fmt: skip
        return self._counter.page(
            seat, "bulk.html", status, campaign=campaign, view=view, total=total, most=bulk.MOST, **(empty | values)
        )
