"""What the mails of one hop, or of a campaign, have in common: who speaks, which letter, which links."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from itertools import compress
from typing import Any

from sqlalchemy import Select, bindparam, select

from congvan.acts import registry
from congvan.acts.drafting import reread
from congvan.acts.frozen import cascade_of, plan_of, policy_of, rule_of, upwards
from congvan.acts.mails import LETTERS
from congvan.house import House
from congvan.letters import numbering
from congvan.letters.filters import uncapital
from congvan.letters.sheet import Sheet
from congvan.links import Link
from congvan.mail import contexts as say
from congvan.mail.message import that_fit
from congvan.rules.calendar import local
from congvan.rules.labels import letter_name
from congvan.rules.names import one_line
from congvan.rules.protocol import State
from congvan.rules.records import CampaignPlan, Directive, Issue, Organisation
from congvan.store.bulk import among
from congvan.store.ledger import Ledger
from congvan.store.tables import Campaign, Delivery, File, Hop, Letter, Message


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
    #: What the files of one mail may weigh.
    mail_max_bytes: int
    bypassed: str = ""
    bypassed_why: str = ""
    #: The kind of the mail that carried the letter: what reminders are replies to.
    letter_kind: str = "letter"
    #: Levels of the hop's recipients whose term runs on the clock.
    in_hours: frozenset[str] = frozenset()

    def from_name(self, kind: str) -> str:
        """Who it comes from, as a header can hold it: the authority, in a company's name where it carries the
        company's letter."""
        if self.on_behalf_of and kind in ("letter", "reminder", "overdue"):
            return one_line(f"{self.head.authority} thay mặt {self.on_behalf_of}")
        return one_line(self.head.authority)


async def scene(
    house: House, ledger: Ledger, campaign: Campaign, hop: Hop | None, now: datetime, sizes: Mapping[str, int]
) -> Scene:
    """Read what the mails of a hop have in common, as it is now. sizes: of their files, in bytes (`sizes_of`)."""
    plan, cascade = plan_of(campaign), cascade_of(campaign)
    speaker = await registry.organisation(ledger, cascade.speaks_for)
    unit = await registry.organisation(ledger, cascade.drafting_unit) if cascade.drafting_unit else None
    letter = await shown_letter(ledger, campaign, hop) if hop else await speaking_letter(ledger, campaign)
    company = None
    own = letter is None or hop is None or letter.issuer == hop.issuer
    if hop and own and hop.bypassed_at is None and rule_of(campaign, hop).issue is Issue.COMPANY:
        company = await registry.organisation(ledger, hop.issuer)
    reached = registry.mailboxes(company, local(now).date()) if company else []
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
        issuer_mailbox=reached[0] if reached else "",
        stamp=numbering.STAMPS[plan.urgency],
        sizes=sizes,
        mail_max_bytes=house.settings.mail_max_bytes,
        bypassed=hop.issuer_name if hop and hop.bypassed_at else "",
        bypassed_why=await _bypassed_why(ledger, hop) if hop and hop.bypassed_at else "",
        letter_kind=letter_kind(campaign, hop) if hop else "letter",
        in_hours=_in_hours(campaign, hop) if hop else frozenset(),
    )


def _in_hours(campaign: Campaign, hop: Hop) -> frozenset[str]:
    levels = [who.level for who in rule_of(campaign, hop).recipients]
    return frozenset(level for level in levels if policy_of(campaign, hop, level).deadline.hours)


async def _bypassed_why(ledger: Ledger, hop: Hop) -> str:
    parent = await ledger.get(Delivery, hop.parent_delivery_id)
    known = {
        State.EXEMPT: "đơn vị được miễn chuyển tiếp văn bản",
        State.WITHDRAWN: "đơn vị không còn là nơi chuyển tiếp văn bản",
    }
    return known.get(State(parent.state), "đến nay chưa chuyển tiếp văn bản")


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


