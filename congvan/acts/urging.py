"""Công văn đôn đốc lần n: one formal letter for all who are silent, drafted with the digest, issued by the clerk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, select

from congvan.acts import mails, papers, registry, wording
from congvan.acts.drafting import Draft, letterhead
from congvan.acts.escalations import next_reading
from congvan.acts.frozen import cascade_of, is_urgent, plan_of
from congvan.acts.validity import who_signs
from congvan.house import House
from congvan.letters.numbering import moment
from congvan.letters.press import Rendered
from congvan.letters.sheet import Appendix, Sheet
from congvan.rules.calendar import local
from congvan.rules.deadlines import due_at
from congvan.rules.protocol import Fact, State, reached, settled
from congvan.rules.records import Settles
from congvan.store.ledger import Entry, Ledger
from congvan.store.tables import Campaign, Case, Delivery, Letter

_COLUMNS = ("STT", "Tổ chức", "Khu công nghiệp", "Thời hạn", "Số lần nhắc")
#: Why whoever gave the directive stands in Nơi nhận, and gets a copy.
_TO_REPORT = "để báo cáo"
#: As many organisations a refusal names.
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Prepared:
    """A drafted đôn đốc, before it is written down."""

    made: Draft
    rendered: Rendered
    about: str
    round: int


async def prepare(house: House, campaign_id: str, now: datetime) -> Prepared | None:
    """Draft the next công văn đôn đốc of a campaign; nothing is written down yet. None: none is wanted.

    One is wanted while somebody is silent, none awaits its issue (but for one that was overtaken in the clerk's hands),
    the last date of the one before has passed, and the campaign has rounds left.
    """
    async with house.store.view() as ledger:
        campaign = await ledger.get(Campaign, campaign_id)
        made = await _draft(house, ledger, campaign, now)
    return Prepared(made[0], house.press.render(made[0].sheet), made[1], made[2]) if made is not None else None


async def _draft(house: House, ledger: Ledger, campaign: Campaign, now: datetime) -> tuple[Draft, str, int] | None:
    urging = cascade_of(campaign).urging
    first = await wording.speaking_letter(ledger, campaign)
    earlier: list[Letter] = await ledger.all(
        select(Letter).where(Letter.campaign_id == campaign.id, Letter.kind == "urge", Letter.state != "CANCELLED")
    )
    earlier = [one for one in earlier if not await overtaken(ledger, one, now)]
    number = len(earlier) + 1
    still_running = any(
        one.state == "PENDING_ISSUE" or datetime.fromisoformat(one.sheet["due_at"]) > now for one in earlier
    )
    silent = await _silent(ledger, campaign)
    if first is None or number > urging.rounds or still_running or not silent:
        return None
    last = due_at(urging.deadline, now, house.calendars)
    sheet = await _sheet(ledger, campaign, first, silent, number, last, now)
    return Draft(sheet, last), first.id, number


async def _silent(ledger: Ledger, campaign: Campaign) -> list[Delivery]:
    rows: list[Delivery] = await ledger.all(
        select(Delivery).where(Delivery.id.in_(_cases(campaign.id))).order_by(Delivery.code)
    )
    return [row for row in rows if row.recipient != cascade_of(campaign).speaks_for and _owes(row)]


def _cases(campaign_id: str) -> Select[tuple[str]]:
    """Whose silence is in somebody's hands: more time, another letter or a decision has closed that of the others."""
    return select(Case.delivery_id).where(
        Case.campaign_id == campaign_id, Case.closed_at.is_(None), Case.kind == "silent"
    )


def _owes(row: Delivery) -> bool:
    state = State(row.state)
    return reached(state) and not settled(state, Settles(row.settles)) and state is not State.REJECTED


async def _sheet(
    ledger: Ledger, campaign: Campaign, first: Letter, silent: Sequence[Delivery], number: int, last: datetime,
    now: datetime,
) -> Sheet:  # fmt: skip
    plan, cascade = plan_of(campaign), cascade_of(campaign)
    speaker = await registry.organisation(ledger, cascade.speaks_for)
    city = await registry.organisation(ledger, cascade.reports_to)
    parks, today = await registry.park_names(ledger), local(now).date()
    return Sheet(
        template="urge", **await letterhead(ledger, speaker, today), symbol=await papers.symbol_of(ledger, cascade),
        place=plan.letter.place, signer=who_signs(plan.letter.signer, speaker, today), urgency=plan.urgency,
        distribution=("Như trên", f"{city.short_name or city.name} ({_TO_REPORT})", _kept(plan.letter.distribution)),
        illustration=campaign.mode != "live",
        context={
            "round": number, "forwarded": papers.cited_of(first), "letter": plan.letter.model_dump(mode="json"),
            "counts": await _counts(ledger, campaign, len(silent)), "as_of": now, "deadline": last,
            "first_deadline": first.sheet["due_at"], "reports_to": city.name,
            "deliveries": [row.id for row in silent], "recipients": len(silent),
        },
        appendices=(_appendix(silent, parks),),
    )  # fmt: skip


def _kept(distribution: Sequence[str]) -> str:
    last = distribution[-1] if distribution else ""
    return last if last.startswith("Lưu") else "Lưu: VT"


async def _counts(ledger: Ledger, campaign: Campaign, silent: int) -> dict[str, int]:
    rows = await ledger.rows(
        select(Delivery.state, Delivery.settles, Delivery.recipient).where(
            Delivery.campaign_id == campaign.id, Delivery.due_at.is_not(None)
        )
    )
    asked = [
        row
        for row in rows
        if row.recipient != cascade_of(campaign).speaks_for and row.state not in (State.EXEMPT, State.WITHDRAWN)
    ]
    answered = sum(settled(State(row.state), Settles(row.settles)) for row in asked)
    return {"asked": len(asked), "answered": answered, "silent": silent}


def _appendix(silent: Sequence[Delivery], parks: Mapping[str, str]) -> Appendix:
    rows = tuple(
        (
            str(number), row.name, parks.get(row.park, ""),
            f"{local(row.due_at):%d/%m/%Y}" if row.due_at else "", str(row.reminders),
        )
        for number, row in enumerate(silent, 1)
    )  # fmt: skip
    return Appendix(
        title="DANH SÁCH CÁC ĐƠN VỊ CHƯA XÁC NHẬN", columns=_COLUMNS, rows=rows,
        widths=("12mm", "3fr", "2fr", "24mm", "18mm"),
    )  # fmt: skip


async def submit(
    house: House, ledger: Ledger, campaign: Campaign, one: Prepared, now: datetime, *, tell: bool
) -> str | None:
    """Hand a prepared đôn đốc to the clerk; its letter's id, or None where somebody else was first or it is over."""
    row = await ledger.take(Campaign, campaign.id)
    if row.state == "CLOSED":
        return None
    waiting = await papers.pending(ledger, campaign.id, "urge")
    if waiting is not None and not await overtaken(ledger, waiting, now):
        return None
    if waiting is not None:
        await papers.drop(ledger, [waiting])
    letter_id = await papers.submit(house, ledger, campaign, one.made, one.rendered, now, about=one.about, tell=tell)
    said = {"letter": letter_id, "kind": "urge", "round": one.round}
    await ledger.write(campaign, now, Entry(Fact.LETTER_DRAFTED, said))
    return letter_id


async def send(house: House, ledger: Ledger, campaign: Campaign, letter: Letter, now: datetime, by: str) -> None:
    """Send an issued đôn đốc to everybody in its appendix who is still silent, in the transaction of its issue."""
    context = letter.sheet["context"]
    first = await ledger.get(Letter, letter.about)
    rows = await named(ledger, letter, lock=True)
    waited_for = set(await ledger.all(_cases(campaign.id)))
    silent = [row for row in rows if row.id in waited_for and _owes(row)]
    said = {"round": context["round"], "letter": letter.id, "code": letter.symbol}
    await ledger.write_many(
        [(row, [Entry(Fact.URGED, said, actor=by)], {"urged": row.urged + 1}) for row in silent], now
    )
    enclosed = [papers.enclosure(letter), papers.enclosure(first), *(dict(one) for one in campaign.upstream)]
    queued = [
        mails.Mail(
            kind="urge", step=f"{row.round}-u{row.urged}", recipient=row.recipient, address=row.address or "",
            not_before=now, delivery_id=row.id, campaign_id=campaign.id, urgent=is_urgent(campaign),
            enclosures=enclosed,
            context={
                "document": wording.document(letter), "old_document": wording.document(first),
                "round": context["round"],
                "subject": first.subject, "last": letter.sheet["due_at"],
                "old_due_at": row.due_at.isoformat() if row.due_at else "",
            },
        )
        for row in silent
        if row.address
    ]  # fmt: skip
    city = await registry.organisation(ledger, cascade_of(campaign).reports_to)
    boxes = registry.mailboxes(city, local(now).date())
    if queued and boxes:
        copy = mails.Mail(
            kind="copy", step=f"{letter.id}-{mails.of_code(city.code)}", recipient=city.code, address=boxes[0],
            not_before=house.calendars.state.sending_time(now, urgent=is_urgent(campaign), first_letter=True),
            campaign_id=campaign.id, urgent=is_urgent(campaign), enclosures=enclosed,
            context={
                "purpose": _TO_REPORT, "name": city.name, "document": wording.document(letter),
                "subject": letter.subject,
            },
        )  # fmt: skip
        queued.append(copy)
    await mails.queue(house, ledger, queued, now)
    # Looked at once more when its last date has passed.
    last = next_reading(house, datetime.fromisoformat(letter.sheet["due_at"]))
    await ledger.change(Letter, Letter.id == letter.id, awaits_until=last)


async def named(ledger: Ledger, letter: Letter, *, lock: bool = False) -> list[Delivery]:
    """Everybody in its appendix."""
    keys = letter.sheet["context"]["deliveries"]
    return await ledger.all(select(Delivery).where(ledger.among(Delivery.id, keys)).order_by(Delivery.id), lock=lock)


async def overtaken(ledger: Ledger, letter: Letter, now: datetime) -> str:
    """Why a draft that awaits its issue must not be issued any more, for its clerk; empty: it may, or is none.

    Its last date has passed; nobody whom it names is silent any more; or it names as silent who owes his answer to a
    later date. Who has answered since stays in its list, which says how it stood on its day: he gets no mail.
    """
    if letter.kind != "urge" or letter.state != "PENDING_ISSUE":
        return ""
    last = datetime.fromisoformat(letter.sheet["due_at"])
    if last <= now:
        return (
            f"hạn chót in trong công văn đôn đốc này ({moment(last)}) đã qua; hệ thống dự thảo lại với hạn chót mới, "
            "trình ký bản ấy"
        )
    waited_for = set(await ledger.all(_cases(letter.campaign_id)))
    owing = [row for row in await named(ledger, letter) if _owes(row)]
    if not any(row.id in waited_for for row in owing):
        return "không còn đơn vị nào nêu trong công văn đôn đốc này chậm trả lời; không ban hành bản này"
    let_be = [row.name for row in owing if row.id not in waited_for]
    if not let_be:
        return ""
    return (
        f"công văn đôn đốc này nêu {'; '.join(sorted(let_be)[:_NAMED])} là chưa trả lời đúng hạn trong khi thời hạn đã "
        "thay đổi; hệ thống dự thảo lại, trình ký bản ấy"
    )


async def passed(ledger: Ledger, now: datetime) -> list[Letter]:
    """The issued đôn đốc whose last date has passed and at which nobody has looked since; and the drafts that were
    overtaken."""
    found: list[Letter] = await ledger.all(
        select(Letter).where(papers.last_dates(), Letter.awaits_until <= now).order_by(Letter.id)
    )
    waiting: list[Letter] = await ledger.all(
        select(Letter).where(papers.urges("PENDING_ISSUE")).order_by(Letter.id)
    )
    return [*found, *[one for one in waiting if await overtaken(ledger, one, now)]]


async def shown(ledger: Ledger, campaign: Campaign) -> tuple[str, dict[str, str] | None]:
    """What a digest says of the đôn đốc of a campaign, and the file of the one that awaits its issue."""
    waiting = await papers.pending(ledger, campaign.id, "urge")
    if waiting is not None:
        number = waiting.sheet["context"]["round"]
        note = f"Dự thảo công văn đôn đốc lần {number} gửi kèm, chờ ký, cấp số và ban hành."
        return note, {"name": f"du-thao-don-doc-{campaign.code}-lan-{number}.pdf", **_file(waiting)}
    issued: list[Letter] = await ledger.all(
        select(Letter)
        .where(Letter.campaign_id == campaign.id, Letter.kind == "urge", Letter.state == "ISSUED")
        .order_by(Letter.issued_at.desc())
    )
    if not issued:
        return "", None
    number = issued[0].sheet["context"]["round"]
    return f"Đã đôn đốc lần {number}: {wording.document(issued[0])}.", None


def _file(letter: Letter) -> dict[str, str]:
    return {key: value for key, value in papers.enclosure(letter).items() if key != "name"}
