"""What each mail of a campaign says: from the database's rows to the frozen contexts of `mail.contexts`.

Mails of one hop differ in three fields only (name, link, code), so their templates run once per group.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from congvan.acts import notices, registry
from congvan.acts.digest import Line
from congvan.acts.drafting import printed_due, reread
from congvan.acts.frozen import cascade_of, plan_of, rule_of
from congvan.acts.mails import NOTICE
from congvan.house import House
from congvan.letters import numbering
from congvan.letters.filters import moment_en
from congvan.letters.sheet import Sheet
from congvan.links import Link
from congvan.mail import contexts as say
from congvan.mail.words import Carried, Mail, Mould
from congvan.rules.calendar import local
from congvan.rules.deadlines import working_days_late
from congvan.rules.protocol import State
from congvan.rules.records import CampaignPlan, Directive, Issue, Organisation
from congvan.store.ledger import Ledger
from congvan.store.tables import Campaign, Delivery, File, Hop, Letter, Message

if TYPE_CHECKING:
    from congvan.acts.claiming import Work

#: What differs between two mails of one group.
VARYING = ("recipient", "link", "code")


@dataclass(frozen=True)
class Scene:
    """What all mails of one hop, or of a campaign as a whole, have in common."""

    head: say.Head
    plan: CampaignPlan
    letter: Letter | None
    document: str
    subject: str
    directive: str
    fragment: str
    issuer: str
    on_behalf_of: str
    issuer_mailbox: str
    stamp: str
    sizes: Mapping[str, int]
    bypassed: str = ""
    bypassed_why: str = ""
    #: The kind of the mail that carried the letter: what reminders are replies to.
    letter_kind: str = "letter"

    def from_name(self, kind: str) -> str:
        """Who it comes from: the authority, in a company's name where it carries the company's letter."""
        if self.on_behalf_of and kind in ("letter", "reminder", "overdue"):
            return f"{self.head.authority} thay mặt {self.on_behalf_of}"
        return self.head.authority


async def scene(house: House, ledger: Ledger, campaign: Campaign, hop: Hop | None) -> Scene:
    """Read what the mails of a hop have in common."""
    plan, cascade = plan_of(campaign), cascade_of(campaign)
    speaker = await registry.organisation(ledger, cascade.speaks_for)
    unit = await registry.organisation(ledger, cascade.drafting_unit) if cascade.drafting_unit else None
    letter = await shown_letter(ledger, campaign, hop) if hop else await speaking_letter(ledger, campaign)
    company = None
    own = letter is None or hop is None or letter.issuer == hop.issuer
    if hop and own and hop.bypassed_at is None and rule_of(campaign, hop).issue is Issue.COMPANY:
        company = await registry.organisation(ledger, hop.issuer)
    return Scene(
        head=_head(house, campaign, speaker, unit),
        plan=plan,
        letter=letter,
        document=document(letter),
        subject=letter.subject if letter else plan.letter.subject,
        directive=all_cited(plan.directives),
        fragment=house.press.render_fragment(_sheet_of(letter)) if letter else "",
        issuer=hop.issuer_name if hop else speaker.name,
        on_behalf_of=company.name if company else "",
        issuer_mailbox=company.contacts[0].email if company and company.contacts else "",
        stamp=numbering.STAMPS[plan.urgency],
        sizes=await _sizes(ledger),
        bypassed=hop.issuer_name if hop and hop.bypassed_at else "",
        bypassed_why=await _bypassed_why(ledger, hop) if hop and hop.bypassed_at else "",
        letter_kind=letter_kind(campaign, hop) if hop else "letter",
    )


async def _bypassed_why(ledger: Ledger, hop: Hop) -> str:
    parent = await ledger.get(Delivery, hop.parent_delivery_id)
    exempt = State(parent.state) is State.EXEMPT
    return "đơn vị được miễn chuyển tiếp văn bản" if exempt else "đến nay chưa chuyển tiếp văn bản"


def letter_kind(campaign: Campaign, hop: Hop) -> str:
    """What the mail with the letter is to this hop's recipients."""
    if hop.bypassed_at is not None:
        return "bypass"
    return "slip" if rule_of(campaign, hop).issue is Issue.TAKEN_IN else "letter"


def _head(house: House, campaign: Campaign, speaker: Organisation, unit: Organisation | None) -> say.Head:
    return say.Head(
        authority=speaker.name,
        mailbox=house.settings.mail_from,
        authority_en=speaker.name_en,
        unit=_inside(unit.name) if unit else "",
        address=speaker.address,
        illustration=campaign.mode != "live",
    )


