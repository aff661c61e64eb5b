"""What every handler needs: the house, the pages, the form tokens, the limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from congvan.acts import delegates, views
from congvan.acts.obligations import Obligation
from congvan.errors import LinkExpired, LinkInvalid
from congvan.house import House
from congvan.links import Link
from congvan.portal.guard import Forms, canonical
from congvan.portal.pages import Pages, language
from congvan.portal.throttle import Throttle

PURPOSE = "answer"


@dataclass(frozen=True, slots=True)
class Visit:
    """One request behind a link that was found good."""

    request: Request
    token: str
    link: Link
    lang: str
    page: Obligation


@dataclass(frozen=True)
class Desk:
    """The portal's counter."""

    house: House
    pages: Pages
    forms: Forms
    throttle: Throttle
    has_mail: bool

    async def link(self, request: Request) -> tuple[str, Link]:
        """The token and the link of a request; raise LinkInvalid, LinkExpired or TooManyRequests.

        What is not ours, of another purpose, or of a delivery that is not there gives one and the same
        answer; it counts against the address, so that guessing ends soon.
        """
        post, host = request.method == "POST", request.client.host if request.client else None
        await self.throttle.request(host, post=post)
        try:
            token = canonical(str(request.path_params["token"]))
            link = await self._read(token)
        except LinkInvalid as error:
            if not isinstance(error, LinkExpired):
                await self.throttle.miss(host)
            raise
        await self.throttle.link(link.delivery_id, post=post)
        return token, link

    async def _read(self, token: str) -> Link:
        """The recipient's own link, or the one of a colleague to whom it passed its page."""
        now = await self.house.clock.now()
        try:
            return self.house.links.read(token, PURPOSE, now)
        except LinkExpired:
            raise
        except LinkInvalid:
            return await delegates.behind(self.house, self.house.links.read(token, "delegate", now))

    async def visit(self, request: Request) -> Visit:
        """The obligation behind a request; raise as `link`, and LinkRevoked."""
        return await self.behind(request, *await self.link(request))

    async def behind(self, request: Request, token: str, link: Link) -> Visit:
        """The obligation behind a link that was found good."""
        page = await views.obligation(self.house, link)
        return Visit(request, token, link, language(request.query_params), page)

    def page(
        self, request: Request, name: str, status: int = 200, headers: Mapping[str, str] | None = None, **values: Any
    ) -> Response:
        """A page that stands behind no link."""
        lang = language(request.query_params)
        return self.pages.response(name, lang, {"here": _here(request), "here_query": {}, **values}, status, headers)


def _here(request: Request) -> tuple[str, ...] | None:
    """The page that is to be seen in the other language: what was sent cannot be fetched again, but the page that it
    was sent from; None: the address at which the reader is."""
    parts = request.url.path.strip("/").split("/")
    return tuple(parts[:2]) if request.method == "POST" and parts[0] == "v" else None
