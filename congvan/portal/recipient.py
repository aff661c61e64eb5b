"""The pages behind a link: GET shows, POST acts. Scanners open links, so looking changes nothing.

(Longer than a file should be: every page of one link, all of which open it, refuse it and answer alike.)
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from congvan.acts import by_hand, confirmations, delegates, passing_on, receipts, requests, views
from congvan.errors import ActRefused, ImpossibleMove, StaleDelivery
from congvan.portal import forms
from congvan.portal.desk import Desk, Visit
from congvan.portal.files import FILE_POLICY, disposition
from congvan.portal.pages import language
from congvan.rules.protocol import Event, State
from congvan.rules.uploads import Upload, upload

#: Recipients of a branch on one page.
PAGE_ROWS = 100
#: Opened in the browser; everything else is saved. No page of ours may be made of a file's content.
_INLINE = frozenset({"application/pdf"})

#: Of one form: what a plan asks for, and a few beside.
_MOST_FILES, _MOST_FIELDS = 20, 100
#: Of a branch, on the page on which they are ticked.
_MOST_BELOW = 1_000

Act = Callable[[], Awaitable[object]]


class RecipientPages:
    """The routes of one recipient."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> list[Route]:
        """GET shows, POST acts; nothing else is answered."""
        at = "/v/{token}"
        return [
            Route(at, self.show, methods=["GET"]),
            Route(f"{at}/below", self.below, methods=["GET"]),
            Route(f"{at}/files/{{sha256}}/{{name}}", self.file, methods=["GET"]),
            Route(f"{at}/confirm", self.confirm, methods=["POST"]),
            Route(f"{at}/pass-on", self.pass_on, methods=["POST"]),
            Route(f"{at}/reject", self.reject, methods=["POST"]),
            Route(f"{at}/contact", self.contact, methods=["POST"]),
            Route(f"{at}/report", self.report, methods=["POST"]),
            Route(f"{at}/by-hand", self.by_hand, methods=["GET"]),
            Route(f"{at}/by-hand", self.reached_by_hand, methods=["POST"]),
            Route(f"{at}/not-applicable", self.left_out, methods=["POST"]),
            Route(f"{at}/delegate", self.delegate, methods=["POST"]),
            Route(f"{at}/receipt", self.receipt, methods=["POST"]),
        ]

    # ------------------------------------------------------------------ looking

    async def show(self, request: Request) -> Response:
        """What is asked, by when, from whom; after an answer, its receipt."""
        visit = await self._desk.visit(request)
        return await self._page(visit, done=request.query_params.get("done", ""))

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

    # ------------------------------------------------------------------ acting

    async def confirm(self, request: Request) -> Response:
        """Đã tiếp nhận. A complete form is recorded before anything else is read: everybody answers this one."""
        token, link = await self._desk.link(request)
        async with request.form(max_files=0, max_fields=20) as form:
            sent = self._checked(request, token, form)

        def act() -> Awaitable[object]:
            return confirmations.answer(self._desk.house, link.delivery_id, forms.acknowledged(sent), link)

        if not forms.signed(sent).faults:
            with contextlib.suppress(ActRefused, ImpossibleMove, StaleDelivery):
                await act()
                return self._done(request, token, "confirm")
        visit = await self._desk.behind(request, token, link)
        return await self._act(visit, "confirm", forms.confirm(sent, visit.page), act)

    async def pass_on(self, request: Request) -> Response:
        """The company completes the prepared letter and passes it on, or its own PDF in its place."""
        visit = await self._desk.visit(request)
        async with request.form(max_files=1, max_fields=20) as form:
            sent = self._checked(request, visit.token, form)
            own_pdf = await _uploaded(form.get("own_pdf"))
        if visit.page.branch is not None and not visit.page.branch.company:
            return await self._page(visit, 409, notice="not_by_page")
        filled = forms.pass_on(sent, visit.page, own_pdf)

        def act() -> Awaitable[object]:
            order = forms.passed_on(filled, own_pdf)
            return passing_on.pass_on(self._desk.house, visit.page.delivery_id, order, visit.link)

        return await self._act(visit, "pass_on", filled, act)

    async def reject(self, request: Request) -> Response:
        """Từ chối tiếp nhận, with a reason."""
        visit = await self._desk.visit(request)
        async with request.form(max_files=0, max_fields=20) as form:
            sent = self._checked(request, visit.token, form)
        if visit.page.state is State.REJECTED:
            return self._done(request, visit.token, "reject")
        if not forms.offers(visit.page).reject:
            # A tab left open must not undo what was answered meanwhile.
            return await self._page(visit, 409, notice="already")
        filled = forms.reject(sent)

        def act() -> Awaitable[object]:
            return confirmations.answer(self._desk.house, visit.page.delivery_id, forms.rejected(filled), visit.link)

        return await self._act(visit, "reject", filled, act)

    async def report(self, request: Request) -> Response:
        """Hoàn thành: what was done, the fields of the plan, files."""
        visit = await self._desk.visit(request)
        async with request.form(max_files=_MOST_FILES, max_fields=_MOST_FIELDS) as form:
            sent = self._checked(request, visit.token, form)
            files = await _files(form)
        if not forms.offers(visit.page).report and not _said(visit, Event.COMPLETED):
            return await self._page(visit, 409, notice="not_by_page")
        filled = forms.report(sent, visit.page, files)

        def act() -> Awaitable[object]:
            return confirmations.answer(self._desk.house, visit.page.delivery_id, forms.completed(filled), visit.link)

        return await self._act(visit, "report", filled, act)

    async def contact(self, request: Request) -> Response:
        """A new contact is proposed; an operator decides."""
        visit = await self._desk.visit(request)
        async with request.form(max_files=0, max_fields=20) as form:
            sent = self._checked(request, visit.token, form)
        filled = forms.contact(sent)

        def act() -> Awaitable[object]:
            words = {key: value for key, value in filled.values.items() if value}
            not_us = words.pop("not_us", "") == "yes"
            return requests.propose_contact(
                self._desk.house, visit.page.delivery_id, words, visit.link, not_us=not_us
            )

        return await self._act(visit, "contact", filled, act)

    async def left_out(self, request: Request) -> Response:
        """ "It does not apply to us": a person decides."""
        visit = await self._desk.visit(request)
        async with request.form(max_files=0, max_fields=20) as form:
            sent = self._checked(request, visit.token, form)
        if not forms.offers(visit.page).left_out:
            return await self._page(visit, 409, notice="already")
        filled = forms.left_out(sent)

        def act() -> Awaitable[object]:
            words = {key: value for key, value in filled.values.items() if value}
            return requests.ask_to_be_left_out(self._desk.house, visit.page.delivery_id, words, visit.link)

        return await self._act(visit, "left_out", filled, act)

    async def delegate(self, request: Request) -> Response:
        """A colleague gets a link of its own; the organisation's address stays as it is."""
        visit = await self._desk.visit(request)
        async with request.form(max_files=0, max_fields=20) as form:
            sent = self._checked(request, visit.token, form)
        if not forms.offers(visit.page).delegate:
            return await self._page(visit, 409, notice="not_by_page")
        filled = forms.delegated(sent)

        def act() -> Awaitable[object]:
            said = filled.values
            return delegates.delegate(
                self._desk.house, visit.page.delivery_id, said["email"], said["contact_name"], said["by"], visit.link,
                said["note"],
            )  # fmt: skip

        return await self._act(visit, "delegate", filled, act)

    async def receipt(self, request: Request) -> Response:
        """The receipt once more, by mail to the organisation's own mailbox."""
        visit = await self._desk.visit(request)
        async with request.form(max_files=0, max_fields=20) as form:
            self._checked(request, visit.token, form)

        def act() -> Awaitable[object]:
            return receipts.send(self._desk.house, visit.page.delivery_id, visit.link)

        return await self._act(visit, "receipt", forms.Filled(), act)

    async def by_hand(self, request: Request) -> Response:
        """Those below, to tick whom the company has reached by itself."""
        visit = await self._desk.visit(request)
        if not forms.offers(visit.page).by_hand:
            return await self._page(visit, 409, notice="not_by_page")
        return await self._by_hand_page(visit)

    async def reached_by_hand(self, request: Request) -> Response:
        """The company has passed the letter on by itself, to some or to all."""
        visit = await self._desk.visit(request)
        async with request.form(max_files=1, max_fields=4 * _MOST_BELOW) as form:
            sent = self._checked(request, visit.token, form)
            own_pdf = await _uploaded(form.get("own_pdf"))
        if not forms.offers(visit.page).by_hand:
            return await self._page(visit, 409, notice="already")
        filled = forms.by_hand(sent, visit.page, own_pdf)
        if filled.faults:
            return await self._by_hand_page(visit, filled)

        def act() -> Awaitable[object]:
            order = forms.passed_on(filled, own_pdf)
            return passing_on.pass_on(self._desk.house, visit.page.delivery_id, order, visit.link)

        return await self._act(visit, "pass_on", filled, act)

    async def _by_hand_page(self, visit: Visit, filled: forms.Filled | None = None) -> Response:
        rows = await views.below(self._desk.house, visit.link, limit=_MOST_BELOW, offset=0)
        values = self._values(visit) | {
            "rows": [row for row in rows if row.fresh], "form": "by_hand", "ways": by_hand.WAYS,
            "filled": filled.values if filled else {}, "faults": filled.faults if filled else {},
            "here": ("v", visit.token, "by-hand"), "here_query": {},
        }  # fmt: skip
        return self._desk.pages.response("by_hand.html", visit.lang, values, 422 if filled else 200)

    # ------------------------------------------------------------------ how

    def _checked(self, request: Request, token: str, form: FormData) -> dict[str, str]:
        sent = {key: value for key, value in form.multi_items() if isinstance(value, str)}
        self._desk.forms.check(token, sent.get("form_token", ""), request.headers)
        return sent

    def _done(self, request: Request, token: str, form: str) -> Response:
        """303 to the page that shows what is recorded: reloading it repeats nothing."""
        return RedirectResponse(self._desk.pages.url("v", token, lang=language(request.query_params), done=form), 303)

    async def _act(self, visit: Visit, form: str, filled: forms.Filled, act: Act) -> Response:
        """The form again with what is wrong, or the act and then its page."""
        if filled.faults:
            return await self._page(visit, 422, form=form, filled=filled)
        try:
            await act()
        except ActRefused as refused:
            return await self._page(visit, 422, form=form, filled=filled, notice_text=str(refused))
        except ImpossibleMove:
            return await self._again(visit, "already")
        except StaleDelivery:
            return await self._again(visit, "try_again")
        return self._done(visit.request, visit.token, form)

    async def _again(self, visit: Visit, notice: str) -> Response:
        """What is recorded by now: somebody else may have answered while this form was open."""
        page = await views.obligation(self._desk.house, visit.link)
        fresh = Visit(visit.request, visit.token, visit.link, visit.lang, page)
        return await self._page(fresh, 409, notice=notice)

    async def _page(
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
        now = await self._desk.house.clock.now()
        filled = filled or forms.Filled()
        values = self._values(visit) | {
            "offers": forms.offers(visit.page), "form": form, "filled": filled.values, "faults": filled.faults,
            "notice": notice, "notice_text": notice_text, "done": done,
            "overdue": visit.page.due_at is not None and now > visit.page.due_at,
            "here": ("v", visit.token), "here_query": {},
        }  # fmt: skip
        return self._desk.pages.response("recipient.html", visit.lang, values, status)

    def _values(self, visit: Visit) -> dict[str, Any]:
        return {"page": visit.page, "token": visit.token, "form_token": self._desk.forms.token(visit.token)}


def _said(visit: Visit, event: Event) -> bool:
    return any(said.event is event for said in visit.page.answers)


def _page_number(text: str) -> int:
    return min(int(text), 10_000) if text.isascii() and text.isdigit() and int(text[:6]) > 0 else 1


async def _uploaded(value: UploadFile | str | None) -> bytes | None:
    """The bytes of a file that was chosen; an empty file field sends a nameless empty file."""
    if not isinstance(value, UploadFile):
        return None
    data = await value.read()
    return data if data or value.filename else None


async def _files(form: FormData) -> dict[str, Upload]:
    """Every file that was chosen, by its field; several of one field are counted on."""
    found: dict[str, Upload] = {}
    for name, value in form.multi_items():
        data = await _uploaded(value)
        if data is not None and isinstance(value, UploadFile):
            found[f"{name}-{len(found)}" if name == forms.ATTACHED else name] = upload(value.filename or "", data)
    return found
