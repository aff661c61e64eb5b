"""Recipients: they confirm, confirm twice, late, on old links, reject, pass on, or never say a word."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

from congvan.acts import confirmations, delegates, receipts, requests
from congvan.acts.confirmations import Answer, AnswersWrong, Receipt
from congvan.acts.passing_on import PassOn, pass_on
from congvan.errors import ActRefused, CongvanError, ImpossibleMove, LinkExpired, LinkInvalid, LinkRevoked
from congvan.house import House
from congvan.links import Link
from congvan.rules.protocol import Event
from congvan.simulation.faults import stream
from congvan.simulation.look import row, rows
from congvan.simulation.mailroom import Mailroom
from congvan.simulation.memory import Memory
from congvan.simulation.post import Landed
from congvan.simulation.processes import Process
from congvan.simulation.scheduler import Broken, Scheduler

#: How a recipient behaves, and how many of a hundred do. Investors pass on where others acknowledge.
MANNERS = {
    "prompt": 28, "after a reminder": 15, "late": 12, "never": 8, "rejects": 6, "twice": 5, "at once twice": 6,
    "by an old link": 6, "asks to be left out": 5, "passes it to a colleague": 5, "by mail": 4,
}  # fmt: skip
#: What people write into the fields of a report; the last is refused.
_FIELDS = ("3", "0", "1.200", "khoảng mười")


@dataclass
class Recipient:
    """One organisation at its mailbox. tokens: the links it has received, oldest first."""

    code: str
    manner: str
    chance: Random
    tokens: list[str] = field(default_factory=list)
    intends: bool = False
    asked: bool = False


class Recipients:
    """All recipients. portal: the processes that serve their pages."""

    def __init__(self, scheduler: Scheduler, portals: list[Process], memory: Memory, mailroom: Mailroom) -> None:
        self.scheduler, self.portals, self.memory, self.mailroom = scheduler, portals, memory, mailroom
        self.known: dict[str, Recipient] = {}
        self.tally: Counter[str] = Counter()

    def receives(self, landed: Landed) -> None:
        """A mail lies in a mailbox."""
        message = row(self.scheduler.disk, "messages", landed.key)
        if message["message_id"] != landed.message_id:
            raise Broken(f"the message on the wire is {landed.message_id}, its row says {message['message_id']}")
        if not landed.token or message["delivery_id"] is None or message["kind"] == "receipt":
            return
        one = self._recipient(message["recipient"], message["campaign_id"])
        if landed.token not in one.tokens:
            one.tokens.append(landed.token)
        if one.manner == "by mail" or self.scheduler.faults.happens("mail comes back later"):
            self._writes_back(one, landed)
        else:
            self._decide(one, message["kind"], message["delivery_id"])

    def _writes_back(self, one: Recipient, landed: Landed) -> None:
        """Somebody answers with a mail, or is on leave; else it is the server that sends the letter back."""
        says = self.mailroom.server
        if one.manner == "by mail":
            says = self.mailroom.machine if one.chance.random() < 0.3 else self.mailroom.person
        hours = timedelta(hours=one.chance.expovariate(1 / 12))
        self.scheduler.at(self.scheduler.now + hours, lambda: says(landed))

    def _recipient(self, code: str, campaign_id: str) -> Recipient:
        key = f"{code}/{campaign_id}"
        if key not in self.known:
            ordinal = self.scheduler.disk.look("select code from campaigns where id = ?", campaign_id)[0][0]
            chance = stream(self.scheduler.seed, f"recipient/{code}/{ordinal}")
            manner = chance.choices(list(MANNERS), list(MANNERS.values()))[0]
            if code == "BAN":
                manner = chance.choices(["prompt", "after a reminder", "late"], [8, 1, 1])[0]
            self.known[key] = Recipient(code, manner, chance)
        return self.known[key]

    def _decide(self, one: Recipient, kind: str, delivery_id: str) -> None:
        """When this mail moves its reader to act."""
        reminded = kind in ("reminder", "overdue")
        if one.intends or one.manner == "never" or (one.manner == "after a reminder" and not reminded):
            return
        one.intends = True
        hours = one.chance.expovariate(1 / 20)
        if one.manner == "late":
            hours += 24 * one.chance.randint(6, 20)
        for number in range(2 if one.manner in ("twice", "at once twice") else 1):
            more = number * (one.chance.random() * 90 if one.manner == "twice" else 0)
            self._later(one, delivery_id, timedelta(hours=hours + more))

    def _later(self, one: Recipient, delivery_id: str, wait: timedelta, event: Event | None = None) -> None:
        self.scheduler.at(self.scheduler.now + wait, lambda: self._act(one, delivery_id, event))

    # ------------------------------------------------------------------ the act

    def _act(self, one: Recipient, delivery_id: str, event: Event | None = None) -> None:
        delivery = row(self.scheduler.disk, "deliveries", delivery_id)
        said = event or self._says(one, delivery["settles"], delivery["child_hop_id"])
        token = one.tokens[0] if one.manner == "by an old link" else one.tokens[-1]
        portal = one.chance.choice(self.portals)
        label = f"{one.code} ({one.manner}) answers {said.value}"

        def ended(receipt: Any, error: BaseException | None) -> None:
            self._ended(one, delivery_id, said, receipt, error)

        if one.manner in _ASKING and event is None and delivery["child_hop_id"] is None and not one.asked:
            one.asked = True
            self._asks(one, delivery_id, portal, token)
            return
        press = self._press(portal.house, token, said, one.chance, delivery["child_hop_id"])
        self.scheduler.begin(portal, press, label, ended)

    def _says(self, one: Recipient, settles: str, below: str | None) -> Event:
        if one.manner == "rejects":
            return Event.REJECTED
        if below is not None and one.code.startswith("CDT-"):
            return Event.ACKNOWLEDGED if one.chance.random() < 0.2 else Event.FORWARDED
        if settles == "complete":
            return one.chance.choice([Event.ACKNOWLEDGED, Event.STARTED, Event.COMPLETED])
        return Event.ACKNOWLEDGED

    def _asks(self, one: Recipient, delivery_id: str, portal: Process, token: str) -> None:
        """Asks instead of answering; most answer some days later all the same."""

        def ended(done: Any, error: BaseException | None) -> None:
            if error is None and done is None:
                self.tally["question lost with its process"] += 1
            elif error is not None and not isinstance(error, CongvanError):
                raise Broken(f"a question broke: {type(error).__name__}: {error}") from error
            else:
                self.tally[one.manner if error is None else f"{one.manner}: refused"] += 1
            if one.chance.random() < 0.7:
                self._later(one, delivery_id, timedelta(hours=one.chance.expovariate(1 / 50)))

        label = f"{one.code} {one.manner}"
        self.scheduler.begin(portal, _ASKING[one.manner](portal.house, token, one.code), label, ended)

    def _by_hand(self, chance: Random, below: str | None) -> dict[str, str]:
        """Now and then a company has reached some of those below by itself."""
        if below is None or chance.random() > 0.3:
            return {}
        found = rows(self.scheduler.disk, "select distinct delivery_id from ways where hop_id = ? order by 1", below)
        return {one["delivery_id"]: "ký nhận" for one in found if chance.random() < 0.5}

    async def _press(
        self, house: House, token: str, said: Event, chance: Random, below: str | None
    ) -> Receipt:
        now = await house.clock.now()
        link = await _read(house, token, now)
        if chance.random() < 0.5:
            await confirmations.seen(house, link.delivery_id)
        if said is Event.FORWARDED:
            number = str(chance.randint(1, 99)) if chance.random() < 0.5 else ""
            order = PassOn(
                "Lê Văn Mẫu", "Giám đốc", number, segment_ticked=True, by_hand=self._by_hand(chance, below), how="paper"
            )
            return await pass_on(house, link.delivery_id, order, link)
        reason = "Không thuộc đối tượng." if said is Event.REJECTED else ""
        fields = {"drills": chance.choice(_FIELDS), "plan": "yes"} if said is Event.COMPLETED else {}
        words = Answer(said, "Lê Văn Mẫu", "Văn thư", reason=reason, segment_ticked=True, fields=fields)
        receipt = await confirmations.answer(house, link.delivery_id, words, link)
        if chance.random() < 0.2:
            await receipts.send(house, link.delivery_id, link)
        return receipt

    def _ended(self, one: Recipient, delivery_id: str, said: Event, receipt: Any, error: BaseException | None) -> None:
        if isinstance(receipt, Receipt):
            if not receipt.again:
                self.memory.answered.append((delivery_id, said.value))
            self.tally["answered late" if receipt.late else "answered again" if receipt.again else "answered"] += 1
            if said in (Event.ACKNOWLEDGED, Event.STARTED) and one.chance.random() < 0.8:
                self._more(one, delivery_id)
        elif error is None:
            self.tally["answer lost with its process"] += 1
            self._later(one, delivery_id, timedelta(minutes=one.chance.randint(1, 60)), said)
        elif isinstance(error, LinkRevoked | LinkExpired | LinkInvalid):
            self.tally["link withdrawn"] += 1
        elif isinstance(error, AnswersWrong):
            self.tally["report to be mended"] += 1
            self._later(one, delivery_id, timedelta(minutes=one.chance.randint(1, 60)), said)
        elif isinstance(error, ActRefused | ImpossibleMove):
            self.tally["answer refused"] += 1
        elif not isinstance(error, CongvanError):
            raise Broken(f"an answer broke: {type(error).__name__}: {error}") from error

    def _more(self, one: Recipient, delivery_id: str) -> None:
        """Whoever has to do more than acknowledge does it some days later."""
        delivery = row(self.scheduler.disk, "deliveries", delivery_id)
        asked = {"forward": Event.FORWARDED, "complete": Event.COMPLETED}.get(delivery["settles"])
        if asked is not None and delivery["state"] in ("ACKNOWLEDGED", "IN_PROGRESS"):
            if asked is Event.FORWARDED and not one.code.startswith("CDT-"):
                return
            self._later(one, delivery_id, timedelta(hours=one.chance.expovariate(1 / 60)), asked)


async def _read(house: House, token: str, now: datetime) -> Link:
    """The recipient's own link, or the one of a colleague, as the page reads them."""
    try:
        return house.links.read(token, "answer", now)
    except LinkExpired:
        raise
    except LinkInvalid:
        return await delegates.behind(house, house.links.read(token, "delegate", now))


async def _ask_to_be_left_out(house: House, token: str, _code: str) -> str:
    link = await _read(house, token, await house.clock.now())
    words = {"reason": "Không có nhà xưởng.", "name": "Lê Văn Mẫu"}
    return await requests.ask_to_be_left_out(house, link.delivery_id, words, link)


async def _pass_to_a_colleague(house: House, token: str, code: str) -> str:
    link = await _read(house, token, await house.clock.now())
    mailbox = f"phap-che@{code.lower()}.example"
    return await delegates.delegate(house, link.delivery_id, mailbox, "Trần Văn Mẫu", "Lê Văn Mẫu", link)


#: What is asked, by manner.
_ASKING = {"asks to be left out": _ask_to_be_left_out, "passes it to a colleague": _pass_to_a_colleague}
