"""The outbox: intent, attempt, outcome, each its own short transaction, never SMTP inside one.

Marking a message as sent before it leaves loses letters on a kill; sending before anything is written
doubles them. So an attempt is written down first and its outcome afterwards; an attempt without an
outcome is unknown, is counted, and is sent again under the same Message-ID.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from itertools import count

from sqlalchemy import func, select

from congvan.acts import brakes, reconciling, recovering
from congvan.acts.claiming import BATCH, PRESSED_BATCH, Work, claim
from congvan.acts.composing import Composer
from congvan.acts.judging import JITTER, untried, wait_before, wait_while_shut
from congvan.acts.mails import carried_with
from congvan.acts.outcomes import record
from congvan.house import Carrier, House, rarely_collected
from congvan.mail.journal import Journal
from congvan.mail.outgoing import Outcome
from congvan.store.database import Refused
from congvan.store.tables import Message

__all__ = ["BATCH", "JITTER", "Work", "claim", "dispatch", "record", "wait_before", "wait_while_shut"]

#: A round begins with so many, and doubles them: the first letters leave at once, and a brake is pulled early.
_FIRST_BATCH = 100
#: Batches under way at once: while one is on the wire the next is claimed and the one before it recorded.
_UNDER_WAY = 3
#: A slow server must not keep outcomes out of the database for long; seconds.
_RECORD_EVERY_S = 1.0

_numbers = count()


async def dispatch(house: House, carrier: Carrier, hop_id: str | None = None) -> Counter[str]:
    """Send whatever of this hop (None: of no hop) may leave now; return the outcomes counted.

    1. What a killed process had on the wire is settled from its journal, or counts as unknown.
    2. Batches are claimed, composed, sent and recorded, each stage beside the others, until nothing is left; letters
       to the next mailboxes of those that refused are part of it.
    3. A server that asks for time ends the round: the rest stays as it was, for later.
    """
    await recovering.recover(house)
    return await _Round(house, carrier, hop_id).run()


class _Round:
    """One call of `dispatch`."""

    def __init__(self, house: House, carrier: Carrier, hop_id: str | None) -> None:
        self._house, self._carrier, self._hop_id = house, carrier, hop_id
        self._composer = Composer(house)
        self._brakes = brakes.Brakes(house, hop_id)
        self._gate = reconciling.Watermark(house)
        self._tally: Counter[str] = Counter()
        self._slots = asyncio.Semaphore(_UNDER_WAY)
        self._shut = False
        self._size = min(_FIRST_BATCH, BATCH)

    async def run(self) -> Counter[str]:
        with rarely_collected():
            return await self._run()

    async def _run(self) -> Counter[str]:
        carried: set[asyncio.Task[None]] = set()
        try:
            refused = -1
            while self._tally["refused"] > refused:
                # Whoever refused may have a next mailbox: it is written to now, instead of by one more process.
                refused = self._tally["refused"]
                await self._carry_all(carried)
        finally:
            for task in carried:
                task.cancel()
            await asyncio.gather(*carried, return_exceptions=True)
        await self._brakes.settle()
        return self._tally

    async def _carry_all(self, carried: set[asyncio.Task[None]]) -> None:
        """Until nothing more may leave and all of it has an outcome."""
        while works := await self._next(carried):
            carried.add(asyncio.create_task(self._carry(works), name="mail-batch"))
        self._slots.release()
        await asyncio.gather(*carried)

    async def _next(self, carried: set[asyncio.Task[None]]) -> list[Work]:
        """The next batch as soon as there is room for it; an empty one at the end."""
        await self._slots.acquire()
        for task in [task for task in carried if task.done()]:
            carried.remove(task)
            task.result()
        size = min(self._size, PRESSED_BATCH) if self._house.store.pressed else self._size
        if self._shut or not (limit := await self._brakes.allowance(size)):
            return []
        works = await claim(self._house, self._hop_id, limit, self._gate)
        # It waits for the disk, and the letters on the wire do not.
        await asyncio.to_thread(self._gate.write)
        self._size = min(2 * self._size, BATCH)
        return works

    async def _carry(self, works: list[Work]) -> None:
        try:
            keys, attempts = [work.message.id for work in works], [work.ordinal for work in works]
            folder = recovering.folder(self._house)
            with Journal(folder, self._house.name, next(_numbers), keys, attempts) as journal:
                async with _kept(self._house, keys):
                    works = await recovering.look_up(self._house, works)
                    outcomes = await self._send(works, journal)
                if len(outcomes) == len(works):
                    journal.done()
            await self._after(outcomes)
        finally:
            self._slots.release()

    async def _send(self, works: Sequence[Work], journal: Journal) -> list[Outcome]:
        """Hand them over and record what comes back, at the end or each second, whichever is earlier."""
        told: list[Outcome] = []
        waiting: list[Outcome] = []
        loop = asyncio.get_running_loop()
        written = loop.time()
        # Given up in the middle: what is on the wire ends while the journal is still open.
        async with aclosing(self._carrier.send(await self._composer.compose(works, journal))) as outcomes:
            async for outcome in outcomes:
                waiting.append(outcome)
                told.append(outcome)
                if len(told) < len(works) and loop.time() - written > _RECORD_EVERY_S:
                    await record(self._house, works, waiting)
                    waiting, written = [], loop.time()
        await record(self._house, works, waiting)
        return told

    async def _after(self, outcomes: Sequence[Outcome]) -> None:
        self._tally.update(outcome.verdict for outcome in outcomes)
        await self._brakes.look(outcomes)
        if any(map(untried, outcomes)) and not any(one.verdict in ("accepted", "refused") for one in outcomes):
            self._shut = True
            await self._put_off([outcome.key for outcome in outcomes])

    async def _put_off(self, keys: Sequence[str]) -> None:
        """The way is shut for everybody: what was tried, as long as the server was given time, and what waits behind
        it asks again at once. Each instant of its own would wake the hop once more."""
        now = await self._house.clock.now()
        waits = Message.state.in_(("QUEUED", "UNKNOWN"))
        async with self._house.store.act() as ledger:
            tried = Message.id.in_(keys) & waits
            last = await ledger.session.scalar(select(func.max(Message.not_before)).where(tried))
            if last is None or last <= now:
                last = now + wait_before(1, self._house.random)
            carried = carried_with(self._hop_id is not None).params(hop=self._hop_id)
            await ledger.change(Message, tried | carried & waits & (Message.not_before <= now), not_before=last)


@asynccontextmanager
async def _kept(house: House, keys: Sequence[str]) -> AsyncIterator[None]:
    """Hold the claims while they are on the wire: a slow server may take far longer than one lease."""

    async def beat() -> None:
        while True:
            await asyncio.sleep(house.settings.lease_s / 3)
            until = house.clock.wall() + house.lease
            # A database that is away for a moment must not cost the claims of what is on the wire.
            with suppress(Refused):
                async with house.store.act() as ledger:
                    await ledger.change(
                        Message,
                        Message.id.in_(keys),
                        Message.state == "CLAIMED",
                        Message.lease_owner == house.name,
                        lease_until=until,
                    )

    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)
