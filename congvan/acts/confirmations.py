"""What recipients say: acknowledged, started, passed on, done, rejected. Pressing twice is fine.

Once one of these has returned, the answer is in the database and survives any crash.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from congvan.acts import escalations, hops, mails, receipts, releasing
from congvan.acts.frozen import plan_of, reckoned
from congvan.acts.signed_files import examined
from congvan.errors import ActRefused, LinkRevoked
from congvan.house import House
from congvan.links import Link
from congvan.rules import requirements, uploads
from congvan.rules.cascade import bears
from congvan.rules.protocol import Event, Fact, State, advance, says_nothing_new, settled
from congvan.rules.records import SegmentDuty, Settles
from congvan.rules.requirements import Question, Wrong
from congvan.rules.uploads import Upload
from congvan.store.ledger import Entry, Ledger
from congvan.store.tables import Campaign, Delivery, Hop

_LONGEST = 2_000
#: Who answered by the link of a colleague.
DELEGATE = "delegate"


@dataclass(frozen=True, slots=True)
class Answer:
    """What somebody says of a delivery. name, position: as they wrote them. channel: link, mail, phone,
    paper. actor: who recorded it, for what did not come by the link. evidence: a reference or a hash."""

    event: Event
    name: str = ""
    position: str = ""
    channel: str = "link"
    actor: str = "recipient"
    reason: str = ""
    evidence: str = ""
    segment_ticked: bool = False
    data: Mapping[str, Any] = field(default_factory=dict)
    #: What the plan's fields were filled with, as they were typed, and the files that were chosen for them.
    fields: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, Upload] = field(default_factory=dict)
    #: Files beside the fields, in their order.
    attached: Sequence[Upload] = ()


class AnswersWrong(ActRefused):
    """The report cannot be recorded: a field is missing or wrong."""

    def __init__(self, wrong: Mapping[str, Wrong]) -> None:
        self.wrong = wrong
        super().__init__(f"Báo cáo thiếu hoặc chưa đúng: {', '.join(sorted(wrong))}")


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the recipient is told: the state that is now recorded, since when, and whether it came late."""

    delivery_id: str
    code: str
    state: State
    recorded_at: datetime
    late: bool
    again: bool


async def answer(house: House, delivery_id: str, said: Answer, link: Link | None = None) -> Receipt:
    """Record an answer; raise LinkRevoked, ActRefused or ImpossibleMove.

    1. The link's version must be the delivery's: withdrawn links open nothing.
    2. What is already known is not written again.
    3. A report has to answer the plan's questions; raise AnswersWrong with all that is wrong.
    4. State, answer, closed cases, the log and every wake stand in one transaction.
    """
    now = await house.clock.now()
    said = await _with_files_examined(by_a_colleague(said, link))
    async with house.store.act() as ledger:
        delivery = await ledger.take(Delivery, delivery_id)
        check_link(delivery, link)
        campaign = await ledger.get(Campaign, delivery.campaign_id)
        _check_words(said)
        state = State(delivery.state)
        if says_nothing_new(state, said.event):
            return receipt(delivery, now, again=True)
        check_segments(campaign, delivery, said)
        new = advance(state, said.event)
        said = replace(said, data={**said.data, **await _reported(ledger, campaign, delivery, said)})
        await record(house, ledger, campaign, delivery, said, new, now)
        if said.actor == DELEGATE:
            await receipts.queue(house, ledger, campaign, delivery, now)
        return receipt(delivery, now, again=False)


async def _with_files_examined(said: Answer) -> Answer:
    """Before anything is locked: a file may be made so that looking at it takes long."""
    if not said.files and not said.attached:
        return said
    files = {key: await examined(file) for key, file in said.files.items()}
    return replace(said, files=files, attached=[await examined(file) for file in said.attached])


def by_a_colleague(said: Answer, link: Link | None) -> Answer:
    """A colleague may answer and report; to refuse and to pass on is for the organisation's own mailbox."""
    if link is None or not link.delegate:
        return said
    if said.event in (Event.REJECTED, Event.FORWARDED):
        raise ActRefused("Việc này chỉ thực hiện được từ đường dẫn gửi đến hộp thư của đơn vị.")
    return replace(said, actor=DELEGATE, data={**said.data, "delegate": link.delegate})


def questions_of(campaign: Campaign, delivery: Delivery) -> tuple[Question, ...]:
    """The fields that this recipient's report has to fill."""
    return plan_of(campaign).questions.get(delivery.level, ())


async def _reported(ledger: Ledger, campaign: Campaign, delivery: Delivery, said: Answer) -> dict[str, Any]:
    """What the log keeps of a report: its answers; and of every answer the files beside it, by their hashes."""
    questions = questions_of(campaign, delivery) if said.event is Event.COMPLETED else ()
    read = requirements.read(questions, said.fields, said.files)
    wrong = dict(read.wrong)
    for number, file in enumerate(said.attached, 1):
        if fault := uploads.fault_of(file):
            wrong[f"attached-{number}"] = Wrong(fault)
    if wrong:
        raise AnswersWrong(wrong)
    answers = dict(read.answers) | {key: await ledger.keep_upload(file) for key, file in read.files.items()}
    attached = [await ledger.keep_upload(file) for file in said.attached]
    return ({"answers": answers} if answers else {}) | ({"files": attached} if attached else {})


