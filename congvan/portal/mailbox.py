"""The demo's post office in the browser: what the sink has taken, newest first. Only where there is a sink."""

from __future__ import annotations

import asyncio
from pathlib import Path

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from congvan.errors import NotFound
from congvan.mail.sinkstore import Opened, SinkStore
from congvan.portal.desk import Desk
from congvan.portal.files import disposition

PAGE_ROWS = 50
#: A mail's own HTML: its inline styles may dress it, nothing may run, load or be sent.
_MAIL_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; "
    "sandbox allow-popups allow-popups-to-escape-sandbox"
)
# Links of a mail open beside it: our pages refuse to be framed.
_BASE = '<base target="_blank">'


class MailPages:
    """The routes of the sink's pages."""

    def __init__(self, desk: Desk, folder: Path) -> None:
        self._desk = desk
        self._folder = folder

    def routes(self) -> list[Route]:
        """All of them only show."""
        at = "/mail/{number:int}"
        return [
            Route("/mail", self.list, methods=["GET"]),
            Route(at, self.show, methods=["GET"]),
            Route(f"{at}/html", self.html, methods=["GET"]),
            Route(f"{at}/source", self.source, methods=["GET"]),
            Route(f"{at}/files/{{index:int}}/{{name}}", self.file, methods=["GET"]),
        ]

    async def list(self, request: Request) -> Response:
        """Newest first, with search and paging."""
        query = request.query_params
        search, address = query.get("q", "")[:200], query.get("to", "")[:254]
        page = query.get("page", "1")[:6]
        number = max(1, int(page)) if page.isdecimal() else 1
        store = await self._store()
        rows, total = await asyncio.to_thread(
            store.page, search=search, address=address, limit=PAGE_ROWS, offset=(number - 1) * PAGE_ROWS
        )
        kept = {name: value for name, value in (("q", search), ("to", address)) if value}
        return self._desk.page(
            request, "mail_list.html", rows=rows, total=total, number=number, kept=kept, search=search,
            address=address, more=number * PAGE_ROWS < total, here=("mail",), here_query=kept | {"page": number},
        )  # fmt: skip

    async def show(self, request: Request) -> Response:
        """One message: headers, words, files with their hashes."""
        mail = await self._open(request)
        number = mail.stored.number
        return self._desk.page(request, "mail.html", mail=mail, number=number, here=("mail", str(number)))

    async def html(self, request: Request) -> Response:
        """The HTML part as it came, under a policy of its own, for the frame on the message's page."""
        mail = await self._open(request)
        headers = {"Content-Security-Policy": _MAIL_POLICY, "X-Frame-Options": "SAMEORIGIN"}
        return HTMLResponse(Markup(_BASE) + Markup(mail.html), headers=headers)

    async def source(self, request: Request) -> Response:
        """The message as it went over the wire."""
        mail = await self._open(request)
        data = await asyncio.to_thread((self._folder / mail.stored.file).read_bytes)
        headers = {"Content-Disposition": disposition(mail.stored.file, inline=False)}
        return Response(data, media_type="message/rfc822", headers=headers)

    async def file(self, request: Request) -> Response:
        """One attachment, always saved."""
        mail, index = await self._open(request), int(request.path_params["index"])
        if not 0 <= index < len(mail.attachments):
            raise NotFound
        attachment = mail.attachments[index]
        headers = {"Content-Disposition": disposition(attachment.name or "file", inline=False)}
        return Response(attachment.data, media_type="application/octet-stream", headers=headers)

    async def _store(self) -> SinkStore:
        return await asyncio.to_thread(SinkStore, self._folder)

    async def _open(self, request: Request) -> Opened:
        store = await self._store()
        mail = await asyncio.to_thread(store.open, int(request.path_params["number"]))
        if mail is None:
            raise NotFound
        return mail
