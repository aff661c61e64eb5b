"""Every table. What must not happen is a constraint, with a sentence over it.

Instants are aware UTC; the column type refuses naive ones. Ids are UUIDv7 in hex, made by the house.
Codes of organisations are copied into running campaigns: a later change of the registry moves nothing.

(Longer than a file should be: rows that refer to each other, in the order of their references, so that a guard and
what it guards are read in one place. What no campaign refers to stands in `accounts` and `office`.)
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Date,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    bindparam,
    case,
    literal,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


def utc(moment: datetime) -> datetime:
    """The same instant in UTC; raise ValueError for a naive one."""
    if moment.tzinfo is None:
        raise ValueError("a naive datetime reached the store")
    return moment.astimezone(UTC)


class Instant(TypeDecorator[datetime]):
    """An aware UTC datetime; naive values are refused on the way in, and never come out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Refuse naive values; SQLite keeps UTC wall time."""
        if value is None:
            return None
        value = utc(value)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Always aware."""
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


def woken(row: Any, now: datetime | None = None) -> dict[str, Any]:
    """What an update of hops or campaigns sets so that they are looked at; now None: bound as `now`.

    row: the mapped class, or the columns of its table. Whoever is due already stays due as early as that: an act of a
    process whose clock is ahead would put it off for all others.
    """
    moment = bindparam("now", type_=Instant()) if now is None else literal(now, Instant())
    earliest = case((row.wake_at <= moment, row.wake_at), else_=moment)
    return {"wake_at": earliest, "wake_seq": row.wake_seq + 1}


class Table(DeclarativeBase):
    """The base of all tables."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own spelling
        datetime: Instant,
        date: Date,
        dict[str, Any]: JSON,
        list[Any]: JSON,
        bytes: LargeBinary,
        str: Text,
    }


def _where(condition: str) -> dict[str, Any]:
    """The condition of a partial index, on both databases."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


def _id() -> Any:
    return mapped_column(String(32), primary_key=True)


def _ref(target: str, **kw: Any) -> Any:
    return mapped_column(String(32), ForeignKey(target), **kw)


# ------------------------------------------------------------------------------------ registry


class ParkRow(Table):
    """An industrial park."""

    __tablename__ = "parks"
    code: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str]
    investor: Mapped[str | None] = mapped_column(String(40))
    record: Mapped[dict[str, Any]]


class OrganisationRow(Table):
    """An organisation as the registry has it now; `record` is the whole `records.Organisation`."""

    __tablename__ = "organisations"
    code: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str]
    level: Mapped[str] = mapped_column(String(40), index=True)
    record: Mapped[dict[str, Any]]
    #: What it is found by: names, code, tax code, without diacritics (`rules.names.fold`).
    folded: Mapped[str] = mapped_column(default="")
    changed_at: Mapped[datetime]


# ------------------------------------------------------------------------------------ campaign