async def sizes_of(ledger: Ledger, keys: Iterable[str]) -> dict[str, int]:
    """What these files weigh, in bytes."""
    rows = await ledger.session.execute(_sizes_of_files(ledger.is_sqlite), {"keys": sorted(set(keys))})
    return {row.sha256: row.size for row in rows}


@cache
def _sizes_of_files(is_sqlite: bool) -> Select[tuple[str, int]]:
    return select(File.sha256, File.size).where(among(File.sha256, "keys", is_sqlite))


async def shown_letter(
    ledger: Ledger, campaign: Campaign, hop: Hop, way: Sequence[Hop] = ()
) -> Letter | None:
    """The letter that a hop's recipients got: its own, past a silent issuer the issued one above, or the one above
    where that has replaced an earlier one since. way: as `upwards` gives it, where it is known."""
    own: Letter | None = None
    for at in way or await upwards(ledger, hop):
        letter = await ledger.find(Letter, at.letter_id) if at.letter_id else None
        usable = at.id == hop.id or rule_of(campaign, at).issue is not Issue.TAKEN_IN
        if letter is not None and letter.state == "ISSUED" and usable:
            if own is None:
                own = letter
            elif letter.about and letter.issued_at and own.issued_at and letter.issued_at > own.issued_at:
                return letter
    return own


async def speaking_letter(ledger: Ledger, campaign: Campaign) -> Letter | None:
    """The authority's own issued letter of a campaign."""
    whose = {"campaign": campaign.id, "speaks_for": cascade_of(campaign).speaks_for}
    found: Letter | None = (await ledger.session.scalars(_speaking(), whose)).first()
    return found


@cache
def _speaking() -> Select[tuple[Letter]]:
    return select(Letter).where(
        Letter.campaign_id == bindparam("campaign"),
        Letter.issuer == bindparam("speaks_for"),
        Letter.hop_id.is_not(None),
        Letter.state == "ISSUED",
    ).limit(1)  # fmt: skip


def _sheet_of(letter: Letter) -> Sheet:
    return reread(letter).sheet


def document(letter: Letter | None) -> str:
    """How a letter is cited, by the name of its kind: "Công văn số 01/BQL-… ngày 01/12/2023"."""
    if letter is None:
        return "văn bản"
    day = numbering.short_day(letter.issued_on)
    return f"{letter_name(letter.kind)} số {letter.symbol} ngày {day}" if letter.symbol else f"Văn bản ngày {day}"


def cited(directive: Directive) -> str:
    """How the document from above is cited."""
    day = numbering.short_day(directive.issued_on)
    return f"{uncapital(directive.kind)} số {directive.code} ngày {day} của {directive.issuer}"


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


def attached(message: Message, scene: Scene | None) -> list[Mapping[str, str]]:
    """The files of a mail that travel with it. Too large a one of a letter waits on the page of its recipient; mail to
    offices, who have none, carries all."""
    if scene is None or message.delivery_id is None or message.kind not in LETTERS:
        return list(message.enclosures)
    sizes = [scene.sizes.get(one["sha256"], 0) for one in message.enclosures]
    return list(compress(message.enclosures, that_fit(sizes, scene.mail_max_bytes)))


def files_of(message: Message, scene: Scene) -> tuple[say.File, ...]:
    """The files of a mail, as it lists them."""
    travelling = attached(message, scene)
    return tuple(
        say.File(
            name=one["name"], size=f"{max(1, scene.sizes.get(one['sha256'], 0) // 1024)} kB", sha256=one["sha256"],
            linked=one not in travelling,
        )
        for one in message.enclosures
    )  # fmt: skip


def change_fields(message: Message, scene: Scene) -> dict[str, Any]:
    """What every mail of a change under way says."""
    said = message.context
    old_due = said.get("old_due_at")
    return {
        "head": scene.head, "document": said.get("document") or scene.document,
        "subject": said.get("subject") or scene.subject, "reason": str(said.get("why", "")),
        "old_deadline": numbering.moment(datetime.fromisoformat(old_due)) if old_due else "",
        "old_document": said.get("old_document", ""), "files": files_of(message, scene), "urgency": scene.stamp,
    }  # fmt: skip
