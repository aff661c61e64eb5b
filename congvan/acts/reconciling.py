"""After a restore: what an old copy of the database cannot know.

Nothing leaves until a person has said whether what may have left since the backup goes out again.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, cast

import orjson
from sqlalchemy import select, update

from congvan.acts.claiming import Work
from congvan.acts.mails import OPEN
from congvan.acts.outcomes import record
from congvan.acts.recovering import in_the_log
from congvan.errors import ActRefused, CongvanError
from congvan.house import House
from congvan.mail.outgoing import Outcome
from congvan.store.ledger import Ledger
from congvan.store.tables import Campaign, Message

log = logging.getLogger(__name__)

_NOTE = "mail-watermark"


class WatermarkUnreadable(CongvanError):
    """CONGVAN_HOME/watermark.json is unreadable: answer `congvan reconcile`, --resend where no backup was restored."""


class Watermark:
    """How often this database has claimed mail: counted in it, and in a file beside it.

    A copy from a backup knows of fewer claims than the file: letters have left that it believes unsent.
    The file may lag by what a kill cut off; that is the harmless direction. One that cannot be read says nothing, and
    nothing leaves until a person has answered.
    """

    def __init__(self, house: House) -> None:
        self._house = house
        self.path = house.settings.home / "watermark.json"
        self._mark: tuple[str, int, datetime] | None = None

    def readable(self) -> bool:
        """Whether the file says anything; one that is not there says that nothing has left."""
        try:
            self._read()
        except WatermarkUnreadable:
            return False
        return True

    async def passes(self, ledger: Ledger) -> bool:
        """False where the database is older than the file says, or may be."""
        # The file first: what another process claims and tells it between the two looks is in the database by then.
        try:
            marks = self._read()
        except WatermarkUnreadable as fault:
            log.error("%s", fault)
            return False
        note = await ledger.note(_NOTE)
        if note is None or note["count"] >= marks.get(note["id"], {}).get("count", 0):
            return True
        log.error("this database is older than the mail that has left it: answer `congvan reconcile` first")
        return False

    async def raised(self, ledger: Ledger) -> None:
        """Count one more claim."""
        now = await self._house.clock.now()
        # Held until this claim is committed: two that count from the same number would count one too few.
        note = await ledger.note(_NOTE, to_change=True) or {"id": self._house.new_id(now), "count": 0}
        await ledger.set_note(_NOTE, {"id": note["id"], "count": note["count"] + 1})
        self._mark = (note["id"], note["count"] + 1, now)

    def write(self) -> None:
        """Tell the file what was committed. Never lowered, whatever process comes last."""
        if self._mark is None:
            return
        key, count, now = self._mark
        self._mark = None
        with self._locked():
            marks = self._read()
            if marks.get(key, {}).get("count", 0) < count:
                marks[key] = {"count": count, "at": now.isoformat()}
                self._put(marks)

    def last(self, key: str) -> tuple[int, datetime | None]:
        """(claims, instant of the last one) as the file has them. Raises WatermarkUnreadable."""
        mark = self._read().get(key)
        return (mark["count"], datetime.fromisoformat(mark["at"])) if mark else (0, None)

    def mend(self, key: str, count: int, at: datetime) -> None:
        """Begin the file anew where it cannot be read: a person has answered for what it said."""
        with self._locked():
            if not self.readable():
                self._put({key: {"count": count, "at": at.isoformat()}})

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _put(self, marks: Mapping[str, Any]) -> None:
        new = self.path.with_suffix(".new")
        with new.open("wb") as file:
            file.write(orjson.dumps(marks))
            file.flush()
            # Some file systems write the new name down before what stands in the file: a power cut leaves it empty.
            os.fsync(file.fileno())
        new.replace(self.path)

    def _read(self) -> dict[str, Any]:
        try:
            marks: dict[str, Any] = orjson.loads(self.path.read_bytes())
            for mark in marks.values():
                int(mark["count"]), datetime.fromisoformat(mark["at"])
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as fault:
            raise WatermarkUnreadable from fault
        return marks


async def is_restored(house: House) -> bool:
    """True while nothing leaves because the database is older than the mail that has left it, or may be."""
    async with house.store.view() as ledger:
        return not await Watermark(house).passes(ledger)


async def reconcile(house: House, by: str, *, resend: bool) -> dict[str, int]:
    """Answer for a restored database: what may have left since the backup, and let mail leave again.

    1. What the mail server's log knows, where one is configured, is recorded as sent.
    2. The rest of what was due before the last claim is sent again under the same Message-IDs (`resend`),
       or taken for sent: then silence is reminded and escalated as for every sent letter, and a person may
       `resend` a single one.
    Returns {"in_log", "resent", "assumed"}. Raises ActRefused where nothing has to be answered.
    """
    mark = Watermark(house)
    now = await house.clock.now()
    async with house.store.view() as ledger:
        if await mark.passes(ledger):
            raise ActRefused("Không có gì phải đối chiếu: cơ sở dữ liệu không cũ hơn thư đã gửi.")
        note = await ledger.note(_NOTE) or {"id": house.new_id(now), "count": 0}
        try:
            count, at = mark.last(note["id"])
        except WatermarkUnreadable:
            count, at = note["count"], now  # whatever is due may have left
        rows = await ledger.rows(
            select(*Message.__table__.columns).where(OPEN, Message.not_before <= at)
        )
    works = [Work(cast(Message, row), None, None, row.attempts + 1) for row in rows]
    known = await in_the_log(house, works)
    logged = [work for work in works if work.message.id in known]
    others = [work for work in works if work.message.id not in known]
    await _take_for_sent(house, logged, list(known.values()))
    if not resend:
        reply = f"taken for sent after a restore, decided by {by}"
        await _take_for_sent(house, others, [Outcome(w.message.id, "accepted", None, reply) for w in others])
    decided = {"by": by, "at": now.isoformat(), "resend": resend}
    await _reopen(house, others if resend else [], note["id"], count, decided)
    mark.mend(note["id"], count, now)
    log.warning("reconciled: %d in the log, %d open, resend=%s", len(logged), len(others), resend)
    return {
        "in_log": len(logged), "resent": len(others) if resend else 0, "assumed": 0 if resend else len(others),
    }  # fmt: skip


async def _take_for_sent(house: House, works: Sequence[Work], outcomes: Sequence[Outcome]) -> None:
    for first in range(0, len(works), 500):
        await record(house, works[first : first + 500], outcomes[first : first + 500])


async def _reopen(house: House, again: Sequence[Work], key: str, count: int, decided: Mapping[str, Any]) -> None:
    """Whatever a claim of the old world held is free, and the database counts from where the file stands."""
    async with house.store.act() as ledger:
        for first in range(0, len(again), 500):
            keys = [work.message.id for work in again[first : first + 500]]
            await ledger.session.execute(
                update(Message)
                .where(Message.id.in_(keys))
                .values(state="UNKNOWN", unknown=Message.unknown + 1, lease_until=None, lease_owner=None)
                .execution_options(synchronize_session=False)
            )
        await ledger.set_note(_NOTE, {"id": key, "count": count})
        # Who answered, for whoever asks the database later: the log names nobody.
        await ledger.set_note("reconciled", decided)


async def unknown(house: House) -> list[dict[str, Any]]:
    """Messages of which nobody knows whether the mail server has them: shown, counted, sent again or looked up."""
    async with house.store.view() as ledger:
        rows = await ledger.rows(
            select(Message.id, Message.message_id, Message.delivery_id, Message.kind, Message.unknown, Campaign.code)
            .outerjoin(Campaign, Campaign.id == Message.campaign_id)
            .where(Message.state == "UNKNOWN")
            .order_by(Message.id)
        )
    return [dict(row._mapping) for row in rows]
