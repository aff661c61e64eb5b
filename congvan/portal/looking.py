"""What is seen behind a link. Scanners open links, so looking changes nothing."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from congvan.acts import by_hand, views
from congvan.portal import forms
from congvan.portal.desk import Desk, Visit
from congvan.portal.files import FILE_POLICY, disposition
from congvan.rules.uploads import PDF

#: Recipients of a branch on one page.
PAGE_ROWS = 100
#: Of a branch, on the page on which they are ticked.
MOST_BELOW = 1_000
#: Opened in the browser; everything else is saved. No page of ours may be made of a file's content.
_INLINE = frozenset({PDF})


class Looking:
    """The pages of one recipient, as they are shown and after an act."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def show(self, request: Request) -> Response:
        """What is asked, by when, from whom; after an answer, its receipt."""
        visit = await self._desk.visit(request)
        return await self.page(visit, done=request.query_params.get("done", ""))

    async def below(self, request: Request) -> Response:
        """Whom the letter was passed on to, and where each stands."""
        visit = await self._desk.visit(request)
        number = _page_number(request.query_params.get("page", "1"))
        rows = await views.below(self._desk.house, visit.link, limit=PAGE_ROWS + 1, offset=(number - 1) * PAGE_ROWS)
        values = self._values(visit) | {
            "rows": rows[:PAGE_ROWS], "number": number, "more": len(rows) > PAGE_ROWS,
            "here": ("v", visit.token, "below"), "here_query": {"page": number},
        }  # fmt: skip
        return self._desk.pages.response("below.html", visit.lang, values)

    async def file(self, request: Request) -> Response:
        """A file of this delivery, by its hash; the name in the address is for people only."""
        _token, link = await self._desk.link(request)
        file, data = await views.enclosure(self._desk.house, link, str(request.path_params["sha256"]))
        known = file.media_type in _INLINE
        response = Response(data, media_type=file.media_type if known else "application/octet-stream")
        response.headers["Content-Disposition"] = disposition(file.name, inline=known)
        response.headers["Content-Security-Policy"] = FILE_POLICY
        return response

    async def by_hand(self, request: Request) -> Response:
        """Those below, to tick whom the company has reached by itself."""
        visit = await self._desk.visit(request)
        if not forms.offers(visit.page).by_hand:
            return await self.page(visit, 409, notice="not_by_page")
        return await self._by_hand(visit, 200, forms.Filled())

    async def again(
        self, visit: Visit, status: int, form: str, filled: forms.Filled, *, notice: str = "", notice_text: str = ""
    ) -> Response:
        """The page of a form with what was filled in and what is wrong."""
        if form == "by_hand":
            return await self._by_hand(visit, status, filled, notice=notice, notice_text=notice_text)
        return await self.page(visit, status, form=form, filled=filled, notice=notice, notice_text=notice_text)

    async def _by_hand(
        self, visit: Visit, status: int, filled: forms.Filled, *, notice: str = "", notice_text: str = ""
    ) -> Response:
        rows = await views.below(self._desk.house, visit.link, limit=MOST_BELOW + 1, offset=0, fresh=True)
        values = self._values(visit) | {
            "rows": rows[:MOST_BELOW], "more": len(rows) > MOST_BELOW, "form": "by_hand", "ways": by_hand.WAYS,
            "filled": filled.values, "faults": filled.faults, "notice": notice, "notice_text": notice_text,
            "here": ("v", visit.token, "by-hand"), "here_query": {},
        }  # fmt: skip
        return self._desk.pages.response("by_hand.html", visit.lang, values, status)

    async def page(
        self,
        visit: Visit,
        status: int = 200,
        *,
        form: str = "",
        filled: forms.Filled | None = None,
        notice: str = "",
        notice_text: str = "",
        done: str = "",
    ) -> Response:
        """What is asked of this recipient and what it has answered; form: what was filled in, where it comes back."""
        now = await self._desk.house.clock.now()
        filled = filled or forms.Filled()
        values = self._values(visit) | {
            "offers": forms.offers(visit.page), "form": form, "filled": filled.values, "faults": filled.faults,
            "notice": notice, "notice_text": notice_text, "done": done,
            "overdue": visit.page.due_at is not None and (visit.page.paused_at or now) > visit.page.due_at,
            "here": ("v", visit.token), "here_query": {},
        }  # fmt: skip
        return self._desk.pages.response("recipient.html", visit.lang, values, status)

    def _values(self, visit: Visit) -> dict[str, Any]:
        return {"page": visit.page, "token": visit.token, "form_token": self._desk.forms.token(visit.token)}


def _page_number(text: str) -> int:
    return min(int(text[:6]), 10_000) if text.isascii() and text.isdigit() and int(text[:6]) > 0 else 1
