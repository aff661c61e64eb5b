"""Operators: they issue late, extend, exempt, withdraw, readdress, hold, take answers by telephone, and close."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from congvan.acts import (
    amending,
    campaigns,
    closing,
    confirmations,
    deciding,
    deliveries,
    escalations,
    extending,
    letters,
    pausing,
    recalls,
)
from congvan.acts.confirmations import Answer
from congvan.acts.frozen import plan_of
from congvan.errors import CongvanError
from congvan.house import House
from congvan.rules.calendar import local
from congvan.rules.protocol import Event
from congvan.simulation.faults import stream
from congvan.simulation.look import rows, some
from congvan.simulation.processes import Process
from congvan.simulation.scheduler import Broken, Scheduler
from congvan.store.tables import Campaign, Letter

BY = "Trần Thị Mẫu"
WHY = "theo đề nghị"
#: The chance of each act on a day on which something can be done.
_DAILY = {
    "extend": 0.12, "exempt": 0.06, "withdraw": 0.05, "resend": 0.08, "telephone": 0.10, "claim": 0.15, "hold": 0.04,
    "reject on paper": 0.02, "withdraw twice": 0.02, "pause": 0.03, "recall": 0.01, "replace": 0.03, "correct": 0.02,
    "extend all": 0.02,
}  # fmt: skip
_OPEN = "due_at is not null"


#: An act that still wants to know in which house.
Act = Callable[[House], Coroutine[Any, Any, Any]]


def on(act: Callable[..., Coroutine[Any, Any, Any]], *given: Any, **named: Any) -> Act:
    """An act with everything but its house."""
    return lambda house: act(house, *given, **named)


class Operators:
    """The people of the authority. desk: the process behind their pages."""

    def __init__(self, scheduler: Scheduler, desk: Process) -> None:
        self.scheduler, self.desk = scheduler, desk
        self.chance = stream(scheduler.seed, "operators")
        self.tally: Counter[str] = Counter()
        self.calm = False
        self._number = 0
        #: Letters in somebody's hand, and until when that is believed.
        self._hand: dict[str, datetime] = {}

    def morning(self) -> None:
        """What is done today. Called once a day."""
        if self.calm:
            for campaign in rows(self.scheduler.disk, "select id from campaigns where held_at is not null order by id"):
                self._soon("resume", on(campaigns.resume, campaign["id"], BY))
        else:
            for what, chance in _DAILY.items():
                if self.chance.random() < chance:
                    self._plan(what)
        self._issue()
        self._read_mail()
        self._address_work()
        self._decide()
        self._close()

    def _soon(self, what: str, act: Act, hours: float | None = None) -> None:
        wait = timedelta(hours=self.chance.random() * 10 if hours is None else hours)
        self.scheduler.at(self.scheduler.now + wait, lambda: self._do(what, act))

    def _do(self, what: str, act: Act) -> None:
        def ended(_value: Any, error: BaseException | None) -> None:
            if error is None:
                self.tally[what] += 1
            elif isinstance(error, CongvanError):
                self.tally[f"{what} refused"] += 1
            else:
                raise Broken(f"an operator's act broke: {what}: {type(error).__name__}: {error}") from error

        self.scheduler.begin(self.desk, act(self.desk.house), f"operator: {what}", ended)

    # ------------------------------------------------------------------ one delivery

    def _plan(self, what: str) -> None:
        if what in ("hold", "pause", "extend all"):
            self._plan_campaign(what)
            return
        if what in ("recall", "replace", "correct"):
            self._plan_letter(what)
            return
        found = self._some_delivery()
        shuts = found is not None and found["level"] == "board" and self.chance.random() < 0.8
        if found is not None and not (shuts and what in ("exempt", "withdraw", "withdraw twice", "reject on paper")):
            key, due = found["id"], some(found["due_at"])
            later = max(due, self.scheduler.now) + timedelta(days=self.chance.randint(1, 7))
            acts = {
                "extend": on(extending.extend, key, later, BY, WHY),
                "exempt": on(deliveries.exempt, key, BY, WHY),
                "withdraw": on(deliveries.withdraw, key, BY, WHY),
                "withdraw twice": on(_twice, key),
                "resend": on(deliveries.resend, key, BY, why=WHY),
                "telephone": on(confirmations.answer, key, _by_phone(found)),
                "claim": on(escalations.claim, key, BY, "đã gọi"),
                "reject on paper": on(confirmations.answer, key, _on_paper()),
            }
            self._soon(what, acts[what])

    def _some_delivery(self) -> sqlite3.Row | None:
        found = rows(self.scheduler.disk, f"select * from deliveries where {_OPEN} order by id")
        return self.chance.choice(found) if found else None

    def _plan_campaign(self, what: str) -> None:
        running = rows(self.scheduler.disk, "select id from campaigns where state = 'RUNNING' order by id")
        if not running:
            return
        key = self.chance.choice(running)["id"]
        first = self.chance.random() * 10
        if what == "extend all":
            later = self.scheduler.now + timedelta(days=self.chance.randint(1, 9))
            self._soon(what, on(extending.extend_many, key, later, BY, WHY), first)
            return
        self._soon(what, on(campaigns.hold if what == "hold" else pausing.pause, key, BY, WHY), first)
        self._soon("resume", on(campaigns.resume, key, BY), first + self.chance.random() * 60)

    def _plan_letter(self, what: str) -> None:
        """A letter that was issued or taken back is taken back, replaced or corrected; the clerk issues what is new."""
        known = rows(
            self.scheduler.disk,
            "select id from letters where hop_id is not null and state in ('ISSUED', 'CANCELLED') order by id",
        )
        if known:
            key, number = self.chance.choice(known)["id"], self.chance.randrange(1000)
            acts = {
                "recall": on(recalls.recall, key, BY, WHY),
                "replace": on(_replaced, key, number),
                "correct": on(amending.correct, key, [amending.Slip("mẫu", f"mẫu {number}")], BY),
            }
            self._soon(what, acts[what])

    def _decide(self) -> None:
        """Somebody looks at what recipients ask: mostly within days, sometimes two at once."""
        for found in rows(self.scheduler.disk, "select id from requests where state = 'OPEN' order by id"):
            if self.chance.random() < 0.4 or self.calm:
                verdict = deciding.Verdict(accept=self.chance.random() < 0.5, by=BY, why=WHY)
                for _ in range(2 if self.chance.random() < 0.1 else 1):
                    self._soon("decide", on(deciding.decide, found["id"], verdict))

    def _read_mail(self) -> None:
        """Somebody reads what people wrote, and mostly enters it as their answer; the mail itself confirms nothing."""
        question = (
            "select distinct d.* from incoming i join deliveries d on d.id = i.delivery_id"
            " where i.kind = 'human' and d.due_at is not null order by d.id"
        )
        for found in rows(self.scheduler.disk, question):
            if self.chance.random() < 0.4:
                said = replace(_by_phone(found), channel="mail")
                self._soon("enter a mail", on(confirmations.answer, found["id"], said))

    def _address_work(self) -> None:
        """Somebody looks after what could not be sent or was rejected."""
        question = (
            "select * from deliveries where state in ('UNDELIVERABLE', 'REJECTED') and due_at is not null order by id"
        )
        for found in rows(self.scheduler.disk, question):
            lot, key = self.chance.random(), found["id"]
            address = f"moi-{self.chance.randrange(1000)}@{found['recipient'].lower()}.example"
            if lot < 0.25:
                self._soon("readdress", on(deliveries.resend, key, BY, address=address))
            elif lot < 0.30:
                self._soon("exempt", on(deliveries.exempt, key, BY, WHY))

    # ------------------------------------------------------------------ letters and the end

    def _issue(self) -> None:
        """Each letter that waits is issued some time: mostly soon, sometimes late, sometimes by two at once."""
        waiting = rows(
            self.scheduler.disk,
            "select l.id, c.mode from letters l join campaigns c on c.id = l.campaign_id"
            " where l.state = 'PENDING_ISSUE' order by l.id",
        )
        for letter in waiting:
            if self._hand.get(letter["id"], self.scheduler.now) > self.scheduler.now and not self.calm:
                continue
            hours = 2.0 if self.calm else self.chance.choice([1, 3, 20, 30, 80, 200]) * self.chance.random()
            self._hand[letter["id"]] = self.scheduler.now + timedelta(hours=hours + 12)
            for _ in range(2 if self.chance.random() < 0.1 else 1):
                self._soon("issue", self._issuing(letter["id"], letter["mode"]), hours)

    def _issuing(self, letter_id: str, mode: str) -> Act:
        async def act(house: House) -> None:
            if mode != "live":
                await letters.play_issue(house, letter_id, BY)
                return
            self._number += 1
            day = local(await house.clock.now()).date()
            entered = letters.Issued(
                str(self._number), day, BY, scan(self._number), paper_scan=True, accept_differences_by=BY
            )
            await letters.issue(house, letter_id, entered)

        return act

    def _close(self) -> None:
        for campaign in rows(self.scheduler.disk, "select id from campaigns where state = 'RUNNING' order by id"):
            if self.calm or self.chance.random() < 0.4:
                self._soon("close", on(closing.close, campaign["id"], BY))


def scan(number: int) -> bytes:
    """A page without text, as a scanner makes it; each one differs."""
    bodies = (
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]>>",
    )
    file, places = f"%PDF-1.4\n%{number}\n".encode(), []
    for count, body in enumerate(bodies, 1):
        places.append(len(file))
        file += b"%d 0 obj" % count + body + b"endobj\n"
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    head = b"xref\n0 4\n0000000000 65535 f \n"
    return file + head + table + b"trailer<</Size 4/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % len(file)


async def _twice(house: House, key: str) -> None:
    await deliveries.withdraw(house, key, BY, WHY)
    await deliveries.withdraw(house, key, BY, WHY)


async def _replaced(house: House, key: str, number: int) -> None:
    async with house.store.view() as ledger:
        letter = await ledger.get(Letter, key)
        words = plan_of(await ledger.get(Campaign, letter.campaign_id)).letter
    words = words.model_copy(update={"subject": f"{words.subject.partition(' (')[0]} (sửa {number})"})
    await amending.replace(house, key, words, BY, WHY)


def _by_phone(delivery: sqlite3.Row) -> Answer:
    event = {"forward": Event.FORWARDED, "complete": Event.COMPLETED}.get(delivery["settles"], Event.ACKNOWLEDGED)
    return Answer(event, "Nguyễn Văn Mẫu", "Văn thư", channel="phone", actor=BY)


def _on_paper() -> Answer:
    return Answer(Event.REJECTED, "", "", channel="paper", actor=BY, reason="Trả lại văn bản.")
