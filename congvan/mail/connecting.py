"""The way to an open connection: connect, secure, greet and log in, by aiosmtplib."""

from __future__ import annotations

import ssl

import aiosmtplib

from congvan.mail.conversation import Line, Timeouts, Trace
from congvan.mail.replies import Reply
from congvan.mail.url import SmtpUrl
from congvan.mail.wire import take_over


class NoConnection(Exception):
    """The server cannot be talked to: what it said, or why nothing was heard."""

    def __init__(self, reply: Reply | None, reason: str) -> None:
        super().__init__(reason)
        self.reply = reply


async def open_line(
    url: SmtpUrl,
    context: ssl.SSLContext | None,
    timeouts: Timeouts,
    trace: Trace | None = None,
    *,
    pipelined: bool = True,
) -> Line:
    """Connect, secure, greet and log in; raise NoConnection."""
    if trace is not None:
        trace("connect")
    client = aiosmtplib.SMTP(
        hostname=url.host,
        port=url.port,
        use_tls=url.tls == "implicit",
        start_tls=url.tls == "starttls",
        tls_context=context,
        local_hostname=url.helo,
        username=url.user or None,
        password=url.password or None,
        timeout=timeouts.connect_s,
    )
    try:
        await client.connect()
        await _greet(client, trace)
        wire = take_over(client.transport)
    except aiosmtplib.SMTPResponseException as refusal:
        client.close()
        reply = Reply(refusal.code, refusal.message)
        raise NoConnection(reply if 400 <= refusal.code < 600 else None, str(reply)) from refusal
    except (aiosmtplib.SMTPException, OSError, ValueError) as fault:
        client.close()
        raise NoConnection(None, str(fault) or type(fault).__name__) from fault
    return Line(wire, dict(client.esmtp_extensions), timeouts, trace, pipelined=pipelined)


async def _greet(client: aiosmtplib.SMTP, trace: Trace | None) -> None:
    if not client.is_ehlo_or_helo_needed:
        return
    if trace is not None:
        trace("ehlo")
    try:
        await client.ehlo()
    except aiosmtplib.SMTPHeloError as refusal:
        if refusal.code < 500 or not client.is_connected:
            raise
        await client.helo()