class Campaign(Table):
    """A launched plan. Its route, policies and words are frozen here."""

    __tablename__ = "campaigns"
    id: Mapped[str] = _id()
    code: Mapped[str] = mapped_column(String(40), unique=True)
    #: RUNNING, or CLOSED by a named person.
    state: Mapped[str] = mapped_column(String(16))
    #: live: letters leave as signed files. exercise, demo: the engine plays the clerk, "BẢN MINH HỌA".
    mode: Mapped[str] = mapped_column(String(16))
    subject: Mapped[str]
    urgency: Mapped[str] = mapped_column(String(16))
    plan: Mapped[dict[str, Any]]
    plan_sha256: Mapped[str] = mapped_column(String(64))
    cascade: Mapped[dict[str, Any]]
    #: [{name, sha256}] of the documents from above.
    upstream: Mapped[list[Any]]
    launched_at: Mapped[datetime]
    launched_by: Mapped[str] = mapped_column(default="")
    held_at: Mapped[datetime | None]
    held_by: Mapped[str | None]
    #: Since when its clocks stand still; a paused campaign is held as well.
    paused_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    closed_by: Mapped[str | None]
    report_letter_id: Mapped[str | None] = mapped_column(String(32))
    wake_at: Mapped[datetime | None] = mapped_column(index=True)
    wake_seq: Mapped[int] = mapped_column(default=0)
    lease_until: Mapped[datetime | None]
    lease_owner: Mapped[str | None] = mapped_column(String(32))
    event_seq: Mapped[int] = mapped_column(default=0)
    event_head: Mapped[str] = mapped_column(String(64), default="")
    #: A cache: a 404 in Prefect means: make another.
    run_id: Mapped[str | None] = mapped_column(String(36))
    board_seq: Mapped[int] = mapped_column(default=1)
    board_seen: Mapped[int] = mapped_column(default=0)
    __table_args__ = (
        CheckConstraint("state IN ('RUNNING', 'CLOSED')", "state_known"),
        CheckConstraint("mode IN ('live', 'exercise', 'demo')", "mode_known"),
        # A campaign is closed by a person.
        CheckConstraint("(state = 'CLOSED') = (closed_at IS NOT NULL)", "closed_by_somebody"),
    )


class Hop(Table):
    """An issuer and its direct recipients in one campaign."""

    __tablename__ = "hops"
    id: Mapped[str] = _id()
    campaign_id: Mapped[str] = _ref("campaigns.id")
    #: The obligation whose fulfilment opens this hop; none for the first.
    parent_delivery_id: Mapped[str | None] = mapped_column(String(32), index=True)
    ordinal: Mapped[int]
    issuer: Mapped[str] = mapped_column(String(40))
    issuer_name: Mapped[str]
    level: Mapped[str] = mapped_column(String(40))
    #: WAITING for its release, DRAFTING, PENDING_ISSUE, OPEN, SETTLED.
    state: Mapped[str] = mapped_column(String(16))
    letter_id: Mapped[str | None] = mapped_column(String(32))
    #: The deadline that the letter prints.
    due_at: Mapped[datetime | None]
    opened_at: Mapped[datetime | None]
    settled_at: Mapped[datetime | None]
    #: Set when the hop above sent its own letter to these recipients, past a silent issuer.
    bypassed_at: Mapped[datetime | None]
    wake_at: Mapped[datetime | None]
    #: Counts the acts that woke this hop; a turn may only rest if none came in meanwhile.
    wake_seq: Mapped[int] = mapped_column(default=0)
    lease_until: Mapped[datetime | None]
    lease_owner: Mapped[str | None] = mapped_column(String(32))
    turns: Mapped[int] = mapped_column(default=0)
    event_seq: Mapped[int] = mapped_column(default=0)
    event_head: Mapped[str] = mapped_column(String(64), default="")
    run_id: Mapped[str | None] = mapped_column(String(36))
    board_seq: Mapped[int] = mapped_column(default=1)
    board_seen: Mapped[int] = mapped_column(default=0)
    #: The run on whose page its recipients stand; a cache as well.
    page_id: Mapped[str | None] = mapped_column(String(36))
    __table_args__ = (
        # An issuer has one hop in a campaign: it cannot pass the same directive on twice.
        UniqueConstraint("campaign_id", "issuer"),
        # A hop opens once: opened_at is written by compare-and-set and never cleared.
        CheckConstraint("(state IN ('OPEN', 'SETTLED')) = (opened_at IS NOT NULL)", "open_once"),
        CheckConstraint("opened_at IS NULL OR due_at IS NOT NULL", "open_has_deadline"),
        # Finds the hops that are due without reading the others.
        Index("ix_hops_wake_at", "wake_at", **_where("wake_at IS NOT NULL")),
    )


