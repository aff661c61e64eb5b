"""What stands before every operators' page: who is signed in, what that role may, and whose form it is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from congvan.acts import accounts
from congvan.acts.accounts import Account, Role
from congvan.acts.officers import full_names
from congvan.acts.progress import Progress
from congvan.house import Carrier, House
from congvan.links import OFFICE
from congvan.portal import forms
from congvan.portal.desk import Desk
from congvan.portal.office.saying import Refusals
from congvan.rules.requirements import MOST_FILES
from congvan.rules.uploads import Upload, upload

#: A form's text fields and files, at most; of a report one for each field of the plan, and what it rests on.
_MOST_FIELDS, _MOST_FILES = 200, MOST_FILES + 1
_LONGEST = 4_000


@dataclass(frozen=True, slots=True)
class Sent:
    """A form as it was sent: texts, all values of fields that may be repeated, files under clean names."""

    texts: Mapping[str, str] = field(default_factory=dict)
    lists: Mapping[str, list[str]] = field(default_factory=dict)
    files: Mapping[str, Upload] = field(default_factory=dict)

    @property
    def file(self) -> Upload | None:
        """The form's own file, if one was chosen."""
        return self.files.get("file")

    def text(self, name: str, longest: int = 200) -> str:
        """One line, cut at the longest; "" where it was not sent."""
        return " ".join(forms.clean(self.texts.get(name, ""), longest).split())[:longest]

    def words(self, name: str, longest: int = 2_000) -> str:
        """Several lines."""
        return forms.clean(self.texts.get(name, ""), longest)[:longest]

    def number(self, name: str) -> int | None:
        """A number that a page of ours wrote into its form; None for anything else."""
        text = self.text(name, 9)
        return int(text) if text.isdecimal() else None

    def ticked(self, name: str) -> bool:
        """True for a tick."""
        return self.texts.get(name) == "yes"


@dataclass(frozen=True, slots=True)
class Seat:
    """A request of somebody who is signed in."""

    request: Request
    account: Account
    form_token: str
    #: As `full_names` gives them.
    officers: Mapping[str, str]

    @property
    def by(self) -> str:
        """The name under which acts are recorded."""
        return self.account.name

    def named(self, by: str | None) -> str:
        """Who did something, as people read of it: the full name where it is an account's."""
        return self.officers[by or ""]

    @property
    def done(self) -> str:
        """What was done before this page, by its address; anybody may write one, so a page knows its own names only."""
        return self.request.query_params.get("done", "")

    @property
    def act(self) -> str:
        """The last part of the address: of a form that was sent, which one of its page."""
        return self.request.url.path.rpartition("/")[2]

    def may(self, role: str) -> bool:
        """True when this account's role is the named one or stands above it."""
        return self.account.role.may(Role(role))


Look = Callable[[Seat], Awaitable[Response]]
Act = Callable[[Seat, Sent], Awaitable[Response]]


