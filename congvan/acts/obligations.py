"""What a recipient's page says of one delivery, and each line of its branch: records without a database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from congvan.rules.protocol import Event, State, answered
from congvan.rules.records import SegmentDuty, Settles, Urgency
from congvan.rules.requirements import Question


@dataclass(frozen=True, slots=True)
class Enclosed:
    """A file that belongs to a delivery. size: bytes."""

    name: str
    sha256: str
    media_type: str
    size: int


@dataclass(frozen=True, slots=True)
class Shown:
    """A letter as its page. code: "05/…" or empty; state: DRAFT or ISSUED; kind: its template's stem."""

    html: str
    kind: str
    state: str
    code: str
    issued_on: date | None
    subject: str
    sha256: str | None
    file_name: str


@dataclass(frozen=True, slots=True)
class Said:
    """One answer as the log has it. mark: the first letters of the hash that chains it."""

    event: Event
    at: datetime
    channel: str
    mark: str
    #: Of a report: what it said.
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Branch:
    """What stands below a recipient.

    to: what the level below is called. company: it passes the prepared letter on by its own act.
    opened_at: when its letter left. bypassed_at: when those below were reached past it. counts: its
    recipients by state, each once.
    """

    to: str
    company: bool
    opened_at: datetime | None
    bypassed_at: datetime | None
    letter: Shown | None
    counts: tuple[tuple[State, int], ...]

    @property
    def total(self) -> int:
        """How many stand below."""
        return sum(number for _state, number in self.counts)

    @property
    def answered(self) -> int:
        """How many of them have answered."""
        return sum(number for state, number in self.counts if answered(state))


@dataclass(frozen=True, slots=True)
class Office:
    """Who asks, and whom to turn to. unit: the drafting unit; mailbox and phone are the unit's own."""

    name: str
    name_en: str
    unit: str
    mailbox: str
    phone: str


@dataclass(frozen=True, slots=True)
class Obligation:
    """Everything that a recipient's page says of one delivery."""

    delivery_id: str
    code: str
    recipient: str
    recipient_en: str
    state: State
    settles: Settles
    due_at: datetime | None
    extended: int
    late: bool
    reason: str
    answered_by: dict[str, Any]
    answers: tuple[Said, ...]
    campaign: str
    subject: str
    illustration: bool
    urgency: Urgency
    #: Whose letter it is, and how the document that came from above is cited.
    issuer: str
    directive: str
    #: True where what was sent is the document from above itself, with a slip for its receipt.
    taken_in: bool
    office: Office
    letter: Shown | None
    files: tuple[Enclosed, ...]
    duties: tuple[SegmentDuty, ...]
    #: What a report has to say.
    questions: tuple[Question, ...]
    #: Since when the campaign's clock stands still.
    paused_at: datetime | None
    #: Where its request to be left out stands: OPEN, DECLINED, or empty.
    left_out: str
    #: True behind the link of a colleague to whom the recipient has passed its page.
    colleague: bool
    branch: Branch | None


@dataclass(frozen=True, slots=True)
class Below:
    """One line of a recipient's branch. own: its letter came by this branch and not by another way."""

    delivery_id: str
    name: str
    park: str
    state: State
    due_at: datetime | None
    confirmed_at: datetime | None
    late: bool
    own: bool