def _inside(name: str) -> str:
    # "Phòng …" is a common noun inside a sentence (NĐ 30/2020 Phụ lục II).
    return name[:1].lower() + name[1:] if name.startswith(("Phòng", "Văn phòng", "Trung tâm")) else name


async def _sizes(ledger: Ledger) -> dict[str, int]:
    return {row.sha256: row.size for row in await ledger.rows(select(File.sha256, File.size))}


async def shown_letter(ledger: Ledger, campaign: Campaign, hop: Hop) -> Letter | None:
    """The letter that a hop's recipients got: its own, past a silent issuer the issued one above, or the one above
    where that has replaced an earlier one since."""
    own: Letter | None = None
    at: Hop | None = hop
    while at is not None:
        letter = await ledger.find(Letter, at.letter_id) if at.letter_id else None
        usable = at is hop or rule_of(campaign, at).issue is not Issue.TAKEN_IN
        if letter is not None and letter.state == "ISSUED" and usable:
            if own is None:
                own = letter
            elif letter.about and letter.issued_at and own.issued_at and letter.issued_at > own.issued_at:
                return letter
        parent = await ledger.get(Delivery, at.parent_delivery_id) if at.parent_delivery_id else None
        at = await ledger.get(Hop, parent.hop_id) if parent else None
    return own


async def speaking_letter(ledger: Ledger, campaign: Campaign) -> Letter | None:
    """The authority's own issued letter of a campaign."""
    found: Letter | None = await ledger.first(
        select(Letter).where(
            Letter.campaign_id == campaign.id,
            Letter.issuer == cascade_of(campaign).speaks_for,
            Letter.hop_id.is_not(None),
            Letter.state == "ISSUED",
        )
    )
    return found


def _sheet_of(letter: Letter) -> Sheet:
    return reread(letter).sheet


def document(letter: Letter | None) -> str:
    """How a letter is cited: "Công văn số 01/BQL-… ngày 01/12/2023"."""
    if letter is None:
        return "văn bản"
    day = numbering.short_day(letter.issued_on)
    return f"Công văn số {letter.symbol} ngày {day}" if letter.symbol else f"Văn bản ngày {day}"


def cited(directive: Directive) -> str:
    """How the document from above is cited."""
    name = directive.kind[:1].lower() + directive.kind[1:]
    return f"{name} số {directive.code} ngày {numbering.short_day(directive.issued_on)} của {directive.issuer}"


def all_cited(directives: Sequence[Directive]) -> str:
    """How the documents from above are cited where there are several."""
    return "; ".join(cited(one) for one in directives)


def answer_link(house: House, delivery_id: str, version: int, now: datetime) -> str:
    """Where a recipient answers."""
    expires = now + timedelta(days=house.settings.link_days)
    return house.links.url(Link(delivery_id, "answer", version, expires))


def delegate_link(house: House, delegate_id: str, version: int, now: datetime) -> str:
    """Where a colleague answers; it ends with the recipient's own."""
    expires = now + timedelta(days=house.settings.link_days)
    return house.links.url(Link(delegate_id, "delegate", version, expires))


