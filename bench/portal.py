"""The portal beside a bare handler: confirmations a second, pages for 700 and for 25,000, and what a kill loses.

    confirm   confirmations a second on one process, beside a bare Starlette handler with one insert on the same
              database behind the same server; the ratio is what counts
    pages     the campaign's page and the table of its deliveries at 25,000 deliveries and 480 hops, beside 700 and
              30; counts made anew each time
    kill      SIGKILL under load: every answer "303, recorded" that a client read has to be in the database

Run: python -m bench.portal [confirm] [pages] [kill] [--seconds 5] [--clients 16] [--trials 10] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import uvicorn
import uvloop
from sqlalchemy import select
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from congvan.house import House
from congvan.links import Link
from congvan.portal.app import app
from congvan.portal.guard import Forms
from congvan.portal.office import campaigns as office_campaigns
from congvan.portal.serve import serve
from congvan.portal.throttle import Allowance
from congvan.store.tables import Delivery
from tests.portal.grown import grow
from tests.portal.office_world import account, sign_in
from tests.portal.world import BASE, KEY, START, build_house, run_campaign

#: A portal that is killed comes back at once: its imports are made.
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.portal.world", "congvan.portal.app", "congvan.portal.serve"])
_HOPS = {700: 30, 25_000: 480}
_PAGES = {"campaign": "/office/c/8184", "table": "/office/c/8184/deliveries", "last page": "/office/c/8184/deliveries"}


# ------------------------------------------------------------------------------------ the world


def url_of(folder: Path) -> str:
    return f"sqlite+aiosqlite:///{folder / 'congvan.db'}"


async def prepare(folder: Path, deliveries: int, hops: int = 2, *, waiting: bool = False) -> list[tuple[str, int]]:
    """A campaign of this size; (id, link version) of those who may confirm. waiting: nobody has answered yet."""
    await run_campaign(url_of(folder), folder)
    house = build_house(url_of(folder), folder)
    await grow(house, deliveries, hops=hops)
    async with house.store.act() as ledger:
        if waiting:
            await ledger.change(Delivery, Delivery.recipient.like("DN-%"), state="SENT", confirmed_at=None, reason=None)
        rows = await ledger.rows(
            select(Delivery.id, Delivery.link_version).where(
                Delivery.state == "SENT", Delivery.level == "tenant", Delivery.recipient.like("DN-%")
            )
        )
    await house.close()
    return [(row.id, row.link_version) for row in rows]


def posts(house: House, who: Sequence[tuple[str, int]]) -> list[tuple[str, bytes]]:
    """(delivery, the bytes of its confirmation), as a browser sends them."""
    forms = Forms([KEY], BASE)
    made = []
    for key, version in who:
        token = house.links.token(Link(key, "answer", version, START + timedelta(days=90)))
        body = {"form_token": forms.token(token), "name": "Nguyễn Thị Hoa", "position": "Văn thư", "segment": "yes"}
        made.append((key, _post(f"/v/{token}/confirm", urlencode(body).encode())))
    return made


def _post(path: str, body: bytes) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


# ------------------------------------------------------------------------------------ servers


def run_portal(folder: str, pipe: Connection) -> None:
    """The portal in a process of its own."""

    async def run() -> None:
        house = build_house(url_of(Path(folder)), Path(folder))
        house.clock.forward(hours=2)  # type: ignore[attr-defined]
        await serve(house, "127.0.0.1", 0, allowance=Allowance.unlimited(), started=pipe.send)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


def run_bare(folder: str, pipe: Connection) -> None:
    """A handler that does nothing but one insert, on the same database, behind the same server."""

    async def run() -> None:
        house = build_house(url_of(Path(folder)), Path(folder))
        numbers = iter(range(10**9))

        async def insert(request: Request) -> Response:
            await request.body()
            async with house.store.act() as ledger:
                await ledger.set_note(f"bare-{next(numbers)}", {"said": "yes"})
            return Response(status_code=303, headers={"Location": "/"})

        bare = Starlette(routes=[Route("/{rest:path}", insert, methods=["POST"])])
        config = uvicorn.Config(bare, host="127.0.0.1", port=0, log_config=None, access_log=False, lifespan="off")
        server = uvicorn.Server(config)
        running = asyncio.ensure_future(server.serve())
        while not server.started:  # noqa: ASYNC110 - uvicorn tells nobody
            await asyncio.sleep(0.01)
        pipe.send(server.servers[0].sockets[0].getsockname()[1])
        await running

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


def started(target: Callable[[str, Connection], None], folder: Path) -> tuple[ForkServerProcess, int]:
    """A server in a process of its own, and its port."""
    ours, theirs = _FORKS.Pipe()
    process = _FORKS.Process(target=target, args=(str(folder), theirs), daemon=True)
    process.start()
    return process, int(ours.recv())


# ------------------------------------------------------------------------------------ clients


async def load(port: int, work: Iterator[tuple[str, bytes]], clients: int, seconds: float) -> tuple[list[str], float]:
    """Every client sends one after the other; (whom "303, recorded" was answered for, seconds taken)."""
    recorded: list[str] = []
    start = time.perf_counter()
    until = start + seconds

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for key, request in work:
            writer.write(request)
            answer = await reader.readuntil(b"\r\n\r\n")
            if answer.startswith(b"HTTP/1.1 303"):
                recorded.append(key)
            else:
                raise RuntimeError(answer.decode())
            if time.perf_counter() > until:
                break
        writer.close()

    done = await asyncio.gather(*(client() for _ in range(clients)), return_exceptions=True)
    broken = (OSError, asyncio.IncompleteReadError)
    unexpected = [one for one in done if isinstance(one, BaseException) and not isinstance(one, broken)]
    if unexpected:
        raise unexpected[0]
    return recorded, time.perf_counter() - start


async def confirm(seconds: float, clients: int) -> dict[str, Any]:
    """Confirmations a second, beside the bare handler."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        who = await prepare(folder, 30_000, waiting=True)
        house = build_house(url_of(folder), folder)
        rates: dict[str, float] = {}
        for label, target in (("bare", run_bare), ("portal", run_portal)):
            process, port = started(target, folder)
            recorded, took = await load(port, iter(posts(house, who)), clients, seconds)
            rates[label] = len(recorded) / took
            process.terminate()
            process.join()
        await house.close()
    return {
        "confirmations_per_s": round(rates["portal"]), "bare_inserts_per_s": round(rates["bare"]),
        "share_of_bare": round(rates["portal"] / rates["bare"], 2), "clients": clients,
    }  # fmt: skip


