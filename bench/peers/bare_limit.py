"""The bare limit: one ready message, the same octets for everybody, over the product's fast path; no database."""

from __future__ import annotations

import asyncio
from multiprocessing.connection import Connection

from bench.harness import timed
from congvan.mail.connecting import open_line
from congvan.mail.conversation import Timeouts
from congvan.mail.outgoing import Envelope
from congvan.mail.sender import SmtpUrl


def limit(pipe: Connection, payload: bytes, port: int, connections: int, count: int) -> None:
    """Hand the same octets over so many times."""
    envelope = Envelope("congvan+token@bql.example", "vanthu@cty.example", dsn_id="a" * 32)
    numbers = iter(range(count))

    async def work() -> int:
        async def line() -> None:
            line = await open_line(SmtpUrl.parse(f"smtp://127.0.0.1:{port}?tls=none"), None, Timeouts())
            for _ in numbers:
                ended = await line.hand_over(envelope, payload)
                assert ended.verdict == "accepted", ended
            await line.leave()

        await asyncio.gather(*(line() for _ in range(connections)))
        return count

    timed(pipe, work())
