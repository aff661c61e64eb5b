"""The pages behind a link: GET shows (`looking`), POST acts."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import replace

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from congvan.acts import confirmations, delegates, passing_on, receipts, requests, views
from congvan.acts.signed_files import FileRefused, examined
from congvan.errors import ActRefused, ImpossibleMove, StaleDelivery
from congvan.portal import forms
from congvan.portal.desk import Desk, Visit
from congvan.portal.looking import MOST_BELOW, Looking
from congvan.portal.pages import language
from congvan.rules import requirements
from congvan.rules.calendar import local
from congvan.rules.protocol import Event, State
from congvan.rules.uploads import Upload, upload

#: Of one form: what a plan asks for, and a few beside; a form that came back asks again for each file.
_MOST_FILES = requirements.MOST_FILES + 5
_MOST_FIELDS = requirements.MOST_QUESTIONS + 2 * _MOST_FILES + 20

Act = Callable[[], Awaitable[object]]


class RecipientPages:
    """The routes of one recipient."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._looking = Looking(desk)

    def routes(self) -> list[Route]:
        """GET shows, POST acts; nothing else is answered."""
        at = "/v/{token}"
        return [
            Route(at, self._looking.show, methods=["GET"]),
            Route(f"{at}/below", self._looking.below, methods=["GET"]),
            Route(f"{at}/files/{{sha256}}/{{name}}", self._looking.file, methods=["GET"]),
            Route(f"{at}/confirm", self.confirm, methods=["POST"]),
            Route(f"{at}/pass-on", self.pass_on, methods=["POST"]),
            Route(f"{at}/reject", self.reject, methods=["POST"]),
            Route(f"{at}/contact", self.contact, methods=["POST"]),
            Route(f"{at}/report", self.report, methods=["POST"]),
            Route(f"{at}/by-hand", self._looking.by_hand, methods=["GET"]),
            Route(f"{at}/by-hand", self.reached_by_hand, methods=["POST"]),
            Route(f"{at}/not-applicable", self.left_out, methods=["POST"]),
            Route(f"{at}/delegate", self.delegate, methods=["POST"]),
            Route(f"{at}/receipt", self.receipt, methods=["POST"]),
        ]

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
            files = await _files(form)
        company = visit.page.branch is None or visit.page.branch.company
        if not company or not (forms.offers(visit.page).pass_on or _said(visit, Event.FORWARDED)):
            return await self._looking.page(visit, 409, notice="not_by_page")
        filled = forms.pass_on(sent, visit.page, files)

        def act() -> Awaitable[object]:
            order = forms.passed_on(filled)
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
            return await self._looking.page(visit, 409, notice="already")
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
            return await self._looking.page(visit, 409, notice="not_by_page")
        filled = forms.report(sent, visit.page, {name: await examined(file) for name, file in files.items()})

        def act() -> Awaitable[object]:
            return confirmations.answer(self._desk.house, visit.page.delivery_id, forms.completed(filled), visit.link)

        return await self._act(visit, "report", filled, act)

    async def contact(self, request: Request) -> Response:
        """A new contact is proposed; an operator decides."""
        visit = await self._desk.visit(request)
        async with request.form(max_files=0, max_fields=20) as form:
            sent = self._checked(request, visit.token, form)
        if not forms.offers(visit.page).contact:
            return await self._looking.page(visit, 409, notice="not_by_page")
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
            return await self._looking.page(visit, 409, notice="already")
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
            return await self._looking.page(visit, 409, notice="not_by_page")
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

    async def reached_by_hand(self, request: Request) -> Response:
        """The company has passed the letter on by itself, to some or to all."""
        visit = await self._desk.visit(request)
        async with request.form(max_files=1, max_fields=4 * MOST_BELOW) as form:
            sent = self._checked(request, visit.token, form)
            files = await _files(form)
        if not forms.offers(visit.page).by_hand:
            return await self._looking.page(visit, 409, notice="already")
        today = local(await self._desk.house.clock.now()).date()
        filled = forms.by_hand(sent, visit.page, files, today)

        def act() -> Awaitable[object]:
            order = forms.passed_on(filled)
            return passing_on.pass_on(self._desk.house, visit.page.delivery_id, order, visit.link)

        return await self._act(visit, "by_hand", filled, act)

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
        again = forms.once_more(filled)
        if filled.faults:
            return await self._looking.again(visit, 422, form, again)
        try:
            await act()
        except FileRefused as refused:
            faults = {**again.faults, forms.OWN_PDF: refused.code}
            return await self._looking.again(visit, 422, form, replace(again, faults=faults))
        except ActRefused as refused:
            said = self._desk.pages.refusal(refused, visit.lang)
            return await self._looking.again(visit, 422, form, again, notice_text=said)
        except ImpossibleMove:
            return await self._looking.page(await self._by_now(visit), 409, notice="already")
        except StaleDelivery:
            return await self._looking.again(await self._by_now(visit), 409, form, again, notice="try_again")
        return self._done(visit.request, visit.token, form)

    async def _by_now(self, visit: Visit) -> Visit:
        """What is recorded by now: somebody else may have answered while this form was open."""
        return replace(visit, page=await views.obligation(self._desk.house, visit.link))


def _said(visit: Visit, event: Event) -> bool:
    return any(said.event is event for said in visit.page.answers)


async def _files(form: FormData) -> dict[str, Upload]:
    """Every file that was chosen, by its field; several of one field are counted on."""
    found: dict[str, Upload] = {}
    for name, value in form.multi_items():
        if not isinstance(value, UploadFile):
            continue
        data = await value.read()
        # An empty file field sends a nameless empty file.
        if data or value.filename:
            key = f"{name}-{len(found)}" if name == forms.ATTACHED else name
            found[key] = upload(value.filename or "", data)
    return found
