"""Answers race with the reminders of those who give them: none is lost, and no reminder begins after its answer.

Everybody of a hop falls due in the same second, some hundreds at a time. One process decides, claims and sends; another
records their answers meanwhile, at an offset drawn anew each time. A trigger in the database notes each attempt that is
written down for somebody who had settled: what a transaction sees, not what two clocks say.

Run: python -m tests.gates.races [--races 10000]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path

from sqlalchemy import select, text

from bench import kill
from bench.outbox_world import filled, settings
from bench.waiting_world import Due, fall_due, resting
from congvan.acts import confirmations, hops, outbox
from congvan.house import House, build, carrier
from congvan.rules.protocol import Event
from congvan.settings import Settings
from congvan.store.tables import Delivery, Message
from tests.postgres import fresh_database, serve

_ROUND = 500
_SETTLED = "('ACKNOWLEDGED','FORWARDED','COMPLETED')"
_ASKED = (
    "EXISTS (SELECT 1 FROM messages m JOIN deliveries d ON d.id = m.delivery_id WHERE m.id = NEW.message_id "
    f"AND m.kind IN ('reminder','overdue') AND d.state IN {_SETTLED})"
)
_WATCH = {
    True: (
        "CREATE TABLE crossed (message_id TEXT)",
        f"CREATE TRIGGER crossing AFTER INSERT ON attempts WHEN {_ASKED} "
        "BEGIN INSERT INTO crossed VALUES (NEW.message_id); END",
    ),
    False: (
        "CREATE TABLE crossed (message_id TEXT)",
        f"CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF {_ASKED} "
        "THEN INSERT INTO crossed VALUES (NEW.message_id); END IF; RETURN NEW; END $$",
        "CREATE TRIGGER crossing AFTER INSERT ON attempts FOR EACH ROW EXECUTE FUNCTION noted()",
    ),
}


def answer_all(pipe: Connection, chosen: Settings) -> None:
    """Record the answers of whoever is named, after the pause that is named, until told to end."""

    async def run() -> None:
        house = build(chosen)
        while order := await asyncio.to_thread(pipe.recv):
            pause_s, keys = order
            await asyncio.sleep(pause_s)
            for key in keys:
                said = confirmations.Answer(Event.ACKNOWLEDGED, "Bình", channel="phone", actor="An")
                await confirmations.answer(house, key, said)
            pipe.send(len(keys))
        await house.close()

    asyncio.run(run())


async def race(chosen: Settings, hop_id: str, races: int, chance: random.Random) -> Counter[str]:
    """So many of them; what happened."""
    pipe, there = kill.FORKS.Pipe()
    answering = kill.FORKS.Process(target=answer_all, args=(there, chosen))
    answering.start()
    house = build(chosen, gives_way=True)
    sender, found = carrier(chosen), Counter[str]()
    for _ in range(races // _ROUND):
        await fall_due(house, hop_id, Due.REMINDER, _ROUND)
        async with house.store.view() as ledger:
            due = (Delivery.hop_id == hop_id) & (Delivery.state == "SENT") & (Delivery.wake_at <= house.clock.wall())
            keys = await ledger.all(select(Delivery.id).where(due))
        chance.shuffle(keys)
        pipe.send((chance.uniform(0, 0.5), keys))
        await asyncio.sleep(chance.uniform(0, 0.5))
        lease = await hops.turn(house, hop_id)
        assert lease is not None
        await outbox.dispatch(house, sender, hop_id)
        await hops.release(house, lease)
        found["answered"] += await asyncio.to_thread(pipe.recv)
    pipe.send(None)
    answering.join()
    await sender.aclose()
    found += await _looked(house)
    await house.close()
    return found


async def _looked(house: House) -> Counter[str]:
    async with house.store.view() as ledger:
        settled = await ledger.count(select(Delivery.id).where(Delivery.state == "ACKNOWLEDGED"))
        states = Counter(await ledger.all(select(Message.state).where(Message.kind.in_(("reminder", "overdue")))))
        crossed = int(await ledger.session.scalar(text("SELECT count(*) FROM crossed")) or 0)
    return Counter(settled=settled, crossed=crossed, reminded=states["SENT"], cancelled=states["CANCELLED"],
                   left_open=states.total() - states["SENT"] - states["CANCELLED"])  # fmt: skip


def play(folder: Path, races: int, seed: int, database_url: str = "") -> tuple[Counter[str], bool]:
    """On one database; what happened, and whether it held."""
    pipe, there = kill.FORKS.Pipe()
    sink = kill.FORKS.Process(target=kill.serve, args=(there,), daemon=True)
    sink.start()
    chosen = settings(folder, int(pipe.recv()), database_url)
    hop_id = asyncio.run(filled(chosen, races))
    asyncio.run(resting(chosen, hop_id))
    asyncio.run(_watched(chosen))
    found = asyncio.run(race(chosen, hop_id, races, random.Random(seed)))
    pipe.send("end")
    taken: dict[str, int] = pipe.recv()
    sink.join()
    found["doubled"] = sum(number - 1 for number in taken.values())
    found["taken"] = len(taken)
    held = (
        found["answered"] == found["settled"] == races and found["taken"] == found["reminded"]
        and not found["crossed"] and not found["doubled"] and not found["left_open"]
    )  # fmt: skip
    # Where one side always comes first, nothing has raced.
    return found, held and found["reminded"] > races / 100 and found["reminded"] < races * 0.99


async def _watched(chosen: Settings) -> None:
    house = build(chosen)
    async with house.store.act() as ledger:
        for statement in _WATCH[house.store.is_sqlite]:
            await ledger.session.execute(text(statement))
    await house.close()


def main() -> int:
    """Half of them on each kind of database; 1 where something does not hold."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--races", type=int, default=10_000)
    each = max(options.parse_args().races // 2 // _ROUND, 1) * _ROUND
    failed = False
    with tempfile.TemporaryDirectory(prefix="congvan-races-") as name, serve(Path(name), durable=True) as url:
        for number, database in enumerate(("", asyncio.run(fresh_database(url)))):
            home = Path(name) / f"house-{number}"
            found, held = play(home, each, number, database)
            said = "" if held else "DOES NOT HOLD"
            print("PostgreSQL" if database else "SQLite", json.dumps(found), said, flush=True)
            failed |= not held
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
