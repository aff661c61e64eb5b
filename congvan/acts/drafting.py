"""What a letter says before it is laid out: the sheet of a hop's letter, from plan, cascade and registry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from sqlalchemy import select

from congvan.acts import registry
from congvan.acts.frozen import cascade_of, plan_of, rule_of, upwards
from congvan.acts.terms import term_below
from congvan.acts.validity import registered, who_signs
from congvan.house import House
from congvan.letters.names import spoken
from congvan.letters.press import Rendered
from congvan.letters.sheet import Sheet
from congvan.rules.calendar import local
from congvan.rules.cascade import valid
from congvan.rules.labels import letter_name
from congvan.rules.protocol import Fact
from congvan.rules.records import CampaignPlan, Cascade, HopRule, Issue, LetterText, Organisation
from congvan.rules.uploads import PDF
from congvan.store.ledger import Entry, Ledger
from congvan.store.tables import Campaign, Delivery, Hop, Letter, ParkRow, WayRow


@dataclass(frozen=True, slots=True)
class Draft:
    """A letter on the way to its page: what it says and until when it asks for an answer.

    due_at: its latest deadline. dues: of each level of its recipients, where it has several.
    """

    sheet: Sheet
    due_at: datetime
    dues: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Instead:
    """A letter that takes the place of an issued one. words: its own; old: what is cited of the old one."""

    words: LetterText
    old: Mapping[str, Any]


async def draft(
    house: House, hop_id: str, *, number: str = "", day: date | None = None, instead: Instead | None = None
) -> Draft:
    """The sheet of a hop's letter as of now; a number and a day make it the issued one."""
    now = await house.clock.now()
    async with house.store.view() as ledger:
        hop = await ledger.get(Hop, hop_id)
        campaign = await ledger.get(Campaign, hop.campaign_id)
        levels = [who.level for who in rule_of(campaign, hop).recipients]
        dues = {level: await term_below(house, ledger, campaign, hop, level, now) for level in levels}
        plan = plan_of(campaign)
        if instead is not None:
            plan = plan.model_copy(update={"letter": instead.words})
        sheet = await _sheet(ledger, campaign, hop, plan, dues, number, day, local(now).date())
        if instead is not None:
            sheet = sheet.model_copy(update={"context": sheet.context | {"replaces": dict(instead.old)}})
        return Draft(sheet, max(dues.values()), dues)


async def _sheet(
    ledger: Ledger, campaign: Campaign, hop: Hop, plan: CampaignPlan, dues: Mapping[str, datetime], number: str,
    day: date | None, today: date,
) -> Sheet:  # fmt: skip
    rule = rule_of(campaign, hop)
    issuer = await registry.organisation(ledger, await _author(ledger, hop, rule))
    signed_on = day or today
    head = await letterhead(ledger, issuer, signed_on)
    own_words = rule.issue is Issue.SIGNED and issuer.code == cascade_of(campaign).speaks_for
    words = plan.letter
    signer = who_signs(words.signer, issuer, signed_on) if own_words else registered(issuer, signed_on)
    return Sheet(
        template=rule.template,
        **head,
        number=number,
        symbol=rule.symbol,
        place=words.place if own_words else issuer.place or words.place,
        issued_on=day,
        subject=words.subject if own_words else "",
        addressees=words.addressees if own_words else (),
        distribution=words.distribution if own_words else (),
        signer=signer,
        urgency=plan.urgency,
        illustration=campaign.mode != "live",
        context=await _context(ledger, campaign, hop, plan, dues),
    )


async def _author(ledger: Ledger, hop: Hop, rule: HopRule) -> str:
    """Whose paper it is. Nothing is ever rendered in the name of whoever sent the document from above:
    what such a hop renders is the slip that its recipient makes on receipt."""
    if rule.issue is not Issue.TAKEN_IN:
        return hop.issuer
    return str(await ledger.first(select(Delivery.recipient).where(Delivery.hop_id == hop.id)))


async def letterhead(ledger: Ledger, issuer: Organisation, day: date) -> dict[str, Any]:
    """What a sheet says of its issuer at the top and the foot of the page on that day.

    The telephone is that of an office before that of a person.
    """
    parent = await registry.organisation(ledger, issuer.parent) if issuer.parent else None
    reached = [one for one in issuer.contacts if one.phone and valid(one, day)]
    phone = min(reached, key=lambda one: (bool(one.name), one.order)).phone if reached else ""
    return {
        "issuer": issuer.name, "issuer_name_en": issuer.name_en,
        "parent_authority": (parent.short_name or parent.name) if parent else "",
        "issuer_address": issuer.address, "issuer_phone": phone, "issuer_tax_code": issuer.tax_code,
        "abbreviation": issuer.abbreviation,
    }  # fmt: skip


async def _context(
    ledger: Ledger, campaign: Campaign, hop: Hop, plan: CampaignPlan, dues: Mapping[str, datetime]
) -> dict[str, Any]:
    cascade = cascade_of(campaign)
    speaker = await registry.organisation(ledger, cascade.speaks_for)
    unit = await registry.organisation(ledger, cascade.drafting_unit) if cascade.drafting_unit else None
    parks = await ledger.all(
        select(ParkRow.name)
        .where(ParkRow.code.in_(select(WayRow.park).where(WayRow.hop_id == hop.id)))
        .order_by(ParkRow.name)
    )
    return {
        "letter": plan.letter.model_dump(mode="json"),
        "directives": [one.model_dump(mode="json") for one in plan.directives],
        "deadline": max(dues.values()),
        "deadlines": _deadlines(cascade, dues),
        "forwarded": await _forwarded(ledger, campaign, hop, speaker),
        "parks": list(parks),
        "authority": speaker.name,
        "leader": f"{spoken(plan.letter.signer.position, (speaker.name, plan.letter.place))} {plan.letter.signer.name}",
        "unit": unit.name if unit else speaker.name,
    }


