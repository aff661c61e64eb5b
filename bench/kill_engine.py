"""The whole engine under kills: PostgreSQL, Prefect's server, the flows and the portal as real processes.

Campaigns are launched one after the other, one for every three harms, go down their chains, and recipients confirm
through the portal. Meanwhile processes are killed, stopped for a while and gone on, PostgreSQL loses a session (and
recovers as after a crash), is killed, or is restarted in order, the disk on which all of it lies is full for some
seconds, the mail server goes away and comes back. Then everything is left in peace and looked at from outside: at the
sink, at the portal, in the database. Every harm comes once before one comes again. A full disk is a tmpfs, so it takes
root; without it that harm is left out, and the line says so. What ends of itself is started again, as by an init
system. After a breach the processes' logs are kept.

Run: python -m bench.kill --world engine --kills 20
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import shutil
import tempfile
import traceback
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

import httpx
from sqlalchemy import select

from bench.kill_world import KEY, Whole, harm, harms
from bench.small_disk import Disk, small_disk
from congvan.acts import auditing, confirmations, launches, passing_on, registry
from congvan.house import House
from congvan.links import Link
from congvan.portal.guard import Forms
from congvan.rules.protocol import Event
from congvan.store.database import Refused
from congvan.store.schema import migrate
from congvan.store.tables import Campaign, Delivery, EventRow, Message
from tests.flows import world
from tests.flows.engine import until
from tests.postgres import Server, fresh_database, server

UNITS, TENANTS = 6, 60
#: Harms for each campaign: two cores carry one down its chain in about the time of three.
HARMS_EACH = 3
#: How long after the last harm nothing may come of it: a busy machine is slow, a broken engine does nothing.
PEACE_S = 240
ANSWERED = ("ACKNOWLEDGED", "IN_PROGRESS", "FORWARDED", "COMPLETED")


@dataclass
class Record:
    """What was done and seen. recorded: deliveries whose confirmation was answered as recorded."""

    campaigns: int = 0
    done: Counter[str] = field(default_factory=Counter)
    recorded: set[str] = field(default_factory=set)
    breaches: list[str] = field(default_factory=list)


async def furnish(engine: Whole) -> None:
    """The tables and the registry."""
    house = engine.house()
    try:
        await migrate(house.store)
        await registry.take_over(house, world.register(UNITS, TENANTS))
    finally:
        await house.close()


async def launch(engine: Whole, record: Record) -> None:
    """One more campaign, with the whole way open as far as nobody has to act; asked again until it is known of."""
    code = f"T{record.campaigns + 1}"

    async def launched() -> bool:
        house = engine.house()
        try:
            async with house.store.view() as ledger:
                known = await ledger.first(select(Campaign.id).where(Campaign.code == code)) is not None
            if not known:
                await launches.launch(house, launches.Launch(world.plan(code), world.cascade(), "exercise", "An"))
        except Exception as error:
            _note_absence(record, error)
            return False
        finally:
            await house.close()
        return True

    await until(launched, 60, "a launch")
    record.campaigns += 1


def _note_absence(record: Record, error: Exception) -> None:
    """Raises what is more than a part of the engine that is away."""
    if isinstance(error, (OSError, httpx.HTTPError)):
        record.done[f"unanswered: {type(error).__name__}"] += 1
    elif isinstance(error, Refused):
        record.done["database away"] += 1
    else:
        raise error


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
        except Exception as error:
            _note_absence(record, error)


async def _somebody(house: House, record: Record, chance: random.Random) -> None:
    async with house.store.view() as ledger:
        waiting = await ledger.all(select(Delivery).where(Delivery.state == "SENT").order_by(Delivery.id))
    leading = [one for one in waiting if one.recipient in ("BOARD", "INV")]
    for one in leading:
        if one.recipient == "BOARD":
            answer = confirmations.Answer(Event.ACKNOWLEDGED, "Bình", channel="phone", actor="An")
            await confirmations.answer(house, one.id, answer)
        else:
            await passing_on.pass_on(house, one.id, passing_on.PassOn("Bình", "Giám đốc", channel="phone"))
        record.recorded.add(one.id)
    others = [one for one in waiting if one not in leading]
    for one in chance.sample(others, min(8, len(others))):
        token = house.links.token(Link(one.id, "answer", one.link_version, datetime.now(UTC) + timedelta(days=9)))
        form = Forms([KEY], house.settings.portal_url).token(token)
        body = urlencode({"form_token": form, "name": "Hoa", "position": "Văn thư", "segment": "yes"})
        # As a proxy on this machine says it: everybody has an address of his own, and an allowance.
        came_from = f"10.{chance.randrange(256)}.{chance.randrange(256)}.{chance.randrange(1, 255)}"
        headers = {"Content-Type": "application/x-www-form-urlencoded", "X-Forwarded-For": came_from}
        async with httpx.AsyncClient(base_url=house.settings.portal_url, timeout=8) as browser:
            said = await browser.post(f"/v/{token}/confirm", content=body, headers=headers)
        record.done[f"portal {said.status_code}"] += 1
        if said.status_code == 303:
            record.recorded.add(one.id)


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
    seconds = [
        key
        for key, number in Counter(box for box, stem in by_box if ".letter." in stem).items()
        if number > record.campaigns
    ]
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


async def revive(engine: Whole, record: Record) -> None:
    """What has ended of itself is started again, and counted: it does where what it needs is away for too long."""
    record.done.update(f"{name} ended of itself" for name in await engine.revive())


async def all_answered(engine: Whole, record: Record, people: asyncio.Task[None]) -> None:
    """Wait until everybody has answered; a breach where nobody new could for so long."""
    wanted = record.campaigns * (2 + UNITS + TENANTS)
    while (known := len(record.recorded)) < wanted:

        async def further(known: int = known) -> bool:
            await revive(engine, record)
            if people.done():
                people.result()
            return len(record.recorded) > known

        try:
            await until(further, PEACE_S, f"the next confirmation after {known} of {wanted}")
        except AssertionError as error:
            record.breaches.append(str(error))
            return


async def survive(disk: Disk, postgres: Server, kills: int, seed: int, record: Record) -> dict[str, int]:
    """Campaigns under so many harms: what is found at the end."""
    chance, stop = random.Random(seed), asyncio.Event()
    async with Whole(disk, postgres, await fresh_database(postgres.url)) as engine:
        assert isinstance(engine, Whole)
        await engine.start_server()
        await furnish(engine)
        await engine.begin("portal")
        await engine.begin("flows")
        people = asyncio.create_task(recipients(engine, record, stop, chance))
        for number, what in enumerate(itertools.islice(harms(chance, disk), kills)):
            if number % HARMS_EACH == 0:
                await launch(engine, record)
            await asyncio.sleep(chance.uniform(0.2, 5))
            await revive(engine, record)
            await harm(engine, what, chance)
            record.done[what] += 1
        await all_answered(engine, record, people)
        stop.set()
        await people
        return await verify(engine, record)


def run(kills: int, seed: int) -> int:
    """1 on any breach."""
    with small_disk() as disk, server(disk.root, durable=True) as postgres:
        if not disk.small:
            print("the disk cannot be filled without root: left out")
        record, figures = Record(), dict[str, int]()
        try:
            figures = asyncio.run(survive(disk, postgres, kills, seed, record))
        except Exception as fault:
            record.breaches.append(f"the harness itself: {fault!r}")
            traceback.print_exc()
        kept = _keep(disk, postgres) if record.breaches else ""
    print(json.dumps({"seed": seed, "harms": kills, **figures, "what": dict(record.done)}, ensure_ascii=False))
    for breach in record.breaches:
        print("BREACH", breach)
    if kept:
        print("logs in", kept)
    return 1 if record.breaches else 0


def _keep(disk: Disk, postgres: Server) -> str:
    """The logs of everything, where they outlive the small disk."""
    folder = tempfile.mkdtemp(prefix="congvan-engine-logs-")
    for log in (disk.root / "engine").glob("*.log"):
        shutil.copy(log, folder)
    shutil.copy(postgres.home / "log", Path(folder) / "postgresql.log")
    return folder