# ------------------------------------------------------------------------------------ by kind


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
            return self._house.words.render(_standalone(self._house, message, scene, now))
        key = (
            message.kind, message.hop_id, delivery.settles, delivery.due_at, tuple(delivery.segments),
            delivery.child_hop_id is not None, repr(message.context), now,
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


def _files(message: Message, scene: Scene) -> tuple[say.File, ...]:
    return tuple(
        say.File(name=one["name"], size=f"{max(1, scene.sizes.get(one['sha256'], 0) // 1024)} kB", sha256=one["sha256"])
        for one in message.enclosures
    )


def _segment_note(delivery: Delivery, scene: Scene) -> str:
    own = {str(segment).partition(".")[0] for segment in delivery.segments}
    return " ".join(duty.sentence for duty in scene.plan.segment_duties if duty.segment in own)


def _letter_fields(message: Message, delivery: Delivery, scene: Scene) -> dict[str, Any]:
    printed = printed_due(scene.letter, delivery.level) if scene.letter else delivery.due_at
    own = _deadlines(delivery)["deadline"]
    late = f"Thời hạn áp dụng cho Quý đơn vị là {own}, muộn hơn thời hạn in trong văn bản."
    late = "" if printed == delivery.due_at else late
    note = scene.plan.letter.note_to_intermediaries if delivery.child_hop_id else ""
    return {
        "head": scene.head, "recipient": delivery.name, "document": scene.document, "subject": scene.subject,
        "directive": scene.directive, "link": "", "code": delivery.code, "fragment": scene.fragment,
        "asked": _asked(delivery), "urgency": scene.stamp, "late_note": late,
        "segment_note": _segment_note(delivery, scene), "intermediary_note": note, "files": _files(message, scene),
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
    directive = scene.plan.directives[0]
    return say.SlipMail(
        head=scene.head, recipient=delivery.name, issuer=directive.issuer, subject=directive.subject,
        document=f"{directive.kind} số {directive.code} ngày {numbering.short_day(directive.issued_on)}",
        arrived_on=numbering.short_day(directive.arrived_on), arrival_number=directive.arrival_number,
        resolver=scene.head.unit, urgency=scene.stamp, link="", code=delivery.code, files=_files(message, scene),
        **_deadlines(delivery),
    )  # fmt: skip


def _reminder(house: House, message: Message, delivery: Delivery, scene: Scene, now: datetime) -> say.Context:
    assert delivery.due_at is not None, "only an opened delivery is reminded"
    left = house.calendars.state.count(local(now).date(), local(delivery.due_at).date())
    return say.ReminderMail(
        head=scene.head, recipient=delivery.name, step=int(message.context.get("ordinal", 1)),
        document=scene.document, subject=scene.subject, link="", code=delivery.code, asked=_asked(delivery),
        time_left=f"còn {left:02d} ngày làm việc" if left > 0 else "hết hạn hôm nay",
        on_behalf_of=scene.on_behalf_of, segment_note=_segment_note(delivery, scene), **_deadlines(delivery),
    )  # fmt: skip


def _overdue(house: House, message: Message, delivery: Delivery, scene: Scene, now: datetime) -> say.Context:
    assert delivery.due_at is not None, "only an opened delivery is overdue"
    passed = max(1, working_days_late(delivery.due_at, now, house.calendars))
    return say.OverdueMail(
        head=scene.head, recipient=delivery.name, document=scene.document, subject=scene.subject, link="",
        code=delivery.code, asked=_asked(delivery), on_behalf_of=scene.on_behalf_of,
        passed=f"đã quá hạn {passed:02d} ngày làm việc",
        told="sẽ được tổng hợp, báo cáo theo quy định nếu không nhận được trả lời", **_deadlines(delivery),
    )  # fmt: skip


def _extension(_house: House, message: Message, delivery: Delivery, scene: Scene, _now: datetime) -> say.Context:
    old = datetime.fromisoformat(message.context["old_due_at"])
    return say.ExtensionMail(
        head=scene.head, recipient=delivery.name, document=scene.document, subject=scene.subject, link="",
        code=delivery.code, asked=_asked(delivery), old_deadline=numbering.moment(old),
        reason=str(message.context.get("why", "")), **_deadlines(delivery),
    )  # fmt: skip


def _change(house: House, message: Message, delivery: Delivery, scene: Scene, _now: datetime) -> say.Context:
    fields = _change_fields(message, scene) | {"code": delivery.code, "asked": _asked(delivery)}
    if delivery.due_at is not None:
        fields |= _deadlines(delivery)
    if message.kind == "replacement":
        fields |= {"again": not message.context.get("inform"), "fragment": scene.fragment}
    if message.kind == "urge":
        last = datetime.fromisoformat(message.context["last"])
        fields |= {"deadline": numbering.moment(last), "deadline_en": moment_en(last)}
        fields |= {"round": message.context["round"]}
    return say.CHANGES[message.kind](**(fields | {"recipient": delivery.name}))


def _change_fields(message: Message, scene: Scene) -> dict[str, Any]:
    said = message.context
    old_due = said.get("old_due_at")
    return {
        "head": scene.head, "document": said.get("document") or scene.document,
        "subject": said.get("subject") or scene.subject, "reason": str(said.get("why", "")),
        "old_deadline": numbering.moment(datetime.fromisoformat(old_due)) if old_due else "",
        "old_document": said.get("old_document", ""), "files": _files(message, scene), "urgency": scene.stamp,
    }  # fmt: skip


#: As a receipt names them.
_ANSWERS = {
    "acknowledged": "đã tiếp nhận", "started": "đang xử lý", "forwarded": "đã chuyển tiếp", "completed": "hoàn thành",
    "rejected": "từ chối tiếp nhận",
}  # fmt: skip


def _receipt(_house: House, message: Message, delivery: Delivery, scene: Scene, _now: datetime) -> say.Context:
    context = message.context
    who = [context["answered_by"].get(key, "") for key in ("name", "position")]
    return say.ReceiptMail(
        head=scene.head, recipient=delivery.name, document=scene.document, subject=scene.subject,
        state=_ANSWERS[context["event"]], recorded_at=numbering.moment(datetime.fromisoformat(context["at"])), link="",
        code=delivery.code, by=", ".join(one for one in who if one), late=bool(context["late"]), mark=context["mark"],
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


def _standalone(house: House, message: Message, scene: Scene, now: datetime) -> say.Context:
    context = message.context
    if message.kind in say.CHANGES:
        fields = _change_fields(message, scene) | {"recipient": context["name"]}
        return say.CHANGES[message.kind](**fields)
    if message.kind == "copy":
        return say.CopyMail(
            head=scene.head, recipient=context["name"], document=scene.document, subject=scene.subject,
            directive=scene.directive, purpose=context["purpose"] or "để biết", fragment=scene.fragment,
            files=_files(message, scene),
        )  # fmt: skip
    if message.kind == "report":
        return say.ReportMail(
            head=scene.head, recipient=context["name"], document=context["document"], subject=context["subject"],
            directive=scene.directive, figures=say.Figures(**context["figures"]), files=_files(message, scene),
        )  # fmt: skip
    if message.kind == "issue_wanted":
        return _issue_wanted(house, context, scene, now)
    if message.kind == NOTICE:
        return _notice(house, context, scene)
    return _digest(house, message, scene, now)


def _notice(house: House, context: Mapping[str, Any], scene: Scene) -> say.Context:
    words = notices.WORDS[context["what"]]
    return say.NoticeMail(
        head=scene.head, recipient=context["name"], campaign=scene.plan.code, document=scene.document,
        subject=scene.subject, title=words.title, why=context["why"], advice=words.advice,
        since=numbering.moment(datetime.fromisoformat(context["since"])), held=context["what"] == "held",
        figures=say.Figures(**context["figures"]), link=house.settings.portal_url,
    )  # fmt: skip


def _issue_wanted(house: House, context: Mapping[str, Any], scene: Scene, now: datetime) -> say.Context:
    waiting = say.WaitingLetter(
        title=context.get("title", "Công văn"), subject=context["subject"], campaign=scene.plan.code,
        since=context["since"], wanted_by=context["until"], held_by=context["name"],
        recipients=int(context["recipients"]),
    )  # fmt: skip
    return say.IssueWantedMail(
        head=scene.head, recipient=context["name"], letters=(waiting,), link=house.settings.portal_url,
        step=int(context["step"]),
    )  # fmt: skip


def _digest(house: House, message: Message, scene: Scene, now: datetime) -> say.Context:
    context = message.context
    lines = [Line(**line) for line in context["lines"]]
    chapters = tuple(
        say.DigestCampaign(
            code=one["code"], document=one["document"], subject=one["subject"], figures=say.Figures(**one["figures"]),
            silent=_groups(lines, one["code"], "silent"), undeliverable=_groups(lines, one["code"], "undeliverable"),
            rejected=_groups(lines, one["code"], "rejected"), note=one.get("note", ""),
        )
        for one in context["campaigns"]
    )  # fmt: skip
    kind = say.LeaderMail if context.get("template") == "leader" else say.DigestMail
    return kind(
        head=scene.head, recipient=context["name"], day=numbering.short_day(local(now).date()), campaigns=chapters,
        link=house.settings.portal_url, files=_files(message, scene),
    )  # fmt: skip


def _groups(lines: list[Line], campaign: str, case: str) -> tuple[say.DigestGroup, ...]:
    found: dict[tuple[str, str], list[say.DigestRow]] = {}
    for line in lines:
        if line.campaign == campaign and line.case == case:
            row = say.DigestRow(
                code=line.code, name=line.name, deadline=line.due, reminders=line.reminders, note=line.reason
            )
            found.setdefault((line.issuer, line.park), []).append(row)
    groups = found.items()
    return tuple(say.DigestGroup(investor=issuer, park=park, rows=tuple(rows)) for (issuer, park), rows in groups)