class Delivery(Table):
    """One recipient's obligation in one campaign."""

    __tablename__ = "deliveries"
    id: Mapped[str] = _id()
    campaign_id: Mapped[str] = _ref("campaigns.id")
    #: The hop that carries it: the first way, until another way opens earlier.
    hop_id: Mapped[str] = _ref("hops.id")
    code: Mapped[str] = mapped_column(String(96), unique=True)
    recipient: Mapped[str] = mapped_column(String(40))
    name: Mapped[str]
    #: Name and code without diacritics (`rules.names.fold`): what it is found and sorted by.
    folded: Mapped[str] = mapped_column(default="")
    level: Mapped[str] = mapped_column(String(40))
    park: Mapped[str] = mapped_column(String(40), default="")
    segments: Mapped[list[Any]]
    settles: Mapped[str] = mapped_column(String(16))
    #: Only where a hop stands below.
    child_hop_id: Mapped[str | None] = mapped_column(String(32))
    state: Mapped[str] = mapped_column(String(16))
    #: Where the letter goes; None: no mailbox is known.
    address: Mapped[str | None]
    #: The mailboxes that are tried after it, in their order.
    mailboxes: Mapped[list[Any] | None]
    due_at: Mapped[datetime | None]
    wake_at: Mapped[datetime | None]
    sent_at: Mapped[datetime | None]
    arrived_at: Mapped[datetime | None]
    confirmed_at: Mapped[datetime | None]
    settled_at: Mapped[datetime | None]
    #: link, mail, phone, paper, system.
    channel: Mapped[str | None] = mapped_column(String(16))
    #: Who answered, as they wrote it themselves.
    answered_by: Mapped[dict[str, Any] | None]
    reason: Mapped[str | None]
    reminders: Mapped[int] = mapped_column(default=0)
    steps_taken: Mapped[int] = mapped_column(default=0)
    urged: Mapped[int] = mapped_column(default=0)
    escalated_at: Mapped[datetime | None]
    late: Mapped[bool] = mapped_column(default=False)
    extended: Mapped[int] = mapped_column(default=0)
    #: Of a letter that was taken back: requested, agreed, refused (13, 15, 16 of QCVN 102).
    recall: Mapped[str | None] = mapped_column(String(12))
    #: Raised when its links are withdrawn: links carry the version they were made for.
    link_version: Mapped[int] = mapped_column(default=1)
    #: Raised when the letter is sent anew: part of the Message-ID.
    round: Mapped[int] = mapped_column(default=1)
    event_seq: Mapped[int] = mapped_column(default=0)
    event_head: Mapped[str] = mapped_column(String(64), default="")
    run_id: Mapped[str | None] = mapped_column(String(36))
    #: Raised by every act; the relay publishes what it has not seen and stores how far it came.
    board_seq: Mapped[int] = mapped_column(default=1)
    board_seen: Mapped[int] = mapped_column(default=0)
    #: The state in which its run stands, the deadline in the run's name, and the last of its events that Prefect was
    #: told of; caches as well.
    board_state: Mapped[str | None] = mapped_column(String(24))
    board_due: Mapped[datetime | None]
    board_event: Mapped[str | None] = mapped_column(String(64))
    __table_args__ = (
        # One organisation has one obligation per campaign, whatever ways lead to it.
        UniqueConstraint("campaign_id", "recipient"),
        CheckConstraint(
            "state IN ('QUEUED','SENT','DELIVERED','ACKNOWLEDGED','IN_PROGRESS','FORWARDED','COMPLETED',"
            "'REJECTED','UNDELIVERABLE','WITHDRAWN','EXEMPT')",
            "state_known",
        ),
        # A refusal without a reason helps nobody (NĐ 30/2020 Điều 21.2b).
        CheckConstraint("state <> 'REJECTED' OR reason IS NOT NULL", "rejected_why"),
        Index("ix_deliveries_hop_id_state", "hop_id", "state"),
        Index("ix_deliveries_hop_id_wake_at", "hop_id", "wake_at"),
        # The orders of the operators' table: a page is picked from the index alone, however deep it lies.
        Index("ix_deliveries_by_code", "campaign_id", "code", "id"),
        Index("ix_deliveries_by_name", "campaign_id", "folded", "id"),
        Index("ix_deliveries_by_due", "campaign_id", "due_at", "id"),
        Index("ix_deliveries_by_answer", "campaign_id", "confirmed_at", "id"),
        # The chart of answers over time; a letter that leaves does not touch it.
        Index(
            "ix_deliveries_answers",
            "campaign_id", "confirmed_at", "state",
            **_where("confirmed_at IS NOT NULL"),
        ),
        # Everything that is counted of a campaign, so that counting reads no row.
        Index(
            "ix_deliveries_figures",
            "campaign_id", "hop_id", "state", "settles", "park", "due_at", "late", "escalated_at",
        ),
        # What the Prefect board does not show yet.
        Index(
            "ix_deliveries_unpublished",
            "id",
            **_where("board_seq > board_seen"),
        ),
    )


