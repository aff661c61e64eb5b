"""Letters: drafted, issued, enclosed. One number has one content; what was issued never changes.

An authority's letter leaves only as an issued document; in exercise and demo the engine numbers it
itself and every page says "BẢN MINH HỌA". A company's letter is issued by the company's own act.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import func, select

from congvan.acts import demo, figures, mails, registry
from congvan.acts.frozen import cascade_of, is_urgent, plan_of, policy_of, rule_of
from congvan.errors import ActRefused, NotFound
from congvan.house import House
from congvan.letters.numbering import short_day
from congvan.letters.press import Rendered
from congvan.letters.sheet import Sheet
from congvan.rules.calendar import instant, local
from congvan.rules.deadlines import due_at, personal_due_at
from congvan.rules.protocol import Fact
from congvan.rules.records import HopRule, Issue, Organisation, Person
from congvan.store.ledger import Entry, Ledger
from congvan.store.tables import Campaign, Delivery, Hop, Letter, Number, ParkRow, WayRow

PDF = "application/pdf"


@dataclass(frozen=True, slots=True)
class Draft:
    """A letter on the way to its page: what it says and until when it asks for an answer."""

    sheet: Sheet
    due_at: datetime


# ------------------------------------------------------------------------------------ the sheet


async def draft(house: House, hop_id: str, *, number: str = "", day: date | None = None) -> Draft:
    """The sheet of a hop's letter as of now; a number and a day make it the issued one."""
    now = await house.clock.now()
    async with house.store.view() as ledger:
        hop = await ledger.get(Hop, hop_id)
        campaign = await ledger.get(Campaign, hop.campaign_id)
        due = await _deadline(house, ledger, campaign, hop, now)
        return Draft(await _sheet(house, ledger, campaign, hop, due, number, day), due)


async def _deadline(house: House, ledger: Ledger, campaign: Campaign, hop: Hop, now: datetime) -> datetime:
    """The date that the letter prints: the letter's own term, or the one above where that gives more time."""
    level = rule_of(campaign, hop).recipients[0].level
    policy = policy_of(campaign, hop, level)
    above = await _above(ledger, hop)
    if above is None or above.due_at is None or above.opened_at is None:
        return due_at(policy.deadline, now, house.calendars)
    # A hop that only registers the letter above has no term of its own to keep to.
    if rule_of(campaign, above).issue is Issue.TAKEN_IN:
        return due_at(policy.deadline, now, house.calendars)
    return personal_due_at(policy.deadline, above.due_at, above.opened_at, now, house.calendars)


async def _above(ledger: Ledger, hop: Hop) -> Hop | None:
    if hop.parent_delivery_id is None:
        return None
    parent = await ledger.get(Delivery, hop.parent_delivery_id)
    return await ledger.get(Hop, parent.hop_id)


async def _sheet(
    house: House, ledger: Ledger, campaign: Campaign, hop: Hop, due: datetime, number: str, day: date | None
) -> Sheet:
    plan, rule = plan_of(campaign), rule_of(campaign, hop)
    issuer = await registry.organisation(ledger, await _author(ledger, hop, rule))
    head = await _letterhead(ledger, issuer)
    own_words = rule.issue is Issue.SIGNED and issuer.code == cascade_of(campaign).speaks_for
    words = plan.letter
    signer = words.signer if own_words else _signer(issuer, day or local(campaign.launched_at).date())
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
        context=await _context(ledger, campaign, hop, due),
    )


async def _author(ledger: Ledger, hop: Hop, rule: HopRule) -> str:
    """Whose paper it is. Nothing is ever rendered in the name of whoever sent the document from above:
    what such a hop renders is the slip that its recipient makes on receipt."""
    if rule.issue is not Issue.TAKEN_IN:
        return hop.issuer
    return str(await ledger.first(select(Delivery.recipient).where(Delivery.hop_id == hop.id)))


async def _letterhead(ledger: Ledger, issuer: Organisation) -> dict[str, Any]:
    parent = await registry.organisation(ledger, issuer.parent) if issuer.parent else None
    phone = next((contact.phone for contact in issuer.contacts if contact.phone), "")
    return {
        "issuer": issuer.name, "parent_authority": parent.name if parent else "", "issuer_name_en": issuer.name_en,
        "issuer_address": issuer.address, "issuer_phone": phone, "issuer_tax_code": issuer.tax_code,
        "abbreviation": issuer.abbreviation,
    }  # fmt: skip