# ------------------------------------------------------------------------------------ kill


async def kill(trials: int, clients: int, answers: int = 0) -> dict[str, Any]:
    """SIGKILL under load; what was answered "recorded" and is not there. answers: go on until there were so many."""
    answered = lost = kills = 0
    rng = random.Random(7)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        who = await prepare(folder, max(12_000, 2 * answers), waiting=True)
        house = build_house(url_of(folder), folder)
        work = iter(posts(house, who))
        while kills < trials or answered < answers:
            kills += 1
            process, port = started(run_portal, folder)
            loading = asyncio.create_task(load(port, work, clients, 60))
            await asyncio.sleep(rng.uniform(0.2, 4 if answers else 1.5))
            process.kill()
            process.join()
            recorded, _took = await loading
            async with house.store.view() as ledger:
                there = set(await ledger.all(select(Delivery.id).where(Delivery.state == "ACKNOWLEDGED")))
            answered += len(recorded)
            lost += len(set(recorded) - there)
        await house.close()
    return {"kills": kills, "answered_recorded": answered, "lost": lost}


# ------------------------------------------------------------------------------------ pages


async def pages(rounds: int = 15) -> dict[str, Any]:
    """The median time of each page for many and for few, in one process; counts are made anew each time."""
    office_campaigns._FRESH_S = -1.0
    times = {size: await _times(size, rounds) for size in _HOPS}
    few, many = times[700], times[25_000]
    found = {}
    for page in _PAGES:
        ratio = round(many[page] / few[page], 2)
        found[page] = {"ms_700": round(few[page], 1), "ms_25000": round(many[page], 1), "ratio": ratio}
    return found


async def _times(size: int, rounds: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        await prepare(folder, size, _HOPS[size])
        house = build_house(url_of(folder), folder)
        house.clock.forward(days=3)  # type: ignore[attr-defined]
        await account(house)
        transport = httpx.ASGITransport(app=app(house, allowance=Allowance.unlimited()))
        found = {}
        async with httpx.AsyncClient(transport=transport, base_url=BASE) as web:
            await sign_in(web)
            for page, path in _PAGES.items():
                query = f"?sort=name&page={size // 50}" if page == "last page" else ""
                taken = []
                for _ in range(rounds):
                    start = time.perf_counter()
                    answer = await web.get(path + query)
                    taken.append((time.perf_counter() - start) * 1000)
                    assert answer.status_code == 200
                found[page] = statistics.median(taken)
        await house.close()
        return found


# ------------------------------------------------------------------------------------ main


def main() -> int:
    """Measure what was asked for; 1 where a kill lost what had been answered."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", choices=["confirm", "pages", "kill", []])
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--answers", type=int, default=0, help="kill until so many were answered")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    wanted = given.what or ["confirm", "pages", "kill"]
    found: dict[str, Any] = {}
    if "confirm" in wanted:
        found["confirm"] = asyncio.run(confirm(given.seconds, given.clients))
    if "pages" in wanted:
        found["pages"] = asyncio.run(pages())
    if "kill" in wanted:
        found["kill"] = asyncio.run(kill(given.trials, given.clients, given.answers))
    print(json.dumps(found, indent=None if given.json else 2))
    return 1 if found.get("kill", {}).get("lost") else 0


if __name__ == "__main__":
    sys.exit(main())