class WayRow(Table):
    """One way by which the frozen route leads to a recipient; it counts in each issuer's branch."""

    __tablename__ = "ways"
    hop_id: Mapped[str] = _ref("hops.id", primary_key=True)
    delivery_id: Mapped[str] = _ref("deliveries.id", primary_key=True, index=True)
    park: Mapped[str] = mapped_column(String(40), primary_key=True, default="")


# ------------------------------------------------------------------------------------ letters


class File(Table):
    """Bytes that were sent or received, under their own hash: the hash is the evidence."""

    __tablename__ = "files"
    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    media_type: Mapped[str] = mapped_column(String(80))
    size: Mapped[int]
    data: Mapped[bytes]


class Letter(Table):
    """One numbered document: one number, one content."""

    __tablename__ = "letters"
    id: Mapped[str] = _id()
    campaign_id: Mapped[str] = _ref("campaigns.id", index=True)
    hop_id: Mapped[str | None] = mapped_column(String(32))
    #: The template's stem: board, investor, slip, urge, report…
    kind: Mapped[str] = mapped_column(String(40))
    #: The letter that this one replaces, corrects or urges an answer to.
    about: Mapped[str | None] = mapped_column(String(32))
    issuer: Mapped[str] = mapped_column(String(40))
    #: DRAFT, PENDING_ISSUE, ISSUED, REPLACED, CANCELLED (Dự thảo … Hủy).
    state: Mapped[str] = mapped_column(String(16))
    number: Mapped[int | None]
    symbol: Mapped[str] = mapped_column(default="")
    year: Mapped[int | None]
    issued_on: Mapped[date | None]
    subject: Mapped[str]
    #: What the page was made from, so that it can be made again.
    sheet: Mapped[dict[str, Any]]
    html: Mapped[str]
    sha256: Mapped[str | None] = mapped_column(String(64), ForeignKey("files.sha256"))
    #: Who has it in hand while it awaits its issue, and until when (NĐ 30/2020 Điều 18).
    awaits: Mapped[str | None] = mapped_column(String(40))
    awaits_until: Mapped[datetime | None]
    chased: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    issued_at: Mapped[datetime | None]
    issued_by: Mapped[str | None]
    __table_args__ = (
        CheckConstraint(
            "state IN ('DRAFT','PENDING_ISSUE','ISSUED','REPLACED','CANCELLED')", "state_known"
        ),
        # What is issued has its bytes; a letter that waits has a person and a date.
        CheckConstraint("state <> 'ISSUED' OR (sha256 IS NOT NULL AND issued_at IS NOT NULL)", "issued_whole"),
        CheckConstraint(
            "state <> 'PENDING_ISSUE' OR (awaits IS NOT NULL AND awaits_until IS NOT NULL)", "awaits_somebody"
        ),
        # No two letters bear the same number and symbol of one issuer in one year (NĐ 30/2020 Điều 15).
        UniqueConstraint("issuer", "year", "symbol", "number"),
    )