def _signer(issuer: Organisation, day: date) -> Person | None:
    valid = (
        one
        for one in issuer.signers
        if (one.valid_from is None or one.valid_from <= day) and (one.valid_until is None or day <= one.valid_until)
    )
    return next(valid, None)


async def _context(ledger: Ledger, campaign: Campaign, hop: Hop, due: datetime) -> dict[str, Any]:
    plan, cascade = plan_of(campaign), cascade_of(campaign)
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
        "deadline": due,
        "forwarded": await _forwarded(ledger, hop, speaker),
        "parks": list(parks),
        "authority": speaker.name,
        "leader": plan.letter.signer.authority or plan.letter.signer.position,
        "unit": unit.name if unit else speaker.name,
    }


async def _forwarded(ledger: Ledger, hop: Hop, speaker: Organisation) -> dict[str, Any] | None:
    """The numbered letter of the nearest hop above; blanks where it is not issued yet."""
    above = await _above(ledger, hop)
    while above is not None:
        letter = await ledger.find(Letter, above.letter_id) if above.letter_id else None
        if letter is not None and letter.number is not None:
            return {
                "number": str(letter.number), "symbol": letter.symbol.partition("/")[2],
                "date": letter.issued_on.isoformat() if letter.issued_on else "", "issuer": above.issuer_name,
                "short": speaker.abbreviation if above.issuer == speaker.code else above.issuer_name,
            }  # fmt: skip
        above = await _above(ledger, above)
    return None


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
                await _insert(house, ledger, hop, made, rendered, now, "DRAFT")


async def _insert(
    house: House, ledger: Ledger, hop: Hop, made: Draft, rendered: Rendered, now: datetime, state: str
) -> str:
    letter_id = house.new_id(now)
    sha256 = await ledger.keep_file(rendered.pdf, PDF)
    await ledger.add(
        Letter,
        id=letter_id, campaign_id=hop.campaign_id, hop_id=hop.id, kind=made.sheet.template, issuer=hop.issuer,
        state=state, symbol="", subject=rendered.subject, sheet=_as_json(made), html=rendered.page, sha256=sha256,
        created_at=now,
    )  # fmt: skip
    entry = Entry(Fact.LETTER_DRAFTED, {"letter": letter_id, "sha256": sha256})
    await ledger.write(hop, now, entry, letter_id=letter_id)
    return letter_id


def _as_json(made: Draft) -> dict[str, Any]:
    return made.sheet.model_dump(mode="json") | {"due_at": made.due_at.isoformat()}


async def submit(house: House, hop_id: str) -> Letter:
    """Draft an authority's letter and hand it to the person who issues it; return the letter.

    NĐ 30/2020 Điều 18: it is issued on the day of signature or the next working day; urgent ones at once.
    """
    made = await draft(house, hop_id)
    rendered = house.press.render(made.sheet)
    now = await house.clock.now()
    async with house.store.act() as ledger:
        hop = await ledger.take(Hop, hop_id)
        if hop.letter_id is not None:
            known: Letter = await ledger.take(Letter, hop.letter_id)
            if known.state != "DRAFT":
                return known
            letter_id = known.id
        else:
            letter_id = await _insert(house, ledger, hop, made, rendered, now, "DRAFT")
        campaign = await ledger.get(Campaign, hop.campaign_id)
        await _await_issue(house, ledger, campaign, hop, letter_id, now)
        return await ledger.get(Letter, letter_id)


async def _await_issue(
    house: House, ledger: Ledger, campaign: Campaign, hop: Hop, letter_id: str, now: datetime
) -> None:
    cascade = cascade_of(campaign)
    rule = rule_of(campaign, hop)
    person = rule.issue_by[0] if rule.issue_by else cascade.drafting_unit or cascade.speaks_for
    until = issue_until(house, campaign, now)
    await ledger.change(
        Letter, Letter.id == letter_id, state="PENDING_ISSUE", awaits=person, awaits_until=until
    )
    await ledger.write(hop, now, Entry(Fact.NOTED, {"awaits": person}), state="PENDING_ISSUE")
    if campaign.mode == "demo":
        at = demo.office_time(house, now, 3)
        await demo.play(house, ledger, person, "issue", at, {"letter": letter_id}, campaign.id)


