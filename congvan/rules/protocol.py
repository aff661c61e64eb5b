"""The states of a delivery and the one table that moves it.

Reminded, urged, overdue, escalated and late are facts beside the state: none of them ever stands in
the way of a confirmation. `docs/protocol.md` draws this table; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from types import MappingProxyType
from typing import Final

from congvan.errors import ImpossibleMove
from congvan.rules.labels import DELIVERY_STATES, EVENTS
from congvan.rules.records import Release, Settles


class State(StrEnum):
    """Where a recipient's obligation stands. Each says who moves it on, and what happens if nobody does."""

    #: The letter waits to be sent. The sender moves it on; if it cannot, digests list it as not reached.
    QUEUED = "QUEUED"
    #: The mail server took it. The recipient moves it on; silence is reminded and escalated.
    SENT = "SENT"
    #: It reached the recipient's system or its page was opened (edXML 01). As SENT.
    DELIVERED = "DELIVERED"
    #: "Đã tiếp nhận" (03). Settled, unless more was asked; then reminded and escalated as before.
    ACKNOWLEDGED = "ACKNOWLEDGED"
    #: "Đang xử lý" (04/05). The recipient reports; silence is reminded and escalated.
    IN_PROGRESS = "IN_PROGRESS"
    #: "Đã chuyển tiếp": passed on to those below. Settled, unless a report was asked.
    FORWARDED = "FORWARDED"
    #: "Hoàn thành" (06). The end of every obligation; only a letter that replaces this one begins it anew.
    COMPLETED = "COMPLETED"
    #: "Từ chối tiếp nhận" (02), with a reason. A person decides; listed in every digest until then.
    REJECTED = "REJECTED"
    #: No mailbox takes it. A person finds another way; listed in every digest until then.
    UNDELIVERABLE = "UNDELIVERABLE"
    #: Taken back by the issuer. The end, unless the letter was recalled for all and another takes its place.
    WITHDRAWN = "WITHDRAWN"
    #: "Miễn báo cáo", decided by a person with a reason. The end.
    EXEMPT = "EXEMPT"


class Event(StrEnum):
    """What moves a delivery."""

    SENT = "sent"
    REFUSED = "refused"
    ARRIVED = "arrived"
    ACKNOWLEDGED = "acknowledged"
    STARTED = "started"
    FORWARDED = "forwarded"
    COMPLETED = "completed"
    REJECTED = "rejected"
    READDRESSED = "readdressed"
    WITHDRAWN = "withdrawn"
    RECALLED = "recalled"
    REPLACED = "replaced"
    EXEMPTED = "exempted"


class Fact(StrEnum):
    """What is recorded of a delivery, a hop or a campaign without moving a delivery's state."""

    CREATED = "created"
    ANOTHER_WAY = "another_way"
    JOINED = "joined"
    ATTEMPTED = "attempted"
    DELAYED = "delayed"
    REMINDED = "reminded"
    URGED = "urged"
    ESCALATED = "escalated"
    TOLD = "told"
    CLAIMED = "claimed"
    ESCALATION_CLOSED = "escalation_closed"
    EXTENDED = "extended"
    BYPASSED = "bypassed"
    REACHED_BY_ISSUER = "reached_by_issuer"
    COPIED = "copied"
    SEGMENT_CONFIRMED = "segment_confirmed"
    CONTACT_PROPOSED = "contact_proposed"
    ASKED_TO_BE_LEFT_OUT = "asked_to_be_left_out"
    REQUEST_DECIDED = "request_decided"
    DELEGATED = "delegated"
    ALREADY_SETTLED = "already_settled"
    NOTED = "noted"
    LAUNCHED = "launched"
    OPENED = "opened"
    LETTER_DRAFTED = "letter_drafted"
    LETTER_ISSUED = "letter_issued"
    ISSUE_CHASED = "issue_chased"
    SETTLED = "settled"
    HELD = "held"
    PAUSED = "paused"
    MOVED = "moved"
    LETTER_RECALLED = "letter_recalled"
    LETTER_REPLACED = "letter_replaced"
    LETTER_CORRECTED = "letter_corrected"
    RECALL_AGREED = "recall_agreed"
    RECALL_REFUSED = "recall_refused"
    DECIDED = "decided"
    RESUMED = "resumed"
    REPORTED = "reported"
    CLOSED = "closed"
    PURGED = "purged"


_S, _E = State, Event
_OPEN = (_S.SENT, _S.DELIVERED, _S.ACKNOWLEDGED, _S.IN_PROGRESS, _S.FORWARDED)
_UNREACHED = (_S.QUEUED, _S.REJECTED, _S.UNDELIVERABLE)


