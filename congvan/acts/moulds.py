"""What each mail of a campaign says: from the database's rows to the frozen contexts of `mail.contexts`.

Mails of one hop differ in three fields only (name, link, code), so their templates run once per group.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING, Any

from congvan.acts import office_mails
from congvan.acts.mails import NOTICE
from congvan.acts.terms import printed_due
from congvan.acts.wording import Scene, answer_link, change_fields, delegate_link, files_of
from congvan.house import House
from congvan.letters import numbering
from congvan.letters.filters import DEADLINE, moment_en
from congvan.mail import contexts as say
from congvan.mail.fragment import plain
from congvan.mail.words import Carried, Mail, Mould
from congvan.rules.calendar import local
from congvan.rules.cascade import bears
from congvan.rules.deadlines import working_days_late
from congvan.rules.labels import EVENTS, within
from congvan.rules.records import Directive
from congvan.store.tables import Delivery, Message

if TYPE_CHECKING:
    from congvan.acts.claiming import Work

#: What differs between two mails of one group.
VARYING = ("recipient", "link", "code")


class Moulds:
    """The words of messages; templates run once for all that differ in VARYING only."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._moulds: dict[tuple[Any, ...], Mould] = {}

    def words(self, work: Work, scene: Scene | None, now: datetime) -> Mail:
        """The mail of one message."""
        made = self._made(work, scene, now)
        return made if isinstance(made, Mail) else made[0].fill(made[1])

    def carried(self, work: Work, scene: Scene | None, now: datetime) -> Mail | Carried:
        """The same as it travels, where a mould has prepared it."""
        made = self._made(work, scene, now)
        return made if isinstance(made, Mail) else made[0].carried(made[1])

    def _made(self, work: Work, scene: Scene | None, now: datetime) -> Mail | tuple[Mould, dict[str, str]]:
        assert scene is not None, "every message belongs to a campaign"
        message, delivery = work.message, work.delivery
        if delivery is None or message.kind in ("digest", "copy", "report", "issue_wanted", NOTICE):
            return self._house.words.render(office_mails.context_of(self._house, message, scene, now))
        key = (
            message.kind, message.hop_id, delivery.level, delivery.settles, delivery.due_at, tuple(delivery.segments),
            delivery.child_hop_id is not None, repr(message.context), now,
            scene.letter.id if scene.letter is not None else "",
        )  # fmt: skip
        mould = self._moulds.get(key)
        if mould is None:
            context = _PERSONAL[message.kind](self._house, message, delivery, scene, now)
            mould = self._moulds[key] = self._house.words.mould(context, VARYING)
        link = answer_link(self._house, delivery.id, delivery.link_version, now)
        if message.kind == "delegated":
            link = delegate_link(self._house, message.context["delegate"], delivery.link_version, now)
        return mould, {"recipient": delivery.name, "link": link, "code": delivery.code}


def _asked(delivery: Delivery) -> say.Asked:
    asked: say.Asked = delivery.settles  # type: ignore[assignment]
    return asked


def _deadlines(delivery: Delivery) -> dict[str, str]:
    assert delivery.due_at is not None, "only an opened delivery is written to"
    return {"deadline": numbering.moment(delivery.due_at), "deadline_en": moment_en(delivery.due_at)}


def _segment_note(delivery: Delivery, scene: Scene) -> str:
    own = [duty for duty in scene.plan.segment_duties if bears(delivery.segments, duty.segment)]
    return " ".join(duty.sentence for duty in own)


def _intermediary_note(delivery: Delivery, scene: Scene, deadline: str) -> str:
    """The plan's note to those who have somebody below them, as text; what asks Jinja stands in the letter alone."""
    written = scene.plan.letter.note_to_intermediaries if delivery.child_hop_id else ""
    said = DEADLINE.sub(lambda _: deadline, written)
    return "" if "{{" in said or "{%" in said else plain(said)


