"""What one would write by hand: a few connections and an EmailMessage per recipient; no database."""

from __future__ import annotations

import asyncio
from multiprocessing.connection import Connection

from bench.harness import timed
from bench.peers.letter import Letter, pool


def script(pipe: Connection, letter: Letter, port: int, connections: int, count: int) -> None:
    """Send the letter to so many recipients."""
    numbers = iter(range(count))

    async def work() -> int:
        async with pool(letter, port, connections) as opened:

            async def line() -> None:
                for number in numbers:
                    await opened.send(number)

            await asyncio.gather(*(line() for _ in range(connections)))
        return count

    timed(pipe, work())