def issue_until(house: House, campaign: Campaign, now: datetime) -> datetime:
    """Until when a letter has to be issued: the end of the next working day; urgent ones within the hour."""
    if is_urgent(campaign):
        return now
    state = house.calendars.state
    return instant(state.add(local(now).date(), 1), state.closes)


async def chase(house: House, hop_id: str) -> None:
    """Remind whoever has a letter in hand that should have been issued; first the clerk, then the unit."""
    now = await house.clock.now()
    async with house.store.act() as ledger:
        hop = await ledger.take(Hop, hop_id)
        letter = await ledger.take(Letter, hop.letter_id)
        if letter.state != "PENDING_ISSUE" or letter.awaits_until is None or letter.awaits_until > now:
            return
        campaign = await ledger.get(Campaign, hop.campaign_id)
        cascade, rule = cascade_of(campaign), rule_of(campaign, hop)
        people = [*rule.issue_by, cascade.drafting_unit or cascade.speaks_for]
        person = people[min(letter.chased, len(people) - 1)]
        office = await registry.organisation(ledger, person)
        again = issue_until(house, campaign, now) if not is_urgent(campaign) else instant(
            house.calendars.state.add(local(now).date(), 1), house.calendars.state.opens
        )  # fmt: skip
        await ledger.change(Letter, Letter.id == letter.id, awaits_until=again, chased=letter.chased + 1)
        await ledger.write(hop, now, Entry(Fact.ISSUE_CHASED, {"whom": person}))
        if office.contacts:
            mail = mails.Mail(
                kind="issue_wanted", step=f"{letter.id}-{letter.chased + 1}", recipient=person,
                address=office.contacts[0].email, not_before=now, hop_id=hop.id, campaign_id=campaign.id,
                urgent=is_urgent(campaign), context=await _wanted(ledger, letter, hop, office, again),
            )  # fmt: skip
            await mails.queue(house, ledger, [mail], now)


async def _wanted(
    ledger: Ledger, letter: Letter, hop: Hop, office: Organisation, until: datetime
) -> dict[str, Any]:
    recipients = await ledger.count(select(WayRow.delivery_id).where(WayRow.hop_id == hop.id).distinct())
    return {
        "subject": letter.subject, "name": office.name, "since": short_day(local(letter.created_at).date()),
        "until": short_day(local(until).date()), "recipients": recipients, "step": letter.chased + 1,
    }  # fmt: skip


# ------------------------------------------------------------------------------------ issue


@dataclass(frozen=True, slots=True)
class Issued:
    """What the clerk, or the company, enters. signed: the file as it was signed; None: ours, unsigned."""

    number: str
    day: date
    by: str
    signed: bytes | None = None


async def issue(house: House, letter_id: str, entered: Issued) -> Letter:
    """Make a waiting letter a document and wake its hop; raise ActRefused where it cannot be one.

    In live campaigns the signed file is required and is what is sent, byte for byte. The date that the
    draft printed is the deadline.
    """
    async with house.store.view() as ledger:
        letter = await ledger.get(Letter, letter_id)
        campaign = await ledger.get(Campaign, letter.campaign_id)
    if letter.state == "ISSUED":
        return letter
    if letter.state != "PENDING_ISSUE":
        raise ActRefused(f"this letter is {letter.state}; only one that awaits its issue can be issued")
    if campaign.mode == "live" and entered.signed is None:
        raise ActRefused("an authority's letter leaves only as a signed file: add --signed FILE.pdf")
    return await _issue(house, letter, campaign, entered)


