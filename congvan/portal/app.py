"""The portal: web pages behind the links, the demo's mail, an overview. Knows neither Prefect nor SMTP."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from congvan.acts import leases, views
from congvan.errors import LinkExpired, LinkInvalid, LinkRevoked, NotFound, NothingInstalled
from congvan.house import Carrier, House
from congvan.house import carrier as smtp_carrier
from congvan.links import OFFICE
from congvan.portal import metrics, office
from congvan.portal.desk import Desk
from congvan.portal.guard import AccessLog, BodyCap, Forms, NoNul, Refused, SecureHeaders, TooLarge, secure_headers
from congvan.portal.mailbox import MailPages
from congvan.portal.office.counter import office_page
from congvan.portal.pages import Pages
from congvan.portal.recipient import RecipientPages
from congvan.portal.throttle import Allowance, Throttle, TooManyRequests

log = logging.getLogger("congvan.portal")

Handler = Callable[[Request, Exception], Awaitable[Response]]


def app(
    house: House,
    *,
    mail_folder: Path | None = None,
    allowance: Allowance | None = None,
    carrier: Callable[[], Carrier] | None = None,
) -> Starlette:
    """The portal of a house. mail_folder: the demo's sink, whose messages then have pages. carrier: makes the
    mail server's hand for trial mails; the settings' own unless another is given.

    Raise NothingInstalled without a secret key: no link could be read.
    """
    settings = house.settings
    keys = [key.get_secret_value() for key in settings.secret_keys]
    if not keys:
        raise NothingInstalled("chưa đặt CONGVAN_SECRET_KEYS: không đọc được đường dẫn")
    desk = Desk(
        house,
        Pages(settings.templates / "portal", settings.portal_url),
        Forms(keys, settings.portal_url),
        Throttle(allowance or (Allowance.unlimited() if settings.demo else Allowance())),
        has_mail=mail_folder is not None,
    )
    https = settings.portal_url.startswith("https://")
    portal = Starlette(
        routes=[
            *_common(desk),
            *metrics.routes(house),
            *RecipientPages(desk).routes(),
            *office.routes(desk, carrier or (lambda: smtp_carrier(settings))),
            *(MailPages(desk, mail_folder).routes() if mail_folder else ()),
        ],
        middleware=[
            Middleware(AccessLog),
            Middleware(SecureHeaders, https=https),
            Middleware(NoNul),
            Middleware(BodyCap),
        ],
        exception_handlers=_handlers(desk, https),
    )
    # Such a redirect is built from the Host header, which anybody may write.
    portal.router.redirect_slashes = False
    return portal


def _common(desk: Desk) -> list[Route]:
    async def start(request: Request) -> Response:
        return desk.page(request, "start.html", has_mail=desk.has_mail, demo=desk.house.settings.demo)

    async def status(request: Request) -> Response:
        if not desk.house.settings.demo:
            # Who stands where is for operators; a demonstration shows it to everybody.
            return RedirectResponse(desk.pages.url(OFFICE), 303)
        await desk.throttle.request(request.client.host if request.client else None, post=False)
        campaigns = await views.overview(desk.house)
        now = await desk.house.clock.now()
        return desk.page(request, "status.html", campaigns=campaigns, now=now, here=("status",))

    async def healthz(request: Request) -> Response:
        return told(await leases.missing(desk.house))

    async def relay(request: Request) -> Response:
        return told(await leases.missing(desk.house, leases.RELAY))

    def told(missing: str) -> Response:
        return PlainTextResponse(f"{missing or 'ok'}\n", 503 if missing else 200)

    def style(sheet: bytes) -> Callable[[Request], Awaitable[Response]]:
        async def show(request: Request) -> Response:
            # The version stands in the address, so a new style is a new address.
            headers = {"Cache-Control": "public, max-age=31536000, immutable"}
            return Response(sheet, media_type="text/css", headers=headers)

        return show

    return [
        Route("/", start, methods=["GET"]),
        Route("/status", status, methods=["GET"]),
        Route("/healthz", healthz, methods=["GET"]),
        Route("/healthz/relay", relay, methods=["GET"]),
        Route("/static/style.css", style(desk.pages.style), methods=["GET"]),
        Route("/static/office.css", style(desk.pages.office_style), methods=["GET"]),
    ]


def _handlers(desk: Desk, https: bool) -> dict[Any, Handler]:
    """One clear page for each thing that can be wrong; what is unknown looks the same, whatever it was."""

    def wrong(request: Request, stem: str, status: int, headers: Mapping[str, str] | None) -> Response:
        if request.url.path.strip("/").partition("/")[0] == OFFICE:
            # Whoever works here has followed no link in a mail.
            return office_page(desk, "wrong.html", status, headers, stem=stem)
        return desk.page(request, "wrong.html", status, headers, stem=stem)

    def says(stem: str, status: int) -> Handler:
        async def handle(request: Request, error: Exception) -> Response:
            headers = {"Retry-After": str(error.wait_s)} if isinstance(error, TooManyRequests) else {}
            return wrong(request, stem, status, headers)

        return handle

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        stem = "not_found" if error.status_code == 404 else "bad_request"
        return wrong(request, stem, error.status_code, error.headers)

    async def broken(request: Request, error: Exception) -> Response:
        # This handler stands outside of the middleware that adds the headers.
        return wrong(request, "broken", 500, secure_headers(https))

    return {
        LinkExpired: says("expired", 410),
        LinkRevoked: says("revoked", 410),
        LinkInvalid: says("not_found", 404),
        NotFound: says("not_found", 404),
        Refused: says("refused", 403),
        TooLarge: says("too_large", 413),
        TooManyRequests: says("too_many", 429),
        # Octets in a form that are no text of the charset that it names.
        UnicodeError: says("bad_request", 400),
        HTTPException: http,
        Exception: broken,
    }