class Number(Table):
    """The register of numbers that the engine itself allocated; a voided one stays, with its reason."""

    __tablename__ = "numbers"
    issuer: Mapped[str] = mapped_column(String(40), primary_key=True)
    series: Mapped[str] = mapped_column(primary_key=True)
    year: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    letter_id: Mapped[str | None] = mapped_column(String(32))
    taken_at: Mapped[datetime]
    voided_why: Mapped[str | None]


# ------------------------------------------------------------------------------------ mail


class Message(Table):
    """One e-mail: the intent to send it. Its attempts stand beside it."""

    __tablename__ = "messages"
    id: Mapped[str] = _id()
    campaign_id: Mapped[str | None] = mapped_column(String(32), ForeignKey("campaigns.id"))
    hop_id: Mapped[str | None] = mapped_column(String(32), ForeignKey("hops.id"))
    delivery_id: Mapped[str | None] = mapped_column(String(32), ForeignKey("deliveries.id"))
    recipient: Mapped[str] = mapped_column(String(40))
    #: The stem of its words: letter, reminder, copy, digest, report, issue_wanted…
    kind: Mapped[str] = mapped_column(String(24))
    #: At the longest an id, a code as `mails.of_code` spells it, and the number of a further mailbox.
    step: Mapped[str] = mapped_column(String(120))
    #: Derived from delivery, kind and step, so that a repeat is the same message (RFC 5322 3.6.4).
    message_id: Mapped[str] = mapped_column(String(440), unique=True)
    address: Mapped[str]
    #: What its words need beyond the delivery, and [{name, sha256}] of its own enclosures.
    context: Mapped[dict[str, Any]]
    enclosures: Mapped[list[Any]]
    #: QUEUED, CLAIMED, SENT, REFUSED, UNKNOWN, CANCELLED.
    state: Mapped[str] = mapped_column(String(12))
    urgent: Mapped[bool] = mapped_column(default=False)
    not_before: Mapped[datetime]
    give_up_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(default=0)
    unknown: Mapped[int] = mapped_column(default=0)
    lease_until: Mapped[datetime | None]
    lease_owner: Mapped[str | None] = mapped_column(String(32))
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    reply: Mapped[str | None]
    __table_args__ = (
        CheckConstraint(
            "state IN ('QUEUED','CLAIMED','SENT','REFUSED','UNKNOWN','CANCELLED')", "state_known"
        ),
        CheckConstraint("(state = 'CLAIMED') = (lease_until IS NOT NULL)", "claimed_leased"),
        # No step of a delivery is sent as two different messages.
        UniqueConstraint("delivery_id", "kind", "step"),
        # What is still to be sent.
        Index(
            "ix_messages_open",
            "hop_id",
            "not_before",
            **_where("state IN ('QUEUED','CLAIMED','UNKNOWN')"),
        ),
    )


class Attempt(Table):
    """One hand-over to the mail server. Written before the first byte; without an outcome it is unknown."""

    __tablename__ = "attempts"
    message_id: Mapped[str] = _ref("messages.id", primary_key=True)
    ordinal: Mapped[int] = mapped_column(primary_key=True)
    started_at: Mapped[datetime]
    address: Mapped[str]
    #: accepted, refused, unavailable; None: the process died with it, or it is on the wire.
    outcome: Mapped[str | None] = mapped_column(String(12))
    finished_at: Mapped[datetime | None]
    reply: Mapped[str | None]


