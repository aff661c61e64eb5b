"""Signing in and out. The session is a new one at every sign-in; the cookie that came before opens nothing."""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from congvan.acts import accounts
from congvan.commands import given
from congvan.errors import CongvanError
from congvan.links import OFFICE
from congvan.portal.office.counter import Counter, Seat, Sent, address, read
from congvan.portal.throttle import network

#: Where a sign-in may lead on to: a path of these pages, without anything a browser could take for a host.
_ONWARD = re.compile(r"/[A-Za-z0-9_.~/%?&=+-]*")
_DOOR = re.compile(r"[0-9a-f]{32}")


class SignIn:
    """The routes of the door."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter

    def routes(self) -> list[Route]:
        """Signing in needs no session; signing out ends one."""
        return [
            Route(f"/{OFFICE}/sign-in", self.show, methods=["GET"]),
            Route(f"/{OFFICE}/sign-in", self.enter, methods=["POST"]),
            self._counter.act("/sign-out", self.leave, accounts.Role.VIEWER),
            self._counter.look("/account", self.account),
            self._counter.act("/account", self.change, accounts.Role.VIEWER),
        ]

    async def show(self, request: Request) -> Response:
        """The form."""
        await self._counter.desk.throttle.request(address(request), post=False)
        return self._form(request, request.query_params.get("next", ""))

    async def enter(self, request: Request) -> Response:
        """A right name and password open a new session; anything else says the same."""
        counter = self._counter
        await counter.desk.throttle.request(address(request), post=True)
        async with request.form(max_files=0, max_fields=10) as form:
            sent = await read(form)
        door = request.cookies.get(counter.door_cookie, "")[:200]
        counter.desk.forms.check(f"door {door}", sent.texts.get("form_token", ""), request.headers)
        name, onward = sent.text("name"), sent.texts.get("next", "")
        try:
            seat = await accounts.sign_in(
                counter.house, name, sent.texts.get("password", ""), network(address(request))
            )
        except accounts.SignInRefused:
            return self._form(request, onward, 422, name=name, wrong="refused")
        except accounts.SignInLocked:
            return self._form(request, onward, 429, name=name, wrong="locked")
        await counter.leave(request)
        response = RedirectResponse(self._onward(onward), 303)
        self._set(response, counter.cookie, seat.token)
        response.delete_cookie(counter.door_cookie, path="/", secure=counter.secure, httponly=True, samesite="strict")
        return response

    async def leave(self, seat: Seat, _sent: Sent) -> Response:
        """End the session here, not only in this browser."""
        await self._counter.leave(seat.request)
        response = self._counter.to("sign-in")
        response.delete_cookie(
            self._counter.cookie, path="/", secure=self._counter.secure, httponly=True, samesite="strict"
        )
        return response

    async def account(self, seat: Seat) -> Response:
        """Who is signed in, and a new password."""
        return self._counter.page(seat, "account.html", wrong=[])

    async def change(self, seat: Seat, sent: Sent) -> Response:
        """A new password, for the old one; every session ends."""
        old, new = sent.texts.get("old", ""), sent.texts.get("new", "")
        words = self._counter.words
        try:
            if new != sent.texts.get("again", ""):
                raise given.refuse("Mật khẩu mới", "hai lần nhập khác nhau", "nhập lại")
            where = network(address(seat.request))
            await accounts.change_password(self._counter.house, seat.by, old, new, where)
        except CongvanError as error:
            return self._counter.page(seat, "account.html", 422, wrong=words.of(error))
        return self._counter.to("sign-in", done="changed")

    def _form(self, request: Request, onward: str, status: int = 200, *, name: str = "", wrong: str = "") -> Response:
        counter = self._counter
        # The one that came stays: another tab shows a form that belongs to it.
        door = request.cookies.get(counter.door_cookie, "")
        if not _DOOR.fullmatch(door):
            door = f"{counter.house.random.getrandbits(128):032x}"
        response = counter.outside(
            "sign_in.html", status, form_token=counter.desk.forms.token(f"door {door}"), onward=self._onward(onward),
            name=name, wrong=wrong, done=request.query_params.get("done", ""),
        )  # fmt: skip
        self._set(response, counter.door_cookie, door)
        if wrong == "locked":
            response.headers["Retry-After"] = str(int(accounts.WINDOW.total_seconds()))
        return response

    def _set(self, response: Response, name: str, value: str) -> None:
        response.set_cookie(name, value, path="/", secure=self._counter.secure, httponly=True, samesite="strict")

    def _onward(self, path: str) -> str:
        """The page to go on to, if it is one of these; else the first."""
        start = self._counter.url()
        inside = path == start or path.startswith((f"{start}/", f"{start}?"))
        return path if inside and _ONWARD.fullmatch(path) and "//" not in path and ".." not in path else start
