"""Recipients that answer through the real portal, in a process of its own, and how long each waits."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing import get_context
from multiprocessing.connection import Connection
from urllib.parse import urlencode

from congvan.house import House, build
from congvan.links import Link
from congvan.portal.desk import PURPOSE
from congvan.portal.guard import Forms
from congvan.portal.serve import serve
from congvan.portal.throttle import Allowance
from congvan.settings import Settings


def portal(pipe: Connection, chosen: Settings) -> None:
    """The portal, until the other side hangs up."""

    async def run() -> None:
        house = build(chosen)
        serving = asyncio.ensure_future(
            serve(house, "127.0.0.1", 0, allowance=Allowance.unlimited(), signals=False, started=pipe.send)
        )
        await asyncio.to_thread(pipe.recv)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        await house.close()

    asyncio.run(run())


@contextmanager
def served(chosen: Settings) -> Iterator[int]:
    """The port of a running portal."""
    context = get_context("forkserver")
    here, there = context.Pipe()
    worker = context.Process(target=portal, args=(there, chosen))
    worker.start()
    there.close()
    try:
        yield int(here.recv())
    finally:
        here.send("end")
        worker.join()


_KEPT_S = 3.0


@dataclass(frozen=True, slots=True)
class Form:
    """A confirmation, ready to be posted."""

    path: str
    body: bytes

    def request(self, port: int) -> bytes:
        """Its octets."""
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {len(self.body)}\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\n\r\n"
        )
        return head.encode() + self.body


def forms(house: House, delivery_ids: Sequence[str]) -> list[Form]:
    """One for each delivery, by its own link."""
    settings = house.settings
    keys = [key.get_secret_value() for key in settings.secret_keys]
    signed = Forms(keys, settings.portal_url)
    expires = house.clock.wall() + timedelta(days=9)
    made = []
    for key in delivery_ids:
        token = house.links.token(Link(key, PURPOSE, 1, expires))
        said = {"form_token": signed.token(token), "name": "Trần Thị Mẫu", "position": "Giám đốc"}
        made.append(Form(f"/v/{token}/confirm", urlencode(said).encode()))
    return made


async def at_once(port: int, wanted: Sequence[Form], lines: int) -> float:
    """Confirmations a second, each line posting the next as soon as it is answered."""
    left = iter(wanted)

    async def line() -> None:
        async with _Line(port) as one:
            for form in left:
                await one.post(form)

    began = time.perf_counter()
    await asyncio.gather(*(line() for _ in range(lines)))
    return len(wanted) / (time.perf_counter() - began)


async def one_by_one(port: int, wanted: Sequence[Form]) -> list[float]:
    """Seconds that each takes, the next posted when it is answered."""
    took = []
    async with _Line(port) as line:
        for form in wanted:
            began = time.perf_counter()
            await line.post(form)
            took.append(time.perf_counter() - began)
    return took


async def at_rate(port: int, wanted: Sequence[Form], rate: float, stop: asyncio.Event | None = None) -> list[float]:
    """Seconds from the moment at which each was to be posted until it was recorded; none waits for another."""
    loop = asyncio.get_running_loop()
    free: list[_Line] = []
    took: list[float] = []

    async def post(form: Form, meant: float) -> None:
        line = free.pop() if free else _Line(port)
        if not line.fresh(loop.time()):
            line.close()
            line = await _Line(port).open()
        await line.post(form)
        took.append(loop.time() - meant)
        free.append(line)

    under_way = []
    began = loop.time()
    for number, form in enumerate(wanted):
        meant = began + number / rate
        await asyncio.sleep(max(0.0, meant - loop.time()))
        if stop is not None and stop.is_set():
            break
        under_way.append(asyncio.create_task(post(form, meant)))
    await asyncio.gather(*under_way)
    for line in free:
        line.close()
    return took


class _Line:
    """One connection that is kept."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter | None = None
        self._used = -math.inf

    async def open(self) -> _Line:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    def fresh(self, now: float) -> bool:
        """Whether the portal has kept it: it closes what has been idle for five seconds."""
        return now - self._used < _KEPT_S

    async def __aenter__(self) -> _Line:
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()

    async def post(self, form: Form) -> None:
        """Post it; anything but "recorded, see the page" is a fault of the measurement."""
        assert self._writer is not None, "open it first"
        self._writer.write(form.request(self._port))
        head = await self._reader.readuntil(b"\r\n\r\n")
        status, _, rest = head.partition(b"\r\n")
        assert status.split()[1] == b"303", head
        for line in rest.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                await self._reader.readexactly(int(line.partition(b":")[2]))
        self._used = asyncio.get_running_loop().time()
