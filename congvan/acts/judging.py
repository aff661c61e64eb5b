"""What one outcome does to its message and to the delivery: judged alone, without the database."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random
from typing import Any

from congvan.acts.claiming import Work, round_of
from congvan.acts.mails import CHASERS, LETTERS, PATIENCE
from congvan.mail.outgoing import Outcome
from congvan.rules.protocol import Event, Fact, State, advance, answered, settled
from congvan.rules.records import Settles
from congvan.store.ledger import Entry
from congvan.store.tables import Delivery

Change = tuple[Delivery, list[Entry], dict[str, Any]]

_FIRST_WAIT = timedelta(minutes=1)
_LONGEST_WAIT = timedelta(hours=4)
#: While the way itself is shut, it is looked at this often at the latest.
_LONGEST_SHUT = timedelta(minutes=30)
#: Waits differ by up to this share, so that what failed together does not come back together.
JITTER = 0.25


def untried(outcome: Outcome) -> bool:
    """True where the server asked for time before this message was offered to it: not an attempt."""
    return outcome.verdict == "unavailable" and outcome.slow_down and outcome.code is None


class Judged:
    """One outcome and what it does."""

    __slots__ = ("given_up", "message", "now", "ordinal", "outcome", "verdict", "wait")

    def __init__(self, work: Work, outcome: Outcome, now: datetime, chance: Random) -> None:
        self.message, self.outcome, self.now, self.ordinal = work.message, outcome, now, work.ordinal
        self.verdict = "untried" if untried(outcome) else outcome.verdict
        self.wait = timedelta()
        self.given_up = False
        if self.verdict in ("unavailable", "untried", "unknown"):
            give_up_at = now + PATIENCE if work.is_first else work.message.give_up_at
            shut = self.verdict == "untried"
            self.wait = wait_while_shut(give_up_at, now, chance) if shut else wait_before(work.ordinal, chance)
            # Untold too: a server that breaks off after every final dot may deliver each of them.
            self.given_up = now + self.wait > give_up_at

    @property
    def refused(self) -> bool:
        """No further attempt has a sense."""
        return self.verdict == "refused" or self.given_up

    def counts(self, standing: Any) -> bool:
        """Whether it says something of a message that stands so."""
        if self.verdict == "accepted" and standing.state != "SENT":
            return True
        in_hand = standing.state == "CLAIMED" or (standing.state == "QUEUED" and self.refused)
        return bool(in_hand and standing.attempts == self.ordinal)

    def refuse(self, reply: str) -> None:
        """What an earlier attempt was told counts instead."""
        self.outcome = Outcome(self.message.id, "refused", None, reply)
        self.verdict, self.wait = "refused", timedelta()

    def message_after(self) -> dict[str, Any]:
        """The columns of the message that this outcome changes, but for its reply."""
        row: dict[str, Any] = {"lease_until": None, "lease_owner": None}
        if self.verdict == "accepted":
            return row | {"state": "SENT", "sent_at": self.now}
        if self.refused:
            return row | {"state": "REFUSED"}
        row["not_before"] = self.now + self.wait
        if self.verdict == "unknown":
            return row | {"state": "UNKNOWN", "unknown": self.message.unknown + 1}
        return row | {"state": "QUEUED"} | ({"attempts": self.ordinal - 1} if self.verdict == "untried" else {})

    def moved(self, delivery: Delivery) -> Change | None:
        """The change that it makes to a delivery, or None."""
        message, outcome = self.message, self.outcome
        data: dict[str, Any] = {"kind": message.kind, "step": message.step, "message": message.message_id}
        state = State(delivery.state)
        # What comes of a letter that was sent anew since says nothing of the one that counts.
        present = message.kind in LETTERS | CHASERS and round_of(message) >= delivery.round
        if self.verdict == "accepted":
            if present and message.kind in LETTERS and state is State.QUEUED:
                return delivery, [Entry(Event.SENT, data)], {
                    "state": advance(state, Event.SENT), "sent_at": self.now, "wake_at": self.now,
                }  # fmt: skip
            if present and message.kind in CHASERS:
                return delivery, [Entry(Fact.REMINDED, data)], {"reminders": delivery.reminders + 1}
            first = {"sent_at": self.now, "wake_at": self.now} if present and _owes_more(delivery) else {}
            return delivery, [Entry(Fact.COPIED if message.kind == "copy" else Fact.NOTED, data)], first
        # The server's words may quote the address; the code is enough for the log.
        data["code"] = outcome.code
        if self.refused:
            return refusal(delivery, data, self.now) if present else (
                delivery, [Entry(Fact.DELAYED, data)], {},
            )  # fmt: skip
        if self.verdict == "untried":
            return None
        return delivery, [Entry(Fact.DELAYED, data | {"verdict": outcome.verdict})], {}


def _owes_more(delivery: Delivery) -> bool:
    """Whether he answered before any letter had left for him, and is to be reminded of what else is asked."""
    row: Any = delivery  # `outcomes` reads one column more than there are
    state = State(delivery.state)
    return row.unsent and answered(state) and not settled(state, Settles(delivery.settles))


def refusal(delivery: Delivery, data: dict[str, Any], now: datetime, channel: str = "system") -> Change:
    """This mailbox does not take it: the next one is tried; after the last it is undeliverable. Where it does not
    count any more, a line in the log. The caller sends the letter anew, or opens the case."""
    state = State(delivery.state)
    if state in (State.QUEUED, State.SENT) and delivery.mailboxes:
        following, *rest = delivery.mailboxes
        entry = Entry(Event.READDRESSED, data | {"why": "hộp thư kế tiếp", "left": len(rest)}, channel=channel)
        return delivery, [entry], {
            "state": advance(state, Event.READDRESSED), "address": following, "mailboxes": rest,
            "round": delivery.round + 1, "sent_at": None, "wake_at": now,
        }  # fmt: skip
    if state in (State.QUEUED, State.SENT):
        entry = Entry(Event.REFUSED, data, channel=channel)
        return delivery, [entry], {"state": advance(state, Event.REFUSED), "wake_at": None}
    return delivery, [Entry(Fact.DELAYED, data, channel=channel)], {}


def wait_before(attempt: int, chance: Random | None = None) -> timedelta:
    """The pause after this many attempts that found the server not ready: doubling from a minute to four hours."""
    return _scattered(min(_FIRST_WAIT * (1 << min(attempt - 1, 10)), _LONGEST_WAIT), chance)


def wait_while_shut(give_up_at: datetime, now: datetime, chance: Random | None = None) -> timedelta:
    """The pause while the way is shut for everybody, which costs no attempt: half of the time that it has
    lasted, from a minute to half an hour. It lasts since the message was first tried."""
    lasted = now - (give_up_at - PATIENCE)
    return _scattered(min(max(lasted / 2, _FIRST_WAIT), _LONGEST_SHUT), chance)


def _scattered(wait: timedelta, chance: Random | None) -> timedelta:
    return wait if chance is None else wait * (1 + JITTER * (2 * chance.random() - 1))