class Incoming(Table):
    """A mail that came in, as it was read: bounces, receipts, answers of machines and of people."""

    __tablename__ = "incoming"
    id: Mapped[str] = _id()
    #: Where it was read: host, user and folder, with the mailbox's own number of it (RFC 9051 section 2.3.1.1).
    mailbox: Mapped[str] = mapped_column(String(200))
    uidvalidity: Mapped[int] = mapped_column(BigInteger)
    uid: Mapped[int] = mapped_column(BigInteger)
    #: Its own Message-ID; empty where it has none.
    message_id: Mapped[str] = mapped_column(String(400), default="", index=True)
    #: bounce_hard, bounce_soft, delivered, relayed, auto_reply, human, unknown.
    kind: Mapped[str] = mapped_column(String(16))
    #: What it is about. No delivery: it stands in the list for a person, who may know; about mail to an office it
    #: names that message alone.
    delivery_id: Mapped[str | None] = mapped_column(String(32), ForeignKey("deliveries.id"), index=True)
    about: Mapped[str | None] = mapped_column(String(32), ForeignKey("messages.id"))
    #: token, message_id, or empty.
    matched_by: Mapped[str] = mapped_column(String(16), default="")
    sender: Mapped[str] = mapped_column(default="")
    subject: Mapped[str] = mapped_column(default="")
    #: A person's own words without what they quote, or the mail system's.
    text: Mapped[str] = mapped_column(default="")
    #: RFC 3463 ("5.1.1") or empty, and the server's words.
    status: Mapped[str] = mapped_column(String(16), default="")
    diagnostic: Mapped[str] = mapped_column(default="")
    read_at: Mapped[datetime]
    __table_args__ = (
        # A mail is taken in once, however often the mailbox is read.
        UniqueConstraint("mailbox", "uidvalidity", "uid"),
    )


# ------------------------------------------------------------------------------------ what happened


class EventRow(Table):
    """What happened, who, when, by which channel; chained by hash within its stream."""

    __tablename__ = "events"
    #: The id of a delivery, a hop or a campaign.
    stream: Mapped[str] = mapped_column(String(32), primary_key=True)
    seq: Mapped[int] = mapped_column(Integer, primary_key=True)
    campaign_id: Mapped[str] = mapped_column(String(32), index=True)
    at: Mapped[datetime]
    kind: Mapped[str] = mapped_column(String(24))
    actor: Mapped[str]
    channel: Mapped[str] = mapped_column(String(16))
    data: Mapped[dict[str, Any]]
    hash: Mapped[str] = mapped_column(String(64))


class Seal(Table):
    """All heads of a campaign at one instant, chained to the seal before it."""

    __tablename__ = "seals"
    campaign_id: Mapped[str] = _ref("campaigns.id", primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    #: How many events the campaign had: equal counts need no new seal.
    events: Mapped[int]
    #: The hash of its lines.
    heads: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))


class SealLine(Table):
    """The head of one stream in one seal; a seal holds the streams that moved since the seal before it."""

    __tablename__ = "seal_lines"
    campaign_id: Mapped[str] = _ref("campaigns.id", primary_key=True)
    seal: Mapped[int] = mapped_column(primary_key=True)
    stream: Mapped[str] = mapped_column(String(32), primary_key=True)
    event_seq: Mapped[int]
    event_head: Mapped[str] = mapped_column(String(64))


class Request(Table):
    """What a recipient asks of a person: another contact, or to be left out. A person decides."""

    __tablename__ = "requests"
    id: Mapped[str] = _id()
    campaign_id: Mapped[str] = _ref("campaigns.id", index=True)
    delivery_id: Mapped[str] = _ref("deliveries.id", index=True)
    #: contact: another mailbox is named; not_us: the mailbox is not the organisation's; not_applicable: the letter
    #: does not concern it.
    kind: Mapped[str] = mapped_column(String(16))
    #: As they wrote it. Personal data stand here and not in the log, which cannot be purged.
    words: Mapped[dict[str, Any]]
    made_at: Mapped[datetime]
    #: OPEN, ACCEPTED, DECLINED.
    state: Mapped[str] = mapped_column(String(12), default="OPEN")
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[str | None]
    decided_why: Mapped[str | None]
    __table_args__ = (
        CheckConstraint("kind IN ('contact', 'not_us', 'not_applicable')", "kind_known"),
        # Whatever is decided was decided by somebody.
        CheckConstraint(
            "(state = 'OPEN') = (decided_at IS NULL) AND (state = 'OPEN') = (decided_by IS NULL)", "decided_by_somebody"
        ),
        # Asking twice to be left out is one request.
        Index(
            "uq_requests_open",
            "delivery_id",
            unique=True,
            **_where("state = 'OPEN' AND kind = 'not_applicable'"),
        ),
    )


