"""What stands before every page: headers, a cap on bodies, a log without tokens, and whose form it is."""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from itsdangerous import BadData, URLSafeSerializer
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from congvan.errors import LinkInvalid

log = logging.getLogger("congvan.portal")

#: A form of names and reasons.
LARGEST_FORM_BYTES = 64 * 1024
#: A form that may bring files.
LARGEST_UPLOAD_BYTES = 12 * 1024 * 1024
#: A signed letter, scanned: a hundred pages.
LARGEST_SIGNED_BYTES = 31 * 1024 * 1024
_UPLOADS = (
    (re.compile(r"/v/[^/]+/(?:pass-on|report|by-hand)/?$"), LARGEST_UPLOAD_BYTES),
    (re.compile(r"/office/c/[^/]+/d/[^/]+/(?:confirm|report|forward)$"), LARGEST_UPLOAD_BYTES),
    (re.compile(r"/office/letters/[^/]+/issue$"), LARGEST_SIGNED_BYTES),
)
_BEHIND_A_LINK = re.compile(r"/v/+", re.IGNORECASE)
#: Longer than any word of our addresses: a token, wherever a mangled link has it.
_LONG = re.compile(r"[^/]{20,}")

PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; frame-src 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": PAGE_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "X-Robots-Tag": "noindex, nofollow, noarchive",
    "Cache-Control": "no-store",
}


class TooLarge(Exception):
    """The body is larger than any form of ours."""


class Refused(Exception):
    """This form was not made by our page for this link, or another site sent it."""


def secure_headers(https: bool) -> dict[str, str]:
    """The headers of every answer that does not set its own."""
    return _ALWAYS | ({"Strict-Transport-Security": "max-age=31536000; includeSubDomains"} if https else {})


class SecureHeaders:
    """Adds what a page did not set itself."""

    def __init__(self, app: ASGIApp, https: bool) -> None:
        self.app = app
        self._headers = secure_headers(https)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on; complete the headers when the answer starts."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def complete(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, complete)


class NoNul:
    """Refuses addresses of the operators' pages with a NUL in them: they go into questions to the database, and
    PostgreSQL takes none. (Behind a link the token is read first, and whatever is wrong there looks the same.)"""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 400, or pass on."""
        office = scope["type"] == "http" and scope["path"].startswith("/office")
        if office and ("\0" in scope["path"] or b"%00" in scope.get("query_string", b"")):
            await PlainTextResponse("", 400)(scope, receive, send)
            return
        await self.app(scope, receive, send)


class BodyCap:
    """Refuses bodies above the cap before they are read, and cuts off those that lie about their length."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count what is received; raise TooLarge inside the application."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        cap = next((cap for path, cap in _UPLOADS if path.search(scope["path"])), LARGEST_FORM_BYTES)
        announced = Headers(scope=scope).get("content-length", "0")
        received = int(announced) if announced.isdigit() else cap + 1
        if received <= cap:
            received = 0

        async def count() -> Message:
            nonlocal received
            if received > cap:
                raise TooLarge
            message = await receive()
            received += len(message.get("body", b""))
            if received > cap:
                raise TooLarge
            return message

        await self.app(scope, count, send)


class AccessLog:
    """One line a request, without tokens, addresses and queries (Luật 91/2025/QH15: no personal data in logs)."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Note the status that leaves, then write the line."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status = 500

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, note)
        finally:
            log.info("%s %s %d", scope["method"], redacted(scope["path"]), status)


def redacted(path: str) -> str:
    """A path without its token and without what a terminal obeys: "/v/…/confirm"."""
    plain = "".join(filter(str.isprintable, path)).encode("ascii", "backslashreplace").decode()
    found = _BEHIND_A_LINK.search(plain)
    if found is None:
        return plain
    _token, slash, rest = plain[found.end() :].partition("/")
    return f"{plain[: found.start()]}/v/…{slash}{_LONG.sub('…', rest)}"


class Forms:
    """Form tokens: signed, bound to one link token, without state and without a cookie.

    They do not expire by themselves: they are worth nothing without the link, and the link expires.
    """

    def __init__(self, keys: Sequence[str], portal_url: str) -> None:
        self._signer = URLSafeSerializer(list(reversed(keys)), salt="congvan-form-1")
        url = urlsplit(portal_url)
        self._origin = f"{url.scheme}://{url.netloc}".lower()

    def token(self, link_token: str) -> str:
        """The value of the hidden field of every form behind this link."""
        text: bytes | str = self._signer.dumps(_bound(link_token))
        return text if isinstance(text, str) else text.decode()

    def check(self, link_token: str, form_token: str, headers: Headers) -> None:
        """Raise Refused unless our own page for this link sent the form.

        Our pages send no referrer, so browsers say "Origin: null" (Fetch, "append a request Origin
        header"); then Sec-Fetch-Site tells our own form from another site's.
        """
        site = headers.get("sec-fetch-site", "same-origin")
        origin = headers.get("origin", "null").lower()
        if site not in ("same-origin", "none") or origin not in ("null", self._origin):
            raise Refused
        try:
            said = self._signer.loads(form_token[:200])
        except BadData:
            raise Refused from None
        if not isinstance(said, str) or not hmac.compare_digest(said, _bound(link_token)):
            raise Refused


def _bound(link_token: str) -> str:
    return hashlib.sha256(link_token.encode()).hexdigest()[:32]


def canonical(token: str) -> str:
    """The token, if its signature is spelt as we spell it; raise LinkInvalid.

    Base64 ends in spare bits, and Python's decoder skips foreign letters: other spellings of one
    signature would open the same door and slip past whoever compares or counts tokens.
    """
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,200}", token):
        raise LinkInvalid
    _payload, _, signature = token.rpartition(".")
    spare_bits = len(signature) * 6 % 8
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".find(signature[-1:])
    if last < 0 or last & ((1 << spare_bits) - 1):
        raise LinkInvalid
    return token