async def play_issue(house: House, letter_id: str, by: str) -> Letter:
    """Exercise and demo: the engine numbers and issues a letter itself, marked "BẢN MINH HỌA"."""
    now = await house.clock.now()
    async with house.store.act() as ledger:
        letter = await ledger.take(Letter, letter_id)
        campaign = await ledger.get(Campaign, letter.campaign_id)
        if campaign.mode == "live":
            raise ActRefused("the engine issues no letter of a live campaign")
        if letter.state != "PENDING_ISSUE":
            return letter
        year = local(now).year
        number = await next_number(ledger, letter.issuer, letter.kind, year, letter_id, now)
    return await _issue(house, letter, campaign, Issued(str(number), local(now).date(), by))


async def next_number(
    ledger: Ledger, issuer: str, series: str, year: int, letter_id: str, now: datetime
) -> int:
    """The next number of an issuer's series in a year, from 1, without a gap; the letter's own if it has one.

    NĐ 30/2020 Điều 15: the series begins with 01 on 1 January and ends on 31 December.
    """
    known = await ledger.first(select(Number.number).where(Number.letter_id == letter_id))
    if known is not None:
        return int(known)
    if not ledger.is_sqlite:  # two clerks at once: the second waits for the first
        key = func.hashtext(f"number:{issuer}:{series}:{year}")
        await ledger.session.execute(select(func.pg_advisory_xact_lock(key)))
    last = await ledger.first(
        select(func.max(Number.number)).where(
            Number.issuer == issuer, Number.series == series, Number.year == year
        )
    )
    number = int(last or 0) + 1
    await ledger.add(
        Number, issuer=issuer, series=series, year=year, number=number, letter_id=letter_id, taken_at=now
    )
    return number


async def _issue(house: House, letter: Letter, campaign: Campaign, entered: Issued) -> Letter:
    sheet, due = _reread(letter)
    if letter.hop_id and entered.signed is None:
        made = await draft(house, letter.hop_id, number=entered.number, day=entered.day)
        sheet, due = made.sheet, made.due_at
    sheet = sheet.model_copy(update={"number": entered.number, "issued_on": entered.day})
    rendered = house.press.render(sheet)
    now = await house.clock.now()
    async with house.store.act() as ledger:
        row = await ledger.take(Letter, letter.id)
        if row.state == "ISSUED":
            return row
        await _become(ledger, row, sheet, due, rendered, entered, now)
        if row.hop_id:
            hop = await ledger.take(Hop, row.hop_id)
            entry = Entry(Fact.LETTER_ISSUED, {"letter": row.id, "code": sheet.code}, actor=entered.by)
            await ledger.write(hop, now, entry)
            await mails.wake_hop(ledger, hop.id, now)
        else:
            await _send_report(house, ledger, campaign, row, now)
        return row


async def _become(
    ledger: Ledger, row: Letter, sheet: Sheet, due: datetime, rendered: Rendered, entered: Issued, now: datetime
) -> None:
    pdf = entered.signed if entered.signed is not None else rendered.pdf
    sha256 = await ledger.keep_file(pdf, PDF)
    digits = "".join(ch for ch in entered.number if ch.isdigit())
    values = {
        "state": "ISSUED", "number": int(digits) if digits else None, "symbol": sheet.code if entered.number else "",
        "year": entered.day.year if digits else None, "issued_on": entered.day, "sha256": sha256, "html": rendered.page,
        "subject": rendered.subject, "sheet": _as_json(Draft(sheet, due)), "issued_at": now, "issued_by": entered.by,
        "awaits": None, "awaits_until": None,
    }  # fmt: skip
    changed = await ledger.change(Letter, Letter.id == row.id, Letter.state != "ISSUED", **values)
    if changed != 1:
        raise ActRefused("somebody else issued this letter first")
    for name, value in values.items():
        setattr(row, name, value)
    ledger.session.expunge(row)


def _reread(letter: Letter) -> tuple[Sheet, datetime]:
    data = dict(letter.sheet)
    due = datetime.fromisoformat(data.pop("due_at"))
    return Sheet.model_validate(data), due


def printed_due(letter: Letter) -> datetime:
    """The deadline that a letter prints, as an instant."""
    return datetime.fromisoformat(letter.sheet["due_at"])


# ------------------------------------------------------------------------------------ a company's letter