def _letter_fields(message: Message, delivery: Delivery, scene: Scene) -> dict[str, Any]:
    printed = printed_due(scene.letter, delivery.level) if scene.letter else delivery.due_at
    own = _deadlines(delivery)["deadline"]
    late = f"Thời hạn áp dụng cho Quý đơn vị là {own}, muộn hơn thời hạn in trong văn bản."
    late = "" if printed == delivery.due_at else late
    return {
        "head": scene.head, "recipient": delivery.name, "document": scene.document, "subject": scene.subject,
        "directive": scene.directive, "link": "", "code": delivery.code, "fragment": scene.fragment,
        "asked": _asked(delivery), "urgency": scene.stamp, "late_note": late,
        "segment_note": _segment_note(delivery, scene), "intermediary_note": _intermediary_note(delivery, scene, own),
        "files": files_of(message, scene),
    } | _deadlines(delivery)  # fmt: skip


def _letter(_house: House, message: Message, delivery: Delivery, scene: Scene, _now: datetime) -> say.Context:
    return say.LetterMail(
        **_letter_fields(message, delivery, scene),
        on_behalf_of=scene.on_behalf_of,
        issuer_mailbox=scene.issuer_mailbox,
    )


def _bypass(_house: House, message: Message, delivery: Delivery, scene: Scene, _now: datetime) -> say.Context:
    return say.BypassMail(
        **_letter_fields(message, delivery, scene),
        bypassed=scene.bypassed,
        reason=scene.bypassed_why,
    )


def _slip(_house: House, message: Message, delivery: Delivery, scene: Scene, _now: datetime) -> say.Context:
    several = scene.plan.directives
    return say.SlipMail(
        head=scene.head, recipient=delivery.name, subject=_listed(one.subject for one in several),
        issuer=_listed(one.issuer for one in several),
        document="; ".join(f"{one.kind} số {one.code} ngày {numbering.short_day(one.issued_on)}" for one in several),
        arrived_on=_listed(_arrival(one, dated=len(several) > 1) for one in several),
        arrival_number="" if len(several) > 1 else several[0].arrival_number,
        resolver=scene.head.unit, urgency=scene.stamp, link="", code=delivery.code, files=files_of(message, scene),
        **_deadlines(delivery),
    )  # fmt: skip


def _arrival(one: Directive, *, dated: bool) -> str:
    """When a document came, among several with the number under which it was entered."""
    day = numbering.short_day(one.arrived_on)
    return f"số đến {one.arrival_number} ngày {day}" if dated and one.arrival_number else day


def _listed(texts: Iterable[str]) -> str:
    """What several documents say, each of it once."""
    return "; ".join(dict.fromkeys(texts))


def _reminder(house: House, message: Message, delivery: Delivery, scene: Scene, now: datetime) -> say.Context:
    assert delivery.due_at is not None, "only an opened delivery is reminded"
    today, last = local(now).date(), local(delivery.due_at).date()
    # As the steps are counted: on a make-up Saturday enterprises do not work.
    left = max(house.calendars.named("both").count(today, last), int(last > today))
    return say.ReminderMail(
        head=scene.head, recipient=delivery.name, step=int(message.context.get("ordinal", 1)),
        document=scene.document, subject=scene.subject, link="", code=delivery.code, asked=_asked(delivery),
        time_left=_by_the_clock(delivery, scene, now, left) or (
            f"còn {left:02d} ngày làm việc" if left > 0 else "hết hạn hôm nay"
        ),
        on_behalf_of=scene.on_behalf_of, segment_note=_segment_note(delivery, scene), **_deadlines(delivery),
    )  # fmt: skip


def _overdue(house: House, message: Message, delivery: Delivery, scene: Scene, now: datetime) -> say.Context:
    assert delivery.due_at is not None, "only an opened delivery is overdue"
    passed = max(1, working_days_late(delivery.due_at, now, house.calendars))
    return say.OverdueMail(
        head=scene.head, recipient=delivery.name, document=scene.document, subject=scene.subject, link="",
        code=delivery.code, asked=_asked(delivery), on_behalf_of=scene.on_behalf_of,
        passed=_by_the_clock(delivery, scene, now, passed) or f"đã quá hạn {passed:02d} ngày làm việc",
        told="sẽ được tổng hợp, báo cáo theo quy định nếu không nhận được trả lời", **_deadlines(delivery),
    )  # fmt: skip