def check_link(delivery: Delivery, link: Link | None) -> None:
    """Raise LinkRevoked unless the link's version is the delivery's; None: not by a link."""
    if link is not None and link.version != delivery.link_version:
        raise LinkRevoked


def _check_words(said: Answer) -> None:
    if said.event is Event.REJECTED and not said.reason.strip():
        raise ActRefused("Cần ghi rõ lý do từ chối tiếp nhận.")
    if max(len(said.name), len(said.position), len(said.reason)) > _LONGEST:
        raise ActRefused("Nội dung quá dài.")


def duties_of(campaign: Campaign, delivery: Delivery) -> list[SegmentDuty]:
    """The sentences of the letter that bind this recipient's segments, each confirmed with its own tick."""
    return [duty for duty in plan_of(campaign).segment_duties if bears(delivery.segments, duty.segment)]


def check_segments(campaign: Campaign, delivery: Delivery, said: Answer) -> None:
    """Raise ActRefused where a duty of its own segment was not ticked on the page."""
    by_link = said.channel == "link" and said.event in (Event.ACKNOWLEDGED, Event.FORWARDED, Event.COMPLETED)
    if by_link and duties_of(campaign, delivery) and not said.segment_ticked:
        raise ActRefused("Cần đánh dấu xác nhận nội dung áp dụng riêng đối với doanh nghiệp.")


async def record(
    house: House,
    ledger: Ledger,
    campaign: Campaign,
    delivery: Delivery,
    said: Answer,
    new: State,
    now: datetime,
) -> None:
    """Write the answer down with all that follows from it: cases closed, a receipt, the hop woken."""
    done = settled(new, Settles(delivery.settles))
    late = delivery.late or (done and delivery.due_at is not None and reckoned(campaign, now) > delivery.due_at)
    data = dict(said.data) | ({"reason": said.reason} if said.reason else {})
    data |= {"evidence": said.evidence} if said.evidence else {}
    entries = [Entry(said.event, data, said.actor, said.channel)]
    if said.segment_ticked:
        entries.append(Entry(Fact.SEGMENT_CONFIRMED, {}, said.actor, said.channel))
    rejected = new is State.REJECTED
    values: dict[str, Any] = {
        "state": new, "channel": said.channel, "late": late,
        "answered_by": {"name": said.name, "position": said.position},
        "confirmed_at": delivery.confirmed_at if rejected else delivery.confirmed_at or now,
    }  # fmt: skip
    if said.reason:
        values["reason"] = said.reason
    if done or rejected:
        values |= {"wake_at": None} | ({"settled_at": now} if done else {})
        await mails.cancel_chasers(ledger, delivery.id)
    if done:
        by = said.actor if said.channel != "link" else "recipient"
        entries += await escalations.close_cases(ledger, delivery, now, by=by, why=said.event.value)
    elif not rejected:
        entries += await escalations.close_cases(
            ledger, delivery, now, by=said.actor, why=said.event.value, kinds=("undeliverable", "rejected")
        )
    open_still = not done and not rejected and delivery.due_at is not None
    if open_still and delivery.sent_at is None and said.channel == "link":
        # Quicker than the mail server's reply: who answers by the link has the letter, and is reminded of the rest.
        values |= {"sent_at": now, "wake_at": now}
    elif open_still and delivery.wake_at is None and delivery.escalated_at is None:
        # It was refused or bounced and only a person looked at it; the answer closed his case: the clock goes on.
        values |= {"wake_at": now}
    await ledger.write(delivery, now, entries, **values)
    if values.get("wake_at") is not None:
        await mails.wake_hop(ledger, delivery.hop_id, now)
    if rejected:
        await escalations.open_case(house, ledger, delivery, "rejected", now)
    elif not done:
        await escalations.keep_told(house, ledger, delivery, now)
    await wake_whom_it_concerns(house, ledger, campaign, delivery, now, done=done)


async def wake_whom_it_concerns(
    house: House, ledger: Ledger, campaign: Campaign, delivery: Delivery, now: datetime, *, done: bool
) -> None:
    """Wake only where something becomes due: the hop below opens, or this hop has settled."""
    if delivery.child_hop_id is not None:
        below = await ledger.get(Hop, delivery.child_hop_id)
        if below.opened_at is None and await releasing.released(house, ledger, campaign, below):
            await mails.wake_hop(ledger, below.id, now)
    if done and delivery.due_at is not None and not await hops.has_open(ledger, delivery.hop_id):
        await mails.wake_hop(ledger, delivery.hop_id, now)


def receipt(delivery: Delivery, now: datetime, *, again: bool) -> Receipt:
    """What whoever answers is shown; again: nothing new was said."""
    recorded = delivery.confirmed_at if again and delivery.confirmed_at else now
    return Receipt(delivery.id, delivery.code, State(delivery.state), recorded, delivery.late, again)


async def seen(house: House, delivery_id: str) -> None:
    """The page behind the link was opened (edXML 01). It settles nothing: scanners open links too."""
    now = await house.clock.now()
    async with house.store.act() as ledger:
        delivery = await ledger.take(Delivery, delivery_id)
        if State(delivery.state) is State.SENT:
            await ledger.write(
                delivery, now, Entry(Event.ARRIVED, channel="link"), state=State.DELIVERED, arrived_at=now
            )
