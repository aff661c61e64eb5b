"""The engine as real processes, with many investors, or with a hop that waits for as many as are wanted."""

from __future__ import annotations

import asyncio
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

from congvan.acts import launches, registry
from congvan.rules.records import Contact, Organisation, Park, Person, Register
from congvan.store.schema import migrate
from tests.flows import world
from tests.flows.engine import Engine, Inbox

_TENANTS = 3


class TimedInbox(Inbox):
    """Also keeps when the first mail of each recipient was taken."""

    def __init__(self) -> None:
        super().__init__()
        self.first: dict[str, datetime] = {}

    async def take(self, sender: str, rcpt_to: tuple[str, ...], data: bytes) -> str | None:
        """Look at the clock, then count the message."""
        self.first.setdefault(rcpt_to[0], datetime.now(UTC))
        return await super().take(sender, rcpt_to, data)


class Watched(Engine):
    """An engine whose sink keeps times, and whose processes can be looked at."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.inbox: TimedInbox = TimedInbox()
        self.sink.on_message = self.inbox.take

    def cpu_s(self, name: str) -> float:
        """Processor time of a process and of everything it started, so far."""
        leader = self._running[name].pid
        ticks = 0
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = path.read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it ended meanwhile; whoever waited for it has its time
            if int(fields[2]) == leader:
                ticks += sum(map(int, fields[11:15]))
        return ticks / os.sysconf("SC_CLK_TCK")

    def resident_kb(self, name: str) -> int:
        """Resident memory of a process."""
        pages = int(Path(f"/proc/{self._running[name].pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") // 1024

    async def use(self, home: Path) -> None:
        """Let the next processes work on a house that was filled elsewhere."""
        target = self.home / "congvan"
        shutil.rmtree(target, ignore_errors=True)
        await asyncio.to_thread(shutil.copytree, home, target)


def investors(number: int) -> Register:
    """The small chain, with many investors, each with a park of a few tenants."""
    base = world.register(units=1, tenants=0)
    kept = tuple(one for one in base.organisations if one.level != "investor")
    made: list[Organisation] = []
    for n in range(number):
        signer = Person(name="Lê Văn Mẫu", position="GIÁM ĐỐC")
        made.append(_one(f"INV-{n:03}", "investor", parent="BOARD", signers=(signer,)))
        made += [_one(f"TEN-{n:03}-{k}", "tenant", parks=(f"P-{n:03}",)) for k in range(_TENANTS)]
    parks = tuple(Park(code=f"P-{n:03}", name=f"KCN Mẫu {n}", investor=f"INV-{n:03}") for n in range(number))
    return Register(organisations=(*kept, *made), parks=parks)


def _one(code: str, level: str, **more: object) -> Organisation:
    box = Contact(email=f"vanthu@{code.lower()}.example", order=1)
    return Organisation.model_validate(
        {"code": code, "name": f"Tổ chức {code}", "level": level, "abbreviation": code, "contacts": (box,)} | more
    )


def mailboxes(investor: str) -> list[str]:
    """Of the tenants below it."""
    return [f"vanthu@ten-{investor.removeprefix('INV-')}-{k}.example" for k in range(_TENANTS)]


async def launch(engine: Engine, number: int) -> None:
    """A flash exercise down to the tenants of so many investors."""
    house = engine.house()
    try:
        await migrate(house.store)
        await registry.take_over(house, investors(number))
        await launches.launch(house, launches.Launch(world.plan(), world.cascade(), "exercise", "An"))
    finally:
        await house.close()
