"""The address book: found, added, corrected, ended; and what recipients asked to have changed."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from congvan.acts import address_book, book_cards, deciding, deliveries, joining
from congvan.acts.deciding import Verdict
from congvan.commands import given
from congvan.errors import CongvanError
from congvan.portal.office.asked import PAGE_ROWS
from congvan.portal.office.counter import Counter, Seat, Sent
from congvan.portal.office.saying import required
from congvan.reading import read_cascade

_LINES = ("name", "level", "name_en", "short_name", "abbreviation", "tax_code", "address", "place")
_CODES = ("parks", "segments")
_MOST_OFFERED = 200


class BookPages:
    """The routes of the address book."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter

    def routes(self) -> list[Route]:
        """Looking is for everybody, changing for operators."""
        look, act, at = self._counter.look, self._counter.act, "/book/{code}"
        return [
            look("/book", self.find),
            look("/book-new", self.new),
            act("/book-new", self.add),
            look(at, self.show),
            act(f"{at}/correct", self.correct),
            act(f"{at}/mailbox", self.mailbox),
            act(f"{at}/end-mailbox", self.end_mailbox),
            act(f"{at}/offer", self.offer),
            act(f"{at}/join", self.join),
            look("/requests", self.requests),
            look("/requests/{request}", self.request),
            act("/requests/{request}/decide", self.decide),
        ]

    # ------------------------------------------------------------------ looking

    async def find(self, seat: Seat) -> Response:
        """Organisations by name."""
        query = seat.request.query_params
        search, level = query.get("q", "")[:120], query.get("level", "")[:40]
        page = query.get("page", "1")
        number = max(int(page), 1) if page.isascii() and page.isdigit() and len(page) < 6 else 1
        house = self._counter.house
        rows, total = await book_cards.find(
            house, search, level, limit=PAGE_ROWS, offset=(number - 1) * PAGE_ROWS
        )
        pages = max(-(-total // PAGE_ROWS), 1)
        if number > pages:
            number = pages
            rows, _ = await book_cards.find(
                house, search, level, limit=PAGE_ROWS, offset=(number - 1) * PAGE_ROWS
            )
        waiting = await deciding.waiting(house)
        return self._counter.page(
            seat, "book.html", rows=rows, total=total, search=search, level=level, number=number,
            pages=pages, levels=await self._levels(), waiting=len(waiting),
        )  # fmt: skip

    async def new(self, seat: Seat) -> Response:
        """An empty card."""
        return await self._new(seat)

    async def show(self, seat: Seat) -> Response:
        """One card."""
        return await self._card(seat)

    # ------------------------------------------------------------------ changing

    async def add(self, seat: Seat, sent: Sent) -> Response:
        """A new organisation."""
        try:
            words = _words(sent) | {"code": sent.text("code", 40)}
            why = required(sent.words("why"), "Căn cứ")
            made = await address_book.add(self._counter.house, words, seat.by, why)
        except CongvanError as error:
            return await self._new(seat, 422, sent=sent, wrong=self._counter.words.of(error))
        return self._counter.to("book", made.code, done="added")

    async def correct(self, seat: Seat, sent: Sent) -> Response:
        """What is said of it."""
        code = self._code(seat)
        try:
            why = required(sent.words("why"), "Căn cứ")
            shown = sent.text("as_shown", 64)
            await address_book.correct(self._counter.house, code, _words(sent), seat.by, why, shown)
        except CongvanError as error:
            return await self._card(seat, 422, sent=sent, form="correct", wrong=self._counter.words.of(error))
        return self._counter.to("book", code, done="corrected")

    async def mailbox(self, seat: Seat, sent: Sent) -> Response:
        """A mailbox more, or corrected; then it is offered to what is open."""
        code = self._code(seat)
        try:
            words = {name: sent.text(name) for name in ("name", "role", "phone", "designated_by")}
            words |= {"email": sent.text("email", 254)}
            if order := sent.text("order", 3):
                words["order"] = order
            if start := sent.text("valid_from", 10):
                words["valid_from"] = given.day(start, "Hiệu lực từ").isoformat()
            why = words["designated_by"]
            await address_book.put_mailbox(self._counter.house, code, words, seat.by, why)
        except CongvanError as error:
            return await self._card(seat, 422, sent=sent, form="mailbox", wrong=self._counter.words.of(error))
        return self._counter.to("book", code, done="mailbox")

    async def end_mailbox(self, seat: Seat, sent: Sent) -> Response:
        """Its last day."""
        code = self._code(seat)
        try:
            until = given.day(sent.text("until", 10), "Ngày cuối cùng")
            why = required(sent.words("why"), "Căn cứ")
            email = sent.text("email", 254)
            await address_book.end_mailbox(self._counter.house, code, email, until, seat.by, why)
        except CongvanError as error:
            return await self._card(seat, 422, sent=sent, form="end", wrong=self._counter.words.of(error))
        return self._counter.to("book", code, done="ended")

    async def offer(self, seat: Seat, sent: Sent) -> Response:
        """The letter of every delivery that was ticked, to this mailbox."""
        code = self._code(seat)
        card = await book_cards.card(self._counter.house, code)
        open_ones = {one.id for one in card.open_ones}
        chosen = [key for key in sent.lists.get("delivery", [])[:_MOST_OFFERED] if key in open_ones]
        offered = 0
        try:
            email = given.address(sent.text("email", 254), "Hộp thư")
            if email not in {one.email for one in card.organisation.contacts}:
                raise given.refuse("Hộp thư", "không có trong danh bạ của đơn vị", "thêm hộp thư trước")
            if not chosen:
                raise given.refuse("Đợt", "chưa chọn đợt nào", "đánh dấu các đợt cần gửi lại")
            for key in chosen:
                await deliveries.resend(
                    self._counter.house, key, seat.by, address=email, why="hộp thư trong danh bạ đã đổi",
                    round_shown=sent.number(f"round-{key}"),
                )  # fmt: skip
                offered += 1
        except CongvanError as error:
            wrong = self._counter.words.of(error)
            return await self._card(seat, 422, sent=sent, wrong=wrong, offered=offered)
        return self._counter.to("book", code, done="offered")

    async def join(self, seat: Seat, sent: Sent) -> Response:
        """Who registered after a launch comes into a running campaign."""
        code = self._code(seat)
        try:
            campaign = required(sent.text("campaign", 40), "Mã đợt")
            joined = await joining.join(
                self._counter.house, campaign, code, seat.by, direct=sent.ticked("direct")
            )
        except CongvanError as error:
            return await self._card(seat, 422, sent=sent, form="join", wrong=self._counter.words.of(error))
        return self._counter.to("c", campaign, "d", joined.delivery_id, done="joined")

    # ------------------------------------------------------------------ what was asked

    async def requests(self, seat: Seat) -> Response:
        """What waits for a decision."""
        found = await deciding.waiting(self._counter.house)
        return self._counter.page(seat, "requests.html", found=found, done=seat.done)

    async def request(self, seat: Seat) -> Response:
        """One request with the card that it would change."""
        return await self._request(seat)

    async def decide(self, seat: Seat, sent: Sent) -> Response:
        """Yes or no."""
        verdict = Verdict(
            sent.text("verdict") == "accept", seat.by, sent.words("why"), sent.ticked("book"),
            sent.text("designated_by"), sent.ticked("readdress"),
        )  # fmt: skip
        try:
            await deciding.decide(self._counter.house, str(seat.request.path_params["request"]), verdict)
        except CongvanError as error:
            return await self._request(seat, 422, sent=sent, wrong=self._counter.words.of(error))
        return self._counter.to("requests", done="decided")

    # ------------------------------------------------------------------ how

    def _code(self, seat: Seat) -> str:
        return str(seat.request.path_params["code"])

    async def _levels(self) -> list[tuple[str, str]]:
        named = dict(read_cascade(self._counter.house.settings.cascade_file).levels)
        known = dict.fromkeys([*named, *await book_cards.levels(self._counter.house)])
        return [(level, named.get(level, level)) for level in known]

    async def _new(self, seat: Seat, status: int = 200, **values: Any) -> Response:
        empty = {"sent": Sent(), "wrong": []}
        return self._counter.page(seat, "book_new.html", status, levels=await self._levels(), **(empty | values))

    async def _card(self, seat: Seat, status: int = 200, **values: Any) -> Response:
        card = await book_cards.card(self._counter.house, self._code(seat))
        empty = {"sent": Sent(), "wrong": [], "form": "", "offered": 0, "done": seat.done}
        return self._counter.page(
            seat, "card.html", status, card=card, one=card.organisation, levels=await self._levels(),
            differences=book_cards.differences, as_shown=address_book.fingerprint(card.organisation),
            **(empty | values),
        )  # fmt: skip

    async def _request(self, seat: Seat, status: int = 200, **values: Any) -> Response:
        found = await deciding.asked(self._counter.house, str(seat.request.path_params["request"]))
        empty = {"sent": Sent(), "wrong": []}
        return self._counter.page(seat, "request.html", status, found=found, **(empty | values))


def _words(sent: Sent) -> dict[str, Any]:
    """The fields of a card as they were typed; raise BadInput for a day that is none."""
    words: dict[str, Any] = {name: sent.text(name, 500) for name in _LINES}
    for name in _CODES:
        parts = sent.text(name, 500).replace(",", ";").split(";")
        words[name] = [part.strip() for part in parts if part.strip()]
    words["parent"] = sent.text("parent", 40) or None
    for name, field in (("valid_from", "Hiệu lực từ"), ("valid_until", "Hiệu lực đến")):
        typed = sent.text(name, 10)
        words[name] = given.day(typed, field).isoformat() if typed else None
    return words