def _deadlines(cascade: Cascade, dues: Mapping[str, datetime]) -> list[dict[str, Any]]:
    """Each deadline with the levels that it is for; empty where there is one for all."""
    if len(set(dues.values())) < 2:
        return []
    return [
        {"at": at, "levels": [cascade.levels[level] for level in dues if dues[level] == at]}
        for at in sorted(set(dues.values()))
    ]


async def _forwarded(
    ledger: Ledger, campaign: Campaign, hop: Hop, speaker: Organisation
) -> dict[str, Any] | None:
    """The letter of the nearest authority above, with blanks where it is not issued yet; None: there is none."""
    for above in (await upwards(ledger, hop))[1:]:
        letter = await ledger.find(Letter, above.letter_id) if above.letter_id else None
        numbered = letter is not None and letter.number is not None
        # Past a silent authority the letter above is cited: its own never came to be.
        awaited = rule_of(campaign, above).issue is Issue.SIGNED and above.bypassed_at is None
        if numbered or awaited:
            return await _cited(ledger, campaign, above, letter if numbered else None, speaker)
    return None


async def _cited(
    ledger: Ledger, campaign: Campaign, above: Hop, letter: Letter | None, speaker: Organisation
) -> dict[str, Any]:
    pattern = letter.symbol if letter is not None else rule_of(campaign, above).symbol
    author = await registry.organisation(ledger, above.issuer)
    return {
        "kind": letter_name(letter.kind if letter is not None else rule_of(campaign, above).template),
        "number": letter.symbol.partition("/")[0] if letter is not None else "",
        "symbol": pattern.partition("/")[2].replace("{abbreviation}", author.abbreviation),
        "date": letter.issued_on.isoformat() if letter is not None and letter.issued_on else "",
        "issuer": above.issuer_name,
        "short": (speaker.short_name or speaker.name) if above.issuer == speaker.code else above.issuer_name,
    }


# ------------------------------------------------------------------------------------ drafts


async def prepare(house: House, hop_ids: Sequence[str]) -> None:
    """Draft the letters of hops that have none yet: what an issuer's page shows before it is passed on."""
    for hop_id in hop_ids:
        async with house.store.view() as ledger:
            hop = await ledger.get(Hop, hop_id)
            if hop.letter_id is not None:
                continue
        made = await draft(house, hop_id)
        rendered = house.press.render(made.sheet)
        now = await house.clock.now()
        async with house.store.act() as ledger:
            hop = await ledger.take(Hop, hop_id)
            if hop.letter_id is None:
                await insert(house, ledger, hop, made, rendered, now, "DRAFT")


async def insert(
    house: House, ledger: Ledger, hop: Hop, made: Draft, rendered: Rendered, now: datetime, state: str
) -> str:
    """Write a hop's drafted letter down; return its id."""
    letter_id = house.new_id(now)
    sha256 = await ledger.keep_file(rendered.pdf, PDF)
    await ledger.add(
        Letter,
        id=letter_id, campaign_id=hop.campaign_id, hop_id=hop.id, kind=made.sheet.template, issuer=hop.issuer,
        state=state, symbol="", subject=rendered.subject, sheet=as_json(made), html=rendered.page, sha256=sha256,
        created_at=now,
    )  # fmt: skip
    entry = Entry(Fact.LETTER_DRAFTED, {"letter": letter_id, "sha256": sha256})
    await ledger.write(hop, now, entry, letter_id=letter_id)
    return letter_id


async def redraft(house: House, hop_ids: Sequence[str]) -> None:
    """Draft anew what companies will pass on: the letter above it is another one now."""
    for hop_id in hop_ids:
        async with house.store.view() as ledger:
            hop = await ledger.get(Hop, hop_id)
            letter = await ledger.find(Letter, hop.letter_id) if hop.letter_id else None
        if letter is None or letter.state != "DRAFT":
            continue
        made = await draft(house, hop_id)
        rendered = house.press.render(made.sheet)
        async with house.store.act() as ledger:
            sha256 = await ledger.keep_file(rendered.pdf, PDF)
            await ledger.change(
                Letter, Letter.id == letter.id, Letter.state == "DRAFT", subject=rendered.subject,
                sheet=as_json(made), html=rendered.page, sha256=sha256,
            )  # fmt: skip


def as_json(made: Draft) -> dict[str, Any]:
    """What a letter was made from, as its row keeps it."""
    dues = {level: at.isoformat() for level, at in made.dues.items()}
    return made.sheet.model_dump(mode="json") | {"due_at": made.due_at.isoformat(), "dues": dues}


def reread(letter: Letter) -> Draft:
    """The draft that a letter's row keeps."""
    data = dict(letter.sheet)
    data.pop("printed", None)
    due = datetime.fromisoformat(data.pop("due_at"))
    dues = {level: datetime.fromisoformat(at) for level, at in (data.pop("dues", None) or {}).items()}
    return Draft(Sheet.model_validate(data), due, dues)
