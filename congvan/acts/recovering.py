"""After a kill: what a dead process had in hand. Its journal says, to the letter, what had ended."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from sqlalchemy import delete, select, tuple_

from congvan.acts.claiming import Work
from congvan.acts.outcomes import record, refused_before
from congvan.house import House
from congvan.mail import mtalog
from congvan.mail.journal import Left, files, left_behind
from congvan.mail.outgoing import Outcome
from congvan.store.tables import Attempt, Message

log = logging.getLogger(__name__)

#: After so many outcomes in a row that cannot be recorded it is the database, and not they.
_ENOUGH = 5


def folder(house: House) -> Path:
    """Where the journals of this house's processes lie."""
    return house.settings.home / "wire"


async def recover(house: House) -> Counter[str]:
    """Settle what dead processes of this machine left claimed; the outcomes counted, "untouched" among them.

    What cannot be settled now is left to its leases, and is tried again by the next dispatch.
    """
    tally: Counter[str] = Counter()
    for path in files(folder(house)):
        try:
            with left_behind(path) as left:
                if left is not None:
                    tally += await _settle(house, left)
                    path.unlink(missing_ok=True)
        except Exception as fault:
            # Every dispatch begins here: one journal that trips us must not keep back all mail. Its traceback would
            # tell mailboxes, since a database that refuses a row quotes it.
            log.error("%s: the journal %s is not settled; it is tried again", type(fault).__name__, path.name)
    if tally:
        log.warning("settled what a killed process left behind: %s", dict(tally))
    return tally


async def _settle(house: House, left: Left) -> Counter[str]:
    """1. What had ended is recorded. 2. What had not begun goes back untouched. 3. The rest is unknown.

    Raises what kept an outcome from being recorded, once all else is settled.
    """
    works = {work.message.id: work for work in await _still_held(house, left)}
    ended = [outcome for outcome in left.outcomes if outcome.key in works]
    begun = left.handed | {outcome.key for outcome in ended}
    untouched = {key: work for key, work in works.items() if left.complete and key not in begun}
    over = ended + await _refused_before(house, untouched)
    fault = await _recorded(house, works, over)
    settled = {outcome.key for outcome in over}
    back = {key: work.ordinal for key, work in untouched.items() if key not in settled}
    unknown = [key for key in works if key not in settled | back.keys()]
    held = (Message.state == "CLAIMED") & (Message.lease_owner == left.owner)
    async with house.store.act() as ledger:
        freed: dict[str, Any] = {"lease_until": None, "lease_owner": None}
        await ledger.change(
            Message, Message.id.in_(back), held, state="QUEUED", attempts=Message.attempts - 1, **freed
        )
        made = tuple_(Attempt.message_id, Attempt.ordinal)
        await ledger.session.execute(delete(Attempt).where(made.in_(back.items())))
        await ledger.change(
            Message, Message.id.in_(unknown), held, state="UNKNOWN", unknown=Message.unknown + 1, **freed
        )
    if fault is not None:
        raise fault
    tally = Counter(outcome.verdict for outcome in ended)
    return tally + Counter({"untouched": len(untouched), "unknown": len(unknown)})


async def _recorded(house: House, works: Mapping[str, Work], over: Sequence[Outcome]) -> Exception | None:
    """Record these outcomes; the fault of one that cannot be.

    Together; where that fails, one by one: what the mail server took would otherwise leave again after each lease,
    because of another in its batch.
    """
    if await _fault_of(house, works, over) is None:
        return None
    last: Exception | None = None
    in_a_row = 0
    for one in over:
        fault = await _fault_of(house, works, [one])
        if fault is None:
            in_a_row = 0
            continue
        last, in_a_row = fault, in_a_row + 1
        if in_a_row == _ENOUGH:
            break
    return last


async def _fault_of(house: House, works: Mapping[str, Work], over: Sequence[Outcome]) -> Exception | None:
    """What kept them from being recorded; None: they are."""
    try:
        if over:
            await record(house, [works[outcome.key] for outcome in over], over)
    except Exception as fault:
        return fault
    return None


async def _refused_before(house: House, untouched: Mapping[str, Work]) -> list[Outcome]:
    """For those whose attempt before this one was refused meanwhile: that this one was never made."""
    async with house.store.view() as ledger:
        said = await refused_before(ledger, {key: work.ordinal for key, work in untouched.items()})
    return [Outcome(key, "unavailable", None, "not begun", slow_down=True) for key in said]


async def _still_held(house: House, left: Left) -> list[Work]:
    """The messages that nobody has taken over meanwhile, nor this process itself once more."""
    query = select(*Message.__table__.columns).where(
        Message.id.in_(left.claimed), Message.state == "CLAIMED", Message.lease_owner == left.owner
    )
    async with house.store.view() as ledger:
        rows = await ledger.rows(query)
    held = [row for row in rows if left.attempts.get(row.id, row.attempts) == row.attempts]
    return [Work(cast(Message, row), None, None, row.attempts) for row in held]


async def look_up(house: House, works: list[Work]) -> list[Work]:
    """Those that are still to be sent: an unknown one that the mail server's log knows is recorded instead."""
    doubtful = [work for work in works if work.message.unknown or work.message.state == "CLAIMED"]
    if not doubtful:
        return works
    known = await in_the_log(house, doubtful)
    if known:
        await record(house, [work for work in doubtful if work.message.id in known], list(known.values()))
    return [work for work in works if work.message.id not in known]


async def in_the_log(house: House, works: Sequence[Work]) -> dict[str, Outcome]:
    """Of these, by id, those that the mail server's log says were taken; none where no log is configured."""
    if house.settings.mta_log is None:
        return {}
    wanted = [work.message.message_id for work in works]
    lines = await asyncio.to_thread(mtalog.taken, house.settings.mta_log, wanted)
    return {
        work.message.id: Outcome(work.message.id, "accepted", 250, f"in the mail server's log: {line}")
        for work in works
        if (line := lines.get(work.message.message_id)) is not None
    }