class Counter:
    """The operators' counter: makes routes that open only to those who may."""

    def __init__(self, desk: Desk, carrier: Callable[[], Carrier]) -> None:
        self.desk = desk
        self.carrier = carrier
        https = desk.house.settings.portal_url.startswith("https://")
        self.secure = https
        # The prefix makes browsers refuse the cookie from any other host or path (RFC 6265bis 4.1.3.2).
        self.cookie = "__Host-congvan" if https else "congvan"
        self.door_cookie = f"{self.cookie}-door"
        self.words = Refusals(desk.house.settings.templates / "portal" / "office")
        #: Paths that show something, by the shape in which they are routed.
        self._looks: set[str] = set()
        #: Counts of campaigns and when they were made, by the loop's clock; an act of ours makes them old.
        self.recent: dict[str, tuple[float, Progress]] = {}

    @property
    def house(self) -> House:
        """The house behind the counter."""
        return self.desk.house

    # ------------------------------------------------------------------ routes

    def look(self, path: str, handler: Look, role: Role = Role.VIEWER) -> Route:
        """A GET route for this role and those above it."""

        self._looks.add(path)

        async def guarded(request: Request) -> Response:
            seat = await self._seat(request)
            if seat is None:
                return self._to_sign_in(request, request.url.path)
            return await handler(seat) if seat.account.role.may(role) else self.not_allowed(seat)

        return Route(f"/{OFFICE}{path}", guarded, methods=["GET"])

    def act(self, path: str, handler: Act, role: Role = Role.OPERATOR) -> Route:
        """A POST route: the session and the role are looked at before a body is read, then the form's token."""

        async def guarded(request: Request) -> Response:
            seat = await self._seat(request, post=True)
            if seat is None:
                # A form stands on the page of its own address, else on that of the address above it.
                at = request.url.path
                return self._to_sign_in(request, at if path in self._looks else at.rpartition("/")[0])
            if not seat.account.role.may(role):
                return self.not_allowed(seat)
            async with request.form(max_files=_MOST_FILES, max_fields=_MOST_FIELDS) as form:
                sent = await read(form)
            self.desk.forms.check(_bound(self._token(request)), sent.texts.get("form_token", ""), request.headers)
            self.recent.clear()
            return await handler(seat, sent)

        return Route(f"/{OFFICE}{path}", guarded, methods=["POST"])

    async def _seat(self, request: Request, *, post: bool = False) -> Seat | None:
        await self.desk.throttle.request(address(request), post=post)
        token = self._token(request)
        account = await accounts.seated(self.house, token)
        if account is None:
            return None
        async with self.house.store.view() as ledger:
            officers = await full_names(ledger)
        return Seat(request, account, self.desk.forms.token(_bound(token)), officers)

    def _token(self, request: Request) -> str:
        return request.cookies.get(self.cookie, "")[:200]

    async def leave(self, request: Request) -> None:
        """End the session that this request brought, if any."""
        if token := self._token(request):
            await accounts.sign_out(self.house, token)

    # ------------------------------------------------------------------ answers

    def url(self, *parts: str, **query: str | int) -> str:
        """A path of these pages."""
        return _url(self.desk, *parts, **query)

    def page(self, seat: Seat, name: str, status: int = 200, /, **values: Any) -> Response:
        """A page for whoever is signed in."""
        return office_page(self.desk, name, status, **{"seat": seat, **values})

    def outside(self, name: str, status: int = 200, /, **values: Any) -> Response:
        """A page for somebody who is not signed in."""
        return office_page(self.desk, name, status, **values)

    def to(self, *parts: str, **query: str | int) -> Response:
        """303 to a page of ours: reloading it repeats nothing."""
        return RedirectResponse(self.url(*parts, **query), 303)

    def not_allowed(self, seat: Seat) -> Response:
        """This role may not."""
        return self.page(seat, "not_allowed.html", 403)

    def _to_sign_in(self, request: Request, path: str) -> Response:
        """To the door, and from there on to this path of ours."""
        query = f"?{request.url.query}" if request.url.query else ""
        onward = f"{self.desk.pages.prefix}{path}{query}"
        if request.method == "GET" and request.headers.get("sec-fetch-site") == "cross-site":
            # Strict cookies stay away from a link on another site; a step of our own brings them.
            return self.outside("knock.html", at=onward)
        return self.to("sign-in", next=onward)


def office_page(
    desk: Desk, name: str, status: int = 200, headers: Mapping[str, str] | None = None, /, **values: Any
) -> Response:
    """A page of the operators'. Without `seat` it is for somebody who is not signed in, or of whom that is not
    known."""
    tools = {"seat": None, "office": partial(_url, desk), "style2": desk.pages.office_style_url}
    return desk.pages.response(f"office/{name}", "vi", {**tools, **values}, status, headers)


def _url(desk: Desk, /, *parts: str, **query: str | int) -> str:
    return desk.pages.url(OFFICE, *parts, **query)  # type: ignore[arg-type]


async def read(form: FormData) -> Sent:
    """What a form holds; a file field without a file is none."""
    texts: dict[str, str] = {}
    lists: dict[str, list[str]] = {}
    files: dict[str, Upload] = {}
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            data = await value.read()
            if data or value.filename:
                files[name] = upload(value.filename or "", data)
        else:
            texts[name] = value[:_LONGEST]
            lists.setdefault(name, []).append(value[:_LONGEST])
    return Sent(texts, lists, files)


def address(request: Request) -> str | None:
    """Where a request comes from."""
    return request.client.host if request.client else None


def _bound(token: str) -> str:
    # A session's form token opens no recipient's form, and a link's none of ours.
    return f"office {token}"