def _table() -> dict[tuple[State, Event], State]:
    moves: dict[tuple[State, Event], State] = {
        (_S.QUEUED, _E.SENT): _S.SENT,
        (_S.QUEUED, _E.REFUSED): _S.UNDELIVERABLE,
        (_S.SENT, _E.REFUSED): _S.UNDELIVERABLE,  # the bounce comes after the server's 250
        (_S.SENT, _E.ARRIVED): _S.DELIVERED,
        (_S.ACKNOWLEDGED, _E.STARTED): _S.IN_PROGRESS,
        (_S.UNDELIVERABLE, _E.READDRESSED): _S.QUEUED,
        (_S.REJECTED, _E.READDRESSED): _S.QUEUED,
        (_S.SENT, _E.READDRESSED): _S.QUEUED,
        (_S.DELIVERED, _E.READDRESSED): _S.QUEUED,
        # The paper or the telephone may be quicker than the mail server, and a bounce may be wrong.
        (_S.SENT, _E.REJECTED): _S.REJECTED,
        (_S.DELIVERED, _E.REJECTED): _S.REJECTED,
        (_S.ACKNOWLEDGED, _E.REJECTED): _S.REJECTED,
    }
    for state in (_S.SENT, _S.DELIVERED, *_UNREACHED):
        moves[state, _E.ACKNOWLEDGED] = _S.ACKNOWLEDGED
        moves[state, _E.STARTED] = _S.IN_PROGRESS
    for state in (_S.SENT, _S.DELIVERED, _S.ACKNOWLEDGED, _S.IN_PROGRESS, *_UNREACHED):
        moves[state, _E.FORWARDED] = _S.FORWARDED
    for state in (*_OPEN, *_UNREACHED):
        moves[state, _E.COMPLETED] = _S.COMPLETED
        moves[state, _E.WITHDRAWN] = _S.WITHDRAWN
        moves[state, _E.EXEMPTED] = _S.EXEMPT
    for state in (_S.QUEUED, _S.ACKNOWLEDGED, _S.IN_PROGRESS, _S.FORWARDED):
        # The letter goes out once more and takes nothing back that was said.
        moves[state, _E.READDRESSED] = state
    for state in (*_OPEN, *_UNREACHED, _S.COMPLETED):
        moves[state, _E.RECALLED] = _S.WITHDRAWN
        moves[state, _E.REPLACED] = _S.QUEUED
    # Whether a person took the letter back from this one alone is for the act to know.
    moves[_S.WITHDRAWN, _E.REPLACED] = _S.QUEUED
    return moves


#: {(state, event): next state}. A pair that is not here cannot happen.
TRANSITIONS: Final[Mapping[tuple[State, Event], State]] = MappingProxyType(_table())

#: States from which nothing leads away.
FINAL: Final = frozenset(State) - {state for state, _ in TRANSITIONS}

_ORDER = (State.ACKNOWLEDGED, State.IN_PROGRESS, State.FORWARDED, State.COMPLETED)
_ENOUGH = {
    Settles.ACKNOWLEDGE: frozenset(_ORDER),
    Settles.FORWARD: frozenset({State.FORWARDED, State.COMPLETED}),
    Settles.COMPLETE: frozenset({State.COMPLETED}),
}
#: An answer that says no more than what is already known: pressed twice, or a step back.
_ANSWER_REACHES = {
    Event.ACKNOWLEDGED: State.ACKNOWLEDGED,
    Event.STARTED: State.IN_PROGRESS,
    Event.FORWARDED: State.FORWARDED,
    Event.COMPLETED: State.COMPLETED,
}


def advance(state: State, event: Event) -> State:
    """The state after this event; raise ImpossibleMove where the table has none."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        said = f"«{EVENTS[event.value]}» không thực hiện được: nơi nhận đang ở tình trạng"
        raise ImpossibleMove(f"{said} «{DELIVERY_STATES[state.value]}»") from None


def says_nothing_new(state: State, event: Event) -> bool:
    """True where the answer is already contained in the state: pressing twice is fine."""
    reached = _ANSWER_REACHES.get(event)
    return reached is not None and state in _ORDER and _ORDER.index(state) >= _ORDER.index(reached)


def settled(state: State, settles: Settles) -> bool:
    """True when nothing more is asked of this recipient: the required state, or exempt, or withdrawn."""
    return state in (State.EXEMPT, State.WITHDRAWN) or state in _ENOUGH[settles]


@cache
def settling_states(settles: Settles) -> frozenset[State]:
    """Every state in which an obligation of this kind is settled."""
    return frozenset(state for state in State if settled(state, settles))


def reached(state: State) -> bool:
    """True when the letter is known to have left for this recipient, or the recipient answered."""
    return state not in (State.QUEUED, State.UNDELIVERABLE, State.WITHDRAWN, State.EXEMPT)


def answered(state: State) -> bool:
    """True when the recipient said something that counts as an answer."""
    return state in _ORDER


def releases(release: Release, state: State, *, authority: bool, past_due: bool) -> bool:
    """True when the hop below a recipient in this state may open.

    ON_ACKNOWLEDGE without a standing written authority counts as ON_FORWARD for a company: nothing
    leaves in a company's name without its own act. `authority` is also true for an authority's own office.
    """
    if state in (State.WITHDRAWN, State.EXEMPT):
        return False
    if state in (State.FORWARDED, State.COMPLETED):
        return True
    if release is Release.ON_ACKNOWLEDGE:
        return authority and answered(state)
    if release is Release.AT_ONCE:
        return True
    return release is Release.AT_DEADLINE and past_due
