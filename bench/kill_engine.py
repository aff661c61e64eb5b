"""The whole engine under kills: PostgreSQL, Prefect's server, the flows and the portal as real processes.

While a campaign goes down its chain and recipients confirm through the portal, processes are killed, stopped for a
while and gone on, PostgreSQL loses a backend (and recovers as after a crash), the mail server goes away and comes
back. Then everything is left in peace and looked at from outside: at the sink, at the portal, in the database.

Run: python -m bench.kill --world engine --kills 20
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

import httpx
from sqlalchemy import make_url, select

from congvan.acts import auditing, confirmations, launches, registry
from congvan.house import House, build
from congvan.links import Link
from congvan.portal.guard import Forms
from congvan.rules.protocol import Event
from congvan.settings import Settings
from congvan.store.schema import migrate
from congvan.store.tables import Delivery, EventRow, Message
from tests.flows import world
from tests.flows.engine import Engine, free_port, until
from tests.postgres import fresh_database, serve

KEY = "test-key-" + "x" * 32
UNITS, TENANTS = 6, 60
#: How long after the last kill everything has to be done.
PEACE_S = 100
ANSWERED = ("ACKNOWLEDGED", "IN_PROGRESS", "FORWARDED", "COMPLETED")


class Whole(Engine):
    """An engine on PostgreSQL, with its portal as a process of its own."""

    def __init__(self, home: Path, database: str) -> None:
        self.portal_port = free_port()
        super().__init__(
            home, CONGVAN_DATABASE_URL=database, CONGVAN_PORTAL_URL=f"http://127.0.0.1:{self.portal_port}"
        )
        self.database = database

    def house(self) -> House:
        """The same database, as seen from outside."""
        return build(
            Settings(
                home=self.home / "congvan", secret_keys=(KEY,), database_url=self.database,
                portal_url=f"http://127.0.0.1:{self.portal_port}", _env_file=None,
            )
        )  # fmt: skip

    async def begin(self, name: str) -> None:
        """Start one of the three."""
        if name == "server":
            port = str(self.prefect_port)
            await self.start("server", "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", port)
        elif name == "flows":
            await self.start_flows()
        else:
            call = f"from congvan.cli import main; raise SystemExit(main(['portal', '--port', '{self.portal_port}']))"
            await self.start("portal", "-c", call)

    def signal(self, name: str, number: signal.Signals) -> None:
        """To the process and to everything that it started."""
        os.killpg(self._running[name].pid, number)

    @property
    def backend(self) -> int | None:
        """Some session of PostgreSQL; killed, the server ends all of them and recovers its files."""
        folder = Path(str(make_url(self.database).query["host"]))
        leader = (folder / "data" / "postmaster.pid").read_text().split()[0]
        children = Path(f"/proc/{leader}/task/{leader}/children").read_text().split()
        sessions = [pid for pid in children if b"postgres: postgres" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        return int(sessions[-1]) if sessions else None


@dataclass
class Record:
    """What was done and seen. recorded: deliveries whose confirmation was answered as recorded."""

    done: Counter[str] = field(default_factory=Counter)
    recorded: set[str] = field(default_factory=set)
    breaches: list[str] = field(default_factory=list)


async def launch(engine: Whole) -> None:
    """The chain with the whole way open as far as nobody has to act."""
    house = engine.house()
    try:
        await migrate(house.store)
        await registry.take_over(house, world.register(UNITS, TENANTS))
        await launches.launch(house, launches.Launch(world.plan(), world.cascade(), "exercise", "An"))
    finally:
        await house.close()


async def recipients(engine: Whole, record: Record, stop: asyncio.Event, chance: random.Random) -> None:
    """Whoever has a letter confirms through the portal, again and again until he is answered; companies pass on."""
    while not stop.is_set():
        await asyncio.sleep(0.5)
        try:
            house = engine.house()
            try:
                await _somebody(house, record, chance)
            finally:
                await house.close()
        except (OSError, httpx.HTTPError) as error:
            record.done[f"unanswered: {type(error).__name__}"] += 1
        except Exception as error:  # what a database that is just being restarted answers has many names
            if "asyncpg" not in str(type(error.__cause__ or error)) and "sqlalchemy" not in str(type(error)):
                raise
            record.done["database away"] += 1


async def _somebody(house: House, record: Record, chance: random.Random) -> None:
    async with house.store.view() as ledger:
        waiting = await ledger.all(select(Delivery).where(Delivery.state == "SENT").order_by(Delivery.id))
    leading = [one for one in waiting if one.recipient in ("BOARD", "INV")]
    for one in leading:
        if one.recipient == "BOARD":
            answer = confirmations.Answer(Event.ACKNOWLEDGED, "Bình", channel="phone", actor="An")
            await confirmations.answer(house, one.id, answer)
        else:
            await confirmations.pass_on(house, one.id, confirmations.PassOn("Bình", "Giám đốc", channel="phone"))
        record.recorded.add(one.id)
    others = [one for one in waiting if one not in leading]
    for one in chance.sample(others, min(3, len(others))):
        token = house.links.token(Link(one.id, "answer", one.link_version, datetime.now(UTC) + timedelta(days=9)))
        form = Forms([KEY], house.settings.portal_url).token(token)
        body = urlencode({"form_token": form, "name": "Hoa", "position": "Văn thư", "segment": "yes"})
        async with httpx.AsyncClient(base_url=house.settings.portal_url, timeout=8) as browser:
            said = await browser.post(
                f"/v/{token}/confirm", content=body, headers={"Content-Type": "application/x-www-form-urlencoded"}
            )
        record.done[f"portal {said.status_code}"] += 1
        if said.status_code == 303:
            record.recorded.add(one.id)


async def harm(engine: Whole, record: Record, chance: random.Random) -> None:
    """One of the things that happen to a machine."""
    what = chance.choice(["flows"] * 3 + ["server"] + ["portal"] * 2 + ["pause"] * 2 + ["database", "mail"])
    record.done[what] += 1
    if what in ("flows", "server", "portal"):
        await engine.kill(what)
        await asyncio.sleep(chance.random())
        await engine.begin(what)
    elif what == "pause":
        name = chance.choice(["flows", "server", "portal"])
        engine.signal(name, signal.SIGSTOP)
        # Longer than a lease: somebody else may have taken over when it goes on.
        await asyncio.sleep(chance.uniform(1, 7))
        engine.signal(name, signal.SIGCONT)
    elif what == "database":
        if (session := engine.backend) is not None:
            os.kill(session, signal.SIGKILL)
    else:
        await engine.sink.stop()
        await asyncio.sleep(chance.uniform(2, 6))
        await engine.sink.start()


async def verify(engine: Whole, record: Record) -> dict[str, int]:
    """From outside: nobody without a letter, no second letter under another name, no answer lost."""
    house = engine.house()
    try:
        async with house.store.view() as ledger:
            deliveries = await ledger.all(select(Delivery))
            letters = await ledger.rows(
                select(Message.message_id, Message.recipient).where(
                    Message.kind.in_(("letter", "slip")), Message.state == "SENT"
                )
            )
            opened = await ledger.all(select(EventRow.stream).where(EventRow.kind == "opened"))
        flaws = await auditing.look_over(house)
    finally:
        await house.close()
    taken = engine.inbox.ids()
    by_box = Counter((box, key.split("@")[0]) for key, box in set(engine.inbox.taken))
    lost = [row.recipient for row in letters if row.message_id not in taken]
    silent = [one.code for one in deliveries if one.state == "QUEUED"]
    gone = [one.code for one in deliveries if one.id in record.recorded and one.state not in ANSWERED]
    twice = [stream for stream, number in Counter(opened).items() if number > 1]
    seconds = [key for key, number in Counter(box for box, stem in by_box if ".letter." in stem).items() if number > 1]
    record.breaches += [
        f"{what}: {found[:5]}"
        for what, found in (
            ("letters recorded as sent that the sink never took", lost), ("recipients without a letter", silent),
            ("confirmations lost", gone), ("hops or deliveries opened twice", twice),
            ("a second letter under another Message-ID", seconds), ("the auditor", [str(one) for one in flaws]),
        )
        if found
    ]  # fmt: skip
    doubled = sum(number - 1 for number in taken.values())
    return {"letters": len(letters), "doubled_same_id": doubled, "confirmed": len(record.recorded)}


async def survive(home: Path, database: str, kills: int, seed: int) -> tuple[Record, dict[str, int]]:
    """One campaign under so many harms."""
    chance, record, stop = random.Random(seed), Record(), asyncio.Event()
    async with Whole(home, database) as engine:
        assert isinstance(engine, Whole)
        await engine.start_server()
        await launch(engine)
        await engine.begin("portal")
        await engine.begin("flows")
        people = asyncio.create_task(recipients(engine, record, stop, chance))
        for _ in range(kills):
            await asyncio.sleep(chance.uniform(1, 6))
            await harm(engine, record, chance)

        async def all_answered() -> bool:
            if people.done():
                people.result()
            return len(record.recorded) >= 2 + UNITS + TENANTS

        try:
            await until(all_answered, PEACE_S, "everybody's confirmation")
        except AssertionError as error:
            record.breaches.append(str(error))
        stop.set()
        await people
        return record, await verify(engine, record)


def run(kills: int, seed: int) -> int:
    """1 on any breach."""
    with tempfile.TemporaryDirectory(prefix="congvan-engine-") as folder, serve(Path(folder), durable=True) as url:

        async def whole() -> tuple[Record, dict[str, int]]:
            return await survive(Path(folder), await fresh_database(url), kills, seed)

        record, figures = asyncio.run(whole())
    print(json.dumps({"seed": seed, "harms": kills, **figures, "what": dict(record.done)}, ensure_ascii=False))
    for breach in record.breaches:
        print("BREACH", breach)
    return 1 if record.breaches else 0