def _by_the_clock(delivery: Delivery, scene: Scene, now: datetime, days: int) -> str:
    """Where a term in hours stands, on its last day and on the first after it; "" where working days say it.

    A mail leaves some seconds after its hour: minutes that are left are rounded up, those that have passed down.
    """
    assert delivery.due_at is not None, "only an opened delivery has a term"
    left = delivery.due_at - now
    if delivery.level not in scene.in_hours or (abs(left) >= timedelta(days=1) and days > 0):
        return ""
    minutes = ceil(left / timedelta(minutes=1))
    if minutes > 0:
        return f"còn {_hours(minutes)}"
    return f"đã quá hạn {_hours(-minutes)}" if minutes else "vừa hết hạn"


def _hours(minutes: int) -> str:
    hours, rest = divmod(minutes, 60)
    return " ".join(f"{count} {unit}" for count, unit in ((hours, "giờ"), (rest, "phút")) if count)


def _extension(_house: House, message: Message, delivery: Delivery, scene: Scene, _now: datetime) -> say.Context:
    old = datetime.fromisoformat(message.context["old_due_at"])
    return say.ExtensionMail(
        head=scene.head, recipient=delivery.name, document=scene.document, subject=scene.subject, link="",
        code=delivery.code, asked=_asked(delivery), old_deadline=numbering.moment(old),
        reason=str(message.context.get("why", "")), **_deadlines(delivery),
    )  # fmt: skip


def _change(house: House, message: Message, delivery: Delivery, scene: Scene, now: datetime) -> say.Context:
    fields = change_fields(message, scene) | {"code": delivery.code, "asked": _asked(delivery)}
    if delivery.due_at is not None:
        fields |= _deadlines(delivery)
    if message.kind == "replacement":
        fields |= {"again": not message.context.get("inform"), "fragment": scene.fragment}
    last = datetime.fromisoformat(message.context["last"]) if "last" in message.context else delivery.due_at
    if message.kind in ("urge", "resume") and last is not None:
        fields |= {"deadline": numbering.moment(last), "deadline_en": moment_en(last) if last > now else ""}
    if message.kind == "resume":
        fields |= {"urged": "last" in message.context, "passed": last is not None and last <= now}
    if message.kind == "urge":
        fields |= {"round": message.context["round"]}
    return say.CHANGES[message.kind](**(fields | {"recipient": delivery.name}))


def _receipt(_house: House, message: Message, delivery: Delivery, scene: Scene, _now: datetime) -> say.Context:
    context = message.context
    who = [context["answered_by"].get(key, "") for key in ("name", "position")]
    return say.ReceiptMail(
        head=scene.head, recipient=delivery.name, document=scene.document, subject=scene.subject,
        state=within(EVENTS[context["event"]]), recorded_at=numbering.moment(datetime.fromisoformat(context["at"])),
        code=delivery.code, by=", ".join(one for one in who if one), late=bool(context["late"]), mark=context["mark"],
        link="",
    )  # fmt: skip


def _delegated(_house: House, message: Message, delivery: Delivery, scene: Scene, _now: datetime) -> say.Context:
    context = message.context
    return say.DelegatedMail(
        head=scene.head, recipient=delivery.name, document=scene.document, subject=scene.subject, link="",
        code=delivery.code, name=context["name"], by=context["by"], note=context.get("note", ""),
        asked=_asked(delivery), **_deadlines(delivery),
    )  # fmt: skip


def _declined(_house: House, message: Message, delivery: Delivery, scene: Scene, _now: datetime) -> say.Context:
    return say.DeclinedMail(
        head=scene.head, recipient=delivery.name, document=scene.document, subject=scene.subject, link="",
        code=delivery.code, reason=str(message.context.get("why", "")), asked=_asked(delivery), **_deadlines(delivery),
    )  # fmt: skip


_PERSONAL = {
    "receipt": _receipt,
    "delegated": _delegated,
    "declined": _declined,
    **dict.fromkeys(say.CHANGES, _change),
    "letter": _letter,
    "bypass": _bypass,
    "slip": _slip,
    "reminder": _reminder,
    "overdue": _overdue,
    "extension": _extension,
}