class Delegate(Table):
    """A colleague to whom a recipient has passed its page: a mailbox of the same organisation, a link of its own."""

    __tablename__ = "delegates"
    id: Mapped[str] = _id()
    campaign_id: Mapped[str] = _ref("campaigns.id", index=True)
    delivery_id: Mapped[str] = _ref("deliveries.id", index=True)
    address: Mapped[str]
    name: Mapped[str]
    named_by: Mapped[str]
    made_at: Mapped[datetime]


class Case(Table):
    """An escalation: somebody has to look at this delivery, and says what became of it."""

    __tablename__ = "cases"
    id: Mapped[str] = _id()
    delivery_id: Mapped[str] = _ref("deliveries.id")
    campaign_id: Mapped[str] = _ref("campaigns.id", index=True)
    #: silent, undeliverable, rejected: told apart everywhere.
    kind: Mapped[str] = mapped_column(String(16))
    opened_at: Mapped[datetime]
    #: How many rungs of the ladder were told, and when the next one is.
    rung: Mapped[int] = mapped_column(default=0)
    tell_at: Mapped[datetime | None] = mapped_column(index=True)
    #: The last digest that told of it.
    digest_id: Mapped[str | None] = mapped_column(String(32))
    claimed_by: Mapped[str | None]
    #: Until when whoever has claimed it asked to be left in peace.
    next_at: Mapped[datetime | None]
    notes: Mapped[list[Any]]
    closed_at: Mapped[datetime | None]
    closed_by: Mapped[str | None]
    closed_why: Mapped[str | None]
    __table_args__ = (
        CheckConstraint("kind IN ('silent','undeliverable','rejected')", "kind_known"),
        # A delivery has at most one open case of a kind.
        Index(
            "uq_cases_open",
            "delivery_id",
            "kind",
            unique=True,
            **_where("closed_at IS NULL"),
        ),
    )


class Digest(Table):
    """One mail to one rung on one day, over all campaigns."""

    __tablename__ = "digests"
    id: Mapped[str] = _id()
    owner: Mapped[str] = mapped_column(String(40))
    day: Mapped[date]
    #: 0 for the day's digest; urgent rounds count on.
    ordinal: Mapped[int] = mapped_column(default=0)
    made_at: Mapped[datetime]
    cases: Mapped[int]
    message_id: Mapped[str | None] = mapped_column(String(32))
    __table_args__ = (
        # At most one digest a day reaches a department, however many campaigns run.
        UniqueConstraint("owner", "day", "ordinal"),
    )


# ------------------------------------------------------------------------------------ the engine


class Lease(Table):
    """A named right that one process holds at a time: the relay's, the digest's."""

    __tablename__ = "leases"
    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    owner: Mapped[str] = mapped_column(String(32))
    until: Mapped[datetime]


class Note(Table):
    """A named value of the engine: the demo's clock, the board's cached Prefect ids, held run states."""

    __tablename__ = "notes"
    name: Mapped[str] = mapped_column(String(120), primary_key=True)
    value: Mapped[dict[str, Any]]


class PlayedAct(Table):
    """What a played party of the demo will do, and when. Rows here exist only in demo and exercise."""

    __tablename__ = "played_acts"
    id: Mapped[str] = _id()
    campaign_id: Mapped[str | None] = mapped_column(String(32))
    at: Mapped[datetime] = mapped_column(index=True)
    actor: Mapped[str] = mapped_column(String(40))
    kind: Mapped[str] = mapped_column(String(24))
    data: Mapped[dict[str, Any]]
    done_at: Mapped[datetime | None]
    __table_args__ = (UniqueConstraint("actor", "kind", "campaign_id"),)