async def company_letter(house: House, hop_id: str, number: str, by: str) -> tuple[Draft, Rendered]:
    """A company's letter as it leaves today under its own number, or none."""
    now = await house.clock.now()
    made = await draft(house, hop_id, number=number, day=local(now).date())
    if not number:
        made = Draft(made.sheet.model_copy(update={"symbol": ""}), made.due_at)
    return made, house.press.render(made.sheet)


async def issue_company(
    house: House,
    ledger: Ledger,
    hop: Hop,
    made: Draft,
    rendered: Rendered,
    entered: Issued,
    now: datetime,
) -> None:
    """Issue it, in the transaction in which the company passes it on."""
    if hop.letter_id is None:
        await _insert(house, ledger, hop, made, rendered, now, "DRAFT")
    letter = await ledger.take(Letter, hop.letter_id)
    if letter.state != "ISSUED":
        await _become(ledger, letter, made.sheet, made.due_at, rendered, entered, now)


# ------------------------------------------------------------------------------------ enclosures


async def enclosures(ledger: Ledger, campaign: Campaign, hop: Hop) -> list[dict[str, str]]:
    """What a recipient of this hop gets, letter first: every issued letter on the way, then the documents
    from above, unchanged and with their hashes."""
    found: list[dict[str, str]] = []
    at: Hop | None = hop
    while at is not None:
        letter = await ledger.find(Letter, at.letter_id) if at.letter_id else None
        # A bypassed issuer's letter was never issued: its recipients get the one above. A slip is the
        # receiving office's own paper and goes no further.
        own_paper = at is not hop and rule_of(campaign, at).issue is Issue.TAKEN_IN
        if letter is not None and letter.state == "ISSUED" and letter.sha256 and not own_paper:
            found.append({"name": file_name(letter), "sha256": letter.sha256, "media_type": PDF})
        at = await _above(ledger, at)
    return found + [dict(one) for one in campaign.upstream]


def file_name(letter: Letter) -> str:
    """A name that a clerk files it under: number and symbol, "05_BQL.pdf", else kind and issuer."""
    stem = letter.symbol.replace("/", "_") if letter.symbol else f"{letter.kind}-{letter.issuer}"
    return f"{stem}.pdf"


async def of_campaign(house: House, name: str) -> list[dict[str, Any]]:
    """Every letter of a campaign, as `congvan letters --json` prints it."""
    async with house.store.view() as ledger:
        campaign = await ledger.first(select(Campaign).where((Campaign.id == name) | (Campaign.code == name)))
        if campaign is None:
            raise NotFound(f"no campaign {name!r}")
        rows: list[Letter] = await ledger.all(
            select(Letter).where(Letter.campaign_id == campaign.id).order_by(Letter.created_at, Letter.id)
        )
        return [
            {
                "id": row.id, "issuer": row.issuer, "kind": row.kind, "state": row.state, "number": row.symbol,
                "date": row.issued_on.isoformat() if row.issued_on else None, "sha256": row.sha256,
                "file": file_name(row), "subject": row.subject, "awaits": row.awaits,
            }
            for row in rows
        ]  # fmt: skip


# ------------------------------------------------------------------------------------ the report


async def _send_report(house: House, ledger: Ledger, campaign: Campaign, letter: Letter, now: datetime) -> None:
    """The issued report goes to whoever gave the directive; nothing else is ever addressed to them unissued."""
    city = await registry.organisation(ledger, cascade_of(campaign).reports_to)
    if not city.contacts:
        return
    enclosed = [{"name": file_name(letter), "sha256": letter.sha256 or "", "media_type": PDF}]
    mail = mails.Mail(
        kind="report", step=letter.id, recipient=city.code, address=city.contacts[0].email, not_before=now,
        campaign_id=campaign.id, urgent=is_urgent(campaign), enclosures=enclosed,
        context={
            "subject": letter.subject, "name": city.name, "figures": await figures.for_mail(ledger, campaign.id, now),
            "document": f"Báo cáo số {letter.symbol} ngày {short_day(letter.issued_on)}",
        },
    )  # fmt: skip
    await mails.queue(house, ledger, [mail], now)
    row = await ledger.take(Campaign, campaign.id)
    entry = Entry(Fact.REPORTED, {"letter": letter.id, "sha256": letter.sha256 or ""})
    await ledger.write(row, now, entry)
