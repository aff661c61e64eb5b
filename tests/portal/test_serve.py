"""The portal behind a real uvicorn: it says its port, answers, and ends cleanly."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from congvan.house import House
from congvan.portal.serve import NotListening, serve
from congvan.portal.throttle import Allowance
from congvan.settings import Settings
from tests.portal.world import Desk, form_token


@asynccontextmanager
async def served(house: House, allowance: Allowance | None = None) -> AsyncIterator[str]:
    started: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    how = {"signals": False, "allowance": allowance, "started": started.set_result}
    task = asyncio.create_task(serve(house, "127.0.0.1", 0, **how))  # type: ignore[arg-type]
    port = await asyncio.wait_for(started, 20)
    yield f"http://127.0.0.1:{port}"
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.fixture
async def base(house: House) -> AsyncIterator[str]:
    async with served(house) as url:
        yield url


async def test_an_answer_over_the_wire_is_recorded(base: str, desk: Desk) -> None:
    tenant = await desk.tenant()
    async with httpx.AsyncClient(base_url=base) as web:
        page = await web.get(desk.path(tenant))
        assert "server" not in page.headers
        data = {"form_token": form_token(page), "name": "Hoa", "position": "Kế toán"}
        sent = await web.post(f"{desk.path(tenant)}/confirm", data=data, follow_redirects=True)
        assert sent.status_code == 200
    assert (await desk.delivery(tenant.recipient)).state == "ACKNOWLEDGED"


@pytest.mark.parametrize("host", ["127.0.0.1", "192.0.2.1", "a..b"])
async def test_an_address_that_cannot_be_had_is_named_and_nothing_else_ends(house: House, base: str, host: str) -> None:
    with pytest.raises(NotListening, match=host.replace(".", r"\.")):
        await serve(house, host, int(base.rpartition(":")[2]), signals=False)
    async with httpx.AsyncClient(base_url=base) as web:
        assert (await web.get("/healthz")).text == "ok\n"


async def test_a_browser_that_hangs_up_in_the_middle_leaves_no_trace(base: str, desk: Desk) -> None:
    tenant = await desk.tenant()
    before = await desk.trace()
    host, port = base.removeprefix("http://").split(":")
    _reader, writer = await asyncio.open_connection(host, int(port))
    head = f"POST {desk.path(tenant)}/confirm HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\nname="
    writer.write(head.encode())
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    async with httpx.AsyncClient(base_url=base) as web:
        assert (await web.get("/healthz")).text == "ok\n"
    assert await desk.trace() == before


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /v/x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GARBAGE\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
    ],
)
async def test_broken_requests_harm_nobody_else(base: str, raw: bytes) -> None:
    host, port = base.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(raw)
    await writer.drain()
    writer.write_eof()
    await asyncio.wait_for(reader.read(), 20)
    writer.close()
    await writer.wait_closed()
    async with httpx.AsyncClient(base_url=base) as web:
        assert (await web.get("/healthz")).status_code == 200


@pytest.mark.parametrize(
    ("trusted", "last"),
    [("127.0.0.1, ::1", 404), ("10.9.0.0/16,127.0.0.0/8", 404), ("10.9.0.0/16", 429)],
)
async def test_only_a_trusted_proxy_says_for_whom_it_speaks(house: House, trusted: str, last: int) -> None:
    """Else whoever guesses at tokens would be somebody else with each request, or one would shut out all."""
    proxies = Settings.model_validate({"trusted_proxies": trusted}).trusted_proxies
    proxied = dataclasses.replace(house, settings=house.settings.model_copy(update={"trusted_proxies": proxies}))
    async with served(proxied, Allowance(misses="2/minute")) as url, httpx.AsyncClient(base_url=url) as web:
        seen = [
            (await web.get("/v/nothing", headers={"X-Forwarded-For": f"192.0.2.{number}"})).status_code
            for number in range(4)
        ]
    assert seen == [404, 404, last, last]
